//! What was said of the messages that were found, from the frame that took them on.
//!
//! A notice of ours names the message that it is about in its own body, so it is found on the way.
//! The reading ends where everything has ended.

use super::search::{Hits, u64_at};
use super::story::{Accepted, Delivery, Event, Found, Head, Leg};
use engine::intake::queue_id;
use indicatif::ProgressBar;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use store::check::Owner;
use store::check::facts::{Directory, Facts, FactsError, Shown};
use store::disk::blocking::BlockingDisk;
use store::mail::header::{message_id, notice_of};
use store::mail::id::{AccountId, MailboxId, ObjectId};
use store::record::{AccountFact, Deliver, Ending, Fact, MailboxFact, MessageHead, Queue, kind};

/// All that one shard says of the messages.
pub(super) async fn follow(
    disk: &BlockingDisk,
    owner: &Owner,
    hits: &Hits,
    since: Option<i64>,
    bar: &ProgressBar,
) -> Result<Vec<Found>, FactsError> {
    let facts = Facts::open(disk, owner).await?;
    let mut follower = Follower {
        shard: owner.shard.0,
        found: hits
            .messages
            .iter()
            .map(|one| (*one, Found::default()))
            .collect(),
        items: HashMap::new(),
        names: Directory::default(),
        over_at: None,
    };
    for holder in &hits.holders {
        let before = bar.position();
        bar.inc_length(holder.bytes);
        let mut hear = |shown: Shown<'_>| {
            bar.set_position(before + shown.read_bytes);
            follower.hear(&shown)
        };
        let is_over = facts.read(holder, &mut hear).await?.is_break();
        bar.set_position(before + holder.bytes);
        if is_over {
            break;
        }
    }
    follower.name(&facts).await?;
    let found = follower.found.into_values();
    let is_meant = |one: &Found| {
        let head = one.head.as_ref();
        head.is_some_and(|head| since.is_none_or(|since| head.accepted.at_secs >= since))
    };
    Ok(found.filter(is_meant).collect())
}

struct Follower {
    shard: u16,
    found: BTreeMap<ObjectId, Found>,
    /// The message and the leg of an item.
    items: HashMap<u64, (ObjectId, usize)>,
    names: Directory,
    /// Everything has ended in the frame that begins here.
    over_at: Option<u64>,
}

impl Follower {
    fn hear(&mut self, shown: &Shown<'_>) -> ControlFlow<()> {
        // The frame of an end has the notice of it too.
        if self.over_at.is_some_and(|over| over != shown.read_bytes) {
            return ControlFlow::Break(());
        }
        let (payload, kind) = (shown.record.payload, shown.record.kind);
        let is_about = |at: usize| u64_at(payload, at).map(ObjectId);
        match kind {
            kind::MESSAGE => self.message(payload),
            kind::DELIVER | kind::QUEUE if self.knows(is_about(8)) => self.share(shown),
            kind::OFFER if self.knows(is_about(10)) => self.offer(payload),
            kind::ATTEMPT if self.has_item(u64_at(payload, 8)) => self.event(kind, payload),
            kind::END | kind::HOLD if self.has_item(u64_at(payload, 0)) => {
                self.event(kind, payload);
            }
            kind::ACCOUNT | kind::MAILBOX => self.learn(shown),
            _ => {}
        }
        if self.over_at.is_none() && kind == kind::END && self.is_over() {
            self.over_at = Some(shown.read_bytes);
        }
        ControlFlow::Continue(())
    }

    fn knows(&self, message: Option<ObjectId>) -> bool {
        message.is_some_and(|message| self.found.contains_key(&message))
    }

    fn has_item(&self, item: Option<u64>) -> bool {
        item.is_some_and(|item| self.items.contains_key(&item))
    }

    /// One that is meant, or a notice about one.
    fn message(&mut self, payload: &[u8]) {
        let Ok((head, body)) = MessageHead::split(payload) else {
            return;
        };
        if let Some(found) = self.found.get_mut(&head.object) {
            found.shard = self.shard;
            let id = message_id(body).map(|id| String::from_utf8_lossy(id).into_owned());
            found.head.get_or_insert_with(|| Head::of(&head, id));
        } else if head.source.is_transaction && head.source.reverse_path.is_none() {
            let about = notice_of(body);
            let heads = self.found.values_mut();
            let mut meant = heads.filter(|one| {
                let head = one.head.as_ref();
                head.is_some_and(|head| about == Some(queue_id::text(head.queue).as_bytes()))
            });
            if let Some(found) = meant.next() {
                let notice = queue_id::text(head.queue);
                if !found.notices.contains(&notice) {
                    found.notices.push(notice);
                }
            }
        }
    }

    fn share(&mut self, shown: &Shown<'_>) {
        match Fact::decode(shown.record.kind, shown.record.payload) {
            Ok(Fact::Deliver(deliver)) => self.delivered(AccountId(shown.record.account), &deliver),
            Ok(Fact::Queue(queue)) => self.queued(*queue),
            _ => {}
        }
    }

    fn delivered(&mut self, account: AccountId, deliver: &Deliver) {
        let Some(found) = self.found.get_mut(&deliver.message) else {
            return;
        };
        found.accept(&deliver.prefix);
        let is_known = |known: &&mut Delivery| known.object == deliver.object;
        let recipient = deliver.recipient.as_ref().map(ToString::to_string);
        if let Some(known) = found.deliveries.iter_mut().find(is_known) {
            // An archive has it without its recipient.
            known.recipient = known.recipient.take().or(recipient);
            return;
        }
        found.deliveries.push(Delivery {
            object: deliver.object,
            account,
            mailbox: deliver.mailbox,
            uid: deliver.uid,
            at_secs: deliver.internal_date.unix_secs,
            recipient,
            account_name: None,
            mailbox_name: None,
        });
    }

    fn queued(&mut self, queue: Queue) {
        let Some(found) = self.found.get_mut(&queue.message) else {
            return;
        };
        found.accept(&queue.prefix);
        let items = queue.items();
        for (item, recipient) in items.zip(queue.recipients) {
            if let Some(leg) = found.legs.iter_mut().find(|leg| leg.item.0 == item) {
                // An archive has it without its local part.
                if leg.recipient.starts_with('@') {
                    leg.recipient = recipient.address.to_string();
                }
                continue;
            }
            self.items.insert(item, (queue.message, found.legs.len()));
            let mut leg = Leg::new(item, &recipient, &queue.tenant, queue.enqueued_secs);
            leg.shard = self.shard;
            found.legs.push(leg);
        }
    }

    fn offer(&mut self, payload: &[u8]) {
        if let Ok(Fact::Offer(offer)) = Fact::decode(kind::OFFER, payload)
            && let Some(found) = self.found.get_mut(&offer.message)
            && !found.offered_to.contains(&offer.target)
        {
            found.offered_to.push(offer.target);
        }
    }

    fn event(&mut self, kind: u8, payload: &[u8]) {
        let Ok(fact) = Fact::decode(kind, payload) else {
            return;
        };
        let (item, event) = match fact {
            Fact::Attempt { attempt, .. } => (attempt.item, Event::of_attempt(*attempt)),
            Fact::End(end) => (end.item, Event::of_end(*end)),
            Fact::Hold(hold) => (
                hold.item,
                Event::Hold {
                    is_held: hold.is_held,
                },
            ),
            _ => return,
        };
        let Some((message, at)) = self.items.get(&item.0) else {
            return;
        };
        let legs = self.found.get_mut(message).map(|found| &mut found.legs);
        if let Some(leg) = legs.and_then(|legs| legs.get_mut(*at)) {
            leg.hear(event);
        }
    }

    /// Names that are newer than the last checkpoint.
    fn learn(&mut self, shown: &Shown<'_>) {
        if self.names.mailboxes.len() + self.names.accounts.len() > NAMES_MAX {
            return;
        }
        let account = AccountId(shown.record.account);
        match Fact::decode(shown.record.kind, shown.record.payload) {
            Ok(Fact::Account(AccountFact::Create { account, address })) => {
                self.names.accounts.insert(account, address);
            }
            Ok(Fact::Mailbox(
                MailboxFact::Create { mailbox, name, .. }
                | MailboxFact::Rename { mailbox, name, .. },
            )) => {
                self.names.mailboxes.insert((account, mailbox), name);
            }
            _ => {}
        }
    }

    fn is_over(&self) -> bool {
        let mut found = self.found.values();
        found.all(|one| one.head.is_some() && one.legs.iter().all(Leg::has_ended))
    }

    /// Whose mailboxes they are, under their present names as far as these are known.
    async fn name(&mut self, facts: &Facts<'_, BlockingDisk>) -> Result<(), FactsError> {
        let deliveries = self.found.values_mut().flat_map(|one| &mut one.deliveries);
        let mut deliveries: Vec<&mut Delivery> = deliveries.collect();
        if deliveries.is_empty() {
            return Ok(());
        }
        let mut older = facts.directory().await?;
        for delivery in &mut deliveries {
            let account = delivery.account;
            let key: (AccountId, MailboxId) = (account, delivery.mailbox);
            if !self.names.mailboxes.contains_key(&key) && !older.mailboxes.contains_key(&key) {
                facts.name_mailboxes(account, &mut older).await?;
            }
            let name = self.names.mailboxes.get(&key).or(older.mailboxes.get(&key));
            delivery.mailbox_name = name.cloned();
            let address = self.names.accounts.get(&account);
            delivery.account_name = address.or(older.accounts.get(&account)).cloned();
        }
        Ok(())
    }
}

impl Head {
    fn of(head: &MessageHead, message_id: Option<String>) -> Head {
        Head {
            queue: head.queue,
            object: head.object,
            octets: head.octets,
            sender: head.source.reverse_path.as_ref().map(ToString::to_string),
            is_transaction: head.source.is_transaction,
            message_id,
            accepted: Accepted {
                at_secs: head.received_secs,
                ..Accepted::default()
            },
        }
    }
}

impl Event {
    fn of_end(end: store::record::End) -> Event {
        Event::End {
            at_secs: end.at_secs,
            how: match end.ending {
                Ending::Delivered => "delivered",
                Ending::Failed => "failed",
                Ending::Expired => "expired",
                Ending::Dropped => "dropped",
            },
            reply: end.reply,
        }
    }
}

/// Names of accounts and mailboxes in memory.
const NAMES_MAX: usize = 1 << 18;
