//! What one shard thread keeps for its tasks: backend, timers, lent buffers, yielded tasks.
//!
//! It belongs to the thread as the runtime itself does; a task reaches it without carrying a
//! handle.

use super::buffer::Buffers;
use super::clock::Clock;
use super::runtime::{Backend, PanicSink};
use super::task::Yielded;
use super::timer::Timers;
use std::cell::OnceCell;
use std::io;

pub(super) struct Local {
    pub(super) backend: Backend,
    pub(super) on_panic: PanicSink,
    pub(super) timers: Timers,
    pub(super) buffers: Buffers,
    pub(super) yielded: Yielded,
}

thread_local! {
    static LOCAL: OnceCell<Local> = const { OnceCell::new() };
}

/// Makes the local part of a shard; once a thread, inside its runtime.
pub(super) fn install(backend: Backend, on_panic: PanicSink, clock: Clock) -> io::Result<()> {
    let local = Local {
        backend,
        on_panic,
        timers: Timers::new(clock)?,
        buffers: Buffers::new(),
        yielded: Yielded::new()?,
    };
    let fresh = LOCAL.with(|cell| cell.set(local).is_ok());
    assert!(fresh, "one runtime a thread");
    Ok(())
}

/// Calls `f` with the local part of this shard. Panics on a thread that is not a shard.
pub(super) fn with<R>(f: impl FnOnce(&Local) -> R) -> R {
    LOCAL.with(|cell| f(cell.get().expect("called on a shard thread")))
}

/// As [`with`], or `None` on another thread or while the thread ends.
pub(super) fn try_with<R>(f: impl FnOnce(&Local) -> R) -> Option<R> {
    LOCAL.try_with(|cell| cell.get().map(f)).ok().flatten()
}
