//! The reactor with real sockets, files and threads, on both backends.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod denied;
mod files;
mod inboxes;
mod sockets;
mod tasks;

use super::runtime::run_shard;
use super::{Backend, Clock, Seat};
use std::sync::Arc;
use std::thread::JoinHandle;

/// The backends this machine has.
fn backends() -> Vec<Backend> {
    let (backend, sentence) = Backend::probe();
    assert!(!sentence.is_empty());
    if backend == Backend::Uring {
        vec![Backend::Uring, Backend::Epoll]
    } else {
        vec![Backend::Epoll]
    }
}

fn seat(backend: Backend) -> Seat {
    Seat {
        backend,
        core: None,
        on_panic: Arc::new(|_| {}),
        clock: Clock::Kernel,
    }
}

/// Runs a future on a shard of its own.
fn shard<M, F>(backend: Backend, make: M) -> JoinHandle<F::Output>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    std::thread::spawn(move || run_shard(seat(backend), make).unwrap())
}

/// As `shard`, on each backend in turn, and waits for the end.
fn on_each_backend<M, F>(make: M)
where
    M: FnOnce(Backend) -> F + Send + Copy + 'static,
    F: Future<Output = ()> + 'static,
{
    for backend in backends() {
        let ended = shard(backend, move || make(backend)).join();
        assert!(ended.is_ok(), "on {backend:?}");
    }
}
