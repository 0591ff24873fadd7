//! One subcommand, one file.

pub(crate) mod account;
pub(crate) mod domain;
pub(crate) mod dump;
pub(crate) mod export;
pub(crate) mod fsck;
pub(crate) mod import;
