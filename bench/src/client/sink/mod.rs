//! The server side of a load: takes mail as fast as it comes, or misbehaves by plan, and remembers
//! what came.
//!
//! ```text
//! listener ─► dialogue ─► judgement (plan, seed) ─► record: id, recipient, intact?, how long
//! ```

pub(crate) mod cover;
mod dialogue;
pub(crate) mod plan;
pub(crate) mod record;

use crate::client::smtp::Dialect;
use cover::Cover;
use engine::reactor::clock::monotonic_micros;
use engine::reactor::net::Bound;
use engine::reactor::{Listener, oneshot, spawn};
use engine::tls::Stream;
use plan::{Judge, Plan};
use record::Record;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

/// How a sink behaves; shared by its threads.
pub(crate) struct Settings {
    pub(crate) dialect: Dialect,
    pub(crate) cover: Cover,
    pub(crate) plan: Plan,
    /// Connections are taken and never hear a word.
    pub(crate) is_mute: bool,
    pub(crate) seed: u64,
    /// Messages a second that one thread accepts; `None`: as fast as they come.
    pub(crate) rate: Option<f64>,
    /// Numbers of known recipients; others are told apart by a hash of their address.
    pub(crate) accounts: HashMap<String, u32>,
    /// Copies that were recorded by all threads, for whoever waits for them.
    pub(crate) recorded: Arc<AtomicU64>,
    /// Recipients whose mail was acknowledged, whether it was of this tool or not.
    pub(crate) taken: Arc<AtomicU64>,
}

/// One thread of a sink.
pub(crate) struct Sink {
    settings: Arc<Settings>,
    record: RefCell<Record>,
    judge: RefCell<Judge>,
    /// When the next message may be accepted, where there is a rate.
    slot_micros: Cell<f64>,
    /// Of each connection that is open, to end it.
    open: RefCell<Slab<oneshot::Sender<()>>>,
}

/// The longest message that is taken.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 256 << 20;

impl Sink {
    pub(crate) fn new(settings: Arc<Settings>, index: u32) -> Rc<Sink> {
        let seed = crate::load::chance(settings.seed, u64::from(index));
        Rc::new(Sink {
            judge: RefCell::new(Judge::new(settings.plan, seed)),
            settings,
            record: RefCell::new(Record::new()),
            slot_micros: Cell::new(0.0),
            open: RefCell::default(),
        })
    }

    /// Takes connections until what it gives is dropped: then the port is free again, however
    /// long the kernel takes to clear up behind the process.
    pub(crate) fn listen(self: &Rc<Sink>, bound: Bound) -> io::Result<oneshot::Sender<()>> {
        let listener = Listener::new(bound)?;
        let sink = self.clone();
        let (end, mut ended) = oneshot::oneshot();
        spawn(async move {
            while let Some(Ok(socket)) = before(&mut ended, listener.accept(|_| ())).await {
                sink.record.borrow_mut().connections += 1;
                let sink = sink.clone();
                let (end, mut ended) = oneshot::oneshot();
                let at = sink.open.borrow_mut().insert(end);
                spawn(async move {
                    // A peer that goes away ends its own connection only.
                    drop(before(&mut ended, dialogue::converse(&sink, socket)).await);
                    sink.open.borrow_mut().try_remove(at);
                });
            }
        });
        Ok(end)
    }

    /// Ends all connections: the thread goes, and a client that keeps one would wait for answers
    /// that nobody gives.
    pub(crate) fn hang_up(&self) {
        self.open.take();
    }

    /// What was recorded until now.
    pub(crate) fn harvest(&self) -> Record {
        self.record.replace(Record::new())
    }

    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut Record) -> R) -> R {
        look(&mut self.record.borrow_mut())
    }

    /// How long the next message has to wait for its turn.
    fn wait_micros(&self) -> u64 {
        let Some(rate) = self.settings.rate else {
            return 0;
        };
        let now = monotonic_micros() as f64;
        let slot = self.slot_micros.get().max(now);
        self.slot_micros.set(slot + 1e6 / rate);
        (slot - now) as u64
    }

    /// Counts a handshake and how it ended.
    fn note_shaken(&self, shaken: io::Result<Stream>) -> io::Result<Stream> {
        let is_resumed = |stream: &Stream| stream.info().is_some_and(|info| info.resumed);
        self.look(|record| match &shaken {
            Ok(stream) if is_resumed(stream) => record.handshakes.resumed += 1,
            Ok(_) => record.handshakes.full += 1,
            Err(_) => record.handshakes.failed += 1,
        });
        shaken
    }

    fn note_copies(&self, recipients: usize, copies: u64) {
        let settings = &self.settings;
        settings.recorded.fetch_add(copies, Ordering::Relaxed);
        settings
            .taken
            .fetch_add(recipients as u64, Ordering::Relaxed);
    }
}

/// What `work` gives, unless the other end of `ended` goes first.
async fn before<T>(ended: &mut oneshot::Receiver<()>, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| match Pin::new(&mut *ended).poll(context) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => work.as_mut().poll(context).map(Some),
    })
    .await
}
