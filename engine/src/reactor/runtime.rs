//! Starting a shard: one thread, one core, one monoio runtime on io_uring, or on epoll when
//! io_uring is denied.

use super::clock::Clock;
use super::{local, task, timer};
use io_uring06 as io_uring;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Which of the kernel's event interfaces the process uses; one for all shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    Uring,
    Epoll,
}

/// Told about each panic that a task of a shard did not survive.
pub type PanicSink = Arc<dyn Fn(&str) + Send + Sync>;

/// Where and how a shard runs.
#[derive(Clone)]
pub struct Seat {
    pub backend: Backend,
    /// The core to stay on; `None` leaves it to the kernel.
    pub core: Option<usize>,
    pub on_panic: PanicSink,
    pub clock: Clock,
}

/// Entries of a shard's submission queue; a fuller queue is submitted early.
const SUBMISSION_ENTRIES: u32 = 1024;

/// Entries of a shard's completion queue; more completions wait in the kernel.
const COMPLETION_ENTRIES: u32 = 8192;

impl Backend {
    /// Asks the kernel once whether io_uring may be used with what a shard needs. The sentence is
    /// for the log.
    pub fn probe() -> (Backend, String) {
        match probe_uring() {
            Ok(()) => (
                Backend::Uring,
                String::from("shards run on io_uring (single issuer, deferred task run)"),
            ),
            Err(error) => (Backend::Epoll, explain(&error)),
        }
    }
}

/// Allows this process as many descriptors as its hard limit does, and says how many.
pub fn raise_descriptor_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // It stays as it was where this is refused.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current
}

/// Cores this process may run on, ascending.
pub fn cores() -> Vec<usize> {
    let Ok(allowed) = sched_getaffinity(None) else {
        return vec![0];
    };
    (0..CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect()
}

/// Starts the thread `shard-INDEX` and runs the future that `make` makes there until it ends.
///
/// Whatever the future spawned and left behind stays until the process ends: the runtime is not
/// dropped, because the kernel may still write into its buffers.
pub fn start_shard<M, F>(
    index: usize,
    seat: Seat,
    make: M,
) -> io::Result<JoinHandle<io::Result<()>>>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    std::thread::Builder::new()
        .name(format!("shard-{index}"))
        .spawn(move || run_shard(seat, make))
}

/// Runs a shard on this thread, which can be a shard only once.
pub fn run_shard<M, F>(seat: Seat, make: M) -> io::Result<F::Output>
where
    M: FnOnce() -> F,
    F: Future + 'static,
{
    if let Some(core) = seat.core {
        stay_on(core);
    }
    match seat.backend {
        Backend::Uring => {
            let builder = RuntimeBuilder::<IoUringDriver>::new();
            drive(
                builder
                    .with_entries(SUBMISSION_ENTRIES)
                    .uring_builder(ring())
                    .build()?,
                seat,
                make,
            )
        }
        Backend::Epoll => drive(RuntimeBuilder::<LegacyDriver>::new().build()?, seat, make),
    }
}

fn drive<D, M, F>(runtime: monoio::Runtime<D>, seat: Seat, make: M) -> io::Result<F::Output>
where
    D: monoio::Driver,
    M: FnOnce() -> F,
    F: Future,
{
    let mut runtime = std::mem::ManuallyDrop::new(runtime);
    runtime.block_on(async move {
        local::install(seat.backend, seat.on_panic, seat.clock)?;
        // Not guarded: a shard without these two must end, and be seen to.
        drop(monoio::spawn(task::run_yielded()));
        drop(monoio::spawn(timer::run_timers()));
        let output = make().await;
        // Closing is an operation of the ring too, and comes after waits that were cancelled.
        for _ in 0..2 {
            task::yield_now().await;
        }
        Ok(output)
    })
}

/// A core that cannot be had (a container's limit changed) costs locality, not correctness.
fn stay_on(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let _ = sched_setaffinity(None, &set);
}

fn ring() -> io_uring::Builder {
    let mut builder = io_uring::IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(COMPLETION_ENTRIES)
        .dontfork();
    builder
}

fn probe_uring() -> io::Result<()> {
    use io_uring::opcode::{AsyncCancel, Close, PollAdd, Read, Write};
    let ring = ring().build(8)?;
    let mut probe = io_uring::Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    let needed = [
        AsyncCancel::CODE,
        Close::CODE,
        PollAdd::CODE,
        Read::CODE,
        Write::CODE,
    ];
    if needed.iter().all(|code| probe.is_supported(*code)) {
        return Ok(());
    }
    Err(io::ErrorKind::Unsupported.into())
}

fn explain(error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "io_uring is denied here (seccomp, or kernel.io_uring_disabled)"
        }
        io::ErrorKind::InvalidInput => "this kernel's io_uring is too old (Linux 6.1 is needed)",
        io::ErrorKind::Unsupported => "this kernel has no usable io_uring (Linux 6.1 is needed)",
        _ => "io_uring cannot be set up",
    };
    format!("{why}: {error}; shards run on epoll, slower, with file work on threads")
}
