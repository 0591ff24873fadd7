//! What `ringpostctl fsck` does to a world: checks each shard, and repairs it.

use crate::world::{STORE, options};
use store::check::repair::{Order, repair};
use store::check::{Event, Owner, Summary, check};
use store::disk::executor::Executor;
use store::disk::sim::SimDisk;
use store::mail::id::ShardId;

/// Damages that a check of both shards names.
pub(crate) fn damages(disk: &SimDisk, root: &str) -> Vec<String> {
    let checks = (0..2).map(|shard| check_one(disk, &owner(root, shard)));
    checks.flat_map(|(_, damages)| damages).collect()
}

/// Repairs what a check finds; `number` says which repair of this disk it is.
pub(crate) fn mend(disk: &SimDisk, root: &str, number: u32) {
    for shard in 0..2 {
        let owner = owner(root, shard);
        let (found, damages) = check_one(disk, &owner);
        if found.is_clean() {
            continue;
        }
        let order = Order {
            aside: format!("repair-{number}-{shard}"),
            options: options(shard),
        };
        let at = disk.clone();
        let repairing = async move {
            repair(&at, &owner, &order, &found, &mut |_| {})
                .await
                .map(drop)
        };
        let repaired = Executor::new(disk.clone(), 2).finish(repairing);
        let repaired = repaired.expect("a repair ends");
        assert!(repaired.is_ok(), "{repaired:?} of {damages:?}");
    }
}

fn check_one(disk: &SimDisk, owner: &Owner) -> (Summary, Vec<String>) {
    let (at, owner) = (disk.clone(), owner.clone());
    let checking = async move {
        let mut damages = Vec::new();
        let mut listener = |event: Event| {
            if let Event::Damage(damage) = event {
                damages.push(format!("{damage:?}"));
            }
        };
        let summary = check(&at, &owner, &mut listener).await;
        (summary, damages)
    };
    let (summary, damages) = Executor::new(disk.clone(), 1)
        .finish(checking)
        .expect("a check ends");
    assert_eq!(summary.damage_count(), damages.len() as u64);
    (summary, damages)
}

fn owner(root: &str, shard: u16) -> Owner {
    Owner {
        directory: format!("{root}shard-{shard:02}"),
        store: STORE,
        shard: ShardId(shard),
    }
}
