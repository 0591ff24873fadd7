//! A bell that rings for everybody who waits, on one thread.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Counts its rings, so that nobody who looks late misses one.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rings: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rings.set(self.rings.get() + 1);
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    pub(crate) fn watch(self: &Rc<Self>) -> Watch {
        Watch {
            waker: None,
            bell: Rc::clone(self),
            heard: self.rings.get(),
        }
    }
}

/// One listener: ready whenever the bell rang since it was last ready.
#[derive(Debug)]
pub struct Watch {
    bell: Rc<Bell>,
    heard: u64,
    /// What we left with the bell.
    waker: Option<Waker>,
}

impl Watch {
    /// Ready when something has changed since the last time this was ready. Cancel-safe.
    pub async fn changed(&mut self) {
        poll_fn(|context| {
            let rings = self.bell.rings.get();
            if rings != self.heard {
                self.heard = rings;
                return Poll::Ready(());
            }
            let mut waiting = self.bell.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
                self.waker = Some(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

/// A bell that rings seldom must not keep those who have gone.
impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(mine) = &self.waker {
            let mut waiting = self.bell.waiting.borrow_mut();
            waiting.retain(|waker| !waker.will_wake(mine));
        }
    }
}
