//! Where the logs of the shards end, such that what they remember of each other fits together.
//!
//! Shards are copied one after the other, so one may remember a dealing that the other's copy was
//! too early for. Two things must hold between a coordinator A and an owner B:
//!
//! ```text
//! OFFERED n in A  →  SEEN n in B       else mail that A has let go is nowhere
//! SEEN n in B     →  OFFER n in A      else A gives n out again, and B turns that mail away
//! ```
//!
//! Where one does not hold, the log that remembers too much is cut before that frame, and all is
//! looked at again, because the cut may have taken what others rely on. Every dealing that breaks a
//! rule happened after the other log was copied, so nothing is cut that was durable before the
//! copying of the logs began: neither what was acknowledged before the backup nor what a manifest
//! that was read before has in its index.

use super::BackupError;
use super::error::{of_pack, of_segment, of_table};
use super::segments::{End, segment_path, walk};
use crate::disk::Disk;
use crate::log::RecordRef;
use crate::mailbox::index::Index;
use crate::pack::{Pack, PackHead};
use crate::record::{Fact, kind};
use crate::table::locations::Owner;
use crate::table::manifest::{ArchiveName, Manifest};
use crate::table::name;
use crate::table::run::Run;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a shard has to do with the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deal {
    /// It offered something to a target.
    Offer(u16, u64),
    /// It let go what it had offered.
    Settled(u16, u64),
    /// It took an offer of a source.
    Seen(u16, u64),
}

/// Highest sequence by the other shard.
type Marks = BTreeMap<u16, u64>;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Known {
    offered: Marks,
    settled: Marks,
    seen: Marks,
}

/// All dealings of one shard, up to the end of what was copied of its log.
#[derive(Debug)]
pub(super) struct Dealings {
    /// What the index remembers.
    base: Known,
    /// What the log adds: where its frame begins, and what it says.
    later: Vec<(End, Deal)>,
    pub(super) end: End,
}

impl Known {
    fn note(&mut self, deal: Deal) {
        if let Deal::Settled(target, sequence) = deal {
            // It was offered, though an index has no offer of it any more.
            self.note(Deal::Offer(target, sequence));
        }
        let (marks, shard, sequence) = match deal {
            Deal::Offer(target, sequence) => (&mut self.offered, target, sequence),
            Deal::Settled(target, sequence) => (&mut self.settled, target, sequence),
            Deal::Seen(source, sequence) => (&mut self.seen, source, sequence),
        };
        let mark = marks.entry(shard).or_default();
        *mark = (*mark).max(sequence);
    }
}

fn mark(marks: &Marks, shard: u16) -> u64 {
    marks.get(&shard).copied().unwrap_or(0)
}

impl Deal {
    fn of(fact: &Fact) -> Option<Deal> {
        match fact {
            Fact::Offer(offer) => Some(Deal::Offer(offer.target, offer.sequence)),
            Fact::Offered { target, sequence } => Some(Deal::Settled(*target, *sequence)),
            Fact::Seen { source, sequence } => Some(Deal::Seen(*source, *sequence)),
            _ => None,
        }
    }

    fn of_record(record: &RecordRef<'_>) -> Option<Deal> {
        let is_dealing = matches!(record.kind, kind::OFFER | kind::OFFERED | kind::SEEN);
        let fact = is_dealing.then(|| Fact::decode(record.kind, record.payload).ok());
        Deal::of(&fact??)
    }
}

impl Dealings {
    /// Reads what the copies of a shard on `disk` say: the index of `manifest`, and the frames of
    /// the log from there to `ends`, the ends of its segments; none where it was never begun.
    pub(super) async fn read<D: Disk>(
        disk: &D,
        owner: &Owner,
        manifest: Option<&Manifest>,
        ends: &[End],
    ) -> Result<Dealings, BackupError> {
        let replay = manifest.and_then(|manifest| manifest.replay);
        let from = replay.map_or((0, 0), |at| (at.segment, at.offset));
        let mut dealings = Dealings {
            base: match manifest {
                Some(manifest) => base(disk, owner, manifest).await?,
                None => Known::default(),
            },
            later: Vec::new(),
            end: ends.last().copied().unwrap_or(End::NOTHING),
        };
        for end in ends.iter().filter(|end| end.segment >= from.0) {
            let path = segment_path(owner, end.segment);
            let broken = |error| of_segment(&path, error);
            let mut note = |begin: End, record: &RecordRef<'_>| {
                let is_later = (begin.segment, begin.offset) >= from;
                if let Some(deal) = Deal::of_record(record).filter(|_| is_later) {
                    dealings.later.push((begin, deal));
                }
            };
            let walked = walk(disk, owner, end.segment, Some(*end), &mut note).await;
            let walked = walked.map_err(broken)?;
            if let Some((_, what)) = walked.damage {
                return Err(BackupError::Damaged { path, what });
            }
        }
        Ok(dealings)
    }

    /// What the shard knows where its log ends at `cut`.
    fn known(&self, cut: End) -> Known {
        let mut known = self.base.clone();
        let kept = self.later.iter().take_while(|(begin, _)| *begin < cut);
        kept.for_each(|(_, deal)| known.note(*deal));
        known
    }
}

async fn base<D: Disk>(disk: &D, owner: &Owner, manifest: &Manifest) -> Result<Known, BackupError> {
    let mut runs = Vec::with_capacity(manifest.runs.len());
    for name in &manifest.runs {
        let run = Run::load(disk, &owner.directory, name.head(owner)).await;
        runs.push(Rc::new(run.map_err(of_table)?));
    }
    let mut known = Known::default();
    if manifest.replay.is_none() {
        // No index has them: what was emptied of the log says the same.
        for archive in &manifest.archives {
            archived(disk, owner, archive, &mut known).await?;
        }
    }
    let own = Index::new(runs).own().map_err(of_table)?;
    let facts = own.iter().flat_map(|own| &own.facts);
    facts.filter_map(Deal::of).for_each(|deal| known.note(deal));
    Ok(known)
}

async fn archived<D: Disk>(
    disk: &D,
    owner: &Owner,
    archive: &ArchiveName,
    known: &mut Known,
) -> Result<(), BackupError> {
    let path = name::archive(&owner.directory, archive.number);
    let head = PackHead {
        store: owner.store,
        shard: owner.shard,
        number: archive.number,
    };
    let pack = Pack::<D::File>::open(disk, &path, head).await;
    let mut outcome = Ok(());
    let pack = pack.map_err(|error| of_pack(&path, error))?;
    pack.scan(|_, record| match record {
        Ok(record) => Deal::of_record(&record)
            .into_iter()
            .for_each(|deal| known.note(deal)),
        Err(error) => outcome = Err(of_pack(&path, error)),
    })
    .await;
    outcome
}

/// Moves `cuts`, one for each shard, back until no shard remembers too much. What the indexes
/// remember is not looked at: no cut can change it.
pub(super) fn settle(shards: &[Dealings], cuts: &mut [End]) {
    loop {
        let known: Vec<Known> = shards
            .iter()
            .zip(&*cuts)
            .map(|(s, cut)| s.known(*cut))
            .collect();
        let mut is_settled = true;
        for (shard, (dealings, cut)) in (0_u16..).zip(shards.iter().zip(&mut *cuts)) {
            let kept = dealings.later.iter().take_while(|(begin, _)| *begin < *cut);
            let excess = kept
                .into_iter()
                .find(|(_, deal)| is_excess(&known, shard, *deal));
            if let Some((begin, _)) = excess {
                *cut = *begin;
                is_settled = false;
            }
        }
        if is_settled {
            return;
        }
    }
}

/// Whether another shard does not know of what `shard` remembers.
fn is_excess(known: &[Known], shard: u16, deal: Deal) -> bool {
    match deal {
        Deal::Offer(..) => false,
        Deal::Settled(target, sequence) => known
            .get(usize::from(target))
            .is_none_or(|target| mark(&target.seen, shard) < sequence),
        Deal::Seen(source, sequence) => known
            .get(usize::from(source))
            .is_none_or(|source| mark(&source.offered, shard) < sequence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> End {
        End {
            segment: 1,
            offset,
            chain: offset as u32,
        }
    }

    fn dealings(later: &[(u64, Deal)], end: u64) -> Dealings {
        Dealings {
            base: Known::default(),
            later: later
                .iter()
                .map(|(offset, deal)| (at(*offset), *deal))
                .collect(),
            end: at(end),
        }
    }

    fn settled(shards: &[Dealings]) -> Vec<u64> {
        let mut cuts: Vec<End> = shards.iter().map(|shard| shard.end).collect();
        settle(shards, &mut cuts);
        cuts.iter().map(|cut| cut.offset).collect()
    }

    #[test]
    fn what_fits_is_not_cut() {
        let a = dealings(&[(1, Deal::Offer(1, 1)), (3, Deal::Settled(1, 1))], 9);
        let b = dealings(&[(5, Deal::Seen(0, 1))], 9);
        assert_eq!(settled(&[a, b]), [9, 9]);
    }

    #[test]
    fn a_shard_that_was_copied_late_forgets_what_the_early_one_does_not_know() {
        let a = dealings(&[(1, Deal::Offer(1, 1)), (3, Deal::Settled(1, 1))], 9);
        assert_eq!(
            settled(&[a, dealings(&[], 9)]),
            [3, 9],
            "let go and nowhere"
        );
        let b = dealings(&[(5, Deal::Seen(0, 1))], 9);
        assert_eq!(settled(&[dealings(&[], 9), b]), [9, 5], "given out again");
    }

    /// A cut takes the OFFER that another shard has seen, and that one's SEEN a third has settled.
    #[test]
    fn a_cut_brings_others_along() {
        let a = dealings(&[(2, Deal::Settled(1, 1)), (4, Deal::Offer(2, 1))], 9);
        let b = dealings(&[], 9);
        let c = dealings(&[(3, Deal::Seen(0, 1)), (5, Deal::Offer(1, 1))], 9);
        assert_eq!(settled(&[a, b, c]), [2, 9, 3]);
    }

    #[test]
    fn shards_that_do_not_exist_know_nothing() {
        assert_eq!(settled(&[dealings(&[(2, Deal::Seen(7, 1))], 9)]), [2]);
    }
}
