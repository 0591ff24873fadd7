//! Gathers the trigrams and columns of the messages of one block, and lays the block out.
//!
//! While messages are added, a trigram of one is four bytes: key and member. In the end they are
//! counted by key and dealt out, so that each key has its list of members. Memory: twelve million
//! pairs, half as much to deal them out, the block itself; some 100 MB at the peak.

use super::block::{BlockRow, Index, Member, Members};
use super::chunk::Chunks;
use super::grams::Grams;
use super::page::{PageRow, Pages};
use super::{COLUMN_BYTES_MAX, Column, Field, KEYS, MEMBER_BITS, MEMBERS_MAX, PAIRS_MAX, Texts};
use crate::codec::checksum::plain;
use crate::mail::id::{AccountId, ObjectId};
use crate::pack::compressor::Compressor;

/// A block in the making.
pub(crate) struct Gathering {
    /// Key and member, by field.
    pairs: [Vec<u32>; Field::ALL.len()],
    count: usize,
    members: Vec<Member>,
    columns: [Kept; Column::ALL.len()],
    grams: [Grams; Field::ALL.len()],
    scratch: Vec<u8>,
    compressor: Compressor,
}

/// What a column keeps of the members so far.
#[derive(Default)]
struct Kept {
    octets: Vec<u8>,
    spans: Vec<(usize, usize)>,
}

/// A block laid out, and its row, whose offset is that of the file so far.
pub(super) struct Laid {
    pub(super) row: BlockRow,
    pub(super) octets: Vec<u8>,
}

impl Default for Gathering {
    fn default() -> Gathering {
        Gathering {
            pairs: Default::default(),
            count: 0,
            members: Vec::new(),
            columns: Default::default(),
            grams: Default::default(),
            scratch: Vec::new(),
            compressor: Compressor::new(),
        }
    }
}

impl Gathering {
    /// Signs a message.
    pub(crate) fn sign(
        &mut self,
        texts: &dyn Texts,
        account: AccountId,
        object: ObjectId,
        message: &[u8],
    ) {
        let grams = &mut self.grams;
        texts.read(message, &mut |field, text| {
            if let Some(grams) = grams.get_mut(field as usize) {
                grams.add(text);
            }
        });
        let member = self.join(account, object);
        let mut taken = std::mem::take(&mut self.grams);
        for (grams, field) in taken.iter_mut().zip(0..) {
            grams.take(|key| self.pair(field, key, member));
        }
        self.grams = taken;
        let header = header_of(message);
        for column in Column::ALL {
            let mut kept = std::mem::take(&mut self.scratch);
            kept.clear();
            texts.column(header, column, &mut kept);
            if kept.len() <= COLUMN_BYTES_MAX {
                self.keep(member, column as usize, &kept);
            }
            self.scratch = kept;
        }
    }

    /// Adds a member of which nothing is known yet.
    ///
    /// # Panics
    /// When the block is full.
    pub(super) fn join(&mut self, account: AccountId, object: ObjectId) -> u16 {
        assert!(self.members.len() < MEMBERS_MAX, "whoever adds asks before");
        let member = self.members.len() as u16;
        self.members.push(Member {
            account,
            object,
            pairs: 0,
        });
        for column in &mut self.columns {
            column.spans.push((0, 0));
        }
        member
    }

    pub(super) fn pair(&mut self, field: usize, key: u32, member: u16) {
        if let (Some(pairs), Some(joined)) = (
            self.pairs.get_mut(field),
            self.members.get_mut(usize::from(member)),
        ) {
            pairs.push(key << MEMBER_BITS | u32::from(member));
            joined.pairs += 1;
            self.count += 1;
        }
    }

    pub(super) fn keep(&mut self, member: u16, column: usize, octets: &[u8]) {
        if let Some(kept) = self.columns.get_mut(column)
            && let Some(span) = kept.spans.get_mut(usize::from(member))
        {
            let start = kept.octets.len();
            kept.octets.extend_from_slice(octets);
            *span = (start, kept.octets.len());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// No other member may be added.
    pub(crate) fn is_full(&self) -> bool {
        let columns: usize = self.columns.iter().map(|kept| kept.octets.len()).sum();
        self.members.len() >= MEMBERS_MAX || self.count >= PAIRS_MAX || columns >= COLUMNS_BYTES_MAX
    }

    /// Lays the block out and begins another one.
    pub(super) fn lay_out(&mut self) -> Laid {
        let order = self.order();
        let mut members = Members(Vec::with_capacity(order.len()));
        members
            .0
            .extend(order.iter().filter_map(|at| self.members.get(*at)));
        let mut body = Vec::new();
        let mut index = Index::default();
        let numbers = numbers(&order);
        for (pairs, rows) in self.pairs.iter_mut().zip(&mut index.fields) {
            *rows = lists(pairs, &numbers, &mut body);
            pairs.clear();
        }
        for (kept, rows) in self.columns.iter_mut().zip(&mut index.columns) {
            let mut chunks = Chunks::new(&mut self.compressor);
            for at in &order {
                chunks.add(kept.member(*at), &mut body);
            }
            *rows = chunks.finish(&mut body);
            *kept = Kept::default();
        }
        self.members.clear();
        self.count = 0;
        laid(&members, &index, body)
    }

    /// The members by account and object, by the number that they have so far.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        order.sort_unstable_by_key(|at| {
            let member = self.members.get(*at);
            member.map(|member| (member.account, member.object))
        });
        order
    }
}

impl Kept {
    fn member(&self, at: usize) -> &[u8] {
        let (start, end) = self.spans.get(at).copied().unwrap_or_default();
        self.octets.get(start..end).unwrap_or_default()
    }
}

fn laid(members: &Members, index: &Index, mut body: Vec<u8>) -> Laid {
    let mut octets = Vec::new();
    members.encode(&mut octets);
    let members_bytes = octets.len();
    index.encode(&mut octets);
    let (first, second) = octets.split_at(members_bytes);
    let ends = (members.0.first(), members.0.last());
    let account = |member: Option<&Member>| member.map_or(AccountId(0), |one| one.account);
    let row = BlockRow {
        offset: 0,
        bytes: (octets.len() + body.len()) as u64,
        members: members.0.len() as u32,
        first_account: account(ends.0),
        last_account: account(ends.1),
        members_bytes: first.len() as u32,
        members_crc: plain(first),
        index_bytes: second.len() as u32,
        index_crc: plain(second),
    };
    octets.append(&mut body);
    Laid { row, octets }
}

/// The number that each member has from now on, by the one that it had.
fn numbers(order: &[usize]) -> Vec<u16> {
    let mut numbers = vec![0; order.len()];
    for (at, number) in order.iter().zip(0..) {
        if let Some(slot) = numbers.get_mut(*at) {
            *slot = number;
        }
    }
    numbers
}

/// Writes the pages of a field. Where there are few pairs, sorting them is less work than going
/// through all keys that there can be.
fn lists(pairs: &mut [u32], numbers: &[u16], out: &mut Vec<u8>) -> Vec<PageRow> {
    for pair in &mut *pairs {
        let number = numbers.get((*pair & MEMBER_MASK) as usize);
        *pair = *pair & !MEMBER_MASK | u32::from(number.copied().unwrap_or_default());
    }
    let (mut pages, members) = (Pages::default(), numbers.len());
    if pairs.len() >= KEYS {
        deal(pairs, |key, list| pages.add(key, list, members, out));
        return pages.finish(out);
    }
    pairs.sort_unstable();
    let mut list = Vec::new();
    for pairs in pairs.chunk_by(|a, b| a >> MEMBER_BITS == b >> MEMBER_BITS) {
        list.clear();
        list.extend(pairs.iter().map(|pair| (pair & MEMBER_MASK) as u16));
        if let Some(first) = pairs.first() {
            pages.add(first >> MEMBER_BITS, &list, members, out);
        }
    }
    pages.finish(out)
}

/// Deals pairs out to lists, and shows these by rising key.
fn deal(pairs: &[u32], mut each: impl FnMut(u32, &[u16])) {
    let mut ends = vec![0u32; KEYS];
    for pair in pairs {
        if let Some(count) = ends.get_mut((pair >> MEMBER_BITS) as usize) {
            *count += 1;
        }
    }
    let mut begin = 0;
    for end in &mut ends {
        begin += std::mem::replace(end, begin);
    }
    let mut dealt = vec![0u16; pairs.len()];
    for pair in pairs {
        if let Some(next) = ends.get_mut((pair >> MEMBER_BITS) as usize) {
            if let Some(slot) = dealt.get_mut(*next as usize) {
                *slot = (pair & MEMBER_MASK) as u16;
            }
            *next += 1;
        }
    }
    // Each key's slot now says where its list ends.
    let mut start = 0;
    for (end, key) in ends.iter().zip(0..) {
        let list = dealt.get_mut(start..*end as usize).unwrap_or_default();
        start = *end as usize;
        if !list.is_empty() {
            if !list.is_sorted() {
                list.sort_unstable();
            }
            each(key, list);
        }
    }
}

/// A message up to the empty line behind its header, with it.
fn header_of(message: &[u8]) -> &[u8] {
    let mut end = 0;
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        end += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
    }
    message.get(..end).unwrap_or(message)
}

const MEMBER_MASK: u32 = (1 << MEMBER_BITS) - 1;

/// What the columns of one block keep, before compression.
const COLUMNS_BYTES_MAX: usize = 32 << 20;
