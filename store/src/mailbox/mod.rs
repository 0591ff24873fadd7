//! Accounts and their mailboxes: a follower of the log.

mod account;
mod contents;
pub(crate) mod name;
pub mod row;
pub mod rows;
pub(crate) mod state;
pub(crate) mod sync;
pub mod tally;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod view;

pub use crate::bell::Watch;
pub(crate) use account::Account;
pub(crate) use contents::Contents;
pub use row::Row;
pub use rows::Rows;
pub use tree::{MailboxInfo, SpecialUse, Status};
pub use view::{Change, View};
