//! Dot-stuffing for DATA, without a copy (RFC 5321 §4.5.2).
//!
//! A block goes out as slices of itself with the missing octets between them: a dot before a dot
//! that begins a line, and the other half of a bare CR or LF, so that nothing we relay can be cut
//! differently by whoever gets it. Clean text is one slice. Where a block is cut does not matter.

use memchr::memchr2;
use std::io::IoSlice;

/// Slices that one call makes at most, and then some.
pub const SLICES_MAX: usize = 256;

/// What came last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stuffer {
    /// CRLF, or nothing: the CRLF of the DATA command.
    #[default]
    LineStart,
    Middle,
    /// A CR whose LF has not come.
    Cr,
}

impl Stuffer {
    /// Adds what `block` becomes to `slices`; gives how many octets of it that is. Less than all of
    /// them where there would be more than [`SLICES_MAX`].
    #[must_use]
    pub fn stuff<'a>(&mut self, block: &'a [u8], slices: &mut Vec<IoSlice<'a>>) -> usize {
        let mut at = 0;
        while let Some(rest) = block.get(at..).filter(|rest| !rest.is_empty()) {
            if slices.len() >= SLICES_MAX {
                break;
            }
            at += match (*self, rest.first()) {
                (Stuffer::Cr, Some(b'\n')) => self.put(1, rest, Stuffer::LineStart, slices),
                (Stuffer::Cr, _) => {
                    slices.push(IoSlice::new(b"\n"));
                    *self = Stuffer::LineStart;
                    0
                }
                (Stuffer::LineStart, Some(b'.')) => {
                    slices.push(IoSlice::new(b"."));
                    *self = Stuffer::Middle;
                    0
                }
                _ => self.run(rest, slices),
            };
        }
        at
    }

    /// What ends the message: its last line's end if that is missing, and the dot.
    #[must_use]
    pub fn end(self) -> &'static [u8] {
        match self {
            Stuffer::LineStart => b".\r\n",
            Stuffer::Middle => b"\r\n.\r\n",
            Stuffer::Cr => b"\n.\r\n",
        }
    }

    /// Takes octets as far as nothing is to be added.
    fn run<'a>(&mut self, rest: &'a [u8], slices: &mut Vec<IoSlice<'a>>) -> usize {
        let mut searched = 0;
        loop {
            let unsearched = rest.get(searched..).unwrap_or_default();
            let Some(found) = memchr2(b'\r', b'\n', unsearched) else {
                return self.put(rest.len(), rest, Stuffer::Middle, slices);
            };
            let at = searched + found;
            match rest.get(at..).unwrap_or_default() {
                [b'\r', b'\n', b'.', ..] => {
                    return self.put(at + 2, rest, Stuffer::LineStart, slices);
                }
                [b'\r', b'\n'] => return self.put(at + 2, rest, Stuffer::LineStart, slices),
                [b'\r', b'\n', ..] => searched = at + 2,
                [b'\r', ..] => return self.put(at + 1, rest, Stuffer::Cr, slices),
                // A bare LF: its CR goes before it.
                _ => {
                    let before = self.put(at, rest, Stuffer::Cr, slices);
                    slices.push(IoSlice::new(b"\r"));
                    return before;
                }
            }
        }
    }

    fn put<'a>(
        &mut self,
        octets: usize,
        rest: &'a [u8],
        after: Stuffer,
        slices: &mut Vec<IoSlice<'a>>,
    ) -> usize {
        let piece = rest.get(..octets).unwrap_or(rest);
        if !piece.is_empty() {
            slices.push(IoSlice::new(piece));
        }
        *self = after;
        piece.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::smtp::data::{BareLineEnds, BodyReceiver, Framing};
    use proptest::prelude::*;

    /// What goes out when the message comes in these blocks.
    fn stuffed<'a>(blocks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let (mut stuffer, mut out) = (Stuffer::default(), Vec::new());
        for mut block in blocks {
            while !block.is_empty() {
                let mut slices = Vec::new();
                let taken = stuffer.stuff(block, &mut slices);
                assert!(taken > 0 && slices.len() <= SLICES_MAX + 2);
                slices.iter().for_each(|slice| out.extend_from_slice(slice));
                block = &block[taken..];
            }
        }
        out.extend_from_slice(stuffer.end());
        out
    }

    /// What a strict server stores of it.
    fn received(wire: &[u8]) -> Vec<u8> {
        let mut receiver = BodyReceiver::new(Framing::Stuffed, BareLineEnds::Reject, 1 << 20);
        let mut body = Vec::new();
        let (taken, is_whole) = receiver.feed(wire, &mut body);
        assert!(is_whole && taken == wire.len(), "it ends at its end");
        assert!(receiver.finish().is_ok(), "{:?}", receiver.fault());
        body
    }

    #[test]
    fn dots_and_ends() {
        for (body, wire) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"..a\r\n.\r\n", b"...a\r\n..\r\n.\r\n"),
            (b"a.\r\nb", b"a.\r\nb\r\n.\r\n"),
            (b"a\n.\n", b"a\r\n..\r\n.\r\n"),
            (b"a\r.\r", b"a\r\n..\r\n.\r\n"),
            (b"\r\r\n\n", b"\r\n\r\n\r\n.\r\n"),
        ] {
            assert_eq!(stuffed([body]), wire, "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn clean_text_is_one_slice() {
        let text = b"a line\r\n".repeat(1000);
        let mut slices = Vec::new();
        assert_eq!(Stuffer::default().stuff(&text, &mut slices), text.len());
        assert_eq!(slices.len(), 1);
    }

    proptest! {
        #[test]
        fn a_strict_server_gets_the_message_however_it_is_cut(
            body in proptest::collection::vec(
                prop_oneof![
                    Just(b".".to_vec()), Just(b"\r\n".to_vec()), Just(b"\r".to_vec()),
                    Just(b"\n".to_vec()), Just(b"ab".to_vec()),
                ],
                0..60,
            ).prop_map(|parts| parts.concat()),
            step in 1usize..8,
        ) {
            let whole = stuffed([&body[..]]);
            prop_assert_eq!(&stuffed(body.chunks(step)), &whole);
            let stored = received(&whole);
            let clean = String::from_utf8(body).unwrap();
            let clean = clean.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
            let is_ended = clean.is_empty() || clean.ends_with("\r\n");
            let clean = if is_ended { clean } else { clean + "\r\n" };
            prop_assert_eq!(String::from_utf8(stored).unwrap(), clean);
        }
    }
}
