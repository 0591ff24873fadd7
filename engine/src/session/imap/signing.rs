//! What the store signs messages by, so that SEARCH, SORT and THREAD read few of them: the texts
//! and facts that the MIME room makes of a message, and the texts of attachments.

use crate::convert::Converters;
use crate::wire::mime::attachment::Readers;
use crate::wire::mime::facts::{self, Facts};
use crate::wire::mime::{envelope, texts};
use std::sync::Arc;
use store::shard::{Column, Field, FirstPass, SecondPass, TextSink, Texts, Version};

/// The reader of messages that the store is given.
#[derive(Clone, Default)]
pub struct MessageTexts {
    /// What reads attachments, if anything does.
    pub converters: Option<Arc<Converters>>,
}

impl Texts for MessageTexts {
    fn version(&self) -> Version {
        let helpers = self.converters.as_ref();
        Version {
            reader: texts::VERSION << u8::BITS | facts::VERSION << 4 | ENVELOPE_VERSION,
            helpers: helpers.map_or(0, |converters| converters.fingerprint()),
        }
    }

    fn begin(&self) -> Box<dyn FirstPass> {
        let readers = self.converters.clone();
        let readers = readers.map(|converters| converters as Arc<dyn Readers>);
        Box::new(First(texts::Outline::helped(readers)))
    }

    fn column(&self, header: &[u8], column: Column, out: &mut Vec<u8>) {
        match column {
            Column::Facts => Facts::of(header).encode(out),
            Column::Envelope => envelope::write(header, out),
        }
    }
}

struct First(texts::Outline);

impl FirstPass for First {
    fn feed(&mut self, piece: &[u8]) {
        self.0.feed(piece);
    }

    fn texts<'a>(self: Box<Self>, header: &[u8], each: TextSink<'a>) -> Box<dyn SecondPass + 'a> {
        let named = move |field, text: &str| each(signed(field), text);
        Box::new(Second(self.0.texts(header, named)))
    }
}

struct Second<E: FnMut(texts::Field, &str)>(texts::Passage<E>);

impl<E: FnMut(texts::Field, &str)> SecondPass for Second<E> {
    fn feed(&mut self, piece: &[u8]) {
        self.0.feed(piece);
    }

    fn finish(self: Box<Self>) {
        self.0.finish();
    }
}

/// The store's name of a field.
pub(super) fn signed(field: texts::Field) -> Field {
    match field {
        texts::Field::Subject => Field::Subject,
        texts::Field::From => Field::From,
        texts::Field::To => Field::To,
        texts::Field::Cc => Field::Cc,
        texts::Field::Bcc => Field::Bcc,
        texts::Field::Header => Field::Header,
        texts::Field::Body => Field::Body,
    }
}

/// Raised whenever another ENVELOPE comes of the same header.
const ENVELOPE_VERSION: u16 = 1;

const _: () = assert!(texts::VERSION < 256 && facts::VERSION < 16 && ENVELOPE_VERSION < 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_a_header_come_back() {
        let header = b"Subject: Re: one\r\nFrom: A <a@b>\r\nMessage-ID: <x@y>\r\n\r\n";
        let mut kept = Vec::new();
        MessageTexts::default().column(header, Column::Facts, &mut kept);
        assert_eq!(Facts::decode(&kept), Some(Facts::of(header)));
    }

    #[test]
    fn a_text_is_shown_under_the_name_that_the_store_has_for_its_field() {
        let (header, message) = (b"Bcc: x@y\r\n\r\n", b"Bcc: x@y\r\n\r\nbody");
        let mut shown = Vec::new();
        let mut each = |field, text: &str| shown.push((field, text.to_owned()));
        let mut first = MessageTexts::default().begin();
        message.chunks(5).for_each(|piece| first.feed(piece));
        let mut second = first.texts(header, &mut each);
        message.chunks(3).for_each(|piece| second.feed(piece));
        second.finish();
        assert!(shown.contains(&(Field::Bcc, "X@Y".to_owned())));
        assert!(shown.iter().any(|(field, _)| *field == Field::Body));
    }
}
