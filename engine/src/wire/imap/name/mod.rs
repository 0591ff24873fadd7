//! Mailbox names: from the wire to UTF-8 in NFC, back, and what may be created (RFC 9051 §5.1).
//!
//! On the wire a name is modified UTF-7 (RFC 3501 §5.1.3) until the client has enabled IMAP4rev2 or
//! UTF8=ACCEPT, and UTF-8 from then on. Modified UTF-7 is read strictly: whatever our own encoder
//! would not write is refused, so that no name has two spellings. `INBOX` in any case is `INBOX`,
//! and its children begin with exactly `INBOX/`. Names are never paths of a file system: `..` is a
//! level like any other.

mod pattern;
mod utf7;

pub use pattern::Pattern;
pub use utf7::{decode_utf7, encode_utf7};

use store::limit::{MAILBOX_DEPTH_MAX, MAILBOX_NAME_BYTES_MAX};
use store::mail::mailbox::SEPARATOR;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::fault::{Fault, Parse};
use super::limit::NAME_WIRE_BYTES_MAX;

/// The mailbox that always exists.
pub const INBOX: &str = "INBOX";

/// Why no mailbox of this name can be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameFault {
    Empty,
    /// Two separators together, or one at an end.
    EmptyLevel,
    /// `*` and `%` could not be told from wildcards in LIST.
    Wildcard,
    /// Control characters, line and paragraph separators, noncharacters (RFC 5198 §2).
    Control,
    TooLong,
    TooDeep,
}

impl NameFault {
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            NameFault::Empty => "A mailbox needs a name",
            NameFault::EmptyLevel => "A level of a mailbox name cannot be empty",
            NameFault::Wildcard => "A mailbox name cannot hold * or %",
            NameFault::Control => "A mailbox name cannot hold control characters",
            NameFault::TooLong => "The mailbox name is too long",
            NameFault::TooDeep => "The mailbox name has too many levels",
        }
    }

    /// Whether to answer `[LIMIT]`; otherwise `[CANNOT]` (RFC 5530 §3).
    #[must_use]
    pub fn is_limit(self) -> bool {
        matches!(self, NameFault::TooLong | NameFault::TooDeep)
    }
}

/// Whether a mailbox of this canonical name may be made: for CREATE, and the target of RENAME.
pub fn check_new(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    if name.len() > MAILBOX_NAME_BYTES_MAX {
        return Err(NameFault::TooLong);
    }
    if name.split(SEPARATOR).any(str::is_empty) {
        return Err(NameFault::EmptyLevel);
    }
    if name.split(SEPARATOR).count() > MAILBOX_DEPTH_MAX {
        return Err(NameFault::TooDeep);
    }
    if name.contains(['*', '%']) {
        return Err(NameFault::Wildcard);
    }
    if name.contains(is_forbidden) {
        return Err(NameFault::Control);
    }
    Ok(())
}

/// The one spelling of a name: NFC, `INBOX` in upper case.
#[must_use]
pub fn canonical(name: &str) -> String {
    let mut name = match is_nfc(name) {
        true => name.to_owned(),
        false => name.nfc().collect(),
    };
    if is_in_inbox(&name) {
        name.replace_range(..INBOX.len(), INBOX);
    }
    name
}

/// A name as a client sent it, in canonical form.
pub(super) fn read(wire: &[u8], utf8: bool) -> Parse<String> {
    decode(wire, utf8).map(|name| canonical(&name))
}

/// A LIST reference or pattern as a client sent it.
pub(super) fn read_pattern(wire: &[u8], utf8: bool) -> Parse<String> {
    decode(wire, utf8).map(|pattern| pattern.nfc().collect())
}

fn decode(wire: &[u8], utf8: bool) -> Parse<String> {
    if wire.len() > NAME_WIRE_BYTES_MAX {
        return Err(Fault::TooMany("Mailbox name too long"));
    }
    if utf8 {
        let name = std::str::from_utf8(wire).map_err(|_| Fault::Name)?;
        return Ok(name.to_owned());
    }
    decode_utf7(wire).ok_or(Fault::Name)
}

/// `INBOX` or below it, in any case.
fn is_in_inbox(name: &str) -> bool {
    match name.split_at_checked(INBOX.len()) {
        Some((head, tail)) => {
            head.eq_ignore_ascii_case(INBOX) && (tail.is_empty() || tail.starts_with(SEPARATOR))
        }
        None => false,
    }
}

fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_has_one_spelling() {
        assert_eq!(canonical("inbox"), "INBOX");
        assert_eq!(canonical("InBox/Sub/inbox"), "INBOX/Sub/inbox");
        assert_eq!(canonical("inboxes"), "inboxes");
        assert_eq!(canonical("a/inbox"), "a/inbox");
        assert_eq!(canonical("Cafe\u{301}"), "Caf\u{e9}");
    }

    #[test]
    fn only_names_that_can_be_listed_are_made() {
        for name in [
            "a",
            "a/b",
            "..",
            "../../etc/passwd",
            "a b",
            "Bücher",
            "#x",
            "~",
            "a\\b\"c",
        ] {
            assert_eq!(check_new(name), Ok(()), "{name}");
        }
        for (name, fault) in [
            ("", NameFault::Empty),
            ("/", NameFault::EmptyLevel),
            ("a//b", NameFault::EmptyLevel),
            ("/a", NameFault::EmptyLevel),
            ("a/", NameFault::EmptyLevel),
            ("a*", NameFault::Wildcard),
            ("%", NameFault::Wildcard),
            ("a\0b", NameFault::Control),
            ("a\r\nb", NameFault::Control),
            ("a\u{7f}", NameFault::Control),
            ("a\u{85}", NameFault::Control),
            ("a\u{2028}", NameFault::Control),
            ("a\u{1fffe}", NameFault::Control),
        ] {
            assert_eq!(check_new(name), Err(fault), "{name:?}");
        }
    }

    #[test]
    fn length_and_depth_are_bounded() {
        assert_eq!(check_new(&"a".repeat(MAILBOX_NAME_BYTES_MAX)), Ok(()));
        let long = "a".repeat(MAILBOX_NAME_BYTES_MAX + 1);
        assert_eq!(check_new(&long), Err(NameFault::TooLong));
        let deep = vec!["a"; MAILBOX_DEPTH_MAX].join("/");
        assert_eq!(check_new(&deep), Ok(()));
        assert_eq!(check_new(&format!("{deep}/a")), Err(NameFault::TooDeep));
        let huge = vec![b'a'; 64 << 10];
        assert!(read(&huge, false).is_err() && read(&huge, true).is_err());
    }

    #[test]
    fn the_encoding_is_that_of_the_session() {
        assert_eq!(read(b"&AOk-", false), Ok("é".to_owned()));
        assert_eq!(read(b"&AOk-", true), Ok("&AOk-".to_owned()));
        assert_eq!(read("é".as_bytes(), true), Ok("é".to_owned()));
        assert_eq!(read("é".as_bytes(), false), Err(Fault::Name));
        assert_eq!(read(b"\xff", true), Err(Fault::Name));
    }
}
