//! When it is time to empty something.

use super::story::Stories;
use crate::limit::{CHECKPOINT_LOG_BYTES, LOG_KEPT_BYTES};

/// What a shard keeps, and what it puts up with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The newest mail stays in the log, where it is read without unpacking, in bytes.
    pub keep_log_bytes: u64,
    /// When so much more is in the log, in bytes, a checkpoint comes before the next emptying: the
    /// next start must not pay for a long house-keeping.
    pub checkpoint_log_bytes: u64,
    /// Segments are emptied when there are so many more than that. Each emptying looks at the rows
    /// of all mailboxes, so it should be worth it.
    pub segments_least: u32,
    /// A pack is written anew when this part of it is dead, in hundredths.
    pub dead_percent: u64,
    /// So are the deadest ones, when this part of all packs is, in hundredths.
    pub dead_percent_in_all: u64,
    /// So are small packs, when there are so many of them.
    pub small_packs: usize,
    /// What a small pack is shorter than, before compression, in bytes. Each task leaves one that
    /// is not full, so that a larger bound has half of all mail written once more.
    pub small_bytes: u64,
    /// What is told of mail that left the log.
    pub stories: Stories,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            keep_log_bytes: LOG_KEPT_BYTES,
            checkpoint_log_bytes: CHECKPOINT_LOG_BYTES,
            segments_least: 2,
            dead_percent: 40,
            dead_percent_in_all: 30,
            small_packs: 8,
            small_bytes: 64 << 20,
            stories: Stories::default(),
        }
    }
}
