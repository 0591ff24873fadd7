//! How two shards find together again at a start, whatever moments their files are of.
//!
//! A backup that copies one shard after the other gives shards of different moments. For each pair
//! of a source, which offers, and a target, which takes, before anything is offered or accepted:
//!
//! ```text
//!   target has seen more than the source ever offered   the source goes on behind it: a number
//!                                                       that is given out twice is lost mail
//!   source settled more than the target has seen        the source offers it again if its log
//!                                                       still has it; else the target skips it
//! ```
//!
//! Both take effect at once. They are logged too, but a log that takes nothing (a full disk) need
//! not hold up the start: every start compares again.

use super::{Entry, Shard};
use crate::disk::Disk;
use crate::error::ChangeError;
use crate::log::RECORD_HEADER_BYTES;
use crate::mail::id::AccountId;
use crate::record::Fact;
use std::ops::RangeInclusive;

impl<D: Disk> Shard<D> {
    /// How far this shard has taken what `source` offers.
    pub fn seen_from(&self, source: u16) -> u64 {
        self.state.borrow().spool.seen_from(source)
    }

    /// As the source: takes note that `target` has seen offers up to `seen`. One that is behind is
    /// then to log it with [`settle_offers`](Self::settle_offers).
    pub fn resume_offers(&self, target: u16, seen: u64) -> Resumed {
        let spool = &mut self.state.borrow_mut().spool;
        let is_behind = spool.catch_up(target, seen);
        Resumed {
            through: spool.recall(target, seen),
            is_behind,
        }
    }

    /// As the target: takes note that `source` offers nothing up to `through` any more. `Some`:
    /// the offers that were settled and never came, to be logged with [`log_seen`](Self::log_seen).
    pub fn resume_taking(&self, source: u16, through: u64) -> Option<RangeInclusive<u64>> {
        let spool = &mut self.state.borrow_mut().spool;
        let seen = spool.seen_from(source);
        if through <= seen {
            return None;
        }
        spool.seen(source, through);
        Some(seen + 1..=through)
    }

    /// Logs what [`resume_taking`](Self::resume_taking) skipped.
    pub async fn log_seen(&self, source: u16, sequence: u64) -> Result<(), ChangeError> {
        self.log.room_urgent(64 + RECORD_HEADER_BYTES).await?;
        let fact = Fact::Seen { source, sequence };
        let frame = self.put(AccountId(0), vec![Entry::of(fact)])?;
        Ok(self.log.durable(frame).await?)
    }
}

/// What a source found at a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resumed {
    /// Up to this number nothing will be offered any more.
    pub through: u64,
    /// The target had seen more than this shard ever offered.
    pub is_behind: bool,
}
