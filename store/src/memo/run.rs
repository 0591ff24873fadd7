//! A run of memos: an index file whose parts are blocks of entries, what leads to them, a filter.
//!
//! ```text
//!   (0, 0) block │ (0, 1) block │ … │ (1, 0) counts, first key of each block │ (2, 0) filter
//! ```
//!
//! The last two are in memory; a block is looked at where it lies in the map, and its checksum each
//! time.

use super::block::{Block, Entry};
use super::filter::Filter;
use crate::codec::{Fields, Put, Short};
use crate::table::TableError;
use crate::table::run::Run;
use std::rc::Rc;

/// The runs of a shard, from the oldest to the newest.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    runs: Vec<Rc<MemoRun>>,
}

#[derive(Debug)]
pub(crate) struct MemoRun {
    run: Run,
    head: Head,
    filter: Filter,
}

/// What a run says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Head {
    /// Keys of which something is said.
    pub(crate) entries: u64,
    /// Of those, removals.
    pub(crate) removals: u64,
    /// What time it was when the youngest entry was written, in seconds since 1970.
    pub(crate) secs: i64,
    /// From this second on the time of half of the entries is over; 0: never.
    pub(crate) half_secs: i64,
    pub(crate) fences: Fences,
}

/// The first keys of all blocks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fences {
    octets: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Shelf {
    pub(crate) fn new(runs: Vec<Rc<MemoRun>>) -> Shelf {
        Shelf { runs }
    }

    pub(crate) fn runs(&self) -> &[Rc<MemoRun>] {
        &self.runs
    }

    /// What time it was when the newest run was written, in seconds since 1970; 0: there is none.
    pub(crate) fn secs(&self) -> i64 {
        self.runs.last().map_or(0, |run| run.head().secs)
    }

    /// What the newest run says of a key, of those that say something.
    pub(crate) fn find(&self, key: &[u8]) -> Result<Option<Entry<'_>>, TableError> {
        for run in self.runs.iter().rev() {
            if let Some(entry) = run.find(key)? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// `false`: no run says anything of the key.
    pub(crate) fn may_know(&self, key: &[u8]) -> bool {
        self.runs.iter().any(|run| run.filter.may_have(key))
    }
}

impl MemoRun {
    pub(crate) fn open(run: Run) -> Result<MemoRun, TableError> {
        let broken = || unreadable(&run, "what leads to its memos cannot be read");
        let part = run.part(HEAD.0, HEAD.1).ok_or_else(broken)??;
        let head = Head::decode(part).map_err(|Short| broken())?;
        let part = run.part(FILTER.0, FILTER.1).ok_or_else(broken)??;
        let filter = Filter::decode(part).ok_or_else(broken)?;
        Ok(MemoRun { run, head, filter })
    }

    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    fn find(&self, key: &[u8]) -> Result<Option<Entry<'_>>, TableError> {
        if !self.filter.may_have(key) {
            return Ok(None);
        }
        let Some(at) = self.head.fences.find(key) else {
            return Ok(None);
        };
        let found = self.block(at)?.find(key);
        found.map_err(|Short| self.unreadable())
    }

    fn block(&self, at: usize) -> Result<Block<'_>, TableError> {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        match self.run.part_at(at, (BLOCKS, at)) {
            Some(part) => part.map(Block::new),
            None => Err(unreadable(
                &self.run,
                "a block of memos is not where it was",
            )),
        }
    }

    /// Entries from a key on.
    pub(crate) fn cursor(&self, from: &[u8]) -> Cursor<'_> {
        Cursor {
            run: self,
            block: None,
            next: self.head.fences.find(from).unwrap_or(0),
            from: from.to_vec(),
        }
    }

    /// Holds every entry against what leads to it, for whoever publishes the run or checks it.
    pub(crate) fn verify(&self) -> Result<(), TableError> {
        let (mut entries, mut removals) = (0, 0);
        let mut last = Vec::new();
        for at in 0..self.head.fences.ends.len() {
            let mut block = self.block(at)?;
            let mut is_begin = true;
            while let Some(entry) = block.next().map_err(|Short| self.unreadable())? {
                let key = block.key();
                let is_led_to = !is_begin || self.head.fences.key(at) == key;
                if !is_led_to || entries > 0 && last.as_slice() >= key {
                    return Err(unreadable(&self.run, "memos are out of order"));
                }
                if !self.filter.may_have(key) {
                    return Err(unreadable(&self.run, "the filter lacks a memo"));
                }
                entries += 1;
                removals += u64::from(entry == Entry::Gone);
                last.clear();
                last.extend_from_slice(key);
                is_begin = false;
            }
        }
        match (entries, removals) == (self.head.entries, self.head.removals) {
            true => Ok(()),
            false => Err(unreadable(&self.run, "memos are miscounted")),
        }
    }

    fn unreadable(&self) -> TableError {
        unreadable(
            &self.run,
            "a block of memos passes its checksum and cannot be read",
        )
    }
}

fn unreadable(run: &Run, what: &'static str) -> TableError {
    TableError::Damaged {
        path: run.path().to_owned(),
        offset: 0,
        what,
    }
}

/// Reads entries one behind the other.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    run: &'a MemoRun,
    block: Option<Block<'a>>,
    /// The block behind.
    next: usize,
    from: Vec<u8>,
}

impl<'a> Cursor<'a> {
    /// Key and entry, rising.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<u8>, Entry<'a>)>, TableError> {
        loop {
            let Some(block) = &mut self.block else {
                if self.next >= self.run.head.fences.ends.len() {
                    return Ok(None);
                }
                self.next += 1;
                self.block = Some(self.run.block(self.next - 1)?);
                continue;
            };
            let next = block.next().map_err(|Short| self.run.unreadable())?;
            let Some(entry) = next else {
                self.block = None;
                continue;
            };
            if block.key() >= self.from.as_slice() {
                return Ok(Some((block.key().to_vec(), entry)));
            }
        }
    }

    /// Passes over a block that cannot be read.
    pub(crate) fn skip(&mut self) {
        self.block = None;
    }
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u8(FORM);
        out.put_varint(self.entries);
        out.put_varint(self.removals);
        out.put_i64(self.secs);
        out.put_i64(self.half_secs);
        out.put_varint(self.fences.ends.len() as u64);
        for at in 0..self.fences.ends.len() {
            out.put_counted(self.fences.key(at));
        }
        out
    }

    fn decode(octets: &[u8]) -> Result<Head, Short> {
        let mut fields = Fields::new(octets);
        if fields.u8()? != FORM {
            return Err(Short);
        }
        let mut head = Head {
            entries: fields.varint()?,
            removals: fields.varint()?,
            secs: fields.i64()?,
            half_secs: fields.i64()?,
            fences: Fences::default(),
        };
        for _ in 0..fields.varint()? {
            head.fences.add(fields.counted()?);
        }
        fields.end()?;
        Ok(head)
    }
}

impl Fences {
    pub(super) fn add(&mut self, first: &[u8]) {
        self.octets.extend_from_slice(first);
        let end = u32::try_from(self.octets.len());
        self.ends.push(end.expect("a part is shorter than 4 GiB"));
    }

    fn key(&self, at: usize) -> &[u8] {
        let end = self.ends.get(at).copied().unwrap_or_default();
        let before = at.checked_sub(1).and_then(|at| self.ends.get(at)).copied();
        let range = before.unwrap_or(0) as usize..end as usize;
        self.octets.get(range).unwrap_or_default()
    }

    /// The block that has a key, if one has it.
    fn find(&self, key: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.key(middle) > key {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        low.checked_sub(1)
    }
}

/// Keys of the parts in the run.
pub(super) const BLOCKS: u32 = 0;
pub(super) const HEAD: (u32, u32) = (1, 0);
pub(super) const FILTER: (u32, u32) = (2, 0);

/// Of the part that leads to the others.
const FORM: u8 = 1;
