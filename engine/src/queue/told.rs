//! What programs are told of recipients at other hosts: what came of each attempt.
//!
//! It is told before it is written down: after a crash between the two it comes about and is told
//! again, with the same id. Sender and address are not in memory: they are remembered of what is
//! being sent, and else read.

use super::dispatch::Dispatcher;
use super::nodes::Index;
use super::outcome::{Deed, Tried};
use super::owner;
use crate::config::EventKind;
use crate::events::{self, Event, Fields};
use crate::intake::queue_id;
use crate::post::QueueDeed;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use store::mail::address::Address;
use store::mail::id::{ItemId, QueueId};
use store::shard::{Ending, HostReply, Item};

/// Of recipients that are being sent to.
#[derive(Default)]
pub(super) struct Remembered(RefCell<HashMap<ItemId, Rc<Whom>>>);

/// Who sent what to whom.
#[derive(Debug)]
struct Whom {
    message: String,
    sender: String,
    recipient: String,
}

/// One thing to be told.
pub(super) struct News {
    kind: EventKind,
    item: Item,
    said: HostReply,
    next_secs: Option<i64>,
}

impl News {
    /// `None`: it was not tried, or nobody wants to hear of it.
    pub(super) fn of(tried: &Tried, deed: &Deed) -> Option<News> {
        let (kind, next_secs) = match deed {
            Deed::Again => return None,
            Deed::Note(attempt) | Deed::Warn { attempt, .. } => {
                (EventKind::Deferred, Some(attempt.due_secs))
            }
            Deed::End(end, _) => match end.ending {
                Ending::Delivered => (EventKind::Delivered, None),
                Ending::Failed => (EventKind::Bounced, None),
                Ending::Expired => (EventKind::Expired, None),
                Ending::Dropped => (EventKind::Dropped, None),
            },
        };
        events::wants(kind).then(|| News {
            kind,
            item: tried.item.clone(),
            said: tried.said.clone(),
            next_secs,
        })
    }

    /// Other kinds, of whoever finds out: `suppressed`.
    #[must_use]
    pub(super) fn new(kind: EventKind, item: &Item, said: &HostReply) -> Option<News> {
        events::wants(kind).then(|| News {
            kind,
            item: item.clone(),
            said: said.clone(),
            next_secs: None,
        })
    }
}

impl Remembered {
    /// Of recipients of one message that are about to be sent to.
    pub(super) fn keep<'a>(
        &self,
        queue: QueueId,
        sender: &str,
        recipients: impl Iterator<Item = (ItemId, &'a Address)>,
    ) {
        if !KINDS.into_iter().any(events::wants) {
            return;
        }
        let mut known = self.0.borrow_mut();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        for (item, recipient) in recipients {
            let whom = Whom {
                message: queue_id::text(queue),
                sender: sender.to_owned(),
                recipient: recipient.to_string(),
            };
            known.insert(item, Rc::new(whom));
        }
    }
}

impl Dispatcher {
    /// Tells what came of recipients; ready when that is in the file, where mail waits for it.
    pub(super) async fn tell_events(&self, news: Vec<News>) {
        if news.is_empty() {
            return;
        }
        for one in news {
            let whom = self.whom(one.item.id).await;
            self.tell_event(&one, whom.as_deref());
        }
        events::settled().await;
    }

    pub(super) async fn tell_dropped(
        &self,
        taken: &[(Index, Item)],
        deed: QueueDeed,
        is_noted: bool,
    ) {
        if deed != QueueDeed::Drop || !is_noted || !events::wants(EventKind::Dropped) {
            return;
        }
        let said = HostReply {
            text: "dropped by the operator".to_owned(),
            ..HostReply::default()
        };
        let news = taken
            .iter()
            .filter_map(|(_, item)| News::new(EventKind::Dropped, item, &said));
        self.tell_events(news.collect()).await;
    }

    fn tell_event(&self, news: &News, whom: Option<&Whom>) {
        let (item, said) = (&news.item, &news.said);
        let (tenant, campaign) = owner::split(&item.tenant);
        let attempts = match news.kind {
            EventKind::Dropped | EventKind::Suppressed => i64::from(item.attempts),
            _ => i64::from(item.attempts) + 1,
        };
        let now = self.now();
        let age = now
            .unix_secs()
            .saturating_sub(u64::from(item.enqueued_secs));
        let fields = Fields::new()
            .text("message", whom.map_or("", |whom| &whom.message))
            .text("sender", whom.map_or("", |whom| &whom.sender))
            .text("recipient", whom.map_or("", |whom| &whom.recipient))
            .text("item", &format!("{}.{}", self.shard, item.id.0))
            .text("domain", &item.domain)
            .text("tenant", tenant)
            .text("campaign", campaign)
            .number("attempts", attempts)
            .number("age", i64::try_from(age).unwrap_or(i64::MAX))
            .text("host", &said.host)
            .number("code", said.code)
            .text("status", &super::report::status(said))
            .text("reply", &said.text);
        let fields = match news.next_secs {
            Some(secs) => fields.number("next_at", secs),
            None => fields,
        };
        events::tell(&Event {
            kind: news.kind,
            id: format!(
                "{}.{}.{attempts}.{}",
                self.shard,
                item.id.0,
                news.kind.name()
            ),
            at_millis: now.unix_millis,
            fields: &fields,
        });
    }

    async fn whom(&self, item: ItemId) -> Option<Rc<Whom>> {
        let known = self.remembered.0.borrow_mut().remove(&item);
        if known.is_some() {
            return known;
        }
        let queued = self.store.queued(&[item]).await.ok()?;
        let (_, leaving) = queued.recipients.first()?;
        let sender = queued.source.reverse_path.as_ref();
        Some(Rc::new(Whom {
            message: queue_id::text(queued.queue),
            sender: sender.map(Address::to_string).unwrap_or_default(),
            recipient: leaving.address.to_string(),
        }))
    }
}

/// What is told of attempts.
const KINDS: [EventKind; 4] = [
    EventKind::Delivered,
    EventKind::Deferred,
    EventKind::Bounced,
    EventKind::Expired,
];

/// Beyond it all are forgotten, and read again.
const REMEMBERED_MAX: usize = 100_000;
