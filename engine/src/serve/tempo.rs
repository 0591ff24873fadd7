//! How fast the compactor may work: it steps back while commits take longer than without it.
//!
//! Each shard tells the time of every commit; two running estimates of the 99th percentile are kept
//! from it, one while the compactor rests, be it between two pieces of work, and one while it
//! works. Between two pieces it waits while the second is more than twice the first, but never for
//! long: dead space must come back also on a busy machine. Signing, for which nobody waits, rests
//! after each piece as long as that took: it takes half a core at most.

use crate::reactor::Now;
use crate::reactor::idle::rest;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use store::shard::{Pace, Progress};

/// What shards and the compactor know of each other; relaxed, because nothing hangs on a stale
/// number.
#[derive(Debug)]
pub(super) struct Tempo {
    is_working: AtomicBool,
    shards: Box<[Commits]>,
    /// When the present piece of work began, in monotonic milliseconds.
    began: AtomicU64,
}

/// The slowest of a hundred commits, in microseconds; 0: none was seen yet.
#[derive(Debug, Default)]
struct Commits {
    calm: AtomicU64,
    /// How many it was learned from.
    calm_seen: AtomicU64,
    working: AtomicU64,
}

impl Tempo {
    pub(super) fn new(shards: usize) -> Tempo {
        Tempo {
            is_working: AtomicBool::new(false),
            shards: (0..shards).map(|_| Commits::default()).collect(),
            began: AtomicU64::new(0),
        }
    }

    /// A commit of a shard took so long.
    pub(super) fn committed(&self, shard: usize, micros: u64) {
        let Some(commits) = self.shards.get(shard) else {
            return;
        };
        let estimate = match self.is_working.load(Ordering::Relaxed) {
            true => &commits.working,
            false => {
                commits.calm_seen.fetch_add(1, Ordering::Relaxed);
                &commits.calm
            }
        };
        let next = towards(estimate.load(Ordering::Relaxed), micros);
        estimate.store(next, Ordering::Relaxed);
    }

    /// The compactor begins or ends a task. What was felt of the last one holds for the next: one
    /// task alone is too short to learn from where few commit.
    pub(super) fn set_working(&self, is_working: bool) {
        if is_working {
            let now = Now::read().monotonic_millis;
            self.began.store(now, Ordering::Relaxed);
        }
        self.is_working.store(is_working, Ordering::Relaxed);
    }

    fn is_felt(&self) -> bool {
        self.shards
            .iter()
            .any(|commits| commits.working.load(Ordering::Relaxed) > 2 * commits.calm())
    }

    /// While the compactor rests, nobody may commit; then what was felt is forgotten bit by bit.
    fn forget(&self) {
        for commits in &self.shards {
            let working = commits.working.load(Ordering::Relaxed);
            commits
                .working
                .store(working - working / 64, Ordering::Relaxed);
        }
    }
}

impl Commits {
    fn calm(&self) -> u64 {
        match self.calm_seen.load(Ordering::Relaxed) {
            0..CALM_SEEN_LEAST => CALM_MICROS_LEAST,
            _ => self.calm.load(Ordering::Relaxed).max(CALM_MICROS_LEAST),
        }
    }
}

impl Pace for Tempo {
    async fn pause(&self, _: Progress) {
        for _ in 0..RESTS_MAX {
            if !self.is_felt() {
                return;
            }
            self.set_working(false);
            rest(REST);
            self.set_working(true);
            self.forget();
        }
    }

    async fn give_way(&self, progress: Progress) {
        let began = self.began.load(Ordering::Relaxed);
        let took = Now::read().monotonic_millis.saturating_sub(began);
        self.set_working(false);
        rest(Duration::from_millis(took).min(GIVEN_WAY_MAX));
        self.set_working(true);
        self.pause(progress).await;
    }
}

/// One step of an estimate of the 99th percentile: up by 99 parts for a value above it, down by one
/// for a value below, so that it settles where one of a hundred values is above.
fn towards(estimate: u64, micros: u64) -> u64 {
    if estimate == 0 {
        return micros;
    }
    let part = estimate / 512 + 1;
    match micros > estimate {
        true => (estimate + 99 * part).min(micros),
        false => estimate - part.min(estimate - 1),
    }
}

/// Commits faster than this are fast enough, whatever they were before.
const CALM_MICROS_LEAST: u64 = 500;

/// Before that many commits at rest are known, the first of them may be all that an estimate says.
const CALM_SEEN_LEAST: u64 = 256;

const REST: Duration = Duration::from_millis(10);

/// A piece that took longer was waiting itself.
const GIVEN_WAY_MAX: Duration = Duration::from_millis(50);

/// Rests between two pieces of work.
const RESTS_MAX: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_settles_where_one_of_a_hundred_is_above() {
        let mut estimate = 0;
        for n in 0..200_000 {
            // Every value below 10,000 equally often, in no order.
            estimate = towards(estimate, 1 + n * 7919 % 10_000);
        }
        assert!((9_300..10_000).contains(&estimate), "{estimate}");
    }

    #[test]
    fn slower_commits_are_felt_beyond_a_task_and_forgotten() {
        let tempo = Tempo::new(2);
        (0..1000).for_each(|_| tempo.committed(1, 800));
        tempo.set_working(true);
        assert!(!tempo.is_felt());
        // Two of a hundred, as few as a task may see at once.
        for n in 0..2_000 {
            tempo.committed(1, if n % 50 == 0 { 20_000 } else { 800 });
        }
        assert!(tempo.is_felt());
        tempo.set_working(false);
        tempo.set_working(true);
        assert!(tempo.is_felt());
        (0..20 * RESTS_MAX).for_each(|_| tempo.forget());
        assert!(!tempo.is_felt());
    }

    #[test]
    fn a_few_slow_commits_at_rest_excuse_nothing() {
        let tempo = Tempo::new(1);
        tempo.committed(0, 50_000);
        tempo.set_working(true);
        (0..100).for_each(|_| tempo.committed(0, 5_000));
        assert!(tempo.is_felt());
        tempo.set_working(false);
        (0..2 * CALM_SEEN_LEAST).for_each(|_| tempo.committed(0, 5_000));
        assert!(!tempo.is_felt());
    }
}
