//! POP3 as octets: command lines, the texts of replies, messages between dots (RFC 1939).

pub mod command;
pub mod dots;
pub mod reply;
pub mod uidl;
