//! One subcommand, one file.

pub(crate) mod account;
pub(crate) mod backup;
pub(crate) mod compact;
mod csv;
pub(crate) mod dkim;
pub(crate) mod domain;
pub(crate) mod dump;
pub(crate) mod export;
pub(crate) mod fsck;
pub(crate) mod import;
pub(crate) mod mailbox;
mod moment;
pub(crate) mod queue;
pub(crate) mod reindex;
pub(crate) mod restore;
pub(crate) mod route;
pub(crate) mod rule;
mod salvage;
mod sources;
pub(crate) mod suppress;
pub(crate) mod tls_report;
pub(crate) mod token;
pub(crate) mod top;
pub(crate) mod trace;
pub(crate) mod uidl;
