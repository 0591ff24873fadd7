//! One subcommand, one file.

pub(crate) mod account;
pub(crate) mod backup;
mod copying;
pub(crate) mod domain;
pub(crate) mod restore;
mod salvage;
