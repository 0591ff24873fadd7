//! Mail for other hosts in a world: what somebody who tries it was told, and holding the shards
//! against that.
//!
//! Domain `d0.test` belongs to shard 0, `d1.test` to shard 1, and so on in turns.

use crate::ledger::{Ledger, content, identify, is_damage_told};
use crate::world::{ACCOUNTS, Sim, pass_turn, share};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use store::disk::fault::Seed;
use store::disk::sim::SimDisk;
use store::error::ChangeError;
use store::mail::address::Address;
use store::mail::envelope::Notify;
use store::mail::id::{ItemId, QueueId};
use store::shard::{
    Attempt, Custody, End, Ending, HAS_ENDED, Hold, HostReply, Item, Note, Outbound, Queued,
};

/// A shard and one of its items.
type Id = (usize, ItemId);

/// What was told of items, and what was tried.
#[derive(Clone, Default)]
pub(crate) struct QueueLedger {
    /// Message and domain.
    acknowledged: BTreeSet<(u64, usize)>,
    ended: BTreeSet<Id>,
    /// They may have ended, and what they meant.
    ending: BTreeMap<Id, (u64, usize)>,
    /// Somebody tried to end them without a notice.
    alone: BTreeSet<Id>,
    /// DSNs that somebody tried to send with the end of an item.
    notices: BTreeMap<u64, Id>,
    /// At least so many attempts.
    attempts: BTreeMap<Id, u8>,
    /// The last word, and how many there were: the same word again is another one.
    held: BTreeMap<Id, (bool, u32)>,
    /// Somebody tried to hold or release it after that was told.
    holding: BTreeSet<Id>,
    /// What an item meant when it was first seen.
    seen: BTreeMap<Id, (u64, usize)>,
    /// Recipients that another shard could not hand over, and said so.
    pub(crate) undelivered: usize,
}

/// Sends mail and tries it, at random.
pub(crate) struct Sender {
    pub(crate) shards: Vec<Sim>,
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    pub(crate) seed: RefCell<Seed>,
    pub(crate) is_rough: bool,
}

type Outcome<T = ()> = Option<T>;

impl Sender {
    pub(crate) async fn run(&self) {
        loop {
            let outcome = match self.below(10) {
                0..=2 => self.send().await,
                3..=4 => self.attempt().await,
                5 => self.hold().await,
                6..=7 => self.end().await,
                8 => self.bounce().await,
                _ => self.read().await,
            };
            if outcome.is_none() {
                pass_turn().await;
            }
        }
    }

    fn below(&self, bound: u64) -> u64 {
        self.seed.borrow_mut().below(bound)
    }

    fn message(&self) -> (u64, Vec<u8>) {
        let mut ledger = self.ledger.borrow_mut();
        ledger.next += 1;
        let octets = match self.below(12) {
            0 => 200_000,
            length => 60 * length as usize,
        };
        (ledger.next, content(ledger.next, octets))
    }

    /// To domains of one shard or of both, now and then to an account as well.
    async fn send(&self) -> Outcome {
        let (id, octets) = self.message();
        let here = self.below(2) as usize;
        let shard = &self.shards[here];
        let mut body = shard.body();
        let written = shard.body_write(&mut body, &octets).await;
        self.accepted(written)?;
        let domains: BTreeSet<usize> = (0..=self.below(4))
            .map(|_| self.below(6) as usize)
            .collect();
        let (own, others): (Vec<usize>, Vec<usize>) =
            domains.iter().partition(|domain| **domain % 2 == here);
        let outbound = |of: Vec<usize>| of.into_iter().map(outbound).collect::<Vec<_>>();
        let account = (self.below(4) == 0).then_some(here);
        let custody = Custody {
            queue: QueueId(id),
            received_secs: 1,
            body,
            shares: account.into_iter().map(share).collect(),
            outbound: outbound(own),
            outbound_offers: vec![(1 - here as u16, outbound(others))],
            ..Custody::default()
        };
        self.accepted(shard.take(custody).await)?;
        let mut ledger = self.ledger.borrow_mut();
        let told = domains.into_iter().map(|domain| (id, domain));
        ledger.queue.acknowledged.extend(told);
        if let Some(account) = account {
            ledger.acknowledged.insert(id, [account].into());
        }
        Some(())
    }

    /// Several items of a shard at a time, and some of them twice.
    async fn attempt(&self) -> Outcome {
        let (here, shard) = self.shard();
        let count = 1 + self.below(4);
        let items: Vec<Item> = (0..count).filter_map(|_| self.any_item(shard)).collect();
        let told: Vec<(Id, u8)> = items
            .iter()
            .map(|item| ((here, item.id), item.attempts.saturating_add(1)))
            .collect();
        let notes = told.iter().map(|((_, item), attempts)| {
            Note::Attempt(Attempt {
                item: *item,
                at_secs: 2,
                attempts: u16::from(*attempts),
                due_secs: 100,
                reply: reply(*item),
            })
        });
        let notes: Vec<Note> = notes.collect();
        self.accepted(shard.note(notes).await)?;
        let mut ledger = self.ledger.borrow_mut();
        for (id, attempts) in told {
            let known = ledger.queue.attempts.entry(id).or_default();
            *known = attempts.max(*known);
        }
        Some(())
    }

    async fn hold(&self) -> Outcome {
        let (here, shard) = self.shard();
        let item = self.any_item(shard)?;
        let id = (here, item.id);
        if !self.ledger.borrow_mut().queue.holding.insert(id) {
            return None;
        }
        let is_held = self.below(2) == 0;
        let hold = Hold {
            item: item.id,
            is_held,
            due_secs: 7,
        };
        self.accepted(shard.note(vec![Note::Hold(hold)]).await)?;
        let mut ledger = self.ledger.borrow_mut();
        let held = ledger.queue.held.entry(id).or_default();
        *held = (is_held, held.1 + 1);
        ledger.queue.holding.remove(&id);
        Some(())
    }

    async fn end(&self) -> Outcome {
        let (here, shard) = self.shard();
        let item = self.known_item(here).await?;
        let id = (here, item);
        self.try_to_end(id).queue.alone.insert(id);
        // Said twice, it counts once.
        let notes = vec![Note::End(end(item)), Note::End(end(item))];
        self.accepted(shard.note(notes).await)?;
        self.ended(shard, id)
    }

    /// A notice goes to the account of the shard, together with the end that it reports.
    async fn bounce(&self) -> Outcome {
        let (here, shard) = self.shard();
        let item = self.known_item(here).await?;
        let (notice, octets) = self.message();
        let mut body = shard.body();
        let written = shard.body_write(&mut body, &octets).await;
        self.accepted(written)?;
        let id = (here, item);
        self.try_to_end(id).queue.notices.insert(notice, id);
        let custody = Custody {
            queue: QueueId(notice),
            body,
            shares: vec![share(here)],
            ends: vec![end(item)],
            ..Custody::default()
        };
        let taken = shard.take(custody).await;
        if taken.as_ref().err() == Some(&ChangeError::Cannot(HAS_ENDED)) {
            self.ledger.borrow_mut().queue.notices.remove(&notice);
            return None;
        }
        self.accepted(taken)?;
        let mut ledger = self.ledger.borrow_mut();
        ledger.acknowledged.insert(notice, [here].into());
        drop(ledger);
        self.ended(shard, id)
    }

    fn try_to_end(&self, id: Id) -> std::cell::RefMut<'_, Ledger> {
        let mut ledger = self.ledger.borrow_mut();
        let meant = ledger.queue.seen[&id];
        ledger.queue.ending.insert(id, meant);
        ledger
    }

    fn ended(&self, shard: &Sim, id: Id) -> Outcome {
        assert_eq!(shard.queue_item(id.1), None, "it was told");
        self.ledger.borrow_mut().queue.ended.insert(id);
        Some(())
    }

    async fn read(&self) -> Outcome {
        let (here, _) = self.shard();
        self.known_item(here).await.map(drop)
    }

    /// An item that was read.
    async fn known_item(&self, here: usize) -> Outcome<ItemId> {
        let shard = &self.shards[here];
        let item = self.any_item(shard)?;
        let found = match read(shard, &item).await {
            Ok(found) => found,
            Err(error) => {
                let is_gone = shard.queue_item(item.id).is_none();
                assert!(self.is_rough || is_gone, "item {} : {error}", item.id);
                return None;
            }
        };
        let mut ledger = self.ledger.borrow_mut();
        let meant = *ledger.queue.seen.entry((here, item.id)).or_insert(found);
        assert_eq!(meant, found, "an item means one recipient for ever");
        Some(item.id)
    }

    fn shard(&self) -> (usize, &Sim) {
        let here = self.below(2) as usize;
        (here, &self.shards[here])
    }

    fn any_item(&self, shard: &Sim) -> Outcome<Item> {
        let items = shard.queue_list(ItemId(0), usize::MAX, |_| true).items;
        let at = self.below(items.len().max(1) as u64) as usize;
        items.get(at).cloned()
    }

    /// In fair weather only the log may refuse.
    fn accepted<T>(&self, outcome: Result<T, ChangeError>) -> Outcome<T> {
        if let Err(error) = &outcome {
            let is_allowed = matches!(error, ChangeError::Log(_))
                || self.is_rough && *error == ChangeError::Damaged;
            assert!(is_allowed, "{error}");
        }
        outcome.ok()
    }
}

impl QueueLedger {
    /// What was tried after this was told may have happened.
    pub(crate) fn tried_meanwhile(&mut self, later: &QueueLedger) {
        self.ending.clone_from(&later.ending);
        self.alone.clone_from(&later.alone);
        self.notices.clone_from(&later.notices);
        self.holding.clone_from(&later.holding);
        let changed = later
            .held
            .keys()
            .filter(|id| later.held.get(*id) != self.held.get(*id));
        self.holding.extend(changed);
    }

    /// Holds the queues against what was told; `notices` are the DSNs that some account has.
    pub(crate) async fn compare(
        &mut self,
        shards: &[Sim],
        disk: &SimDisk,
        is_in_mailbox: impl Fn(u64) -> bool,
        removing: &BTreeSet<u64>,
    ) {
        let is_damage_told = is_damage_told(disk);
        let (mut live, mut lost) = (BTreeMap::new(), 0);
        for (here, shard) in shards.iter().enumerate() {
            let items = shard.queue_list(ItemId(0), usize::MAX, |_| true).items;
            assert_eq!(items.len(), shard.queue_len());
            for item in items {
                let id = (here, item.id);
                assert!(!self.ended.contains(&id), "an ended item is back: {id:?}");
                self.compare_item(id, &item);
                match read(shard, &item).await {
                    Ok(found) => {
                        let meant = *self.seen.entry(id).or_insert(found);
                        assert_eq!(meant, found, "an item means one recipient for ever");
                        assert!(live.insert(found, id).is_none(), "twice: {found:?}");
                    }
                    Err(error) => {
                        assert!(is_damage_told, "{id:?} cannot be read: {error}");
                        lost += 1;
                    }
                }
            }
        }
        let ended: BTreeSet<_> = self.ending.values().collect();
        let is_missing = |told: &&(u64, usize)| !live.contains_key(told) && !ended.contains(told);
        let missing: Vec<_> = self.acknowledged.iter().filter(is_missing).collect();
        let told = lost + self.undelivered;
        assert!(missing.len() <= told, "missing: {missing:?}");
        if !is_damage_told {
            self.compare_notices(shards, is_in_mailbox, removing);
        }
    }

    /// A notice is there exactly if what it reports has ended.
    fn compare_notices(
        &self,
        shards: &[Sim],
        is_in_mailbox: impl Fn(u64) -> bool,
        removing: &BTreeSet<u64>,
    ) {
        let tried = |item| self.notices.values().filter(|tried| *tried == item).count();
        for (notice, item) in &self.notices {
            let is_told_apart = self.seen.contains_key(item)
                && !removing.contains(notice)
                && !self.alone.contains(item)
                && tried(item) == 1;
            if is_told_apart {
                let is_live = shards[item.0].queue_item(item.1).is_some();
                assert_ne!(is_in_mailbox(*notice), is_live, "{notice} of {item:?}");
            }
        }
    }

    fn compare_item(&self, id: Id, item: &Item) {
        let attempts = self.attempts.get(&id).copied().unwrap_or(0);
        assert!(item.attempts >= attempts, "attempts are forgotten: {id:?}");
        let held = self.held.get(&id).filter(|_| !self.holding.contains(&id));
        if let Some((is_held, _)) = held {
            assert_eq!(item.is_held, *is_held, "what the operator said: {id:?}");
        }
    }
}

/// Message and domain of an item, as its record and its body say; they must be whole.
async fn read(shard: &Sim, item: &Item) -> Result<(u64, usize), store::error::ReadError> {
    let Queued {
        recipients,
        message,
        ..
    } = shard.queued(&[item.id]).await?;
    let [(id, leaving)] = recipients.as_slice() else {
        panic!("one was asked for: {recipients:?}");
    };
    assert_eq!(*id, item.id);
    assert_eq!(leaving.address.domain, *item.domain);
    // As a courier has it: block by block, each as it lies.
    let (mut octets, mut from) = (Vec::new(), 0);
    while from < message.octets {
        octets.extend_from_slice(&shard.octets(&message, from).await?);
        from = message.block_end(from);
        assert_eq!(octets.len() as u64, from);
    }
    let body = octets.strip_prefix(PREFIX).expect("trace goes before");
    let last = shard.last_attempt(item.id).await?;
    // Another attempt may have come since the item was looked at.
    if item.attempts > 0 && shard.queue_item(item.id).is_some() {
        assert_eq!(last.expect("it was tried").reply, reply(item.id));
    }
    let domain = item.domain.trim_start_matches('d').split('.').next();
    Ok((identify(body), domain.unwrap().parse().unwrap()))
}

fn outbound(domain: usize) -> Outbound {
    Outbound {
        recipient: Address::new("somebody", format!("d{domain}.test")),
        notify: Notify::FAILURE,
        orcpt: Some(format!("rfc822;somebody@d{domain}.test")),
        tenant: ACCOUNTS[domain % 4].to_owned(),
        expiry_secs: 1000,
        not_before_secs: 0,
        priority: domain as i8,
        marks: 1,
        by_secs: 0,
        prefix: PREFIX.into(),
    }
}

fn reply(item: ItemId) -> HostReply {
    HostReply {
        host: "mx.test".to_owned(),
        code: 451,
        enhanced: None,
        text: format!("not now, {item}"),
        way: None,
    }
}

fn end(item: ItemId) -> End {
    End {
        item,
        at_secs: 3,
        ending: Ending::Delivered,
        reply: HostReply::default(),
    }
}

const PREFIX: &[u8] = b"Received: from here\r\n";
