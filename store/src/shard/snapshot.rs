//! What a shard reads of its immutable files: as one manifest names them.
//!
//! A snapshot is never changed. A reader holds the one that it began with; when the last reader of
//! an older one is gone, the files that only that one names can be swept.

use crate::compact::Where;
use crate::disk::Disk;
use crate::mailbox::index::Index;
use crate::table::TableError;
use crate::table::locations::Locations;
use crate::table::manifest::Manifest;
use crate::table::run::Run;
use std::rc::Rc;

pub(super) struct Snapshot<D: Disk> {
    pub(super) manifest: Manifest,
    pub(super) index: Rc<Index>,
    pub(super) locations: Locations<D>,
}

impl<D: Disk> Snapshot<D> {
    /// Opens what `manifest` names; runs that `older` has open are not opened again.
    pub(super) async fn open(
        disk: &D,
        at: &Where,
        manifest: Manifest,
        older: Option<&Snapshot<D>>,
    ) -> Result<Snapshot<D>, TableError> {
        let mut runs = Vec::with_capacity(manifest.runs.len());
        for name in &manifest.runs {
            let known = older.and_then(|older| older.run(name.number));
            runs.push(match known {
                Some(run) => run,
                None => Rc::new(Run::load(disk, &at.directory, at.head(name)).await?),
            });
        }
        let locations = Locations::new(disk.clone(), at, &manifest.locations);
        Ok(Snapshot {
            manifest,
            index: Rc::new(Index::new(runs)),
            locations,
        })
    }

    fn run(&self, number: u32) -> Option<Rc<Run>> {
        let mut runs = self.index.runs().iter();
        runs.find(|run| run.number() == number).cloned()
    }
}
