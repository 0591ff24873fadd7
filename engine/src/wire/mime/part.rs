//! The parts of a message as a tree of ranges, and IMAP's numbers for them (RFC 9051 §6.4.5.1).
//!
//! Ranges count octets from the start of the message. A part's header includes its empty line; its
//! body reaches up to the line end that belongs to the next delimiter (RFC 2046 §5.1.1). A body of
//! type `message/rfc822` or `message/global` is exactly the header and the body of its message.

use std::ops::Range;
use std::sync::Arc;

use super::content::Content;
use crate::wire::imap::command::SectionText;

/// A message: its own header and body are the root part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Structure {
    pub root: Part,
    /// The fields of the message's header that make its ENVELOPE, as they stand.
    pub head: Vec<u8>,
    /// Length of the message.
    pub octets: u64,
    /// Whether a header, of the message or of a part, holds more than ASCII.
    pub is_wide: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    pub header: Range<u64>,
    pub body: Range<u64>,
    /// Line ends in the body.
    pub lines: u32,
    pub content: Arc<Content>,
    pub inner: Inner,
}

/// What a body is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inner {
    Leaf,
    /// One part or more.
    Multipart(Vec<Part>),
    Message(Box<Nested>),
}

/// A message inside a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nested {
    pub root: Part,
    /// As [`Structure::head`].
    pub head: Vec<u8>,
}

impl Structure {
    /// The part with these numbers; the message itself for none.
    ///
    /// A multipart numbers its parts from 1; the only part of a message that is no multipart is 1;
    /// numbers behind that of a nested message are those of its own parts.
    pub fn part(&self, numbers: &[u32]) -> Option<&Part> {
        let mut part = &self.root;
        // Whether `part` is a whole message, whose body still has a number of its own.
        let mut whole = true;
        for number in numbers {
            if let (false, Inner::Message(nested)) = (whole, &part.inner) {
                part = &nested.root;
                whole = true;
            }
            part = match &part.inner {
                Inner::Multipart(parts) => {
                    parts.get(usize::try_from(*number).ok()?.checked_sub(1)?)?
                }
                _ if whole && *number == 1 => part,
                _ => return None,
            };
            whole = false;
        }
        Some(part)
    }

    /// The octets of `BODY[section]`. For `HEADER.FIELDS` and `HEADER.FIELDS.NOT` the header to
    /// choose from. `None` where there is no such part, and where it has no such text: only
    /// messages have `HEADER` and `TEXT`, only numbered parts have `MIME`.
    pub fn section(&self, numbers: &[u32], text: &SectionText) -> Option<Range<u64>> {
        let part = self.part(numbers)?;
        let message = match (numbers, &part.inner) {
            ([], _) => Some(part),
            (_, Inner::Message(nested)) => Some(&nested.root),
            _ => None,
        };
        match text {
            SectionText::All if numbers.is_empty() => Some(0..self.octets),
            SectionText::All => Some(part.body.clone()),
            SectionText::Mime if numbers.is_empty() => None,
            SectionText::Mime => Some(part.header.clone()),
            SectionText::Text => message.map(|m| m.body.clone()),
            SectionText::Header
            | SectionText::HeaderFields(_)
            | SectionText::HeaderFieldsNot(_) => message.map(|m| m.header.clone()),
        }
    }

    /// All parts in the order of the message, parents before their children.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        let mut waiting = vec![&self.root];
        std::iter::from_fn(move || {
            let part = waiting.pop()?;
            match &part.inner {
                Inner::Leaf => {}
                Inner::Multipart(parts) => waiting.extend(parts.iter().rev()),
                Inner::Message(nested) => waiting.push(&nested.root),
            }
            Some(part)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message of RFC 9051 §6.4.5.1, each text naming its own part.
    fn example() -> String {
        let text = |n: &str| format!("Content-Type: text/plain\r\nX: {n}\r\n\r\n[{n}]");
        let mixed = |boundary: &str, parts: &[String]| {
            let mut out = format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n");
            for part in parts {
                out += &format!("--{boundary}\r\n{part}\r\n");
            }
            out + &format!("--{boundary}--")
        };
        let message = |inner: String| format!("Content-Type: message/rfc822\r\n\r\n{inner}");
        let third = message(format!(
            "S: 3\r\n{}",
            mixed("c", &[text("3.1"), text("3.2")])
        ));
        let deep = message(mixed("f", &[text("4.2.2.1"), text("4.2.2.2")]));
        let alternative = mixed("e", &[deep.replace("4.2.2", "4.2.1"), deep]);
        let fourth = mixed(
            "d",
            &[
                text("4.1"),
                message(mixed("g", &[text("4.2.1"), alternative])),
            ],
        );
        mixed("a", &[text("1"), text("2"), third, fourth])
    }

    fn section(message: &str, numbers: &[u32], text: SectionText) -> Option<String> {
        let range = Structure::of(message.as_bytes()).section(numbers, &text)?;
        message
            .get(range.start as usize..range.end as usize)
            .map(str::to_owned)
    }

    #[test]
    fn numbers_find_the_parts_of_rfc_9051_section_6_4_5_1() {
        let message = example();
        let all = |numbers: &[u32]| section(&message, numbers, SectionText::All);
        for (numbers, text) in [
            (&[1][..], "[1]"),
            (&[2], "[2]"),
            (&[3, 1], "[3.1]"),
            (&[3, 2], "[3.2]"),
            (&[4, 1], "[4.1]"),
            (&[4, 2, 1], "[4.2.1]"),
            (&[4, 2, 2, 1, 1], "[4.2.1.1]"),
            (&[4, 2, 2, 2, 2], "[4.2.2.2]"),
        ] {
            assert_eq!(all(numbers).as_deref(), Some(text), "{numbers:?}");
        }
        for numbers in [
            &[0][..],
            &[5],
            &[1, 1],
            &[3, 3],
            &[3, 1, 1],
            &[4, 2, 2, 3],
            &[u32::MAX],
        ] {
            assert_eq!(all(numbers), None, "{numbers:?}");
        }
    }

    #[test]
    fn header_text_and_mime_are_where_they_belong() {
        let message = example();
        let of = |numbers: &[u32], text| section(&message, numbers, text);
        assert_eq!(of(&[], SectionText::All).as_deref(), Some(&*message));
        assert_eq!(of(&[], SectionText::Mime), None);
        assert_eq!(of(&[2], SectionText::Header), None);
        assert_eq!(of(&[2], SectionText::Text), None);
        let mime = "Content-Type: text/plain\r\nX: 2\r\n\r\n";
        assert_eq!(of(&[2], SectionText::Mime).as_deref(), Some(mime));
        let header = "S: 3\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n";
        assert_eq!(of(&[3], SectionText::Header).as_deref(), Some(header));
        assert_eq!(
            of(&[3], SectionText::HeaderFields(Vec::new())).as_deref(),
            Some(header)
        );
        let mime = "Content-Type: message/rfc822\r\n\r\n";
        assert_eq!(of(&[3], SectionText::Mime).as_deref(), Some(mime));
        let whole = of(&[3], SectionText::All).unwrap();
        assert_eq!(
            whole,
            header.to_owned() + &of(&[3], SectionText::Text).unwrap()
        );
    }

    #[test]
    fn a_message_of_one_part_is_its_own_part_one() {
        let message = "Subject: x\r\n\r\nbody\r\n";
        assert_eq!(
            section(message, &[1], SectionText::All).as_deref(),
            Some("body\r\n")
        );
        assert_eq!(
            section(message, &[1], SectionText::Mime).as_deref(),
            Some("Subject: x\r\n\r\n")
        );
        assert_eq!(section(message, &[1, 1], SectionText::All), None);
        let nested = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody";
        assert_eq!(
            section(nested, &[1], SectionText::Text).as_deref(),
            Some("body")
        );
        assert_eq!(
            section(nested, &[1, 1], SectionText::All).as_deref(),
            Some("body")
        );
        assert_eq!(
            section(nested, &[], SectionText::Text).as_deref(),
            Some("Subject: in\r\n\r\nbody")
        );
    }
}
