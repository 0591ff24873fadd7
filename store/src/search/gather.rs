//! Gathers the trigrams and columns of the messages of one block, and lays the block out.
//!
//! A message tells its texts first ([`Gathering::add`]); then it is signed, or forgotten. In the
//! end the trigrams of all are dealt out by key, so that each key has its list of members, a
//! stretch of keys after the other, and each stretch is given back when it is laid out. Memory at
//! the peak: two octets a pair, the columns, and the block that comes of them, some 40 MiB for a
//! full block; for a thousand messages of usual length about 8 MiB.

use super::block::{BlockRow, Index, Member, Members};
use super::chunk::Chunks;
use super::grams::Grams;
use super::page::{PageRow, Pages};
use super::pairs::Pairs;
use super::{COLUMN_BYTES_MAX, Column, Field, MEMBERS_MAX, PAIRS_MAX, Texts};
use crate::codec::checksum::plain;
use crate::mail::id::{AccountId, ObjectId};
use crate::pack::compressor::Compressor;

/// A block in the making.
pub(crate) struct Gathering {
    /// By field.
    pairs: [Pairs; Field::ALL.len()],
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
    /// Members and index.
    pub(super) front: Vec<u8>,
    /// Pages and chunks.
    pub(super) body: Vec<u8>,
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
    /// Takes a text of the message that is read now.
    pub(crate) fn add(&mut self, field: Field, text: &str) {
        if let Some(grams) = self.grams.get_mut(field as usize) {
            grams.add(text);
        }
    }

    /// Forgets the texts of the message that is read now: it cannot be signed.
    pub(crate) fn forget(&mut self) {
        self.grams.iter_mut().for_each(|grams| grams.take(drop));
    }

    /// Signs the message whose texts were added, and whose prefix and header are these.
    pub(crate) fn sign(
        &mut self,
        texts: &dyn Texts,
        (account, object): (AccountId, ObjectId),
        header: &[u8],
    ) {
        let member = self.join(account, object);
        let mut joined = 0;
        for (grams, pairs) in self.grams.iter_mut().zip(&mut self.pairs) {
            joined += grams.len();
            grams.take(|key| pairs.add(key, member));
        }
        self.count += joined;
        if let Some(signed) = self.members.get_mut(usize::from(member)) {
            signed.pairs = joined as u32;
        }
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
            pairs.add(key, member);
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
        }
        for (kept, rows) in self.columns.iter_mut().zip(&mut index.columns) {
            let mut chunks = Chunks::new(&mut self.compressor);
            for at in &order {
                chunks.add(kept.member(*at), &mut body);
            }
            *rows = chunks.finish(&mut body);
            *kept = Kept::default();
        }
        self.members = Vec::new();
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

fn laid(members: &Members, index: &Index, body: Vec<u8>) -> Laid {
    let mut front = Vec::new();
    members.encode(&mut front);
    let members_bytes = front.len();
    index.encode(&mut front);
    let (first, second) = front.split_at(members_bytes);
    let ends = (members.0.first(), members.0.last());
    let account = |member: Option<&Member>| member.map_or(AccountId(0), |one| one.account);
    let row = BlockRow {
        offset: 0,
        bytes: (front.len() + body.len()) as u64,
        members: members.0.len() as u32,
        first_account: account(ends.0),
        last_account: account(ends.1),
        members_bytes: first.len() as u32,
        members_crc: plain(first),
        index_bytes: second.len() as u32,
        index_crc: plain(second),
    };
    Laid { row, front, body }
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

/// Writes the pages of a field, and gives its pairs back bit by bit.
fn lists(pairs: &mut Pairs, numbers: &[u16], out: &mut Vec<u8>) -> Vec<PageRow> {
    let (mut pages, members) = (Pages::default(), numbers.len());
    for (base, stretch) in pairs.take() {
        stretch.lists(numbers, |key, list| {
            pages.add(base + key, list, members, out)
        });
    }
    pages.finish(out)
}

/// What the columns of one block keep, before compression.
const COLUMNS_BYTES_MAX: usize = 8 << 20;
