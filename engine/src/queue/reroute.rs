//! Orders of the operator about the way of mail that waits. They are about what there is when they
//! are given, never about what comes later, and outlive a restart.
//!
//! An order is a memo of the store, so that a million recipients take another way by one small
//! write. It is forgotten when the last recipient that it could mean has ended.

use super::dispatch::Dispatcher;
use super::nodes::Index;
use super::origin;
use super::owner;
use crate::config::outbound::Detour;
use crate::event;
use crate::post::{Pick, QueueAnswer};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::rc::Rc;
use store::error::ChangeError;
use store::mail::id::ItemId;
use store::shard::{Item, Memo, MemoChange, Space};

/// One order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Reroute {
    number: u64,
    meant: Meant,
    /// The last item that is meant, and no later one.
    through: u64,
    /// A [`Detour`].
    via: String,
}

/// Which items an order means, by what is in memory of them after a start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Meant {
    /// All of a domain and of a tenant, where they are named.
    All {
        domain: Option<String>,
        tenant: Option<String>,
    },
    Items(Vec<u64>),
}

/// All orders of a shard, the newest last.
#[derive(Default)]
pub(super) struct Reroutes {
    list: Vec<Reroute>,
    /// Of all of them.
    through: u64,
}

impl Reroutes {
    /// What a start finds.
    pub(super) fn new(mut list: Vec<Reroute>) -> Reroutes {
        list.sort_by_key(|order| order.number);
        let through = list.iter().map(|order| order.through).max();
        Reroutes {
            list,
            through: through.unwrap_or(0),
        }
    }

    /// The detour of an item.
    pub(super) fn of(&self, item: &Item) -> Option<&str> {
        if item.id.0 > self.through {
            return None;
        }
        let mut newest = self.list.iter().rev();
        let order = newest.find(|order| item.id.0 <= order.through && order.meant.has(item))?;
        Some(order.via.as_str()).filter(|via| Detour::parse(via) != Some(Detour::Route))
    }

    fn add(&mut self, order: Reroute) {
        self.through = self.through.max(order.through);
        self.list.push(order);
    }

    fn next_number(&self) -> u64 {
        self.list.last().map_or(1, |last| last.number + 1)
    }

    /// Orders that mean nothing that waits: all of it has a number from `first` on.
    fn spent(&mut self, first: u64) -> Vec<Reroute> {
        if self.list.is_empty() {
            return Vec::new();
        }
        let (kept, spent) = std::mem::take(&mut self.list)
            .into_iter()
            .partition(|order| order.through >= first);
        *self = Reroutes::new(kept);
        spent
    }
}

impl Meant {
    fn has(&self, item: &Item) -> bool {
        let is_same = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == name)
        };
        match self {
            Meant::All { domain, tenant } => {
                let owner = origin::parts(&item.tenant).0;
                is_same(domain, &item.domain) && is_same(tenant, owner::split(owner).0)
            }
            Meant::Items(items) => items.contains(&item.id.0),
        }
    }

    /// What is asked of the log, or of what changes, is written down as it was found.
    fn of(pick: &Pick, found: &[(Index, Item)]) -> Vec<Meant> {
        let Pick { domain, tenant, .. } = pick;
        let in_memory = Pick {
            domain: domain.clone(),
            tenant: tenant.clone(),
            ..Pick::default()
        };
        if *pick == in_memory {
            let (domain, tenant) = (domain.clone(), tenant.clone());
            return vec![Meant::All { domain, tenant }];
        }
        let numbers = |some: &[(Index, Item)]| some.iter().map(|(_, item)| item.id.0).collect();
        let orders = found.chunks(ITEMS_NAMED_MAX).map(numbers);
        orders.map(Meant::Items).collect()
    }
}

impl Dispatcher {
    /// What an earlier start was ordered. One that cannot be read is named and left where it is.
    pub(super) fn recall_reroutes(&self) {
        let found = self.store.memos(Space::REROUTE, b"", None, REROUTES_MAX);
        let found = found.unwrap_or_else(|error| {
            let why = error.to_string();
            event!(Error, "re-routes lost", shard = self.shard, why = why);
            Vec::new()
        });
        let read = |memo: &Memo| serde_json::from_slice(&memo.value).ok();
        let list: Vec<Reroute> = found.iter().filter_map(read).collect();
        *self.reroutes.borrow_mut() = Reroutes::new(list);
    }

    /// Everything meant that waits now goes there, from its next attempt on.
    pub(super) async fn reroute(self: &Rc<Self>, pick: Pick, via: String) -> QueueAnswer {
        let mut found = Vec::new();
        self.each_picked(&pick, async |picked| {
            found.extend(picked);
            ControlFlow::Continue(())
        })
        .await;
        let Some(through) = found.iter().map(|(_, item)| item.id.0).max() else {
            return QueueAnswer::Count(0);
        };
        let meant = Meant::of(&pick, &found);
        if self.reroutes.borrow().list.len() + meant.len() > REROUTES_MAX {
            return QueueAnswer::Refused(TOO_MANY.to_owned());
        }
        for meant in meant {
            let order = Reroute {
                number: self.reroutes.borrow().next_number(),
                meant,
                through,
                via: via.clone(),
            };
            if let Err(error) = self.keep(&order).await {
                return QueueAnswer::Refused(error.to_string());
            }
            self.reroutes.borrow_mut().add(order);
        }
        let (shard, count) = (self.shard, found.len());
        event!(
            Info,
            "queue order",
            shard = shard,
            what = "reroute",
            via = via,
            recipients = count
        );
        let found: Vec<Index> = found
            .into_iter()
            .filter(|(index, item)| self.is_still(*index, item))
            .map(|(index, _)| index)
            .collect();
        self.redirect(&found, false);
        self.turn();
        QueueAnswer::Count(count as u64)
    }

    async fn keep(&self, order: &Reroute) -> Result<(), ChangeError> {
        let value = serde_json::to_vec(order).map_err(|_| ChangeError::Cannot("a re-route"))?;
        let memo = Memo {
            space: Space::REROUTE,
            key: order.number.to_be_bytes().to_vec(),
            value,
            expiry_secs: 0,
        };
        self.store.write_memos(vec![MemoChange::Put(memo)]).await
    }

    /// Forgets orders whose mail has ended. What fails is tried again after the next start.
    pub(super) async fn forget_reroutes(&self) {
        if self.reroutes.borrow().list.is_empty() {
            return;
        }
        let first = self.store.queue_list(ItemId(0), 1, |_| true);
        let first = first.items.first().map_or(u64::MAX, |item| item.id.0);
        let spent = self.reroutes.borrow_mut().spent(first);
        if spent.is_empty() {
            return;
        }
        let key = |order: &Reroute| order.number.to_be_bytes().to_vec();
        let changes = spent
            .iter()
            .map(|order| MemoChange::Remove(Space::REROUTE, key(order)));
        // An order that means nothing does no harm.
        let _ = self.store.write_memos(changes.collect()).await;
    }
}

/// Orders of one shard at a time.
const REROUTES_MAX: usize = 256;

/// Items that one order names; they fit in a memo.
const ITEMS_NAMED_MAX: usize = 150;

const TOO_MANY: &str = "too many orders: say it by domain or tenant, or wait until some have ended";

#[cfg(test)]
mod tests {
    use super::super::nodes::{Band, Nodes};
    use super::*;

    fn order(number: u64, meant: Meant, through: u64, via: &str) -> Reroute {
        Reroute {
            number,
            meant,
            through,
            via: via.to_owned(),
        }
    }

    fn all(domain: Option<&str>, tenant: Option<&str>) -> Meant {
        Meant::All {
            domain: domain.map(str::to_owned),
            tenant: tenant.map(str::to_owned),
        }
    }

    fn item(id: u64, domain: &str) -> Item {
        Item {
            id: ItemId(id),
            record: store::mail::id::ObjectId(1),
            enqueued_secs: 0,
            due_secs: 0,
            expiry_secs: 0,
            domain: domain.into(),
            tenant: "a@b.example\t@b.example".into(),
            attempts: 0,
            priority: 0,
            is_held: false,
            octets: 0,
        }
    }

    #[test]
    fn the_newest_order_about_what_was_there_holds() {
        let mut orders = Reroutes::new(vec![
            order(2, all(Some("x.example"), None), 20, "mx:y.example"),
            order(1, all(None, None), 10, "smarthost:h.example:25"),
        ]);
        assert_eq!(orders.of(&item(5, "x.example")), Some("mx:y.example"));
        assert_eq!(
            orders.of(&item(5, "z.example")),
            Some("smarthost:h.example:25")
        );
        assert_eq!(orders.of(&item(15, "z.example")), None);
        assert_eq!(orders.of(&item(21, "x.example")), None, "it came later");
        orders.add(order(3, all(None, Some("a@b.example")), 20, "route"));
        assert_eq!(
            orders.of(&item(5, "x.example")),
            None,
            "as configured again"
        );
        orders.add(order(4, Meant::Items(vec![7, 9]), 20, "mx:w.example"));
        assert_eq!(orders.of(&item(7, "x.example")), Some("mx:w.example"));
        assert_eq!(orders.of(&item(8, "x.example")), None);
        assert_eq!(orders.next_number(), 5);
    }

    #[test]
    fn what_only_the_log_tells_is_written_down_item_by_item() {
        let pick = Pick {
            sender: Some("a@b.example".to_owned()),
            ..Pick::default()
        };
        let one = Nodes::default().add(1, 0, 0, Band::Normal).unwrap();
        let found: Vec<(Index, Item)> = (1..=200).map(|id| (one, item(id, "x.example"))).collect();
        let meant = Meant::of(&pick, &found);
        assert_eq!(meant.len(), 2);
        for (meant, own) in meant.into_iter().zip([7, 200]) {
            assert!(meant.has(&item(own, "y.example")) && !meant.has(&item(201, "x.example")));
            let order = order(u64::MAX, meant, u64::MAX, "smarthost:[2001:db8::1]:25");
            let value = serde_json::to_vec(&order).unwrap();
            assert!(
                value.len() <= store::limit::MEMO_VALUE_BYTES_MAX,
                "{}",
                value.len()
            );
        }
    }

    #[test]
    fn an_order_is_forgotten_with_the_last_that_it_could_mean() {
        let all = |through| order(through, all(None, None), through, "mx:y.example");
        let mut orders = Reroutes::new(vec![all(10), all(20)]);
        assert_eq!(orders.spent(10), []);
        assert_eq!(orders.spent(11), [all(10)]);
        assert_eq!(orders.spent(u64::MAX), [all(20)]);
        assert_eq!(orders.of(&item(1, "x.example")), None);
    }
}
