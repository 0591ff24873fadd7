//! The fields of a header that a structure keeps while the header passes line by line.
//!
//! Whatever the header holds, one field keeps [`FIELD_BYTES_MAX`] octets and one header
//! [`HEAD_BYTES_MAX`]; a longer field is cut and still ends with a line end. The fields for
//! ENVELOPE have a budget of their own, so that they cannot push out the Content-Type.

use super::envelope;
use super::header::field_name;
use super::limit::{FIELD_BYTES_MAX, HEAD_BYTES_MAX};
use super::work::spend;

/// The kept fields of one header.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// The `Content-…` fields.
    pub(super) content: Vec<u8>,
    /// The fields of ENVELOPE; only of a message's header.
    pub(super) envelope: Vec<u8>,
    is_message: bool,
    keeping: Keeping,
    /// Octets kept of the present field.
    field: usize,
    room: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keeping {
    Nothing,
    Content,
    Envelope,
}

impl Head {
    pub(super) fn new(is_message: bool, room: usize) -> Self {
        Self {
            content: Vec::new(),
            envelope: Vec::new(),
            is_message,
            keeping: Keeping::Nothing,
            field: 0,
            room: room.min(HEAD_BYTES_MAX),
        }
    }

    /// Takes the start of a line, or all of it.
    pub(super) fn line(&mut self, start: &[u8]) {
        if !matches!(start.first(), Some(b' ' | b'\t')) {
            self.field = 0;
            self.keeping = self.wanted(field_name(start));
        }
        self.more(start);
    }

    /// Takes what follows in the same line.
    pub(super) fn more(&mut self, octets: &[u8]) {
        let kept = match self.keeping {
            Keeping::Nothing => return,
            Keeping::Content => &mut self.content,
            Keeping::Envelope => &mut self.envelope,
        };
        let room = self
            .room
            .saturating_sub(kept.len())
            .min(FIELD_BYTES_MAX - self.field);
        let taken = octets.get(..room).unwrap_or(octets);
        kept.extend_from_slice(taken);
        spend(taken.len());
        self.field += taken.len();
        if taken.len() < octets.len() {
            kept.extend_from_slice(b"\r\n");
            self.keeping = Keeping::Nothing;
        }
    }

    fn wanted(&self, name: &[u8]) -> Keeping {
        const CONTENT: &[u8] = b"content-";
        let among = |names: &[&str]| {
            names
                .iter()
                .any(|n| name.eq_ignore_ascii_case(n.as_bytes()))
        };
        match name.get(..CONTENT.len()) {
            Some(start) if start.eq_ignore_ascii_case(CONTENT) => Keeping::Content,
            _ if self.is_message && among(&envelope::FIELDS) => Keeping::Envelope,
            _ => Keeping::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_field_is_cut_and_the_next_one_kept() {
        let mut head = Head::new(true, usize::MAX);
        head.line(b"To: ");
        head.more(&vec![b'a'; 1 << 20]);
        head.line(b" folded\r\n");
        head.line(b"X-Other: x\r\n");
        head.line(b"Subject: s\r\n");
        head.line(b"Content-Type: a/b\r\n");
        assert_eq!(head.content, b"Content-Type: a/b\r\n");
        assert!(head.envelope.ends_with(b"aaa\r\nSubject: s\r\n"));
        assert_eq!(head.envelope.len(), FIELD_BYTES_MAX + 2 + 12);
    }

    #[test]
    fn a_part_keeps_no_envelope_and_no_more_than_its_room() {
        let mut head = Head::new(false, 10);
        head.line(b"Subject: s\r\n");
        head.line(b"Content-ID: abc\r\n");
        head.line(b"Content-MD5: abc\r\n");
        assert!(head.envelope.is_empty());
        assert_eq!(head.content, b"Content-ID\r\n\r\n");
    }
}
