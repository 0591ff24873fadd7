//! What Ringpost keeps: one append-only log per shard and the followers that read it.
//!
//! A room imports only lower floors (`tests/src/tidy.rs` checks it):
//!
//! ```text
//! 6  shard            the only public door
//! 5  compact          runs, merges, emptying of old segments
//!    check  backup    damage found and repaired; consistent copies
//! 4  spool  mailbox  memo  search   followers of the log
//! 3  record  table    the complete list of facts; immutable index files and their manifest
//! 2  log  pack        append → durable, recovery; survivors, compressed
//! 1  disk             owned blocks in, owned blocks out
//! 0  mail  codec  limit  error  bell  gate
//! ```
//!
//! Every byte on disk is described in `FORMAT.md`.

// Tests stop at the first surprise.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod backup;
mod bell;
pub mod check;
pub mod codec;
pub mod compact;
pub mod disk;
pub mod error;
mod gate;
pub mod limit;
pub mod log;
pub mod mail;
pub mod mailbox;
mod memo;
pub mod pack;
pub mod record;
pub mod search;
pub mod shard;
pub mod spool;
pub mod table;
