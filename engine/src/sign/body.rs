//! The hash of a canonical body, taken while the body passes in pieces (RFC 6376 §3.4.3, §3.4.4).
//!
//! ```text
//! simple    octets as they are; empty lines at the end become one CRLF, no body becomes one too
//! relaxed   white space at the end of a line falls away, other runs of it become one space;
//!           empty lines at the end fall away, and so a body of nothing but white space is empty
//! ```
//!
//! Both rules only ever take octets away or put one for another, so the hash reads long stretches
//! straight from the piece; only what follows an oddity goes octet by octet through the states
//! below. A line ends with CRLF: a bare CR or LF is an octet like others. Work is linear.

use crate::config::DkimCanon as Canon;
use aws_lc_rs::digest::{Context, Digest, SHA256};
use memchr::memmem::{self, FindIter};
use memchr::{Memchr, memchr_iter};
use std::iter::Peekable;

/// A body that is being hashed.
#[derive(Clone)]
pub struct BodyHash {
    canon: Canon,
    hash: Context,
    /// Octets that wait to be hashed together: a call of the hash costs more than a copy of few.
    few: Vec<u8>,
    /// Line ends that only count when an octet follows.
    lines: u64,
    /// White space that only counts when an octet of its line follows (relaxed).
    space: bool,
    /// A CR that begins a line end when LF follows.
    cr: bool,
    /// Whether any octet counted.
    begun: bool,
}

/// A stretch shorter than this is copied first.
const FEW_BYTES: usize = 256;

impl BodyHash {
    #[must_use]
    pub fn new(canon: Canon) -> BodyHash {
        BodyHash {
            canon,
            hash: Context::new(&SHA256),
            few: Vec::with_capacity(FEW_BYTES),
            lines: 0,
            space: false,
            cr: false,
            begun: false,
        }
    }

    /// Takes the next piece of the body.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut oddities = (self.canon == Canon::Relaxed).then(|| Oddities::of(piece));
        let mut rest = piece;
        while !rest.is_empty() {
            if !self.is_pending() {
                let at = piece.len() - rest.len();
                let odd = oddities.as_mut().and_then(|oddities| oddities.first(at));
                let even = piece.get(at..odd.unwrap_or(piece.len())).unwrap_or(rest);
                let (plain, odd) = rest.split_at(plain_len(even, self.canon));
                self.begun |= !plain.is_empty();
                self.hash(plain);
                rest = odd;
            }
            let mut octets = rest.iter();
            for octet in octets.by_ref() {
                self.octet(*octet);
                if !self.is_pending() {
                    break;
                }
            }
            rest = octets.as_slice();
        }
    }

    /// The hash of all that passed.
    #[must_use]
    pub fn finish(mut self) -> Digest {
        if std::mem::take(&mut self.cr) {
            self.content(b'\r');
        }
        // The last line end counts once, whether it was there or not.
        if self.begun || self.canon == Canon::Simple {
            self.hash(b"\r\n");
        }
        self.hash.update(&self.few);
        self.hash.finish()
    }

    fn is_pending(&self) -> bool {
        self.cr || self.space || self.lines > 0
    }

    fn octet(&mut self, octet: u8) {
        if std::mem::take(&mut self.cr) {
            if octet == b'\n' {
                self.space = false;
                self.lines += 1;
                return;
            }
            self.content(b'\r');
        }
        match octet {
            b'\r' => self.cr = true,
            b' ' | b'\t' if self.canon == Canon::Relaxed => self.space = true,
            _ => self.content(octet),
        }
    }

    /// An octet that counts, and with it all that waited for one.
    fn content(&mut self, octet: u8) {
        for _ in 0..std::mem::take(&mut self.lines) {
            self.hash(b"\r\n");
        }
        if std::mem::take(&mut self.space) {
            self.hash(b" ");
        }
        self.begun = true;
        self.hash(&[octet]);
    }

    fn hash(&mut self, octets: &[u8]) {
        if self.few.len() + octets.len() > FEW_BYTES {
            self.hash.update(&self.few);
            self.few.clear();
        }
        if octets.len() < FEW_BYTES {
            self.few.extend_from_slice(octets);
        } else {
            self.hash.update(octets);
        }
    }
}

/// How many octets without an oddity are canonical as they are and end in one that counts.
fn plain_len(mut plain: &[u8], canon: Canon) -> usize {
    loop {
        plain = match plain {
            [rest @ .., b'\r', b'\n'] | [rest @ .., b'\r'] => rest,
            [rest @ .., b' ' | b'\t'] if canon == Canon::Relaxed => rest,
            _ => return plain.len(),
        }
    }
}

/// Where white space stands in a piece that relaxed canonicalisation may change: a tab, two spaces,
/// a space before CR. Each kind is looked for on its own and found once, so that work is linear
/// however many there are. A space that ends the piece is seen to by [`plain_len`].
struct Oddities<'p> {
    tabs: Peekable<Memchr<'p>>,
    spaces: Peekable<FindIter<'p, 'static>>,
    line_ends: Peekable<FindIter<'p, 'static>>,
}

impl<'p> Oddities<'p> {
    fn of(piece: &'p [u8]) -> Oddities<'p> {
        Oddities {
            tabs: memchr_iter(b'\t', piece).peekable(),
            spaces: memmem::find_iter(piece, b"  ").peekable(),
            line_ends: memmem::find_iter(piece, b" \r").peekable(),
        }
    }

    /// The first one at `from` or behind it.
    fn first(&mut self, from: usize) -> Option<usize> {
        let found = [
            first(&mut self.tabs, from),
            first(&mut self.spaces, from),
            first(&mut self.line_ends, from),
        ];
        found.into_iter().flatten().min()
    }
}

fn first(places: &mut Peekable<impl Iterator<Item = usize>>, from: usize) -> Option<usize> {
    while places.next_if(|place| *place < from).is_some() {}
    places.peek().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rules as the RFC tells them, one after the other.
    fn canonical(canon: Canon, body: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
        let mut rest = body;
        while let Some((octet, tail)) = rest.split_first() {
            if let Some(tail) = rest.strip_prefix(b"\r\n") {
                lines.push(Vec::new());
                rest = tail;
            } else {
                lines.last_mut().unwrap().push(*octet);
                rest = tail;
            }
        }
        if canon == Canon::Relaxed {
            lines.iter_mut().for_each(|line| *line = squeezed(line));
        }
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        let mut out: Vec<u8> = lines
            .into_iter()
            .flat_map(|l| [l, b"\r\n".to_vec()])
            .flatten()
            .collect();
        if out.is_empty() && canon == Canon::Simple {
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    fn squeezed(line: &[u8]) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        for octet in line {
            match octet {
                b' ' | b'\t' if out.last() == Some(&b' ') => {}
                b' ' | b'\t' => out.push(b' '),
                octet => out.push(*octet),
            }
        }
        if out.last() == Some(&b' ') {
            out.pop();
        }
        out
    }

    fn hashed<'a>(canon: Canon, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut hash = BodyHash::new(canon);
        pieces.into_iter().for_each(|piece| hash.feed(piece));
        hash.finish().as_ref().to_vec()
    }

    fn sha256(octets: &[u8]) -> Vec<u8> {
        aws_lc_rs::digest::digest(&SHA256, octets).as_ref().to_vec()
    }

    #[test]
    fn lines_of_white_space_at_the_end_fall_away() {
        for (body, relaxed) in [
            (&b"hello\r\n \r\n"[..], &b"hello\r\n"[..]),
            (b" \r\n", b""),
            (b"", b""),
            (b"\r\n\r\n", b""),
            (b" \t ", b""),
            (b"hello", b"hello\r\n"),
            (b"hello \t", b"hello\r\n"),
            (
                b"a\r\n\t \r\n\r\n   \r\nb \t c\r\n \r\n\t\r\n",
                b"a\r\n\r\n\r\n\r\nb c\r\n",
            ),
        ] {
            let found = hashed(Canon::Relaxed, [body]);
            assert_eq!(found, sha256(relaxed), "{}", body.escape_ascii());
        }
    }

    /// RFC 6376 §3.4.3: the two hashes that it gives for an empty body.
    #[test]
    fn an_empty_body_has_the_hashes_of_the_rfc() {
        use base64::Engine;
        let text = |canon| base64::prelude::BASE64_STANDARD.encode(hashed(canon, []));
        assert_eq!(
            text(Canon::Simple),
            "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="
        );
        assert_eq!(
            text(Canon::Relaxed),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }

    /// What would cost a scanner that starts anew behind each oddity the square of its length.
    #[test]
    fn monsters_are_hashed_in_linear_time() {
        for unit in [
            "\n", "\r", "\r\n", " ", "\t", " \r", "\r\n ", "a\t", "a  ", "\na ", "\r\r\n",
        ] {
            let body = unit.repeat(1 << 20);
            for canon in [Canon::Simple, Canon::Relaxed] {
                let expected = sha256(&canonical(canon, body.as_bytes()));
                assert_eq!(
                    hashed(canon, [body.as_bytes()]),
                    expected,
                    "{}",
                    unit.escape_debug()
                );
            }
        }
    }

    fn bodies() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![
            4 => Just(b' '), 2 => Just(b'\t'), 2 => Just(b'\r'), 2 => Just(b'\n'), 3 => any::<u8>(),
        ];
        let word = prop_oneof![
            3 => prop::collection::vec(octet, 0..12),
            2 => Just(b"\r\n".to_vec()),
            1 => Just(vec![b'x'; 700]),
        ];
        prop::collection::vec(word, 0..20).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn any_body_in_any_pieces_hashes_as_the_rules_say(body in bodies(), step in 1usize..40) {
            for canon in [Canon::Simple, Canon::Relaxed] {
                let expected = sha256(&canonical(canon, &body));
                prop_assert_eq!(&hashed(canon, [&body[..]]), &expected);
                prop_assert_eq!(&hashed(canon, body.chunks(step)), &expected);
            }
        }
    }
}
