//! One reading of both clocks, passed down as a value so that nothing below asks the time itself.

use super::local;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a shard's timers and deadlines take the time from.
#[derive(Clone, Default)]
pub enum Clock {
    /// `CLOCK_MONOTONIC`.
    #[default]
    Kernel,
    /// Milliseconds from here; they never go back.
    Given(Arc<dyn Fn() -> u64 + Send + Sync>),
}

impl Clock {
    pub(super) fn millis(&self) -> u64 {
        match self {
            Clock::Kernel => monotonic_millis(),
            Clock::Given(read) => read(),
        }
    }
}

/// The time as one reading. Monotonic time orders and measures; wall time is only shown and stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Milliseconds of `CLOCK_MONOTONIC`: never goes back, same on all threads.
    pub monotonic_millis: u64,
    /// Milliseconds since 1970-01-01 UTC; may jump. 0 before that.
    pub unix_millis: u64,
}

impl Now {
    /// Reads both clocks (two vDSO calls, about 40 ns).
    pub fn read() -> Now {
        Now {
            monotonic_millis: monotonic_millis(),
            unix_millis: unix_millis(),
        }
    }

    /// As [`Now::read`], by the clock that the timers of this shard go by.
    pub fn here() -> Now {
        Now {
            monotonic_millis: Now::millis_here(),
            unix_millis: unix_millis(),
        }
    }

    /// [`Now::here`]'s monotonic time alone, for half its price.
    pub fn millis_here() -> u64 {
        local::with(|local| local.timers.millis())
    }

    /// [`Now::here`]'s wall time alone: milliseconds since 1970-01-01 UTC.
    pub fn unix_millis_here() -> u64 {
        unix_millis()
    }

    /// Seconds since 1970-01-01 UTC.
    pub fn unix_secs(self) -> u64 {
        self.unix_millis / 1000
    }

    /// Time since an earlier reading; zero if `earlier` is later.
    pub fn since(self, earlier: Now) -> Duration {
        let millis = self
            .monotonic_millis
            .saturating_sub(earlier.monotonic_millis);
        Duration::from_millis(millis)
    }
}

/// The monotonic clock as the standard library has it.
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// The wall clock as the standard library has it.
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Microseconds of `CLOCK_MONOTONIC`.
pub fn monotonic_micros() -> u64 {
    micros(rustix::time::ClockId::Monotonic)
}

/// What this thread has had of a CPU. What others had meanwhile does not count.
#[must_use]
pub fn thread_micros() -> u64 {
    micros(rustix::time::ClockId::ThreadCPUTime)
}

fn micros(clock: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos / 1_000)
}

/// `CLOCK_MONOTONIC` in milliseconds.
fn monotonic_millis() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1000)
        .saturating_add(nanos / 1_000_000)
}

fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_is_not_wall_time_and_does_not_go_back() {
        let first = Now::read();
        let second = Now::read();
        assert!(second.monotonic_millis >= first.monotonic_millis);
        assert!(first.unix_secs() > 1_700_000_000, "the wall clock is set");
        assert_eq!(
            first.since(second).min(Duration::from_secs(1)),
            first.since(second)
        );
    }
}
