//! What each shard does beside serving: checkpoints, merges, sweeps, signatures.
//!
//! Space goes before signatures: whatever is due is done between two steps of signing. And one step
//! follows each round, so that searches do not starve where there is always something due. While
//! the shard is busy a step waits for its turn: to sign a message takes several times what it took
//! to deliver it, on a core and a disk that those who wait for an answer need. For the same reason
//! old mail stays longer in the log then, as long as the disk has plenty of room.

use super::load::Load;
use super::shard::Desk;
use crate::event;
use crate::reactor::{Now, sleep};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use store::shard::{CompactError, Policy, Report, Stories};

/// Makes checkpoints, and asks a full disk for space, for as long as the shard lives.
pub(super) async fn follow(desk: Rc<Desk>) {
    // A round, and one of either kind.
    let (mut done, mut fresh) = (Done::now(&desk), Done::now(&desk));
    let (load, mut has_more_to_sign) = (RefCell::new(Load::now()), false);
    // The last round may have left to a quieter time what it found.
    let mut has_put_off = false;
    loop {
        let may_sign = load.borrow_mut().lets_sign();
        let is_quiet = !load.borrow_mut().is_busy();
        if !(may_sign && has_more_to_sign) {
            sleep(LOOK).await;
        }
        if desk.hall.store.log().is_full() {
            desk.hall.store.log().retry();
        }
        if done.is_due(&desk) || has_put_off && is_quiet && done.is_past() {
            (done, fresh) = (Done::now(&desk), Done::now(&desk));
            report(&desk, round(&desk, &load).await);
            has_put_off = load.borrow_mut().is_busy();
            has_more_to_sign = true;
        } else if may_sign && fresh.is_long(&desk) {
            fresh = Done::now(&desk);
            report(&desk, desk.hall.store.write_fresh(&desk.compactor).await);
            has_more_to_sign = true;
        }
        if may_sign && has_more_to_sign {
            has_more_to_sign = sign(&desk).await;
            load.borrow_mut().has_signed();
            count(&desk);
        }
    }
}

/// The checkpoint of a shard that has closed: the next start has nothing to replay.
pub(super) async fn last_round(desk: &Desk) {
    let outcome = desk.hall.store.checkpoint(&desk.compactor).await;
    report(desk, outcome);
}

/// A checkpoint and what it makes possible.
async fn round(desk: &Desk, load: &RefCell<Load>) -> Result<(), CompactError> {
    let policy = || policy(desk, load.borrow_mut().is_busy());
    let report = desk.hall.store.make_room(&desk.compactor, policy).await?;
    count(desk);
    if !report.is_empty() {
        desk.hall.metrics.compacted_bytes.add(report.bytes_before);
        tell(desk, &report);
    }
    Ok(())
}

/// Takes one step of signing. Whether there is another one.
async fn sign(desk: &Desk) -> bool {
    let step = desk.hall.store.sign_step(&desk.compactor, false).await;
    match step {
        Ok(step) => step.has_more_to_sign,
        Err(error) => {
            let (shard, why) = (desk.hall.shard, error.to_string());
            event!(Warn, "signing failed", shard = shard, why = why);
            false
        }
    }
}

fn policy(desk: &Desk, is_busy: bool) -> Policy {
    let limits = desk.hall.live.config.load().limits.clone();
    let kept = limits.log_kept_bytes_max;
    let may_wait = is_busy && free_bytes(desk) / FREE_WHILE_BUSY >= kept;
    let more = if may_wait { KEPT_WHILE_BUSY } else { 1 };
    Policy {
        keep_log_bytes: kept.saturating_mul(more),
        checkpoint_log_bytes: limits.checkpoint_log_bytes_max,
        stories: Stories {
            bytes_max: limits.story_bytes_max,
            secs_max: limits.story_secs_max,
        },
        ..Policy::default()
    }
}

/// Of the disk that has the store; 0 where it does not tell.
fn free_bytes(desk: &Desk) -> u64 {
    let config = desk.hall.live.config.load();
    let told = rustix::fs::statvfs(&config.data);
    told.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// What is there since this round.
fn count(desk: &Desk) {
    let (store, metrics) = (&desk.hall.store, &desk.hall.metrics);
    let occupancy = store.occupancy();
    metrics.mailbox_rows_bytes.set(store.rows_bytes() as u64);
    metrics.log_segments.set(occupancy.log_segments.into());
    metrics.index_bytes.set(occupancy.run_bytes);
    metrics.pack_bytes.set(occupancy.pack_bytes);
    metrics.archive_bytes.set(occupancy.archive_bytes);
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
    let metrics = &desk.hall.metrics;
    metrics.checkpoints.one();
    if let Err(error) = outcome {
        metrics.checkpoints_failed.one();
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
    deliveries: u64,
}

impl Done {
    fn now(desk: &Desk) -> Done {
        Done {
            log_bytes: desk.hall.store.log().stats().bytes,
            secs: Now::read().monotonic_millis / 1000,
            deliveries: desk.hall.store.deliveries(),
        }
    }

    fn is_due(&self, desk: &Desk) -> bool {
        let now = Done::now(desk);
        let bytes = now.log_bytes - self.log_bytes;
        let limits = &desk.hall.live.config.load().limits;
        let (secs, bytes_max) = (limits.checkpoint_secs_max, limits.checkpoint_log_bytes_max);
        bytes >= bytes_max || bytes > 0 && now.secs - self.secs >= secs
    }

    /// Whether it is a while ago.
    fn is_past(&self) -> bool {
        Now::read().monotonic_millis / 1000 - self.secs >= PUT_OFF_SECS
    }

    /// Whether a search would read many messages that are not signed.
    fn is_long(&self, desk: &Desk) -> bool {
        let now = Done::now(desk);
        let came = now.deliveries.saturating_sub(self.deliveries);
        came >= FRESH_MESSAGES && now.secs - self.secs >= FRESH_SECS
    }
}

/// Messages that are not signed and make a round of its own due, and how long after the last one:
/// to read a thousand takes a search some tens of milliseconds.
const FRESH_MESSAGES: u64 = 1000;
const FRESH_SECS: u64 = 4;

/// How many times what a quiet shard keeps in its log a busy one keeps.
const KEPT_WHILE_BUSY: u64 = 4;

/// And how many times that must be free on the disk, which other shards share.
const FREE_WHILE_BUSY: u64 = 16;

/// How long after a round beside a busy shard another one may begin because it is quiet.
const PUT_OFF_SECS: u64 = 5;

/// How often it is asked whether a checkpoint is due.
const LOOK: Duration = Duration::from_millis(250);

/// What of one round's damage goes to the log; all of it is written down in `damaged/`.
const DAMAGE_TOLD_MAX: usize = 100;
