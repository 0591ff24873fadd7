//! What mailboxes are sorted and threaded by, kept from one command to the next.
//!
//! One cache for a shard: webmail logs in anew for every click. What a message is sorted by never
//! changes, so that only messages are read that came since. A mailbox has a [`Table`] in the order
//! of its UIDs; texts stand once in its [`Lexicon`], so that comparing them is comparing ranks.

mod lexicon;

use self::lexicon::{Lexicon, Ranks};
use super::super::dialogue::Dialogue;
use super::super::io::Io;
use super::super::mailstore::{Mailstore, Picture};
use super::super::sequence;
use super::super::structure;
use super::hunt::Ground;
use super::sort::MESSAGES_MAX;
use crate::wire::mime::facts::{Facts, Kept, SortText, TEXTS};
use ::store::mail::id::{AccountId, MailboxId, ObjectId, Uid};
use ::store::mail::uidset::UidSet;
use std::cell::{RefCell, RefMut};
use std::rc::Rc;

/// Octets that the tables of a shard take together, about. The one used last is kept even if it
/// alone takes more, up to [`TABLE_BYTES_MAX`].
const TABLES_BYTES_MAX: usize = 64 << 20;

/// Octets of a table that is kept.
const TABLE_BYTES_MAX: usize = 256 << 20;

/// Tables of a shard.
const TABLES_MAX: usize = 256;

/// Messages read before other connections run.
const MESSAGES_A_TURN: u32 = 64;

/// UIDs that are expunged may make up so much more of a table than those that are there.
const GONE_MIN: usize = 1024;

/// The tables of a shard, the one used last at the end.
#[derive(Default)]
pub struct Known {
    tables: RefCell<Vec<(Key, Rc<Table>)>>,
}

type Key = (AccountId, MailboxId);

/// What a mailbox is sorted by.
#[derive(Clone, Default)]
pub(super) struct Table {
    /// Ascending.
    uids: Vec<u32>,
    entries: Vec<Entry>,
    parents: Vec<u64>,
    lexicon: Lexicon,
    ranks: RefCell<Ranks>,
}

/// The facts of one message.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Seconds since 1970.
    pub(super) sent: Option<i64>,
    /// The number of its Message ID; 0 for none.
    pub(super) id: u64,
    pub(super) is_reply: bool,
    parents_from: usize,
    parents: u32,
    texts: [u32; TEXTS],
}

impl Known {
    /// The facts of `wanted`, all in the view. Of a message that cannot be read all are empty.
    pub(super) async fn of<S: Mailstore, I: Io>(
        &self,
        ground: &Ground<'_, S>,
        wanted: &UidSet,
        dialogue: &mut Dialogue<I>,
    ) -> Rc<Table> {
        let key = (ground.account, ground.view.mailbox());
        let missing = match self.find(key) {
            Some(table) => table.missing(wanted),
            None => wanted.clone(),
        };
        let news = read(ground, &missing, dialogue).await;
        self.complete(key, ground.view.uids(), news)
    }

    fn find(&self, key: Key) -> Option<Rc<Table>> {
        let tables = self.tables.borrow();
        let found = tables.iter().find(|(known, _)| *known == key);
        found.map(|(_, table)| Rc::clone(table))
    }

    /// Puts the news into the table, and the table at the end.
    fn complete(&self, key: Key, present: &[u32], news: Table) -> Rc<Table> {
        let mut tables = self.tables.borrow_mut();
        let at = tables.iter().position(|(known, _)| *known == key);
        let mut table = at.map_or_else(Rc::default, |at| tables.remove(at).1);
        if !news.uids.is_empty() {
            let mut changed = Rc::unwrap_or_clone(table);
            changed.forget_gone(present);
            changed.add(news);
            table = Rc::new(changed);
        }
        if table.bytes() <= TABLE_BYTES_MAX {
            tables.push((key, Rc::clone(&table)));
        }
        while tables.len() > 1 && is_too_much(&tables) {
            tables.remove(0);
        }
        table
    }
}

fn is_too_much(tables: &[(Key, Rc<Table>)]) -> bool {
    let bytes: usize = tables.iter().map(|(_, table)| table.bytes()).sum();
    bytes > TABLES_BYTES_MAX || tables.len() > TABLES_MAX
}

impl Table {
    /// The facts of a message that was asked for.
    pub(super) fn entry(&self, uid: Uid) -> Option<&Entry> {
        let at = self.uids.binary_search(&uid.0).ok()?;
        self.entries.get(at)
    }

    pub(super) fn parents(&self, entry: &Entry) -> &[u64] {
        let (from, count) = (entry.parents_from, entry.parents as usize);
        self.parents.get(from..from + count).unwrap_or_default()
    }

    /// The number of a text: equal for equal texts, and for no others.
    pub(super) fn text(&self, entry: &Entry, which: SortText) -> u32 {
        entry.texts.get(which as usize).copied().unwrap_or(0)
    }

    /// The places of all texts in their order, by their numbers.
    pub(super) fn ranks(&self) -> RefMut<'_, Ranks> {
        let mut ranks = self.ranks.borrow_mut();
        ranks.complete(&self.lexicon);
        ranks
    }

    fn missing(&self, wanted: &UidSet) -> UidSet {
        let mut missing = UidSet::new();
        let mut rest = self.uids.as_slice();
        for uid in wanted.iter() {
            let below = rest.partition_point(|known| *known < uid.0);
            rest = rest.get(below..).unwrap_or_default();
            match rest.split_first() {
                Some((first, behind)) if *first == uid.0 => rest = behind,
                _ => missing.push(uid),
            }
        }
        missing
    }

    /// Room for the facts of so many messages.
    fn of_messages(messages: u64) -> Table {
        let room = usize::try_from(messages.min(MESSAGES_MAX)).unwrap_or(0);
        Table {
            uids: Vec::with_capacity(room),
            entries: Vec::with_capacity(room),
            ..Table::default()
        }
    }

    /// Adds the facts of a message behind all others.
    fn learn(&mut self, uid: u32, facts: &Kept<'_>) {
        let parents_from = self.parents.len();
        self.parents.extend(facts.parents());
        let entry = Entry {
            sent: facts.sent,
            id: facts.id,
            is_reply: facts.is_reply,
            parents_from,
            parents: (self.parents.len() - parents_from) as u32,
            texts: facts.texts.map(|text| self.lexicon.number(text)),
        };
        self.uids.push(uid);
        self.entries.push(entry);
    }

    /// Adds facts in the order of UIDs; those that are known already are left out.
    fn add(&mut self, news: Table) {
        if self.uids.is_empty() {
            *self = news;
            return;
        }
        let is_tail = self.uids.last() < news.uids.first();
        for (uid, entry) in news.uids.iter().zip(&news.entries) {
            let parents_from = self.parents.len();
            self.parents.extend_from_slice(news.parents(entry));
            let texts = entry.texts.map(|number| news.lexicon.text(number));
            self.uids.push(*uid);
            self.entries.push(Entry {
                parents_from,
                texts: texts.map(|text| self.lexicon.number(text)),
                ..*entry
            });
        }
        if !is_tail {
            self.settle();
        }
    }

    /// Brings all into the order of UIDs; of one that is there twice the first stays.
    fn settle(&mut self) {
        let mut both: Vec<(u32, Entry)> = self.uids.drain(..).zip(self.entries.drain(..)).collect();
        both.sort_by_key(|(uid, _)| *uid);
        both.dedup_by_key(|(uid, _)| *uid);
        (self.uids, self.entries) = both.into_iter().unzip();
    }

    /// A mailbox in which much was expunged is read anew when next asked for.
    fn forget_gone(&mut self, present: &[u32]) {
        if self.uids.len() > present.len() * 2 + GONE_MIN {
            *self = Table::default();
        }
    }

    fn bytes(&self) -> usize {
        let entry = size_of::<Entry>() + size_of::<u32>();
        self.uids.len() * entry + self.parents.len() * size_of::<u64>() + self.lexicon.bytes()
    }
}

/// The facts of messages, ascending: from what the store keeps of them, from their header where it
/// keeps nothing.
async fn read<S: Mailstore, I: Io>(
    ground: &Ground<'_, S>,
    wanted: &UidSet,
    dialogue: &mut Dialogue<I>,
) -> Table {
    let mut news = Table::of_messages(wanted.len());
    let mailbox = ground.view.mailbox();
    let mut take = |uid: Uid, octets: &[u8]| {
        if let Some(facts) = Kept::decode(octets) {
            news.learn(uid.0, &facts);
        }
    };
    let rest = ground
        .store
        .columns(ground.account, mailbox, wanted, &mut take)
        .await;
    let mut encoded = Vec::new();
    for turn in sequence::turns(&rest, MESSAGES_A_TURN) {
        let mut deliveries: Vec<(u32, ObjectId)> = Vec::new();
        ground.store.rows(ground.view, &turn, &mut |row| {
            deliveries.push((row.uid.0, row.delivery));
        });
        for (uid, delivery) in deliveries {
            encoded.clear();
            of_message(ground.store, delivery)
                .await
                .encode(&mut encoded);
            if let Some(facts) = Kept::decode(&encoded) {
                news.learn(uid, &facts);
            }
        }
        dialogue.pause().await;
    }
    if !news.uids.is_sorted() {
        news.settle();
    }
    news
}

async fn of_message<S: Mailstore>(store: &S, delivery: ObjectId) -> Facts {
    if let Some(listed) = store.listing(delivery).await {
        return Facts::of(&listed);
    }
    let Ok(message) = store.message(delivery).await else {
        return Facts::default();
    };
    let header = structure::raw_header(store, &message).await;
    header.map(|header| Facts::of(&header)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(messages: &[(u32, &str)]) -> Table {
        let mut news = Table::default();
        for (uid, subject) in messages {
            let mut encoded = Vec::new();
            let header = format!("Subject: {subject}\r\n\r\n");
            Facts::of(header.as_bytes()).encode(&mut encoded);
            news.learn(*uid, &Kept::decode(&encoded).expect("it was encoded"));
        }
        news
    }

    fn subjects(table: &Table) -> Vec<(u32, u32)> {
        let ranks = table.ranks();
        let of = |uid: &u32| {
            let entry = table.entry(Uid(*uid)).expect("the table has it");
            (*uid, ranks.of(table.text(entry, SortText::Subject)))
        };
        table.uids.iter().map(of).collect()
    }

    #[test]
    fn a_table_grows_at_its_end_and_in_the_middle() {
        let mut table = Table::default();
        table.add(news(&[(3, "c"), (7, "a")]));
        assert_eq!(subjects(&table), [(3, 2), (7, 1)]);
        table.add(news(&[(9, "b")]));
        assert_eq!(subjects(&table), [(3, 3), (7, 1), (9, 2)]);
        table.add(news(&[(1, "b"), (3, "z"), (8, "B")]));
        let found = subjects(&table);
        assert_eq!(found, [(1, 2), (3, 3), (7, 1), (8, 2), (9, 2)]);
        let wanted = UidSet::from_ranges([(1, 10)]);
        assert_eq!(table.missing(&wanted).ranges(), [(2, 2), (4, 6), (10, 10)]);
    }

    #[test]
    fn tables_are_kept_up_to_their_bound() {
        let known = Known::default();
        for mailbox in 0..u32::try_from(TABLES_MAX).unwrap() + 10 {
            let key = (AccountId(1), MailboxId(mailbox));
            known.complete(key, &[1], news(&[(1, "x")]));
        }
        assert_eq!(known.tables.borrow().len(), TABLES_MAX);
        assert!(known.find((AccountId(1), MailboxId(9))).is_none());
        assert!(known.find((AccountId(1), MailboxId(10))).is_some());
    }
}
