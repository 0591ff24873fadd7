//! Whole shards on a thread of their own: real files and sockets, no process.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod offers;
