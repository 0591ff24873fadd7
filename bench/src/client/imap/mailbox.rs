//! Messages into a mailbox, and all of them out of it again.

use super::Session;
use super::opening::quoted;
use super::response::{Listener, Nobody, number_behind};
use crate::load::corpus::Corpus;
use crate::load::pace::Ticket;
use crate::load::stamp::{LINE_BYTES, Stamp};
use crate::measure::answer::Answer;
use engine::reactor::clock::monotonic_micros;
use std::io::{self, IoSlice, Write};
use std::ops::Range;

/// Numbers from here on are of messages that fill a mailbox before a load; no audit asks for them.
pub(crate) const FILL_NUMBER_MIN: u64 = 1 << 39;

/// A stamped message that was read back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) uid: u32,
    pub(crate) stamp: Stamp,
    /// Of a stamp that was read without the rest: no.
    pub(crate) is_intact: bool,
    pub(crate) heard_micros: u64,
}

/// Messages of one APPEND that fills a mailbox.
const FILL_MESSAGES_AT_ONCE: u32 = 64;

/// The ticket of a message that fills a mailbox.
fn filling(number: u32) -> Ticket {
    Ticket {
        number: FILL_NUMBER_MIN + u64::from(number),
        start_micros: monotonic_micros(),
    }
}

/// What messages are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Whole,
    /// The line of the stamp.
    Stamp,
}

impl Session {
    /// Appends the message of a ticket; its answer and its octets.
    pub(crate) async fn append(
        &mut self,
        corpus: &Corpus,
        mailbox: &str,
        sender: &str,
        ticket: Ticket,
    ) -> io::Result<(Answer, u64)> {
        self.stream.set_patience(self.access.patience);
        let octets = corpus.octets(ticket.number, sender);
        let at_once = octets <= self.offer.literal_bytes;
        self.begin_command("APPEND ");
        let plus = if at_once { "+" } else { "" };
        // Into memory: it cannot fail.
        let _ = write!(self.out, "{} {{{octets}{plus}}}\r\n", quoted(mailbox));
        if !at_once {
            self.send_out().await?;
            if let Some(refused) = self.until_continued().await? {
                return Ok((refused, 0));
            }
            self.out.clear();
        }
        let letter = corpus.write_head(ticket.number, ticket.start_micros, sender, &mut self.out);
        let mut slices = [&self.out[..], letter.wire, b"\r\n"].map(IoSlice::new);
        self.stream.send(&mut slices).await?;
        Ok((self.answer(&mut Nobody).await?, letter.octets))
    }

    /// Appends until the selected mailbox has `messages`, many at once where the server takes them
    /// (RFC 3502); the first refusal ends it.
    pub(crate) async fn fill(
        &mut self,
        corpus: &Corpus,
        mailbox: &str,
        sender: &str,
        messages: u32,
    ) -> io::Result<Answer> {
        let mut answer = self.ask("NOOP").await?;
        let mut number = self.exists;
        while number < messages && answer.is_positive() {
            let many = messages.min(number + FILL_MESSAGES_AT_ONCE);
            let fits = |number| {
                let octets = corpus.octets(filling(number).number, sender);
                octets <= self.offer.literal_bytes
            };
            let end = match self.offer.multi_append && (number..many).all(fits) {
                true => many,
                false => number + 1,
            };
            answer = match end - number {
                1 => {
                    self.append(corpus, mailbox, sender, filling(number))
                        .await?
                        .0
                }
                _ => {
                    self.append_all(corpus, mailbox, sender, number..end)
                        .await?
                }
            };
            number = end;
        }
        Ok(answer)
    }

    async fn append_all(
        &mut self,
        corpus: &Corpus,
        mailbox: &str,
        sender: &str,
        numbers: Range<u32>,
    ) -> io::Result<Answer> {
        self.stream.set_patience(self.access.patience);
        self.begin_command("APPEND ");
        self.out.extend_from_slice(quoted(mailbox).as_bytes());
        for number in numbers {
            let Ticket {
                number,
                start_micros,
            } = filling(number);
            // Into memory: it cannot fail.
            let _ = write!(self.out, " {{{}+}}\r\n", corpus.octets(number, sender));
            let letter = corpus.write_head(number, start_micros, sender, &mut self.out);
            self.out.extend_from_slice(letter.wire);
        }
        self.out.extend_from_slice(b"\r\n");
        self.send_out().await?;
        self.answer(&mut Nobody).await
    }

    /// Reads the messages of the selected mailbox from a UID on; `found` hears of those with a
    /// stamp.
    pub(crate) async fn read_from(
        &mut self,
        uid: u32,
        part: Part,
        mut found: impl FnMut(Found),
    ) -> io::Result<Answer> {
        if self.exists == 0 {
            return self.ask("NOOP").await;
        }
        // RFC 9051 §9: the last message is in every range that ends with an asterisk.
        let mut reader = Reader::new(|one: Found| {
            if one.uid >= uid {
                found(one);
            }
        });
        let what = match part {
            Part::Whole => "BODY.PEEK[]",
            Part::Stamp => "BODY.PEEK[HEADER.FIELDS (X-Ringpost-Bench)]",
        };
        let command = format!("UID FETCH {uid}:* (UID {what})");
        self.ask_with(&command, &mut reader).await
    }
}

/// Looks for the stamp at the beginning of a message, then sums what comes behind it.
struct Reader<F> {
    found: F,
    /// The beginning of the message, until its stamp is found.
    head: Vec<u8>,
    stamp: Option<Stamp>,
    octets: u64,
    crc: u32,
}

/// Received lines and the like before the stamp; a message without one is somebody else's.
const HEAD_BYTES_MAX: usize = 64 << 10;

impl<F: FnMut(Found)> Reader<F> {
    fn new(found: F) -> Reader<F> {
        Reader {
            found,
            head: Vec::new(),
            stamp: None,
            octets: 0,
            crc: 0,
        }
    }

    fn sum(&mut self, octets: &[u8]) {
        self.octets += octets.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, octets);
    }
}

impl<F: FnMut(Found)> Listener for Reader<F> {
    fn piece(&mut self, octets: &[u8]) {
        if self.stamp.is_some() {
            return self.sum(octets);
        }
        if self.head.len() >= HEAD_BYTES_MAX {
            return;
        }
        // Where the head was searched already only its last line may still become one.
        let from = self.head.len().saturating_sub(LINE_BYTES + 1);
        self.head.extend_from_slice(octets);
        let Some((stamp, line)) = Stamp::find(self.head.get(from..).unwrap_or_default()) else {
            return;
        };
        self.stamp = Some(stamp);
        let head = std::mem::take(&mut self.head);
        self.sum(head.get(from + line.end..).unwrap_or_default());
    }

    fn untagged(&mut self, text: &[u8], heard_micros: u64) {
        let uid = number_behind(text, b"UID ");
        if let (Some(stamp), Some(uid)) = (self.stamp.take(), uid) {
            let is_intact = self.octets == u64::from(stamp.octets) && self.crc == stamp.crc;
            (self.found)(Found {
                uid,
                stamp,
                is_intact,
                heard_micros,
            });
        }
        self.head.clear();
        (self.octets, self.crc) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::corpus::Framing;

    fn message(number: u64) -> Vec<u8> {
        let sizes = "5000".parse().unwrap();
        let corpus = Corpus::new(&sizes, Framing::Chunk, 1, 9, 3).unwrap();
        let mut head = b"Received: from x\r\n".to_vec();
        let letter = corpus.write_head(number, 77, "a@b", &mut head);
        [&head, letter.wire].concat()
    }

    fn read(literals: &[&[u8]], piece: usize) -> Vec<Found> {
        let mut all = Vec::new();
        let mut reader = Reader::new(|found| all.push(found));
        for (literal, uid) in literals.iter().zip(1..) {
            for piece in literal.chunks(piece) {
                reader.piece(piece);
            }
            reader.untagged(
                format!("* {uid} FETCH (UID {uid} BODY[] {{1}} )").as_bytes(),
                5,
            );
        }
        drop(reader);
        all
    }

    #[test]
    fn messages_are_known_again_however_they_are_cut() {
        let (one, two) = (message(1), message(2));
        for piece in [1, 2, 7, 90, 100_000] {
            let found = read(&[&one, b"Subject: another's\r\n\r\n", &two], piece);
            let seen: Vec<_> = found
                .iter()
                .map(|found| (found.uid, found.stamp.number, found.is_intact))
                .collect();
            assert_eq!(seen, [(1, 1, true), (3, 2, true)], "{piece}");
        }
    }

    #[test]
    fn one_changed_or_missing_octet_is_seen() {
        let mut changed = message(1);
        *changed.last_mut().unwrap() ^= 1;
        let mut shorter = message(2);
        shorter.pop();
        let found = read(&[&changed, &shorter], 1_000);
        assert!(found.len() == 2 && found.iter().all(|found| !found.is_intact));
    }
}
