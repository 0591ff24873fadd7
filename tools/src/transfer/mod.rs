//! Mail in and out of the store: mbox, Maildir and `.eml` files.
//!
//! ```text
//! import   source → feed (threads: read, parse) → parcels in order → landing → store
//! export   store (a thread a shard) → message by message → mbox | maildir | eml
//! ```
//!
//! Laws: our own export comes back octet for octet; what others wrote gets CRLF for LF and loses
//! nothing else but the headers in which an mbox keeps its state. No message is ever whole in
//! memory when it is larger than a chunk. Bad input is told with file and offset and never ends
//! the run.

pub(crate) mod export;
pub(crate) mod import;

pub(crate) mod date;
mod dovecot;
mod eml;
mod feed;
mod files;
mod flags;
pub(crate) mod landing;
mod lines;
mod maildir;
mod mbox;
mod name;
mod outlet;
mod parcel;
mod receipt;
mod report;
mod source;
mod twins;
pub(crate) mod uidls;

use clap::ValueEnum;

/// How messages lie in files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// One file a mailbox, quoted as mboxrd
    Mbox,
    /// Maildir++ with the UIDs and keywords of Dovecot
    Maildir,
    /// One file a message, beside a table `mailbox.tsv`
    Eml,
}
