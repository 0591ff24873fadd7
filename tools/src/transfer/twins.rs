//! Which messages of a source are in the mailbox already: same date, same octets.
//!
//! Nothing is written down for that, so an import that ended anywhere can be run again: what is
//! there is found by its date and size and compared octet for octet with what the source has. One
//! message of the store stands for one message of the source.

use anyhow::anyhow;
use std::rc::Rc;
use store::disk::Disk;
use store::limit::CHUNK_BYTES;
use store::mail::id::{AccountId, MailboxId, ObjectId, Uid};
use store::mail::uidset::UidSet;
use store::shard::{BodyWriter, Message, Shard};

/// The messages that a mailbox had when the import began.
pub(crate) struct Twins<D: Disk> {
    shard: Rc<Shard<D>>,
    /// Ascending.
    rows: Vec<Known>,
    /// Behind the last one that was found: sources keep their order.
    next: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    unix_secs: i64,
    octets: u32,
    delivery: ObjectId,
    uid: Uid,
    is_taken: bool,
}

/// A large message on its way: as long as it equals one that is there, nothing is written.
pub(crate) struct Comparison {
    candidates: Vec<(usize, Message)>,
    /// Octets that all candidates share with it.
    shared: u64,
    writer: BodyWriter,
}

impl<D: Disk> Twins<D> {
    pub(crate) fn of(shard: &Rc<Shard<D>>, account: AccountId, mailbox: MailboxId) -> Twins<D> {
        let mut rows = Vec::new();
        if let Some(view) = shard.view(account, mailbox, false) {
            let every = UidSet::from_ranges([(1, u32::MAX)]);
            shard.rows(&view, &every, &mut |row| {
                rows.push(Known {
                    unix_secs: row.internal_date.unix_secs,
                    octets: row.octets,
                    delivery: row.delivery,
                    uid: row.uid,
                    is_taken: false,
                });
            });
        }
        rows.sort_unstable();
        Twins {
            shard: Rc::clone(shard),
            rows,
            next: 0,
        }
    }

    /// The UID of a whole message that is there; it counts as found then.
    pub(crate) async fn take(&mut self, unix_secs: i64, octets: &[u8]) -> Option<Uid> {
        let size = octets.len() as u64;
        let first = |known: &Known| (known.unix_secs, u64::from(known.octets)) < (unix_secs, size);
        let last = |known: &Known| (known.unix_secs, u64::from(known.octets)) <= (unix_secs, size);
        let alike = self.rows.partition_point(first)..self.rows.partition_point(last);
        let middle = self.next.clamp(alike.start, alike.end);
        for at in (middle..alike.end).chain(alike.start..middle) {
            let Some(known) = self.rows.get(at).copied().filter(|known| !known.is_taken) else {
                continue;
            };
            // One that cannot be read is not there.
            let Ok(message) = self.shard.message(known.delivery).await else {
                continue;
            };
            if self.shard.read(&message, 0, size).await.as_deref() == Ok(octets) {
                return self.mark(at);
            }
        }
        None
    }

    /// Begins to compare a large message.
    pub(crate) async fn compare(&self, unix_secs: i64) -> Comparison {
        let mut candidates = Vec::new();
        for at in self.dated(unix_secs) {
            let large = |known: &&Known| !known.is_taken && known.octets as usize > CHUNK_BYTES;
            if let Some(known) = self.rows.get(at).filter(large)
                && let Ok(message) = self.shard.message(known.delivery).await
            {
                candidates.push((at, message));
            }
        }
        candidates.truncate(CANDIDATES_MAX);
        Comparison {
            candidates,
            shared: 0,
            writer: BodyWriter::default(),
        }
    }

    fn dated(&self, unix_secs: i64) -> std::ops::Range<usize> {
        let first = self
            .rows
            .partition_point(|known| known.unix_secs < unix_secs);
        let last = self
            .rows
            .partition_point(|known| known.unix_secs <= unix_secs);
        first..last
    }

    fn mark(&mut self, at: usize) -> Option<Uid> {
        let known = self.rows.get_mut(at)?;
        known.is_taken = true;
        self.next = at + 1;
        Some(known.uid)
    }
}

impl Comparison {
    /// More of the message.
    pub(crate) async fn push<D: Disk>(
        &mut self,
        shard: &Shard<D>,
        mut octets: Vec<u8>,
    ) -> anyhow::Result<()> {
        if self.candidates.is_empty() {
            return Ok(shard.body_take(&mut self.writer, &mut octets).await?);
        }
        let end = self.shared + octets.len() as u64;
        let mut last = None;
        for at in (0..self.candidates.len()).rev() {
            let Some((_, message)) = self.candidates.get(at) else {
                continue;
            };
            let there = shard.read(message, self.shared, end).await;
            if there.as_deref() != Ok(octets.as_slice()) {
                last = Some(self.candidates.remove(at));
            }
        }
        if !self.candidates.is_empty() {
            self.shared = end;
            return Ok(());
        }
        if let Some((_, message)) = last {
            self.copy(shard, &message).await?;
        }
        Ok(shard.body_take(&mut self.writer, &mut octets).await?)
    }

    /// The message is complete: it, or the UID under which it is there already.
    pub(crate) async fn finish<D: Disk>(
        mut self,
        shard: &Shard<D>,
        twins: &mut Twins<D>,
    ) -> anyhow::Result<Result<BodyWriter, Uid>> {
        let is_whole = |(_, message): &&(usize, Message)| message.octets == self.shared;
        let whole = self.candidates.iter().find(is_whole);
        if let Some(uid) = whole.and_then(|(at, _)| twins.mark(*at)) {
            return Ok(Err(uid));
        }
        if let Some((_, message)) = self.candidates.pop() {
            self.copy(shard, &message).await?;
        }
        Ok(Ok(self.writer))
    }

    /// What was not written so far is what a message of the store begins with.
    async fn copy<D: Disk>(&mut self, shard: &Shard<D>, message: &Message) -> anyhow::Result<()> {
        let mut from = 0;
        while from < self.shared {
            let to = (from + CHUNK_BYTES as u64).min(self.shared);
            let read = shard.read(message, from, to).await;
            let mut octets = read.map_err(|error| anyhow!("{error}"))?;
            shard.body_take(&mut self.writer, &mut octets).await?;
            from = to;
        }
        self.shared = 0;
        Ok(())
    }
}

/// Large messages of one second that are compared at once.
const CANDIDATES_MAX: usize = 16;
