//! What a shard reads of its immutable files: as one manifest names them.
//!
//! A snapshot is never changed. A reader holds the one that it began with; when the last reader of
//! an older one is gone, the files that only that one names can be swept.

use crate::compact::Owner;
use crate::disk::Disk;
use crate::mailbox::index::Index;
use crate::memo::{MemoRun, Shelf};
use crate::table::TableError;
use crate::table::locations::Locations;
use crate::table::manifest::Manifest;
use crate::table::run::Run;
use std::collections::BTreeSet;
use std::rc::Rc;

pub(super) struct Snapshot<D: Disk> {
    pub(super) manifest: Manifest,
    pub(super) index: Rc<Index>,
    pub(super) shelf: Rc<Shelf>,
    pub(super) locations: Locations<D>,
}

impl<D: Disk> Snapshot<D> {
    /// What the manifest on disk names; nothing where there is none yet.
    pub(super) async fn present(disk: &D, owner: &Owner) -> Result<Snapshot<D>, TableError> {
        let manifest = Manifest::read(disk, &owner.directory, owner.store, owner.shard).await?;
        Snapshot::open(disk, owner, manifest.unwrap_or_default(), None).await
    }

    /// Opens what `manifest` names; runs that `older` has open are not opened again.
    pub(super) async fn open(
        disk: &D,
        owner: &Owner,
        manifest: Manifest,
        older: Option<&Snapshot<D>>,
    ) -> Result<Snapshot<D>, TableError> {
        let mut runs = Vec::with_capacity(manifest.runs.len());
        for name in &manifest.runs {
            let known = older.and_then(|older| older.run(name.number));
            runs.push(match known {
                Some(run) => run,
                None => {
                    let run = Run::load(disk, &owner.directory, name.head(owner)).await?;
                    Rc::new(run)
                }
            });
        }
        let mut memos = Vec::with_capacity(manifest.memos.len());
        for name in &manifest.memos {
            let known = older.and_then(|older| older.memos(name.number));
            memos.push(match known {
                Some(run) => run,
                None => {
                    let run = Run::load(disk, &owner.directory, name.head(owner)).await?;
                    Rc::new(MemoRun::open(run)?)
                }
            });
        }
        let locations = Locations::new(disk.clone(), owner.clone(), &manifest.locations);
        Ok(Snapshot {
            manifest,
            index: Rc::new(Index::new(runs)),
            shelf: Rc::new(Shelf::new(memos)),
            locations,
        })
    }

    /// Packs of this snapshot that a later manifest does not name.
    pub(super) fn packs_not_in(&self, later: &Manifest) -> impl Iterator<Item = u32> {
        let stay: BTreeSet<u32> = later.packs.iter().map(|pack| pack.number).collect();
        let numbers = self.manifest.packs.iter().map(|pack| pack.number);
        numbers.filter(move |number| !stay.contains(number))
    }

    fn run(&self, number: u32) -> Option<Rc<Run>> {
        let mut runs = self.index.runs().iter();
        runs.find(|run| run.number() == number).cloned()
    }

    fn memos(&self, number: u32) -> Option<Rc<MemoRun>> {
        let mut runs = self.shelf.runs().iter();
        runs.find(|memos| memos.run().number() == number).cloned()
    }
}
