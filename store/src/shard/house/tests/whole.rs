//! Blocks in which everything is needed are copied when their pack is written anew, and only those.
//!
//! What would break for a user if this failed: a message that says what another one said, or none.

use super::{EAGER, Rig, inbox};
use crate::check::{self, Owner};
use crate::compact::Report;
use crate::disk::sim::SimDisk;
use crate::mail::flags::Flags;
use crate::mail::id::{ShardId, Uid};
use crate::mail::uidset::UidSet;
use crate::record::FlagOp;
use crate::shard::{FlagNames, StoreFlags};
use std::collections::BTreeMap;

/// Messages that fill blocks of their own, and small ones that share them: 9 MB, so that it is
/// decided whether their pack has a dictionary.
fn sizes() -> Vec<usize> {
    let large = (0..110).map(|number| 80_000 + number);
    let small = (0..600).map(|number| 2_000 + number);
    large.chain(small).collect()
}

fn filled() -> Rig {
    let mut rig = Rig::open(SimDisk::new(1));
    for octets in sizes() {
        rig.fill(Box::leak(Box::new([octets])));
    }
    rig.run(async |shard, _| shard.end_segment().await).unwrap();
    assert!(rig.keep_house().segments_emptied > 0);
    rig
}

fn expunge(rig: &mut Rig, uids: UidSet) {
    rig.run(async move |shard, _| {
        let (account, mailbox) = inbox(&shard).await;
        let names = FlagNames {
            flags: Flags::DELETED,
            ..FlagNames::default()
        };
        let store = StoreFlags {
            uids: &uids,
            op: FlagOp::Add,
            names: &names,
            unchanged_since: None,
        };
        shard.store_flags(account, mailbox, store).await.unwrap();
        let gone = shard.expunge(account, mailbox, &uids).await;
        assert_eq!(gone.unwrap(), uids);
    });
}

fn written_anew(rig: &mut Rig) -> Report {
    let report = rig.run(async |shard, here| {
        shard.checkpoint(&here).await?;
        shard.repack(&here, &EAGER).await
    });
    report.unwrap()
}

fn assert_left(rig: &mut Rig, gone: &UidSet) {
    let (read, lost) = rig.read_all();
    assert_eq!(lost, BTreeMap::new());
    let uids = (1..)
        .zip(sizes())
        .filter(|(uid, _)| !gone.contains(Uid(*uid)));
    let expected = uids.map(|(uid, octets)| (uid, super::text(octets)));
    assert!(read.into_iter().eq(expected));
}

fn assert_clean(disk: &SimDisk) {
    let owner = Owner {
        store: [7; 16],
        shard: ShardId(0),
        directory: super::DIRECTORY.to_owned(),
    };
    let on = disk.clone();
    let mut executor = crate::disk::executor::Executor::new(disk.clone(), 1);
    let found = executor.finish(async move { check::check(&on, &owner, &mut |_| {}).await });
    let found = found.unwrap();
    assert!(found.is_clean(), "{:?}", found.damages);
}

#[test]
fn what_is_left_whole_is_copied_and_the_rest_packed_anew() {
    let mut rig = filled();
    // Half of the large ones, and one in fifty of the small ones.
    let gone = (1..=110).step_by(2).chain((111..710).step_by(50));
    let gone = UidSet::from_ascending(gone.map(Uid));
    expunge(&mut rig, gone.clone());
    let report = written_anew(&mut rig);
    assert_eq!((report.packs_emptied, report.packs_written), (1, 1));
    // Of 55 large ones, and of some 50 blocks with a dozen small ones.
    assert!((75..100).contains(&report.blocks_copied), "{report:?}");
    assert_left(&mut rig, &gone);
    let mut rig = rig.crash();
    assert_left(&mut rig, &gone);
    assert_clean(&rig.disk);
    // Copied blocks are like any other.
    let more = UidSet::from_ranges([(2, 2), (110, 110)]);
    expunge(&mut rig, more.clone());
    let more = gone.union(&more);
    let lots = UidSet::from_ascending((500..710).filter(|uid| uid % 50 != 11).map(Uid));
    expunge(&mut rig, lots.clone());
    assert!(written_anew(&mut rig).blocks_copied > 50);
    let mut rig = rig.crash();
    assert_left(&mut rig, &more.union(&lots));
    assert_clean(&rig.disk);
}

#[test]
fn a_block_that_rots_on_its_way_is_found_before_the_old_pack_goes() {
    let mut rig = filled();
    let gone = UidSet::from_ascending((1..=110).step_by(2).map(Uid));
    expunge(&mut rig, gone.clone());
    rig.run(async |shard, here| shard.checkpoint(&here).await)
        .unwrap();
    let before = rig.shard.manifest().packs;
    rig.disk.faults(|faults| faults.misdirected_write = 1000);
    let failed = rig.run(async |shard, here| shard.repack(&here, &EAGER).await);
    rig.disk.faults(|faults| faults.misdirected_write = 0);
    failed.unwrap_err();
    assert_eq!(rig.shard.manifest().packs, before);
    assert_left(&mut rig, &gone);
}
