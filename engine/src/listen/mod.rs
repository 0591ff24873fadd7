//! Sockets in: drive a session, hand over, say goodbye.

mod census;
mod drain;
mod hall;
pub mod imap;
mod leads;
mod receipt;
mod report;
pub mod smtp;

pub use census::{Census, Crowded, Pass, Room};
pub use drain::Drain;
pub use hall::{Hall, Refused};
