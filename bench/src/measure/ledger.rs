//! What became of each message, as the client was told: one octet a message.
//!
//! Sizes, texts and recipients follow from the number of a message, so nothing else is kept.

use std::collections::BTreeSet;

/// What the client knows of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Fate {
    /// It was never sent whole.
    Unsent = 0,
    /// It may be there once: no answer came.
    Unanswered = 1,
    /// It must be there exactly once.
    Acknowledged = 2,
    /// It must not be there: the server declined it.
    Declined = 3,
}

/// The messages of one shard: `index`, `index + shards`, ….
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    index: u64,
    shards: u64,
    fates: Vec<u8>,
    /// Recipients, by account, that were declined of messages that others got.
    declined: BTreeSet<(u64, u32)>,
}

impl Ledger {
    pub(crate) fn new(index: u32, shards: u32) -> Ledger {
        Ledger {
            index: u64::from(index),
            shards: u64::from(shards.max(1)),
            fates: Vec::new(),
            declined: BTreeSet::new(),
        }
    }

    pub(crate) fn settle(&mut self, number: u64, fate: Fate) {
        let at = (number / self.shards) as usize;
        if at >= self.fates.len() {
            self.fates.resize(at + 1, Fate::Unsent as u8);
        }
        if let Some(slot) = self.fates.get_mut(at) {
            *slot = fate as u8;
        }
    }

    /// One recipient of an acknowledged message does not get it.
    pub(crate) fn decline(&mut self, number: u64, account: u32) {
        self.declined.insert((number, account));
    }

    pub(crate) fn fate(&self, number: u64) -> Fate {
        let at = (number / self.shards.max(1)) as usize;
        match self.fates.get(at) {
            Some(1) => Fate::Unanswered,
            Some(2) => Fate::Acknowledged,
            Some(3) => Fate::Declined,
            _ => Fate::Unsent,
        }
    }

    pub(crate) fn is_declined(&self, number: u64, account: u32) -> bool {
        self.declined.contains(&(number, account))
    }

    /// Every number that was given out, and what became of it.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, Fate)> {
        let numbers = (0..self.fates.len() as u64).map(|at| self.index + at * self.shards);
        numbers.map(|number| (number, self.fate(number)))
    }
}

/// The ledgers of all shards of a run.
#[derive(Clone, Default)]
pub(crate) struct Ledgers(pub(crate) Vec<Ledger>);

impl Ledgers {
    pub(crate) fn of(&self, number: u64) -> Option<&Ledger> {
        let shard = number.checked_rem(self.0.len() as u64)?;
        self.0.get(shard as usize)
    }
}
