//! Puts shards together: store, listeners, letters; the start and the end.

mod ear;
mod orders;
mod shard;
