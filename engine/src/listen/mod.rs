//! Sockets in: drive a session, hand over, say goodbye.

mod census;
mod feedback;
mod finding;
mod front;
mod guests;
mod hall;
pub mod http;
pub mod imap;
mod leads;
mod login;
pub mod pop3;
mod receipt;
mod recipient;
mod report;
mod sending;
pub mod smtp;
mod told;

pub use census::{Census, Crowded, Pass, Room};
pub use front::{Believed, unwrap};
pub use guests::{Guests, as_owner};
pub use hall::Hall;
pub use login::Visitor;
pub use receipt::pay_owed;
