//! When the next attempt is, and when there is none any more: pure, with the jitter given.

use crate::config::outbound::Pace;

/// Seconds until the attempt after `attempts` that failed. Jitter spreads what failed together over
/// a fifth of the wait, so that it does not come back together.
#[must_use]
pub(super) fn wait_secs(pace: &Pace, attempts: u32, random: u64) -> u32 {
    let place = attempts.saturating_sub(1) as usize;
    let last = pace.retry_secs.last().copied().unwrap_or(RETRY_SECS);
    let wait = pace.retry_secs.get(place).copied().unwrap_or(last);
    with_jitter(wait, random)
}

fn with_jitter(wait: u32, random: u64) -> u32 {
    let spread = u64::from(wait) / JITTER_PARTS;
    let late = if spread == 0 {
        0
    } else {
        random % (spread + 1)
    };
    wait.saturating_add(late as u32)
}

/// How long a site that cannot be reached is left alone after so many failures in a row.
#[must_use]
pub(super) fn pause_secs(pace: &Pace, failures: u32) -> u32 {
    wait_secs(pace, failures, 0).min(PAUSE_SECS_MAX)
}

/// What becomes of a recipient whose attempt failed for now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Tried again at this second.
    At(u32),
    /// The last attempt was the last.
    Expired,
}

/// The next attempt of a recipient that expires at `expires`. One that would come too late comes
/// just in time instead, so that nobody gives up hours before the end.
#[must_use]
pub(super) fn next(pace: &Pace, now: u32, expires: u32, attempts: u32, random: u64) -> Next {
    if now >= expires {
        return Next::Expired;
    }
    let at = now.saturating_add(wait_secs(pace, attempts, random));
    Next::At(at.min(expires))
}

/// As [`next`], after a wait that is given.
#[must_use]
pub(super) fn after(wait: u32, now: u32, expires: u32, random: u64) -> Next {
    if now >= expires {
        return Next::Expired;
    }
    Next::At(now.saturating_add(with_jitter(wait, random)).min(expires))
}

/// The wait where a configuration names none.
const RETRY_SECS: u32 = 1_800;

/// One part of the wait at most is added to it.
const JITTER_PARTS: u64 = 5;

/// A dead site is asked this often at least.
const PAUSE_SECS_MAX: u32 = 1_800;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_grow_and_the_last_repeats() {
        let pace = Pace {
            retry_secs: vec![60, 300, 3_600],
            ..Pace::default()
        };
        let waits: Vec<u32> = (1..=5).map(|n| wait_secs(&pace, n, 0)).collect();
        assert_eq!(waits, [60, 300, 3_600, 3_600, 3_600]);
        assert_eq!(pause_secs(&pace, 9), 1_800);
    }

    #[test]
    fn the_last_attempt_comes_at_the_end() {
        let pace = Pace::default();
        assert_eq!(next(&pace, 100, 1_000, 1, 0), Next::At(160));
        assert_eq!(next(&pace, 100, 130, 1, 0), Next::At(130));
        assert_eq!(next(&pace, 130, 130, 2, 0), Next::Expired);
        assert_eq!(after(3_600, 100, 100_000, 0), Next::At(3_700));
        assert_eq!(after(3_600, 100, 200, 0), Next::At(200));
        assert_eq!(after(3_600, 200, 200, 0), Next::Expired);
    }

    proptest! {
        #[test]
        fn jitter_only_delays_and_by_a_fifth_at_most(attempts in 0u32..50, random: u64) {
            let pace = Pace::default();
            let (wait, least) = (wait_secs(&pace, attempts, random), wait_secs(&pace, attempts, 0));
            prop_assert!(wait >= least && wait <= least + least / 5);
        }

        #[test]
        fn every_life_ends(start in 0u32..2_000_000_000, random: u64) {
            let pace = Pace::default();
            let expires = start + pace.expire_secs;
            let (mut now, mut attempts) = (start, 0);
            while let Next::At(at) = next(&pace, now, expires, attempts, random) {
                prop_assert!(at > now && at <= expires);
                (now, attempts) = (at, attempts + 1);
                prop_assert!(attempts < 200);
            }
            prop_assert_eq!(now, expires);
        }
    }
}
