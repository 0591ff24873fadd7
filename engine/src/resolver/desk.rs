//! Questions of shards on their way to the service thread, and answers on their way back.
//!
//! ```text
//! shard    Desk::ask ── counted, at most WAITING_MAX ──→ queue
//! service  Clerk::run  queue → the same question is under way?  yes: wait with the others
//!                                                              no: a task, UNDER_WAY_MAX at once
//!          answer → every shard that waits
//! ```
//!
//! A shard never waits to ask: when too many wait, the answer is [`DnsFailure::Busy`] at once. A
//! shard that forgets its question takes nothing from the others.

use super::DnsFailure;
use crate::reactor::oneshot::{self, oneshot};
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Semaphore, mpsc};

/// Who knows answers, on the service thread.
pub(super) trait Oracle: 'static {
    type Question: Clone + Eq + Hash + Send + 'static;
    type Answer: Clone + Send + 'static;

    fn answer(&self, question: &Self::Question) -> impl Future<Output = Self::Answer>;
}

/// Where shards ask.
pub(super) struct Desk<Q, A> {
    queue: mpsc::UnboundedSender<Slip<Q, A>>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
}

/// Who takes the questions, on the service thread.
pub(super) struct Clerk<Q, A> {
    queue: mpsc::UnboundedReceiver<Slip<Q, A>>,
    under_way_max: usize,
}

struct Slip<Q, A> {
    question: Q,
    waiter: Waiter<A>,
}

/// A shard that waits. It has its place until it is answered, even if it has forgotten.
struct Waiter<A> {
    reply: oneshot::Sender<A>,
    _place: Place,
}

/// Bounds of a desk.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Questions without an answer, of all shards.
    pub(super) waiting_max: usize,
    /// Different questions that are being answered.
    pub(super) under_way_max: usize,
}

/// Both sides of a desk.
pub(super) fn desk<Q, A>(bounds: Bounds) -> (Desk<Q, A>, Clerk<Q, A>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let desk = Desk {
        queue: sender,
        waiting: Arc::default(),
        waiting_max: bounds.waiting_max,
    };
    let clerk = Clerk {
        queue: receiver,
        under_way_max: bounds.under_way_max,
    };
    (desk, clerk)
}

impl<Q, A> Desk<Q, A> {
    /// Asks, from any runtime. Cancel-safe.
    pub(super) async fn ask(&self, question: Q) -> Result<A, DnsFailure> {
        let place = Place::take(&self.waiting, self.waiting_max)?;
        let (reply, answer) = oneshot();
        let waiter = Waiter {
            reply,
            _place: place,
        };
        let slip = Slip { question, waiter };
        self.queue.send(slip).map_err(|_| DnsFailure::Ending)?;
        answer.await.map_err(|_| DnsFailure::Ending)
    }
}

impl<Q, A> Clone for Desk<Q, A> {
    fn clone(&self) -> Desk<Q, A> {
        Desk {
            queue: self.queue.clone(),
            waiting: Arc::clone(&self.waiting),
            waiting_max: self.waiting_max,
        }
    }
}

impl<Q: Clone + Eq + Hash + Send + 'static, A: Clone + Send + 'static> Clerk<Q, A> {
    /// Answers until the last desk is gone. Runs in a `LocalSet`.
    pub(super) async fn run<O>(mut self, oracle: Rc<O>)
    where
        O: Oracle<Question = Q, Answer = A>,
    {
        let room = Rc::new(Semaphore::new(self.under_way_max));
        let open: Rc<Open<Q, A>> = Rc::default();
        while let Some(Slip { question, waiter }) = self.queue.recv().await {
            if !open.join(&question, waiter) {
                let task = answer(
                    Rc::clone(&oracle),
                    Rc::clone(&open),
                    Rc::clone(&room),
                    question,
                );
                tokio::task::spawn_local(task);
            }
        }
    }
}

async fn answer<O: Oracle>(
    oracle: Rc<O>,
    open: Rc<Open<O::Question, O::Answer>>,
    room: Rc<Semaphore>,
    question: O::Question,
) {
    // Of a panic below only those who asked this question hear: the guard drops their replies.
    let asked = Asked {
        open: &open,
        question: &question,
    };
    let permit = room.acquire().await;
    // Nobody waits any more: a burst that was given up costs no name server anything.
    if open.is_abandoned(&question) {
        return;
    }
    let answer = oracle.answer(&question).await;
    drop(permit);
    for waiter in asked.close() {
        // Whoever left does not need it.
        drop(waiter.reply.send(answer.clone()));
    }
}

/// Questions under way, and who waits for each.
struct Open<Q, A> {
    waiters: RefCell<HashMap<Q, Vec<Waiter<A>>>>,
}

impl<Q, A> Default for Open<Q, A> {
    fn default() -> Open<Q, A> {
        Open {
            waiters: RefCell::default(),
        }
    }
}

impl<Q: Clone + Eq + Hash, A> Open<Q, A> {
    /// Puts a waiter with the others of its question; whether there were any.
    fn join(&self, question: &Q, waiter: Waiter<A>) -> bool {
        let mut open = self.waiters.borrow_mut();
        if let Some(waiters) = open.get_mut(question) {
            waiters.push(waiter);
            return true;
        }
        open.insert(question.clone(), vec![waiter]);
        false
    }

    fn is_abandoned(&self, question: &Q) -> bool {
        let open = self.waiters.borrow();
        let waiters = open.get(question);
        waiters.is_none_or(|waiters| waiters.iter().all(|waiter| waiter.reply.is_closed()))
    }

    fn close(&self, question: &Q) -> Vec<Waiter<A>> {
        self.waiters
            .borrow_mut()
            .remove(question)
            .unwrap_or_default()
    }
}

/// A question that is open until this is dropped.
struct Asked<'a, Q: Clone + Eq + Hash, A> {
    open: &'a Open<Q, A>,
    question: &'a Q,
}

impl<Q: Clone + Eq + Hash, A> Asked<'_, Q, A> {
    fn close(self) -> Vec<Waiter<A>> {
        self.open.close(self.question)
    }
}

impl<Q: Clone + Eq + Hash, A> Drop for Asked<'_, Q, A> {
    fn drop(&mut self) {
        drop(self.open.close(self.question));
    }
}

/// One of the places of those who wait.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>, max: usize) -> Result<Place, DnsFailure> {
        // Only a count: nothing else is ordered by it.
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(waiting));
        if before < max {
            Ok(place)
        } else {
            Err(DnsFailure::Busy)
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::{Backend, service};
    use futures_util::future::join_all;
    use std::cell::Cell;
    use tokio::sync::Notify;

    /// Answers when told to; 13 is more than it can bear.
    #[derive(Default)]
    struct Slow {
        go: Notify,
        is_going: Cell<bool>,
        under_way: Cell<usize>,
        most: Cell<usize>,
        answered: Cell<usize>,
    }

    impl Oracle for Slow {
        type Question = u32;
        type Answer = u32;

        async fn answer(&self, question: &u32) -> u32 {
            self.under_way.set(self.under_way.get() + 1);
            self.most.set(self.most.get().max(self.under_way.get()));
            while !self.is_going.get() {
                self.go.notified().await;
            }
            assert_ne!(*question, 13, "a panic of the library below");
            self.under_way.set(self.under_way.get() - 1);
            self.answered.set(self.answered.get() + 1);
            question * 2
        }
    }

    impl Slow {
        fn go(&self) {
            self.is_going.set(true);
            self.go.notify_waiters();
        }
    }

    /// Runs a scene with a desk and its oracle.
    fn with_desk<F: Future<Output = ()>>(scene: impl FnOnce(Desk<u32, u32>, Rc<Slow>) -> F) {
        let bounds = Bounds {
            waiting_max: 8,
            under_way_max: 3,
        };
        let (desk, clerk) = desk(bounds);
        let oracle = Rc::new(Slow::default());
        let run = async {
            tokio::task::spawn_local(clerk.run(Rc::clone(&oracle)));
            scene(desk, Rc::clone(&oracle)).await;
        };
        service::run_service(Backend::Epoll, || run).unwrap();
    }

    #[test]
    fn the_same_question_is_answered_once_for_all() {
        with_desk(|desk, oracle| async move {
            let asked = join_all([1, 2, 1, 1, 2].map(|question| desk.ask(question)));
            let tell = async {
                while oracle.under_way.get() < 2 {
                    tokio::task::yield_now().await;
                }
                oracle.go();
            };
            let (answers, ()) = futures_util::future::join(asked, tell).await;
            assert_eq!(answers, [2, 4, 2, 2, 4].map(Ok));
            assert_eq!(oracle.answered.get(), 2);
            assert_eq!(desk.waiting.load(Ordering::Relaxed), 0);
        });
    }

    #[test]
    fn who_comes_when_all_places_are_taken_hears_it_at_once() {
        with_desk(|desk, oracle| async move {
            let eight = join_all((0..8).map(|question| desk.ask(question)));
            let ninth = async {
                while oracle.under_way.get() < 3 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(desk.ask(0).await, Err(DnsFailure::Busy));
                oracle.go();
            };
            let (answers, ()) = futures_util::future::join(eight, ninth).await;
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            assert_eq!(oracle.most.get(), 3);
            assert_eq!(desk.ask(9).await, Ok(18));
        });
    }

    #[test]
    fn a_panic_is_heard_by_those_who_asked_and_by_nobody_else() {
        with_desk(|desk, oracle| async move {
            oracle.go();
            let answers = join_all([13, 14, 13].map(|question| desk.ask(question))).await;
            let lost = Err(DnsFailure::Ending);
            assert_eq!(answers, [lost, Ok(28), lost]);
            assert_eq!(desk.ask(15).await, Ok(30));
            assert_eq!(desk.waiting.load(Ordering::Relaxed), 0);
        });
    }

    #[test]
    fn without_a_clerk_nobody_waits() {
        let bounds = Bounds {
            waiting_max: 8,
            under_way_max: 3,
        };
        let (desk, clerk) = desk::<u32, u32>(bounds);
        drop(clerk);
        service::run_service(Backend::Epoll, || async {
            assert_eq!(desk.ask(1).await, Err(DnsFailure::Ending));
        })
        .unwrap();
    }
}
