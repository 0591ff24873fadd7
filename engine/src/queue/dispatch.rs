//! Drives one shard's queue: arrivals in, hosts asked for, couriers sent, outcomes written down.
//!
//! Every wait is an event or the tick of a second; nothing that waits is polled. What is said of a
//! recipient is durable before the board moves it on, so that a crash repeats an attempt and never
//! forgets one.

use super::board::{Arrival, Board, Queue, QueueIndex};
use super::budget::Budget;
use super::destination::{Destination, domain_of};
use super::dsn::Event;
use super::frail::Frail;
use super::hop::{Asked, Guides, Hop, NoHop};
use super::line::Line;
use super::nodes::{Band, Index};
use super::notice::News;
use super::ordered::Ordered;
use super::origin;
use super::outcome::{Deed, Result as Came, Times, Tried};
use super::pool::Pools;
use super::probe::PROBES_PART;
use super::pulse::Pulse;
use super::reroute::Reroutes;
use super::site::Sites;
use super::source::Sources;
use super::terms::Terms;
use super::time::Seconds;
use super::tls_report::TlsReports;
use super::told;
use crate::config::Config;
use crate::config::outbound::{Outbound, Pace, Route};
use crate::egress::Tools;
use crate::event;
use crate::intake::{Intake, QueueIds, Shard};
use crate::reactor::{Drain, Now, sleep, spawn, yield_now};
use crate::route::Live;
use crate::telemetry::metric::ShardMetrics;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::error::{ChangeError, LogError};
use store::mail::id::ItemId;
use store::shard::{End, Ending, Enhanced, HostReply, Item, Note};

/// What the queue of a shard is given.
pub struct Equipment {
    pub shard: usize,
    pub store: Rc<Shard>,
    pub intake: Intake,
    pub queue_ids: Rc<QueueIds>,
    pub live: Arc<Live>,
    pub sites: Arc<Sites>,
    pub sources: Arc<Sources>,
    pub reports: Arc<TlsReports>,
    pub guides: Guides,
    pub tools: Tools,
    pub metrics: Arc<ShardMetrics>,
    pub random: Rc<dyn Fn() -> u64>,
}

/// One shard's queue at work.
pub struct Dispatcher {
    pub(super) shard: usize,
    pub(super) store: Rc<Shard>,
    pub(super) intake: Intake,
    pub(super) queue_ids: Rc<QueueIds>,
    pub(super) live: Arc<Live>,
    pub(super) tools: Tools,
    pub(super) metrics: Arc<ShardMetrics>,
    pub(super) board: RefCell<Board>,
    /// Octets of messages in memory.
    pub(super) bodies: Rc<Budget>,
    /// Connections open or opening.
    pub(super) connections: Rc<Budget>,
    /// Messages that are being changed for their next hop.
    pub(super) changes: Rc<Budget>,
    /// Of these, for hosts that have not answered yet.
    pub(super) probes: Rc<Budget>,
    /// Couriers for sites that put off everything.
    pub(super) sulks: Rc<Budget>,
    /// Couriers that the shard keeps up with.
    pub(super) pulse: Pulse,
    /// Queues that wait for one of these.
    pub(super) line: RefCell<Line>,
    pub(super) random: Rc<dyn Fn() -> u64>,
    pub(super) sources: Arc<Sources>,
    pub(super) reports: Arc<TlsReports>,
    pub(super) frail: RefCell<Frail>,
    pub(super) remembered: told::Remembered,
    pub(super) sites: Arc<Sites>,
    pub(super) guides: Guides,
    /// How often the configuration was exchanged.
    pub(super) generation: Cell<u64>,
    /// The last one.
    config: RefCell<Arc<Config>>,
    /// Orders of the operator about waiting mail.
    pub(super) reroutes: RefCell<Reroutes>,
    /// Sites of which rules ordered something.
    pub(super) ordered: RefCell<Ordered>,
    questions: Rc<Budget>,
    seconds: Seconds,
    /// Nothing new is sent from then on.
    pub(super) ending: Rc<Drain>,
    /// Where the watchdog goes on.
    pub(super) looked: Cell<u32>,
}

impl Dispatcher {
    #[must_use]
    pub fn new(equipment: Equipment) -> Rc<Dispatcher> {
        let now = Now::here();
        let seconds = Seconds::new(now.monotonic_millis, now.unix_secs());
        let config = equipment.live.config.load_full();
        let queue = &config.outbound.queue;
        let second = seconds.look(now.monotonic_millis, now.unix_secs());
        let pools = Pools::new(&config.outbound, &equipment.sources);
        let pulse = Pulse::new();
        let dispatcher = Rc::new(Dispatcher {
            config: RefCell::new(equipment.live.config.load_full()),
            generation: Cell::new(0),
            reroutes: RefCell::default(),
            ordered: RefCell::default(),
            bodies: Budget::new(queue.sending_bytes_max),
            connections: Budget::new(queue.connections_max),
            probes: Budget::new(queue.connections_max / PROBES_PART),
            sulks: Budget::new(pulse.sulkers(queue.connections_max)),
            pulse,
            line: RefCell::default(),
            questions: Budget::new(QUESTIONS_MAX),
            changes: Budget::new(1),
            board: RefCell::new(Board::new(second, pools, messages(&equipment.store))),
            seconds,
            shard: equipment.shard,
            store: equipment.store,
            intake: equipment.intake,
            queue_ids: equipment.queue_ids,
            live: Arc::clone(&equipment.live),
            sites: equipment.sites,
            sources: equipment.sources,
            reports: equipment.reports,
            frail: RefCell::default(),
            guides: equipment.guides,
            tools: equipment.tools,
            metrics: equipment.metrics,
            random: equipment.random,
            remembered: told::Remembered::default(),
            ending: Drain::new(),
            looked: Cell::new(0),
        });
        dispatcher.recall();
        dispatcher.recall_suspensions();
        dispatcher.recall_orders();
        dispatcher.recall_reroutes();
        dispatcher
    }

    /// Runs as long as the shard.
    pub async fn run(self: Rc<Self>) {
        spawn(Rc::clone(&self).tick());
        spawn(Rc::clone(&self).keep_counts());
        let mut arrivals = self.store.watch_queue();
        loop {
            self.take_in().await;
            arrivals.changed().await;
        }
    }

    /// Sends nothing new from now on. Couriers end after the message that they have under way, and
    /// at once where no host has answered yet.
    pub fn end(&self) {
        self.ending.begin();
        let mut board = self.board.borrow_mut();
        let idle = board.queues_mut().flat_map(|queue| queue.idle.drain(..));
        for idle in idle {
            // Whoever is gone needs no call.
            let _ = idle.send(());
        }
    }

    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.ending.is_on()
    }

    /// Connections to other hosts that are open or opening.
    #[must_use]
    pub fn couriers(&self) -> u64 {
        self.connections.used()
    }

    /// The configuration was exchanged: what waits goes by the new routes.
    pub fn reconfigured(self: &Rc<Self>) {
        let config = self.live.config.load_full();
        let rules = &config.outbound;
        self.bodies.set(rules.queue.sending_bytes_max);
        self.connections.set(rules.queue.connections_max);
        self.probes.set(rules.queue.connections_max / PROBES_PART);
        self.set_sulkers();
        self.generation.set(self.generation.get() + 1);
        {
            let mut board = self.board.borrow_mut();
            board.pools = Pools::new(rules, &self.sources);
            board.doubt_all();
        }
        let before = self.config.replace(Arc::clone(&config));
        if leads_elsewhere(&before.outbound, rules) {
            spawn(Rc::clone(self).redirect_all());
        }
    }

    pub(super) fn now(&self) -> Now {
        Now::here()
    }

    /// The second that waits are measured by.
    pub(super) fn second(&self) -> u32 {
        let now = self.now();
        self.seconds.look(now.monotonic_millis, now.unix_secs())
    }

    fn times(&self, tried: &Tried) -> Times {
        Times {
            now: self.second(),
            wall: self.now().unix_secs() as i64,
            // Only a wait is spread; asking the kernel for each message would cost.
            random: match tried.result {
                Came::Deferred => (self.random)(),
                _ => 0,
            },
        }
    }

    /// Everything that has arrived, a handful at a time.
    pub(super) async fn take_in(self: &Rc<Self>) {
        loop {
            let arrivals = self.store.queue_arrivals(ARRIVALS_MAX);
            let is_last = arrivals.len() < ARRIVALS_MAX;
            let now = self.second();
            for item in &arrivals {
                self.arrive(item, now);
            }
            self.turn();
            if is_last {
                return;
            }
            yield_now().await;
        }
    }

    fn arrive(&self, item: &Item, now: u32) {
        let rules = &self.live.config.load().outbound;
        let arrival = Arrival {
            item: item.id.0,
            to: &self.destination(item, rules),
            tenant: origin::parts(&item.tenant).0,
            band: match item.priority {
                1.. => Band::High,
                0 => Band::Normal,
                _ => Band::Low,
            },
            due: due_of(item, now),
            is_held: item.is_held,
        };
        if self.board.borrow_mut().arrive(arrival, now).is_err() {
            event!(Error, "queue full", shard = self.shard, item = item.id.0);
        }
    }

    async fn tick(self: Rc<Self>) {
        loop {
            sleep(TICK).await;
            let now = self.second();
            let has_more = self.board.borrow_mut().advance(now);
            self.turn();
            if has_more {
                self.start_rest().await;
            }
            let waiting: Vec<QueueIndex> = {
                let mut board = self.board.borrow_mut();
                board.queues_mut().for_each(Queue::doubt);
                let ready = board.queues().filter(|(_, queue)| queue.ready() > 0);
                ready.map(|(index, _)| index).collect()
            };
            waiting.into_iter().for_each(|queue| self.serve(queue));
            self.turn();
            self.watch(now);
            self.count();
            self.publish(now);
            self.forget_reroutes().await;
            self.keep_orders().await;
        }
    }

    /// What the board wants done. Serving one queue may part it, which stirs others.
    pub(super) fn turn(self: &Rc<Self>) {
        for _ in 0..ROUNDS_MAX {
            let (to_resolve, to_serve) = {
                let mut board = self.board.borrow_mut();
                (board.take_questions(), board.take_stirred())
            };
            if to_resolve.is_empty() && to_serve.is_empty() {
                return;
            }
            for (number, domain) in to_resolve {
                spawn(Rc::clone(self).resolve(number, domain));
            }
            to_serve.into_iter().for_each(|queue| self.serve(queue));
        }
    }

    async fn resolve(self: Rc<Self>, number: u32, name: String) {
        let config = self.live.config.load_full();
        let to = Destination::of(&name);
        if self.is_ours(to.domain) {
            let released = self
                .board
                .borrow_mut()
                .unresolved((number, &name), self.second());
            self.bring_home(released).await;
            return self.turn();
        }
        let question = self.questions.take(1).await;
        let found = self.hop(&to, &config.outbound).await;
        drop(question);
        let now = self.second();
        match found {
            Ok(hop) => {
                if self.lead((number, &name), hop, now) {
                    self.turn();
                    self.start_rest().await;
                }
            }
            Err(why) => {
                self.report_no_hop(to.domain, &why);
                let waited = self.board.borrow_mut().unresolved((number, &name), now);
                let pace = to.pace(&config.outbound);
                self.settle(self.without_hop(waited, &why), &pace).await;
            }
        }
        self.turn();
    }

    /// The next hop of a destination.
    pub(super) async fn hop(&self, to: &Destination<'_>, rules: &Outbound) -> Result<Hop, NoHop> {
        let generation = self.generation.get();
        let hop = match to.via {
            Some(via) => self.detour(to.domain, via, rules).await,
            None => match rules.route(to.domain, to.whom()) {
                Some((place, route)) => {
                    let asked = self.asked(to.domain, (place, route.clone()), rules);
                    self.guides.hop(asked).await
                }
                None => Err(NoHop::withdrawn()),
            },
        };
        hop.map(|hop| Hop { generation, ..hop })
    }

    /// What is asked of a domain by a route, with its place.
    pub(super) fn asked(
        &self,
        domain: &str,
        (place, route): (usize, Route),
        rules: &Outbound,
    ) -> Asked {
        let own = rules.tls_policy(domain);
        Asked {
            domain: domain.to_owned(),
            place,
            tls_place: own.map(|(place, _)| place),
            tls: own.map_or(&route.tls, |(_, policy)| policy).clone(),
            route: Rc::new(route),
            files: self.live.tls_files.load_full(),
        }
    }

    /// Goes on with what begins, so that others have a turn in between.
    async fn start_rest(self: &Rc<Self>) {
        loop {
            yield_now().await;
            let has_more = self.board.borrow_mut().start_some(self.second());
            self.turn();
            if !has_more {
                return;
            }
        }
    }

    /// Lets a destination know where it leads. `true`: more of what waited for it is to begin.
    fn lead(&self, to: (u32, &str), hop: Hop, now: u32) -> bool {
        self.report_sts_fault(domain_of(to.1), &hop);
        let site = self.sites.site(&hop.site);
        let until = now.saturating_add(hop.ttl_secs.clamp(HOP_SECS_MIN, HOP_SECS_MAX));
        let mut board = self.board.borrow_mut();
        board.resolved(to, Rc::new(hop), site, until, now)
    }

    fn without_hop(&self, waited: Vec<Index>, why: &NoHop) -> Vec<Tried> {
        let said = HostReply {
            host: String::new(),
            code: 0,
            enhanced: Some(Enhanced {
                class: why.status.0,
                subject: why.status.1,
                detail: why.status.2,
            }),
            text: why.words.clone(),
            way: None,
        };
        let result = match why.is_permanent {
            true => Came::Failed,
            false => Came::Deferred,
        };
        let tried = |index| {
            let item = self.own_item_of(index)?;
            Some(Tried {
                index,
                item,
                terms: Terms::default(),
                result,
                said: said.clone(),
            })
        };
        waited.into_iter().filter_map(tried).collect()
    }

    /// The item of a node; `None`: it has ended, and whoever sends it is about to say so.
    pub(super) fn item_of(&self, index: Index) -> Option<Item> {
        let name = self.board.borrow().nodes.node(index).item;
        let item = self.store.queue_item(ItemId(name));
        item.map(origin::plain_item)
    }

    /// As [`item_of`](Self::item_of), for a node that is ours to decide about: what has ended
    /// takes it along.
    pub(super) fn own_item_of(&self, index: Index) -> Option<Item> {
        let item = self.item_of(index);
        if item.is_none() {
            self.board.borrow_mut().end(index);
        }
        item
    }

    /// Writes down what came of attempts, tells who is to be told, and moves them on. Goes on until
    /// the log has taken it: what another host has must not be sent again.
    pub(super) async fn settle(&self, tried: Vec<Tried>, pace: &Pace) {
        let (mut notes, mut news, mut moves) = (Vec::new(), Vec::new(), Vec::new());
        let mut told = Vec::new();
        for one in tried {
            self.report(&one);
            let deed = one.deed(pace, self.times(&one));
            told.extend(told::News::of(&one, &deed));
            match deed {
                Deed::Again => moves.push((one.index, Move::At(0))),
                Deed::Note(attempt) => {
                    moves.push((one.index, Move::to(attempt.due_secs)));
                    notes.push(Note::Attempt(attempt));
                }
                Deed::Warn { attempt, late_secs } => {
                    if !self.was_told(&one.item, late_secs).await {
                        news.push(News::late(&one));
                    }
                    moves.push((one.index, Move::to(attempt.due_secs)));
                    notes.push(Note::Attempt(attempt));
                }
                Deed::End(end, event) => {
                    self.report_end(&one, &end);
                    moves.push((one.index, Move::Away));
                    match is_silent(&end, event) {
                        true => notes.push(Note::End(end)),
                        false => news.push(News::of_end(one, end, event)),
                    }
                }
            }
        }
        self.tell_events(told).await;
        self.insist(notes, news).await;
        self.carry_out(moves);
    }

    /// Whether the sender heard at an earlier attempt that this recipient is late.
    async fn was_told(&self, item: &Item, late_secs: i64) -> bool {
        let last = self.store.last_attempt(item.id).await;
        last.is_ok_and(|last| last.is_some_and(|last| last.at_secs >= late_secs))
    }

    async fn insist(&self, notes: Vec<Note>, news: Vec<News>) {
        loop {
            let noted = match notes.is_empty() {
                true => Ok(()),
                false => self.store.note(notes.clone()).await,
            };
            let told = match noted {
                Ok(()) if news.is_empty() => return,
                Ok(()) => self.tell(news.clone()).await,
                Err(error) => Err(error),
            };
            match told {
                Ok(()) | Err(ChangeError::Log(LogError::Closed)) => return,
                Err(error) => {
                    let why = error.to_string();
                    event!(Warn, "outcome waits", shard = self.shard, why = why);
                    sleep(LOG_PAUSE).await;
                }
            }
        }
    }

    fn carry_out(&self, moves: Vec<(Index, Move)>) {
        let now = self.second();
        let mut board = self.board.borrow_mut();
        for (index, to) in moves {
            match to {
                Move::At(due) => board.defer(index, due, now),
                Move::Away => board.end(index),
            }
        }
    }

    fn count(&self) {
        let queued = self.store.queue_len() as u64;
        if let Some(gauge) = self.live.queued.get(self.shard) {
            gauge.store(queued, Ordering::Relaxed);
        }
        // Numbers rise: the first one has waited longest.
        let oldest = self.store.queue_list(ItemId(0), 1, |_| true);
        let since = oldest
            .items
            .first()
            .map(|item| u64::from(item.enqueued_secs));
        let age = since.map_or(0, |since| self.now().unix_secs().saturating_sub(since));
        self.metrics.queue_oldest_secs.set(age);
        let board = self.board.borrow();
        let ready: usize = board.queues().map(|(_, queue)| queue.ready()).sum();
        self.metrics.queue_items.set(queued);
        self.metrics.queue_ready.set(ready as u64);
        self.metrics
            .queue_node_bytes
            .set(board.nodes.bytes() as u64);
        self.metrics.queue_connections.set(self.connections.used());
        self.metrics.queue_body_bytes.set(self.bodies.used());
    }
}

/// Where a recipient goes from here.
#[derive(Clone, Copy, Debug)]
enum Move {
    At(u32),
    Away,
}

impl Move {
    fn to(due_secs: i64) -> Move {
        Move::At(u32::try_from(due_secs).unwrap_or(u32::MAX))
    }
}

/// Recipients of one record are those of one message.
fn messages(store: &Rc<Shard>) -> impl Fn(u64) -> u64 + 'static {
    let store = Rc::clone(store);
    move |item| {
        let found = store.queue_item(ItemId(item));
        found.map_or(item, |item| item.record.0)
    }
}

/// When a recipient of the log is due. One that was never tried is due at once unless its sender
/// wants it later, whatever the clocks said; a wait for an attempt lasts no longer than any can.
pub(super) fn due_of(item: &Item, now: u32) -> u32 {
    if item.attempts == 0 && item.due_secs <= item.enqueued_secs {
        return now;
    }
    match item.attempts {
        0 => item.due_secs,
        _ => item.due_secs.min(now.saturating_add(WAIT_SECS_MAX)),
    }
}

/// Whether what waits may have another hop, another source or other TLS than before.
fn leads_elsewhere(before: &Outbound, now: &Outbound) -> bool {
    before.routes != now.routes
        || before.tls_policies != now.tls_policies
        || before.sources != now.sources
        || before.pools != now.pools
}

/// Most ends are of mail that arrived, of which nobody wants to hear.
fn is_silent(end: &End, event: Event) -> bool {
    matches!(end.ending, Ending::Delivered | Ending::Dropped) && event == Event::PassedOn
}

const TICK: Duration = Duration::from_secs(1);

/// What is stirred again and again waits for the next second.
const ROUNDS_MAX: usize = 4;

/// Arrivals that are taken in before others have a turn.
const ARRIVALS_MAX: usize = 512;

/// Domains whose hosts are asked for at one time.
const QUESTIONS_MAX: u64 = 512;

/// How long hosts are believed, whatever DNS says.
const HOP_SECS_MIN: u32 = 5;
const HOP_SECS_MAX: u32 = 3_600;

/// Between two tries to write down an outcome.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// No retry waits longer (`config::outbound`).
const WAIT_SECS_MAX: u32 = 7 * 86_400 + 7 * 86_400 / 5;
