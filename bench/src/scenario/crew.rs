//! One shard of a load: workers that each hold one connection, and what they count together.
//!
//! ```text
//! worker   connect ──► (all connected: begin) ──► ticket ──► message ──► ticket …
//!             ▲  └─ failed: count, rest, again           └─ lost: count ─┐
//!             └──────────────────────────────────────────────────────────┘
//! ```

use super::board::{Board, Live};
use super::run::Plan;
use crate::client::{Client, Delivered, Then};
use crate::load::arrivals::Arrivals;
use crate::load::pace::{Pace, Ticket};
use crate::measure::answer::Answer;
use crate::measure::ledger::{Fate, Ledger};
use crate::measure::tally::{End, Tally};
use engine::reactor::clock::monotonic_micros;
use engine::reactor::{Alarm, sleep, spawn};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What the workers of a shard share.
pub(crate) struct Crew<C: Client> {
    plan: Arc<Plan<C::Settings>>,
    board: Arc<Board>,
    index: u32,
    settings: Arc<C::Settings>,
    pace: Pace,
    tally: RefCell<Tally>,
    ledger: RefCell<Ledger>,
    /// Workers of this shard, those that began, and those that are not done.
    workers: u32,
    begun: Cell<u32>,
    tried: Cell<u32>,
    working: Cell<u32>,
    connected: Cell<u32>,
    /// Messages that were begun and have not ended.
    in_flight: Cell<u32>,
}

/// What a shard leaves behind.
pub(crate) struct Yield {
    pub(crate) tally: Tally,
    pub(crate) ledger: Ledger,
    /// Operations that were due and never begun.
    pub(crate) late: u64,
}

impl<C: Client> Crew<C> {
    pub(crate) fn new(
        plan: &Arc<Plan<C::Settings>>,
        board: &Arc<Board>,
        index: u32,
    ) -> Rc<Crew<C>> {
        let shards = plan.threads;
        let workers = plan.connections / shards + u32::from(index < plan.connections % shards);
        Rc::new(Crew {
            plan: plan.clone(),
            board: board.clone(),
            index,
            // A copy for each thread, so that they do not share a counter.
            settings: Arc::new(plan.settings.as_ref().clone()),
            pace: Pace::new(plan.bounds_of(index), index, shards, board.stop.clone()),
            tally: RefCell::new(Tally::new()),
            ledger: RefCell::new(Ledger::new(index, shards)),
            workers,
            begun: Cell::new(0),
            tried: Cell::new(0),
            working: Cell::new(workers),
            connected: Cell::new(0),
            in_flight: Cell::new(0),
        })
    }

    /// Runs the whole load of this shard.
    pub(crate) async fn work(self: Rc<Crew<C>>) -> Yield {
        for _ in 0..self.workers.min(CONNECTING_MAX) {
            self.clone().begin_worker();
        }
        while self.tried.get() < self.workers && !self.board.is_stopped() {
            self.tell();
            sleep(LOOK).await;
        }
        self.board.ready.fetch_add(1, Ordering::Relaxed);
        let began = self.wait_for_begin().await;
        self.begin(began);
        self.watch(began).await;
        self.settle()
    }

    async fn wait_for_begin(&self) -> u64 {
        loop {
            let began = self.board.began_micros.load(Ordering::Relaxed);
            if began != 0 {
                // All shards at the same moment; without an alarm a little apart.
                if let Ok(alarm) = Alarm::new() {
                    let _ = alarm.at(began).await;
                }
                return began;
            }
            if self.board.is_stopped() {
                return monotonic_micros();
            }
            sleep(LOOK).await;
        }
    }

    fn begin(self: &Rc<Crew<C>>, began: u64) {
        self.tally.borrow_mut().begin(began);
        let (index, shards) = (self.index, self.plan.threads);
        let arrivals = self
            .plan
            .tempo
            .map(|tempo| Arrivals::new(tempo, self.plan.seed, index, shards, began));
        if arrivals.is_some() {
            let crew = self.clone();
            spawn(async move {
                // Without a timer the run would hang: better it ends.
                if crew.pace.keep_time().await.is_err() {
                    crew.board.stop.store(true, Ordering::Relaxed);
                }
            });
        }
        self.pace.begin(began, arrivals);
    }

    /// Until all are done, or those that are left do not matter any more.
    async fn watch(&self, began: u64) {
        let warm_up = self.plan.warm_up.as_micros() as u64;
        let length = self
            .plan
            .length
            .map_or(u64::MAX, |length| length.as_micros() as u64);
        let end = began.saturating_add(length);
        let grace = C::patience(&self.plan.settings).as_micros() as u64 + GRACE_MICROS;
        let (mut is_warm, mut stopped) = (warm_up == 0, None);
        while self.working.get() > 0 {
            sleep(LOOK).await;
            let now = monotonic_micros();
            if !is_warm && now >= began + warm_up {
                is_warm = true;
                self.tally.borrow_mut().begin(now);
            }
            self.tell();
            if self.board.is_stopped() && now > *stopped.get_or_insert(now) + GRACE_MICROS {
                return;
            }
            if now > end.saturating_add(grace) {
                return;
            }
        }
    }

    /// Gives the sums away. What has not ended by now has no answer.
    fn settle(&self) -> Yield {
        let mut tally = self.tally.replace(Tally::new());
        let abandoned = u64::from(self.in_flight.get());
        tally.counts.attempted += abandoned;
        tally.counts.unanswered += abandoned;
        Yield {
            tally,
            ledger: self.ledger.take(),
            late: self.pace.late(monotonic_micros()),
        }
    }

    fn tell(&self) {
        let mut tally = self.tally.borrow_mut();
        let counts = tally.counts;
        let failed = counts.deferred + counts.refused + counts.unanswered;
        let live = Live {
            connected: self.connected.get(),
            acknowledged: counts.acknowledged,
            failed,
            answered: counts.acknowledged + counts.deferred + counts.refused,
            in_flight: self.in_flight.get(),
            p50_micros: tally.recent.value_at_quantile(0.5),
            p99_micros: tally.recent.value_at_quantile(0.99),
        };
        if tally.recent.len() >= RECENT_MAX {
            tally.recent.reset();
        }
        drop(tally);
        self.board.tell(self.index, live);
    }

    fn begin_worker(self: Rc<Crew<C>>) {
        let number = self.begun.get();
        if number >= self.workers {
            return;
        }
        self.begun.set(number + 1);
        // Numbers of connections interleave as those of messages do.
        let number = self.index + number * self.plan.threads;
        spawn(async move {
            Worker::new(self.clone(), number).work().await;
            self.working.set(self.working.get() - 1);
        });
    }

    /// The first attempt of a worker is over: another one may connect.
    fn has_tried(self: &Rc<Crew<C>>) {
        self.tried.set(self.tried.get() + 1);
        self.clone().begin_worker();
    }
}

/// One connection after the other, one message after the other.
struct Worker<C: Client> {
    crew: Rc<Crew<C>>,
    number: u32,
    session: Option<C>,
    /// Messages that this connection has carried.
    carried: u32,
    rest: Duration,
}

impl<C: Client> Worker<C> {
    fn new(crew: Rc<Crew<C>>, number: u32) -> Worker<C> {
        Worker {
            crew,
            number,
            session: None,
            carried: 0,
            rest: REST_MIN,
        }
    }

    async fn work(&mut self) {
        let crew = self.crew.clone();
        if crew.plan.per_connection != Some(1)
            && let Err(answer) = self.open().await
        {
            crew.tally.borrow_mut().hear(answer);
        }
        crew.has_tried();
        while let Some(ticket) = crew.pace.take().await {
            self.serve(ticket).await;
        }
        if let Some(session) = self.session.take() {
            crew.connected.set(crew.connected.get() - 1);
            session.quit(false).await;
        }
    }

    /// Sends the message of `ticket`, and those whose envelope travelled with the one before.
    async fn serve(&mut self, ticket: Ticket) {
        let (mut ticket, mut announced) = (ticket, false);
        loop {
            self.crew.in_flight.set(self.crew.in_flight.get() + 1);
            self.crew
                .ledger
                .borrow_mut()
                .settle(ticket.number, Fate::Unanswered);
            let ended = self.send(ticket, announced).await;
            self.crew.in_flight.set(self.crew.in_flight.get() - 1);
            match ended {
                // The envelope is with the server already, its time runs from now.
                Some((mut next, now)) => {
                    next.start_micros = now;
                    (ticket, announced) = (next, true);
                }
                None => return,
            }
        }
    }

    /// Gives the ticket that is announced already, and the moment of the last answer.
    async fn send(&mut self, ticket: Ticket, announced: bool) -> Option<(Ticket, u64)> {
        // What was announced to a connection that has gone is not known to the next one.
        let announced = announced && self.session.is_some();
        if self.session.is_none()
            && let Err(answer) = self.open().await
        {
            self.count(ticket, Fate::Unsent, answer, 0, monotonic_micros());
            sleep(self.rest).await;
            return None;
        }
        let mut session = self.session.take()?;
        self.carried += 1;
        let is_last = self.crew.plan.per_connection == Some(self.carried);
        let chains = session.chains();
        let crew = self.crew.clone();
        let next = move || crew.pace.try_take().flatten();
        let then = match is_last {
            true => Then::Quit,
            false if chains => Then::Next(next),
            false => Then::Nothing,
        };
        let delivered = session.deliver(ticket, announced, then).await;
        self.record(ticket, &mut session, &delivered);
        if delivered.is_open && !is_last {
            self.session = Some(session);
        } else {
            self.crew.connected.set(self.crew.connected.get() - 1);
            if delivered.is_open {
                session.quit(delivered.said_quit).await;
            }
        }
        delivered.next.map(|next| (next, delivered.end_micros))
    }

    async fn open(&mut self) -> Result<(), Answer> {
        let opened = C::open(&self.crew.settings, self.number).await;
        let session = opened.map_err(|refused| {
            self.rest = (self.rest * 2).min(REST_MAX);
            refused.answer
        })?;
        self.session = Some(session);
        self.carried = 0;
        self.rest = REST_MIN;
        self.crew.connected.set(self.crew.connected.get() + 1);
        Ok(())
    }

    fn record(&self, ticket: Ticket, session: &mut C, delivered: &Delivered) {
        let octets = delivered.octets;
        self.count(
            ticket,
            delivered.fate,
            delivered.answer,
            octets,
            delivered.end_micros,
        );
        let mut tally = self.crew.tally.borrow_mut();
        for (step, micros) in session.marks().drain(..) {
            tally.latencies.record(step, micros);
        }
        drop(tally);
        if delivered.fate == Fate::Acknowledged {
            let mut ledger = self.crew.ledger.borrow_mut();
            for account in session.declined(ticket) {
                ledger.decline(ticket.number, account);
            }
        }
    }

    fn count(&self, ticket: Ticket, fate: Fate, answer: Answer, octets: u64, end_micros: u64) {
        self.crew.ledger.borrow_mut().settle(ticket.number, fate);
        self.crew.tally.borrow_mut().count(End {
            answer,
            octets,
            start_micros: ticket.start_micros,
            end_micros,
        });
    }
}

/// Connections that a shard opens at the same time: less than servers let wait.
const CONNECTING_MAX: u32 = 128;

/// How often a shard looks up and tells how it is doing.
const LOOK: Duration = Duration::from_millis(60);

/// How long messages may still end after a run was stopped.
const GRACE_MICROS: u64 = 3_000_000;

/// Between two attempts to connect.
const REST_MIN: Duration = Duration::from_millis(50);
const REST_MAX: Duration = Duration::from_secs(1);

/// Values behind the percentiles of the live line.
const RECENT_MAX: u64 = 2_000;
