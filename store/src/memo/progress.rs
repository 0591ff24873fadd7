//! What time memos are dropped by: the clock's, as far as it is to be believed.
//!
//! What is not seen any more comes back when the clock is set right; what was dropped does not. So
//! a clock that leaps ahead drops nothing: time goes on here by the steps in which it is told, and
//! a step that is too long counts for none. A leap is believed when the clock has stood by it for a
//! day of such steps: then the store was out of use for as long.

/// The time up to which memos are dropped.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// In seconds since 1970; 0: nobody has told yet.
    secs: i64,
    /// What the clock said last.
    told: i64,
    /// Where we stood when the clock leapt ahead.
    since: Option<i64>,
}

impl Progress {
    /// Goes on from a second that was reached before; 0: none was.
    pub(crate) fn from(secs: i64) -> Progress {
        Progress {
            secs,
            told: secs,
            since: None,
        }
    }

    pub(crate) fn secs(self) -> i64 {
        self.secs
    }

    /// What the clock says.
    pub(crate) fn told(&mut self, clock: i64) {
        let step = clock.saturating_sub(self.told);
        self.told = clock;
        if self.secs == 0 || clock.saturating_sub(self.secs) <= STEP_SECS_MAX {
            // Nothing else is known, or it is near; back it may go as far as it likes.
            *self = Progress::from(clock);
            return;
        }
        if (0..=STEP_SECS_MAX).contains(&step) {
            self.secs = self.secs.saturating_add(step);
        }
        let since = *self.since.get_or_insert(self.secs);
        if self.secs.saturating_sub(since) >= DOUBT_SECS {
            *self = Progress::from(clock);
        }
    }
}

/// Between two tellings.
const STEP_SECS_MAX: i64 = 3_600;

/// How long a leap is doubted.
const DOUBT_SECS: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_000_000;

    #[test]
    fn a_clock_that_leaps_drops_nothing() {
        let mut progress = Progress::default();
        progress.told(NOON);
        progress.told(NOON + 600);
        assert_eq!(progress.secs(), NOON + 600);
        let leap = 20 * 365 * 86_400;
        for minute in 0..60 {
            progress.told(NOON + leap + minute * 60);
        }
        assert_eq!(progress.secs(), NOON + 600 + 59 * 60);
        progress.told(NOON + 5_000);
        assert_eq!(progress.secs(), NOON + 5_000, "it was set right");
    }

    #[test]
    fn a_leap_that_lasts_is_believed() {
        let mut progress = Progress::from(NOON);
        let week = 7 * 86_400;
        for hour in 0..24 {
            progress.told(NOON + week + hour * 3_600);
            assert!(progress.secs() < NOON + week, "{hour}");
        }
        progress.told(NOON + week + 24 * 3_600);
        assert_eq!(progress.secs(), NOON + week + 24 * 3_600);
    }

    #[test]
    fn a_clock_that_goes_back_is_followed() {
        let mut progress = Progress::from(NOON);
        progress.told(NOON - 86_400);
        assert_eq!(progress.secs(), NOON - 86_400);
    }
}
