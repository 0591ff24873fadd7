//! Backups on the disk of the store itself, each in a directory that is a disk of its own.

use crate::below::Below;
use std::cell::RefCell;
use std::rc::Rc;
use store::backup::{Backup, BackupError, Plan, restore, take};
use store::disk::home::Identity;
use store::disk::sim::SimDisk;

/// Takes one backup after the other. `whole` becomes what `ledger` was before the last one that
/// was whole.
pub(crate) async fn back_up<L: Clone>(
    disk: SimDisk,
    ledger: Rc<RefCell<L>>,
    whole: Rc<RefCell<Option<L>>>,
) {
    let identity = Identity {
        uuid: [7; 16],
        shards: 2,
    };
    let backup = loop {
        match Backup::open_or_make(backup_of(&disk), identity).await {
            Ok(backup) => break backup,
            Err(BackupError::Io { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    };
    loop {
        let before = ledger.borrow().clone();
        match take(&disk, &backup, 0, &|_, _| {}).await {
            Ok(_) => drop(whole.replace(Some(before))),
            // The disk of the world fails now and then.
            Err(BackupError::Restless { .. } | BackupError::Io { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Makes a store of the last generation in `directory`.
pub(crate) async fn restore_last(disk: SimDisk, directory: String) {
    let backup = Backup::open(backup_of(&disk)).await;
    let backup = backup.expect("it was whole");
    let generations = backup.generations().await;
    let generations = generations.expect("the lists are whole");
    let plan = Plan::whole(&backup.identity, generations.last().expect("one was whole"));
    let target = Below::new(&disk, &directory);
    let restored = restore(&backup, &plan, &target, &|_, _| {}).await;
    restored.expect("all of it is whole");
}

fn backup_of(disk: &SimDisk) -> Below<SimDisk> {
    Below::new(disk, "backup")
}
