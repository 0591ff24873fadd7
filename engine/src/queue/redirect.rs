//! Mail that takes another way than the one it waits for: routes were changed, the sender asks for
//! one of his own, or the operator ordered a detour.

use super::board::QueueIndex;
use super::destination::{by_order, by_route};
use super::dispatch::Dispatcher;
use super::nodes::{Index, State};
use super::origin;
use super::owner;
use crate::config::outbound::{Outbound, Whom};
use crate::config::text_of;
use crate::reactor::yield_now;
use std::borrow::Cow;
use std::rc::Rc;
use store::mail::id::ItemId;
use store::shard::{Item, Queued};

impl Dispatcher {
    /// The name of the destination of an item as the store has it.
    pub(super) fn destination<'i>(&self, item: &'i Item, rules: &Outbound) -> Cow<'i, str> {
        let (owner, sender) = origin::parts(&item.tenant);
        let tenant = owner::split(owner).0;
        match self.reroutes.borrow().of(item) {
            Some(via) => Cow::Owned(by_order(&item.domain, via)),
            None => by_route(rules, &item.domain, Whom { sender, tenant }),
        }
    }

    /// Looks at all that waits after routes were changed. What is ready starts anew, so that it
    /// does not wait for a host that it need not go to any more; what waits for its time goes on
    /// waiting.
    pub(super) async fn redirect_all(self: Rc<Self>) {
        let mut from = 0;
        loop {
            let (some, next) = {
                let board = self.board.borrow();
                let (found, next) = board.nodes.walk(from, LOOKED_AT_ONCE);
                (found.collect::<Vec<Index>>(), next)
            };
            self.redirect(&some, true);
            from = next;
            if next == 0 {
                break;
            }
            yield_now().await;
        }
        self.turn();
    }

    /// Gives each of them the destination that it has by now; with `restarts` to those, too, that
    /// have it already and wait there for hosts or a connection.
    pub(super) fn redirect(&self, some: &[Index], restarts: bool) {
        let rules = &self.live.config.load().outbound;
        let now = self.second();
        for index in some {
            let name = self.board.borrow().nodes.node(*index).item;
            let Some(item) = self.store.queue_item(ItemId(name)) else {
                continue;
            };
            let to = self.destination(&item, rules);
            let mut board = self.board.borrow_mut();
            let state = board.nodes.node(*index).state();
            let restarts = restarts && matches!(state, State::Ready | State::Resolving);
            if restarts || board.destination_of(*index) != to {
                board.redirect(*index, &to, now);
            }
        }
    }

    /// Those that go by the hop that they were made ready for: all but those whose route was
    /// changed since, or whose sender, known only now, has one of his own. These start anew.
    pub(super) fn keep_on_route(
        &self,
        queue: QueueIndex,
        wanted: Vec<(Index, Item)>,
        queued: &Queued,
    ) -> Vec<(Index, Item)> {
        let rules = &self.live.config.load().outbound;
        let hop = self
            .board
            .borrow()
            .queue(queue)
            .map(|queue| Rc::clone(&queue.hop));
        let Some(hop) = hop else {
            return wanted;
        };
        if hop.generation == self.generation.get() && !rules.has_senders() {
            return wanted;
        }
        let sender = text_of(queued.source.reverse_path.as_ref());
        let sender = rules.sender_pattern(&sender).unwrap_or_default();
        let now = self.second();
        let mut kept = Vec::with_capacity(wanted.len());
        for (index, item) in wanted {
            let whom = Whom {
                sender: &sender,
                tenant: owner::split(&item.tenant).0,
            };
            let is_ordered = self.reroutes.borrow().of(&item).is_some();
            let route = rules.route(&item.domain, whom);
            if is_ordered || route.is_some_and(|(_, route)| *route == *hop.route) {
                kept.push((index, item));
                continue;
            }
            let to = by_route(rules, &item.domain, whom);
            let mut board = self.board.borrow_mut();
            board.redirect(index, &to, now);
            board.doubt(index);
            board.defer(index, now, now);
        }
        kept
    }
}

/// Nodes that are looked at before others have a turn.
const LOOKED_AT_ONCE: u32 = 16_384;
