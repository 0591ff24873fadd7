//! What the store signs messages by, so that SEARCH, SORT and THREAD read few of them: the texts
//! and facts that the MIME room makes of a message.

use crate::wire::mime::facts::{self, Facts};
use crate::wire::mime::{envelope, texts};
use store::shard::{Column, Field, Texts};

/// The reader of messages that the store is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageTexts;

impl Texts for MessageTexts {
    fn version(&self) -> u16 {
        texts::VERSION << u8::BITS | facts::VERSION << 4 | ENVELOPE_VERSION
    }

    fn read(&self, message: &[u8], each: &mut dyn FnMut(Field, &str)) {
        texts::read(message, &mut |field, text| each(signed(field), text));
    }

    fn column(&self, header: &[u8], column: Column, out: &mut Vec<u8>) {
        match column {
            Column::Facts => Facts::of(header).encode(out),
            Column::Envelope => envelope::write(header, out),
        }
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
        MessageTexts.column(header, Column::Facts, &mut kept);
        assert_eq!(Facts::decode(&kept), Some(Facts::of(header)));
    }

    #[test]
    fn a_text_is_shown_under_the_name_that_the_store_has_for_its_field() {
        let mut shown = Vec::new();
        MessageTexts.read(b"Bcc: x@y\r\n\r\nbody", &mut |field, text| {
            shown.push((field, text.to_owned()));
        });
        assert!(shown.contains(&(Field::Bcc, "X@Y".to_owned())));
        assert!(shown.iter().any(|(field, _)| *field == Field::Body));
    }
}
