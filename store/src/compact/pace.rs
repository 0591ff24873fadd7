//! How fast a task goes, decided by whoever lets it run, and how far it has come.

/// How far a task has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What it is at, in a word or two.
    pub at: &'static str,
    /// In bytes of the files that the task empties, by the work that they make.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

/// The way through a task: every byte of its files is read, every byte that survives is packed and
/// then verified, and the three take about as long.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Course {
    /// In the files.
    pub(super) total: u64,
    /// Before compression; estimated until all of it is packed.
    pub(super) survivors: u64,
    pub(super) read: u64,
    pub(super) packed: u64,
    pub(super) verified: u64,
}

impl Course {
    pub(super) fn progress(&self, at: &'static str) -> Progress {
        let work = u128::from(self.total) + 2 * u128::from(self.survivors);
        let done = u128::from(self.read) + u128::from(self.packed) + u128::from(self.verified);
        let share = u128::from(self.total) * done.min(work) / work.max(1);
        Progress {
            at,
            done: u64::try_from(share).unwrap_or(self.total),
            total: self.total,
        }
    }
}

/// Asked between two pieces of work, a few megabytes each.
#[expect(async_fn_in_trait, reason = "a task never leaves its thread")]
pub trait Pace {
    /// Returns when the task may go on.
    async fn pause(&self, progress: Progress);

    /// The same for a task that nobody waits for: it may take twice the time.
    async fn give_way(&self, progress: Progress) {
        self.pause(progress).await;
    }
}

/// As fast as it goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unpaced;

impl Pace for Unpaced {
    async fn pause(&self, _: Progress) {}
}

impl<P: Pace> Pace for &P {
    async fn pause(&self, progress: Progress) {
        (**self).pause(progress).await;
    }

    async fn give_way(&self, progress: Progress) {
        (**self).give_way(progress).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_ends_when_all_is_verified() {
        let mut course = Course {
            total: 1000,
            survivors: 500,
            ..Course::default()
        };
        let done = |course: &Course| course.progress("at work").done;
        assert_eq!(done(&course), 0);
        course.read = 1000;
        assert_eq!(done(&course), 500);
        (course.packed, course.verified) = (500, 500);
        assert_eq!(done(&course), 1000);
        // The estimate was too low.
        course.packed = 900;
        assert_eq!(done(&course), 1000);
        assert_eq!(done(&Course::default()), 0);
    }
}
