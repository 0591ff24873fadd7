//! Which objects are signed, by the files that are there, and what is to be done next.
//!
//! Files lie side by side in the order of objects. One that covers nothing that a later file does
//! not cover is of no use any more, as is one of another reader, and one that was made further on
//! in the log than the store is now.

use super::head::{Anchor, Head};
use super::{SEARCH, Version, file, name};
use crate::disk::Disk;
use crate::mail::id::ObjectId;
use crate::table::locations::Owner;
use crate::table::{TableError, at};
use std::ops::Range;

/// The files of one shard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cover {
    /// Those that can be believed, by rising objects.
    pub(crate) files: Vec<Head>,
    /// Numbers of those that cannot, and of those that are of no use any more.
    pub(crate) stale: Vec<u32>,
    /// Every number that there is is below.
    pub(crate) next_number: u32,
}

impl Cover {
    /// Looks at the headers of all files. With a version, only what that made is believed.
    pub(crate) async fn look<D: Disk>(
        disk: &D,
        owner: &Owner,
        anchor: Anchor,
        version: Option<Version>,
    ) -> Result<Cover, TableError> {
        let mut cover = Cover {
            next_number: 1,
            ..Cover::default()
        };
        let directory = format!("{}/{SEARCH}", owner.directory);
        let names = disk.list(&directory).await.map_err(at(&directory))?;
        for number in names.iter().filter_map(|file| name::number_of(file)) {
            cover.next_number = cover.next_number.max(number.saturating_add(1));
            match file::read_head(disk, owner, number).await {
                Ok(head)
                    if head.anchor.is_before(&anchor)
                        && version.is_none_or(|version| version == head.version) =>
                {
                    cover.files.push(head);
                }
                // The device may give it the next time.
                Err(TableError::Io { .. } | TableError::Missing { .. }) => {}
                Ok(_) | Err(_) => cover.stale.push(number),
            }
        }
        cover.settle();
        Ok(cover)
    }

    /// Sets aside what later files cover.
    fn settle(&mut self) {
        self.files
            .sort_unstable_by_key(|head| (head.objects.start, head.number));
        let covers = |by: &Head, head: &Head| {
            by.number > head.number
                && by.objects.start <= head.objects.start
                && head.objects.end <= by.objects.end
        };
        let all = self.files.clone();
        let stale = &mut self.stale;
        self.files.retain(|head| {
            let is_covered = all.iter().any(|by| covers(by, head));
            if is_covered {
                stale.push(head.number);
            }
            !is_covered
        });
    }

    /// Counts files with these numbers as not there.
    pub(crate) fn disown(&mut self, damaged: &[u32]) {
        self.files.retain(|head| !damaged.contains(&head.number));
        self.stale.extend(damaged);
    }

    /// The first objects below `end` that no file covers.
    pub(crate) fn gap(&self, end: ObjectId) -> Option<Range<ObjectId>> {
        let mut from = ObjectId(0);
        for head in &self.files {
            if head.objects.start > from {
                return (from < end).then(|| from..head.objects.start.min(end));
            }
            from = from.max(head.objects.end);
        }
        (from < end).then_some(from..end)
    }

    /// Neighbours of one size that are to become one file.
    pub(crate) fn to_unite(&self) -> Option<&[Head]> {
        let alike = self
            .files
            .chunk_by(|a, b| a.objects.end == b.objects.start && tier(a) == tier(b));
        let mut full = alike.filter(|run| {
            run.len() >= FAN_OUT && run.first().is_some_and(|head| tier(head) < TIERS)
        });
        full.next().and_then(|run| run.get(..FAN_OUT))
    }
}

/// By how many messages it has.
fn tier(head: &Head) -> u32 {
    let steps = TIER_MEMBERS.iter().filter(|least| head.members >= **least);
    steps.count() as u32
}

/// Files of one tier that are united into one.
const FAN_OUT: usize = 8;

/// From how many messages on a file belongs to the next tier. Those of the last are not united any
/// more: what it saves a search, one file more to ask, is not worth it.
const TIER_MEMBERS: [u64; 3] = [1 << 9, 1 << 12, 1 << 15];
const TIERS: u32 = TIER_MEMBERS.len() as u32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::id::ShardId;

    fn head(number: u32, objects: Range<u64>, members: u64) -> Head {
        Head {
            store: [7; 16],
            shard: ShardId(0),
            number,
            version: Version::from(1),
            objects: ObjectId(objects.start)..ObjectId(objects.end),
            anchor: Anchor::default(),
            members,
            blocks: 1,
            directory: 0,
            directory_crc: 0,
        }
    }

    fn cover(files: Vec<Head>) -> Cover {
        let mut cover = Cover {
            files,
            ..Cover::default()
        };
        cover.settle();
        cover
    }

    #[test]
    fn gaps_are_found_from_the_front() {
        let gap = |files: Vec<Head>| {
            let gap = cover(files).gap(ObjectId(100));
            gap.map(|gap| gap.start.0..gap.end.0)
        };
        assert_eq!(gap(vec![]), Some(0..100));
        assert_eq!(
            gap(vec![head(1, 0..40, 1), head(2, 60..100, 1)]),
            Some(40..60)
        );
        assert_eq!(gap(vec![head(1, 10..100, 1)]), Some(0..10));
        assert_eq!(gap(vec![head(1, 0..50, 1), head(2, 30..120, 1)]), None);
        assert_eq!(
            gap(vec![head(1, 0..50, 1), head(2, 200..220, 1)]),
            Some(50..100)
        );
    }

    #[test]
    fn what_a_later_file_covers_is_stale() {
        let files = vec![
            head(1, 0..10, 3),
            head(2, 10..20, 3),
            head(3, 0..20, 5),
            head(4, 20..30, 1),
        ];
        let cover = cover(files);
        let numbers: Vec<u32> = cover.files.iter().map(|head| head.number).collect();
        assert_eq!((numbers, cover.stale.len()), (vec![3, 4], 2));
    }

    #[test]
    fn eight_neighbours_of_a_size_are_united() {
        let small = |count: u64| (0..count).map(|n| head(n as u32 + 1, n * 10..n * 10 + 10, 5));
        assert_eq!(cover(small(7).collect()).to_unite(), None);
        assert_eq!(
            cover(small(9).collect()).to_unite().map(<[Head]>::len),
            Some(8)
        );
        let apart = small(8).map(|head| match head.number {
            4 => Head {
                members: 1 << 12,
                ..head
            },
            _ => head,
        });
        assert_eq!(cover(apart.collect()).to_unite(), None);
        let large = small(8).map(|head| Head {
            members: 1 << 15,
            ..head
        });
        assert_eq!(cover(large.collect()).to_unite(), None);
    }

    #[test]
    fn a_store_that_is_back_at_an_earlier_moment_believes_less() {
        let at = |frame, chain| Anchor { frame, chain };
        assert!(at(5, 1).is_before(&at(6, 9)) && at(5, 1).is_before(&at(5, 1)));
        assert!(!at(5, 1).is_before(&at(5, 2)) && !at(6, 1).is_before(&at(5, 1)));
    }
}
