//! One entry for fuzzers: everything that takes octets from a message, and what must hold of it.

use super::address;
use super::content::Encoding;
use super::date::Date;
use super::envelope;
use super::header::Selection;
use super::part::{Part, Structure};
use super::scan::Scanner;
use super::search::{BodySearch, Scope};
use super::structure;
use super::text::Needle;
use super::transfer::Decoder;
use super::word;
use crate::wire::imap::command::SectionText;

/// Runs the room over `data`; panics only if the room is wrong. The first octet is the size of the
/// pieces that the rest is fed in.
pub fn fuzz_mime(data: &[u8]) {
    let Some((step, message)) = data.split_first() else {
        return;
    };
    let step = usize::from(*step).max(1);
    let structure = scanned(message, step);
    encoders(&structure);
    selection(message, step);
    search(message, &structure, step);
    for encoding in ["base64", "quoted-printable", "8bit"] {
        transfer(&Encoding(encoding.into()), message, step);
    }
    Date::parse(message);
    word::decode(message);
    word::decode_extended(message);
    address::parse(message);
}

fn scanned(message: &[u8], step: usize) -> Structure {
    let structure = Structure::of(message);
    let mut scanner = Scanner::new();
    message.chunks(step).for_each(|piece| scanner.feed(piece));
    assert_eq!(
        scanner.finish(),
        structure,
        "pieces of {step} change the structure"
    );
    let mut at = 0;
    for part in structure.parts() {
        assert!(part.header.start >= at, "parts come in order");
        at = part.header.start;
        within(part, structure.octets);
    }
    structure
}

fn within(part: &Part, octets: u64) {
    assert!(
        part.header.start <= part.header.end,
        "a header has a length"
    );
    assert!(
        part.header.end <= part.body.start,
        "the body follows the header"
    );
    assert!(part.body.start <= part.body.end, "a body has a length");
    assert!(part.body.end <= octets, "a part lies in its message");
    assert!(
        u64::from(part.lines) <= part.body.end - part.body.start,
        "lines have octets"
    );
}

fn encoders(structure: &Structure) {
    let mut out = Vec::new();
    structure::write(&structure.root, true, &mut out);
    structure::write(&structure.root, false, &mut out);
    envelope::write(&structure.head, &mut out);
    for numbers in [&[][..], &[1], &[1, 1], &[2, 1, 1]] {
        for text in [
            SectionText::All,
            SectionText::Header,
            SectionText::Text,
            SectionText::Mime,
        ] {
            if let Some(range) = structure.section(numbers, &text) {
                assert!(
                    range.start <= range.end && range.end <= structure.octets,
                    "in the message"
                );
            }
        }
    }
}

fn selection(message: &[u8], step: usize) {
    let names = [b"subject".to_vec(), b"to".to_vec()];
    let selected = |step: usize| {
        let mut out = Vec::new();
        let mut selection = Selection::new(&names, true);
        message
            .chunks(step)
            .for_each(|piece| selection.feed(piece, &mut out));
        selection.finish(&mut out);
        out
    };
    let (whole, pieces) = (selected(message.len().max(1)), selected(step));
    assert_eq!(whole, pieces, "pieces of {step} change the selection");
}

fn search(message: &[u8], structure: &Structure, step: usize) {
    let found = |step: usize| {
        let needle = |text: &[u8]| Needle::new(text, None).expect("UTF-8 is a charset");
        let wanted = vec![
            (Scope::Text, needle(b"subject")),
            (Scope::Body, needle(b"e\n")),
        ];
        let mut search = BodySearch::new(structure, wanted);
        message.chunks(step).for_each(|piece| search.feed(piece));
        search.finish()
    };
    assert_eq!(
        found(step),
        found(message.len().max(1)),
        "pieces of {step} change the search"
    );
}

fn transfer(encoding: &Encoding, message: &[u8], step: usize) {
    let decoded = |step: usize| {
        let mut decoder = Decoder::new(encoding).expect("a known encoding");
        let mut out = Vec::new();
        message
            .chunks(step)
            .for_each(|piece| decoder.feed(piece, &mut out));
        decoder.finish(&mut out);
        out
    };
    let whole = decoded(message.len().max(1));
    assert!(
        whole.len() <= message.len(),
        "no decoding makes text longer"
    );
    assert_eq!(decoded(step), whole, "pieces of {step} change the decoding");
}
