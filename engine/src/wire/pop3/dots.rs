//! A message on its way between `+OK` and the dot (RFC 1939 §3): lines end with CRLF, one that
//! begins with a dot gets another, and TOP stops after some lines of the body.
//!
//! Octets pass as they are, but for a LF that stands alone: it is sent as CRLF. Clients that read
//! lines up to LF would otherwise take what follows it for a line of the dialogue. What comes out
//! does not depend on how the message was cut into pieces.

use super::reply::END;
use memchr::{memchr, memchr_iter};

/// One message.
#[derive(Clone, Debug)]
pub struct Dots {
    place: Place,
    /// Lines of the body that are still wanted; `None`: all.
    lines: Option<u32>,
    in_body: bool,
    is_over: bool,
}

/// What the octets before this one were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Nothing of this line.
    LineStart,
    /// A CR and nothing else of this line.
    LineStartCr,
    /// The line, up to a CR.
    Cr,
    Within,
}

impl Dots {
    /// The whole message.
    #[must_use]
    pub fn whole() -> Dots {
        Dots {
            place: Place::LineStart,
            lines: None,
            in_body: false,
            is_over: false,
        }
    }

    /// The header, the empty line behind it, and so many lines of the body.
    #[must_use]
    pub fn top(lines: u32) -> Dots {
        Dots {
            lines: Some(lines),
            ..Dots::whole()
        }
    }

    /// Whether no more of the message is wanted.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Adds a piece of the message to `out`.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match self.lines {
            None => self.pass(piece, out),
            Some(_) => {
                let wanted = self.cut(piece);
                self.pass(piece.get(..wanted).unwrap_or_default(), out);
            }
        }
    }

    /// Adds the end: the last line gets one, then the dot.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self.place {
            Place::LineStart => {}
            Place::LineStartCr | Place::Cr => out.push(b'\n'),
            Place::Within => out.extend_from_slice(b"\r\n"),
        }
        out.extend_from_slice(END);
    }

    /// Copies from line to line; `self.place` is that before the first octet.
    fn pass(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut start = 0;
        for end in memchr_iter(b'\n', piece) {
            let line = piece.get(start..end).unwrap_or_default();
            self.pass_within(line, out);
            let has_cr = matches!(self.place, Place::Cr | Place::LineStartCr);
            out.extend_from_slice(if has_cr { b"\n" } else { b"\r\n" });
            self.place = Place::LineStart;
            start = end + 1;
        }
        self.pass_within(piece.get(start..).unwrap_or_default(), out);
    }

    /// Copies what has no LF.
    fn pass_within(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let Some((first, last)) = octets.first().zip(octets.last()) else {
            return;
        };
        let begins = self.place == Place::LineStart;
        if begins && *first == b'.' {
            out.push(b'.');
        }
        out.extend_from_slice(octets);
        self.place = match (*last, begins && octets.len() == 1) {
            (b'\r', true) => Place::LineStartCr,
            (b'\r', false) => Place::Cr,
            _ => Place::Within,
        };
    }

    /// How much of a piece is wanted of TOP.
    fn cut(&mut self, piece: &[u8]) -> usize {
        if self.is_over {
            return 0;
        }
        let mut at = 0;
        let mut place = self.place;
        while let Some(found) = memchr(b'\n', piece.get(at..).unwrap_or_default()) {
            let is_empty = match (found, place) {
                (0, Place::LineStart | Place::LineStartCr) => true,
                (1, Place::LineStart) => piece.get(at) == Some(&b'\r'),
                _ => false,
            };
            at += found + 1;
            place = Place::LineStart;
            self.count_line(is_empty);
            if self.is_over {
                return at;
            }
        }
        piece.len()
    }

    fn count_line(&mut self, is_empty: bool) {
        match (self.in_body, &mut self.lines) {
            (false, _) => self.in_body = is_empty,
            (true, Some(lines)) => *lines = lines.saturating_sub(1),
            (true, None) => {}
        }
        self.is_over = self.in_body && self.lines == Some(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sent(mut dots: Dots, message: &[u8], step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in message.chunks(step) {
            dots.feed(piece, &mut out);
        }
        dots.finish(&mut out);
        out
    }

    /// What a client makes of it: the lines, dots removed, up to the end.
    fn received(sent: &[u8]) -> Vec<u8> {
        let body = sent.strip_suffix(b".\r\n").unwrap();
        let mut out = Vec::new();
        for line in body.split_inclusive(|octet| *octet == b'\n') {
            assert!(line.ends_with(b"\r\n"), "a line is not whole");
            assert!(line != b".\r\n", "it ends too early");
            out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
        out
    }

    #[test]
    fn dots_are_doubled_and_lines_are_whole() {
        for (message, octets) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a\r\n.\r\n..b\r\n", b"a\r\n..\r\n...b\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r", b"a\r\n.\r\n"),
            (b"a\n.\nb\n", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r.\rb\r\n", b"a\r.\rb\r\n.\r\n"),
            (b"\r\r\n\r\n", b"\r\r\n\r\n.\r\n"),
        ] {
            for step in 1..=message.len().max(1) {
                assert_eq!(sent(Dots::whole(), message, step), octets, "{message:?}");
            }
        }
    }

    #[test]
    fn top_ends_behind_its_lines() {
        let message = b"A: 1\r\nB: 2\r\n\r\n.one\r\n\r\nthree";
        for (lines, octets) in [
            (0, &b"A: 1\r\nB: 2\r\n\r\n.\r\n"[..]),
            (1, b"A: 1\r\nB: 2\r\n\r\n..one\r\n.\r\n"),
            (2, b"A: 1\r\nB: 2\r\n\r\n..one\r\n\r\n.\r\n"),
            (3, b"A: 1\r\nB: 2\r\n\r\n..one\r\n\r\nthree\r\n.\r\n"),
            (99, b"A: 1\r\nB: 2\r\n\r\n..one\r\n\r\nthree\r\n.\r\n"),
        ] {
            for step in 1..=message.len() {
                assert_eq!(
                    sent(Dots::top(lines), message, step),
                    octets,
                    "{lines} {step}"
                );
            }
        }
        let no_body = sent(Dots::top(5), b"A: 1\r\n", 2);
        assert_eq!(no_body, b"A: 1\r\n.\r\n");
    }

    proptest! {
        #[test]
        fn a_message_of_whole_lines_comes_back(
            message in "([.a\r]{0,4}\r\n){0,12}", step in 1usize..20
        ) {
            let sent = sent(Dots::whole(), message.as_bytes(), step);
            prop_assert_eq!(received(&sent), message.as_bytes());
        }

        #[test]
        fn nothing_ends_it_early(message in "[.a\r\n]{0,40}", step in 1usize..20) {
            received(&sent(Dots::whole(), message.as_bytes(), step));
        }
    }
}
