//! SMTP commands, replies, paths and ends of data, strictly (RFC 5321).
//!
//! Bytes in, types out: no room here knows which command may follow which; that is the session's.
//! Nothing allocates before its length was checked against a named maximum.

pub mod client;
pub mod command;
pub mod data;
pub mod line;
pub mod moment;
pub mod param;
pub mod path;
pub mod reply;
