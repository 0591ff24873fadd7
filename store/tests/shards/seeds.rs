//! Seeds, spread over the cores: how many, from which, and which of them failed.

use std::num::NonZero;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, Once};
use std::thread;

/// Runs `test` for `RINGPOST_SEEDS` seeds, or `default`, from `RINGPOST_FIRST_SEED` or 1.
pub(crate) fn over_seeds<T: Send>(default: u64, test: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let first = number("RINGPOST_FIRST_SEED").unwrap_or(1);
    let count = number("RINGPOST_SEEDS").unwrap_or(default);
    over_numbers(first..first + count, test)
}

/// Runs `test` for these seeds. Fails with the numbers of those for which it panics.
pub(crate) fn over_numbers<T: Send>(seeds: Range<u64>, test: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let end = seeds.end;
    let first = seeds.start;
    let next = AtomicU64::new(first);
    let (outcomes, failed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= end || failed.lock().unwrap().len() >= FAILED_MAX {
                return;
            }
            match catch_unwind(AssertUnwindSafe(|| test(seed))) {
                Ok(outcome) => outcomes.lock().unwrap().push(outcome),
                Err(_) => {
                    eprintln!("seed {seed} failed");
                    failed.lock().unwrap().push(seed);
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
    outcomes.into_inner().unwrap()
}

/// Whether `test` panics, which it does without a word.
pub(crate) fn panics(test: impl FnOnce() + Send) -> bool {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(CONTROL) {
                others(panic);
            }
        }));
    });
    thread::scope(|scope| {
        let control = thread::Builder::new().name(CONTROL.to_owned());
        let control = control.spawn_scoped(scope, test);
        control.unwrap().join().is_err()
    })
}

pub(crate) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// After so many the others would say the same.
const FAILED_MAX: usize = 10;

/// The name of threads that are meant to panic.
const CONTROL: &str = "control";
