//! The log: one line per transaction and per login, keys in the words of the house.
//!
//! ```text
//! event!(Info, "received", queue_id = id, from = address, recipients = 3u64);
//! ```
//!
//! A thread formats into its own buffer; buffers go through a bounded channel to one writer thread.
//! Nobody ever waits for the log: where the channel is full, lines are dropped, counted, and the
//! log says how many. A thread sends each line at once, unless it promised to call [`flush`] itself
//! ([`batch`]): then lines gather until [`BATCH_BYTES`], a warning, or `flush`.
//!
//! The logger of the process is set once, before any thread starts; a thread takes it with its
//! first line. Before that, and in tests that do not [`Logger::attach`], lines go nowhere.

mod line;
#[cfg(test)]
mod tests;
mod value;
mod writer;

pub use line::{Event, FIELDS_MAX, Format, VALUE_BYTES_MAX, Value};
pub use writer::Target;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::SystemTime;
use writer::{Order, Writer};

/// A batch goes out when it has this many octets.
pub const BATCH_BYTES: usize = 16 << 10;

/// Batches under way to the writer: 16 MiB of lines at most.
pub const BATCHES_MAX: usize = 1024;

/// How much is said; each level says also what the ones before it say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Level {
    /// The operator must act.
    Error,
    /// The operator should know.
    Warn,
    /// One line per transaction and per login.
    Info,
    /// Each step of a dialogue.
    Debug,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    pub level: Level,
    pub format: Format,
    pub target: Target,
}

/// The log of the process. Clones are the same log.
#[derive(Clone)]
pub struct Logger {
    shared: Arc<Shared>,
}

/// Ends the writer thread after all that was sent is written.
pub struct Ending {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    level: AtomicU8,
    format: Format,
    clock: fn() -> SystemTime,
    orders: Sender<Order>,
    dropped: Arc<AtomicU64>,
}

/// What one thread has of the log.
struct Local {
    shared: Arc<Shared>,
    buffer: String,
    scratch: String,
    lines: u64,
    batching: bool,
}

static PROCESS: OnceLock<Logger> = OnceLock::new();

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// Writes one line: level, what happened, then `key = value`. Values are not looked at where the
/// level is not said.
#[macro_export]
macro_rules! event {
    ($level:ident, $name:expr $(, $key:ident = $value:expr)* $(,)?) => {
        if $crate::telemetry::log::says($crate::telemetry::log::Level::$level) {
            $crate::telemetry::log::write(&$crate::telemetry::log::Event {
                level: $crate::telemetry::log::Level::$level,
                name: $name,
                fields: &[$((stringify!($key), &$value as &dyn $crate::telemetry::log::Value)),*],
            });
        }
    };
}

/// Is anything said at this level?
#[must_use]
pub fn says(level: Level) -> bool {
    with_local(|local| local.shared.says(level)).unwrap_or(false)
}

/// What [`event!`] calls.
pub fn write(event: &Event<'_>) {
    let _ = with_local(|local| local.write(*event));
}

/// Lines of this thread gather from now on; it will call [`flush`] soon after each.
pub fn batch() {
    let _ = with_local(|local| local.batching = true);
}

/// Sends what this thread has gathered. Never waits.
pub fn flush() {
    let _ = with_local(Local::send);
}

impl Logger {
    /// Opens the target and starts the writer thread.
    pub fn start(settings: Settings, clock: fn() -> SystemTime) -> io::Result<(Logger, Ending)> {
        let (shared, received) = Shared::new(settings.level, settings.format, clock);
        let writer = Writer::open(Arc::clone(&shared), settings.target)?;
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run(&received))?;
        let ending = Ending {
            shared: Arc::clone(&shared),
            thread,
        };
        Ok((Logger { shared }, ending))
    }

    /// Makes this the log of every thread that has none yet. The first one stays.
    pub fn set_for_process(&self) {
        let _ = PROCESS.set(self.clone());
    }

    /// Makes this the log of this thread.
    pub fn attach(&self) {
        let local = Local::new(Arc::clone(&self.shared));
        // Fails only where a thread is ending, and then there is nothing to attach to.
        let _ = LOCAL.try_with(|held| {
            if let Ok(mut held) = held.try_borrow_mut() {
                *held = Some(local);
            }
        });
    }

    /// From the next line on.
    pub fn set_level(&self, level: Level) {
        self.shared.level.store(level as u8, Ordering::Relaxed);
    }

    /// The file is opened again, for SIGHUP.
    pub fn reopen(&self) {
        // A full channel has a writer that is far behind; the next SIGHUP comes.
        let _ = self.shared.orders.try_send(Order::Reopen);
    }

    /// Lines lost since the start; for the metrics.
    #[must_use]
    pub fn dropped(&self) -> &Arc<AtomicU64> {
        &self.shared.dropped
    }

    /// Waits until all that was sent before is written. Not on a shard.
    pub fn wait(&self) {
        flush();
        let (done, answer) = bounded(1);
        if self.shared.orders.send(Order::Flush(done)).is_ok() {
            let _ = answer.recv();
        }
    }
}

impl Ending {
    /// Writes what is under way and ends the thread. Lines sent later go nowhere.
    pub fn finish(self) {
        flush();
        if self.shared.orders.send(Order::Stop).is_ok() {
            // A panic of the writer has been printed already.
            let _ = self.thread.join();
        }
    }
}

impl Shared {
    fn new(
        level: Level,
        format: Format,
        clock: fn() -> SystemTime,
    ) -> (Arc<Shared>, Receiver<Order>) {
        let (orders, received) = bounded(BATCHES_MAX);
        let shared = Shared {
            level: AtomicU8::new(level as u8),
            format,
            clock,
            orders,
            dropped: Arc::default(),
        };
        (Arc::new(shared), received)
    }

    fn says(&self, level: Level) -> bool {
        level as u8 <= self.level.load(Ordering::Relaxed)
    }
}

impl Local {
    fn new(shared: Arc<Shared>) -> Local {
        Local {
            shared,
            buffer: String::new(),
            scratch: String::new(),
            lines: 0,
            batching: false,
        }
    }

    fn write(&mut self, event: Event<'_>) {
        let now = (self.shared.clock)();
        let format = self.shared.format;
        line::write(&mut self.buffer, &mut self.scratch, format, now, event);
        self.lines += 1;
        if !self.batching || self.buffer.len() >= BATCH_BYTES || event.level <= Level::Warn {
            self.send();
        }
    }

    fn send(&mut self) {
        if self.lines == 0 {
            return;
        }
        let room = if self.batching { BATCH_BYTES } else { 0 };
        let lines = std::mem::take(&mut self.lines);
        let text = std::mem::replace(&mut self.buffer, String::with_capacity(room));
        let order = Order::Lines { text, lines };
        if let Err(TrySendError::Full(_)) = self.shared.orders.try_send(order) {
            self.shared.dropped.fetch_add(lines, Ordering::Relaxed);
        }
    }
}

/// A thread that ends leaves nothing behind.
impl Drop for Local {
    fn drop(&mut self) {
        self.send();
    }
}

impl Level {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Level> {
        let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug];
        levels.into_iter().find(|level| level.name() == name)
    }
}

/// The thread's part of the log; `None` where there is no log, or where a value that is being
/// written wants to log something itself.
fn with_local<T>(use_it: impl FnOnce(&mut Local) -> T) -> Option<T> {
    let used = LOCAL.try_with(|held| {
        let mut held = held.try_borrow_mut().ok()?;
        if held.is_none() {
            *held = Some(Local::new(Arc::clone(&PROCESS.get()?.shared)));
        }
        held.as_mut().map(use_it)
    });
    used.ok().flatten()
}
