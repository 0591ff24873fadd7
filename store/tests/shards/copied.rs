//! Backups on the disk of the store itself, each in a directory that is a disk of its own.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use store::backup::{Backup, BackupError, Plan, restore, take};
use store::disk::home::Identity;
use store::disk::sim::SimDisk;
use store::disk::{Disk, Map, Mode};

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
            // The backup may hold a frame that was being written when the power went, and that the
            // store does not have: then it is refused, and what was backed up stays.
            Err(BackupError::OtherHistory { .. }) => return,
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
    let plan = Plan::whole(generations.last().expect("one was whole"));
    let target = Below { disk, directory };
    let restored = restore(&backup, &plan, &target, &|_, _| {}).await;
    restored.expect("all of it is whole");
}

fn backup_of(disk: &SimDisk) -> Below<SimDisk> {
    Below {
        disk: disk.clone(),
        directory: "backup".to_owned(),
    }
}

#[derive(Clone)]
struct Below<D> {
    disk: D,
    directory: String,
}

impl<D: Disk> Below<D> {
    fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.directory)
    }
}

impl<D: Disk> Disk for Below<D> {
    type File = D::File;

    async fn open(&self, path: &str, mode: Mode) -> io::Result<D::File> {
        self.disk.open(&self.path(path), mode).await
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.disk.list(&self.path(directory)).await
    }

    async fn create_directory(&self, path: &str) -> io::Result<()> {
        self.disk.create_directory(&self.path(path)).await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(&self.path(from), &self.path(to)).await
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(&self.path(path)).await
    }

    async fn map(&self, path: &str) -> io::Result<Map> {
        self.disk.map(&self.path(path)).await
    }

    fn is_direct(&self) -> bool {
        self.disk.is_direct()
    }
}
