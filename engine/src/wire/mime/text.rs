//! A text to search for (RFC 9051 §6.4.4), compared by i;unicode-casemap (RFC 5051).

use memchr::memmem::Finder;

use super::charset;
use super::fold::fold;
use super::limit::NEEDLE_BYTES_MAX;
use super::word;

/// The charset of a SEARCH is unknown: the answer is `NO [BADCHARSET]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadCharset;

/// A folded text. The empty one is found everywhere.
#[derive(Clone, Debug)]
pub struct Needle {
    finder: Finder<'static>,
}

impl Needle {
    /// `octets` in the charset of the SEARCH, UTF-8 where it names none. A text longer than
    /// [`NEEDLE_BYTES_MAX`] is cut, and then finds more than it should.
    pub fn new(octets: &[u8], charset: Option<&str>) -> Result<Self, BadCharset> {
        let encoding = match charset {
            Some(name) => charset::named(name.as_bytes()).ok_or(BadCharset)?,
            None => encoding_rs::UTF_8,
        };
        let octets = octets.get(..NEEDLE_BYTES_MAX).unwrap_or(octets);
        let mut folded = Vec::new();
        fold(&charset::decode(encoding, octets), &mut folded);
        Ok(Self {
            finder: Finder::new(&folded).into_owned(),
        })
    }

    /// A text that is folded already.
    pub fn of_folded(folded: &str) -> Self {
        Self {
            finder: Finder::new(folded).into_owned(),
        }
    }

    /// Whether the raw value of a header field contains the text, encoded words decoded.
    pub fn is_in_value(&self, value: &[u8]) -> bool {
        let mut folded = Vec::with_capacity(value.len());
        fold(&word::decode(value), &mut folded);
        self.is_in_folded(&folded)
    }

    /// Whether text that is already folded contains the text.
    pub fn is_in_folded(&self, text: &[u8]) -> bool {
        self.finder.find(text).is_some()
    }

    /// Octets, folded.
    pub(super) fn octets(&self) -> usize {
        self.finder.needle().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_values_are_decoded_and_folded() {
        let needle = Needle::new("grüße".as_bytes(), None).unwrap();
        assert!(needle.is_in_value(b" Viele =?iso-8859-1?Q?GR=FC=DFE?="));
        assert!(needle.is_in_value("\u{67}ru\u{308}ße".as_bytes()));
        assert!(needle.is_in_value(b"=?utf-8?b?Z3LD?=\r\n =?utf-8?b?vMOfZQ==?="));
        assert!(!needle.is_in_value(b"gruesse"));
    }

    #[test]
    fn the_charset_of_the_search() {
        let needle = Needle::new(b"\xf0\xd2\xc9", Some("koi8-r")).unwrap();
        assert!(needle.is_in_value("ПРИВЕТ".as_bytes()));
        assert_eq!(Needle::new(b"x", Some("x-klingon")).err(), Some(BadCharset));
        assert!(Needle::new(b"x", Some("US-ASCII")).is_ok());
    }

    #[test]
    fn the_empty_text_is_everywhere() {
        assert!(Needle::new(b"", None).unwrap().is_in_value(b""));
    }
}
