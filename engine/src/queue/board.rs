//! All waiting recipients of one shard: who waits for what, and what is next. No I/O, no clock.
//!
//! A recipient arrives, waits for its time, then for the hosts of its domain, then for a
//! connection; whoever sends takes it, and brings it back with a time or lets it go. Whatever must
//! be done elsewhere is handed out: domains to resolve, queues to serve, recipients that are late.

mod asked;
mod ruled;

use super::destination::domain_of;
use super::hop::Hop;
use super::lanes::Lanes;
use super::names::Names;
use super::nodes::{Band, Chain, Full, Index, Nodes, State};
use super::owner;
use super::pool::Pools;
use super::site::Site;
use super::source::Source;
use super::suspend::{Field, Suspensions};
use super::tally::Tally;
use super::way::Known;
use super::wheel::Wheel;
use crate::reactor::oneshot;
use slab::Slab;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// The state of a shard's queue.
pub(super) struct Board {
    pub(super) nodes: Nodes,
    pub(super) suspensions: Suspensions,
    wheel: Wheel,
    /// Those that are to start: their time has come, or the hosts of their domain are known.
    beginning: Chain,
    pub(super) domains: Names<Domain>,
    /// Tenants, each also with its campaigns, and with the pools of its senders ([`owner`]).
    pub(super) owners: Names<Owner>,
    pub(super) pools: Pools,
    /// The message of an item: its recipients leave together.
    pub(super) message_of: Box<dyn Fn(u64) -> u64>,
    pub(super) queues: Slab<Queue>,
    pub(super) by_key: HashMap<(u32, Box<str>), usize>,
    to_resolve: Vec<u32>,
    to_serve: Vec<QueueIndex>,
}

/// A recipient as it comes to the queue. Times are seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) item: u64,
    /// The name of its destination.
    pub(super) to: &'a str,
    /// Tenant and campaign ([`owner`]).
    pub(super) tenant: &'a str,
    pub(super) band: Band,
    /// Not before then.
    pub(super) due: u32,
    pub(super) is_held: bool,
}

/// Names a ready queue as long as it is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct QueueIndex(pub(super) usize);

/// What is known of a tenant, or of a part of its mail: a campaign, what leaves by another pool.
#[derive(Default)]
pub(super) struct Owner {
    /// Of a part: the number of the tenant, whose turns it shares, and who is counted for it.
    pub(super) turn: Option<u32>,
    pub(super) tally: Tally,
}

/// What is known of a destination.
#[derive(Default)]
pub(super) struct Domain {
    pub(super) standing: Standing,
    /// Those that wait for its hosts.
    pending: Chain,
    pub(super) tally: Tally,
    /// The last that was known.
    pub(super) site: Option<Arc<Site>>,
    /// Its oldest recipient: of the last round of the watchdog, and as far as this one has come.
    pub(super) oldest: Option<u64>,
    pub(super) oldest_so_far: Option<u64>,
}

#[derive(Default)]
pub(super) enum Standing {
    #[default]
    Unknown,
    Asked,
    Known(Known),
}

/// What is ready for one (egress source, hop).
pub(super) struct Queue {
    pub(super) site: Arc<Site>,
    pub(super) source: Arc<Source>,
    pub(super) lanes: Lanes,
    /// Not before then others are asked to take what is ready.
    pub(super) parted: u32,
    /// Not before then its hosts are connected to: they did not show the TLS that it asks for.
    pub(super) shunned: u32,
    /// Connections that serve it.
    pub(super) couriers: u32,
    /// Of these, those that have nothing to send now; told when there is something.
    pub(super) idle: Vec<oneshot::Sender<()>>,
    /// It waits for leave to probe its hosts.
    pub(super) is_in_line: bool,
    /// Domains whose hosts it stands for.
    pub(super) users: u32,
    /// What a message took of late, in microseconds, as a moving mean.
    took_micros: u64,
    /// A message came to its end in this second.
    has_news: bool,
    /// None did in the last one.
    is_stuck: bool,
    /// Its hosts, as DNS named them last.
    pub(super) hop: Rc<Hop>,
}

impl Board {
    #[must_use]
    pub(super) fn new(now: u32, pools: Pools, message_of: impl Fn(u64) -> u64 + 'static) -> Board {
        Board {
            nodes: Nodes::default(),
            suspensions: Suspensions::default(),
            wheel: Wheel::new(now),
            beginning: Chain::EMPTY,
            domains: Names::default(),
            owners: Names::default(),
            pools,
            message_of: Box::new(message_of),
            queues: Slab::new(),
            by_key: HashMap::new(),
            to_resolve: Vec::new(),
            to_serve: Vec::new(),
        }
    }

    /// Takes in a recipient, of the log or new.
    pub(super) fn arrive(&mut self, arrival: Arrival<'_>, now: u32) -> Result<Index, Full> {
        let domain = self.domains.enter(arrival.to);
        let owner = self.enter_owner(arrival.tenant);
        let added = self.nodes.add(arrival.item, domain, owner, arrival.band);
        let Ok(index) = added else {
            self.domains.leave(domain);
            self.leave_owner(owner);
            return added;
        };
        self.count(index, Tally::enter);
        match arrival.is_held {
            true => self.enter(index, State::Held, now.saturating_add(LOOK_SECS)),
            false => self.defer(index, arrival.due, now),
        }
        Ok(index)
    }

    pub(super) fn enter_owner(&mut self, text: &str) -> u32 {
        let number = self.owners.enter(text);
        let (tenant, ..) = owner::parts(text);
        if tenant.len() < text.len() {
            let turn = self.owners.enter(tenant);
            if let Some(known) = self.owners.value_mut(number) {
                known.turn = Some(turn);
            }
        }
        number
    }

    pub(super) fn leave_owner(&mut self, number: u32) {
        let turn = self.turn_of(number);
        self.owners.leave(number);
        if let Some(turn) = turn {
            self.owners.leave(turn);
        }
    }

    /// The tenant that a part of its mail shares its turns with.
    fn turn_of(&self, owner: u32) -> Option<u32> {
        self.owners.value(owner).and_then(|owner| owner.turn)
    }

    /// Brings the board to `now`: what is due starts, a piece at a time. `true`: there is more.
    pub(super) fn advance(&mut self, now: u32) -> bool {
        let mut due = Vec::new();
        self.wheel.advance(&mut self.nodes, now, &mut due);
        for index in due {
            self.nodes.push(&mut self.beginning, index);
        }
        self.start_some(now)
    }

    /// Starts some of those that begin. `true`: there are more.
    pub(super) fn start_some(&mut self, now: u32) -> bool {
        for _ in 0..STARTED_AT_ONCE {
            let Some(index) = self.nodes.pop(&mut self.beginning) else {
                return false;
            };
            self.start(index, now);
        }
        self.beginning != Chain::EMPTY
    }

    /// Lets a recipient in no list wait until `due`; at once if that is past.
    pub(super) fn defer(&mut self, index: Index, due: u32, now: u32) {
        if due <= now {
            return self.start(index, now);
        }
        self.enter(index, State::Timed, due);
        self.wheel.add(&mut self.nodes, index);
    }

    /// Towards a connection: a recipient in no list.
    pub(super) fn start(&mut self, index: Index, now: u32) {
        if let Some(until) = self.suspended_until(index, now) {
            self.enter(index, State::Timed, until);
            return self.wheel.add(&mut self.nodes, index);
        }
        let number = self.nodes.node(index).domain;
        let look = now.saturating_add(LOOK_SECS);
        if let Some(queue) = self.way(index, now) {
            return self.make_ready(index, queue, look);
        }
        let Some(domain) = self.domains.value_mut(number) else {
            return;
        };
        if !matches!(domain.standing, Standing::Asked) {
            domain.standing = Standing::Asked;
            self.to_resolve.push(number);
        }
        self.nodes.push(&mut domain.pending, index);
        self.enter(index, State::Resolving, look);
    }

    fn make_ready(&mut self, index: Index, queue: QueueIndex, look: u32) {
        if self.queues.get(queue.0).is_none() {
            return;
        }
        self.enter(index, State::Ready, look);
        let owner = self.nodes.node(index).tenant();
        let turn = self.turn_of(owner).unwrap_or(owner);
        if let Some(ready) = self.queues.get_mut(queue.0) {
            ready.lanes.push(&mut self.nodes, index, turn);
        }
        if self.to_serve.last() != Some(&queue) {
            self.to_serve.push(queue);
        }
    }

    fn suspended_until(&mut self, index: Index, now: u32) -> Option<u32> {
        if self.suspensions.list().is_empty() {
            return None;
        }
        let node = self.nodes.node(index);
        let (tenant, campaign, _) = owner::parts(self.owners.text(node.tenant()));
        let domain = domain_of(self.domains.text(node.domain));
        let is_meant = |field: &Field| {
            field.is_domain(domain) || field.is_tenant(tenant) || field.is_campaign(campaign)
        };
        let found = self.suspensions.find(now, is_meant)?;
        let look = now.saturating_add(LOOK_SECS);
        Some(found.until.map_or(look, |until| until.min(look)))
    }

    /// Domains whose hosts must be asked for, each with its number.
    pub(super) fn take_questions(&mut self) -> Vec<(u32, String)> {
        let asked = std::mem::take(&mut self.to_resolve);
        let named = |number| (number, self.domains.text(number).to_owned());
        // The last one that waited for it may have left meanwhile.
        let is_there = |(_, name): &(u32, String)| !name.is_empty();
        asked.into_iter().map(named).filter(is_there).collect()
    }

    /// Queues that have something new.
    pub(super) fn take_stirred(&mut self) -> Vec<QueueIndex> {
        let mut queues = std::mem::take(&mut self.to_serve);
        queues.sort_unstable_by_key(|queue| queue.0);
        queues.dedup();
        queues
    }

    /// The queue for a source and a hop, made if it is new. It lives while a domain leads to it,
    /// something is in it, or a courier serves it.
    pub(super) fn queue_for(
        &mut self,
        source: &Arc<Source>,
        hop: &Rc<Hop>,
        site: &Arc<Site>,
    ) -> QueueIndex {
        let key = (source.id, Box::from(hop.exchange.as_str()));
        if let Some(at) = self.by_key.get(&key).copied() {
            if let Some(queue) = self.queues.get_mut(at) {
                queue.hop = Rc::clone(hop);
            }
            return QueueIndex(at);
        }
        let at = self.queues.insert(Queue {
            site: Arc::clone(site),
            source: Arc::clone(source),
            lanes: Lanes::default(),
            parted: 0,
            shunned: 0,
            couriers: 0,
            idle: Vec::new(),
            is_in_line: false,
            users: 0,
            took_micros: SWIFT_MICROS_MAX,
            has_news: false,
            is_stuck: false,
            hop: Rc::clone(hop),
        });
        self.by_key.insert(key, at);
        QueueIndex(at)
    }

    /// DNS named the hosts of a domain; the answer is good until `until`. A domain that nobody
    /// waits for any more may have left its number to another one: the name tells. `true`: more of
    /// those that waited are to begin.
    pub(super) fn resolved(
        &mut self,
        (number, name): (u32, &str),
        hop: Rc<Hop>,
        site: Arc<Site>,
        until: u32,
        now: u32,
    ) -> bool {
        if self.domains.text(number) != name {
            return false;
        }
        let Some(domain) = self.domains.value_mut(number) else {
            return false;
        };
        domain.site = Some(Arc::clone(&site));
        let known = Standing::Known(Known {
            hop,
            site,
            queues: Vec::new(),
            until: until.max(now.saturating_add(1)),
        });
        let before = std::mem::replace(&mut domain.standing, known);
        let pending = std::mem::take(&mut domain.pending);
        self.nodes.append(&mut self.beginning, pending);
        let has_more = self.start_some(now);
        self.forget(before);
        has_more
    }

    /// DNS named none: gives back those that waited, now `Sending` until somebody decides.
    pub(super) fn unresolved(&mut self, (number, name): (u32, &str), now: u32) -> Vec<Index> {
        if self.domains.text(number) != name {
            return Vec::new();
        }
        let Some(domain) = self.domains.value_mut(number) else {
            return Vec::new();
        };
        domain.standing = Standing::Unknown;
        let mut pending = std::mem::take(&mut domain.pending);
        let mut waited = Vec::new();
        while let Some(index) = self.nodes.pop(&mut pending) {
            self.enter(index, State::Sending, now.saturating_add(SENDING_SECS_MAX));
            waited.push(index);
        }
        waited
    }

    /// Hosts and routes are asked for again before the next start: the configuration changed.
    pub(super) fn doubt_all(&mut self) {
        for domain in self.domains.values_mut() {
            if let Standing::Known(known) = &mut domain.standing {
                known.until = 0;
            }
        }
    }

    /// The same for the destination of one recipient: what is known of it is not its route.
    pub(super) fn doubt(&mut self, index: Index) {
        let number = self.nodes.node(index).domain;
        if let Some(domain) = self.domains.value_mut(number)
            && let Standing::Known(known) = &mut domain.standing
        {
            known.until = 0;
        }
    }

    /// Takes one transaction's recipients for sending.
    pub(super) fn take(
        &mut self,
        queue: QueueIndex,
        most: usize,
        now: u32,
        belongs: impl FnMut(&Nodes, Index, Index) -> bool,
    ) -> Vec<Index> {
        let Some(queue) = self.queues.get_mut(queue.0) else {
            return Vec::new();
        };
        let taken = queue.lanes.take(&mut self.nodes, most, belongs);
        let until = now.saturating_add(SENDING_SECS_MAX);
        for index in &taken {
            self.enter(*index, State::Sending, until);
        }
        taken
    }

    /// Nothing is to be done for it any more.
    pub(super) fn end(&mut self, index: Index) {
        let node = *self.nodes.node(index);
        self.let_go(index);
        self.leave_owner(node.tenant());
        self.leave(node.domain);
    }

    /// One recipient less goes there; with the last one goes what is known of it.
    fn leave(&mut self, number: u32) {
        if self.domains.users(number) == 1
            && let Some(domain) = self.domains.value_mut(number)
        {
            let standing = std::mem::take(&mut domain.standing);
            // What is `Gone` and still chained has left already.
            let mut pending = std::mem::take(&mut domain.pending);
            while self.nodes.pop(&mut pending).is_some() {}
            self.forget(standing);
        }
        self.domains.leave(number);
    }

    /// Gives a recipient another destination. One that waits for hosts or a connection starts anew;
    /// what is being sent stays with whoever has it.
    pub(super) fn redirect(&mut self, index: Index, to: &str, now: u32) {
        let state = self.nodes.node(index).state();
        let starts = matches!(state, State::Resolving | State::Ready);
        let index = match starts {
            true => self.take_out(index),
            false => Some(index).filter(|_| state != State::Gone),
        };
        let Some(index) = index else {
            return;
        };
        let number = self.domains.enter(to);
        self.count(index, Tally::leave);
        let before = std::mem::replace(&mut self.nodes.node_mut(index).domain, number);
        self.count(index, Tally::enter);
        self.leave(before);
        if starts {
            self.start(index, now);
        }
    }

    fn forget(&mut self, standing: Standing) {
        let Standing::Known(known) = standing else {
            return;
        };
        for (_, index) in known.queues {
            if let Some(queue) = self.queues.get_mut(index.0) {
                queue.users = queue.users.saturating_sub(1);
            }
            self.prune(index);
        }
    }

    /// Removes a queue that nobody needs.
    pub(super) fn prune(&mut self, index: QueueIndex) {
        let Some(queue) = self.queues.get(index.0) else {
            return;
        };
        if queue.users == 0 && queue.couriers == 0 && queue.lanes.count() == 0 {
            let queue = self.queues.remove(index.0);
            let exchange = Box::from(queue.hop.exchange.as_str());
            self.by_key.remove(&(queue.source.id, exchange));
        }
    }

    /// The same recipient in no list: an order of the operator takes it out of where it is.
    /// `None`: it is being sent.
    pub(super) fn take_out(&mut self, index: Index) -> Option<Index> {
        let node = *self.nodes.node(index);
        if matches!(node.state(), State::Sending | State::Gone) {
            return None;
        }
        if !node.is_linked() {
            return Some(index);
        }
        let fresh = self
            .nodes
            .add(node.item, node.domain, node.tenant(), node.band());
        let fresh = fresh.ok()?;
        self.count(fresh, Tally::enter);
        self.let_go(index);
        Some(fresh)
    }

    /// The operator holds a recipient in no list.
    pub(super) fn hold(&mut self, index: Index, now: u32) {
        self.enter(index, State::Held, now.saturating_add(LOOK_SECS));
    }

    /// Somebody decides about a recipient in no list.
    pub(super) fn give_up(&mut self, index: Index, now: u32) {
        self.enter(index, State::Sending, now.saturating_add(SENDING_SECS_MAX));
    }

    /// Leaves it where it is, and looks at it again later.
    pub(super) fn look_later(&mut self, index: Index, now: u32) {
        let state = self.nodes.node(index).state();
        self.enter(index, state, now.saturating_add(LOOK_SECS));
    }

    pub(super) fn enter(&mut self, index: Index, state: State, due: u32) {
        self.count(index, Tally::leave);
        self.nodes.node_mut(index).enter(state, due);
        self.count(index, Tally::enter);
    }

    fn let_go(&mut self, index: Index) {
        self.count(index, Tally::leave);
        self.nodes.let_go(index);
    }

    pub(super) fn count(&mut self, index: Index, change: fn(&mut Tally, State)) {
        let node = self.nodes.node(index);
        let (state, domain, owner) = (node.state(), node.domain, node.tenant());
        if let Some(domain) = self.domains.value_mut(domain) {
            change(&mut domain.tally, state);
        }
        let tenant = self.turn_of(owner).unwrap_or(owner);
        if let Some(tenant) = self.owners.value_mut(tenant) {
            change(&mut tenant.tally, state);
        }
    }

    /// Those among the next `most` places whose state has outlived its time, and where to go on.
    pub(super) fn late(&self, from: u32, most: u32, now: u32) -> (Vec<Index>, u32) {
        let (found, next) = self.nodes.walk(from, most);
        let is_late = |index: &Index| self.nodes.node(*index).due.saturating_add(SLACK_SECS) < now;
        (found.filter(is_late).collect(), next)
    }

    #[must_use]
    pub(super) fn queue(&self, index: QueueIndex) -> Option<&Queue> {
        self.queues.get(index.0)
    }

    pub(super) fn queue_mut(&mut self, index: QueueIndex) -> Option<&mut Queue> {
        self.queues.get_mut(index.0)
    }

    pub(super) fn queues_mut(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.queues.iter_mut().map(|(_, queue)| queue)
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = (QueueIndex, &Queue)> {
        let queues = self.queues.iter();
        queues.map(|(at, queue)| (QueueIndex(at), queue))
    }

    #[must_use]
    pub(super) fn domain_of(&self, index: Index) -> &str {
        domain_of(self.destination_of(index))
    }

    /// The name of a recipient's destination.
    #[must_use]
    pub(super) fn destination_of(&self, index: Index) -> &str {
        self.domains.text(self.nodes.node(index).domain)
    }

    #[must_use]
    pub(super) fn tenant_of(&self, index: Index) -> &str {
        self.owner_of(index).0
    }

    /// Tenant and campaign.
    #[must_use]
    pub(super) fn owner_of(&self, index: Index) -> (&str, &str) {
        let (tenant, campaign, _) = owner::parts(self.owners.text(self.nodes.node(index).tenant()));
        (tenant, campaign)
    }
}

impl Queue {
    /// How many are ready.
    #[must_use]
    pub(super) fn ready(&self) -> usize {
        self.lanes.count()
    }

    /// A message was sent in this time.
    pub(super) fn took(&mut self, micros: u64) {
        self.took_micros = self.took_micros.saturating_mul(7).saturating_add(micros) / 8;
        (self.has_news, self.is_stuck) = (true, false);
    }

    /// A second has passed: whoever was swift may be stuck since.
    pub(super) fn doubt(&mut self) {
        self.took_micros = self.took_micros.max(SWIFT_MICROS_MAX);
        self.is_stuck = !std::mem::take(&mut self.has_news);
    }

    /// Whether a round trip is little beside what a message takes there.
    #[must_use]
    pub(super) fn is_slow(&self) -> bool {
        self.took_micros > SLOW_MICROS_MIN
    }

    /// How many are left to each courier who is at work. One that is soon back takes several: they
    /// go out with the ends of each other, and nobody is woken for each. Where nobody came back for
    /// a second nothing is: a host that answers no more would keep it for minutes.
    #[must_use]
    pub(super) fn left_to_each(&self) -> usize {
        match self.took_micros < SWIFT_MICROS_MAX {
            _ if self.is_stuck => 0,
            true => LEFT_TO_SWIFT,
            false => 1,
        }
    }
}

/// A host that takes messages faster than this is swift.
const SWIFT_MICROS_MAX: u64 = 2_000;

/// One that takes longer is slow.
const SLOW_MICROS_MIN: u64 = 2_000_000;

/// Messages that wait for a courier of a swift one: some milliseconds.
const LEFT_TO_SWIFT: usize = 4;

/// Recipients that start before others have a turn: a millisecond or two.
const STARTED_AT_ONCE: usize = 4_096;

/// A state without an event of its own is looked at this often: has its message expired?
pub(super) const LOOK_SECS: u32 = 600;

/// One attempt with all its hosts; the deadlines of egress end it before.
pub(super) const SENDING_SECS_MAX: u32 = 3_600;

/// How late the watchdog lets a state be.
pub(super) const SLACK_SECS: u32 = 30;
