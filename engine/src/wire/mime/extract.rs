//! Every text of a message, decoded to Unicode, while the message passes in pieces.
//!
//! Looked into are all headers, and the bodies of `text/*` and `message/*` parts: transfer encoding
//! and charset decoded, encoded words too. Headers of messages inside the message are part of its
//! body. Attachments are gathered where something reads them ([`Readers`]). A [`Sink`] takes the
//! texts; between two fields and between two parts stands a border. Work is the octets of the
//! message, memory one field, one window and one attachment.

use std::ops::Range;
use std::vec;

use encoding_rs::{CoderResult, Encoding, UTF_8};

use super::attachment::{Readers, Reading};
use super::charset;
use super::content::Content;
use super::limit::{VALUE_BYTES_MAX, WINDOW_BYTES};
use super::part::{Inner, Part, Structure};
use super::transfer::Decoder;
use super::word;
use super::work::spend;

/// Where a text stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In a header that TEXT sees and BODY does not.
    Header,
    Body,
}

/// Takes the texts of a message in their order.
pub(super) trait Sink {
    /// What comes next stands here.
    fn place(&mut self, place: Place);

    /// The next piece of a text, not folded.
    fn text(&mut self, text: &str);

    /// The same where it is ASCII.
    fn ascii(&mut self, octets: &[u8]);

    /// Nothing that comes belongs to the text so far.
    fn border(&mut self);

    /// An attachment that the reader with this number makes text of.
    fn attachment(&mut self, reader: usize, octets: Vec<u8>) {
        let _ = (reader, octets);
    }

    /// Nothing more has to come.
    fn is_full(&self) -> bool {
        false
    }
}

/// Feeds a sink with a message.
pub(super) struct Extract<K> {
    regions: vec::IntoIter<Region>,
    present: Option<(Range<u64>, Reader)>,
    /// Offset of the next octet.
    at: u64,
    pub(super) sink: K,
}

/// A stretch of the message that is looked into.
struct Region {
    octets: Range<u64>,
    place: Place,
    reader: ReaderKind,
}

enum ReaderKind {
    Header,
    Body {
        decoder: Decoder,
        encoding: &'static Encoding,
    },
    Attachment {
        decoder: Decoder,
        reader: usize,
    },
}

impl<K: Sink> Extract<K> {
    pub(super) fn new(structure: &Structure, sink: K) -> Self {
        Self::of(regions(&structure.root, None), sink)
    }

    /// With the attachments that these readers make text of.
    pub(super) fn helped(structure: &Structure, sink: K, readers: &dyn Readers) -> Self {
        Self::of(regions(&structure.root, Some(readers)), sink)
    }

    /// Nothing but those.
    pub(super) fn only_attachments(structure: &Structure, sink: K, readers: &dyn Readers) -> Self {
        let mut regions = regions(&structure.root, Some(readers));
        regions.retain(|region| matches!(region.reader, ReaderKind::Attachment { .. }));
        Self::of(regions, sink)
    }

    fn of(regions: Vec<Region>, sink: K) -> Self {
        Self {
            regions: regions.into_iter(),
            present: None,
            at: 0,
            sink,
        }
    }

    /// Takes the next octets of the message the structure is of.
    pub(super) fn feed(&mut self, mut piece: &[u8]) {
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
                reader.read(taken, &mut self.sink);
            }
            self.at += taken.len() as u64;
            spend(taken.len());
            piece = rest;
            if self.at >= octets.end {
                self.end_region();
            }
        }
    }

    /// The message is over: takes a text that was made of an attachment.
    pub(super) fn attached(&mut self, text: &str) {
        self.end_region();
        if !self.sink.is_full() {
            self.sink.place(Place::Body);
            self.sink.text(text);
            self.sink.border();
            spend(text.len());
        }
    }

    /// Whether the sink wants nothing more.
    pub(super) fn is_full(&self) -> bool {
        self.sink.is_full()
    }

    /// Whether nothing that comes can matter.
    pub(super) fn is_decided(&self) -> bool {
        let read = self.present.is_none() && self.regions.as_slice().is_empty();
        read || self.sink.is_full()
    }

    /// The sink, all texts ended.
    pub(super) fn finish(mut self) -> K {
        self.end_region();
        self.sink
    }

    fn begin_region(&mut self) -> bool {
        let Some(region) = self.regions.next() else {
            return false;
        };
        self.sink.place(region.place);
        let reader = match region.reader {
            ReaderKind::Header => Reader::Header(HeaderReader::default()),
            ReaderKind::Body { decoder, encoding } => {
                Reader::Body(Box::new(BodyReader::new(decoder, encoding)))
            }
            ReaderKind::Attachment { decoder, reader } => {
                Reader::Attachment(Reading::new(reader, decoder))
            }
        };
        self.present = Some((region.octets, reader));
        true
    }

    fn end_region(&mut self) {
        if let Some((_, reader)) = self.present.take() {
            reader.finish(&mut self.sink);
            self.sink.border();
        }
    }
}

/// What is to be looked into, in the order of the message; empty stretches left out.
fn regions(root: &Part, readers: Option<&dyn Readers>) -> Vec<Region> {
    let mut regions = Vec::new();
    let mut waiting = vec![(root, Place::Header)];
    while let Some((part, place)) = waiting.pop() {
        let octets = part.header.clone();
        regions.push(Region {
            octets,
            place,
            reader: ReaderKind::Header,
        });
        match &part.inner {
            Inner::Leaf => regions.extend(body(part).or_else(|| attachment(part, readers?))),
            Inner::Multipart(parts) => {
                waiting.extend(parts.iter().rev().map(|part| (part, Place::Header)));
            }
            Inner::Message(nested) => waiting.push((&nested.root, Place::Body)),
        }
    }
    regions.retain(|region| !region.octets.is_empty());
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
    Some(Region {
        octets: part.body.clone(),
        place: Place::Body,
        reader: ReaderKind::Body { decoder, encoding },
    })
}

fn attachment(part: &Part, readers: &dyn Readers) -> Option<Region> {
    let reader = readers.reader_of(&part.content)?;
    let decoder = Decoder::new(&part.content.encoding).ok()?;
    Some(Region {
        octets: part.body.clone(),
        place: Place::Body,
        reader: ReaderKind::Attachment { decoder, reader },
    })
}

enum Reader {
    Header(HeaderReader),
    Body(Box<BodyReader>),
    Attachment(Reading),
}

impl Reader {
    fn read(&mut self, piece: &[u8], sink: &mut impl Sink) {
        match self {
            Self::Header(reader) => reader.read(piece, sink),
            Self::Body(reader) => reader.read(piece, sink),
            Self::Attachment(reader) => reader.read(piece),
        }
    }

    fn finish(self, sink: &mut impl Sink) {
        match self {
            Self::Header(reader) => reader.finish(sink),
            Self::Body(reader) => reader.finish(sink),
            Self::Attachment(reader) => reader.finish(sink),
        }
    }
}

/// Cuts a header into fields and decodes their words.
#[derive(Default)]
struct HeaderReader {
    field: Vec<u8>,
}

impl HeaderReader {
    fn read(&mut self, mut piece: &[u8], sink: &mut impl Sink) {
        while let Some(first) = piece.first() {
            if self.field.ends_with(b"\n") && !matches!(first, b' ' | b'\t') {
                self.put(sink);
                sink.border();
            } else if self.field.len() >= VALUE_BYTES_MAX {
                self.put(sink);
            }
            let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
            let room = VALUE_BYTES_MAX - self.field.len();
            let (taken, rest) = piece.split_at(end.min(room));
            self.field.extend_from_slice(taken);
            piece = rest;
        }
    }

    fn put(&mut self, sink: &mut impl Sink) {
        sink.text(&word::decode(&self.field));
        self.field.clear();
    }

    fn finish(mut self, sink: &mut impl Sink) {
        self.put(sink);
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

    fn read(&mut self, piece: &[u8], sink: &mut impl Sink) {
        for piece in piece.chunks(WINDOW_BYTES) {
            if self.transfer.is_identity() {
                self.text(piece, false, sink);
                continue;
            }
            let mut decoded = std::mem::take(&mut self.decoded);
            decoded.clear();
            self.transfer.feed(piece, &mut decoded);
            self.text(&decoded, false, sink);
            self.decoded = decoded;
        }
    }

    fn finish(mut self, sink: &mut impl Sink) {
        let mut decoded = Vec::new();
        let transfer = std::mem::replace(&mut self.transfer, Decoder::identity());
        transfer.finish(&mut decoded);
        self.text(&decoded, true, sink);
    }

    fn text(&mut self, octets: &[u8], last: bool, sink: &mut impl Sink) {
        if self.ascii && octets.is_ascii() {
            return sink.ascii(octets);
        }
        self.ascii = false;
        let mut rest = octets;
        loop {
            self.text.clear();
            self.text.reserve(WINDOW_BYTES);
            let (result, read, _) = self.charset.decode_to_string(rest, &mut self.text, last);
            sink.text(&self.text);
            rest = rest.get(read..).unwrap_or_default();
            if result == CoderResult::InputEmpty {
                return;
            }
        }
    }
}
