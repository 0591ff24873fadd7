//! One thread of a mixed load: the arrivals and the users that are its own.
//!
//! Messages of thread `i` of `n` have the numbers `i + 2nk` when they come from outside, and
//! `i + n + 2nk` when users answer: no number is given twice, and each tells its ledger.

use super::options::Plan;
use super::user::User;
use crate::client::smtp::Session;
use crate::client::{Client, Delivered, Then};
use crate::load::arrivals::{Arrivals, Rate, Spacing, Tempo};
use crate::load::pace::{Bounds, Pace, Ticket};
use crate::measure::answer::Answer;
use crate::measure::histogram::Step;
use crate::measure::ledger::{Fate, Ledger};
use crate::measure::tally::{End, Tally};
use crate::scenario::board::{Board, Live};
use crate::scenario::imap::Deleted;
use engine::reactor::clock::monotonic_micros;
use engine::reactor::{sleep, spawn};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What the tasks of a thread share.
pub(super) struct Shard {
    pub(super) plan: Arc<Plan>,
    pub(super) board: Arc<Board>,
    index: u32,
    pub(super) began_micros: u64,
    pace: Pace,
    answers: Cell<u64>,
    pub(super) tally: RefCell<Tally>,
    outside: RefCell<Ledger>,
    inside: RefCell<Ledger>,
    pub(super) deleted: RefCell<Vec<Deleted>>,
    /// Steps of IMAP that were refused or got no answer.
    pub(super) failed_steps: Cell<u64>,
    pub(super) connected: Cell<u32>,
    /// Injectors and users that are not done.
    working: Cell<u32>,
}

/// What a shard leaves behind.
pub(super) struct Yield {
    pub(super) tally: Tally,
    pub(super) outside: Ledger,
    pub(super) inside: Ledger,
    pub(super) deleted: Vec<Deleted>,
    pub(super) failed_steps: u64,
    pub(super) late: u64,
}

impl Shard {
    pub(super) fn new(plan: &Arc<Plan>, board: &Arc<Board>, index: u32) -> Rc<Shard> {
        let began_micros = board.began_micros.load(Ordering::Relaxed);
        let bounds = Bounds {
            tickets_max: u64::MAX,
            micros_max: plan.length.as_micros() as u64,
        };
        let (threads, stop) = (plan.threads, board.stop.clone());
        let mut tally = Tally::new();
        tally.begin(began_micros);
        Rc::new(Shard {
            plan: plan.clone(),
            board: board.clone(),
            index,
            began_micros,
            pace: Pace::new(bounds, index, 2 * threads, stop),
            answers: Cell::new(0),
            tally: RefCell::new(tally),
            outside: RefCell::new(Ledger::new(index, 2 * threads)),
            inside: RefCell::new(Ledger::new(index + threads, 2 * threads)),
            deleted: RefCell::default(),
            failed_steps: Cell::new(0),
            connected: Cell::new(0),
            working: Cell::new(0),
        })
    }

    /// Runs the whole load of this thread; `uids` says where each user's new messages begin.
    pub(super) async fn work(self: Rc<Shard>, uids: Arc<[u32]>) -> Yield {
        self.begin_arrivals();
        let users = (self.index..self.plan.users).step_by(self.plan.threads as usize);
        for user in users {
            let uid_next = uids.get(user as usize).copied().unwrap_or(1);
            let user = User::new(self.clone(), user, uid_next);
            self.begin(user.live());
        }
        let end = self.began_micros + self.plan.length.as_micros() as u64;
        let grace = self.plan.patience.as_micros() as u64 + GRACE_MICROS;
        let mut stopped = None;
        while self.working.get() > 0 && monotonic_micros() < end + grace {
            sleep(LOOK).await;
            self.tell();
            let now = monotonic_micros();
            if self.board.is_stopped() && now > *stopped.get_or_insert(now) + GRACE_MICROS {
                break;
            }
        }
        Yield {
            tally: self.tally.replace(Tally::new()),
            outside: self.outside.take(),
            inside: self.inside.take(),
            deleted: self.deleted.take(),
            failed_steps: self.failed_steps.get(),
            late: self.pace.late(monotonic_micros()),
        }
    }

    fn begin(self: &Rc<Shard>, task: impl Future<Output = ()> + 'static) {
        self.working.set(self.working.get() + 1);
        let shard = self.clone();
        spawn(async move {
            task.await;
            shard.working.set(shard.working.get() - 1);
        });
    }

    fn begin_arrivals(self: &Rc<Shard>) {
        let tempo = Tempo {
            rate: Rate::Even(self.plan.day.arrivals(self.plan.users)),
            spacing: Spacing::Poisson,
        };
        let (seed, threads) = (self.plan.day.seed, self.plan.threads);
        let arrivals = Arrivals::new(tempo, seed, self.index, threads, self.began_micros);
        self.pace.begin(self.began_micros, Some(arrivals));
        let shard = self.clone();
        spawn(async move {
            // Without a timer the run would hang: better it ends.
            if shard.pace.keep_time().await.is_err() {
                shard.board.stop.store(true, Ordering::Relaxed);
            }
        });
        for number in 0..self.plan.injectors {
            self.begin(self.clone().inject(number));
        }
    }

    /// One connection over which mail arrives.
    async fn inject(self: Rc<Shard>, number: u32) {
        let mut session: Option<Session> = None;
        while let Some(ticket) = self.pace.take().await {
            self.outside
                .borrow_mut()
                .settle(ticket.number, Fate::Unanswered);
            if session.is_none() {
                match Session::open(&self.plan.arrivals, number).await {
                    Ok(opened) => session = Some(opened),
                    Err(refused) => {
                        self.outside
                            .borrow_mut()
                            .settle(ticket.number, Fate::Unsent);
                        self.count(refused.answer, 0, ticket, monotonic_micros());
                        sleep(REST).await;
                        continue;
                    }
                }
            }
            let Some(open) = &mut session else { continue };
            let delivered = deliver(open, ticket).await;
            self.settle(&self.outside, ticket, &delivered);
            self.learn(open.marks());
            if !delivered.is_open {
                session = None;
            }
        }
        if let Some(session) = session {
            session.quit(false).await;
        }
    }

    /// A user's answer to a message, over a connection of its own; how long it took in all.
    pub(super) async fn submit(&self, user: u32) {
        let (index, threads) = (u64::from(self.index), u64::from(self.plan.threads));
        let nth = self.answers.replace(self.answers.get() + 1);
        let ticket = Ticket {
            number: index + threads + 2 * threads * nth,
            start_micros: monotonic_micros(),
        };
        // Boxed, as it is seldom there and a user is always.
        let opened = Box::pin(Session::open(&self.plan.submission, user)).await;
        let mut session = match opened {
            Ok(session) => session,
            Err(refused) => {
                return self.count(refused.answer, 0, ticket, monotonic_micros());
            }
        };
        self.inside
            .borrow_mut()
            .settle(ticket.number, Fate::Unanswered);
        let delivered = Box::pin(deliver(&mut session, ticket)).await;
        self.settle(&self.inside, ticket, &delivered);
        if delivered.answer.is_positive() {
            let took = delivered.end_micros.saturating_sub(ticket.start_micros);
            self.tally
                .borrow_mut()
                .latencies
                .record(Step::Submission, took);
        }
        self.learn(session.marks());
        if delivered.is_open {
            session.quit(false).await;
        }
    }

    /// Takes over how long the steps of a session took.
    pub(super) fn learn(&self, marks: &mut Vec<(Step, u64)>) {
        let mut tally = self.tally.borrow_mut();
        for (step, micros) in marks.drain(..) {
            tally.latencies.record(step, micros);
        }
    }

    fn settle(&self, ledger: &RefCell<Ledger>, ticket: Ticket, delivered: &Delivered) {
        ledger.borrow_mut().settle(ticket.number, delivered.fate);
        let (answer, end_micros) = (delivered.answer, delivered.end_micros);
        self.count(answer, delivered.octets, ticket, end_micros);
    }

    fn count(&self, answer: Answer, octets: u64, ticket: Ticket, end_micros: u64) {
        self.tally.borrow_mut().count(End {
            answer,
            octets,
            start_micros: ticket.start_micros,
            end_micros,
        });
    }

    fn tell(&self) {
        let mut tally = self.tally.borrow_mut();
        let counts = tally.counts;
        let live = Live {
            connected: self.connected.get(),
            acknowledged: counts.acknowledged,
            failed: counts.deferred + counts.refused + counts.unanswered + self.failed_steps.get(),
            answered: counts.acknowledged + counts.deferred + counts.refused,
            in_flight: 0,
            p50_micros: tally.recent.value_at_quantile(0.5),
            p99_micros: tally.recent.value_at_quantile(0.99),
        };
        tally.recent.reset();
        drop(tally);
        self.board.tell(self.index, live);
    }
}

async fn deliver(session: &mut Session, ticket: Ticket) -> Delivered {
    session
        .deliver(ticket, false, Then::<fn() -> Option<Ticket>>::Nothing)
        .await
}

/// How often a thread looks up.
const LOOK: Duration = Duration::from_millis(100);

/// How long what was begun may still end.
const GRACE_MICROS: u64 = 2_000_000;

/// Between two attempts to connect.
const REST: Duration = Duration::from_millis(200);
