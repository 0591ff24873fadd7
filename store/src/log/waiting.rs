//! Waiting on one thread: many tasks for one event, and one task for many events.

use std::cell::{Cell, RefCell};
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
