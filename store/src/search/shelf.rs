//! The signatures of a shard as its sessions read them: files opened when first asked for, a few
//! kept open, what of their blocks was used last kept in memory.
//!
//! All reads are of some kilobytes and are waited for; nothing is mapped. A file that cannot be
//! read says nothing: its messages stay candidates, and the next round makes it anew.

use super::block::{BlockRow, Index, Members};
use super::chunk::Unpacked;
use super::cover::Cover;
use super::file::{Bits, SignFile};
use super::head::{Anchor, Head};
use super::{Column, Field, Version};
use crate::disk::Disk;
use crate::mail::id::{AccountId, ObjectId, Uid};
use crate::pack::compressor::Decompressor;
use crate::pack::recent::Recent;
use crate::table::TableError;
use crate::table::locations::Owner;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

pub(crate) struct Shelf<D: Disk> {
    disk: D,
    owner: Owner,
    /// By rising objects.
    files: RefCell<Rc<[Head]>>,
    open: RefCell<Recent<u32, SignFile<D::File>>>,
    /// By file and block.
    blocks: RefCell<Recent<(u32, u32), Opened>>,
    /// By file, block, column and chunk.
    chunks: RefCell<Recent<(u32, u32, u8, u32), Unpacked>>,
    damaged: RefCell<BTreeSet<u32>>,
    unpacker: Decompressor,
}

/// What of a block is needed to ask it anything.
struct Opened {
    members: Members,
    index: Index,
}

/// What a session asks about: deliveries, ascending, and their UIDs.
pub(crate) struct Wanted {
    rows: Vec<(ObjectId, Uid)>,
    /// Which of them cannot be what is searched for.
    out: Vec<bool>,
}

/// Where a delivery is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hit {
    file: u32,
    block: u32,
    member: u32,
}

/// The chunk that was asked last.
type Last = Option<(Hit, u32, Rc<Unpacked>)>;

impl Wanted {
    pub(crate) fn of(mut rows: Vec<(ObjectId, Uid)>) -> Wanted {
        if !rows.is_sorted() {
            rows.sort_unstable();
        }
        let out = vec![false; rows.len()];
        Wanted { rows, out }
    }

    /// The UIDs of what is left, ascending.
    pub(crate) fn left(&self) -> Vec<Uid> {
        let rows = self.rows.iter().zip(&self.out);
        let left = rows.filter(|(_, is_out)| !**is_out);
        let mut left: Vec<Uid> = left.map(|((_, uid), _)| *uid).collect();
        left.sort_unstable();
        left
    }

    fn touches(&self, head: &Head) -> bool {
        let at = self.rows.partition_point(|row| row.0 < head.objects.start);
        self.rows
            .get(at)
            .is_some_and(|row| row.0 < head.objects.end)
    }

    /// Shows each delivery that is a member of the account in a block: its place among what is
    /// asked, its number in the block. Equal ones (copies) are all shown.
    fn meet(&self, members: &Members, account: AccountId, mut each: impl FnMut(usize, usize)) {
        let range = members.of(account);
        let of_account = members.0.get(range.clone()).unwrap_or_default();
        let Some(first) = of_account.first() else {
            return;
        };
        let mut at = self.rows.partition_point(|row| row.0 < first.object);
        for (member, number) in of_account.iter().zip(range.start..) {
            while let Some(row) = self.rows.get(at).filter(|row| row.0 <= member.object) {
                if row.0 == member.object {
                    each(at, number);
                }
                at += 1;
            }
        }
    }
}

impl<D: Disk> Shelf<D> {
    pub(crate) fn new(disk: D, owner: Owner) -> Shelf<D> {
        Shelf {
            disk,
            owner,
            files: RefCell::new(Rc::from([])),
            open: RefCell::new(Recent::new(OPEN_BYTES_MAX, OPEN_FILES_MAX)),
            blocks: RefCell::new(Recent::new(BLOCKS_BYTES_MAX, BLOCKS_KEPT_MAX)),
            chunks: RefCell::new(Recent::new(CHUNKS_BYTES_MAX, CHUNKS_KEPT_MAX)),
            damaged: RefCell::default(),
            unpacker: Decompressor::new(),
        }
    }

    /// Looks which files there are now.
    pub(crate) async fn look(&self, anchor: Anchor, version: Version) -> Result<(), TableError> {
        let cover = Cover::look(&self.disk, &self.owner, anchor, Some(version)).await?;
        let before = Rc::clone(&self.files.borrow());
        for head in before.iter().filter(|head| !cover.files.contains(head)) {
            self.forget(head.number);
        }
        self.files.replace(Rc::from(cover.files));
        Ok(())
    }

    /// Files that turned out to be damaged since this was asked last.
    pub(crate) fn take_damaged(&self) -> Vec<u32> {
        self.damaged.take().into_iter().collect()
    }

    /// Bytes that open files and what was read of them take in memory.
    pub(crate) fn resident_bytes(&self) -> usize {
        let open = self.open.borrow().bytes() + self.blocks.borrow().bytes();
        open + self.chunks.borrow().bytes()
    }

    /// Takes out of what is asked whatever lacks one of these keys in a field.
    pub(crate) async fn narrow(
        &self,
        account: AccountId,
        (field, keys): (Field, &[u32]),
        wanted: &mut Wanted,
    ) {
        let files = Rc::clone(&self.files.borrow());
        for head in files.iter() {
            if !wanted.touches(head) {
                continue;
            }
            let Some(file) = self.opened(head.number).await else {
                continue;
            };
            for (row, block) in file.blocks().iter().zip(0..) {
                if !row.has(account) {
                    continue;
                }
                let asked = self.ask(&file, (row, block), field, keys).await;
                if let Some((opened, held)) = self.sound(head.number, asked) {
                    let mut out = std::mem::take(&mut wanted.out);
                    wanted.meet(&opened.members, account, |at, member| {
                        if let Some(out) = out.get_mut(at) {
                            *out |= !held.has(member);
                        }
                    });
                    wanted.out = out;
                }
            }
        }
    }

    async fn ask(
        &self,
        file: &SignFile<D::File>,
        (row, block): (&BlockRow, u32),
        field: Field,
        keys: &[u32],
    ) -> Result<(Rc<Opened>, Bits), TableError> {
        let opened = self.block(file, row, block).await?;
        let held = file
            .holding((row, &opened.index), field as usize, keys)
            .await?;
        Ok((opened, held))
    }

    /// Where each of what is asked is signed, with its UID, by rising UIDs.
    pub(crate) async fn locate(
        &self,
        account: AccountId,
        wanted: &Wanted,
    ) -> Vec<(Uid, Option<Hit>)> {
        let mut hits: Vec<Option<Hit>> = vec![None; wanted.rows.len()];
        let files = Rc::clone(&self.files.borrow());
        for head in files.iter().filter(|head| wanted.touches(head)) {
            let Some(file) = self.opened(head.number).await else {
                continue;
            };
            for (row, block) in file.blocks().iter().zip(0..) {
                if !row.has(account) {
                    continue;
                }
                let opened = self.block(&file, row, block).await;
                if let Some(opened) = self.sound(head.number, opened) {
                    wanted.meet(&opened.members, account, |at, member| {
                        if let Some(hit) = hits.get_mut(at) {
                            *hit = Some(Hit {
                                file: head.number,
                                block,
                                member: member as u32,
                            });
                        }
                    });
                }
            }
        }
        let uids = wanted.rows.iter().map(|(_, uid)| *uid);
        let mut found: Vec<(Uid, Option<Hit>)> = uids.zip(hits).collect();
        found.sort_unstable_by_key(|(uid, _)| *uid);
        found
    }

    /// Shows what a column keeps of these; those of which it keeps nothing are given back.
    pub(crate) async fn columns(
        &self,
        found: &[(Uid, Option<Hit>)],
        column: Column,
        each: &mut dyn FnMut(Uid, &[u8]),
    ) -> Vec<Uid> {
        let mut without = Vec::new();
        let mut last: Last = None;
        for (uid, hit) in found {
            let kept = match hit {
                Some(hit) => self.chunk_of(*hit, column, &mut last).await,
                None => None,
            };
            let kept = kept.as_ref().map(|(chunk, at)| chunk.member(*at));
            match kept.filter(|kept| !kept.is_empty()) {
                Some(kept) => each(*uid, kept),
                None => without.push(*uid),
            }
        }
        without
    }

    /// The chunk that has a delivery, and its number there. Neighbours lie in the last one.
    async fn chunk_of(
        &self,
        hit: Hit,
        column: Column,
        last: &mut Last,
    ) -> Option<(Rc<Unpacked>, usize)> {
        if let Some((first, members, chunk)) = last
            && (first.file, first.block) == (hit.file, hit.block)
            && (first.member..first.member + *members).contains(&hit.member)
        {
            return Some((Rc::clone(chunk), (hit.member - first.member) as usize));
        }
        let file = self.opened(hit.file).await?;
        let row = file.blocks().get(hit.block as usize)?;
        let opened = self.block(&file, row, hit.block).await;
        let opened = self.sound(hit.file, opened)?;
        let rows = opened.index.columns.get(column as usize)?;
        let at = rows
            .partition_point(|row| row.first <= hit.member)
            .checked_sub(1)?;
        let chunk = rows.get(at)?;
        let key = (hit.file, hit.block, column as u8, at as u32);
        let known = self.chunks.borrow_mut().find(key);
        let unpacked = match known {
            Some(unpacked) => unpacked,
            None => {
                let unpacked = file.chunk(row, chunk, &self.unpacker).await;
                let unpacked = Rc::new(self.sound(hit.file, unpacked)?);
                let bytes = unpacked.bytes();
                self.chunks
                    .borrow_mut()
                    .keep(key, Rc::clone(&unpacked), bytes);
                unpacked
            }
        };
        let first = Hit {
            member: chunk.first,
            ..hit
        };
        *last = Some((first, chunk.members, Rc::clone(&unpacked)));
        Some((unpacked, (hit.member - chunk.first) as usize))
    }

    async fn opened(&self, number: u32) -> Option<Rc<SignFile<D::File>>> {
        if self.damaged.borrow().contains(&number) {
            return None;
        }
        if let Some(file) = self.open.borrow_mut().find(number) {
            return Some(file);
        }
        let opened = SignFile::open(&self.disk, &self.owner, number).await;
        let file = Rc::new(self.sound(number, opened)?);
        let bytes = file.resident_bytes();
        self.open.borrow_mut().keep(number, Rc::clone(&file), bytes);
        Some(file)
    }

    async fn block(
        &self,
        file: &SignFile<D::File>,
        row: &BlockRow,
        block: u32,
    ) -> Result<Rc<Opened>, TableError> {
        let key = (file.head().number, block);
        if let Some(opened) = self.blocks.borrow_mut().find(key) {
            return Ok(opened);
        }
        let members = file.members(row).await?;
        let index = file.index(row).await?;
        let bytes = size_of_val(members.0.as_slice()) + index.bytes();
        let opened = Rc::new(Opened { members, index });
        self.blocks
            .borrow_mut()
            .keep(key, Rc::clone(&opened), bytes);
        Ok(opened)
    }

    /// What was read, unless the file is damaged; then it is not asked any more.
    fn sound<T>(&self, number: u32, read: Result<T, TableError>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            // The round may just have replaced it.
            Err(TableError::Missing { .. } | TableError::Io { .. }) => None,
            Err(_) => {
                self.damaged.borrow_mut().insert(number);
                None
            }
        }
    }

    fn forget(&self, number: u32) {
        self.open.borrow_mut().forget(|known| known == number);
        self.blocks
            .borrow_mut()
            .forget(|(known, _)| known == number);
        let of_file = |(known, ..): (u32, u32, u8, u32)| known == number;
        self.chunks.borrow_mut().forget(of_file);
    }
}

/// Files that are open at one time, and the octets of their directories.
const OPEN_FILES_MAX: usize = 64;
const OPEN_BYTES_MAX: usize = 4 << 20;

/// Members and indexes that stay in memory: those of half a million messages.
const BLOCKS_KEPT_MAX: usize = 128;
const BLOCKS_BYTES_MAX: usize = 16 << 20;

/// Chunks that stay unpacked.
const CHUNKS_KEPT_MAX: usize = 64;
const CHUNKS_BYTES_MAX: usize = 4 << 20;
