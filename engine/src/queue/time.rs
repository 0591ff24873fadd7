//! Seconds since 1970 that never jump: what the queue lives by.
//!
//! The wall clock may be set by years. Were due times judged by it, everything would be due, or
//! nothing for years. So these seconds go with the monotonic clock and draw near to the wall by at
//! most [`CATCH_UP`] a second: a host that slept for days is right within the hour, and no wrong
//! clock makes the queue give up on mail that it has not tried meanwhile.

use std::cell::Cell;

/// The seconds of one queue.
pub(super) struct Seconds {
    shown: Cell<u32>,
    /// Monotonic second of the last look.
    looked: Cell<u64>,
}

impl Seconds {
    pub(super) fn new(monotonic_millis: u64, unix_secs: u64) -> Seconds {
        Seconds {
            shown: Cell::new(u32::try_from(unix_secs).unwrap_or(u32::MAX)),
            looked: Cell::new(monotonic_millis / 1000),
        }
    }

    /// The second that it is now.
    pub(super) fn look(&self, monotonic_millis: u64, unix_secs: u64) -> u32 {
        let second = monotonic_millis / 1000;
        let passed = second.saturating_sub(self.looked.get());
        if passed == 0 {
            return self.shown.get();
        }
        self.looked.set(second);
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        let straight = self.shown.get().saturating_add(passed);
        let wall = u32::try_from(unix_secs).unwrap_or(u32::MAX);
        // Where the wall is behind, waits still last as long as they should.
        let fastest = straight.saturating_add(passed.saturating_mul(CATCH_UP));
        let shown = wall.clamp(straight, fastest);
        self.shown.set(shown);
        shown
    }
}

/// Seconds gained on the wall clock in one second.
const CATCH_UP: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_followed_slowly_and_never_back() {
        let seconds = Seconds::new(5_000, 1_000_000);
        assert_eq!(seconds.look(5_900, 1_000_000), 1_000_000);
        assert_eq!(seconds.look(7_000, 1_000_002), 1_000_002);
        assert_eq!(seconds.look(8_000, 2_000_000), 1_000_063);
        assert_eq!(seconds.look(9_000, 1_000_070), 1_000_070);
        assert_eq!(seconds.look(10_000, 500_000), 1_000_071);
        assert_eq!(seconds.look(20_000, 500_010), 1_000_081);
        assert_eq!(seconds.look(21_000, 1_000_090), 1_000_090);
    }
}
