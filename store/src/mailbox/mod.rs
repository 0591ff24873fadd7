//! Accounts and their mailboxes: a follower of the log.

mod account;
mod bell;
mod contents;
pub(crate) mod gate;
pub(crate) mod name;
pub mod row;
pub(crate) mod state;
pub(crate) mod sync;
pub mod tree;
pub mod view;

pub(crate) use account::Account;
pub use bell::Watch;
pub(crate) use contents::Contents;
pub use row::Row;
pub use tree::{MailboxInfo, SpecialUse, Status};
pub use view::{Change, View};
