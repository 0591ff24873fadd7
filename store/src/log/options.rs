//! What a log is told when it is opened; clock and dice are injected.

use super::error::OpenError;
use crate::limit::{
    BLOCK_BYTES, FRAME_BYTES_MAX, HOT_TAIL_BYTES, PREWRITE_BYTES_MAX, PREWRITE_BYTES_MIN,
    SEGMENT_BYTES,
};
use crate::mail::id::ShardId;
use std::rc::Rc;
use std::time::Duration;

#[derive(Clone)]
pub struct Options {
    /// The identity of the store; a segment of another one is refused.
    pub store: [u8; 16],
    pub shard: ShardId,
    pub segment_bytes: u64,
    pub frame_bytes_max: usize,
    /// First and largest step in which segments are pre-written, in bytes.
    pub prewrite_bytes: (u64, u64),
    pub hot_tail_bytes: usize,
    /// After `LogError::Full`, appends are refused for this long before the next one is tried.
    pub full_pause: Duration,
    /// Time since any fixed moment; never goes back.
    pub clock: Rc<dyn Fn() -> Duration>,
    /// Salts of segments: must not be guessable.
    pub random: Rc<dyn Fn() -> u64>,
}

impl Options {
    pub fn new(
        store: [u8; 16],
        shard: ShardId,
        clock: Rc<dyn Fn() -> Duration>,
        random: Rc<dyn Fn() -> u64>,
    ) -> Options {
        Options {
            store,
            shard,
            segment_bytes: SEGMENT_BYTES,
            frame_bytes_max: FRAME_BYTES_MAX,
            prewrite_bytes: (PREWRITE_BYTES_MIN, PREWRITE_BYTES_MAX),
            hot_tail_bytes: HOT_TAIL_BYTES,
            full_pause: FULL_PAUSE,
            clock,
            random,
        }
    }

    pub(super) fn check(&self) -> Result<(), OpenError> {
        let block = BLOCK_BYTES as u64;
        let (first, largest) = self.prewrite_bytes;
        let frame = self.frame_bytes_max as u64;
        let whole = [self.segment_bytes, frame, first, largest];
        if !whole.iter().all(|bytes| bytes.is_multiple_of(block)) {
            return Err(OpenError::Options("a size is not a multiple of 4 KiB"));
        }
        // Header, one frame and the seal.
        if self.segment_bytes < 2 * block + frame || self.segment_bytes > u64::from(u32::MAX) {
            return Err(OpenError::Options("segment_bytes does not fit the frames"));
        }
        if frame < block || self.frame_bytes_max > FRAME_BYTES_MAX {
            return Err(OpenError::Options("frame_bytes_max"));
        }
        if first < 2 * block || first > largest || first > self.segment_bytes {
            return Err(OpenError::Options("prewrite_bytes"));
        }
        Ok(())
    }
}

const FULL_PAUSE: Duration = Duration::from_secs(1);
