//! The end of a shard's conversations: told once, heard by everybody who waits for somebody else.

use slab::Slab;
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Whether the shard says goodbye.
#[derive(Default)]
pub struct Drain {
    is_on: Cell<bool>,
    waiting: RefCell<Slab<Waker>>,
}

impl Drain {
    pub fn new() -> Rc<Drain> {
        Rc::default()
    }

    pub fn begin(&self) {
        self.is_on.set(true);
        self.waiting
            .borrow()
            .iter()
            .for_each(|(_, waker)| waker.wake_by_ref());
    }

    pub fn is_on(&self) -> bool {
        self.is_on.get()
    }

    /// Waits for `event` or for the end, whichever comes first; `None` is the end. `event` is
    /// dropped then, so it must be cancel-safe.
    pub async fn or<T>(&self, event: impl Future<Output = T>) -> Option<T> {
        let mut event = pin!(event);
        let mut seat = Seat {
            drain: self,
            key: None,
        };
        std::future::poll_fn(|context| {
            if self.is_on() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(value) = event.as_mut().poll(context) {
                return Poll::Ready(Some(value));
            }
            seat.take(context.waker());
            Poll::Pending
        })
        .await
    }
}

/// One waiting task's place in the list, given up when it stops waiting.
struct Seat<'a> {
    drain: &'a Drain,
    key: Option<usize>,
}

impl Seat<'_> {
    fn take(&mut self, waker: &Waker) {
        let mut waiting = self.drain.waiting.borrow_mut();
        match self.key.and_then(|key| waiting.get_mut(key)) {
            Some(known) => known.clone_from(waker),
            None => self.key = Some(waiting.insert(waker.clone())),
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.drain.waiting.borrow_mut().try_remove(key);
        }
    }
}
