//! Makes one file of several: the same messages by account, without those that are gone. No
//! message is read for that: lists are told over from the old numbers of their members to the new.

use super::block::{BlockRow, Member};
use super::chunk::Unpacked;
use super::file::SignFile;
use super::gather::Gathering;
use super::writer::SignWriter;
use super::{MEMBERS_MAX, PAIRS_MAX};
use crate::disk::{Disk, File};
use crate::mail::id::ObjectId;
use crate::pack::compressor::Decompressor;
use crate::table::TableError;
use std::cmp::Reverse;
use std::io;

/// Why files were not united.
pub(crate) enum UniteError {
    /// The file with this number cannot be read.
    Read(u32, TableError),
    Write(io::Error),
}

/// A message and where it is signed so far.
#[derive(Clone, Copy)]
struct Origin {
    member: Member,
    file: usize,
    block: usize,
    number: u16,
}

/// Every delivery that some of the files has, ascending.
pub(crate) async fn objects<F: File>(files: &[SignFile<F>]) -> Result<Vec<ObjectId>, UniteError> {
    let origins = origins(files, &[]).await?;
    let mut objects: Vec<ObjectId> = origins.iter().map(|origin| origin.member.object).collect();
    objects.sort_unstable();
    objects.dedup();
    Ok(objects)
}

/// Writes what the files have, but for ascending objects that are gone.
pub(crate) async fn unite<D: Disk>(
    files: &[SignFile<D::File>],
    gone: &[ObjectId],
    writer: &mut SignWriter<D>,
) -> Result<(), UniteError> {
    let mut origins = origins(files, gone).await?;
    // Of one that is signed twice, the later signature stays.
    origins.sort_unstable_by_key(|origin| {
        let later = files.get(origin.file).map(|file| file.head().number);
        (origin.member.account, origin.member.object, Reverse(later))
    });
    origins.dedup_by_key(|origin| (origin.member.account, origin.member.object));
    let mut gathering = Gathering::default();
    let mut rest = origins.as_slice();
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(part_of(rest));
        rest = behind;
        gather(files, part, &mut gathering).await?;
        writer
            .block(&mut gathering)
            .await
            .map_err(UniteError::Write)?;
    }
    Ok(())
}

async fn origins<F: File>(
    files: &[SignFile<F>],
    gone: &[ObjectId],
) -> Result<Vec<Origin>, UniteError> {
    let mut origins = Vec::new();
    for (opened, file) in files.iter().zip(0..) {
        for (row, block) in opened.blocks().iter().zip(0..) {
            let members = opened.members(row).await.map_err(unread(opened))?;
            let all = members.0.into_iter().zip(0..);
            let all = all.filter(|(member, _)| gone.binary_search(&member.object).is_err());
            origins.extend(all.map(|(member, number)| Origin {
                member,
                file,
                block,
                number,
            }));
        }
    }
    Ok(origins)
}

/// How many go into the next block: one at least.
fn part_of(origins: &[Origin]) -> usize {
    let mut pairs = 0;
    let fits = |origin: &&Origin| {
        pairs += origin.member.pairs as usize;
        pairs <= PAIRS_MAX
    };
    let most = origins.iter().take(MEMBERS_MAX).take_while(fits).count();
    most.max(1)
}

async fn gather<F: File>(
    files: &[SignFile<F>],
    part: &[Origin],
    gathering: &mut Gathering,
) -> Result<(), UniteError> {
    let mut joined: Vec<(Origin, u16)> = Vec::with_capacity(part.len());
    for origin in part {
        let Member {
            account, object, ..
        } = origin.member;
        joined.push((*origin, gathering.join(account, object)));
    }
    joined.sort_unstable_by_key(|(origin, _)| (origin.file, origin.block, origin.number));
    for group in joined.chunk_by(|a, b| (a.0.file, a.0.block) == (b.0.file, b.0.block)) {
        let from = group.first().map(|(origin, _)| (origin.file, origin.block));
        let Some((file, block)) = from else { continue };
        let Some(file) = files.get(file) else {
            continue;
        };
        let Some(row) = file.blocks().get(block) else {
            continue;
        };
        let mut numbers = vec![None; row.members as usize];
        for (origin, number) in group {
            if let Some(slot) = numbers.get_mut(usize::from(origin.number)) {
                *slot = Some(*number);
            }
        }
        tell_over(file, row, &numbers, gathering)
            .await
            .map_err(unread(file))?;
    }
    Ok(())
}

/// Adds what a block says of the members that have a new number.
async fn tell_over<F: File>(
    file: &SignFile<F>,
    row: &BlockRow,
    numbers: &[Option<u16>],
    gathering: &mut Gathering,
) -> Result<(), TableError> {
    let index = file.index(row).await?;
    let new = |member: usize| numbers.get(member).copied().flatten();
    for (pages, field) in index.fields.iter().zip(0..) {
        for page in pages {
            let each = |key, list: &[u16]| {
                for number in list.iter().filter_map(|one| new(usize::from(*one))) {
                    gathering.pair(field, key, number);
                }
            };
            file.lists(row, page, each).await?;
        }
    }
    let unpacker = Decompressor::new();
    for (chunks, column) in index.columns.iter().zip(0..) {
        for chunk in chunks {
            let kept: Unpacked = file.chunk(row, chunk, &unpacker).await?;
            for at in 0..chunk.members as usize {
                if let Some(number) = new(chunk.first as usize + at) {
                    gathering.keep(number, column, kept.member(at));
                }
            }
        }
    }
    Ok(())
}

fn unread<F: File>(file: &SignFile<F>) -> impl Fn(TableError) -> UniteError {
    let number = file.head().number;
    move |error| UniteError::Read(number, error)
}
