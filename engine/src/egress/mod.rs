//! Mail to other hosts: a connection, and the SMTP or LMTP dialogue on it, from the client's side.
//!
//! ```text
//! Target ─▶ Connection::open ─▶ connect ─▶ banner ─▶ EHLO ─▶ STARTTLS ─▶ EHLO ─▶ AUTH ─▶ ready
//! Letter + Body ─▶ Connection::send ─▶ Outcome: a Disposition with a Reply for each recipient
//! ```
//!
//! `dialogue` is a pure machine: octets in, octets and wishes out, no socket and no clock.
//! [`Connection`] drives it over a socket of the reactor. What to try when, and what a failure
//! means for a message, is the queue's matter: here everything ends in words that say what
//! happened, at which stage, and who said so.
//!
//! - A peer costs bounded time: every reply has a deadline that its octets do not move, and a
//!   transaction has one in all ([`Patience`]).
//! - A recipient is [`Fate::Delivered`] only by a positive reply that could not have been sent
//!   before the peer had the whole message.
//! - A message whose end was sent and whose reply never came is [`Fate::Unknown`]: trying again may
//!   make a duplicate, not trying again may lose it (RFC 1047).

mod body;
mod connection;
mod dialogue;
mod letter;
mod outcome;
mod proxy;
mod sending;
mod target;

pub use body::{Body, Pieces};
pub use connection::Connection;
pub use letter::Letter;
pub use outcome::{Disposition, Failure, Fate, Origin, Outcome, Stage, TlsUse};
pub use proxy::{Proxy, ProxyLogin};
pub use target::{Demand, Dialect, Login, Patience, Target, Tools};

#[cfg(test)]
mod tests;
