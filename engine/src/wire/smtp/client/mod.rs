//! What a client of SMTP and LMTP reads and writes: replies, offers, commands, dots.
//!
//! The peer is not trusted: what it says is bounded, judged, and made safe to quote in a log line,
//! a DSN or a terminal. What it is sent holds no octet that could begin a command of its own.

pub mod command;
pub mod offer;
pub mod reply;
pub mod stuff;
