//! What the threads of a run tell each other while it goes on: few words, four times a second.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Shared by the main thread and the shards of one run.
pub(crate) struct Board {
    /// Somebody ends the run before its time.
    pub(crate) stop: Arc<AtomicBool>,
    /// Shards whose connections are made.
    pub(crate) ready: AtomicU32,
    /// When the load begins; zero until all are ready.
    pub(crate) began_micros: AtomicU64,
    shards: Vec<Mutex<Live>>,
}

/// How a shard is doing.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Live {
    pub(crate) connected: u32,
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    /// Answers of any kind, so that silence is noticed.
    pub(crate) answered: u64,
    pub(crate) in_flight: u32,
    /// Of the operations that ended since it was told last.
    pub(crate) p50_micros: u64,
    pub(crate) p99_micros: u64,
}

impl Board {
    pub(crate) fn new(shards: u32, stop: Arc<AtomicBool>) -> Board {
        Board {
            stop,
            ready: AtomicU32::new(0),
            began_micros: AtomicU64::new(0),
            shards: (0..shards).map(|_| Mutex::default()).collect(),
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, shard: u32, live: Live) {
        if let Some(mut place) = self.place(shard) {
            *place = live;
        }
    }

    /// All shards together; of percentiles the worst.
    pub(crate) fn look(&self) -> Live {
        let mut sum = Live::default();
        for shard in 0..self.shards.len() as u32 {
            let Some(live) = self.place(shard).map(|place| *place) else {
                continue;
            };
            sum.connected += live.connected;
            sum.acknowledged += live.acknowledged;
            sum.failed += live.failed;
            sum.answered += live.answered;
            sum.in_flight += live.in_flight;
            sum.p50_micros = sum.p50_micros.max(live.p50_micros);
            sum.p99_micros = sum.p99_micros.max(live.p99_micros);
        }
        sum
    }

    fn place(&self, shard: u32) -> Option<MutexGuard<'_, Live>> {
        let place = self.shards.get(shard as usize)?;
        // A shard that panicked has told what it knew.
        Some(
            place
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }
}
