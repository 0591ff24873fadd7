//! One file, many messages: mboxrd out; mboxrd, mboxo and their kin in.
//!
//! ```text
//! From alice@example.org Sat Jan  3 01:05:34 1996     sender, INTERNALDATE in UTC
//! X-Ringpost: octets=1234 ends=crlf zone=+0100 lines=5
//! X-IMAPbase: 1795331235 0000000042 $Label1           first message: UIDVALIDITY, last UID
//! X-UID: 7
//! Status: RO
//! X-Status: AF
//! X-Keywords: $Label1
//! Subject: the message as it is, LF for CRLF, `>` before lines of `>`s and `From `
//!
//! body
//!                                                     an empty line behind each message
//! ```
//!
//! The headers before the message are those in which mutt and Dovecot keep their state;
//! `X-Ringpost` counts them, so that they are taken away again and headers of the same names in
//! the message are not. `octets` is the size of the message: what is longer by line ends loses
//! them. `ends=raw` says that the octets are as they were, because some LF or CR stood alone.
//!
//! In files of others: a line is a From_ line where it begins with `From ` and holds a date; the
//! first line of a file needs none. Content-Length is not trusted. The headers `Status`,
//! `X-Status`, `X-Keywords`, `X-UID`, `X-IMAPbase`, `X-IMAP` and `X-Mozilla-…` are read and left
//! out. UW-IMAP's message about the folder is skipped. From_ dates without a zone are UTC.

mod block;
mod read;
mod state;
mod write;

pub(crate) use read::{peek, read};
pub(crate) use write::{Letterhead, MboxWriter};
