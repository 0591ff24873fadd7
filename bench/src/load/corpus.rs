//! The messages of a run: a deck made or read before it begins, and a head written for each one.
//!
//! ```text
//! From: <sender>                     head: written for every message; real messages have only
//! Message-ID: <id@…>                 the stamp before their own headers
//! X-Ringpost-Bench: id start …
//! To: …                              rest: one of the deck, shared, with its checksum in the
//! …                                  stamp; on the wire dots are stuffed and the end is set
//! ```

use super::sizes::Sizes;
use super::stamp::{LINE_BYTES, Stamp};
use anyhow::{Context, bail};
use std::path::Path;

/// How a message travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    /// DATA: dots stuffed, ended by a dot (RFC 5321 §4.5.2).
    Data,
    /// BDAT: the octets as they are (RFC 3030).
    Chunk,
}

/// All messages that a run may send, shared by its shards.
pub(crate) struct Corpus {
    cards: Vec<Card>,
    is_made: bool,
    is_eight_bit: bool,
    framing: Framing,
    seed: u64,
    run: u32,
}

/// Everything of one message behind its stamp.
struct Card {
    /// As it goes over the wire, with the end of data.
    wire: Vec<u8>,
    octets: u32,
    crc: u32,
}

/// One message, ready to go.
pub(crate) struct Letter<'a> {
    /// Behind the head.
    pub(crate) wire: &'a [u8],
    /// Of the whole message, head included, dots not stuffed.
    pub(crate) octets: u64,
}

impl Corpus {
    /// Makes or reads the deck. `sender_bytes` is the length of the longest sender's address.
    pub(crate) fn new(
        sizes: &Sizes,
        framing: Framing,
        seed: u64,
        run: u32,
        sender_bytes: usize,
    ) -> anyhow::Result<Corpus> {
        let (rests, is_made) = match sizes {
            Sizes::Folder(folder) => (real(folder)?, false),
            _ => (made(sizes, seed, sender_bytes), true),
        };
        let is_eight_bit = rests.iter().any(|rest| !rest.is_ascii());
        let cards = rests.into_iter().map(|rest| Card::new(&rest, framing));
        Ok(Corpus {
            is_eight_bit,
            cards: cards.collect(),
            is_made,
            framing,
            seed,
            run,
        })
    }

    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether some message needs 8BITMIME (RFC 6152).
    pub(crate) fn is_eight_bit(&self) -> bool {
        self.is_eight_bit
    }

    /// Appends the head of message `number` to `out`; gives what follows it.
    pub(crate) fn write_head(
        &self,
        number: u64,
        start_micros: u64,
        sender: &str,
        out: &mut Vec<u8>,
    ) -> Letter<'_> {
        let card = self.card(number);
        let stamp = Stamp {
            run: self.run,
            number,
            start_micros,
            octets: card.octets,
            crc: card.crc,
        };
        let before = out.len();
        if self.is_made {
            out.extend_from_slice(FROM);
            out.extend_from_slice(sender.as_bytes());
            out.extend_from_slice(MESSAGE_ID);
            stamp.write_id(out);
            out.extend_from_slice(AT_HOST);
        }
        stamp.write(out);
        Letter {
            wire: &card.wire,
            octets: (out.len() - before) as u64 + u64::from(card.octets),
        }
    }

    /// The length of a whole message before it is written: what SIZE= and BDAT announce.
    pub(crate) fn octets(&self, number: u64, sender: &str) -> u64 {
        let head = match self.is_made {
            true => HEAD_BYTES + sender.len(),
            false => LINE_BYTES,
        };
        head as u64 + u64::from(self.card(number).octets)
    }

    fn card(&self, number: u64) -> &Card {
        let at = super::chance(self.seed, number) % self.cards.len() as u64;
        let card = self.cards.get(at as usize);
        card.expect("a corpus has a card, and a remainder is less than their number")
    }
}

impl Card {
    fn new(rest: &[u8], framing: Framing) -> Card {
        let wire = match framing {
            Framing::Data => stuffed(rest),
            Framing::Chunk => rest.to_vec(),
        };
        Card {
            wire,
            octets: u32::try_from(rest.len()).unwrap_or(u32::MAX),
            crc: crc32c::crc32c(rest),
        }
    }
}

fn made(sizes: &Sizes, seed: u64, sender_bytes: usize) -> Vec<Vec<u8>> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let head = HEAD_BYTES + sender_bytes;
    let make = |size: u64| {
        let mut rest = HEADERS.to_vec();
        let body = (size as usize).saturating_sub(head + rest.len()).max(2);
        text(body, &mut chance, &mut rest);
        rest
    };
    sizes.deck().map(make).collect()
}

/// Appends exactly `octets` of text in lines, CRLF at the end.
fn text(octets: usize, chance: &mut fastrand::Rng, into: &mut Vec<u8>) {
    let end = into.len() + octets;
    while into.len() < end {
        let left = end - into.len();
        // A line of one octet is not possible, so none is left over.
        let line = match left {
            0..=78 => left,
            79 => 40,
            _ => 78,
        };
        let letters = line - 2;
        into.extend((0..letters).map(|_| *chance.choice(LETTERS).unwrap_or(&b' ')));
        into.extend_from_slice(b"\r\n");
    }
}

/// Every message of a folder, the files in the order of their names.
fn real(folder: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let say = || format!("cannot read the messages of {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(say)? {
        let path = entry.with_context(say)?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let mut messages = Vec::new();
    for path in paths.iter().take(MESSAGES_MAX) {
        let octets = std::fs::read(path).with_context(say)?;
        messages.extend(in_lines(&octets));
    }
    if messages.is_empty() {
        bail!(
            "{} holds no message that SMTP can carry: files of lines without NUL",
            folder.display()
        );
    }
    Ok(messages)
}

/// With CRLF at the end of each line; `None` where bare CR or NUL keep a message from SMTP.
fn in_lines(octets: &[u8]) -> Option<Vec<u8>> {
    let mut lines = Vec::with_capacity(octets.len() + octets.len() / 32 + 2);
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if memchr::memchr2(b'\r', 0, line).is_some() {
            return None;
        }
        lines.extend_from_slice(line);
        lines.extend_from_slice(b"\r\n");
    }
    let fits = lines.len() as u64 <= super::sizes::SIZE_MAX && !lines.is_empty();
    fits.then_some(lines)
}

/// As DATA carries it, with the end of data.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + message.len() / 64 + 3);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.first() == Some(&b'.') {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

/// Files of a folder beyond this are left out.
const MESSAGES_MAX: usize = 10_000;

const FROM: &[u8] = b"From: <";
const MESSAGE_ID: &[u8] = b">\r\nMessage-ID: <";
const AT_HOST: &[u8] = b"@ringpost-bench.invalid>\r\n";

/// A head without the sender's address.
const HEAD_BYTES: usize = FROM.len() + MESSAGE_ID.len() + 19 + AT_HOST.len() + LINE_BYTES;

const HEADERS: &[u8] = b"To: load-test:;\r\n\
    Subject: A message of ringpost-bench\r\n\
    Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=us-ascii\r\n\
    \r\n";

const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789  ";

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: &str = "load@example.test";

    fn corpus(sizes: &str, framing: Framing) -> Corpus {
        Corpus::new(&sizes.parse().unwrap(), framing, 3, 9, SENDER.len()).unwrap()
    }

    #[test]
    fn made_messages_have_the_asked_size_and_fit_their_stamp() {
        for (text, size) in [("400", 400), ("1k", 1024), ("4k", 4096), ("70001", 70_001)] {
            let corpus = corpus(text, Framing::Chunk);
            let mut head = Vec::new();
            let letter = corpus.write_head(12, 99, SENDER, &mut head);
            let whole = [&head, letter.wire].concat();
            assert_eq!(
                (letter.octets, whole.len()),
                (size, size as usize),
                "{text}"
            );
            assert_eq!(corpus.octets(12, SENDER), size);
            let (stamp, line) = Stamp::find(&whole).unwrap();
            assert_eq!((stamp.run, stamp.number, stamp.start_micros), (9, 12, 99));
            assert!(stamp.fits(&whole[line.end..]));
            assert!(whole.ends_with(b"\r\n") && whole.split(|o| *o == b'\n').all(|l| l.len() < 79));
        }
    }

    #[test]
    fn real_messages_keep_their_octets_and_lose_what_smtp_cannot_carry() {
        let folder = tempfile::tempdir().unwrap();
        for (name, octets) in [
            ("1", &b"Subject: a\n\n.b\n"[..]),
            ("2", b"a\rb\n"),
            ("3", b""),
        ] {
            std::fs::write(folder.path().join(name), octets).unwrap();
        }
        let corpus = corpus(folder.path().to_str().unwrap(), Framing::Data);
        let mut head = Vec::new();
        let letter = corpus.write_head(1, 0, SENDER, &mut head);
        assert!(head.starts_with(crate::load::stamp::NAME));
        assert_eq!(letter.wire, b"Subject: a\r\n\r\n..b\r\n.\r\n");
        assert_eq!(letter.octets as usize, head.len() + letter.wire.len() - 4);
    }

    #[test]
    fn a_run_draws_from_all_of_its_deck() {
        let corpus = corpus("classic", Framing::Data);
        let mut sizes: Vec<u64> = (0..50_000).map(|n| corpus.octets(n, SENDER)).collect();
        sizes.sort_unstable();
        let below = sizes.partition_point(|size| *size < 4 << 10) as f64 / 500.0;
        assert!((below - 49.2).abs() < 1.5, "{below}");
        sizes.dedup();
        assert!(sizes.len() > 800, "{}", sizes.len());
    }
}
