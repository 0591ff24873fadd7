//! Memos in a world: what somebody who writes them was told, and holding the shards against that.

use crate::ledger::{Ledger, content};
use crate::world::{Sim, pass_turn, share};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use store::disk::fault::Seed;
use store::error::ChangeError;
use store::mail::id::QueueId;
use store::shard::{Custody, IS_CLAIMED, Memo, MemoChange, Space};

/// A shard and a key.
type Id = (usize, u8);

/// What was told of memos, and what was tried.
#[derive(Clone, Default)]
pub(crate) struct MemoLedger {
    words: BTreeMap<Id, Words>,
}

/// All that was ever said of a key, in order: the number in a value, or that there is none.
#[derive(Clone, Default)]
struct Words {
    said: Vec<Option<u64>>,
    /// So many came before the last that was told to be durable.
    told: usize,
}

/// Puts, removes and claims at random. One change of a key is under way at a time.
pub(crate) struct Clerk {
    pub(crate) shards: Vec<Sim>,
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    pub(crate) seed: RefCell<Seed>,
    pub(crate) is_rough: bool,
}

impl Words {
    fn may_be(&self, found: Option<u64>) -> bool {
        let since = self.said.get(self.told..).unwrap_or_default();
        since.contains(&found) || self.said.is_empty() && found.is_none()
    }

    /// Whether it was told that there is one, and nothing was tried since.
    fn is_there(&self) -> bool {
        matches!(self.said.get(self.told..), Some([Some(_)]))
    }
}

impl Clerk {
    pub(crate) async fn run(&self) {
        loop {
            let here = self.below(2) as usize;
            let outcome = match self.below(8) {
                0..=4 => self.write(here).await,
                5 => self.claim(here).await,
                _ => self.look(here),
            };
            if outcome.is_none() {
                pass_turn().await;
            }
        }
    }

    fn below(&self, bound: u64) -> u64 {
        self.seed.borrow_mut().below(bound)
    }

    fn next(&self) -> u64 {
        let mut ledger = self.ledger.borrow_mut();
        ledger.next += 1;
        ledger.next
    }

    /// Several at a time, each of another key.
    async fn write(&self, here: usize) -> Option<()> {
        let first = self.below(KEYS) as u8;
        let keys = first..first.saturating_add(1 + self.below(5) as u8);
        let mut changes = Vec::new();
        for key in keys.clone() {
            let (change, word) = match self.below(4) {
                0 => (MemoChange::Remove(SPACE, vec![key]), None),
                1 => (MemoChange::Put(memo(key, self.next(), OVER)), None),
                _ => {
                    let number = self.next();
                    let change = MemoChange::Put(memo(key, number, 0));
                    (change, Some(number))
                }
            };
            self.say((here, key), word);
            changes.push(change);
        }
        let written = self.shards[here].write_memos(changes).await;
        self.accepted(written)?;
        keys.for_each(|key| self.told((here, key)));
        Some(())
    }

    /// With a message, if nobody has the key.
    async fn claim(&self, here: usize) -> Option<()> {
        let shard = &self.shards[here];
        let (key, number) = (KEYS as u8 + self.below(KEYS) as u8, self.next());
        let mut body = shard.body();
        let written = shard.body_write(&mut body, &content(number, 400)).await;
        self.accepted(written)?;
        let was_there = self.words((here, key)).is_there();
        self.say((here, key), Some(number));
        let custody = Custody {
            queue: QueueId(number),
            body,
            shares: vec![share(here)],
            memos: vec![memo(key, number, LATER)],
            claims: true,
            ..Custody::default()
        };
        let taken = shard.take(custody).await;
        if taken.as_ref().err() == Some(&ChangeError::Cannot(IS_CLAIMED)) {
            self.unsay((here, key));
            return None;
        }
        self.accepted(taken)?;
        assert!(!was_there, "a key is claimed twice");
        self.told((here, key));
        let mut ledger = self.ledger.borrow_mut();
        ledger.acknowledged.insert(number, [here].into());
        Some(())
    }

    /// What is seen is what was said, while nobody says something.
    fn look(&self, here: usize) -> Option<()> {
        let key = self.below(2 * KEYS) as u8;
        let found = look(&self.shards[here], key, self.is_rough)?;
        let words = self.words((here, key));
        assert!(words.may_be(found), "{key} is {found:?}: {:?}", words.said);
        Some(())
    }

    fn words(&self, id: Id) -> Words {
        let ledger = self.ledger.borrow();
        ledger.memos.words.get(&id).cloned().unwrap_or_default()
    }

    fn say(&self, id: Id, word: Option<u64>) {
        let mut ledger = self.ledger.borrow_mut();
        let words = ledger.memos.words.entry(id).or_insert_with(|| Words {
            said: vec![None],
            told: 0,
        });
        words.said.push(word);
    }

    fn unsay(&self, id: Id) {
        let mut ledger = self.ledger.borrow_mut();
        if let Some(words) = ledger.memos.words.get_mut(&id) {
            words.said.pop();
        }
    }

    fn told(&self, id: Id) {
        let mut ledger = self.ledger.borrow_mut();
        if let Some(words) = ledger.memos.words.get_mut(&id) {
            words.told = words.said.len() - 1;
        }
    }

    /// In fair weather only the log may refuse.
    fn accepted<T>(&self, outcome: Result<T, ChangeError>) -> Option<T> {
        if let Err(error) = &outcome {
            let is_allowed = matches!(error, ChangeError::Log(_))
                || self.is_rough && *error == ChangeError::Damaged;
            assert!(is_allowed, "{error}");
        }
        outcome.ok()
    }
}

impl MemoLedger {
    /// What was tried after this was told may have happened.
    pub(crate) fn tried_meanwhile(&mut self, later: &MemoLedger) {
        for (id, words) in &later.words {
            let known = self.words.entry(*id).or_default();
            known.said.clone_from(&words.said);
        }
    }

    /// Holds the shards against what was told.
    pub(crate) fn compare(&self, shards: &[Sim]) {
        for (here, shard) in shards.iter().enumerate() {
            let mut there = BTreeMap::new();
            for key in 0..2 * KEYS as u8 + 8 {
                let Some(found) = look(shard, key, true) else {
                    continue;
                };
                there.extend(found.map(|number| (key, number)));
                let words = self.words.get(&(here, key)).cloned().unwrap_or_default();
                assert!(words.may_be(found), "{key} is {found:?}: {:?}", words.said);
            }
            if let Ok(listed) = shard.memos(SPACE, b"", None, usize::MAX) {
                let listed = listed.iter().map(|memo| (memo.key[0], number(memo)));
                assert!(listed.eq(there), "the list has what is found");
            }
        }
    }
}

/// The number in a memo; nothing where the device does not give it.
fn look(shard: &Sim, key: u8, is_rough: bool) -> Option<Option<u64>> {
    match shard.memo(SPACE, &[key]) {
        Ok(found) => Some(found.as_ref().map(number)),
        Err(error) => {
            assert!(is_rough, "{key}: {error}");
            None
        }
    }
}

/// Its value is whole.
fn number(found: &Memo) -> u64 {
    let number = u64::from_le_bytes(*found.value.first_chunk().unwrap());
    let expiry_secs = found.expiry_secs;
    assert_eq!(
        *found,
        memo(found.key[0], number, expiry_secs),
        "octet-exact"
    );
    number
}

fn memo(key: u8, number: u64, expiry_secs: i64) -> Memo {
    let rest = content(number, 30 * usize::from(key));
    Memo {
        space: SPACE,
        key: vec![key],
        value: [number.to_le_bytes().as_slice(), &rest].concat(),
        expiry_secs,
    }
}

const SPACE: Space = Space::COUNTER;
const KEYS: u64 = 20;

/// The clock of the world stands between them.
const OVER: i64 = 1_600_000_000;
const LATER: i64 = 1_800_000_000;
