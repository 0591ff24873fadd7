//! IMAP commands, responses, sets and names (RFC 9051, RFC 3501).

pub mod command;
