//! The structure of a message, found without decoding it (RFC 5322, RFC 2045–2049, RFC 2231).
//!
//! Messages pass in pieces and are never whole in memory: [`scan::Scanner`] keeps the tree of
//! parts and the few fields that IMAP asks for, [`search::BodySearch`] looks for text while it
//! decodes, [`transfer::Decoder`] decodes for BINARY. All work is linear in the octets read, all
//! memory is bounded by [`limit`], and whatever the octets are, the answer is a sensible tree and
//! never a panic. A line ends at LF; the CR before it belongs to the line end.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod address;
pub mod attachment;
mod boundary;
pub mod charset;
pub mod content;
mod cursor;
pub mod date;
pub mod downgrade;
pub mod encode;
pub mod envelope;
mod extract;
pub mod facts;
pub mod fold;
mod fuzz;
pub mod fuzzy;
mod head;
pub mod header;
pub mod limit;
pub mod msgid;
mod nstring;
pub mod params;
pub mod part;
pub mod preview;
pub mod scan;
pub mod search;
pub mod structure;
pub mod subject;
pub mod surrogate;
pub mod text;
pub mod texts;
pub mod transfer;
pub mod word;
mod work;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;

pub use fuzz::fuzz_mime;
