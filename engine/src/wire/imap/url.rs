//! IMAP URLs as CATENATE takes them: a message of this server, or a part of it
//! (RFC 5092, RFC 4469 §3, RFC 5550 §4).
//!
//! Of this server only, so without an authority: an absolute path, or, with a mailbox selected, a
//! path relative to it. What is not understood whole is not understood at all: a URL with
//! `;URLAUTH=` asks for a check that nobody makes here.

use super::command::Section;
use super::name;
use super::parse::section_spec;

/// A URL that names octets of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageUrl {
    /// `None`: the selected one.
    pub mailbox: Option<String>,
    pub uid_validity: Option<u32>,
    /// Not zero.
    pub uid: u32,
    pub part: Part,
}

/// Which octets of the message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Part {
    pub section: Section,
    /// First octet, and how many there are at most.
    pub partial: Option<(u32, u32)>,
}

impl MessageUrl {
    /// `None` for what is no such URL.
    #[must_use]
    pub fn parse(url: &[u8]) -> Option<MessageUrl> {
        let url = std::str::from_utf8(url).ok()?;
        let (mailbox, rest) = match url.strip_prefix('/') {
            Some(path) if path.starts_with('/') => return None,
            Some(path) => {
                let (mailbox, rest) = path.split_at(path.find(';')?);
                (Some(mailbox_of(mailbox)?), rest)
            }
            None => (None, url),
        };
        let mut rest = rest;
        let mut parsed = MessageUrl {
            mailbox,
            uid_validity: None,
            uid: 0,
            part: Part::default(),
        };
        if let Some((number, after)) = parameter(rest, "UIDVALIDITY") {
            parsed.mailbox.as_ref()?;
            parsed.uid_validity = Some(nz_number(number)?);
            rest = after;
        }
        let (number, after) = parameter(rest.strip_prefix('/').unwrap_or(rest), "UID")?;
        parsed.uid = nz_number(number)?;
        rest = after;
        if let Some((spec, after)) = parameter(rest.strip_prefix('/').unwrap_or(rest), "SECTION") {
            parsed.part.section = section_spec(&decoded(spec)?)?;
            rest = after;
        }
        if let Some((range, after)) = parameter(rest.strip_prefix('/').unwrap_or(rest), "PARTIAL") {
            parsed.part.partial = Some(partial(range)?);
            rest = after;
        }
        rest.is_empty().then_some(parsed)
    }
}

/// `;NAME=value` at the front: the value, and what stands behind it.
fn parameter<'a>(rest: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let rest = rest.strip_prefix(';')?;
    let (word, rest) = rest.split_at_checked(name.len())?;
    let rest = rest.strip_prefix('=')?;
    if !word.eq_ignore_ascii_case(name) {
        return None;
    }
    // RFC 5092 §11: `;` and `/` are never in a value unless encoded.
    Some(rest.split_at(rest.find([';', '/']).unwrap_or(rest.len())))
}

/// RFC 5092 §2: a mailbox is UTF-8, percent-encoded.
fn mailbox_of(encoded: &str) -> Option<String> {
    let decoded = String::from_utf8(decoded(encoded)?).ok()?;
    (!decoded.is_empty()).then(|| name::canonical(&decoded))
}

fn decoded(encoded: &str) -> Option<Vec<u8>> {
    let mut octets = encoded.bytes();
    let mut decoded = Vec::with_capacity(encoded.len());
    while let Some(octet) = octets.next() {
        decoded.push(match octet {
            b'%' => hex(octets.next()?)? << 4 | hex(octets.next()?)?,
            octet => octet,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// `offset[.length]`; without a length up to the end.
fn partial(range: &str) -> Option<(u32, u32)> {
    let (offset, length) = match range.split_once('.') {
        Some((offset, length)) => (offset, nz_number(length)?),
        None => (range, u32::MAX),
    };
    Some((number(offset)?, length))
}

fn number(digits: &str) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

fn nz_number(digits: &str) -> Option<u32> {
    number(digits).filter(|number| *number != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::command::SectionText;
    use super::*;

    fn of(url: &str) -> MessageUrl {
        MessageUrl::parse(url.as_bytes()).expect(url)
    }

    #[test]
    fn the_examples_of_the_rfcs() {
        // RFC 4469 §4.
        let header = of("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER");
        assert_eq!(header.mailbox.as_deref(), Some("Drafts"));
        assert_eq!((header.uid_validity, header.uid), (Some(385_759_045), 20));
        assert_eq!(header.part.section.text, SectionText::Header);
        let mime = of("/Drafts;UIDVALIDITY=385759045/;UID=30/;section=1.MIME");
        assert_eq!(mime.part.section.part, [1]);
        assert_eq!(mime.part.section.text, SectionText::Mime);
        // RFC 5092 §7 and RFC 5550 §4.
        let part = of("/gray%20council;UIDVALIDITY=385759045/;UID=20/;PARTIAL=0.1024");
        assert_eq!(part.mailbox.as_deref(), Some("gray council"));
        assert_eq!(part.part.partial, Some((0, 1024)));
        let rest = of(";UID=5/;SECTION=1.2;PARTIAL=77");
        assert_eq!((rest.mailbox, rest.uid), (None, 5));
        assert_eq!(rest.part.section.part, [1, 2]);
        assert_eq!(rest.part.partial, Some((77, u32::MAX)));
    }

    #[test]
    fn names_and_sections_are_decoded() {
        assert_eq!(of("/inbox;UID=1").mailbox.as_deref(), Some("INBOX"));
        let fields = of("/%C3%89t%C3%A9%2Fa;UID=1/;SECTION=HEADER.FIELDS%20(DATE%20FROM)");
        assert_eq!(fields.mailbox.as_deref(), Some("Été/a"));
        let names = vec![b"DATE".to_vec(), b"FROM".to_vec()];
        assert_eq!(fields.part.section.text, SectionText::HeaderFields(names));
    }

    #[test]
    fn what_names_no_message_is_refused() {
        for url in [
            "",
            "/",
            "/INBOX",
            "/INBOX;UID=0",
            "/INBOX;UID=",
            "/INBOX;UID=+1",
            "/INBOX;UID=4294967296",
            "/INBOX;UIDVALIDITY=0/;UID=1",
            "/;UID=1",
            "/%zz;UID=1",
            "/%F;UID=1",
            "/%FF;UID=1",
            "/INBOX;UID=1/;SECTION=NONSENSE",
            "/INBOX;UID=1/;SECTION=1.MIME]",
            "/INBOX;UID=1/;PARTIAL=1.0",
            "/INBOX;UID=1/;PARTIAL=.1",
            "/INBOX;UID=1;URLAUTH=anonymous:INTERNAL:00",
            "/INBOX;UID=1/x",
            "imap://anna@host/INBOX;UID=1",
            "//host/INBOX;UID=1",
            ";UIDVALIDITY=1/;UID=1",
        ] {
            assert_eq!(MessageUrl::parse(url.as_bytes()), None, "{url}");
        }
        assert_eq!(MessageUrl::parse(b"/\xff;UID=1"), None);
    }
}
