//! The inbox of a thread: one lock-free lane per sending thread, bounded in items and in bytes.
//!
//! A lane is a ring of one producer and one consumer plus a count of the bytes in it. Two flags
//! keep wake-ups away from threads that are awake anyway:
//!
//! ```text
//! receiver: all lanes empty → lie down in `parked` (waker, flag, FENCE), look again, sleep
//! sender:   push, FENCE, if `parked` is occupied then wake the receiver
//!
//! sender:   no credit → lie down in `starved`, try again, sleep
//! receiver: pop; if half the lane is free: FENCE, if `starved` is occupied then wake the sender
//! ```
//!
//! Each side writes its own word, fences (SeqCst) and reads the other's, so at least one of them
//! sees the other: no wake-up is lost. `tests/loom` tries every interleaving.
//!
//! Items of one sender arrive in the order in which its sends returned.

use super::sync::{
    Arc, AtomicBool, AtomicUsize, AtomicWaker, Consumer, Ordering, Producer, RingBuffer, fence,
};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

/// Bounds of one lane.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub items_max: usize,
    /// An item that alone is larger passes through an empty lane.
    pub bytes_max: usize,
}

/// Why an item was not taken; it is given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendError<T> {
    /// No credit now, or others wait for it already.
    Full(T),
    /// The receiver is gone.
    Closed(T),
}

/// The sending end of a lane, used by the tasks of one thread.
pub struct Sender<T> {
    state: RefCell<SenderState<T>>,
    lane: Arc<Lane>,
    parked: Arc<Bed>,
    limit: Limit,
}

/// The receiving end of all lanes of an inbox, used by one task.
pub struct Receiver<T> {
    lanes: Vec<ReceiverLane<T>>,
    /// The lane that is looked at first, so that a busy one does not starve the others.
    next: usize,
    parked: Arc<Bed>,
}

/// Makes an inbox with `senders` lanes.
pub fn inbox<T>(senders: usize, limit: Limit) -> (Vec<Sender<T>>, Receiver<T>) {
    assert!(limit.items_max > 0, "a lane holds at least one item");
    let parked = Arc::new(Bed::default());
    let lanes = (0..senders).map(|_| lane(&parked, limit));
    let (senders, lanes) = lanes.unzip();
    let receiver = Receiver {
        lanes,
        next: 0,
        parked,
    };
    (senders, receiver)
}

/// Where one side of a queue sleeps until the other has something for it.
#[derive(Default)]
struct Bed {
    occupied: AtomicBool,
    waker: AtomicWaker,
}

/// What both ends of a lane share beside the ring.
#[derive(Default)]
struct Lane {
    bytes: AtomicUsize,
    /// Of the sender that has no credit.
    starved: Bed,
}

/// Reads how full an inbox is; whoever holds it keeps nothing alive but a few counters.
pub struct Fill(Vec<Arc<Lane>>);

impl Fill {
    /// Of all items that wait, as their senders counted them.
    pub fn bytes(&self) -> usize {
        let lanes = self.0.iter();
        lanes.map(|lane| lane.bytes.load(Ordering::Relaxed)).sum()
    }
}

struct Parcel<T> {
    item: T,
    bytes: usize,
}

struct SenderState<T> {
    /// `None` only while dropping.
    ring: Option<Producer<Parcel<T>>>,
    /// Tasks in [`Sender::send`], first come first served; the first one waits for credit.
    queue: VecDeque<(u64, Option<Waker>)>,
    ticket_next: u64,
}

struct ReceiverLane<T> {
    ring: Consumer<Parcel<T>>,
    lane: Arc<Lane>,
    limit: Limit,
}

fn lane<T>(parked: &Arc<Bed>, limit: Limit) -> (Sender<T>, ReceiverLane<T>) {
    let (producer, consumer) = RingBuffer::new(limit.items_max);
    let lane = Arc::new(Lane::default());
    let sender = Sender {
        state: RefCell::new(SenderState {
            ring: Some(producer),
            queue: VecDeque::new(),
            ticket_next: 0,
        }),
        lane: lane.clone(),
        parked: parked.clone(),
        limit,
    };
    let receiver = ReceiverLane {
        ring: consumer,
        lane,
        limit,
    };
    (sender, receiver)
}

impl<T> Sender<T> {
    /// Sends now or not at all. `bytes` is what the item holds beside itself.
    pub fn try_send(&self, item: T, bytes: usize) -> Result<(), SendError<T>> {
        if !self.state.borrow().queue.is_empty() {
            return Err(SendError::Full(item));
        }
        self.push(item, bytes)
    }

    /// Sends as soon as there is credit: the caller's socket is not read meanwhile. Gives the item
    /// back when the receiver is gone. If the future is dropped the item is not sent.
    pub async fn send(&self, item: T, bytes: usize) -> Result<(), T> {
        let turn = self.take_turn();
        let mut item = Some(item);
        std::future::poll_fn(|cx| {
            ready!(turn.poll_first(cx));
            let unsent = item.take().expect("polled after it was ready");
            match self.push_or_wait(unsent, bytes, cx) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(SendError::Closed(unsent)) => Poll::Ready(Err(unsent)),
                Err(SendError::Full(unsent)) => {
                    item = Some(unsent);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Whether the receiver is gone.
    pub fn is_closed(&self) -> bool {
        let state = self.state.borrow();
        state.ring.as_ref().is_none_or(Producer::is_abandoned)
    }

    fn push_or_wait(&self, item: T, bytes: usize, cx: &Context<'_>) -> Result<(), SendError<T>> {
        let item = match self.push(item, bytes) {
            Err(SendError::Full(item)) => item,
            done => return done,
        };
        self.lane.starved.lie_down(cx.waker());
        self.push(item, bytes)
    }

    fn push(&self, item: T, bytes: usize) -> Result<(), SendError<T>> {
        let mut state = self.state.borrow_mut();
        let ring = state.ring.as_mut().expect("taken only by drop");
        if ring.is_abandoned() {
            return Err(SendError::Closed(item));
        }
        // Only this thread adds, so what is free now stays free.
        let queued = self.lane.bytes.load(Ordering::Acquire);
        let has_credit = queued == 0 || queued.saturating_add(bytes) <= self.limit.bytes_max;
        if !has_credit || ring.is_full() {
            return Err(SendError::Full(item));
        }
        self.lane.bytes.fetch_add(bytes, Ordering::Relaxed);
        let pushed = ring.push(Parcel { item, bytes });
        assert!(
            pushed.is_ok(),
            "a free slot stays free until its only producer takes it"
        );
        drop(state);
        self.parked.wake();
        Ok(())
    }

    fn take_turn(&self) -> Turn<'_, T> {
        let mut state = self.state.borrow_mut();
        let ticket = state.ticket_next;
        state.ticket_next += 1;
        state.queue.push_back((ticket, None));
        Turn {
            sender: self,
            ticket,
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // The ring first, so that the receiver sees it abandoned when it wakes.
        self.state.get_mut().ring = None;
        self.parked.wake();
    }
}

/// A place among the tasks that send on one lane; given up when dropped.
struct Turn<'a, T> {
    sender: &'a Sender<T>,
    ticket: u64,
}

impl<T> Turn<'_, T> {
    fn poll_first(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.sender.state.borrow_mut();
        if state
            .queue
            .front()
            .is_some_and(|first| first.0 == self.ticket)
        {
            return Poll::Ready(());
        }
        let mine = state.queue.iter_mut().find(|place| place.0 == self.ticket);
        mine.expect("a turn leaves the queue when dropped").1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let mut state = self.sender.state.borrow_mut();
        state.queue.retain(|place| place.0 != self.ticket);
        // Whoever is first now, perhaps not for the first time: a needless wake-up is harmless.
        let next = state.queue.front_mut().and_then(|first| first.1.take());
        drop(state);
        next.into_iter().for_each(Waker::wake);
    }
}

impl<T> Receiver<T> {
    /// How full it is, now and later.
    pub fn fill(&self) -> Fill {
        Fill(self.lanes.iter().map(|lane| lane.lane.clone()).collect())
    }

    /// The next item, or `None` when all senders are gone and all lanes are empty. Cancel-safe.
    pub async fn recv(&mut self) -> Option<T> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_recv(cx)).await
    }

    /// Waits for items and appends up to `items_max` of them to `batch`; `false` when all senders
    /// are gone. Cancel-safe.
    ///
    /// A shard yields after each batch: while it does not look, it is not parked and nobody wakes
    /// it, and its sockets have a turn.
    pub async fn recv_batch(&mut self, batch: &mut Vec<T>, items_max: usize) -> bool {
        let Some(first) = self.recv().await else {
            return false;
        };
        batch.push(first);
        batch.extend(std::iter::from_fn(|| self.try_recv()).take(items_max.saturating_sub(1)));
        true
    }

    /// An item that is there already; lanes take turns.
    pub fn try_recv(&mut self) -> Option<T> {
        for _ in 0..self.lanes.len() {
            let index = self.next;
            self.next = (index + 1) % self.lanes.len();
            if let Some(item) = self.lanes.get_mut(index).and_then(ReceiverLane::pop) {
                return Some(item);
            }
        }
        None
    }

    /// As [`Receiver::recv`], for a caller with a context.
    pub fn poll_recv(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        if let Some(item) = self.try_recv() {
            self.parked.rise();
            return Poll::Ready(Some(item));
        }
        self.parked.lie_down(cx.waker());
        // In this order: an abandoned lane gets no more items.
        let closed = self.lanes.iter().all(|lane| lane.ring.is_abandoned());
        let item = self.try_recv();
        if item.is_some() || closed {
            self.parked.rise();
            return Poll::Ready(item);
        }
        Poll::Pending
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        for lane in self.lanes.drain(..) {
            let shared = lane.lane.clone();
            drop(lane);
            shared.starved.wake();
        }
    }
}

impl<T> ReceiverLane<T> {
    fn pop(&mut self) -> Option<T> {
        let parcel = self.ring.pop().ok()?;
        let before = self.lane.bytes.fetch_sub(parcel.bytes, Ordering::Release);
        let bytes = before - parcel.bytes;
        let items = self.ring.slots();
        if items * 2 <= self.limit.items_max && bytes * 2 <= self.limit.bytes_max {
            self.lane.starved.wake();
        }
        Some(parcel.item)
    }
}

impl Bed {
    /// Before the last look; whoever finds something then gets up again.
    fn lie_down(&self, waker: &Waker) {
        self.waker.register(waker);
        self.occupied.swap(true, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    fn rise(&self) {
        if self.occupied.load(Ordering::Relaxed) {
            self.occupied.swap(false, Ordering::AcqRel);
        }
    }

    /// After something was put where the other side will look.
    fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.occupied.load(Ordering::Relaxed) && self.occupied.swap(false, Ordering::AcqRel) {
            self.waker.wake();
        }
    }
}
