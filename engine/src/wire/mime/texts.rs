//! Every searchable text of a message, decoded and folded (RFC 9051 §6.4.4, RFC 5051, and by
//! them RFC 5255 §4.3).
//!
//! What a signature of a message is made of: whatever SUBJECT, FROM, TO, CC, BCC, HEADER, TEXT or
//! BODY can find in a message stands in one of the texts of its field, and TEXT is Header and Body
//! together. The opposite need not hold. A long text comes in pieces; each begins with the last
//! characters of the piece before, so that no run of [`OVERLAP_CHARS`] + 1 is cut.
//!
//! A message passes twice, in pieces of any size: an [`Outline`] is made of it, then a [`Passage`]
//! tells its texts. In memory are its header, its structure and one window of text.

use super::attachment::Readers;
use super::extract::{Extract, Place, Sink};
use super::fold::fold;
use super::header;
use super::limit::WINDOW_BYTES;
use super::scan::Scanner;
use super::word;
use std::sync::Arc;

/// Raised whenever another text comes out of the same message.
pub const VERSION: u16 = 1;

/// Characters that stand in two neighbouring pieces of a text.
pub const OVERLAP_CHARS: usize = 2;

/// Where a text stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Field {
    Subject,
    From,
    To,
    Cc,
    Bcc,
    /// Any header field, with its name and colon; those of MIME parts too.
    Header,
    /// Text parts, and all of a message inside the message.
    Body,
}

impl Field {
    /// The field that a header field of this name is, beside [`Field::Header`].
    #[must_use]
    pub fn of_name(name: &[u8]) -> Option<Field> {
        let named = [
            (&b"subject"[..], Field::Subject),
            (b"from", Field::From),
            (b"to", Field::To),
            (b"cc", Field::Cc),
            (b"bcc", Field::Bcc),
        ];
        let mut named = named.into_iter();
        named
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
            .map(|(_, field)| field)
    }
}

/// Calls `each` with every text of a whole message, prefix included.
pub fn read(message: &[u8], each: &mut dyn FnMut(Field, &str)) {
    let mut outline = Outline::default();
    outline.feed(message);
    let header = usize::try_from(outline.header_octets()).unwrap_or(usize::MAX);
    let mut passage = outline.texts(message.get(..header).unwrap_or(message), each);
    passage.feed(message);
    passage.finish();
}

/// A message that passes for the first time.
#[derive(Default)]
pub struct Outline {
    scanner: Scanner,
    readers: Option<Arc<dyn Readers>>,
}

impl Outline {
    /// Of a message whose attachments have texts, too, where a reader makes them.
    #[must_use]
    pub fn helped(readers: Option<Arc<dyn Readers>>) -> Outline {
        Outline {
            readers,
            ..Outline::default()
        }
    }

    /// Takes the next octets.
    pub fn feed(&mut self, piece: &[u8]) {
        self.scanner.feed(piece);
    }

    /// Octets of prefix and header: all so far where the header has no end.
    fn header_octets(&self) -> u64 {
        self.scanner.header_octets().unwrap_or(u64::MAX)
    }

    /// The message is over and will pass again: `each` takes its texts. Those of the fields with a
    /// key of their own come at once, of the header that is given.
    pub fn texts<E: FnMut(Field, &str)>(self, header: &[u8], mut each: E) -> Passage<E> {
        values(header, &mut each);
        let structure = self.scanner.finish();
        Passage(match self.readers {
            None => Extract::new(&structure, Folder::new(each, None)),
            Some(readers) => {
                let folder = Folder::new(each, Some(Arc::clone(&readers)));
                Extract::helped(&structure, folder, &*readers)
            }
        })
    }
}

/// A message that passes for the second time.
pub struct Passage<E: FnMut(Field, &str)>(Extract<Folder<E>>);

impl<E: FnMut(Field, &str)> Passage<E> {
    /// Takes the next octets.
    pub fn feed(&mut self, piece: &[u8]) {
        self.0.feed(piece);
    }

    /// The message is over: tells what is left of its texts.
    pub fn finish(self) {
        self.0.finish();
    }
}

/// The values of the fields that have a key of their own, and of those whose name could be taken
/// for the beginning of an encoded word: together with it they decode differently.
fn values(header: &[u8], each: &mut dyn FnMut(Field, &str)) {
    for field in header::fields(header) {
        let odd = memchr::memmem::find(field.name, b"=?").map(|_| Field::Header);
        if let Some(kind) = Field::of_name(field.name).or(odd) {
            each(kind, &folded(&word::decode(field.value)));
        }
    }
}

/// A text folded.
#[must_use]
pub fn folded(text: &str) -> String {
    let mut folded = Vec::with_capacity(text.len());
    fold(text, &mut folded);
    String::from_utf8(folded).expect("folding makes characters of characters")
}

/// Folds what comes and hands it on when it is much.
struct Folder<E> {
    each: E,
    folded: Vec<u8>,
    place: Place,
    /// Octets that were handed on before.
    old: usize,
    readers: Option<Arc<dyn Readers>>,
}

impl<E: FnMut(Field, &str)> Folder<E> {
    fn new(each: E, readers: Option<Arc<dyn Readers>>) -> Folder<E> {
        Folder {
            each,
            folded: Vec::new(),
            place: Place::Header,
            old: 0,
            readers,
        }
    }

    fn hand_on(&mut self) {
        let field = match self.place {
            Place::Header => Field::Header,
            Place::Body => Field::Body,
        };
        let text = str::from_utf8(&self.folded);
        let text = text.expect("folding makes characters of characters");
        if self.folded.len() > self.old {
            (self.each)(field, text);
        }
        let kept = text.char_indices().rev().nth(OVERLAP_CHARS - 1);
        let kept = kept.map_or(0, |(at, _)| at);
        self.folded.drain(..kept);
        self.old = self.folded.len();
    }

    fn hand_on_if_full(&mut self) {
        if self.folded.len() >= WINDOW_BYTES {
            self.hand_on();
        }
    }
}

impl<E: FnMut(Field, &str)> Sink for Folder<E> {
    fn place(&mut self, place: Place) {
        self.place = place;
    }

    fn text(&mut self, text: &str) {
        fold(text, &mut self.folded);
        self.hand_on_if_full();
    }

    fn ascii(&mut self, octets: &[u8]) {
        let before = self.folded.len();
        self.folded.extend_from_slice(octets);
        if let Some(new) = self.folded.get_mut(before..) {
            new.make_ascii_uppercase();
        }
        self.hand_on_if_full();
    }

    fn attachment(&mut self, reader: usize, octets: Vec<u8>) {
        if let Some(readers) = &self.readers {
            let text = readers.read(reader, &octets);
            drop(octets);
            fold(&text, &mut self.folded);
            self.hand_on_if_full();
        }
    }

    fn border(&mut self) {
        self.hand_on();
        self.folded.clear();
        self.old = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(message: &[u8]) -> Vec<(Field, String)> {
        let mut texts = Vec::new();
        read(message, &mut |field, text| {
            texts.push((field, text.to_owned()));
        });
        texts
    }

    #[test]
    fn every_text_comes_under_its_field() {
        let message = b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nTo: a@b\r\n\
            Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
            Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n\
            --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nlast\r\n--b--\r\n";
        let texts = texts(message);
        for (field, text) in [
            (Field::Subject, "GRU\u{308}ßE"),
            (Field::Header, "SUBJECT: GRU\u{308}ßE"),
            (Field::To, "A@B"),
            (Field::Header, "CONTENT-TYPE: TEXT/PLAIN"),
            (Field::Body, "HELLO"),
            (Field::Body, "SUBJECT: INNER"),
            (Field::Body, "LAST"),
        ] {
            let found = texts.iter().any(|(f, t)| *f == field && t == text);
            assert!(found, "{field:?} {text} in {texts:?}");
        }
    }

    /// Texts that came in pieces, put together again where one goes on.
    fn joined(message: &[u8], step: usize) -> Vec<(Field, String)> {
        let mut outline = Outline::default();
        message.chunks(step).for_each(|piece| outline.feed(piece));
        let header = usize::try_from(outline.header_octets()).unwrap();
        let mut runs: Vec<(Field, String)> = Vec::new();
        let mut passage = outline.texts(
            &message[..header.min(message.len())],
            |field, text: &str| {
                let before = runs.last_mut().filter(|(known, _)| *known == field);
                let kept = |before: &str| before.char_indices().nth_back(1).map_or(0, |(at, _)| at);
                match before {
                    Some((_, run)) if text.starts_with(&run[kept(run)..]) && !run.is_empty() => {
                        let skipped = run.len() - kept(run);
                        run.push_str(&text[skipped..]);
                    }
                    _ => runs.push((field, text.to_owned())),
                }
            },
        );
        message.chunks(step).for_each(|piece| passage.feed(piece));
        passage.finish();
        runs
    }

    #[test]
    fn pieces_of_any_size_make_the_same_texts() {
        let long = "Grüße, =C3=BC und more ".repeat(2000);
        let message = format!(
            "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\
            \r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n{long}\r\n--b\r\n\
            Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n{long}\r\n--b--\r\n"
        );
        let whole = joined(message.as_bytes(), message.len());
        assert!(whole.iter().any(|(_, text)| text.len() > 40_000));
        for step in [1, 7, 1000, 16 << 10, 70_000] {
            assert_eq!(joined(message.as_bytes(), step), whole, "pieces of {step}");
        }
    }

    #[test]
    fn no_run_of_three_is_cut() {
        let long: String = (0..60_000)
            .map(|n| char::from(b'A' + (n % 23) as u8))
            .collect();
        let message = format!("\r\n{long}é{long}");
        let pieces = texts(message.as_bytes());
        assert!(pieces.len() > 3);
        let mut whole = String::new();
        for (_, piece) in &pieces {
            let skipped = if whole.is_empty() { 0 } else { OVERLAP_CHARS };
            assert!(whole.ends_with(&piece.chars().take(skipped).collect::<String>()));
            whole.extend(piece.chars().skip(skipped));
        }
        assert_eq!(whole, folded(&format!("{long}é{long}")));
    }
}
