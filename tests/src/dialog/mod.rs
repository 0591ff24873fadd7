//! Readable scripts of whole conversations, and what runs them against a server.
//!
//! A script begins with a comment that says what would break for a user. Then, line by line:
//!
//! ```text
//! C: text          the client sends this and CRLF; C*9: nine times, <i> counts from 1
//! C> text          the same without CRLF; \r \n \0 \xNN mean octets
//! M: text          a line of a message; <size> becomes its octets, C< sends it
//! S: pattern       the server answers so: one SMTP reply, one IMAP response, one line of POP3;
//! S*9:
//!                  nine of them
//! S| pattern       the same reply (any line of it) or response also matches this
//! S! pattern       nothing in this block of answers matches this
//! <connect NAME LISTENER>  <use NAME>  <tls>  <login [USER]>  <close>  <shutdown>  <eof>
//! <deliver ADDRESS>        hands the last message to the LMTP listener
//! <await USER COUNT>       waits until the INBOX holds so many messages
//! ```
//!
//! The first connection needs no `<connect>`: the ending of the file's name says where it goes.
//! Consecutive `S` lines are one block; in IMAP a tagged line ends it. The untagged responses of a
//! block may come in any order and among others, the tagged one must be the last. In SMTP every
//! reply is given in its order; an `x` in a code is any digit. What a pattern may hold is told in
//! `pattern`.

mod canonical;
mod pattern;
mod runner;
mod script;

pub use runner::{World, run};
pub use script::{Protocol, Script};
