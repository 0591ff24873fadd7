//! A bound that is waited for: octets of messages in memory, questions under way.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// So much at one time. One share that is greater than all of it is let in alone.
pub(super) struct Budget {
    most: Cell<u64>,
    used: Cell<u64>,
    /// Who waits, in order.
    waiting: RefCell<VecDeque<Rc<Turn>>>,
}

#[derive(Default)]
struct Turn {
    waker: RefCell<Option<Waker>>,
}

/// A part of a budget, given back when dropped.
pub(super) struct Share {
    budget: Rc<Budget>,
    amount: u64,
}

impl Budget {
    #[must_use]
    pub(super) fn new(most: u64) -> Rc<Budget> {
        Rc::new(Budget {
            most: Cell::new(most),
            used: Cell::new(0),
            waiting: RefCell::default(),
        })
    }

    /// From now on another bound; what is given out stays.
    pub(super) fn set(&self, most: u64) {
        self.most.set(most);
        self.call_next();
    }

    #[must_use]
    pub(super) fn most(&self) -> u64 {
        self.most.get()
    }

    /// Waits for its turn and for room.
    pub(super) async fn take(self: &Rc<Budget>, amount: u64) -> Share {
        let turn = Rc::new(Turn::default());
        self.waiting.borrow_mut().push_back(Rc::clone(&turn));
        let _leaves = Leaves {
            budget: self,
            turn: &turn,
        };
        poll_fn(|context| {
            let waiting = self.waiting.borrow();
            let is_first = waiting
                .front()
                .is_some_and(|first| Rc::ptr_eq(first, &turn));
            if is_first && self.has_room(amount) {
                return Poll::Ready(());
            }
            *turn.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        self.used.set(self.used.get() + amount);
        Share {
            budget: Rc::clone(self),
            amount,
        }
    }

    /// A part, if there is room at once.
    pub(super) fn try_take(self: &Rc<Budget>, amount: u64) -> Option<Share> {
        if !self.has_room_for(amount) {
            return None;
        }
        self.used.set(self.used.get() + amount);
        Some(Share {
            budget: Rc::clone(self),
            amount,
        })
    }

    #[must_use]
    pub(super) fn used(&self) -> u64 {
        self.used.get()
    }

    /// What is given out, in hundredths of all.
    #[must_use]
    pub(super) fn used_percent(&self) -> u64 {
        self.used.get().saturating_mul(100) / self.most.get().max(1)
    }

    /// Whether [`try_take`](Self::try_take) would give a part.
    #[must_use]
    pub(super) fn has_room_for(&self, amount: u64) -> bool {
        self.waiting.borrow().is_empty() && self.has_room(amount)
    }

    fn has_room(&self, amount: u64) -> bool {
        let used = self.used.get();
        used == 0 || used.saturating_add(amount) <= self.most.get()
    }

    fn call_next(&self) {
        let waiting = self.waiting.borrow();
        let waker = waiting.front().and_then(|turn| turn.waker.take());
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Share {
    #[must_use]
    pub(super) fn amount(&self) -> u64 {
        self.amount
    }
}

/// Whoever waits leaves the line, served or dropped, and the next one has a look.
struct Leaves<'a> {
    budget: &'a Budget,
    turn: &'a Rc<Turn>,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        let is_other = |turn: &Rc<Turn>| !Rc::ptr_eq(turn, self.turn);
        self.budget.waiting.borrow_mut().retain(is_other);
        self.budget.call_next();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let left = self.budget.used.get().saturating_sub(self.amount);
        self.budget.used.set(left);
        self.budget.call_next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::Context;

    #[test]
    fn the_first_in_line_is_the_first_served() {
        let budget = Budget::new(10);
        let mut context = Context::from_waker(Waker::noop());
        let first = budget.try_take(8).unwrap();
        assert_eq!(budget.used_percent(), 80);
        let mut big = pin!(budget.take(100));
        let mut small = pin!(budget.take(1));
        assert!(big.as_mut().poll(&mut context).is_pending());
        assert!(small.as_mut().poll(&mut context).is_pending());
        assert!(budget.try_take(1).is_none(), "others wait");
        drop(first);
        assert!(small.as_mut().poll(&mut context).is_pending());
        let Poll::Ready(big) = big.as_mut().poll(&mut context) else {
            panic!("the greatest is let in alone");
        };
        assert!(small.as_mut().poll(&mut context).is_pending());
        drop(big);
        assert!(small.as_mut().poll(&mut context).is_ready());
        assert_eq!(budget.used(), 0);
    }
}
