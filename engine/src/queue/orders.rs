//! What the operator asks and orders of a shard's queue.
//!
//! Lists and orders walk the nodes a piece at a time ([`super::choice`]), so that the shard goes on
//! sending meanwhile. What an order changes is durable when it is answered.

use super::destination::Destination;
use super::dispatch::{Dispatcher, due_of};
use super::nodes::{Index, State};
use super::notice::class_of;
use super::origin;
use super::owner;
use super::suspend::{Envelope, Field, Suspension};
use super::why::Why;
use crate::event;
use crate::intake::queue_id;
use crate::post::{
    LastReply, Pick, QueueAnswer, QueueAsk, QueueDeed, QueueLine, QueueShown, SuspensionLine,
};
use std::ops::ControlFlow;
use std::rc::Rc;
use store::mail::address::Address;
use store::mail::id::ItemId;
use store::shard::{End, Ending, Hold, HostReply, Item, Note};

impl Dispatcher {
    pub async fn answer(self: &Rc<Self>, ask: QueueAsk) -> QueueAnswer {
        // What was acknowledged before the question is part of the answer.
        self.take_in().await;
        match ask {
            QueueAsk::List { pick, most } => QueueAnswer::Lines(self.list(&pick, most).await),
            QueueAsk::OfMessage(id) => QueueAnswer::All(self.of_message(&id).await),
            QueueAsk::Show(item) => QueueAnswer::Shown(self.show(item).await.map(Box::new)),
            QueueAsk::Carry {
                pick,
                is_trial: true,
                ..
            } => QueueAnswer::Count(self.count_picked(&pick).await),
            QueueAsk::Carry { pick, deed, .. } => {
                QueueAnswer::Count(self.carry_out_order(&pick, deed).await)
            }
            QueueAsk::Reroute { pick, via } => self.reroute(pick, via).await,
            QueueAsk::Hop {
                domain,
                sender,
                tenant,
                via,
            } => {
                let to = Destination {
                    domain: &domain,
                    sender: &sender,
                    tenant: &tenant,
                    via: via.as_deref(),
                };
                QueueAnswer::Hop(self.show_hop(&to).await)
            }
            QueueAsk::Suspend { field, until } => {
                let field = field.into();
                self.suspend(Suspension { field, until }).await
            }
            QueueAsk::Resume(field) => self.resume(&field.into()).await,
            QueueAsk::Suspensions => QueueAnswer::Suspensions(self.suspensions()),
            QueueAsk::Top => QueueAnswer::Sites(self.top()),
            QueueAsk::Sources => QueueAnswer::Sources(self.source_lines()),
            QueueAsk::TlsReports { day, domain } => {
                QueueAnswer::TlsReports(self.tls_reports(day, domain.as_deref()))
            }
        }
    }

    async fn list(&self, pick: &Pick, most: usize) -> Vec<QueueLine> {
        let mut lines = Vec::new();
        self.each_picked(pick, async |picked| {
            lines.extend(picked.iter().map(|(index, item)| self.line(*index, item)));
            match lines.len() >= most {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
        .await;
        lines.truncate(most);
        lines
    }

    async fn count_picked(&self, pick: &Pick) -> u64 {
        let mut count = 0;
        self.each_picked(pick, async |picked| {
            count += picked.len() as u64;
            ControlFlow::Continue(())
        })
        .await;
        count
    }

    fn line(&self, index: Index, item: &Item) -> QueueLine {
        let (now, now_millis) = (self.second(), self.now().monotonic_millis);
        let mut board = self.board.borrow_mut();
        let why = board.why(index, item.attempts > 0, now, now_millis);
        let (tenant, campaign) = owner::split(&item.tenant);
        QueueLine {
            item: format!("{}.{}", self.shard, item.id.0),
            domain: item.domain.to_string(),
            tenant: tenant.to_owned(),
            campaign: campaign.to_owned(),
            octets: item.octets,
            priority: item.priority,
            attempts: item.attempts.into(),
            enqueued_secs: item.enqueued_secs,
            expiry_secs: item.expiry_secs,
            state: board.nodes.node(index).state().name().to_owned(),
            why: why.to_string(),
            until_secs: why.until(),
        }
    }

    pub(super) async fn show(&self, item: u64) -> Option<QueueShown> {
        let pick = Pick {
            item: Some(format!("{}.{item}", self.shard)),
            ..Pick::default()
        };
        let mut line = self.list(&pick, 1).await.pop()?;
        let id = ItemId(item);
        let (queued, _) = origin::settled(self.store.queued(&[id]).await.ok()?);
        let last = self.store.last_attempt(id).await.ok().flatten();
        let sender = queued.source.reverse_path.as_ref();
        let sender = sender.map(Address::to_string).unwrap_or_default();
        let (_, leaving) = queued.recipients.first()?;
        let envelope = Envelope {
            sender: &sender,
            recipient: &leaving.address,
        };
        if let Some(why) = self
            .why_suspended(&envelope)
            .filter(|_| line.state == DEFERRED)
        {
            (line.why, line.until_secs) = (why.to_string(), why.until());
        }
        Some(QueueShown {
            line,
            queue_id: queue_id::text(queued.queue),
            recipient: leaving.address.to_string(),
            sender,
            received_secs: queued.received_secs,
            last: last.map(|last| LastReply {
                class: class_of(&last.reply).name().to_owned(),
                at_secs: last.at_secs,
                host: last.reply.host,
                code: last.reply.code,
                text: last.reply.text,
            }),
        })
    }

    /// A suspension by what only the message tells.
    fn why_suspended(&self, envelope: &Envelope<'_>) -> Option<Why> {
        let now = self.second();
        let mut board = self.board.borrow_mut();
        let found = board.suspensions.find(now, |field| field.is_of(envelope))?;
        Some(Why::Suspended {
            by: found.field.to_string(),
            until: found.until,
        })
    }

    /// How many were meant and not just being sent.
    async fn carry_out_order(self: &Rc<Self>, pick: &Pick, deed: QueueDeed) -> u64 {
        let mut count = 0;
        self.each_picked(pick, async |picked| {
            let taken = self.take_out(picked, deed);
            count += taken.len() as u64;
            self.dispose(taken, deed).await;
            ControlFlow::Continue(())
        })
        .await;
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
    fn take_out(&self, picked: Vec<(Index, Item)>, deed: QueueDeed) -> Vec<(Index, Item)> {
        let now = self.second();
        let mut taken = Vec::with_capacity(picked.len());
        for (index, item) in picked {
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
        self.tell_dropped(&taken, deed, noted.is_ok()).await;
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
        let mut board = self.board.borrow_mut();
        for (index, _) in taken {
            let queue = board
                .queue_of(*index, now)
                .and_then(|queue| board.queue_mut(queue));
            if let Some(queue) = queue {
                queue.site.resume();
                queue.shunned = 0;
            }
        }
    }

    fn suspensions(&self) -> Vec<SuspensionLine> {
        let now = self.second();
        let mut board = self.board.borrow_mut();
        // Those that are over go.
        let _ = board.suspensions.find(now, |_| false);
        let lines = board.suspensions.list().iter().cloned();
        let lines = lines.map(|one| SuspensionLine {
            field: one.field.into(),
            until_secs: one.until,
        });
        lines.collect()
    }

    async fn suspend(&self, suspension: Suspension) -> QueueAnswer {
        if let Err(why) = self.keep_suspension(&suspension).await {
            return QueueAnswer::Refused(why);
        }
        let is_added = self.board.borrow_mut().suspensions.add(suspension);
        QueueAnswer::Count(u64::from(is_added))
    }

    async fn resume(self: &Rc<Self>, field: &Field) -> QueueAnswer {
        if let Err(why) = self.forget_suspension(field).await {
            return QueueAnswer::Refused(why);
        }
        let was_there = self.board.borrow_mut().suspensions.resume(field) | self.pardon(field);
        let mut pick = Pick::default();
        match field {
            Field::Domain(name) => pick.domain = Some(name.clone()),
            Field::Tenant(name) => pick.tenant = Some(name.clone()),
            Field::Campaign(name) => pick.campaign = Some(name.clone()),
            // Of these nothing is known here, nor of tenants that a rule suspended at a site:
            // whatever is due is tried.
            Field::Sender(_) | Field::Recipient(_) | Field::Site(_) => {}
        }
        // Another shard may have taken back what rules ordered before us.
        if was_there || matches!(field, Field::Site(_)) {
            self.stir(&pick).await;
        }
        self.turn();
        QueueAnswer::Count(u64::from(was_there))
    }

    /// What rules ordered of a site is over too, in all shards.
    fn pardon(&self, field: &Field) -> bool {
        match field {
            Field::Site(name) => {
                let site = self.sites.site(name);
                self.note_orders(&site);
                site.effects.forget(self.second())
            }
            _ => false,
        }
    }

    /// What waits for nothing but the end of a suspension starts.
    async fn stir(self: &Rc<Self>, pick: &Pick) {
        self.each_picked(pick, async |picked| {
            let now = self.second();
            let mut board = self.board.borrow_mut();
            for (index, item) in picked {
                let (node, due) = (board.nodes.node(index), due_of(&item, now));
                // It waits for a look at the suspension, which may be long after its own time.
                let is_earlier = node.state() == State::Timed && due < node.due;
                if is_earlier && let Some(index) = board.take_out(index) {
                    board.defer(index, due, now);
                }
            }
            ControlFlow::Continue(())
        })
        .await;
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

fn word(deed: QueueDeed) -> &'static str {
    match deed {
        QueueDeed::Retry => "retry",
        QueueDeed::Drop => "drop",
        QueueDeed::Hold => "hold",
        QueueDeed::Release => "release",
    }
}

/// The state in which a suspension by sender or recipient leaves a recipient.
const DEFERRED: &str = "deferred";
