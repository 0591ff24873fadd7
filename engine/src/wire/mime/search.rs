//! Searching a message that passes in pieces (RFC 9051 §6.4.4 BODY and TEXT).
//!
//! BODY looks into the bodies of `text/*` and `message/*` parts, decoded, and into the headers of
//! messages inside the message, which are part of its body. TEXT looks into all headers as well.
//! No match reaches across the border of a part, or of a field. Work is the octets of the message
//! times the number of texts; memory is a window of folded text.

use super::extract::{Extract, Place, Sink};
use super::fold::fold;
use super::limit::{NEEDLES_MAX, WINDOW_BYTES};
use super::part::Structure;
use super::text::Needle;
use super::work::spend;

/// Where a text is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    Body,
    Text,
}

/// Looks for several texts in one pass over a message.
pub struct BodySearch {
    extract: Extract<Window>,
}

impl BodySearch {
    /// Of more than [`NEEDLES_MAX`] texts the rest is not looked for and not found.
    pub fn new(structure: &Structure, wanted: Vec<(Scope, Needle)>) -> Self {
        Self {
            extract: Extract::new(structure, Window::new(wanted)),
        }
    }

    /// Takes the next octets of the message the structure is of.
    pub fn feed(&mut self, piece: &[u8]) {
        self.extract.feed(piece);
    }

    /// Whether every text was found.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.extract.is_full()
    }

    /// Takes a text that was made of an attachment, when the message is over.
    pub fn attached(&mut self, text: &str) {
        self.extract.attached(text);
    }

    /// Whether every text was found, or nothing is left to look into.
    pub fn is_decided(&self) -> bool {
        self.extract.is_decided()
    }

    /// Which of the texts were found, in the order given.
    pub fn finish(self) -> Vec<bool> {
        let window = self.extract.finish();
        window.wanted.into_iter().map(|w| w.found).collect()
    }
}

/// Folded text in which the needles are looked for, before all but its end is dropped.
struct Window {
    folded: Vec<u8>,
    /// Octets that the next look may need again: all but one of the longest needle.
    overlap: usize,
    wanted: Vec<Wanted>,
    /// In a header that only TEXT sees.
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
}

impl Sink for Window {
    fn place(&mut self, place: Place) {
        self.only_text = place == Place::Header;
    }

    fn text(&mut self, text: &str) {
        fold(text, &mut self.folded);
        self.look_if_full();
    }

    fn ascii(&mut self, octets: &[u8]) {
        let before = self.folded.len();
        self.folded.extend_from_slice(octets);
        if let Some(new) = self.folded.get_mut(before..) {
            new.make_ascii_uppercase();
        }
        self.look_if_full();
    }

    fn border(&mut self) {
        if !self.folded.is_empty() {
            self.look();
            self.folded.clear();
        }
    }

    fn is_full(&self) -> bool {
        self.wanted.iter().all(|w| w.found)
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
