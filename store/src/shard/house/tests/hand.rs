//! A message that is told from memory is the one that would be read.
//!
//! What would break for a user if this failed: a message that says what another one said.

use super::{Rig, contents, inbox, rows, text};
use crate::disk::sim::SimDisk;

const OCTETS: [usize; 8] = [10, 3_000, 100_000, 2_000, 300_000, 0, 9_000, 1_000];

/// UIDs of the messages that were at hand when they had been read.
fn at_hand(rig: &mut Rig) -> Vec<u32> {
    rig.run(async |shard, _| {
        let (account, mailbox) = inbox(&shard).await;
        let mut told = Vec::new();
        for (uid, delivery) in rows(&shard, account, mailbox) {
            let read = contents(&shard, delivery).await.unwrap();
            if let Some(octets) = shard.at_hand(delivery, |parts| parts.concat()) {
                assert_eq!(octets, read, "{uid}");
                told.push(uid);
            }
        }
        told
    })
}

#[test]
fn what_is_at_hand_is_what_is_read() {
    let mut rig = Rig::open(SimDisk::new(1));
    rig.fill(&OCTETS);
    rig.assert_whole(&OCTETS);
    assert_eq!(at_hand(&mut rig), [1, 2, 3, 4, 6, 7, 8]);
    let mut rig = rig.crash();
    let cold = rig.run(async |shard, _| {
        let (account, mailbox) = inbox(&shard).await;
        let all = rows(&shard, account, mailbox).into_iter();
        let is_there = |delivery| shard.at_hand(delivery, |_| ()).is_some();
        all.filter(|(_, delivery)| is_there(*delivery)).count()
    });
    assert_eq!(cold, 0, "nobody has read anything");
}

#[test]
fn a_stretch_that_is_older_than_a_message_does_not_hide_it() {
    let mut rig = Rig::open(SimDisk::new(1));
    for octets in [50, 60, 70, 80] {
        rig.fill(Box::leak(Box::new([octets])));
        let (read, lost) = rig.read_all();
        assert!(lost.is_empty());
        assert_eq!(read.into_values().next_back(), Some(text(octets)));
    }
}
