//! How fast the compactor goes: as fast as the shards' commits bear it.
//!
//! Each shard tells the micros of its commits. While no task runs they make up what is usual;
//! while one does, a commit that took longer than twice that makes the task rest, longer each time,
//! until commits are as usual again. Where nobody commits nobody is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use store::shard::{Pace, Progress};

/// What the commits of all shards tell the compactor's thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    /// Slow commits of the calm, in micros: rises fast, falls slowly.
    usual: AtomicU64,
    /// The same of the last few commits.
    present: AtomicU64,
    commits: AtomicU64,
    is_busy: AtomicBool,
}

impl Pulse {
    /// A commit took so long. Two shards at once may lose one of their words, which is no harm.
    pub(super) fn commit(&self, micros: u64) {
        let told = &*self.0;
        told.commits.fetch_add(1, Relaxed);
        let present = told.present.load(Relaxed);
        told.present
            .store(micros.max(present - present / PRESENT_FALL), Relaxed);
        if !told.is_busy.load(Relaxed) {
            let usual = told.usual.load(Relaxed);
            told.usual
                .store(micros.max(usual - usual / USUAL_FALL), Relaxed);
        }
    }

    /// The pace of one task; until it is dropped commits do not count as usual.
    pub(super) fn task(&self) -> Gait<'_> {
        self.0.is_busy.store(true, Relaxed);
        Gait(self)
    }

    fn is_disturbed(&self) -> bool {
        let usual = self.0.usual.load(Relaxed).max(USUAL_LEAST_MICROS);
        self.0.present.load(Relaxed) > 2 * usual
    }
}

/// How one task goes.
pub(super) struct Gait<'a>(&'a Pulse);

impl Pace for Gait<'_> {
    /// Blocks: the thread has nothing else to do.
    async fn pause(&self, _: Progress) {
        let mut rest = REST_LEAST;
        while rest <= REST_MOST && self.0.is_disturbed() {
            let commits = self.0.0.commits.load(Relaxed);
            std::thread::sleep(rest);
            if self.0.0.commits.load(Relaxed) == commits {
                return;
            }
            rest *= 2;
        }
    }
}

impl Drop for Gait<'_> {
    fn drop(&mut self) {
        self.0.0.is_busy.store(false, Relaxed);
    }
}

/// Each commit takes this part off what was slow before.
const PRESENT_FALL: u64 = 32;
const USUAL_FALL: u64 = 1024;

/// Faster than this is a disk that does not wait; twice of it is no disturbance.
const USUAL_LEAST_MICROS: u64 = 250;

const REST_LEAST: Duration = Duration::from_millis(2);
const REST_MOST: Duration = Duration::from_millis(64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slow_commits_during_a_task_disturb() {
        let pulse = Pulse::default();
        (0..100).for_each(|_| pulse.commit(1_000));
        assert!(!pulse.is_disturbed());
        let task = pulse.task();
        pulse.commit(1_900);
        assert!(!pulse.is_disturbed(), "twice the usual is borne");
        pulse.commit(3_000);
        assert!(pulse.is_disturbed());
        (0..50).for_each(|_| pulse.commit(1_000));
        assert!(!pulse.is_disturbed(), "it has passed");
        drop(task);
        pulse.commit(3_000);
        let _task = pulse.task();
        assert!(!pulse.is_disturbed(), "usual, without a task");
    }

    #[test]
    fn fast_disks_are_not_waited_for() {
        let pulse = Pulse::default();
        pulse.commit(30);
        let _task = pulse.task();
        pulse.commit(400);
        assert!(!pulse.is_disturbed());
    }
}
