//! Worker threads for what would block a shard: password hashes, file system calls.
//!
//! Threads and queue are bounded. Two kinds of work that must not delay each other get a pool each.

use super::idle;
use super::oneshot::{self, oneshot};
use super::timer;
use super::wheel::TICK_MILLIS;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// A handle to the workers; they end when the last handle is dropped.
#[derive(Clone)]
pub struct Pool {
    jobs: Sender<Job>,
}

/// Why the work has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffloadError {
    /// The queue is full: the caller says "try again later".
    Busy,
    /// The work panicked; the worker lives.
    Panicked,
}

type Job = Box<dyn FnOnce() + Send>;

impl Pool {
    /// Starts `threads` workers named `NAME-0`, `NAME-1` … with a queue of `jobs_max`.
    pub fn start(name: &str, threads: usize, jobs_max: usize) -> io::Result<Pool> {
        Pool::start_as(name, threads, jobs_max, || ())
    }

    /// As [`Pool::start`], for work that everything else goes before, on CPU and disk.
    pub fn start_idle(name: &str, threads: usize, jobs_max: usize) -> io::Result<Pool> {
        Pool::start_as(name, threads, jobs_max, idle::step_back)
    }

    fn start_as(name: &str, threads: usize, jobs_max: usize, prepare: fn()) -> io::Result<Pool> {
        let (jobs, queue) = crossbeam_channel::bounded(jobs_max);
        for index in 0..threads.max(1) {
            let queue = queue.clone();
            let worker = move || {
                prepare();
                run_worker(&queue);
            };
            std::thread::Builder::new()
                .name(format!("{name}-{index}"))
                .spawn(worker)?;
        }
        Ok(Pool { jobs })
    }

    /// Runs `work` on a worker, from any runtime. If the future is dropped before a worker begins,
    /// the work is not done.
    pub async fn offload<T, W>(&self, work: W) -> Result<T, OffloadError>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let (job, result) = job(work);
        self.jobs.try_send(job).map_err(|_| OffloadError::Busy)?;
        result.await.map_err(|_| OffloadError::Panicked)
    }

    /// As [`Pool::offload`] on a shard, but waits for room in the queue: for the shard's own files
    /// and other work whose callers have bounds of their own.
    pub async fn offload_patiently<T, W>(&self, work: W) -> io::Result<T>
    where
        T: Send + 'static,
        W: FnOnce() -> io::Result<T> + Send + 'static,
    {
        let (mut job, result) = job(work);
        loop {
            job = match self.jobs.try_send(job) {
                Ok(()) => break,
                Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => job,
            };
            timer::sleep(Duration::from_millis(TICK_MILLIS)).await;
        }
        let panicked = |_| io::Error::other("a file worker panicked");
        result.await.map_err(panicked)?
    }
}

fn job<T, W>(work: W) -> (Job, oneshot::Receiver<T>)
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    let (sender, result) = oneshot();
    let job = move || {
        if !sender.is_closed() {
            // Nobody may wait any more; then the result is dropped here.
            drop(sender.send(work()));
        }
    };
    (Box::new(job), result)
}

fn run_worker(queue: &Receiver<Job>) {
    for job in queue {
        // A panic drops the job's sender, which tells the waiting task.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

impl std::fmt::Display for OffloadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            OffloadError::Busy => "all worker threads are busy",
            OffloadError::Panicked => "the work panicked on its worker thread",
        })
    }
}

impl std::error::Error for OffloadError {}
