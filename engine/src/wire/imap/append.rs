//! APPEND and REPLACE as the client says them: piece by piece, with the octets of messages between
//! (RFC 9051 §6.3.12, RFC 3502, RFC 4469, RFC 6855 §4, RFC 8508).
//!
//! ```text
//! append = mailbox 1*message       message = Begin *part End
//! a stretch = steps up to the next Octets, or up to the end of the command
//! ```
//!
//! The octets are not in here. Each stretch but the last ends with [`Step::Octets`]; what stands
//! behind those octets is the next stretch.

use super::command::{FlagList, SequenceNumber};
use store::mail::date::InternalDate;

/// APPEND or REPLACE up to the octets of its first literal, or to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Append {
    pub mailbox: String,
    /// What goes when the message is there (RFC 8508); `None` for APPEND.
    pub replaces: Option<Replaced>,
    pub steps: Vec<Step>,
}

/// The message that a REPLACE names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replaced {
    pub uid: bool,
    pub number: SequenceNumber,
}

/// A step on the way to a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Another message begins (RFC 3502).
    Begin {
        flags: FlagList,
        date: Option<InternalDate>,
    },
    /// CATENATE's `URL`: octets of a message that is here already (RFC 4469 §4).
    Url(Vec<u8>),
    /// Octets follow on the wire.
    Octets(Literal),
    /// The message is whole.
    End,
}

/// How the octets of a message, or of a part of it, are announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Literal {
    pub octets: u64,
    /// `{n+}`: the client does not wait for our go-ahead (RFC 7888).
    pub non_synchronizing: bool,
    /// `~{n}`: literal8 of BINARY (RFC 3516 §4.4); NUL is allowed in it.
    pub binary: bool,
    /// `UTF8 (~{n})` of RFC 6855: a parenthesis closes behind the literal.
    pub utf8: bool,
    /// One part of several (RFC 4469).
    pub is_part: bool,
}

impl Append {
    /// The octets that follow on the wire.
    #[must_use]
    pub fn literal(&self) -> Option<Literal> {
        literal_of(&self.steps)
    }
}

/// The octets with which a stretch ends.
#[must_use]
pub fn literal_of(steps: &[Step]) -> Option<Literal> {
    match steps.last() {
        Some(Step::Octets(literal)) => Some(*literal),
        _ => None,
    }
}
