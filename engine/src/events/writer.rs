//! The thread that alone writes the file, and what the other threads have of it.

use super::file::Files;
use super::line::Event;
use super::place::Reached;
use crate::config::{EventKind, EventKinds, Events};
use crate::event;
use crate::reactor::idle::rest;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Tells events to the writer. Clones are the same.
#[derive(Clone)]
pub struct Teller {
    shared: Arc<Shared>,
}

/// Ends the writer after all that was sent is written.
pub struct Ending {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

pub(super) struct Shared {
    kinds: EventKinds,
    waits: bool,
    orders: Sender<Order>,
    /// Lines that found no room, or no disk.
    dropped: AtomicU64,
    written: AtomicU64,
    is_stuck: AtomicBool,
    pub(super) reached: Reached,
}

enum Order {
    Lines {
        text: String,
        lines: u64,
        /// Counts the batches of its thread that are done with.
        done: Arc<AtomicU64>,
    },
    Stop,
}

/// Lines of one thread that gather.
pub(super) struct Batch {
    teller: Teller,
    text: String,
    lines: u64,
    sent: u64,
    done: Arc<AtomicU64>,
}

impl Teller {
    /// Opens the file and starts the thread.
    pub fn start(settings: &Events, clock: fn() -> SystemTime) -> io::Result<(Teller, Ending)> {
        let (orders, received) = bounded(BATCHES_MAX);
        let files = Files::open(settings, clock)?;
        let shared = Arc::new(Shared {
            kinds: settings.kinds,
            waits: settings.waits,
            orders,
            dropped: AtomicU64::new(0),
            written: AtomicU64::new(0),
            is_stuck: AtomicBool::new(false),
            reached: Reached::new(files.place(), settings.webhooks.len()),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            files,
            unwritten: Vec::new(),
            failing: false,
        };
        let thread = std::thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || writer.run(&received))?;
        let ending = Ending {
            shared: Arc::clone(&shared),
            thread,
        };
        Ok((Teller { shared }, ending))
    }

    pub(super) fn wants(&self, kind: EventKind) -> bool {
        self.shared.kinds.has(kind)
    }

    pub(super) fn waits(&self) -> bool {
        self.shared.waits
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Events written and events left out since the start.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let count = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        (count(&self.shared.written), count(&self.shared.dropped))
    }

    /// Is the disk full or broken just now?
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.shared.is_stuck.load(Ordering::Relaxed)
    }
}

impl Batch {
    pub(super) fn new(teller: Teller) -> Batch {
        Batch {
            teller,
            text: String::new(),
            lines: 0,
            sent: 0,
            done: Arc::default(),
        }
    }

    pub(super) fn put(&mut self, event: &Event<'_>) {
        if !self.teller.wants(event.kind) {
            return;
        }
        event.write(&mut self.text);
        self.lines += 1;
        if self.text.len() >= BATCH_BYTES {
            self.send();
        }
    }

    pub(super) fn send(&mut self) {
        if self.lines == 0 {
            return;
        }
        let shared = &self.teller.shared;
        let order = Order::Lines {
            text: std::mem::take(&mut self.text),
            lines: self.lines,
            done: Arc::clone(&self.done),
        };
        match shared.orders.try_send(order) {
            Ok(()) => self.sent += 1,
            // Who waits keeps it until there is room, up to a bound.
            Err(TrySendError::Full(Order::Lines { text, .. }))
                if shared.waits && text.len() < KEPT_BYTES_MAX =>
            {
                self.text = text;
                return;
            }
            Err(_) => {
                shared.dropped.fetch_add(self.lines, Ordering::Relaxed);
            }
        }
        self.lines = 0;
    }

    /// Is everything that was put in the file, or lost?
    pub(super) fn is_done(&mut self) -> bool {
        self.send();
        self.lines == 0 && self.done.load(Ordering::Acquire) >= self.sent
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.send();
    }
}

impl Ending {
    pub fn finish(self) {
        super::flush();
        if self.shared.orders.send(Order::Stop).is_ok() {
            // A panic of the writer has been printed already.
            let _ = self.thread.join();
        }
    }
}

struct Writer {
    shared: Arc<Shared>,
    files: Files,
    /// Batches that the disk has not taken yet.
    unwritten: Vec<(String, u64, Arc<AtomicU64>)>,
    failing: bool,
}

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            match orders.recv_timeout(LOOK) {
                Ok(Order::Lines { text, lines, done }) => {
                    self.unwritten.push((text, lines, done));
                    self.write();
                }
                Err(RecvTimeoutError::Timeout) => self.write(),
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.write();
                    return;
                }
            }
            let read = self.shared.reached.least_read();
            self.files.tend(read);
        }
    }

    /// Writes what there is. Where mail waits, what the disk does not take is kept, and the
    /// channel fills behind it; else it is counted and forgotten.
    fn write(&mut self) {
        while let Some((text, lines, done)) = self.unwritten.first() {
            let written = self.files.append(text.as_bytes());
            match &written {
                Ok(place) => {
                    self.shared.written.fetch_add(*lines, Ordering::Relaxed);
                    self.shared.reached.written(*place);
                }
                Err(_) if self.shared.waits => {}
                Err(_) => {
                    self.shared.dropped.fetch_add(*lines, Ordering::Relaxed);
                }
            }
            if written.is_ok() || !self.shared.waits {
                done.fetch_add(1, Ordering::Release);
            }
            self.say(written.as_ref().err());
            if written.is_err() && self.shared.waits {
                rest(PAUSE);
                return;
            }
            self.unwritten.remove(0);
        }
    }

    /// The beginning and the end of trouble are one line each.
    fn say(&mut self, error: Option<&io::Error>) {
        match error {
            Some(error) if !self.failing => {
                let why = error.to_string();
                event!(Error, "events cannot be written", why = why);
            }
            None if self.failing => event!(Info, "events are written again"),
            _ => {}
        }
        self.failing = error.is_some();
        self.shared.is_stuck.store(self.failing, Ordering::Relaxed);
    }
}

/// A batch goes out when it has this many octets.
const BATCH_BYTES: usize = 16 << 10;

/// Batches under way to the writer.
const BATCHES_MAX: usize = 1_024;

/// What one thread keeps where mail waits; whoever tells more without waiting loses it.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// How often a file is looked at whose time may be over.
const LOOK: Duration = Duration::from_millis(500);

/// Between two tries of a disk that is full.
const PAUSE: Duration = Duration::from_millis(200);
