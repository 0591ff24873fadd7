//! What each shard does beside serving: checkpoints, merges, sweeps.

use super::shard::Desk;
use crate::event;
use crate::reactor::{Now, sleep};
use std::rc::Rc;
use std::time::Duration;
use store::limit::{CHECKPOINT_LOG_BYTES, CHECKPOINT_SECS_MAX};
use store::shard::{CompactError, Policy, Report};

/// Makes checkpoints, and asks a full disk for space, for as long as the shard lives.
pub(super) async fn follow(desk: Rc<Desk>) {
    let mut done = Done::now(&desk);
    loop {
        sleep(LOOK).await;
        if desk.hall.store.log().is_full() {
            desk.hall.store.log().retry();
        }
        if !done.is_due(&desk) {
            continue;
        }
        done = Done::now(&desk);
        report(&desk, round(&desk).await);
    }
}

/// The checkpoint of a shard that has closed: the next start has nothing to replay.
pub(super) async fn last_round(desk: &Desk) {
    let outcome = desk.hall.store.checkpoint(&desk.compactor).await;
    report(desk, outcome);
}

/// A checkpoint and what it makes possible.
async fn round(desk: &Desk) -> Result<(), CompactError> {
    let policy = Policy::default();
    let report = desk.hall.store.keep_house(&desk.compactor, &policy).await?;
    if !report.is_empty() {
        tell(desk, &report);
    }
    Ok(())
}

/// What came of a compaction, and each damage that it met.
fn tell(desk: &Desk, report: &Report) {
    let shard = desk.hall.shard;
    event!(
        Info,
        "compacted",
        shard = shard,
        segments = report.segments_emptied,
        packs_emptied = report.packs_emptied,
        packs_written = report.packs_written,
        bytes_before = report.bytes_before,
        bytes_after = report.bytes_after,
        records = report.records_moved
    );
    for damage in report.damage.iter().take(DAMAGE_TOLD_MAX) {
        event!(Error, "damage", shard = shard, what = damage.to_string());
    }
}

fn report(desk: &Desk, outcome: Result<(), CompactError>) {
    if let Err(error) = outcome {
        let shard = desk.hall.shard;
        event!(
            Warn,
            "checkpoint failed",
            shard = shard,
            why = error.to_string()
        );
    }
}

/// When the last round began.
struct Done {
    log_bytes: u64,
    secs: u64,
}

impl Done {
    fn now(desk: &Desk) -> Done {
        Done {
            log_bytes: desk.hall.store.log().stats().bytes,
            secs: Now::read().monotonic_millis / 1000,
        }
    }

    fn is_due(&self, desk: &Desk) -> bool {
        let now = Done::now(desk);
        let bytes = now.log_bytes - self.log_bytes;
        bytes >= CHECKPOINT_LOG_BYTES || bytes > 0 && now.secs - self.secs >= CHECKPOINT_SECS_MAX
    }
}

/// How often it is asked whether a checkpoint is due.
const LOOK: Duration = Duration::from_millis(250);

/// What of one round's damage goes to the log; all of it is written down in `damaged/`.
const DAMAGE_TOLD_MAX: usize = 100;
