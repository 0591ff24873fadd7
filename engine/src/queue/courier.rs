//! One connection to the hosts of a ready queue: opens it, sends what is ready, keeps it a while.
//!
//! ```text
//!   take ─→ read ─→ connect, host by host ─→ send ─→ outcome is written down ─┐
//!    ↑                                                                        │
//!    └── while something is ready, or comes within a few seconds ─────────────┘
//! ```
//!
//! What is ready already is taken and read before a message is sent, so that its envelope goes out
//! with the end of that message.
//!
//! The outcome of a message is written down while the next one is sent, and awaited before the one
//! after it: a crash leaves at most two messages of a connection in doubt.

mod ledger;

use super::board::{Queue, QueueIndex};
use super::budget;
use super::dispatch::Dispatcher;
use super::fit::fits;
use super::hop::{Hop, Reach};
use super::letter::{Load, Parcel};
use super::nodes::{Index, State};
use super::outcome::{Tried, said_of};
use super::passage::way_of;
use super::privacy::Unreached;
use super::probe;
use super::schedule::pause_secs;
use super::site::{Counts, Permit};
use super::suspend::Field;
use super::terms::Terms;
use crate::config::outbound::{EgressSource, TlsDemand, Via};
use crate::egress::{
    Connection, Disposition, Failure, Fate, Letter, Login, Origin, Outcome, Patience, Stage,
    Target, TlsUse,
};
use crate::reactor::oneshot::{self, oneshot};
use crate::reactor::{clock, sleep, spawn};
use crate::telemetry::metric::Kind;
use crate::wire::sasl::Password;
use crate::wire::smtp::client::reply::{Reply, Status};
use futures_util::future::{Either, select};
use ledger::Promises;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use store::shard::{HostReply, Way};

/// What a courier holds as long as it lives.
pub(super) struct Courier {
    pub(super) desk: Rc<Dispatcher>,
    pub(super) queue: QueueIndex,
    pub(super) hop: Rc<Hop>,
    pub(super) source: EgressSource,
    pub(super) permit: Permit,
    _connection: budget::Share,
    /// What comes next.
    ahead: Option<(Load, Letter)>,
    /// Ready when the outcome before the last is durable.
    noted: Option<oneshot::Receiver<()>>,
    /// Where the last connection was refused, or not answered.
    failed: Option<Arc<Way>>,
    /// Until a host has answered.
    probe: Option<budget::Share>,
    /// Recipients, each with its item, of which nobody has said yet what came of them.
    taken: Vec<(Index, u64)>,
    /// What is counted of its egress source.
    counts: Arc<Counts>,
}

/// An open connection and whom it leads to.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) host: Rc<str>,
    pub(super) way: Arc<Way>,
    /// It was opened on other terms than the hosts ask for: good for one message.
    pub(super) is_for_one: bool,
}

impl Dispatcher {
    /// Sends as many couriers to a queue as it has work for and its site bears.
    pub(super) fn serve(self: &Rc<Self>, index: QueueIndex) {
        let mut called = 0;
        while !self.is_ending() {
            let config = self.live.config.load();
            let now = self.second();
            let mut board = self.board.borrow_mut();
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
            if queue.suspended(now).is_some() {
                return;
            }
            let busy = (queue.couriers as usize).saturating_sub(queue.idle.len());
            if queue.ready() <= (busy + called) * queue.left_to_each() {
                return;
            }
            if let Some(idle) = queue.idle.pop() {
                // One that just left is counted no more either way.
                let _ = idle.send(());
                called += 1;
                continue;
            }
            let most = queue.site.most(queue.hop.route.pace.connections_max, now);
            let now_millis = self.now().monotonic_millis;
            let Ok(permit) = queue.site.permit(most, now_millis) else {
                return;
            };
            let probe = match queue.site.is_proven() {
                true => None,
                false => match self.probes.try_take(1) {
                    None => return self.stand_in_line(queue, index),
                    probe => probe,
                },
            };
            let Some(connection) = self.connections.try_take(1) else {
                return self.stand_in_line(queue, index);
            };
            let sources = &config.outbound.sources;
            let Some(source) = sources.get(queue.source as usize).or(sources.first()) else {
                return;
            };
            queue.couriers += 1;
            let courier = Courier {
                desk: Rc::clone(self),
                queue: index,
                hop: Rc::clone(&queue.hop),
                source: source.clone(),
                permit,
                _connection: connection,
                ahead: None,
                noted: None,
                failed: None,
                probe,
                taken: Vec::new(),
                counts: self.sites.total(Kind::Source, &source.name),
            };
            drop(board);
            spawn(courier.run());
        }
    }

    fn stand_in_line(&self, queue: &mut Queue, index: QueueIndex) {
        if !std::mem::replace(&mut queue.is_in_line, true) {
            let is_proven = queue.site.is_proven();
            self.line.borrow_mut().stand(index, is_proven);
        }
    }

    /// A connection has ended: the next ones in line, as long as there is room.
    fn call_next(self: &Rc<Self>) {
        while self.connections.has_room_for(1) {
            let may_probe = self.probes.has_room_for(1);
            let Some(index) = self.line.borrow_mut().next(may_probe) else {
                return;
            };
            if let Some(queue) = self.board.borrow_mut().queue_mut(index) {
                queue.is_in_line = false;
            }
            self.serve(index);
        }
    }

    /// Lets recipients whose courier was lost wait for another.
    fn recover(&self, taken: &[(Index, u64)], wait_secs: u32) {
        let now = self.second();
        let mut board = self.board.borrow_mut();
        for (index, item) in taken {
            let node = board.nodes.node(*index);
            if node.item == *item && node.state() == State::Sending {
                board.defer(*index, now.saturating_add(wait_secs), now);
            }
        }
    }

    fn courier_gone(&self, index: QueueIndex) {
        let mut board = self.board.borrow_mut();
        if let Some(queue) = board.queue_mut(index) {
            queue.couriers = queue.couriers.saturating_sub(1);
        }
        board.prune(index);
    }

    /// Whether the operator, or a rule, keeps this queue from being sent.
    pub(super) fn is_suspended(&self, index: QueueIndex, site: &str) -> bool {
        let now = self.second();
        let mut board = self.board.borrow_mut();
        let is_meant = |field: &Field| field.is_site(site);
        board.suspensions.find(now, is_meant).is_some()
            || board
                .queue(index)
                .is_some_and(|queue| queue.suspended(now).is_some())
    }
}

impl Courier {
    async fn run(mut self) {
        let (desk, queue) = (Rc::clone(&self.desk), self.queue);
        let mut link: Option<Link> = None;
        while !self.desk.is_ending() && !self.is_kept_back() {
            let Some((load, letter)) = self.next(&mut link).await else {
                let Some(link) = &mut link else { break };
                match self.rest(link).await {
                    true => continue,
                    false => break,
                }
            };
            if !self.send(&mut link, load, letter).await {
                break;
            }
            self.desk.serve(self.queue);
            if self.is_others_turn(&link) {
                break;
            }
        }
        if let Some(link) = link {
            link.connection.quit().await;
        }
        if let Some(noted) = self.noted.take() {
            // Closed: the task that writes it down has ended all the same.
            let _ = noted.await;
        }
        drop(self);
        // Those in line come before more of the same.
        desk.call_next();
        desk.serve(queue);
    }

    /// Others wait for a connection, and this one has sent its share.
    fn is_others_turn(&self, link: &Option<Link>) -> bool {
        let next = link
            .as_ref()
            .map_or(0, |link| link.connection.next_number());
        next > TURN_LETTERS && !self.desk.line.borrow().is_empty()
    }

    fn has_work(&self) -> bool {
        let board = self.desk.board.borrow();
        let queue = board.queue(self.queue);
        queue.is_some_and(|queue| queue.ready() > 0)
    }

    /// Waits for a share of the rate; a long wait is not spent on an open connection.
    async fn keep_pace(&self, link: &mut Option<Link>) {
        let site = self.permit.site();
        let Some(per_minute) = self.per_minute_max() else {
            return;
        };
        while let Err(at) = site.pace(per_minute, clock::monotonic_micros()) {
            let wait = Duration::from_micros(at.saturating_sub(clock::monotonic_micros()));
            if wait > IDLE_MAX
                && let Some(link) = link.take()
            {
                link.connection.quit().await;
            }
            sleep(wait).await;
        }
    }

    /// The next transaction, when it may begin; `None`: nothing is ready.
    async fn next(&mut self, link: &mut Option<Link>) -> Option<(Load, Letter)> {
        if self.ahead.is_some() {
            return self.ahead.take();
        }
        if self.has_work() {
            self.keep_pace(link).await;
        }
        let load = self.next_load().await?;
        let letter = self.desk.letter(&load.body, &load.parcels);
        Some((load, letter))
    }

    /// Takes what comes behind the next letter of a connection, if something may at once. Behind
    /// one of so many octets it would wait long, and a round trip is little.
    async fn look_ahead(&mut self, link: &Link, octets: u64) {
        let pace = &self.hop.route.pace;
        let is_last = link.is_for_one
            || link.connection.next_number() >= pace.messages_max
            || octets > AHEAD_OF_BYTES_MAX
            || self.desk.is_ending();
        if is_last || self.ahead.is_some() || !self.has_work() {
            return;
        }
        let now_micros = clock::monotonic_micros();
        let is_slow = |per_minute| self.permit.site().pace(per_minute, now_micros).is_err();
        if self.per_minute_max().is_some_and(is_slow) || self.is_kept_back() {
            return;
        }
        let now = self.desk.second();
        let taken = self
            .desk
            .take(self.queue, pace.recipients_max as usize, now);
        let taken = self.desk.keep_back(taken, self.permit.site(), now);
        if let Some(load) = self.desk.load_at_once(self.queue, taken, pace).await {
            let letter = self.desk.letter(&load.body, &load.parcels);
            self.ahead = Some((load, letter));
        }
    }

    /// What may ride behind the letter of this connection: what may take it, and takes it as it is.
    fn chained(&self, link: &Link) -> Option<(&Letter, u64)> {
        let (load, letter) = self.ahead.as_ref()?;
        let is_fit = fits(&load.body, link.connection.offer());
        let is_taken = is_fit && self.suits(link, terms(&load.parcels));
        is_taken.then(|| (letter, load.body.octets()))
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
            let taken = self.desk.keep_back(taken, self.permit.site(), now);
            if let Some(load) = self
                .desk
                .load(Some(self.queue), taken, &self.hop.route.pace)
                .await
            {
                return Some(load);
            }
        }
    }

    /// `false`: the hosts cannot be reached, so that more would fare the same.
    async fn send(&mut self, link: &mut Option<Link>, load: Load, mut letter: Letter) -> bool {
        let Load { parcels, mut body } = load;
        self.clock(&parcels);
        let named = |parcel: &Parcel| (parcel.index, parcel.item.id.0);
        self.taken = parcels.iter().map(named).collect();
        let mut pieces = body.pieces();
        // Also one that waited behind another.
        let indexes = parcels.iter().map(|parcel| parcel.index);
        self.desk.allow_time(indexes, body.octets());
        let terms = terms(&parcels);
        for _ in 0..STALE_MAX {
            let mut open = match link.take() {
                Some(open) if self.suits(&open, terms) => open,
                spent => {
                    if let Some(spent) = spent {
                        spent.connection.quit().await;
                    }
                    match self
                        .connect_for(terms, letter.envelope.reverse_path.is_none())
                        .await
                    {
                        Ok(open) => open,
                        Err(Unreached::Site(host, failure)) => {
                            self.unreached(parcels, &host, &failure).await;
                            return false;
                        }
                        Err(Unreached::Private(host, failure)) => {
                            self.not_private(parcels, &host, &failure).await;
                            return true;
                        }
                    }
                }
            };
            if self.fit(&mut body, &parcels, open.connection.offer()).await {
                (letter, pieces) = (self.desk.letter(&body, &parcels), body.pieces());
            }
            self.look_ahead(&open, body.octets()).await;
            let next = self.chained(&open);
            let begun = clock::monotonic_micros();
            let sent = open.connection.send_before(&letter, &mut pieces, next);
            let outcome = sent.await;
            self.note_time(begun);
            if outcome.is_stale {
                continue;
            }
            let promises = Promises::of(open.connection.offer());
            let (host, way) = (Rc::clone(&open.host), Arc::clone(&open.way));
            let judged = self.judge(&parcels, &host, &outcome);
            let drops = judged.iter().flatten().any(|judged| judged.drops);
            match outcome.is_open {
                true if open.is_for_one || drops => open.connection.quit().await,
                true => *link = Some(open),
                false => {}
            }
            drop((body, pieces));
            self.learn(&outcome);
            let came = (&outcome, judged.as_slice());
            self.write_down(parcels, (&host, way), promises, came).await;
            return true;
        }
        // It closes every connection on us: as good as not there.
        self.give_back(parcels);
        false
    }

    fn note_time(&self, begun: u64) {
        let took = clock::monotonic_micros().saturating_sub(begun);
        if let Some(queue) = self.desk.board.borrow_mut().queue_mut(self.queue) {
            queue.took(took);
        }
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
        } else if outcome
            .recipients
            .iter()
            .any(|one| one.fate == Fate::Deferred)
        {
            site.put_off();
        }
    }

    /// No host took a connection. One message pays for it with an attempt; the others wait until
    /// the site is tried again.
    async fn unreached(&mut self, parcels: Vec<Parcel>, host: &str, failure: &Failure) {
        let site = self.permit.site();
        let pace = &self.hop.route.pace;
        let now_millis = self.desk.now().monotonic_millis;
        site.unreached(now_millis, |failures| pause_secs(pace, failures));
        let result = self.judged_failure(&parcels, host, failure);
        let tried: Vec<Tried> = parcels
            .into_iter()
            .map(|parcel| Tried {
                index: parcel.index,
                item: parcel.item,
                terms: parcel.terms,
                result,
                said: HostReply {
                    way: self.failed.clone(),
                    ..said_of(host, failure)
                },
            })
            .collect();
        self.count(&tried);
        self.taken.clear();
        self.desk.settle(tried, pace).await;
        self.desk.turn();
    }

    fn give_back(&mut self, parcels: Vec<Parcel>) {
        self.taken.clear();
        let now = self.desk.second();
        let mut board = self.desk.board.borrow_mut();
        let wait = pause_secs(&self.hop.route.pace, 1);
        for parcel in parcels {
            board.defer(parcel.index, now.saturating_add(wait), now);
        }
    }

    /// A host took a connection: its site is alive, and others in line may come.
    pub(super) fn reached(
        &mut self,
        target: &Target,
        connection: Connection,
        is_for_one: bool,
    ) -> Link {
        self.permit.site().answered();
        if let Some(probe) = self.probe.take() {
            drop(probe);
            // There may be more to send, and now there may be more connections.
            self.desk.serve(self.queue);
            self.desk.call_next();
        }
        Link {
            way: Arc::new(way_of(target, connection.tls())),
            host: Rc::clone(&target.host),
            connection,
            is_for_one,
        }
    }

    /// The first host that takes a connection, best ones first.
    pub(super) async fn connect(&mut self) -> Result<Link, (Rc<str>, Failure)> {
        if let Some(queue) = self.desk.board.borrow().queue(self.queue) {
            self.hop = Rc::clone(&queue.hop);
        }
        let mut last: Option<(Rc<str>, Failure)> = None;
        let begun = self.desk.now();
        let hop = Rc::clone(&self.hop);
        let all = hop.hosts.iter();
        let ways = all.flat_map(|host| host.addresses.iter().map(move |address| (host, *address)));
        for (host, address) in ways.take(TRIES_MAX) {
            let target = self.target(host, address);
            match Connection::open(&target, &self.desk.tools).await {
                Ok(connection) => {
                    return Ok(self.reached(&target, connection, false));
                }
                // A refusal for now says more of the set of hosts than one for good.
                Err(failure) => match &last {
                    Some((_, known)) if !is_final(known) => {}
                    _ => {
                        self.failed = Some(Arc::new(way_of(&target, &TlsUse::NotOffered)));
                        last = Some((Rc::clone(&host.name), failure));
                    }
                },
            }
            if self.desk.is_ending() || self.desk.now().since(begun) > CONNECTING_MAX {
                break;
            }
        }
        Err(last.unwrap_or_else(nowhere))
    }

    pub(super) fn target(&self, host: &Reach, address: SocketAddr) -> Target {
        let source = self.source.address;
        let is_same_family = |source: &std::net::IpAddr| source.is_ipv4() == address.is_ipv4();
        Target {
            source: source
                .filter(is_same_family)
                .map(|source| SocketAddr::new(source, 0)),
            dialect: self.hop.dialect,
            demand: host.demand.clone(),
            implicit_tls: self.hop.route.tls == TlsDemand::Implicit,
            login: self.login(),
            patience: match &self.probe {
                Some(_) => probe::patience(self.desk.probes.used_percent()),
                None => Patience::default(),
            },
            ..Target::new(address, &host.name, &self.source.hello)
        }
    }

    fn login(&self) -> Option<Rc<Login>> {
        let Via::Host {
            login: Some(login),
            host,
            ..
        } = &self.hop.route.via
        else {
            return None;
        };
        let is_here = host
            .name
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        Some(Rc::new(Login {
            user: login.user.clone(),
            password: Password::new(login.password.clone()),
            in_clear: is_here,
        }))
    }

    /// Keeps the connection while there may be more to send; `false`: there was not.
    async fn rest(&self, link: &mut Link) -> bool {
        if !link.connection.is_open() || !self.desk.line.borrow().is_empty() {
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

/// Also where the task panicked: the recipients that it had are tried again.
impl Drop for Courier {
    fn drop(&mut self) {
        if let Some((load, _)) = self.ahead.take() {
            let taken = load.parcels.into_iter().map(|parcel| parcel.index);
            self.desk.make_ready(taken);
        }
        let taken = std::mem::take(&mut self.taken);
        self.desk
            .recover(&taken, pause_secs(&self.hop.route.pace, 1));
        self.desk.courier_gone(self.queue);
    }
}

/// Whether every host said, in words of its own, that it will never take mail from us. What is
/// wrong with TLS or with our login is for the operators to mend, and mail waits for that.
pub(super) fn is_final(failure: &Failure) -> bool {
    !failure.is_temporary() && matches!(failure.stage, Stage::Banner | Stage::Hello)
}

/// A hop without an address: nobody makes one.
pub(super) fn nowhere() -> (Rc<str>, Failure) {
    let failure = Failure {
        stage: Stage::Connect,
        origin: Origin::Us,
        reply: Reply::own(451, Status(4, 4, 4), "there is no host to connect to"),
        tls: None,
    };
    (Rc::from(""), failure)
}

/// A message is sent within `egress::Patience`: of this size, before the watchdog looks at the one
/// behind it.
const AHEAD_OF_BYTES_MAX: u64 = 1 << 20;

/// How long a connection without work is kept.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// Addresses of all hosts that are tried for one connection.
pub(super) const TRIES_MAX: usize = 16;

/// No further host is tried after so long: with one more, and the transaction, it stays below what
/// the watchdog gives an attempt.
const CONNECTING_MAX: Duration = Duration::from_secs(900);

/// Messages that a connection sends before others in line have a turn.
const TURN_LETTERS: u32 = 50;

/// Connections that end before they answer anything, before a message waits.
const STALE_MAX: usize = 3;

/// What the sender asks of the way of a transaction; its recipients are of one mind.
fn terms(parcels: &[Parcel]) -> Terms {
    let first = parcels.first();
    first.map(|parcel| parcel.terms).unwrap_or_default()
}
