//! Protocol dialogues: what is said, in which order, and what follows from it.

pub mod imap;
pub mod pop3;
pub mod smtp;
