//! Responses, written straight into the connection's output (RFC 9051 §7 and §9).
//!
//! Law: whatever did not come from our own source goes out through [`string`], [`astring`],
//! [`nstring`], [`mailbox`] or [`keyword`], so that nobody's text can end a line, a list or a code.

pub mod code;
pub mod data;
pub mod fetch;
pub mod string;
pub mod text;

pub use code::{Code, bye, go_ahead, tagged, untagged};
pub use string::{astring, literal_header, literal8_header, mailbox, nstring, string};

use std::io::Write;

use store::mail::flags::{Flags, Keywords};

use super::token::is_atom_char;

/// Which answer a completed command gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    Ok,
    No,
    Bad,
}

pub const CRLF: &[u8] = b"\r\n";

/// A number in decimal digits.
pub fn number(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("writing to a Vec cannot fail");
}

/// `(\Seen $Forwarded)`. A keyword is an entry of the mailbox's table; with `recent` the message is
/// `\Recent` (RFC 3501 §2.3.2).
pub fn flag_list(
    out: &mut Vec<u8>,
    flags: Flags,
    keywords: Keywords,
    table: &[String],
    recent: bool,
) {
    let mut list = List::open(out);
    for (flag, name) in SYSTEM_FLAGS {
        if flags.contains(flag) {
            list.next(out).extend_from_slice(name);
        }
    }
    if recent {
        list.next(out).extend_from_slice(b"\\Recent");
    }
    for name in keywords.positions().filter_map(|at| table.get(at)) {
        if is_keyword(name) {
            list.next(out).extend_from_slice(name.as_bytes());
        }
    }
    list.close(out);
}

/// Whether a name can be shown as a flag-keyword; the parser lets no other in.
#[must_use]
pub fn is_keyword(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_atom_char)
}

/// `(a b c)` while it is written.
pub struct List {
    empty: bool,
}

impl List {
    pub fn open(out: &mut Vec<u8>) -> List {
        out.push(b'(');
        List { empty: true }
    }

    /// The place of the next item.
    pub fn next<'a>(&mut self, out: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            out.push(b' ');
        }
        out
    }

    pub fn close(self, out: &mut Vec<u8>) {
        out.push(b')');
    }
}

const SYSTEM_FLAGS: [(Flags, &[u8]); 5] = [
    (Flags::ANSWERED, b"\\Answered"),
    (Flags::FLAGGED, b"\\Flagged"),
    (Flags::DELETED, b"\\Deleted"),
    (Flags::SEEN, b"\\Seen"),
    (Flags::DRAFT, b"\\Draft"),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(flags: Flags, keywords: u64, recent: bool) -> String {
        let table = ["$Forwarded".to_owned(), "a b".to_owned(), "x".to_owned()];
        let mut out = Vec::new();
        flag_list(&mut out, flags, Keywords(keywords), &table, recent);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn flags_by_name() {
        assert_eq!(written(Flags::NONE, 0, false), "()");
        assert_eq!(
            written(Flags::SEEN | Flags::ANSWERED, 0b101, true),
            "(\\Answered \\Seen \\Recent $Forwarded x)"
        );
        // A name that is no atom is damage and is not shown; nor is one beyond the table.
        assert_eq!(written(Flags::NONE, 0b1010, false), "()");
    }
}
