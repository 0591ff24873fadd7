//! Octets that rot before they are moved: never moved, never forgotten, told to whom it matters.

use super::{Rig, text};
use crate::compact::{Damage, Lost, LostMessage};
use crate::disk::sim::SimDisk;
use crate::error::{Container, ReadError};
use crate::mail::id::Uid;

fn lost_message(damage: &Damage) -> Option<LostMessage> {
    match damage.lost {
        Some(Lost::Message(message)) => Some(message),
        _ => None,
    }
}

/// Changes the first place in a file where `octets` stand.
fn rot(disk: &SimDisk, path: &str, octets: &[u8]) {
    disk.edit(path, |bytes| {
        let found = bytes.windows(octets.len()).position(|at| at == octets);
        bytes[found.expect("the octets are there")] ^= 0x10;
    });
}

#[test]
fn a_message_that_has_rotted_in_the_log_is_named_and_kept_aside() {
    // One in its frame with others, one in pieces of which one has rotted.
    for (lost, marks) in [
        (5000usize, &text(5000)[100..140]),
        (300_000, &text(300_000)[..40]),
    ] {
        let mut rig = Rig::open(SimDisk::new(1));
        rig.fill(&[4000, 5000, 300_000, 6000]);
        rig.roll();
        let path = "shard-00/log/0000000000000001.log";
        rot(&rig.disk, path, marks);
        let before = rig.disk.contents(path);
        let report = rig.keep_house();
        assert!(report.segments_emptied > 0);
        let named: Vec<_> = report.damage.iter().filter_map(lost_message).collect();
        let uid = if lost == 5000 { Uid(2) } else { Uid(3) };
        assert_eq!(named.iter().map(|lost| lost.uid).collect::<Vec<_>>(), [uid]);
        assert!(
            report
                .damage
                .iter()
                .all(|d| d.container == Container::Segment(1))
        );
        let mut rig = rig.crash();
        let (read, unread) = rig.read_all();
        assert_eq!(read.len(), 3);
        assert_eq!(
            unread.into_iter().collect::<Vec<_>>(),
            [(uid.0, ReadError::Gone)]
        );
        let kept = "shard-00/damaged/0000000000000001.log";
        assert_eq!(
            rig.disk.contents(kept),
            before,
            "nobody has written over it"
        );
        let told = String::from_utf8(rig.disk.contents(&format!("{kept}.txt"))).unwrap();
        assert!(told.contains(&format!("uid {uid}")), "{told}");
        assert!(!rig.disk.contents(path).eq(&before));
    }
}

#[test]
fn a_segment_without_a_header_costs_its_messages_only() {
    let mut rig = Rig::open(SimDisk::new(1));
    rig.fill(&[4000, 5000]);
    rig.roll();
    rig.fill(&[6000]);
    rig.roll();
    let path = "shard-00/log/0000000000000001.log";
    rig.disk.edit(path, |bytes| bytes[100] ^= 1);
    let report = rig.keep_house();
    assert_eq!(report.damage.iter().filter(|d| d.lost.is_some()).count(), 2);
    let (read, unread) = rig.read_all();
    assert_eq!((read.len(), unread.len()), (1, 2));
    let kept = "shard-00/damaged/0000000000000001.log";
    assert!(!rig.disk.contents(kept).is_empty());
}

#[test]
fn a_pack_that_has_rotted_stays_where_it_is() {
    let mut rig = Rig::open(SimDisk::new(1));
    rig.fill(&[4000, 5000, 70_000]);
    rig.roll();
    rig.keep_house();
    let packs = rig.shard.manifest().packs;
    let path = format!("shard-00/packs/{:08x}.pack", packs[0].number);
    rig.disk.edit(&path, |bytes| bytes[4096 + 20] ^= 1);
    let mut rig = rig.crash();
    let (read, unread) = rig.read_all();
    assert!(!unread.is_empty());
    // Two more, so that all three are to be written anew as small ones.
    for octets in [&[100usize][..], &[200]] {
        rig.run(async move |shard, _| {
            for octets in octets {
                super::append(&shard, *octets).await;
            }
        });
        rig.roll();
        rig.keep_house();
    }
    let report = rig.run(async |shard, here| shard.repack(&here, &super::EAGER).await);
    let manifest = rig.shard.manifest();
    assert!(manifest.packs.contains(&packs[0]), "{report:?}");
    let (again, still) = rig.read_all();
    assert_eq!(still, unread);
    assert!(
        read.iter()
            .all(|(uid, octets)| again.get(uid) == Some(octets))
    );
}
