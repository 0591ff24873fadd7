//! An immutable sorted run: parts of mailboxes by key, and a card of each account.
//!
//! ```text
//! header │ part part part … │ card card … │ 0 │ directory page, page …
//! ```
//!
//! The run is mapped, not loaded: a part is found by binary search in the directory where it lies,
//! so that a million mailboxes cost no memory beyond the pages that somebody touched. Every answer
//! has just been checked against its checksum. What the parts and cards say is the business of
//! whoever wrote them.

mod directory;
#[cfg(test)]
mod tests;
mod writer;

pub use writer::RunWriter;

use super::error::at;
use super::head::{Head, Identity, OWN_BYTES};
use super::{TableError, name};
use crate::codec::checksum::append;
use crate::codec::{Fields, Fill, Put, Short};
use crate::disk::{Disk, Map};
use crate::limit::BLOCK_BYTES;
use crate::mail::id::ShardId;
use directory::{BrokenPage, Directory, Key, Page, Row};
use std::ops::Range;

/// Which run it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunHead {
    pub store: [u8; 16],
    pub shard: ShardId,
    /// Given once in the life of a shard.
    pub number: u32,
    /// Runs of one tier are merged into one of the next.
    pub tier: u16,
}

/// A run whose header and directory were good when it was opened.
#[derive(Clone, Debug)]
pub struct Run {
    map: Map,
    path: String,
    head: Head,
    sections: Sections,
}

/// The cards of a run, checked, by rising account.
pub struct Cards<'a> {
    run: &'a Run,
    rest: Fields<'a>,
}

/// Where in the file things lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sections {
    parts: u32,
    cards: u32,
    cards_from: u64,
    cards_bytes: u64,
    directory: u64,
    /// Of the whole section, with the seat of its start.
    cards_crc: u32,
}

const MAGIC: [u8; 8] = *b"RINGPRUN";

/// Bytes that are in memory at one time while a whole run is looked through.
const WINDOW_BYTES: usize = 4 << 20;

impl Run {
    /// Maps and opens the run that a manifest names in the shard's `directory`.
    pub async fn load<D: Disk>(
        disk: &D,
        directory: &str,
        head: RunHead,
    ) -> Result<Run, TableError> {
        let path = name::run(directory, head.number);
        let map = disk.map(&path).await.map_err(at(&path))?;
        Run::open(&path, map, head)
    }

    /// Opens a mapped run: checks header and directory. Cards and parts are checked when they are
    /// asked for; [`verify`](Self::verify) checks all.
    pub fn open(path: &str, map: Map, head: RunHead) -> Result<Run, TableError> {
        let length = map.len() as u64;
        let head = Head::decode(path, &map, &head.identity(), length)?;
        let sections = Sections::decode(&head.own)
            .ok()
            .filter(|sections| sections.fit(length))
            .ok_or_else(|| TableError::damaged(path, 0, "the sections do not fit the file"))?;
        let run = Run {
            map,
            path: path.to_owned(),
            head,
            sections,
        };
        run.check_directory()?;
        Ok(run)
    }

    #[must_use]
    pub fn number(&self) -> u32 {
        self.head.identity.number
    }

    #[must_use]
    pub fn tier(&self) -> u16 {
        self.head.identity.tier
    }

    /// Length of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.head.length
    }

    /// Parts that the run has.
    #[must_use]
    pub fn parts(&self) -> u32 {
        self.sections.parts
    }

    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The part of a mailbox. Its checksum is looked at in each call.
    pub fn part(&self, account: u32, mailbox: u32) -> Option<Result<&[u8], TableError>> {
        match self.directory().find((account, mailbox)) {
            Ok(Some(row)) => Some(self.checked(&row)),
            Ok(None) => None,
            Err(broken) => Some(Err(self.broken(broken))),
        }
    }

    /// The part with this number in the order of the file, if it has that key: found without a
    /// search. Its checksum is looked at in each call.
    pub fn part_at(&self, number: u32, key: (u32, u32)) -> Option<Result<&[u8], TableError>> {
        match self.directory().at(number) {
            Ok(row) => row
                .filter(|row| row.key == key)
                .map(|row| self.checked(&row)),
            Err(broken) => Some(Err(self.broken(broken))),
        }
    }

    /// Where the part of a mailbox lies in the file, for whoever warms it; nothing too where the
    /// directory has become unreadable.
    #[must_use]
    pub fn range(&self, account: u32, mailbox: u32) -> Option<Range<u64>> {
        let row = self.directory().find((account, mailbox)).ok()??;
        Some(row.offset..row.end())
    }

    /// Gives up the memory of a range whose content is not needed again soon.
    pub fn forget(&self, range: Range<u64>) {
        self.map.forget(in_memory(range));
    }

    /// Accounts and mailboxes that have a part, rising.
    pub fn keys(&self) -> impl Iterator<Item = Result<(u32, u32), TableError>> + '_ {
        self.rows().map(|row| row.map(|row| row.key))
    }

    /// The cards of all accounts. Reads and checks all of them at once, in large pieces.
    pub fn cards(&self) -> Result<Cards<'_>, TableError> {
        let range = self.sections.cards_range();
        self.map.populate(in_memory(range.clone()));
        let bytes = self.map.get(in_memory(range)).unwrap_or_default();
        let from = self.sections.cards_from;
        if append(0, bytes) ^ self.head.identity.seats().at(from) != self.sections.cards_crc {
            return Err(self.damaged(from, "the checksum of the cards is wrong"));
        }
        Ok(Cards {
            run: self,
            rest: Fields::new(bytes),
        })
    }

    /// Checks every byte that can ever be served, for whoever publishes the run or repairs.
    pub fn verify(&self) -> Result<(), TableError> {
        let mut end = BLOCK_BYTES as u64;
        let mut last: Option<Key> = None;
        let mut sweep = Sweep::new(&self.map);
        for row in self.rows() {
            let row = row?;
            if row.offset != end || last.is_some_and(|last| last >= row.key) {
                return Err(self.damaged(row.offset, "the directory is out of order"));
            }
            self.hold_against(&row, sweep.checksum(row.offset..row.end()))?;
            (end, last) = (row.end(), Some(row.key));
        }
        if end != self.sections.cards_from {
            return Err(self.damaged(end, "something that is no part lies before the cards"));
        }
        self.check_cards()
    }

    fn check_directory(&self) -> Result<(), TableError> {
        self.map
            .populate(in_memory(self.sections.directory..self.head.length));
        let broken = self.directory().pages().find_map(Result::err);
        self.forget(self.sections.directory..self.head.length);
        broken.map_or(Ok(()), |broken| Err(self.broken(broken)))
    }

    fn check_cards(&self) -> Result<(), TableError> {
        let mut cards = self.cards()?;
        let (mut count, mut last) = (0, None);
        for (account, _) in &mut cards {
            if last.is_some_and(|last| last >= account) {
                return Err(self.damaged(self.sections.cards_from, "the cards are out of order"));
            }
            (count, last) = (count + 1, Some(account));
        }
        if count != self.sections.cards || !cards.rest.is_empty() {
            return Err(self.damaged(self.sections.cards_from, "the cards are miscounted"));
        }
        Ok(())
    }

    fn checked(&self, row: &Row) -> Result<&[u8], TableError> {
        let range = in_memory(row.offset..row.end());
        let bytes = self.map.get(range).unwrap_or_default();
        self.hold_against(row, append(0, bytes)).map(|()| bytes)
    }

    fn hold_against(&self, row: &Row, crc: u32) -> Result<(), TableError> {
        let is_inside = row.offset >= BLOCK_BYTES as u64 && row.end() <= self.sections.cards_from;
        if !is_inside {
            return Err(self.damaged(row.offset, "a part lies outside of the parts"));
        }
        if crc ^ self.head.identity.seats().at(row.offset) != row.crc {
            return Err(self.damaged(row.offset, "the checksum of a part is wrong"));
        }
        Ok(())
    }

    fn rows(&self) -> impl Iterator<Item = Result<Row, TableError>> + '_ {
        let rows = |page: Result<Page<'_>, BrokenPage>| match page {
            Ok(page) => page.rows().map(Ok).collect(),
            Err(broken) => vec![Err(self.broken(broken))],
        };
        self.directory().pages().flat_map(rows)
    }

    fn directory(&self) -> Directory<'_> {
        let from = self.sections.directory;
        Directory {
            pages: self
                .map
                .get(in_memory(from..self.head.length))
                .unwrap_or_default(),
            from,
            rows: self.sections.parts,
            seats: self.head.identity.seats(),
        }
    }

    fn broken(&self, page: BrokenPage) -> TableError {
        self.damaged(page.0, "the checksum of a directory page is wrong")
    }

    fn damaged(&self, offset: u64, what: &'static str) -> TableError {
        TableError::damaged(&self.path, offset, what)
    }
}

impl<'a> Iterator for Cards<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<(u32, &'a [u8])> {
        let account = self.rest.u32().ok()?;
        let length = self.rest.u32().ok()?;
        Some((account, self.rest.bytes(length as usize).ok()?))
    }
}

impl Drop for Cards<'_> {
    fn drop(&mut self) {
        self.run.forget(self.run.sections.cards_range());
    }
}

/// Goes through a map from front to end, with a few megabytes of it in memory at a time.
struct Sweep<'a> {
    map: &'a Map,
    window: Range<usize>,
}

impl<'a> Sweep<'a> {
    fn new(map: &'a Map) -> Sweep<'a> {
        Sweep { map, window: 0..0 }
    }

    fn checksum(&mut self, range: Range<u64>) -> u32 {
        let bytes = self.map.get(in_memory(range.clone())).unwrap_or_default();
        let (mut crc, mut end) = (0, in_memory(range).start);
        for piece in bytes.chunks(WINDOW_BYTES) {
            end += piece.len();
            self.reach(end);
            crc = append(crc, piece);
        }
        crc
    }

    fn reach(&mut self, end: usize) {
        while self.window.end < end {
            self.map.forget(self.window.clone());
            self.window = self.window.end..self.window.end + WINDOW_BYTES;
            self.map.populate(self.window.clone());
        }
    }
}

impl Drop for Sweep<'_> {
    fn drop(&mut self) {
        self.map.forget(self.window.clone());
    }
}

impl RunHead {
    fn identity(&self) -> Identity {
        Identity {
            magic: MAGIC,
            store: self.store,
            shard: self.shard,
            tier: self.tier,
            number: self.number,
            generation: 0,
        }
    }
}

impl Sections {
    fn encode(&self) -> [u8; OWN_BYTES] {
        let mut own = [0; OWN_BYTES];
        let mut out = Fill::new(&mut own);
        out.put_u32(self.parts);
        out.put_u32(self.cards);
        out.put_u64(self.cards_from);
        out.put_u64(self.cards_bytes);
        out.put_u64(self.directory);
        out.put_u32(self.cards_crc);
        own
    }

    fn decode(own: &[u8; OWN_BYTES]) -> Result<Sections, Short> {
        let mut fields = Fields::new(own);
        Ok(Sections {
            parts: fields.u32()?,
            cards: fields.u32()?,
            cards_from: fields.u64()?,
            cards_bytes: fields.u64()?,
            directory: fields.u64()?,
            cards_crc: fields.u32()?,
        })
    }

    fn fit(&self, length: u64) -> bool {
        let cards_end = self.cards_from.checked_add(self.cards_bytes);
        let end = self.directory.checked_add(directory::bytes(self.parts));
        self.cards_from >= BLOCK_BYTES as u64
            && cards_end.is_some_and(|end| end <= self.directory)
            && end == Some(length)
    }

    fn cards_range(&self) -> Range<u64> {
        self.cards_from..self.cards_from + self.cards_bytes
    }
}

/// A range of a file that is mapped, and so not larger than memory can be.
fn in_memory(range: Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}
