//! Messages on their way out: read from the log, bounded in memory, signed, put into an envelope.

use super::board::{QueueIndex, SENDING_SECS_MAX};
use super::budget;
use super::dispatch::Dispatcher;
use super::header;
use super::nodes::{Index, Nodes};
use super::origin;
use super::outcome::{Result as Came, Tried};
use super::site::Site;
use super::suspend;
use super::terms::Terms;
use super::watch::never_tried;
use crate::config::outbound::Pace;
use crate::egress::{Letter, Pieces};
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

/// A message in memory.
pub(super) struct Body {
    pub(super) source: Source,
    tenant: String,
    pub(super) queue_id: String,
    priority: i8,
    pub(super) pieces: Rc<[Rc<[u8]>]>,
    _room: budget::Share,
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
    pub(super) fn pieces(&self) -> Pieces {
        Pieces::new(Rc::clone(&self.pieces))
    }

    /// Without the signatures.
    pub(super) fn octets(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
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

    /// Reads the message of recipients that were taken. What cannot be sent is settled here;
    /// `None`: that was all of it. What is of no ready queue is for a mailbox of ours.
    pub(super) async fn load(
        &self,
        queue: Option<QueueIndex>,
        taken: Vec<Index>,
        pace: &Pace,
    ) -> Option<Load> {
        let (wanted, octets) = self.wanted(taken)?;
        let room = self.bodies.take(octets).await;
        self.load_into(queue, wanted, room, pace).await
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
        match self.bodies.try_take(octets) {
            Some(room) => self.load_into(Some(queue), wanted, room, pace).await,
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
        room: budget::Share,
        pace: &Pace,
    ) -> Option<Load> {
        let octets = wanted.first()?.1.octets;
        self.allow_time(wanted.iter().map(|(index, _)| *index), octets);
        let ids: Vec<ItemId> = wanted.iter().map(|(_, item)| item.id).collect();
        let read = async {
            let (queued, sent_path) = origin::settled(self.store.queued(&ids).await?);
            let pieces = self.pieces(&queued.message).await?;
            Ok((queued, sent_path, pieces))
        };
        let (mut queued, sent_path, pieces) = match read.await {
            Ok(read) => read,
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
        Some(Load {
            parcels,
            body: Body {
                source: queued.source,
                tenant: queued.tenant,
                queue_id: queue_id::text(queued.queue),
                priority,
                pieces: header::renamed(&self.live.config.load().rewrites, pieces).into(),
                _room: room,
            },
        })
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

    async fn pieces(&self, message: &Message) -> Result<Vec<Rc<[u8]>>, ReadError> {
        let mut pieces = Vec::new();
        let mut from = 0;
        while from < message.octets {
            let to = message.octets.min(from + PIECE_BYTES);
            pieces.push(Rc::from(self.store.read(message, from, to).await?));
            from = to;
        }
        Ok(pieces)
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
    async fn unread(&self, wanted: Vec<(Index, Item)>, error: &ReadError, pace: &Pace) {
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
    pub(super) fn letter(&self, body: &Body, parcels: &[Parcel]) -> Letter {
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
        Letter {
            require_tls: terms.require_tls,
            by: terms.by.map(|by| by.left(now)),
            priority: Some(body.priority).filter(|priority| *priority != 0),
            ..Letter::new(Rc::new(envelope), self.signatures(body).into())
        }
    }

    /// We answer for the reverse-path of whoever has logged in, else for ourselves.
    fn signatures(&self, body: &Body) -> Vec<u8> {
        let signers = self.live.signers.load();
        if signers.is_empty() {
            return Vec::new();
        }
        let hostname = self.live.config.load().hostname.clone();
        let has_login = !body.tenant.starts_with(['@', '<']);
        let answering = match &body.source.reverse_path {
            Some(sender) if has_login => sender.domain.clone(),
            _ => hostname,
        };
        let mut signing = signers.begin(&answering, self.now().unix_secs() as i64);
        body.pieces.iter().for_each(|piece| signing.feed(piece));
        signing.finish().unwrap_or_else(|why| {
            let queue_id = body.queue_id.as_str();
            event!(
                Debug,
                "not signed",
                queue_id = queue_id,
                why = why.to_string()
            );
            Vec::new()
        })
    }
}

/// A next hop that takes less is given up (`egress::Patience`).
const OCTETS_A_SEC_MIN: u64 = 512;

/// What is lent to a socket at a time.
const PIECE_BYTES: u64 = 64 << 10;
