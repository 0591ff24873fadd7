//! Waiting on one thread: many tasks for one event, and one task for many events.

use crate::mail::id::FrameSeq;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// Tasks that wait for the next time something happens; all are woken at once.
#[derive(Default)]
pub(super) struct Waiters {
    wakers: RefCell<Vec<Waker>>,
    /// Counts wake-ups, so that a task that is polled again keeps its one place in the list.
    round: Cell<u64>,
}

impl Waiters {
    /// Waits until `ready` gives an answer; it is asked again after each [`Waiters::wake_all`].
    pub(super) async fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        let mut place = None;
        poll_fn(|context| match ready() {
            Some(answer) => Poll::Ready(answer),
            None => {
                place = Some(self.register(place, context.waker()));
                Poll::Pending
            }
        })
        .await
    }

    /// `place`: round and index of an earlier registration of the same task.
    fn register(&self, place: Option<(u64, usize)>, waker: &Waker) -> (u64, usize) {
        let round = self.round.get();
        let mut wakers = self.wakers.borrow_mut();
        let index = place.filter(|(registered, _)| *registered == round);
        if let Some(slot) = index.and_then(|(_, index)| wakers.get_mut(index)) {
            slot.clone_from(waker);
            return place.unwrap_or_default();
        }
        wakers.push(waker.clone());
        (round, wakers.len() - 1)
    }

    pub(super) fn wake_all(&self) {
        self.round.set(self.round.get() + 1);
        let mut woken = self.wakers.take();
        for waker in woken.drain(..) {
            waker.wake();
        }
        // The capacity is kept unless somebody registered meanwhile.
        let mut wakers = self.wakers.borrow_mut();
        if wakers.is_empty() {
            *wakers = woken;
        }
    }
}

/// Tasks that wait for what becomes of a frame; frames are settled in their order, so whoever waits
/// for a later one sleeps on.
#[derive(Default)]
pub(super) struct FrameWaiters {
    /// Ascending.
    groups: RefCell<VecDeque<Group>>,
    /// Emptied lists of wakers, for groups to come.
    spare: RefCell<Vec<Vec<Waker>>>,
    next_group: Cell<u64>,
}

/// Those that wait for one frame.
struct Group {
    frame: FrameSeq,
    /// Never used again, so that a place in a group that is gone is not taken for another's.
    number: u64,
    wakers: Vec<Waker>,
}

impl FrameWaiters {
    /// Waits until `ready` gives an answer; it is asked again when `frame` is settled.
    pub(super) async fn until<T>(
        &self,
        frame: FrameSeq,
        mut ready: impl FnMut() -> Option<T>,
    ) -> T {
        let mut place = None;
        poll_fn(|context| match ready() {
            Some(answer) => Poll::Ready(answer),
            None => {
                place = Some(self.register(frame, place, context.waker()));
                Poll::Pending
            }
        })
        .await
    }

    /// `place`: group and index of an earlier registration of the same task.
    fn register(
        &self,
        frame: FrameSeq,
        place: Option<(u64, usize)>,
        waker: &Waker,
    ) -> (u64, usize) {
        let mut groups = self.groups.borrow_mut();
        let at = groups.partition_point(|group| group.frame < frame);
        if groups.get(at).is_none_or(|group| group.frame != frame) {
            groups.insert(at, self.group(frame));
        }
        let group = groups.get_mut(at).expect("it was there or has been added");
        let index = place.filter(|(number, _)| *number == group.number);
        if let Some(slot) = index.and_then(|(_, index)| group.wakers.get_mut(index)) {
            slot.clone_from(waker);
            return place.unwrap_or_default();
        }
        group.wakers.push(waker.clone());
        (group.number, group.wakers.len() - 1)
    }

    fn group(&self, frame: FrameSeq) -> Group {
        let number = self.next_group.get();
        self.next_group.set(number + 1);
        Group {
            frame,
            number,
            wakers: self.spare.borrow_mut().pop().unwrap_or_default(),
        }
    }

    /// Frames up to `frame` are settled.
    pub(super) fn wake_through(&self, frame: FrameSeq) {
        let is_settled = |group: &mut Group| group.frame <= frame;
        loop {
            let settled = self.groups.borrow_mut().pop_front_if(is_settled);
            let Some(mut group) = settled else {
                return;
            };
            group.wakers.drain(..).for_each(Waker::wake);
            let mut spare = self.spare.borrow_mut();
            if spare.len() < SPARE_LISTS_MAX {
                spare.push(group.wakers);
            }
        }
    }

    pub(super) fn wake_all(&self) {
        self.wake_through(FrameSeq(u64::MAX));
    }
}

/// One for the frame on its way and one for the next.
const SPARE_LISTS_MAX: usize = 2;

/// Tells the one task of `Log::run` that the state changed.
///
/// While that task is being polled, a change is noted and the task goes round once more, instead of
/// waking itself: a self-waking task starves a monoio shard (research/dependencies.md §1.2).
#[derive(Default)]
pub(super) struct Bell {
    waker: RefCell<Option<Waker>>,
    rung: Cell<bool>,
    awake: Cell<bool>,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.set(true);
        if !self.awake.get()
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    /// Polls `turn` until it is ready, or until it is not and nobody rang during the last round.
    pub(super) fn rounds(
        &self,
        context: &mut Context<'_>,
        mut turn: impl FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> Poll<()> {
        self.waker.replace(Some(context.waker().clone()));
        self.awake.set(true);
        let poll = loop {
            self.rung.set(false);
            let poll = turn(context);
            if poll.is_ready() || !self.rung.get() {
                break poll;
            }
        };
        self.awake.set(false);
        poll
    }
}
