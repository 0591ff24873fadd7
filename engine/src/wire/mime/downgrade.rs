//! A message for a host without 8BITMIME: bodies re-encoded until all of it is 7-bit (RFC 6152 §3).
//!
//! ```text
//! leaf       as it is, if it is 7-bit lines already; else quoted-printable or base64, the shorter
//! multipart  "7bit"; what stands around its parts means nothing (RFC 2046 §5.1.1)
//! message    "7bit", and its own parts likewise (RFC 2046 §5.2.1)
//! ```
//!
//! Not done, because it would break what the message says: a header outside ASCII, anything inside
//! `multipart/signed` or `multipart/encrypted` (RFC 1847 §2.1), parts that must not be encoded, and
//! parts that do not hold what their encoding says.

use super::content::Content;
use super::encode::{base64, quoted_printable};
use super::header::fields;
use super::part::{Inner, Part, Structure};
use std::ops::Range;

/// Why a message stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    HeaderOutsideAscii,
    Signed,
    /// A type that has no other encoding, or an encoding that holds what it cannot.
    NotEncodable,
}

/// The same message in 7-bit lines of at most 998 octets, which every host takes.
pub fn downgrade(message: &[u8]) -> Result<Vec<u8>, Kept> {
    let structure = Structure::of(message);
    let mut downgrade = Downgrade {
        message,
        out: Vec::with_capacity(message.len() + message.len() / 3 + 256),
        copied: 0,
    };
    downgrade.part(&structure.root, true)?;
    downgrade.copy_to(message.len(), true);
    match is_plain(&downgrade.out) {
        true => Ok(downgrade.out),
        false => Err(Kept::NotEncodable),
    }
}

/// Whether every header of a message, also of its parts, is ASCII.
#[must_use]
pub fn has_ascii_headers(message: &[u8]) -> bool {
    let structure = Structure::of(message);
    let is_ascii = |part: &Part| part_octets(message, &part.header).is_ascii();
    structure.parts().all(is_ascii)
}

struct Downgrade<'m> {
    message: &'m [u8],
    out: Vec<u8>,
    /// Where the message goes on that is not in `out` yet.
    copied: usize,
}

impl Downgrade<'_> {
    fn part(&mut self, part: &Part, is_root: bool) -> Result<(), Kept> {
        self.copy_to(place(part.header.start), true);
        if !part_octets(self.message, &part.header).is_ascii() {
            return Err(Kept::HeaderOutsideAscii);
        }
        match &part.inner {
            Inner::Leaf => self.leaf(part, is_root),
            Inner::Multipart(parts) => {
                if is_sealed(&part.content) {
                    return self.sealed(part);
                }
                self.header(part, "7bit", is_root);
                parts.iter().try_for_each(|part| self.part(part, false))
            }
            Inner::Message(nested) => {
                self.header(part, "7bit", is_root);
                self.part(&nested.root, false)
            }
        }
    }

    /// What is signed goes as it is or not at all.
    fn sealed(&mut self, part: &Part) -> Result<(), Kept> {
        let whole = part.header.start..part.body.end;
        match is_plain(part_octets(self.message, &whole)) {
            true => {
                self.copy_to(place(part.body.end), false);
                Ok(())
            }
            false => Err(Kept::Signed),
        }
    }

    fn leaf(&mut self, part: &Part, is_root: bool) -> Result<(), Kept> {
        let body = part_octets(self.message, &part.body);
        if is_plain(body) {
            self.header(part, "7bit", is_root);
            self.copy_to(place(part.body.end), false);
            return Ok(());
        }
        if part.content.encoding.is_encoded() || !may_be_encoded(&part.content) {
            return Err(Kept::NotEncodable);
        }
        let is_quoted = part.content.content_type.kind_is("text") && is_mostly_plain(body);
        if is_quoted {
            self.header(part, "quoted-printable", is_root);
            quoted_printable(body, &mut self.out);
        } else {
            self.header(part, "base64", is_root);
            base64(body, &mut self.out);
        }
        if is_root && !self.out.ends_with(b"\r\n") {
            self.out.extend_from_slice(b"\r\n");
        }
        self.copied = place(part.body.end);
        Ok(())
    }

    /// The header with another encoding; `7bit` leaves one that is no wider.
    fn header(&mut self, part: &Part, encoding: &str, is_root: bool) {
        let header = part_octets(self.message, &part.header);
        let is_wide = ["8bit", "binary"].iter().any(|wide| {
            part.content
                .encoding
                .0
                .eq_ignore_ascii_case(wide.as_bytes())
        });
        if encoding == "7bit" && !is_wide {
            return self.copy_to(place(part.header.end), false);
        }
        let mut end = 0;
        let (mut has_version, mut has_type) = (false, false);
        for field in fields(header) {
            let octets = header.get(field.whole.clone()).unwrap_or_default();
            end = field.whole.end;
            has_version |= field.is("MIME-Version");
            has_type |= field.is("Content-Type");
            if !field.is("Content-Transfer-Encoding") {
                self.out.extend_from_slice(octets);
            }
        }
        if is_root && !has_version {
            self.out.extend_from_slice(b"MIME-Version: 1.0\r\n");
        }
        if is_root && !has_type {
            // RFC 1428 §3: nobody said what the octets mean.
            let unknown = b"Content-Type: text/plain; charset=unknown-8bit\r\n";
            self.out.extend_from_slice(unknown);
        }
        let field = format!("Content-Transfer-Encoding: {encoding}\r\n");
        self.out.extend_from_slice(field.as_bytes());
        match header.get(end..) {
            Some(rest) if !rest.is_empty() => self.out.extend_from_slice(rest),
            _ => self.out.extend_from_slice(b"\r\n"),
        }
        self.copied = place(part.header.end);
    }

    /// Goes on to there. What only stands around parts is made ASCII.
    fn copy_to(&mut self, end: usize, is_around: bool) {
        let octets = self.message.get(self.copied..end).unwrap_or_default();
        match is_around && !octets.is_ascii() {
            true => {
                let clean = octets.iter().map(|b| if b.is_ascii() { *b } else { b'?' });
                self.out.extend(clean);
            }
            false => self.out.extend_from_slice(octets),
        }
        self.copied = self.copied.max(end);
    }
}

/// 7-bit lines as every host takes them: CRLF, no NUL, no other CR or LF, 998 octets each
/// (RFC 2045 §2.7). An end without a line end is one.
#[must_use]
pub fn is_plain(octets: &[u8]) -> bool {
    octets.is_ascii() && is_lines(octets)
}

/// As [`is_plain`], with eight bits.
#[must_use]
pub fn is_lines(octets: &[u8]) -> bool {
    let mut rest = octets;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        let line = match (line, tail) {
            ([line @ .., b'\r'], [_, ..]) => line,
            (line, []) => line,
            _ => return false,
        };
        if line.len() > LINE_BYTES_MAX || memchr::memchr2(0, b'\r', line).is_some() {
            return false;
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    true
}

/// Text whose line ends are line ends, and that stays readable.
fn is_mostly_plain(text: &[u8]) -> bool {
    let odd = text.iter().filter(|octet| !octet.is_ascii()).count();
    let has_bare_ends = !is_lines_of_any_length(text);
    !has_bare_ends && odd < text.len() / QUOTED_PARTS
}

fn is_lines_of_any_length(text: &[u8]) -> bool {
    let mut before = 0;
    let is_end = |octet: u8| {
        let is_bare = (octet == b'\n') != (before == b'\r');
        before = octet;
        !is_bare
    };
    text.iter().copied().all(is_end) && !text.ends_with(b"\r")
}

fn is_sealed(content: &Content) -> bool {
    let kind = &content.content_type;
    kind.is("multipart", "signed") || kind.is("multipart", "encrypted")
}

/// RFC 2046 §5.2: these have no other encoding.
fn may_be_encoded(content: &Content) -> bool {
    let kind = &content.content_type;
    let is_whole = kind.is("message", "rfc822")
        || kind.is("message", "partial")
        || kind.is("message", "external-body");
    !is_whole && !kind.kind_is("multipart")
}

fn part_octets<'m>(message: &'m [u8], range: &Range<u64>) -> &'m [u8] {
    let range = place(range.start)..place(range.end);
    message.get(range).unwrap_or_default()
}

fn place(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// RFC 5322 §2.1.1.
const LINE_BYTES_MAX: usize = 998;

/// With fewer than one in so many outside ASCII, quoted-printable is shorter than base64.
const QUOTED_PARTS: usize = 6;

#[cfg(test)]
#[path = "downgrade_test.rs"]
mod tests;
