//! Accounts and their mailboxes: a follower of the log.

mod account;
pub mod card;
mod column;
mod contents;
pub mod frozen;
pub mod index;
pub mod layer;
pub mod meta;
pub(crate) mod name;
pub(crate) mod own;
mod places;
pub mod row;
pub mod rows;
pub mod shelf;
pub(crate) mod slots;
pub(crate) mod state;
pub(crate) mod sync;
pub mod tally;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod vanished;
pub mod view;

pub use crate::bell::Watch;
pub(crate) use account::Account;
pub use card::Card;
pub(crate) use contents::Contents;
pub use layer::Layer;
pub use meta::{AccountMeta, MailboxMeta};
pub use row::Row;
pub use rows::Rows;
pub use shelf::Fetch;
pub use slots::Configured;
pub use tree::{MailboxInfo, SpecialUse, Status};
pub use view::{Change, View};
