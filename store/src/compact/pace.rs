//! How fast a task goes, decided by whoever lets it run, and how far it has come.

/// How far a task has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What it is at, in a word or two.
    pub at: &'static str,
    /// In bytes that were read.
    pub done: u64,
    /// In bytes that there are to read.
    pub total: u64,
}

/// Asked between two pieces of work, a few megabytes each.
#[expect(async_fn_in_trait, reason = "a task never leaves its thread")]
pub trait Pace {
    /// Returns when the task may go on.
    async fn pause(&self, progress: Progress);
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
}
