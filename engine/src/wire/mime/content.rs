//! What a part says about itself: the `Content-…` fields (RFC 2045, 2183, 1864, 3282, 2557).
//!
//! A field that stands twice counts the last time ([`super::header::last`]). A Content-Type that
//! breaks the syntax counts as if it were missing (RFC 2045 §5.2).

use super::cursor::{Cursor, is_space};
use super::header::{self, unfold};
use super::limit::LANGUAGES_MAX;
pub use super::params::{Param, Params};
use std::borrow::Cow;

/// The fields of a part's MIME header, as far as IMAP shows them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Content {
    pub content_type: ContentType,
    /// Content-Transfer-Encoding as sent; `7bit` where missing.
    pub encoding: Encoding,
    /// Content-ID as sent, unfolded.
    pub id: Option<Vec<u8>>,
    /// Content-Description as sent, unfolded, encoded words untouched.
    pub description: Option<Vec<u8>>,
    pub md5: Option<Vec<u8>>,
    pub disposition: Option<Disposition>,
    pub language: Vec<Vec<u8>>,
    pub location: Option<Vec<u8>>,
}

/// Type, subtype and parameters; `text/plain; charset=us-ascii` by default (RFC 2045 §5.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContentType {
    /// As sent.
    pub kind: Vec<u8>,
    pub subtype: Vec<u8>,
    pub params: Params,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disposition {
    pub kind: Vec<u8>,
    pub params: Params,
}

/// The name of a transfer encoding, as sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoding(pub Vec<u8>);

impl Default for Encoding {
    fn default() -> Self {
        Self(b"7bit".to_vec())
    }
}

impl Encoding {
    /// Whether the octets of the body are not those that were meant.
    pub(super) fn is_encoded(&self) -> bool {
        let names = ["base64", "quoted-printable"];
        names
            .iter()
            .any(|n| self.0.eq_ignore_ascii_case(n.as_bytes()))
    }
}

impl Default for ContentType {
    fn default() -> Self {
        let charset = Param {
            name: b"charset".to_vec(),
            value: b"us-ascii".to_vec(),
        };
        Self {
            params: Params(vec![charset]),
            ..Self::bare("text", "plain")
        }
    }
}

impl ContentType {
    pub(super) fn bare(kind: &str, subtype: &str) -> Self {
        Self {
            kind: kind.into(),
            subtype: subtype.into(),
            params: Params::default(),
        }
    }

    /// `None` where the value is no Content-Type.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        let kind = token(&mut cursor)?;
        cursor.skip_cfws();
        if !cursor.take(b'/') {
            return None;
        }
        let subtype = token(&mut cursor)?;
        let params = Params::read(&mut cursor);
        Some(Self {
            kind,
            subtype,
            params,
        })
    }

    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind_is(kind) && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    pub fn kind_is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
    }

    /// Whether the body is a message with its own header (RFC 2046 §5.2.1, RFC 6532 §3.7).
    pub fn is_message(&self) -> bool {
        self.is("message", "rfc822") || self.is("message", "global")
    }
}

impl Content {
    /// The name of the file that it was, if it has one.
    #[must_use]
    pub fn file_name(&self) -> Option<Cow<'_, [u8]>> {
        let disposition = self.disposition.as_ref();
        let name = disposition.and_then(|disposition| disposition.params.value("filename"));
        name.or_else(|| self.content_type.params.value("name"))
    }

    /// Reads the fields of a header; `default` is what a missing Content-Type means.
    pub(super) fn read(header: &[u8], default: ContentType) -> Self {
        let mut content = Self::default();
        let mut content_type = None;
        for field in header::fields(header) {
            let value = field.value;
            match field.name.to_ascii_lowercase().as_slice() {
                b"content-type" => content_type = Some(ContentType::parse(value)),
                b"content-transfer-encoding" => content.encoding = encoding(value),
                b"content-id" => content.id = text(value),
                b"content-description" => content.description = text(value),
                b"content-md5" => content.md5 = text(value),
                b"content-disposition" => content.disposition = disposition(value),
                b"content-language" => content.language = languages(value),
                b"content-location" => content.location = location(value),
                _ => {}
            }
        }
        content.content_type = match content_type {
            None => default,
            Some(parsed) => parsed.unwrap_or_default(),
        };
        content
    }

    /// Octets held, about.
    pub(super) fn octets(&self) -> usize {
        let param = |p: &Param| p.name.len() + p.value.len() + size_of::<Param>();
        let params = |p: &Params| p.0.iter().map(param).sum::<usize>();
        let option = |o: &Option<Vec<u8>>| o.as_ref().map_or(0, Vec::len);
        params(&self.content_type.params)
            + self.disposition.as_ref().map_or(0, |d| params(&d.params))
            + self
                .language
                .iter()
                .map(|l| l.len() + size_of::<Vec<u8>>())
                .sum::<usize>()
            + [&self.id, &self.description, &self.md5, &self.location]
                .map(option)
                .iter()
                .sum::<usize>()
    }
}

fn token(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    cursor.skip_cfws();
    let token = cursor.run(is_token);
    (!token.is_empty()).then(|| token.to_vec())
}

/// RFC 2045 §5.1 token.
fn is_token(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet)
}

fn text(value: &[u8]) -> Option<Vec<u8>> {
    let text = unfold(value);
    (!text.is_empty()).then_some(text)
}

fn encoding(value: &[u8]) -> Encoding {
    token(&mut Cursor::new(value))
        .map(Encoding)
        .unwrap_or_default()
}

pub(super) fn disposition(value: &[u8]) -> Option<Disposition> {
    let mut cursor = Cursor::new(value);
    let kind = token(&mut cursor)?;
    let params = Params::read(&mut cursor);
    Some(Disposition { kind, params })
}

fn languages(value: &[u8]) -> Vec<Vec<u8>> {
    let mut cursor = Cursor::new(value);
    let mut found = Vec::new();
    while cursor.peek().is_some() && found.len() < LANGUAGES_MAX {
        found.extend(token(&mut cursor));
        cursor.run(|o| o != b',');
        cursor.take(b',');
    }
    found
}

/// RFC 2557 §4.4.2: white space inside a folded URI is not part of it.
fn location(value: &[u8]) -> Option<Vec<u8>> {
    let uri: Vec<u8> = value.iter().copied().filter(|o| !is_space(*o)).collect();
    (!uri.is_empty()).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_with_comments_and_parameters() {
        let found = ContentType::parse(b" Text(x)/ HTML (hello) ; Charset=\"utf-8\"").unwrap();
        assert!(found.is("text", "html"));
        assert_eq!(
            found.params.value("charset").as_deref(),
            Some(&b"utf-8"[..])
        );
    }

    #[test]
    fn a_broken_content_type_means_text_plain() {
        for broken in [
            &b"text"[..],
            b"; name=\"x.zip\"",
            b"",
            b"text/",
            b"/plain",
            b"a b/c",
        ] {
            assert_eq!(ContentType::parse(broken), None, "{broken:?}");
        }
        let header = b"Content-Type: text\r\n\r\n";
        let digest = ContentType::bare("message", "rfc822");
        assert_eq!(
            Content::read(header, digest).content_type,
            ContentType::default()
        );
    }

    #[test]
    fn the_last_of_two_fields_counts() {
        let header =
            b"Content-Transfer-Encoding: 7bit\r\ncontent-transfer-encoding: BASE64 (x)\r\n";
        assert_eq!(
            Content::read(header, ContentType::default()).encoding.0,
            b"BASE64"
        );
    }

    #[test]
    fn languages_and_location() {
        let header =
            b"Content-Language: de, en (x),\r\n fr\r\nContent-Location: http://a/\r\n b\r\n";
        let content = Content::read(header, ContentType::default());
        assert_eq!(content.language, [b"de", b"en", b"fr"]);
        assert_eq!(content.location.as_deref(), Some(&b"http://a/b"[..]));
    }
}
