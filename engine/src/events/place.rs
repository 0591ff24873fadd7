//! Places in the files of events: how far the writer is, and how far each webhook.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// The end of a line: the number of its file, and octets in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Place {
    pub(super) file: u64,
    pub(super) at: u64,
}

/// How far everybody is. Read by all threads.
pub(super) struct Reached {
    file: AtomicU64,
    at: AtomicU64,
    hooks: Mutex<Vec<Progress>>,
    /// Rings for the webhooks when there is more.
    pub(super) more: Notify,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    place: Place,
    lag: Lag,
}

/// How far one webhook is behind, and what came of its requests since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lag {
    /// Octets of the present file and of whole files before it.
    pub octets: u64,
    pub delivered: u64,
    pub failures: u64,
    /// Files that were removed before it had read them.
    pub skipped: u64,
}

impl Reached {
    pub(super) fn new(place: Place, hooks: usize) -> Reached {
        let reached = Reached {
            file: AtomicU64::new(0),
            at: AtomicU64::new(0),
            hooks: Mutex::new(vec![Progress::default(); hooks]),
            more: Notify::new(),
        };
        reached.written(place);
        reached
    }

    /// The writer alone says it.
    pub(super) fn written(&self, place: Place) {
        // A reader that sees the new file and the old octets looks again.
        self.at.store(place.at, Ordering::Release);
        self.file.store(place.file, Ordering::Release);
        self.more.notify_waiters();
    }

    /// Where the next event goes.
    pub(super) fn present(&self) -> Place {
        Place {
            file: self.file(),
            at: self.at.load(Ordering::Acquire),
        }
    }

    /// The file that is written.
    pub(super) fn file(&self) -> u64 {
        self.file.load(Ordering::Acquire)
    }

    pub(super) fn read(&self, hook: usize, place: Place, lag: Lag) {
        if let Some(progress) = self.lock().get_mut(hook) {
            *progress = Progress { place, lag };
        }
    }

    /// Files before this one were read by every webhook.
    pub(super) fn least_read(&self) -> u64 {
        let least = self.lock().iter().map(|progress| progress.place.file).min();
        least.unwrap_or(u64::MAX)
    }

    pub(super) fn lags(&self) -> Vec<Lag> {
        let at = self.at.load(Ordering::Acquire);
        let file = self.file();
        let behind = |progress: &Progress| Lag {
            octets: match progress.place.file == file {
                true => at.saturating_sub(progress.place.at),
                false => progress.lag.octets.saturating_add(at),
            },
            ..progress.lag
        };
        self.lock().iter().map(behind).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Progress>> {
        // No code that can panic runs under it.
        self.hooks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
