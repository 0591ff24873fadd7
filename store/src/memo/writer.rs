//! Writes a run of memos: blocks, then what leads to them, then the filter.

use super::block::{Entry, Filling};
use super::filter::Filter;
use super::run::{BLOCKS, FILTER, HEAD, Head};
use crate::disk::Disk;
use crate::table::run::RunWriter;
use std::collections::BTreeMap;
use std::io;

/// Holds about two octets for each entry that it has written.
pub(crate) struct MemoWriter<D: Disk> {
    run: RunWriter<D>,
    block: Filling,
    blocks: u32,
    head: Head,
    filter: Filter,
    /// How many entries are over from which hour on.
    over: BTreeMap<i64, u64>,
}

impl<D: Disk> MemoWriter<D> {
    /// Begins a run with at most `entries`; `secs`: what time it is, in seconds since 1970.
    pub(crate) fn new(run: RunWriter<D>, entries: u64, secs: i64) -> MemoWriter<D> {
        MemoWriter {
            run,
            block: Filling::default(),
            blocks: 0,
            head: Head {
                secs,
                ..Head::default()
            },
            filter: Filter::with_room(entries),
            over: BTreeMap::new(),
        }
    }

    /// Adds what is known of a key; keys rise.
    pub(crate) async fn add(&mut self, key: &[u8], entry: &Entry<'_>) -> io::Result<()> {
        if self.block.len() >= BLOCK_BYTES_LEAST {
            self.end_block().await?;
        }
        if self.block.len() == 0 {
            self.head.fences.add(key);
        }
        self.block.add(key, entry);
        self.filter.add(key);
        self.head.entries += 1;
        match entry {
            Entry::Gone => self.head.removals += 1,
            Entry::Put { expiry_secs: 0, .. } => {}
            Entry::Put { expiry_secs, .. } => {
                let latest = self.head.secs / HOUR_SECS + HOURS_MAX;
                let hour = (expiry_secs / HOUR_SECS).min(latest);
                *self.over.entry(hour).or_default() += 1;
            }
        }
        Ok(())
    }

    async fn end_block(&mut self) -> io::Result<()> {
        self.run
            .part(BLOCKS, self.blocks, self.block.octets())
            .await?;
        self.blocks += 1;
        self.block.clear();
        Ok(())
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.head.entries == 0
    }

    /// Writes the rest; returns the length of the file, in bytes.
    pub(crate) async fn finish(mut self) -> io::Result<u64> {
        if self.block.len() > 0 {
            self.end_block().await?;
        }
        self.head.half_secs = self.half_secs();
        let (head, filter) = (self.head.encode(), self.filter.encode());
        self.run.part(HEAD.0, HEAD.1, &head).await?;
        self.run.part(FILTER.0, FILTER.1, &filter).await?;
        self.run.finish().await
    }

    /// From when on the time of half of the entries is over; to the hour.
    fn half_secs(&self) -> i64 {
        let mut over = 0;
        for (hour, count) in &self.over {
            over += count;
            if over * 2 >= self.head.entries {
                return (hour + 1) * HOUR_SECS;
            }
        }
        0
    }

    /// Gives the run up and removes its file.
    pub(crate) async fn abandon(self) {
        self.run.abandon().await;
    }
}

/// A block is ended when it has so many octets.
const BLOCK_BYTES_LEAST: usize = 8 << 10;

const HOUR_SECS: i64 = 3600;

/// What ends later is counted as if it ended so many hours from now: ten years.
const HOURS_MAX: i64 = 87_600;
