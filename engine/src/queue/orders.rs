//! What the operator asks and orders of a shard's queue.
//!
//! Lists and orders walk the nodes a piece at a time, so that the shard goes on sending meanwhile.

use super::dispatch::Dispatcher;
use super::nodes::{Index, State};
use super::suspend::{Field, Suspension};
use crate::event;
use crate::intake::queue_id;
use crate::post::{
    LastReply, Pick, QueueAnswer, QueueAsk, QueueDeed, QueueField, QueueLine, QueueShown, SiteLine,
};
use crate::reactor::yield_now;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use store::mail::address::Address;
use store::mail::id::ItemId;
use store::shard::{End, Ending, Hold, HostReply, Item, Note};

impl Dispatcher {
    pub async fn answer(self: &Rc<Self>, ask: QueueAsk) -> QueueAnswer {
        // What was acknowledged before the question is part of the answer.
        self.take_in().await;
        match ask {
            QueueAsk::List { pick, most } => QueueAnswer::Lines(self.list(&pick, most).await),
            QueueAsk::Show(item) => QueueAnswer::Shown(self.show(item).await.map(Box::new)),
            QueueAsk::Carry { pick, deed } => {
                QueueAnswer::Count(self.carry_out_order(&pick, deed).await)
            }
            QueueAsk::Suspend { field, until } => self.suspend(field, until),
            QueueAsk::Resume(field) => self.resume(&field.into()).await,
            QueueAsk::Top => QueueAnswer::Sites(self.top()),
            QueueAsk::Sources => QueueAnswer::Sources(self.source_lines()),
            QueueAsk::TlsReports { day, domain } => {
                QueueAnswer::TlsReports(self.tls_reports(day, domain.as_deref()))
            }
        }
    }

    async fn list(&self, pick: &Pick, most: usize) -> Vec<QueueLine> {
        let mut lines = Vec::new();
        let mut from = 0;
        loop {
            let (picked, next) = self.picked(pick, from);
            for index in picked {
                lines.extend(self.line(index));
            }
            from = next;
            if next == 0 || lines.len() >= most {
                lines.truncate(most);
                return lines;
            }
            yield_now().await;
        }
    }

    /// Those among some nodes that are meant, and where to go on; 0: that was all.
    fn picked(&self, pick: &Pick, from: u32) -> (Vec<Index>, u32) {
        let board = self.board.borrow();
        let (found, next) = board.nodes.walk(from, LOOKED_AT_ONCE);
        let named = match pick {
            Pick::Item(name) => number(name),
            _ => None,
        };
        let is_meant = |index: &Index| match pick {
            Pick::All => true,
            Pick::Domain(domain) => board.domain_of(*index) == domain,
            Pick::Tenant(tenant) => board.tenant_of(*index) == tenant,
            Pick::Item(_) => named == Some((self.shard as u64, board.nodes.node(*index).item)),
        };
        (found.filter(is_meant).collect(), next)
    }

    fn line(&self, index: Index) -> Option<QueueLine> {
        let item = self.item_of(index)?;
        let (now, now_millis) = (self.second(), self.now().monotonic_millis);
        let mut board = self.board.borrow_mut();
        let why = board.why(index, item.attempts > 0, now, now_millis);
        Some(QueueLine {
            item: format!("{}.{}", self.shard, item.id.0),
            domain: item.domain.to_string(),
            tenant: item.tenant.to_string(),
            octets: item.octets,
            priority: item.priority,
            attempts: item.attempts.into(),
            enqueued_secs: item.enqueued_secs,
            expiry_secs: item.expiry_secs,
            state: board.nodes.node(index).state().name().to_owned(),
            why: why.to_string(),
            until_secs: why.until(),
        })
    }

    async fn show(&self, item: u64) -> Option<QueueShown> {
        let name = format!("{}.{item}", self.shard);
        let line = self.list(&Pick::Item(name), 1).await.pop()?;
        let id = ItemId(item);
        let queued = self.store.queued(&[id]).await.ok()?;
        let last = self.store.last_attempt(id).await.ok().flatten();
        let sender = queued.source.reverse_path.as_ref();
        let (_, leaving) = queued.recipients.first()?;
        Some(QueueShown {
            line,
            queue_id: queue_id::text(queued.queue),
            sender: sender.map(Address::to_string).unwrap_or_default(),
            recipient: leaving.address.to_string(),
            received_secs: queued.received_secs,
            last: last.map(|last| LastReply {
                at_secs: last.at_secs,
                host: last.reply.host,
                code: last.reply.code,
                text: last.reply.text,
            }),
        })
    }

    /// How many were meant and not just being sent.
    async fn carry_out_order(self: &Rc<Self>, pick: &Pick, deed: QueueDeed) -> u64 {
        let (mut count, mut from) = (0, 0);
        loop {
            let (picked, next) = self.picked(pick, from);
            let taken = self.take_out(picked, deed);
            count += taken.len() as u64;
            self.dispose(taken, deed).await;
            from = next;
            if next == 0 {
                break;
            }
            yield_now().await;
        }
        let shard = self.shard;
        event!(
            Info,
            "queue order",
            shard = shard,
            what = word(deed),
            recipients = count
        );
        self.turn();
        count
    }

    /// Takes those out of their lists to whom the order means something; nobody else touches them.
    fn take_out(&self, picked: Vec<Index>, deed: QueueDeed) -> Vec<(Index, Item)> {
        let now = self.second();
        let mut taken = Vec::with_capacity(picked.len());
        for index in picked {
            let Some(item) = self.item_of(index) else {
                continue;
            };
            let mut board = self.board.borrow_mut();
            let is_held = board.nodes.node(index).state() == State::Held;
            let is_meant = match deed {
                QueueDeed::Release => is_held,
                QueueDeed::Retry | QueueDeed::Hold => !is_held,
                QueueDeed::Drop => true,
            };
            if is_meant && let Some(index) = board.take_out(index) {
                board.give_up(index, now);
                taken.push((index, item));
            }
        }
        taken
    }

    async fn dispose(self: &Rc<Self>, taken: Vec<(Index, Item)>, deed: QueueDeed) {
        let (now, wall) = (self.second(), self.now().unix_secs() as i64);
        if deed == QueueDeed::Retry {
            self.forgive(&taken);
        }
        let notes = taken.iter().filter_map(|(_, item)| note(item, deed, wall));
        let notes: Vec<Note> = notes.collect();
        let noted = match notes.is_empty() {
            true => Ok(()),
            false => self.store.note(notes).await,
        };
        if let Err(error) = &noted {
            let why = error.to_string();
            event!(Warn, "queue order failed", shard = self.shard, why = why);
        }
        let mut board = self.board.borrow_mut();
        for (index, _) in taken {
            match (deed, &noted) {
                (QueueDeed::Drop, Ok(())) => board.end(index),
                (QueueDeed::Hold, Ok(())) | (QueueDeed::Release, Err(_)) => board.hold(index, now),
                _ => board.defer(index, now, now),
            }
        }
    }

    /// Who wants mail tried now wants its site tried too.
    fn forgive(&self, taken: &[(Index, Item)]) {
        let now = self.second();
        let board = self.board.borrow();
        for (index, _) in taken {
            let queue = board
                .queue_of(*index, now)
                .and_then(|queue| board.queue(queue));
            if let Some(queue) = queue {
                queue.site.resume();
            }
        }
    }

    fn suspend(&self, field: QueueField, until: Option<u32>) -> QueueAnswer {
        let suspension = Suspension {
            field: field.into(),
            until,
        };
        let is_added = self.board.borrow_mut().suspensions.add(suspension);
        QueueAnswer::Count(u64::from(is_added))
    }

    async fn resume(self: &Rc<Self>, field: &Field) -> QueueAnswer {
        let was_there = self.board.borrow_mut().suspensions.resume(field);
        let pick = match field {
            Field::Domain(name) => Some(Pick::Domain(name.clone())),
            Field::Tenant(name) => Some(Pick::Tenant(name.clone())),
            // What a site had stays ready; of senders nothing is known here.
            Field::Site(_) => None,
            Field::Sender(_) => Some(Pick::All),
        };
        if let Some(pick) = pick.filter(|_| was_there) {
            self.stir(&pick).await;
        }
        self.turn();
        QueueAnswer::Count(u64::from(was_there))
    }

    /// What waits for nothing but the end of a suspension starts.
    async fn stir(self: &Rc<Self>, pick: &Pick) {
        let mut from = 0;
        loop {
            let (picked, next) = self.picked(pick, from);
            let now = self.second();
            for index in picked {
                let Some(item) = self.item_of(index) else {
                    continue;
                };
                let mut board = self.board.borrow_mut();
                let is_timed = board.nodes.node(index).state() == State::Timed;
                if is_timed
                    && item.due_secs <= now
                    && let Some(index) = board.take_out(index)
                {
                    board.defer(index, now, now);
                }
            }
            from = next;
            if next == 0 {
                return;
            }
            yield_now().await;
        }
    }

    fn top(&self) -> Vec<SiteLine> {
        let now_millis = self.now().monotonic_millis;
        let board = self.board.borrow();
        let mut lines: BTreeMap<&str, SiteLine> = BTreeMap::new();
        for (_, queue) in board.queues() {
            let site = &queue.site;
            let count = |cell: &std::sync::atomic::AtomicU64| cell.load(Ordering::Relaxed);
            let line = lines.entry(site.name()).or_insert_with(|| SiteLine {
                site: site.name().to_owned(),
                ready: 0,
                connections: site.open(),
                allowed: site.allowed(queue.hop.route.pace.connections_max),
                paused_secs: site
                    .paused_until()
                    .saturating_sub(now_millis)
                    .div_ceil(1000),
                sent: count(&site.counts.sent),
                deferred: count(&site.counts.deferred),
                failed: count(&site.counts.failed),
                unreached: count(&site.counts.unreached),
            });
            line.ready += queue.ready() as u64;
        }
        let mut lines: Vec<SiteLine> = lines.into_values().collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.ready));
        lines.truncate(SITES_SHOWN_MAX);
        lines
    }
}

fn note(item: &Item, deed: QueueDeed, wall: i64) -> Option<Note> {
    let hold = |is_held| {
        Note::Hold(Hold {
            item: item.id,
            is_held,
            due_secs: wall,
        })
    };
    match deed {
        // Nothing that a restart would have to know.
        QueueDeed::Retry => None,
        QueueDeed::Hold => Some(hold(true)),
        QueueDeed::Release => Some(hold(false)),
        QueueDeed::Drop => Some(Note::End(End {
            item: item.id,
            at_secs: wall,
            ending: Ending::Dropped,
            reply: HostReply {
                text: "dropped by the operator".to_owned(),
                ..HostReply::default()
            },
        })),
    }
}

/// Shard and number of `SHARD.NUMBER`.
fn number(name: &str) -> Option<(u64, u64)> {
    let (shard, item) = name.split_once('.')?;
    Some((shard.parse().ok()?, item.parse().ok()?))
}

fn word(deed: QueueDeed) -> &'static str {
    match deed {
        QueueDeed::Retry => "retry",
        QueueDeed::Drop => "drop",
        QueueDeed::Hold => "hold",
        QueueDeed::Release => "release",
    }
}

impl From<QueueField> for Field {
    fn from(field: QueueField) -> Field {
        match field {
            QueueField::Domain(name) => Field::Domain(name),
            QueueField::Site(name) => Field::Site(name),
            QueueField::Tenant(name) => Field::Tenant(name),
            QueueField::Sender(name) => Field::Sender(name),
        }
    }
}

/// Nodes that are looked at before others have a turn.
const LOOKED_AT_ONCE: u32 = 16_384;

/// Sites that are shown.
const SITES_SHOWN_MAX: usize = 100;
