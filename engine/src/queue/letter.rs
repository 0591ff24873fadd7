//! Messages on their way out: read from the log, bounded in memory, signed, put into an envelope.

use super::board::{QueueIndex, SENDING_SECS_MAX};
use super::budget::{self, Budget};
use super::content::Content;
use super::dispatch::Dispatcher;
use super::nodes::{Index, Nodes};
use super::origin;
use super::outcome::{Result as Came, Tried};
use super::site::Site;
use super::suspend;
use super::terms::Terms;
use super::watch::never_tried;
use crate::config::outbound::Pace;
use crate::egress::Letter;
use crate::event;
use crate::intake::queue_id;
use std::rc::Rc;
use store::error::ReadError;
use store::mail::envelope::{Envelope, Notify, Recipient};
use store::mail::id::ItemId;
use store::shard::{Enhanced, HostReply, Item, Leaving, Message, Queued, Source};

/// One transaction to be.
pub(super) struct Load {
    pub(super) parcels: Vec<Parcel>,
    pub(super) body: Body,
}

/// One recipient of it.
pub(super) struct Parcel {
    pub(super) index: Index,
    pub(super) item: Item,
    pub(super) recipient: Recipient,
    pub(super) terms: Terms,
    /// When its transaction began, in milliseconds since 1970.
    pub(super) born_millis: u64,
}

/// A message that is sent.
pub(super) struct Body {
    pub(super) source: Source,
    tenant: String,
    pub(super) queue_id: String,
    priority: i8,
    pub(super) content: Content,
    /// For what of it is in memory; `None` while it waits for more.
    room: Option<budget::Share>,
}

impl Parcel {
    fn of(index: Index, item: Item, leaving: &Leaving, born_millis: u64) -> Parcel {
        Parcel {
            index,
            terms: Terms::of(leaving),
            born_millis,
            recipient: Recipient {
                address: leaving.address.clone(),
                notify: leaving.notify,
                orcpt: leaving.orcpt.clone(),
            },
            item,
        }
    }

    /// Whether its sender wants to hear that it arrived.
    pub(super) fn wants_success(&self) -> bool {
        self.recipient.notify.0 & Notify::SUCCESS.0 != 0
    }
}

impl Body {
    /// Without the signatures.
    pub(super) fn octets(&self) -> u64 {
        self.content.octets()
    }

    /// It is about to be sent: then there is something of every message in memory.
    pub(super) async fn enter(&mut self, bodies: &Rc<Budget>) {
        let has_room = self
            .room
            .as_ref()
            .is_some_and(|room| room.amount() >= SENT_BYTES);
        if self.content.is_stored() && !has_room {
            self.make_room(bodies, SENT_BYTES).await;
        }
    }

    /// Room for so many octets in memory, instead of what it has.
    pub(super) async fn make_room(&mut self, bodies: &Rc<Budget>, octets: u64) {
        // Given back first: whoever waits with a part in hand may wait for ever.
        self.room = None;
        self.room = Some(bodies.take(octets).await);
    }
}

impl Dispatcher {
    /// Takes from a ready queue what goes in one transaction: recipients of one record.
    pub(super) fn take(&self, queue: QueueIndex, most: usize, now: u32) -> Vec<Index> {
        let record = |nodes: &Nodes, index: Index| {
            let item = self.store.queue_item(ItemId(nodes.node(index).item));
            item.map(|item| item.record)
        };
        let belongs = |nodes: &Nodes, first: Index, next: Index| {
            record(nodes, first).is_some_and(|first| record(nodes, next) == Some(first))
        };
        self.board.borrow_mut().take(queue, most, now, belongs)
    }

    /// Opens the message of recipients that were taken; one of more than `here_max` octets is read
    /// when it is sent. What cannot be sent is settled here; `None`: that was all of it. What is of
    /// no ready queue is for a mailbox of ours.
    pub(super) async fn load(
        &self,
        queue: Option<QueueIndex>,
        taken: Vec<Index>,
        here_max: u64,
        pace: &Pace,
    ) -> Option<Load> {
        let (wanted, octets) = self.wanted(taken)?;
        let is_here = octets <= here_max;
        let room = self.bodies.take(room_for(octets, is_here)).await;
        self.load_into(queue, wanted, (is_here, room), pace).await
    }

    /// As [`load`](Self::load), for whoever has room for a message already and must not wait for
    /// more: others may wait for his. Without room they are ready again.
    pub(super) async fn load_at_once(
        &self,
        queue: QueueIndex,
        taken: Vec<Index>,
        pace: &Pace,
    ) -> Option<Load> {
        let (wanted, octets) = self.wanted(taken)?;
        let is_here = octets <= HERE_BYTES_MAX;
        match self.bodies.try_take(room_for(octets, is_here)) {
            Some(room) => {
                self.load_into(Some(queue), wanted, (is_here, room), pace)
                    .await
            }
            None => {
                self.make_ready(wanted.into_iter().map(|(index, _)| index));
                None
            }
        }
    }

    /// Brings back what was taken and not tried.
    pub(super) fn make_ready(&self, taken: impl Iterator<Item = Index>) {
        let now = self.second();
        let mut board = self.board.borrow_mut();
        taken.for_each(|index| board.defer(index, now, now));
    }

    /// The items of recipients that were taken, and the octets of their message.
    fn wanted(&self, taken: Vec<Index>) -> Option<(Vec<(Index, Item)>, u64)> {
        let wanted: Vec<(Index, Item)> = taken
            .into_iter()
            .filter_map(|index| Some((index, self.own_item_of(index)?)))
            .collect();
        let octets = wanted.first()?.1.octets;
        Some((wanted, octets))
    }

    async fn load_into(
        &self,
        queue: Option<QueueIndex>,
        wanted: Vec<(Index, Item)>,
        (is_here, room): (bool, budget::Share),
        pace: &Pace,
    ) -> Option<Load> {
        let octets = wanted.first()?.1.octets;
        self.allow_time(wanted.iter().map(|(index, _)| *index), octets);
        let ids: Vec<ItemId> = wanted.iter().map(|(_, item)| item.id).collect();
        let (mut queued, sent_path) = match self.store.queued(&ids).await {
            Ok(queued) => origin::settled(queued),
            Err(error) => {
                self.unread(wanted, &error, pace).await;
                return None;
            }
        };
        let sender = queued.source.reverse_path.as_ref();
        let sender = sender.map(ToString::to_string).unwrap_or_default();
        if queue.is_some() && self.change_pool(&wanted, &sender) {
            return None;
        }
        let addresses = queued
            .recipients
            .iter()
            .map(|(id, leaving)| (*id, &leaving.address));
        self.remembered.keep(queued.queue, &sender, addresses);
        let wanted = match queue {
            Some(queue) => {
                let wanted = self.keep_on_route(queue, wanted, &queued);
                self.without_suppressed(wanted, &queued, pace).await
            }
            None => wanted,
        };
        queued.source.reverse_path = sent_path;
        let parcels = self.parcels(wanted, &queued, &sender);
        let parcels = self.in_time(parcels, pace).await;
        let priority = parcels.first()?.item.priority;
        let content = match self.content(queued.message, is_here).await {
            Ok(content) => content,
            Err(error) => {
                self.unread(wanted_of(parcels), &error, pace).await;
                return None;
            }
        };
        Some(Load {
            parcels,
            body: Body {
                source: queued.source,
                tenant: queued.tenant,
                queue_id: queue_id::text(queued.queue),
                priority,
                content,
                room: Some(room),
            },
        })
    }

    async fn content(&self, message: Message, is_here: bool) -> Result<Content, ReadError> {
        let config = self.live.config.load_full();
        match is_here {
            true => Content::read(&self.store, &message, &config.rewrites).await,
            false => Content::leave(&self.store, message, &config.rewrites).await,
        }
    }

    /// Those that may leave now.
    fn parcels(&self, wanted: Vec<(Index, Item)>, queued: &Queued, sender: &str) -> Vec<Parcel> {
        let born_millis = queue_id::given_millis(queued.queue);
        let mut parcels = Vec::with_capacity(wanted.len());
        for (index, item) in wanted {
            let found = queued.recipients.iter().find(|(id, _)| *id == item.id);
            let Some((_, leaving)) = found else {
                self.board.borrow_mut().end(index);
                continue;
            };
            let envelope = suspend::Envelope {
                sender,
                recipient: &leaving.address,
            };
            if self.put_off(index, &envelope) {
                continue;
            }
            parcels.push(Parcel::of(index, item, leaving, born_millis));
        }
        parcels
    }

    /// What must not be delivered any more ends here (RFC 2852 §4, mode R).
    async fn in_time(&self, parcels: Vec<Parcel>, pace: &Pace) -> Vec<Parcel> {
        let now = i64::from(self.second());
        let (over, rest): (Vec<_>, Vec<_>) =
            parcels.into_iter().partition(|one| one.terms.is_over(now));
        let mut tried = Vec::with_capacity(over.len());
        for parcel in over {
            let last = self.store.last_attempt(parcel.item.id).await.ok().flatten();
            tried.push(Tried {
                index: parcel.index,
                said: last.map_or_else(never_tried, |last| last.reply),
                item: parcel.item,
                terms: parcel.terms,
                result: Came::Deferred,
            });
        }
        if !tried.is_empty() {
            self.settle(tried, pace).await;
        }
        rest
    }

    /// The watchdog leaves a large message the time that egress leaves it.
    pub(super) fn allow_time(&self, indexes: impl Iterator<Item = Index>, octets: u64) {
        let extra = u32::try_from(octets / OCTETS_A_SEC_MIN).unwrap_or(u32::MAX);
        let due = self
            .second()
            .saturating_add(SENDING_SECS_MAX)
            .saturating_add(extra);
        let mut board = self.board.borrow_mut();
        indexes.for_each(|index| board.nodes.node_mut(index).due = due);
    }

    /// Mail of a suspended sender or recipient waits. `true`: it does.
    fn put_off(&self, index: Index, envelope: &suspend::Envelope<'_>) -> bool {
        let now = self.second();
        let mut board = self.board.borrow_mut();
        if !board.suspensions.asks_envelope() {
            return false;
        }
        let found = board.suspensions.find(now, |field| field.is_of(envelope));
        let Some(until) = found.map(|found| found.until) else {
            return false;
        };
        let look = now.saturating_add(super::board::LOOK_SECS);
        board.defer(index, until.map_or(look, |until| until.min(look)), now);
        true
    }

    /// Mail of a sender that has a pool of its own leaves by that one; only who has read it knows.
    /// `true`: it was in another.
    fn change_pool(&self, wanted: &[(Index, Item)], sender: &str) -> bool {
        let now = self.second();
        let mut board = self.board.borrow_mut();
        let Some(pool) = board.pools.of_sender(sender) else {
            return false;
        };
        let mut has_changed = false;
        for (index, _) in wanted {
            has_changed |= board.change_pool(*index, pool);
        }
        if has_changed {
            wanted
                .iter()
                .for_each(|(index, _)| board.defer(*index, now, now));
        }
        has_changed
    }

    /// Leaves out what rules let wait at this site because of its tenant or its campaign.
    pub(super) fn keep_back(&self, taken: Vec<Index>, site: &Site, now: u32) -> Vec<Index> {
        if !site.effects.are_any(now) {
            return taken;
        }
        let mut board = self.board.borrow_mut();
        let mut kept = Vec::with_capacity(taken.len());
        for index in taken {
            match site.effects.suspended(&board.mail_of(index), now) {
                Some(suspended) => board.defer(index, suspended.until, now),
                None => kept.push(index),
            }
        }
        kept
    }

    /// A message that is lost ends, and its sender hears of it; one that cannot be read now waits.
    pub(super) async fn unread(&self, wanted: Vec<(Index, Item)>, error: &ReadError, pace: &Pace) {
        event!(
            Error,
            "queued message unreadable",
            shard = self.shard,
            item = wanted.first().map_or(0, |(_, item)| item.id.0),
            why = error.to_string()
        );
        let result = match error {
            ReadError::Io { .. } => Came::Deferred,
            ReadError::Damaged { .. } | ReadError::Gone => Came::Failed,
        };
        let tried = wanted.into_iter().map(|(index, item)| Tried {
            index,
            item,
            terms: Terms::default(),
            result,
            said: HostReply {
                host: String::new(),
                code: 0,
                enhanced: Some(Enhanced {
                    class: if result == Came::Failed { 5 } else { 4 },
                    subject: 3,
                    detail: 0,
                }),
                text: format!("the message cannot be read: {error}"),
                way: None,
            },
        });
        self.settle(tried.collect(), pace).await;
    }

    /// The envelope of a load, and the signatures that go before the message.
    pub(super) async fn letter(
        &self,
        body: &Body,
        parcels: &[Parcel],
    ) -> Result<Letter, ReadError> {
        let source = &body.source;
        let recipients = parcels.iter().map(|parcel| parcel.recipient.clone());
        let envelope = Envelope {
            reverse_path: source.reverse_path.clone(),
            recipients: recipients.collect(),
            body: source.body,
            smtputf8: source.smtputf8,
            ret: source.ret,
            envid: source.envid.clone(),
            auth: None,
        };
        // One MAIL brought them all, and its terms.
        let terms = parcels
            .first()
            .map(|parcel| parcel.terms)
            .unwrap_or_default();
        let now = i64::from(self.second());
        let signatures = self.signatures(body).await?;
        Ok(Letter {
            require_tls: terms.require_tls,
            by: terms.by.map(|by| by.left(now)),
            priority: Some(body.priority).filter(|priority| *priority != 0),
            ..Letter::new(Rc::new(envelope), signatures.into())
        })
    }

    /// We answer for the reverse-path of whoever has logged in, else for ourselves.
    async fn signatures(&self, body: &Body) -> Result<Vec<u8>, ReadError> {
        let signers = self.live.signers.load_full();
        if signers.is_empty() {
            return Ok(Vec::new());
        }
        let hostname = self.live.config.load().hostname.clone();
        let has_login = !body.tenant.starts_with(['@', '<']);
        let answering = match &body.source.reverse_path {
            Some(sender) if has_login => sender.domain.clone(),
            _ => hostname,
        };
        let mut signing = signers.begin(&answering, self.now().unix_secs() as i64);
        body.content.each(|block| signing.feed(block)).await?;
        Ok(signing.finish().unwrap_or_else(|why| {
            let queue_id = body.queue_id.as_str();
            event!(
                Debug,
                "not signed",
                queue_id = queue_id,
                why = why.to_string()
            );
            Vec::new()
        }))
    }
}

/// Recipients as they were taken.
pub(super) fn wanted_of(parcels: Vec<Parcel>) -> Vec<(Index, Item)> {
    let wanted = |parcel: Parcel| (parcel.index, parcel.item);
    parcels.into_iter().map(wanted).collect()
}

/// What of a message is in memory before it is sent.
fn room_for(octets: u64, is_here: bool) -> u64 {
    match is_here {
        true => octets,
        false => STORED_BYTES,
    }
}

/// A next hop that takes less is given up (`egress::Patience`).
const OCTETS_A_SEC_MIN: u64 = 512;

/// A message of so many octets is read before its turn where a connection is open.
pub(super) const HERE_BYTES_MAX: u64 = 128 << 10;

/// One of so many where none is: its host may be silent.
pub(super) const HERE_BYTES_MAX_AT_FIRST: u64 = 16 << 10;

/// What a message takes that is not here, and while it is sent: a block, and its tail.
const STORED_BYTES: u64 = 1 << 10;
const SENT_BYTES: u64 = 256 << 10;
