//! Attachments that something else than this room makes text of.
//!
//! [`Readers`] says which, by what the part says about itself. A search gathers the octets of those
//! while the message passes ([`Gather`]) and looks through the texts that come of them; a signature
//! is made with the texts at once ([`super::texts`]).

use super::content::Content;
use super::extract::{Extract, Place, Sink};
use super::limit::{ATTACHMENT_BYTES_MAX, ATTACHMENTS_BYTES_MAX};
use super::part::Structure;
use super::transfer::Decoder;

/// What makes text of attachments.
pub trait Readers: Send + Sync {
    /// The number of the one that reads this part, if one does.
    fn reader_of(&self, content: &Content) -> Option<usize>;

    /// The text of an attachment, decoded; none where there is no reading it.
    fn read(&self, reader: usize, octets: &[u8]) -> String;
}

/// The octets of one attachment, and the number of its reader.
pub type Attachment = (usize, Vec<u8>);

/// Takes the attachments of a message that passes.
pub struct Gather(Extract<Kept>);

#[derive(Default)]
struct Kept {
    all: Vec<Attachment>,
    octets: usize,
}

impl Gather {
    /// `None`: nothing in this message has a reader.
    #[must_use]
    pub fn new(structure: &Structure, readers: &dyn Readers) -> Option<Gather> {
        let extract = Extract::only_attachments(structure, Kept::default(), readers);
        (!extract.is_decided()).then_some(Gather(extract))
    }

    /// Takes the next octets of the message the structure is of.
    pub fn feed(&mut self, piece: &[u8]) {
        self.0.feed(piece);
    }

    /// Whether nothing more has to come.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.0.is_decided()
    }

    /// Those up to [`ATTACHMENTS_BYTES_MAX`] together.
    #[must_use]
    pub fn finish(self) -> Vec<Attachment> {
        self.0.finish().all
    }
}

impl Sink for Kept {
    fn place(&mut self, _: Place) {}

    fn text(&mut self, _: &str) {}

    fn ascii(&mut self, _: &[u8]) {}

    fn border(&mut self) {}

    fn attachment(&mut self, reader: usize, octets: Vec<u8>) {
        self.octets += octets.len();
        if self.octets <= ATTACHMENTS_BYTES_MAX {
            self.all.push((reader, octets));
        }
    }

    fn is_full(&self) -> bool {
        self.octets > ATTACHMENTS_BYTES_MAX
    }
}

/// Decodes the transfer encoding of one attachment.
pub(super) struct Reading {
    reader: usize,
    transfer: Decoder,
    octets: Vec<u8>,
}

impl Reading {
    pub(super) fn new(reader: usize, transfer: Decoder) -> Reading {
        Reading {
            reader,
            transfer,
            octets: Vec::new(),
        }
    }

    pub(super) fn read(&mut self, piece: &[u8]) {
        // One octet more tells that it is too long.
        if self.octets.len() <= ATTACHMENT_BYTES_MAX {
            self.transfer.feed(piece, &mut self.octets);
        }
    }

    pub(super) fn finish(mut self, sink: &mut impl Sink) {
        self.transfer.finish(&mut self.octets);
        if self.octets.len() <= ATTACHMENT_BYTES_MAX {
            sink.attachment(self.reader, self.octets);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::texts::{Field, Outline};
    use super::*;
    use std::sync::Arc;

    /// Makes text of PDF: the octets from behind to front.
    pub(in super::super) struct Backwards;

    impl Readers for Backwards {
        fn reader_of(&self, content: &Content) -> Option<usize> {
            content.content_type.is("application", "pdf").then_some(3)
        }

        fn read(&self, reader: usize, octets: &[u8]) -> String {
            assert_eq!(reader, 3);
            octets.iter().rev().copied().map(char::from).collect()
        }
    }

    const MESSAGE: &[u8] = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n\
        --b\r\nContent-Type: Application/PDF\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        b2xsZWg=\r\n--b\r\nContent-Type: image/gif\r\n\r\nolleh\r\n--b\r\n\
        Content-Type: application/pdf\r\n\r\nsecond\r\n--b--\r\n";

    #[test]
    fn attachments_with_a_reader_are_gathered_in_pieces_of_any_size() {
        for step in [1, 7, 1000] {
            let structure = Structure::of(MESSAGE);
            let mut gather = Gather::new(&structure, &Backwards).unwrap();
            MESSAGE.chunks(step).for_each(|piece| gather.feed(piece));
            assert!(gather.is_decided());
            let expected = [(3, b"olleh".to_vec()), (3, b"second".to_vec())];
            assert_eq!(gather.finish(), expected);
        }
        let without = Structure::of(b"Content-Type: image/gif\r\n\r\nolleh");
        assert!(Gather::new(&without, &Backwards).is_none());
    }

    #[test]
    fn their_texts_are_texts_of_the_body() {
        let mut texts = Vec::new();
        let mut outline = Outline::helped(Some(Arc::new(Backwards)));
        outline.feed(MESSAGE);
        let mut passage = outline.texts(MESSAGE, |field, text: &str| {
            texts.push((field, text.to_owned()));
        });
        MESSAGE.chunks(5).for_each(|piece| passage.feed(piece));
        passage.finish();
        for text in ["PLAIN", "HELLO", "DNOCES"] {
            assert!(texts.contains(&(Field::Body, text.to_owned())), "{texts:?}");
        }
        assert!(!texts.iter().any(|(_, text)| text.contains("OLLEH")));
    }

    #[test]
    fn what_is_too_large_has_no_text() {
        let message = |octets| {
            let body = "x".repeat(octets);
            format!("Content-Type: application/pdf\r\n\r\n{body}")
        };
        for (octets, expected) in [(ATTACHMENT_BYTES_MAX, 1), (ATTACHMENT_BYTES_MAX + 1, 0)] {
            let message = message(octets);
            let structure = Structure::of(message.as_bytes());
            let mut gather = Gather::new(&structure, &Backwards).unwrap();
            let pieces = message.as_bytes().chunks(1 << 20);
            pieces.for_each(|piece| gather.feed(piece));
            assert_eq!(gather.finish().len(), expected, "{octets} octets");
        }
    }
}
