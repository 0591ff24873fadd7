//! The nouns that the whole house shares.

pub mod address;
pub mod calendar;
pub mod date;
pub mod envelope;
pub mod flags;
pub mod header;
pub mod id;
pub mod mailbox;
pub mod uidset;
