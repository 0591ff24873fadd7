//! One connection to the hosts of a ready queue: opens it, sends what is ready, keeps it a while.
//!
//! ```text
//!   take ─→ read ─→ connect, host by host ─→ send ─→ outcome is written down ─┐
//!    ↑                                                                        │
//!    └── while something is ready, or comes within a few seconds ─────────────┘
//! ```
//!
//! The outcome of a message is written down while the next one is sent, and awaited before the one
//! after it: a crash leaves at most two messages of a connection in doubt.

use super::board::QueueIndex;
use super::budget;
use super::connect::is_final;
use super::dispatch::Dispatcher;
use super::dsn::Event;
use super::hop::Hop;
use super::letter::{Load, Parcel};
use super::outcome::{Result as Came, Tried, said, said_of};
use super::schedule::pause_secs;
use super::site::{Permit, Rate};
use super::source::{Leave, Source};
use super::suspend::Field;
use crate::egress::{Connection, Dialect, Disposition, Failure, Fate, Origin, Outcome, Stage};
use crate::event;
use crate::reactor::oneshot::{self, oneshot};
use crate::reactor::{clock, sleep, spawn};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a courier holds as long as it lives.
pub(super) struct Courier {
    pub(super) desk: Rc<Dispatcher>,
    pub(super) queue: QueueIndex,
    pub(super) hop: Rc<Hop>,
    leave: Leave,
    pub(super) permit: Permit,
    _connection: budget::Share,
    /// Ready when the outcome before the last is durable.
    noted: Option<oneshot::Receiver<()>>,
}

/// An open connection and whom it leads to.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) host: Rc<str>,
}

impl Dispatcher {
    /// Sends as many couriers to a queue as it has work for and its site bears.
    pub(super) fn serve(self: &Rc<Self>, index: QueueIndex) {
        let mut called = 0;
        while !self.is_ending() {
            let now = self.second();
            let mut board = self.board.borrow_mut();
            board.part(index, now);
            let Some(site) = board.queue(index).map(|queue| Arc::clone(&queue.site)) else {
                return;
            };
            let is_meant = |field: &Field| field.is_site(site.name());
            if board.suspensions.find(now, is_meant).is_some() {
                return;
            }
            let Some(queue) = board.queue_mut(index) else {
                return;
            };
            let busy = (queue.couriers as usize).saturating_sub(queue.idle.len());
            if queue.ready() <= busy + called {
                return;
            }
            if let Some(idle) = queue.idle.pop() {
                // One that just left is counted no more either way.
                let _ = idle.send(());
                called += 1;
                continue;
            }
            if !queue.source.is_usable(site.name(), now) {
                return;
            }
            let most = queue.hop.route.pace.connections_max;
            let now_millis = self.now().monotonic_millis;
            let Ok(permit) = queue.site.permit(most, now_millis) else {
                return;
            };
            let (Some(leave), Some(connection)) =
                (queue.source.leave(), self.connections.try_take(1))
            else {
                return;
            };
            queue.couriers += 1;
            let courier = Courier {
                desk: Rc::clone(self),
                queue: index,
                hop: Rc::clone(&queue.hop),
                leave,
                permit,
                _connection: connection,
                noted: None,
            };
            drop(board);
            spawn(courier.run());
        }
    }

    fn courier_gone(&self, index: QueueIndex) {
        let mut board = self.board.borrow_mut();
        if let Some(queue) = board.queue_mut(index) {
            queue.couriers = queue.couriers.saturating_sub(1);
        }
        board.prune(index);
    }

    /// Until when the operator keeps this queue's site from being sent to.
    fn is_suspended(&self, site: &str) -> bool {
        let now = self.second();
        let mut board = self.board.borrow_mut();
        board
            .suspensions
            .find(now, |field| field.is_site(site))
            .is_some()
    }
}

impl Courier {
    async fn run(mut self) {
        let (desk, queue) = (Rc::clone(&self.desk), self.queue);
        let mut link: Option<Link> = None;
        while !self.desk.is_ending() && !self.desk.is_suspended(self.permit.site().name()) {
            if self.has_work() {
                self.keep_pace(&mut link).await;
            }
            // A source that is suspended or warms up gives its share to the others.
            if !self.take_ration() {
                break;
            }
            let Some(load) = self.next_load().await else {
                self.return_ration();
                let Some(link) = &mut link else { break };
                match self.rest(link).await {
                    true => continue,
                    false => break,
                }
            };
            if !self.send(&mut link, load).await {
                break;
            }
            self.desk.serve(self.queue);
        }
        if let Some(link) = link {
            link.connection.quit().await;
        }
        if let Some(noted) = self.noted.take() {
            // Closed: the task that writes it down has ended all the same.
            let _ = noted.await;
        }
        drop(self);
        desk.serve(queue);
        desk.turn();
    }

    fn has_work(&self) -> bool {
        let board = self.desk.board.borrow();
        let queue = board.queue(self.queue);
        queue.is_some_and(|queue| queue.ready() > 0)
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        self.leave.source()
    }

    fn take_ration(&self) -> bool {
        let (site, now) = (self.permit.site().name(), self.desk.second());
        self.source().is_usable(site, now) && self.source().take_ration(site, now)
    }

    fn return_ration(&self) {
        let site = self.permit.site().name();
        self.source().return_ration(site, self.desk.second());
    }

    /// Waits for a share of the rates of the site and of the source.
    async fn keep_pace(&self, link: &mut Option<Link>) {
        let by_site = self.hop.route.pace.per_minute_max;
        self.keep_rate(by_site, &self.permit.site().rate, link)
            .await;
        let source = self.source();
        self.keep_rate(source.says.per_minute_max, &source.rate, link)
            .await;
    }

    /// A long wait is not spent on an open connection.
    async fn keep_rate(&self, per_minute: Option<u32>, rate: &Rate, link: &mut Option<Link>) {
        let Some(per_minute) = per_minute else {
            return;
        };
        while let Err(at) = rate.take(per_minute, clock::monotonic_micros()) {
            let wait = Duration::from_micros(at.saturating_sub(clock::monotonic_micros()));
            if wait > IDLE_MAX
                && let Some(link) = link.take()
            {
                link.connection.quit().await;
            }
            sleep(wait).await;
        }
    }

    /// The next transaction's recipients with their message; passes over what cannot be read.
    async fn next_load(&self) -> Option<Load> {
        let most = self.hop.route.pace.recipients_max as usize;
        loop {
            let now = self.desk.second();
            let taken = self.desk.take(self.queue, most, now);
            if taken.is_empty() {
                return None;
            }
            if let Some(load) = self.desk.load(taken, &self.hop.route.pace).await {
                return Some(load);
            }
        }
    }

    /// `false`: the hosts cannot be reached, so that more would fare the same.
    async fn send(&mut self, link: &mut Option<Link>, load: Load) -> bool {
        let Load { parcels, body } = load;
        let letter = self.desk.letter(&body, &parcels);
        let mut pieces = body.pieces();
        for _ in 0..STALE_MAX {
            let mut open = match link.take() {
                Some(open) if open.connection.letters() < self.hop.route.pace.messages_max => open,
                spent => {
                    if let Some(spent) = spent {
                        spent.connection.quit().await;
                    }
                    match self.connect(&parcels).await {
                        Ok(open) => open,
                        Err((host, failure)) => {
                            self.return_ration();
                            self.unreached(parcels, &host, &failure).await;
                            return false;
                        }
                    }
                }
            };
            let outcome = open.connection.send(&letter, &mut pieces).await;
            if outcome.is_stale {
                continue;
            }
            let passes_on = open.connection.offer().dsn;
            let host = Rc::clone(&open.host);
            if outcome.is_open {
                *link = Some(open);
            }
            drop((body, pieces));
            self.source().sent.fetch_add(1, Ordering::Relaxed);
            self.learn(&outcome);
            self.write_down(parcels, &host, passes_on, &outcome).await;
            return true;
        }
        // It closes every connection on us: as good as not there.
        self.return_ration();
        self.give_back(parcels);
        false
    }

    /// What the site's answers say about how much it bears: 421, or a connection that ends in the
    /// middle, is too much.
    fn learn(&self, outcome: &Outcome) {
        let site = self.permit.site();
        let is_too_much = |one: &Disposition| {
            let is_lost = one.origin == Origin::Us && one.fate != Fate::Failed;
            one.reply.code == 421 || is_lost && one.fate != Fate::Untried
        };
        let has_taken = |one: &Disposition| one.fate == Fate::Delivered;
        if outcome.recipients.iter().any(is_too_much) {
            site.crowded();
        } else if outcome.recipients.iter().any(has_taken) {
            site.took(self.hop.route.pace.connections_max);
        }
    }

    async fn write_down(
        &mut self,
        parcels: Vec<Parcel>,
        host: &str,
        passes_on: bool,
        outcome: &Outcome,
    ) {
        let mut tried = Vec::with_capacity(parcels.len());
        for (parcel, disposition) in parcels.into_iter().zip(&outcome.recipients) {
            let result = match Came::from(disposition) {
                Came::Delivered(_) if !parcel.wants_success() => Came::Delivered(Event::PassedOn),
                // LMTP puts it into its mailbox (RFC 2033).
                Came::Delivered(_) if self.hop.dialect == Dialect::Lmtp => {
                    Came::Delivered(Event::Delivered)
                }
                Came::Delivered(_) if passes_on => Came::Delivered(Event::PassedOn),
                other => other,
            };
            tried.push(Tried {
                index: parcel.index,
                item: parcel.item,
                result,
                said: said(host, disposition.origin, &disposition.reply),
            });
        }
        self.count(&tried);
        let (done, noted) = oneshot();
        let (desk, route) = (Rc::clone(&self.desk), Rc::clone(&self.hop.route));
        spawn(async move {
            desk.settle(tried, &route.pace).await;
            desk.turn();
            // A courier that is gone does not wait.
            let _ = done.send(());
        });
        if let Some(before) = self.noted.replace(noted) {
            let _ = before.await;
        }
    }

    fn count(&self, tried: &[Tried]) {
        let counts = &self.permit.site().counts;
        for one in tried {
            let cell = match one.result {
                Came::Delivered(_) => &counts.sent,
                Came::Deferred => &counts.deferred,
                Came::Failed => &counts.failed,
                Came::Untried => continue,
            };
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// No host took a connection. One message pays for it with an attempt; the others wait until
    /// the site is tried again.
    async fn unreached(&mut self, parcels: Vec<Parcel>, host: &str, failure: &Failure) {
        if failure.stage == Stage::Source {
            return self.suspend_source(parcels, failure);
        }
        let site = self.permit.site();
        let pace = &self.hop.route.pace;
        let now_millis = self.desk.now().monotonic_millis;
        site.unreached(now_millis, |failures| pause_secs(pace, failures));
        let result = match is_final(failure) {
            true => Came::Failed,
            false => Came::Deferred,
        };
        let tried: Vec<Tried> = parcels
            .into_iter()
            .map(|parcel| Tried {
                index: parcel.index,
                item: parcel.item,
                result,
                said: said_of(host, failure),
            })
            .collect();
        self.count(&tried);
        self.desk.settle(tried, pace).await;
        self.desk.turn();
    }

    /// No fault of the site, and no attempt: others of the pool are asked at once.
    fn suspend_source(&self, parcels: Vec<Parcel>, failure: &Failure) {
        let source = self.source();
        let why = failure.reply.text.to_string();
        let now = self.desk.second();
        if let Some(secs) = source.suspend(&why, now) {
            let name = source.says.name.as_str();
            event!(
                Warn,
                "egress source suspended",
                source = name,
                secs = secs,
                why = why.as_str()
            );
        }
        let mut board = self.desk.board.borrow_mut();
        for parcel in parcels {
            board.defer(parcel.index, now, now);
        }
        board.part(self.queue, now);
        drop(board);
        self.desk.turn();
    }

    fn give_back(&self, parcels: Vec<Parcel>) {
        let now = self.desk.second();
        let mut board = self.desk.board.borrow_mut();
        let wait = pause_secs(&self.hop.route.pace, 1);
        for parcel in parcels {
            board.defer(parcel.index, now.saturating_add(wait), now);
        }
    }

    /// Keeps the connection while there may be more to send; `false`: there was not.
    async fn rest(&self, link: &mut Link) -> bool {
        if !link.connection.is_open() {
            return false;
        }
        let (call, called) = oneshot();
        {
            let mut board = self.desk.board.borrow_mut();
            let Some(queue) = board.queue_mut(self.queue) else {
                return false;
            };
            queue.idle.push(call);
        }
        let is_called = {
            let (timer, ended) = (pin!(sleep(IDLE_MAX)), pin!(link.connection.ended()));
            let over = select(timer, ended);
            matches!(select(called, over).await, Either::Left(_))
        };
        let mut board = self.desk.board.borrow_mut();
        let Some(queue) = board.queue_mut(self.queue) else {
            return false;
        };
        queue.idle.retain(|idle| !idle.is_closed());
        is_called || queue.ready() > 0
    }
}

/// Also where the task panicked: the watchdog finds the recipients that it had.
impl Drop for Courier {
    fn drop(&mut self) {
        self.desk.courier_gone(self.queue);
    }
}

/// How long a connection without work is kept.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// Connections that end before they answer anything, before a message waits.
const STALE_MAX: usize = 3;
