//! Rows that lie together: a column for each of their fields.
//!
//! The columns stand in this order, in memory and on disk: UID, MODSEQ, flags, keywords, seconds,
//! zone, octets, delivery, and how long after its own date a message was saved. Seconds and zone
//! have their sign bit turned over, so that the order of the numbers is that of the values. Where
//! all were saved at their date, as mail that was delivered is, the last column is not on disk.

use crate::codec::{Fields, Put, Short};
use crate::mail::date::InternalDate;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{ModSeq, ObjectId, Uid};
use crate::mailbox::column::Column;
use crate::mailbox::row::Row;
use crate::mailbox::tally::Tally;
use std::ops::Range;

/// Up to `CHUNK_ROWS_MAX` rows, ascending by UID; empty only while rows are removed.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    columns: [Column; COLUMNS],
    /// Rows in the chunks before.
    pub(super) start: usize,
    last_uid: Uid,
    /// No row has a higher MODSEQ.
    latest: ModSeq,
}

impl Chunk {
    pub(super) fn of(row: &Row) -> Chunk {
        let mut chunk = Chunk {
            columns: Default::default(),
            start: 0,
            last_uid: row.uid,
            latest: row.modseq,
        };
        chunk.push(row);
        chunk
    }

    pub(super) fn len(&self) -> usize {
        self.uids().len()
    }

    /// The position behind the last row, counted through all chunks.
    pub(super) fn end(&self) -> usize {
        self.start + self.len()
    }

    fn uids(&self) -> &Column {
        let [uids, ..] = &self.columns;
        uids
    }

    pub(super) fn last_uid(&self) -> Uid {
        self.last_uid
    }

    pub(super) fn latest(&self) -> ModSeq {
        self.latest
    }

    /// How many rows have a UID below `uid`.
    pub(super) fn below(&self, uid: Uid) -> usize {
        self.uids().below(u64::from(uid.0))
    }

    pub(super) fn each_uid(&self, mut each: impl FnMut(u32)) {
        self.uids().each(|uid| each(uid as u32));
    }

    /// The row at a position below `len`.
    #[inline]
    pub(super) fn row(&self, at: usize) -> Row {
        let [
            uids,
            modseqs,
            flags,
            keywords,
            secs,
            zones,
            octets,
            deliveries,
            delays,
        ] = &self.columns;
        let unix_secs = (secs.at(at) ^ SECS_SIGN) as i64;
        Row {
            uid: Uid(uids.at(at) as u32),
            modseq: ModSeq(modseqs.at(at)),
            flags: Flags(flags.at(at) as u16),
            keywords: Keywords(keywords.at(at)),
            internal_date: InternalDate {
                unix_secs,
                zone_minutes: (zones.at(at) as u16 ^ ZONE_SIGN) as i16,
            },
            saved_secs: unix_secs.wrapping_add((delays.at(at) ^ SECS_SIGN) as i64),
            octets: octets.at(at) as u32,
            delivery: ObjectId(deliveries.at(at)),
        }
    }

    /// Counts everything but `\Recent`.
    pub(super) fn count(&self, tally: &mut Tally) {
        let [_, _, flags, _, _, _, octets, _, _] = &self.columns;
        tally.messages += self.len() as u32;
        flags.each(|flags| tally.reckon(Flags(flags as u16)));
        octets.each(|octets| tally.octets += octets);
    }

    pub(super) fn push(&mut self, row: &Row) {
        for (column, number) in self.columns.iter_mut().zip(numbers(row)) {
            column.push(number);
        }
        self.last_uid = row.uid;
        self.latest = self.latest.max(row.modseq);
    }

    pub(super) fn set_flags(
        &mut self,
        at: usize,
        flags: Flags,
        keywords: Keywords,
        modseq: ModSeq,
    ) {
        let [_, modseqs, flags_of, keywords_of, ..] = &mut self.columns;
        modseqs.set(at, modseq.0);
        flags_of.set(at, u64::from(flags.0));
        keywords_of.set(at, keywords.0);
        self.latest = self.latest.max(modseq);
    }

    /// The UIDs and deliveries at these positions.
    pub(super) fn each_delivery(&self, at: Range<usize>, each: &mut impl FnMut(Uid, ObjectId)) {
        let [uids, _, _, _, _, _, _, deliveries, _] = &self.columns;
        for at in at {
            each(Uid(uids.at(at) as u32), ObjectId(deliveries.at(at)));
        }
    }

    /// The first UID without this flag.
    pub(super) fn first_without(&self, flag: Flags) -> Option<Uid> {
        let [uids, _, flags, ..] = &self.columns;
        let at = flags.position(|flags| !Flags(flags as u16).contains(flag))?;
        Some(Uid(uids.at(at) as u32))
    }

    /// The positions whose MODSEQ is above `modseq`.
    pub(super) fn changed_since(&self, modseq: ModSeq) -> impl Iterator<Item = usize> {
        let [_, modseqs, ..] = &self.columns;
        modseqs.above(modseq.0).into_iter()
    }

    /// Keeps the positions of `kept`, which ascend, and nothing else: perhaps no row at all.
    pub(super) fn keep(&mut self, kept: &[Range<usize>]) {
        self.columns.iter_mut().for_each(|column| column.keep(kept));
        if let Some(last) = self.len().checked_sub(1) {
            self.last_uid = self.row(last).uid;
        }
    }

    /// Packs the rows as closely as they can lie.
    pub(super) fn fit(&mut self) {
        self.columns.iter_mut().for_each(Column::fit);
    }

    /// Gives back what growing has left over.
    pub(super) fn tighten(&mut self) {
        self.columns.iter_mut().for_each(Column::tighten);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.columns.iter().map(Column::heap_bytes).sum()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let [.., delays] = &self.columns;
        let (count, shown) = match delays.is_all(SECS_SIGN) {
            true => (self.len() as u16, COLUMNS - 1),
            false => (self.len() as u16 | HAS_DELAYS, COLUMNS),
        };
        out.put_u16(count);
        let columns = self.columns.iter().take(shown);
        columns.for_each(|column| column.encode(out));
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Chunk, Short> {
        let count = fields.u16()?;
        let has_delays = count & HAS_DELAYS != 0;
        let len = usize::from(count & !HAS_DELAYS);
        if !(1..=CHUNK_ROWS_MAX).contains(&len) {
            return Err(Short);
        }
        let mut columns: [Column; COLUMNS] = Default::default();
        for (column, highest) in columns.iter_mut().zip(HIGHEST) {
            *column = Column::decode(fields, len, highest)?;
        }
        let [.., delays] = &mut columns;
        *delays = match has_delays {
            true => Column::decode(fields, len, u64::MAX)?,
            false => Column::all(SECS_SIGN, len),
        };
        if has_delays && delays.is_all(SECS_SIGN) {
            return Err(Short);
        }
        let [uids, modseqs, ..] = &columns;
        if uids.at(0) == 0 || !uids.ascends() {
            return Err(Short);
        }
        Ok(Chunk {
            start: 0,
            last_uid: Uid(uids.at(len - 1) as u32),
            latest: ModSeq(modseqs.highest()),
            columns,
        })
    }
}

fn numbers(row: &Row) -> [u64; COLUMNS] {
    [
        u64::from(row.uid.0),
        row.modseq.0,
        u64::from(row.flags.0),
        row.keywords.0,
        row.internal_date.unix_secs as u64 ^ SECS_SIGN,
        u64::from(row.internal_date.zone_minutes as u16 ^ ZONE_SIGN),
        u64::from(row.octets),
        row.delivery.0,
        row.saved_secs.wrapping_sub(row.internal_date.unix_secs) as u64 ^ SECS_SIGN,
    ]
}

const SECS_SIGN: u64 = 1 << 63;
const ZONE_SIGN: u16 = 1 << 15;

const COLUMNS: usize = 9;

/// In the count of a block: the last column is there.
const HAS_DELAYS: u16 = 1 << 15;

/// The highest number of each column but the last that a row can hold.
const HIGHEST: [u64; COLUMNS - 1] = [
    u32::MAX as u64,
    u64::MAX >> 1,
    u16::MAX as u64,
    u64::MAX,
    u64::MAX,
    u16::MAX as u64,
    u32::MAX as u64,
    u64::MAX,
];

/// Rows in one chunk.
pub(super) const CHUNK_ROWS_MAX: usize = 4096;

const _: () = assert!(CHUNK_ROWS_MAX < HAS_DELAYS as usize);
