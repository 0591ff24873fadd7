//! Searching a message that passes in pieces (RFC 9051 §6.4.4 BODY and TEXT).
//!
//! BODY looks into the bodies of `text/*` and `message/*` parts, decoded, and into the headers of
//! messages inside the message, which are part of its body. TEXT looks into all headers as well.
//! No match reaches across the border of a part, or of a field. Work is the octets of the message
//! times the number of texts; memory is a window of folded text.

use std::ops::Range;
use std::vec;

use encoding_rs::{CoderResult, Encoding, UTF_8};

use super::charset;
use super::content::Content;
use super::fold::fold;
use super::limit::{NEEDLES_MAX, VALUE_BYTES_MAX, WINDOW_BYTES};
use super::part::{Inner, Part, Structure};
use super::text::Needle;
use super::transfer::Decoder;
use super::word;
use super::work::spend;

/// Where a text is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    Body,
    Text,
}

/// Looks for several texts in one pass over a message.
pub struct BodySearch {
    regions: vec::IntoIter<Region>,
    present: Option<(Range<u64>, Reader)>,
    /// Offset of the next octet.
    at: u64,
    window: Window,
}

/// A stretch of the message that is looked into.
struct Region {
    octets: Range<u64>,
    /// A header that only TEXT sees.
    only_text: bool,
    reader: ReaderKind,
}

enum ReaderKind {
    Header,
    Body {
        decoder: Decoder,
        encoding: &'static Encoding,
    },
}

impl BodySearch {
    /// Of more than [`NEEDLES_MAX`] texts the rest is not looked for and not found.
    pub fn new(structure: &Structure, wanted: Vec<(Scope, Needle)>) -> Self {
        let regions = regions(&structure.root).into_iter();
        Self {
            regions,
            present: None,
            at: 0,
            window: Window::new(wanted),
        }
    }

    /// Takes the next octets of the message the structure is of.
    pub fn feed(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() && !self.is_decided() {
            let Some((octets, reader)) = &mut self.present else {
                match self.begin_region() {
                    true => continue,
                    false => return,
                }
            };
            let until = if self.at < octets.start {
                octets.start
            } else {
                octets.end
            };
            let room = usize::try_from(until.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let (taken, rest) = piece.split_at(piece.len().min(room));
            if self.at >= octets.start {
                reader.read(taken, &mut self.window);
            }
            self.at += taken.len() as u64;
            spend(taken.len());
            piece = rest;
            if self.at >= octets.end {
                self.end_region();
            }
        }
    }

    /// Whether every text was found, or nothing is left to look into.
    pub fn is_decided(&self) -> bool {
        let read = self.present.is_none() && self.regions.as_slice().is_empty();
        read || self.window.wanted.iter().all(|w| w.found)
    }

    /// Which of the texts were found, in the order given.
    pub fn finish(mut self) -> Vec<bool> {
        self.end_region();
        self.window.wanted.into_iter().map(|w| w.found).collect()
    }

    fn begin_region(&mut self) -> bool {
        let Some(region) = self.regions.next() else {
            return false;
        };
        self.window.only_text = region.only_text;
        let reader = match region.reader {
            ReaderKind::Header => Reader::Header(HeaderReader::default()),
            ReaderKind::Body { decoder, encoding } => {
                Reader::Body(Box::new(BodyReader::new(decoder, encoding)))
            }
        };
        self.present = Some((region.octets, reader));
        true
    }

    fn end_region(&mut self) {
        if let Some((_, reader)) = self.present.take() {
            reader.finish(&mut self.window);
            self.window.border();
        }
    }
}

/// What is to be looked into, in the order of the message; empty stretches left out.
fn regions(root: &Part) -> Vec<Region> {
    let mut regions = Vec::new();
    let mut waiting = vec![(root, true)];
    while let Some((part, only_text)) = waiting.pop() {
        let octets = part.header.clone();
        regions.push(Region {
            octets,
            only_text,
            reader: ReaderKind::Header,
        });
        match &part.inner {
            Inner::Leaf => regions.extend(body(part)),
            Inner::Multipart(parts) => waiting.extend(parts.iter().rev().map(|p| (p, true))),
            Inner::Message(nested) => waiting.push((&nested.root, false)),
        }
    }
    regions.retain(|r| !r.octets.is_empty());
    regions
}

fn body(part: &Part) -> Option<Region> {
    let Content {
        content_type,
        encoding,
        ..
    } = &*part.content;
    if !content_type.kind_is("text") && !content_type.kind_is("message") {
        return None;
    }
    let charset = content_type.params.value("charset");
    let encoding_name = charset
        .as_deref()
        .filter(|c| !c.eq_ignore_ascii_case(b"us-ascii"));
    let decoder = Decoder::new(encoding).unwrap_or_else(|_| Decoder::identity());
    // What calls itself US-ASCII and is not, is more often UTF-8 than anything else.
    let encoding = charset::named_or_utf8(encoding_name);
    let reader = ReaderKind::Body { decoder, encoding };
    Some(Region {
        octets: part.body.clone(),
        only_text: false,
        reader,
    })
}

enum Reader {
    Header(HeaderReader),
    Body(Box<BodyReader>),
}

impl Reader {
    fn read(&mut self, piece: &[u8], window: &mut Window) {
        match self {
            Self::Header(reader) => reader.read(piece, window),
            Self::Body(reader) => reader.read(piece, window),
        }
    }

    fn finish(self, window: &mut Window) {
        match self {
            Self::Header(reader) => reader.finish(window),
            Self::Body(reader) => reader.finish(window),
        }
    }
}

/// Cuts a header into fields and decodes their words.
#[derive(Default)]
struct HeaderReader {
    field: Vec<u8>,
}

impl HeaderReader {
    fn read(&mut self, mut piece: &[u8], window: &mut Window) {
        while let Some(first) = piece.first() {
            if self.field.ends_with(b"\n") && !matches!(first, b' ' | b'\t') {
                self.put(window);
                window.border();
            } else if self.field.len() >= VALUE_BYTES_MAX {
                self.put(window);
            }
            let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
            let room = VALUE_BYTES_MAX - self.field.len();
            let (taken, rest) = piece.split_at(end.min(room));
            self.field.extend_from_slice(taken);
            piece = rest;
        }
    }

    fn put(&mut self, window: &mut Window) {
        window.push(&word::decode(&self.field));
        self.field.clear();
    }

    fn finish(mut self, window: &mut Window) {
        self.put(window);
    }
}

/// Decodes the transfer encoding and the charset of a body.
struct BodyReader {
    transfer: Decoder,
    decoded: Vec<u8>,
    charset: encoding_rs::Decoder,
    /// Whether ASCII octets are text as they are: the charset allows it, and nothing else came.
    ascii: bool,
    text: String,
}

impl BodyReader {
    fn new(transfer: Decoder, encoding: &'static Encoding) -> Self {
        Self {
            transfer,
            decoded: Vec::new(),
            charset: encoding.new_decoder_without_bom_handling(),
            ascii: encoding == UTF_8 || encoding.is_ascii_compatible(),
            text: String::new(),
        }
    }

    fn read(&mut self, piece: &[u8], window: &mut Window) {
        for piece in piece.chunks(WINDOW_BYTES) {
            if self.transfer.is_identity() {
                self.text(piece, false, window);
                continue;
            }
            let mut decoded = std::mem::take(&mut self.decoded);
            decoded.clear();
            self.transfer.feed(piece, &mut decoded);
            self.text(&decoded, false, window);
            self.decoded = decoded;
        }
    }

    fn finish(mut self, window: &mut Window) {
        let mut decoded = Vec::new();
        let transfer = std::mem::replace(&mut self.transfer, Decoder::identity());
        transfer.finish(&mut decoded);
        self.text(&decoded, true, window);
    }

    fn text(&mut self, octets: &[u8], last: bool, window: &mut Window) {
        if self.ascii && octets.is_ascii() {
            return window.push_ascii(octets);
        }
        self.ascii = false;
        let mut rest = octets;
        loop {
            self.text.clear();
            self.text.reserve(WINDOW_BYTES);
            let (result, read, _) = self.charset.decode_to_string(rest, &mut self.text, last);
            window.push(&self.text);
            rest = rest.get(read..).unwrap_or_default();
            if result == CoderResult::InputEmpty {
                return;
            }
        }
    }
}

/// Folded text in which the needles are looked for, before all but its end is dropped.
struct Window {
    folded: Vec<u8>,
    /// Octets that the next look may need again: all but one of the longest needle.
    overlap: usize,
    wanted: Vec<Wanted>,
    only_text: bool,
}

struct Wanted {
    scope: Scope,
    needle: Needle,
    found: bool,
}

impl Window {
    fn new(wanted: Vec<(Scope, Needle)>) -> Self {
        let longest = wanted.iter().map(|(_, n)| n.octets()).max().unwrap_or(0);
        let wanted = wanted.into_iter();
        Self {
            folded: Vec::new(),
            overlap: longest.saturating_sub(1),
            // The empty text is in every message, even in one without text.
            wanted: wanted
                .map(|(scope, needle)| {
                    let found = needle.octets() == 0;
                    Wanted {
                        scope,
                        needle,
                        found,
                    }
                })
                .collect(),
            only_text: false,
        }
    }

    fn push(&mut self, text: &str) {
        fold(text, &mut self.folded);
        self.look_if_full();
    }

    fn push_ascii(&mut self, octets: &[u8]) {
        let before = self.folded.len();
        self.folded.extend_from_slice(octets);
        if let Some(new) = self.folded.get_mut(before..) {
            new.make_ascii_uppercase();
        }
        self.look_if_full();
    }

    /// Looks when so much is new that looking at the overlap again costs little.
    fn look_if_full(&mut self) {
        if self.folded.len() >= WINDOW_BYTES + 2 * self.overlap {
            self.look();
            let old = self.folded.len().saturating_sub(self.overlap);
            self.folded.drain(..old);
        }
    }

    fn look(&mut self) {
        for wanted in self.wanted.iter_mut().take(NEEDLES_MAX) {
            spend(self.folded.len());
            let sees = wanted.scope == Scope::Text || !self.only_text;
            wanted.found |= sees && !wanted.found && wanted.needle.is_in_folded(&self.folded);
        }
    }

    /// Nothing that comes belongs to the text so far.
    fn border(&mut self) {
        if !self.folded.is_empty() {
            self.look();
            self.folded.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "Subject: =?utf-8?Q?=C3=84pfel?=\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\
        \r\npreamble\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
        Content-Transfer-Encoding: quoted-printable\r\nX-Mime: hidden\r\n\r\n\
        Gr=FC=\r\n=DFe aus K=F6ln\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        aGFsbG8gd2VsdA==\r\n--b\r\nContent-Type: image/gif\r\n\r\npicture\r\n--b\r\n\
        Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n\
        two\r\nlines\r\n--b--\r\nepilogue\r\n";

    fn search(message: &[u8], scope: Scope, texts: &[&str], step: usize) -> Vec<bool> {
        let needle = |t: &&str| (scope, Needle::new(t.as_bytes(), None).unwrap());
        let structure = Structure::of(message);
        let mut search = BodySearch::new(&structure, texts.iter().map(needle).collect());
        message.chunks(step).for_each(|piece| search.feed(piece));
        search.finish()
    }

    #[test]
    fn bodies_are_decoded_and_headers_are_only_text() {
        for (text, body, whole) in [
            ("GRÜßE AUS", true, true),
            ("Hallo Welt", true, true),
            ("two\r\nlines", true, true),
            ("inner", true, true),
            ("äpfel", false, true),
            ("hidden", false, true),
            ("aGFsbG8", false, false),
            ("picture", false, false),
            ("preamble", false, false),
            ("epilogue", false, false),
            ("kölnhallo", false, false),
            ("", true, true),
        ] {
            for step in [1, 2, 3, 7, 100, 10_000] {
                let found = |scope| search(MESSAGE.as_bytes(), scope, &[text], step);
                assert_eq!(found(Scope::Body), [body], "BODY {text}, pieces of {step}");
                assert_eq!(found(Scope::Text), [whole], "TEXT {text}, pieces of {step}");
            }
        }
    }

    #[test]
    fn charsets_are_decoded_across_pieces() {
        let japanese =
            b"Content-Type: text/plain; charset=iso-2022-jp\n\nabc \x1b$B%O%m!<\x1b(B xyz";
        let encoded = b"Content-Type: text/plain; charset=utf-8\n\
            Content-Transfer-Encoding: base64\n\nYWJjIOODj+ODreODvCB4eXo=";
        for step in 1..100 {
            for message in [&japanese[..], encoded] {
                let texts = ["ABC \u{30CF}\u{30ED}\u{30FC} x", "\u{30ED}", "$B%O"];
                assert_eq!(
                    search(message, Scope::Body, &texts, step),
                    [true, true, false]
                );
            }
        }
    }

    #[test]
    fn a_text_across_windows_is_found() {
        let long = "x".repeat(WINDOW_BYTES / 2);
        let mut message = "\r\n".to_owned();
        message.push_str(&"a".repeat(WINDOW_BYTES * 2 - 3));
        message.push_str("needle");
        message.push_str(&"b".repeat(WINDOW_BYTES));
        message.push_str(&long);
        let texts = ["aneedleb", &format!("bb{long}"), "bbneedle"];
        for step in [1000, 1 << 20] {
            assert_eq!(
                search(message.as_bytes(), Scope::Body, &texts, step),
                [true, true, false]
            );
        }
    }

    #[test]
    fn several_texts_are_decided_early() {
        let structure = Structure::of(MESSAGE.as_bytes());
        let needle = Needle::new(b"aus k", None).unwrap();
        let mut search = BodySearch::new(&structure, vec![(Scope::Body, needle)]);
        search.feed(&MESSAGE.as_bytes()[..MESSAGE.find("aGFs").unwrap()]);
        assert!(search.is_decided());
        assert_eq!(search.finish(), [true]);
    }
}
