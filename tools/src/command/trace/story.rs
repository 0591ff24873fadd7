//! What is known of one message: how it came, where each of its recipients stands.
//!
//! Shards that share a message each know their own part of it, under one queue id; a story puts
//! the parts together.

use super::client;
use crate::client::Client;
use std::collections::VecDeque;
use store::mail::id::{AccountId, ItemId, MailboxId, ObjectId, QueueId, Uid};
use store::record::{Attempt, HostReply, Leaving};

/// One message with all its recipients, the parts of all shards.
pub(super) struct Story {
    pub(super) parts: Vec<Found>,
}

/// What one shard knows of a message.
#[derive(Default)]
pub(super) struct Found {
    pub(super) shard: u16,
    /// `None` until its MESSAGE is met.
    pub(super) head: Option<Head>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) legs: Vec<Leg>,
    /// Shards that have a part of it too.
    pub(super) offered_to: Vec<u16>,
    /// Queue ids of what we told its sender.
    pub(super) notices: Vec<String>,
}

pub(super) struct Head {
    pub(super) queue: QueueId,
    pub(super) object: ObjectId,
    pub(super) octets: u64,
    /// `None`: the null reverse-path.
    pub(super) sender: Option<String>,
    pub(super) is_transaction: bool,
    pub(super) message_id: Option<String>,
    pub(super) accepted: Accepted,
}

/// How it came, as its Received field has it.
#[derive(Default)]
pub(super) struct Accepted {
    pub(super) at_secs: i64,
    pub(super) hello: Option<String>,
    pub(super) client: Option<String>,
    pub(super) tls: Option<String>,
    pub(super) protocol: Option<String>,
}

/// A copy in a mailbox here.
pub(super) struct Delivery {
    pub(super) object: ObjectId,
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxId,
    pub(super) uid: Uid,
    pub(super) at_secs: i64,
    pub(super) recipient: Option<String>,
    pub(super) account_name: Option<String>,
    pub(super) mailbox_name: Option<String>,
}

/// A recipient at another host.
pub(super) struct Leg {
    pub(super) shard: u16,
    pub(super) item: ItemId,
    pub(super) recipient: String,
    pub(super) tenant: String,
    pub(super) enqueued_secs: i64,
    pub(super) expiry_secs: i64,
    pub(super) due_secs: i64,
    pub(super) is_held: bool,
    /// The last [`EVENTS_MAX`].
    pub(super) events: VecDeque<Event>,
    pub(super) is_over: bool,
    /// In words; said by the server where one runs.
    pub(super) waits: Option<String>,
}

/// What happened to it.
pub(super) enum Event {
    Attempt {
        at_secs: i64,
        number: u16,
        due_secs: i64,
        reply: HostReply,
    },
    Hold {
        is_held: bool,
    },
    End {
        at_secs: i64,
        how: &'static str,
        reply: HostReply,
    },
}

impl Story {
    /// Parts of one queue id are one message; mail that was put into a mailbox has none. The
    /// newest `most`.
    pub(super) fn of(found: Vec<Found>, most: usize) -> Vec<Story> {
        let mut stories: Vec<Story> = Vec::new();
        for part in found {
            let queue = part.queue();
            let same = |story: &&mut Story| queue != QueueId(0) && story.queue() == queue;
            match stories.iter_mut().find(same) {
                Some(story) => story.parts.push(part),
                None => stories.push(Story { parts: vec![part] }),
            }
        }
        stories.sort_by_key(|story| std::cmp::Reverse(story.at_secs()));
        stories.truncate(most);
        stories
    }

    pub(super) fn queue(&self) -> QueueId {
        self.parts.first().map_or(QueueId(0), Found::queue)
    }

    pub(super) fn at_secs(&self) -> i64 {
        let heads = self.heads();
        heads.map(|head| head.accepted.at_secs).min().unwrap_or(0)
    }

    pub(super) fn heads(&self) -> impl Iterator<Item = &Head> {
        self.parts.iter().filter_map(|part| part.head.as_ref())
    }

    pub(super) fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.parts.iter().flat_map(|part| &part.legs)
    }

    pub(super) fn deliveries(&self) -> impl Iterator<Item = (u16, &Delivery)> {
        let of = |part: &Found| part.shard;
        self.parts
            .iter()
            .flat_map(move |part| part.deliveries.iter().map(move |one| (of(part), one)))
    }

    /// Shards that were offered a part and do not have it yet.
    pub(super) fn missing(&self) -> Vec<u16> {
        let has = |shard: &u16| self.parts.iter().any(|part| part.shard == *shard);
        let offered = self.parts.iter().flat_map(|part| &part.offered_to);
        let mut missing: Vec<u16> = offered.filter(|shard| !has(shard)).copied().collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// What the recipients that have not ended wait for: the server knows.
    pub(super) fn ask(&mut self, client: &Client) {
        let legs = self.parts.iter_mut().flat_map(|part| &mut part.legs);
        for leg in legs.filter(|leg| !leg.is_over).take(ASKED_MAX) {
            leg.waits = client::waits(client, leg.shard, leg.item);
        }
    }
}

impl Found {
    fn queue(&self) -> QueueId {
        self.head.as_ref().map_or(QueueId(0), |head| head.queue)
    }

    /// Takes from the trace of a recipient how the message came.
    pub(super) fn accept(&mut self, prefix: &[u8]) {
        let Some(head) = &mut self.head else {
            return;
        };
        if head.accepted.client.is_none() {
            let at_secs = head.accepted.at_secs;
            head.accepted = Accepted {
                at_secs,
                ..Accepted::read(prefix)
            };
        }
        if head.message_id.is_none() {
            let id = store::mail::header::message_id(prefix);
            head.message_id = id.map(|id| String::from_utf8_lossy(id).into_owned());
        }
    }
}

impl Accepted {
    /// From the Received field that we wrote (`engine::session::smtp::trace`).
    fn read(prefix: &[u8]) -> Accepted {
        let text = String::from_utf8_lossy(prefix);
        let unfolded = text.replace("\r\n\t", " ");
        let received = unfolded
            .lines()
            .find_map(|line| line.strip_prefix("Received: "));
        let Some(received) = received else {
            return Accepted::default();
        };
        let between = |from: &str, to: &str| {
            let (_, rest) = received.split_once(from)?;
            rest.split_once(to).map(|(value, _)| value.to_owned())
        };
        Accepted {
            at_secs: 0,
            hello: between("from ", " ("),
            client: between(" (", ")"),
            tls: between("(using ", ")").map(|tls| tls.replace(" with cipher ", " ")),
            protocol: between("(Ringpost) with ", " "),
        }
    }
}

impl Leg {
    pub(super) fn new(item: u64, recipient: &Leaving, tenant: &str, enqueued_secs: i64) -> Leg {
        Leg {
            shard: 0,
            item: ItemId(item),
            recipient: recipient.address.to_string(),
            tenant: tenant.to_owned(),
            enqueued_secs,
            expiry_secs: recipient.expiry_secs,
            due_secs: recipient.not_before_secs.max(enqueued_secs),
            is_held: false,
            events: VecDeque::new(),
            is_over: false,
            waits: None,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.is_over
    }

    /// Later facts about an item that has ended say nothing (FORMAT.md, "Records").
    pub(super) fn hear(&mut self, event: Event) {
        // A story, a pack and an archive may all have it.
        if self.is_over || self.events.iter().any(|known| known.is_same(&event)) {
            return;
        }
        match &event {
            Event::Attempt { due_secs, .. } => self.due_secs = *due_secs,
            Event::Hold { is_held } => self.is_held = *is_held,
            Event::End { .. } => self.is_over = true,
        }
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

impl Event {
    /// Whether both tell of one attempt, with its reply or without.
    fn is_same(&self, other: &Event) -> bool {
        let attempt = |event: &Event| match event {
            Event::Attempt {
                at_secs, number, ..
            } => Some((*at_secs, *number)),
            _ => None,
        };
        attempt(self).is_some_and(|known| Some(known) == attempt(other))
    }

    pub(super) fn of_attempt(attempt: Attempt) -> Event {
        Event::Attempt {
            at_secs: attempt.at_secs,
            number: attempt.attempts,
            due_secs: attempt.due_secs,
            reply: attempt.reply,
        }
    }
}

/// What is kept of the life of one recipient, the last.
const EVENTS_MAX: usize = 200;

/// Recipients of a message that the server is asked about.
const ASKED_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_received_field_says_how_the_message_came() {
        let prefix = b"DKIM-Signature: v=1\r\nReceived: from client.example (host.example \
            [192.0.2.1])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n\tby \
            mx.example (Ringpost) with ESMTPSA id 1a2b\r\n\tfor <a@b>;\r\n\tSun, 22 Nov 2026\r\n";
        let accepted = Accepted::read(prefix);
        assert_eq!(accepted.hello.as_deref(), Some("client.example"));
        assert_eq!(accepted.client.as_deref(), Some("host.example [192.0.2.1]"));
        assert_eq!(
            accepted.tls.as_deref(),
            Some("TLSv1.3 TLS_AES_256_GCM_SHA384")
        );
        assert_eq!(accepted.protocol.as_deref(), Some("ESMTPSA"));
        assert!(Accepted::read(b"Subject: x\r\n").client.is_none());
    }

    #[test]
    fn the_last_events_of_a_long_life_are_kept() {
        let recipient = Leaving {
            address: store::mail::address::Address::new("a", "b.test"),
            notify: Default::default(),
            orcpt: None,
            expiry_secs: 1_000,
            not_before_secs: 0,
            priority: 0,
            marks: 0,
            by_secs: 0,
        };
        let mut leg = Leg::new(7, &recipient, "t", 10);
        for n in 0..EVENTS_MAX + 5 {
            leg.hear(Event::Hold {
                is_held: n % 2 == 0,
            });
        }
        assert_eq!((leg.events.len(), leg.is_held), (EVENTS_MAX, true));
        leg.hear(Event::End {
            at_secs: 1,
            how: "delivered",
            reply: HostReply::default(),
        });
        leg.hear(Event::Hold { is_held: false });
        assert!(leg.has_ended() && leg.is_held);
    }
}
