//! By which egress source a recipient leaves, and so by which ready queue: chosen when it starts,
//! and again for what is ready where a source cannot send.

use super::board::{Board, QueueIndex, Standing};
use super::hop::Hop;
use super::nodes::{Index, Nodes};
use super::owner;
use super::site::Site;
use super::source::Source;
use super::tally::Tally;
use std::rc::Rc;
use std::sync::Arc;

/// Where mail for a domain goes.
pub(super) struct Known {
    pub(super) hop: Rc<Hop>,
    pub(super) site: Arc<Site>,
    /// Its ready queues by egress source, as far as they were needed.
    pub(super) queues: Vec<(u32, QueueIndex)>,
    pub(super) until: u32,
}

impl Board {
    /// The ready queue by which a recipient leaves; `None`: the hosts of its domain are not known.
    pub(super) fn way(&mut self, index: Index, now: u32) -> Option<QueueIndex> {
        let number = self.nodes.node(index).domain;
        let known = self.known(number).filter(|known| now < known.until)?;
        let source = self.source_of(index, known, now)?;
        if let Some(queue) = known.queue_of(source) {
            return Some(queue);
        }
        let (source, hop) = (Arc::clone(source), Rc::clone(&known.hop));
        let site = Arc::clone(&known.site);
        let queue = self.queue_for(&source, &hop, &site);
        if let Some(entry) = self.queues.get_mut(queue.0) {
            entry.users += 1;
        }
        if let Some(Standing::Known(known)) = self
            .domains
            .value_mut(number)
            .map(|domain| &mut domain.standing)
        {
            known.queues.push((source.id, queue));
        }
        Some(queue)
    }

    pub(super) fn known(&self, number: u32) -> Option<&Known> {
        match &self.domains.value(number)?.standing {
            Standing::Known(known) => Some(known),
            Standing::Unknown | Standing::Asked => None,
        }
    }

    /// The ready queue that a recipient is in, or would be.
    #[must_use]
    pub(super) fn queue_of(&self, index: Index, now: u32) -> Option<QueueIndex> {
        let known = self.known(self.nodes.node(index).domain)?;
        let source = self.source_of(index, known, now)?;
        known.queue_of(source).or_else(|| {
            let key = (source.id, Box::from(known.hop.exchange.as_str()));
            self.by_key.get(&key).map(|at| QueueIndex(*at))
        })
    }

    /// The site of its domain, or the domain itself.
    pub(super) fn site_of(&self, index: Index) -> String {
        let known = self.known(self.nodes.node(index).domain);
        let name = known.map(|known| known.site.name().to_owned());
        name.unwrap_or_else(|| self.domain_of(index).to_owned())
    }

    /// The source by which it leaves now.
    pub(super) fn source_of(&self, index: Index, known: &Known, now: u32) -> Option<&Arc<Source>> {
        let node = self.nodes.node(index);
        let (tenant, _, own) = owner::parts(self.owners.text(node.tenant()));
        let by_rule = self.switched(&known.site, now);
        let by_route = known
            .hop
            .route
            .pool
            .and_then(|pool| u16::try_from(pool).ok());
        let own = by_rule.or(own).or_else(|| self.pools.of_tenant(tenant));
        let key = || (self.message_of)(node.item);
        let is_usable = |source: &Source| source.may_send_to(&known.site, now);
        let pool = own.or(by_route).unwrap_or(0);
        self.pools.choose(pool, key, is_usable)
    }

    /// The pool of a sender, which is known once its message was read, is another one than that of
    /// its tenant: a recipient in no list changes over. `false`: it leaves by that pool already.
    pub(super) fn change_pool(&mut self, index: Index, pool: u16) -> bool {
        let before = self.nodes.node(index).tenant();
        let text = self.owners.text(before);
        let (tenant, _, own) = owner::parts(text);
        if own.or_else(|| self.pools.of_tenant(tenant)) == Some(pool) {
            return false;
        }
        let name = owner::by_pool(text, pool);
        let number = self.enter_owner(&name);
        self.count(index, Tally::leave);
        self.leave_owner(before);
        self.nodes.node_mut(index).set_tenant(number);
        self.count(index, Tally::enter);
        true
    }

    /// What is ready in a queue that cannot send now goes to the others of its pool, a piece at a
    /// time; what none of them can take stays.
    pub(super) fn part(&mut self, index: QueueIndex, now: u32) {
        let Some(queue) = self.queues.get(index.0) else {
            return;
        };
        if now < queue.parted || self.is_open(queue, now) {
            return;
        }
        let ready = queue.lanes.count();
        let alone = |_: &Nodes, _, _| false;
        let mut moved = false;
        for _ in 0..ready.min(PARTED_MAX) {
            let Some(queue) = self.queues.get_mut(index.0) else {
                return;
            };
            let taken = queue.lanes.take(&mut self.nodes, 1, alone);
            let Some(one) = taken.first().copied() else {
                break;
            };
            self.start(one, now);
            moved |= self.way(one, now) != Some(index);
        }
        if let Some(queue) = self.queues.get_mut(index.0)
            && !moved
        {
            queue.parted = now.saturating_add(PARTED_SECS);
        }
    }
}

impl Known {
    pub(super) fn queue_of(&self, source: &Source) -> Option<QueueIndex> {
        let found = self.queues.iter().find(|(id, _)| *id == source.id);
        found.map(|(_, queue)| *queue)
    }
}

/// What is ready of a queue that cannot send is offered to other sources so much at a time,
const PARTED_MAX: usize = 1_000;

/// and so often, where none took any of it.
const PARTED_SECS: u32 = 5;
