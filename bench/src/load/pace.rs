//! Who may begin the next operation of a shard, and when: the gate all of its workers go through.
//!
//! In a closed loop whoever asks goes on. In an open loop the next one waits for its moment; late
//! moments are taken at once, with the time at which they should have been. The waiting line is
//! the arrivals themselves: nothing grows while a server is slow.

use super::arrivals::Arrivals;
use engine::reactor::Alarm;
use engine::reactor::clock::monotonic_micros;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

/// Leave to begin one operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticket {
    /// In the whole run.
    pub(crate) number: u64,
    /// When it should begin; latencies count from here.
    pub(crate) start_micros: u64,
}

/// Until when a shard goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) tickets_max: u64,
    pub(crate) micros_max: u64,
}

/// The gate of one shard.
pub(crate) struct Pace {
    bounds: Bounds,
    /// This shard's number and how many there are: their tickets interleave.
    index: u64,
    shards: u64,
    issued: Cell<u64>,
    /// Zero: not yet.
    began_micros: Cell<u64>,
    /// `None` in a closed loop.
    arrivals: RefCell<Option<Arrivals>>,
    waiting: RefCell<VecDeque<Waker>>,
    /// Of [`Pace::keep_time`], while nobody waits for a moment.
    timekeeper: Cell<Option<Waker>>,
    stop: Arc<AtomicBool>,
}

impl Pace {
    pub(crate) fn new(bounds: Bounds, index: u32, shards: u32, stop: Arc<AtomicBool>) -> Pace {
        Pace {
            bounds,
            index: u64::from(index),
            shards: u64::from(shards),
            issued: Cell::new(0),
            began_micros: Cell::new(0),
            arrivals: RefCell::new(None),
            waiting: RefCell::default(),
            timekeeper: Cell::new(None),
            stop,
        }
    }

    /// Lets all workers go.
    pub(crate) fn begin(&self, began_micros: u64, arrivals: Option<Arrivals>) {
        self.began_micros.set(began_micros);
        *self.arrivals.borrow_mut() = arrivals;
        self.wake_all();
    }

    /// The next ticket, as soon as there is one; `None` when the run is over.
    pub(crate) async fn take(&self) -> Option<Ticket> {
        let mut queued = false;
        std::future::poll_fn(|cx| {
            // Whoever was woken may find the ticket gone: he lines up again.
            match self.try_take() {
                Some(taken) => Poll::Ready(taken),
                None => {
                    let mut waiting = self.waiting.borrow_mut();
                    match queued {
                        true => waiting.push_front(cx.waker().clone()),
                        false => waiting.push_back(cx.waker().clone()),
                    }
                    queued = true;
                    self.timekeeper.take().into_iter().for_each(Waker::wake);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// A ticket that is there now: `Some(None)` when the run is over, `None` when it is to wait.
    pub(crate) fn try_take(&self) -> Option<Option<Ticket>> {
        let began = self.began_micros.get();
        if began == 0 {
            return self.is_stopped().then_some(None);
        }
        let now = monotonic_micros();
        if self.is_over(now) {
            return Some(None);
        }
        let start_micros = match &mut *self.arrivals.borrow_mut() {
            None => now,
            Some(arrivals) => {
                let due = arrivals.due_micros();
                if due.saturating_sub(began) >= self.bounds.micros_max {
                    return Some(None);
                }
                if due > now {
                    return None;
                }
                arrivals.advance();
                if arrivals.due_micros() <= now {
                    self.wake_one();
                }
                due
            }
        };
        let number = self.index + self.issued.get() * self.shards;
        self.issued.set(self.issued.get() + 1);
        Some(Some(Ticket {
            number,
            start_micros,
        }))
    }

    /// Wakes one worker for each moment of an open loop, and all at the end. Runs beside them.
    pub(crate) async fn keep_time(&self) -> io::Result<()> {
        let alarm = Alarm::new()?;
        loop {
            let now = monotonic_micros();
            if self.began_micros.get() != 0 && self.is_over(now) || self.is_stopped() {
                self.wake_all();
                return Ok(());
            }
            let due = self.due_micros();
            if due <= now {
                self.wake_one();
                self.until_somebody_waits().await;
                continue;
            }
            alarm.at(due.min(now + LOOK_MICROS)).await?;
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Tickets that were due and that nobody was free to take.
    pub(crate) fn late(&self, now_micros: u64) -> u64 {
        let mut late = 0;
        if let Some(arrivals) = &mut *self.arrivals.borrow_mut() {
            let end = self
                .began_micros
                .get()
                .saturating_add(self.bounds.micros_max);
            let end = end.min(now_micros);
            let left = self.bounds.tickets_max.saturating_sub(self.issued.get());
            while late < left.min(LATE_MAX) && arrivals.due_micros() < end {
                arrivals.advance();
                late += 1;
            }
        }
        late
    }

    fn is_over(&self, now: u64) -> bool {
        let passed = now.saturating_sub(self.began_micros.get());
        self.is_stopped()
            || passed >= self.bounds.micros_max && self.arrivals.borrow().is_none()
            || self.issued.get() >= self.bounds.tickets_max
            // Late moments are caught up on, but not for ever.
            || passed >= self.bounds.micros_max.saturating_add(CATCH_UP_MICROS)
    }

    fn due_micros(&self) -> u64 {
        let arrivals = self.arrivals.borrow();
        arrivals.as_ref().map_or(u64::MAX, Arrivals::due_micros)
    }

    async fn until_somebody_waits(&self) {
        std::future::poll_fn(|cx| {
            if !self.waiting.borrow().is_empty() || self.is_stopped() {
                return Poll::Ready(());
            }
            self.timekeeper.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    fn wake_one(&self) {
        let first = self.waiting.borrow_mut().pop_front();
        first.into_iter().for_each(Waker::wake);
    }

    fn wake_all(&self) {
        let all = self.waiting.take();
        all.into_iter().for_each(Waker::wake);
    }
}

/// How often a waiting gate looks whether it was stopped.
const LOOK_MICROS: u64 = 50_000;

/// How long after its end an open loop still begins what was due before it.
const CATCH_UP_MICROS: u64 = 2_000_000;

/// Counting stops here.
const LATE_MAX: u64 = 100_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::arrivals::{Rate, Spacing, Tempo};

    fn pace(tickets_max: u64, micros_max: u64) -> Pace {
        let bounds = Bounds {
            tickets_max,
            micros_max,
        };
        Pace::new(bounds, 1, 4, Arc::default())
    }

    #[test]
    fn a_closed_loop_gives_its_share_of_numbers_and_no_more() {
        let pace = pace(3, u64::MAX);
        assert_eq!(pace.try_take(), None, "not begun");
        pace.begin(monotonic_micros(), None);
        let numbers: Vec<u64> = std::iter::from_fn(|| pace.try_take().flatten())
            .map(|ticket| ticket.number)
            .collect();
        assert_eq!(numbers, [1, 5, 9]);
        assert_eq!(pace.try_take(), Some(None));
    }

    #[test]
    fn late_moments_are_given_at_once_with_the_time_they_should_have_been() {
        let pace = pace(u64::MAX, 1_000_000);
        let rate = Rate::Even(1_000.0);
        let spacing = Spacing::Constant;
        let began = monotonic_micros() - 10_000;
        let arrivals = Arrivals::new(Tempo { rate, spacing }, 1, 0, 1, began);
        pace.begin(began, Some(arrivals));
        for expected in 0..10 {
            let ticket = pace.try_take().flatten().unwrap();
            assert_eq!(ticket.start_micros, began + expected * 1_000);
        }
        assert_eq!(pace.late(began + 500_000), 490);
    }

    #[test]
    fn a_stopped_run_gives_nothing() {
        let pace = pace(9, u64::MAX);
        pace.begin(monotonic_micros(), None);
        pace.stop.store(true, Ordering::Relaxed);
        assert_eq!(pace.try_take(), Some(None));
    }
}
