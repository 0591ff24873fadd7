//! Signatures: which messages cannot hold a text, and what lists of messages are sorted and shown
//! by, kept beside the records so that neither a search nor a sort reads every message
//! (FORMAT.md, "Signatures").
//!
//! A signature is the set of the trigrams of a message's texts, field by field. A text is in a
//! message only if all of its trigrams are; so what is left after a look at the signatures is a
//! superset of what holds the text, and whoever searches reads that. What has no signature (it
//! arrived since the last round, its file is damaged, it cannot be read) is always left. Nothing
//! here is ever needed for a right answer, and all of it is made anew from the messages.
//!
//! ```text
//!            objects in the order of the log →
//! file 1 ────────────────┤ file 2 ──────┤ file 3 ┤ not signed yet: candidates
//!  │ block: 16,384 messages at most, by account and object
//!  └ members │ index │ lists of field 0: trigram → members … field 6 │ chunks of the columns
//! ```
//!
//! Beside the lists a block has *columns*: octets that the reader of messages made of each, given
//! back as they are. The store knows neither MIME nor dates: [`Texts`] does.

mod block;
mod chunk;
mod cover;
mod file;
mod gather;
mod grams;
mod head;
mod list;
mod name;
mod page;
mod pairs;
mod passes;
mod shelf;
mod unite;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use cover::Cover;
pub(crate) use file::{SignFile, is_unfinished};
pub(crate) use gather::Gathering;
pub(crate) use grams::keys_of;
pub(crate) use head::{Anchor, Head};
pub(crate) use name::{SEARCH, number_of, path};
pub use passes::{FirstPass, InMemory, SecondPass, TextSink, Texts, Version};
pub(crate) use shelf::{Shelf, Wanted};
pub(crate) use unite::{UniteError, objects, unite};
pub(crate) use writer::{SignWriter, Title};

use std::fmt;
use std::sync::Arc;

/// A shared reader of messages.
#[derive(Clone)]
pub struct Reader(pub Arc<dyn Texts>);

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reader").field(&self.0.version()).finish()
    }
}

/// Which texts of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    Subject,
    From,
    To,
    Cc,
    Bcc,
    /// Every field of the header.
    Header,
    /// The text parts.
    Body,
}

impl Field {
    /// In the order in which blocks have them.
    pub const ALL: [Field; 7] = [
        Field::Subject,
        Field::From,
        Field::To,
        Field::Cc,
        Field::Bcc,
        Field::Header,
        Field::Body,
    ];
}

/// What is kept of each message for lists of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    /// What messages are sorted and threaded by.
    Facts,
    /// What ENVELOPE says.
    Envelope,
}

impl Column {
    /// In the order in which blocks have them.
    pub const ALL: [Column; 2] = [Column::Facts, Column::Envelope];
}

/// What is searched for: folded as [`Texts`] folds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Needle<'a> {
    pub field: Field,
    pub text: &'a str,
}

/// What a column keeps of one message, in bytes.
pub const COLUMN_BYTES_MAX: usize = 4 << 10;

/// Prefix and header of a message that is signed, in bytes: they lie in memory whole. What has a
/// longer header is always read.
pub(crate) const HEADER_BYTES_MAX: usize = 1 << 20;

/// Members of a block: their numbers take 14 bits.
const MEMBERS_MAX: usize = 1 << MEMBER_BITS;
const MEMBER_BITS: u32 = 14;

/// Trigrams are told apart by so many bits.
const KEY_BITS: u32 = 18;
const KEYS: usize = 1 << KEY_BITS;

const _: () = assert!(MEMBER_BITS + KEY_BITS == u32::BITS);

/// Trigrams of all members of a block: a pair of trigram and member takes two bytes while it is
/// made. One member may go over it.
const PAIRS_MAX: usize = 8 << 20;
