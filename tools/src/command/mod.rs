//! One subcommand, one file.

pub(crate) mod account;
pub(crate) mod domain;
