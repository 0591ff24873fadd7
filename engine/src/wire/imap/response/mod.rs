//! Responses, written straight into the connection's output (RFC 9051 §7 and §9).
//!
//! Law: whatever did not come from our own source goes out through [`string`], [`astring`],
//! [`nstring`], [`mailbox`] or [`keyword`], so that nobody's text can end a line, a list or a code.

pub mod code;
pub mod data;
pub mod esearch;
pub mod fetch;
pub mod flags;
pub mod resync;
pub mod sharing;
pub mod string;
pub mod text;

pub use code::{Code, bye, go_ahead, tagged, untagged};
pub use flags::{flag_list, is_keyword};
pub use string::{astring, literal_header, literal8_header, mailbox, nstring, string};

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
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
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
