//! Accounts and their mailboxes: a follower of the log.

pub mod row;
pub mod tree;
pub mod view;

pub use row::Row;
pub use tree::{MailboxInfo, SpecialUse, Status};
pub use view::{Change, View};
