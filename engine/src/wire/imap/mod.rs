//! IMAP commands, responses, sets and names (RFC 9051, RFC 3501).
//!
//! ```text
//! octets → receive ─ whole command → parse ─ token, set, date, name → command → the session
//! the session → response ─ string, set, date, name → octets
//! ```

pub mod append;
pub mod capability;
pub mod command;
pub mod date;
pub mod deflate;
pub mod fault;
pub mod find;
pub mod fuzz;
pub mod limit;
pub mod metadata;
pub mod name;
pub mod notify;
pub mod portion;
pub mod quota;
pub mod receive;
pub mod response;
pub mod resync;
pub mod rights;
pub mod set;
pub mod url;

mod literal;
mod parse;
mod token;

#[cfg(test)]
mod trial;
