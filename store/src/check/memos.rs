//! Runs of memos: every block, what leads to it, and how many memos all of it adds up to.

use super::Check;
use super::damage::{Damage, Part};
use crate::disk::Disk;
use crate::mailbox::state::State;
use crate::memo::{Entry, MemoRun, Shelf};
use crate::table::TableError;
use crate::table::manifest::{Manifest, RunName};
use crate::table::run::Run;
use std::rc::Rc;

impl<D: Disk> Check<'_, D> {
    /// The runs that can be read whole.
    pub(super) async fn shelf(&mut self, manifest: &Manifest) -> Rc<Shelf> {
        let mut runs = Vec::new();
        for name in &manifest.memos {
            self.tell.summary.runs += 1;
            match self.memo_run(name).await {
                Ok(run) => runs.extend(run.map(Rc::new)),
                Err(error) => self.memo_damage(&error),
            }
        }
        if runs.len() < manifest.memos.len() {
            self.tell.summary.is_partial = true;
        }
        Rc::new(Shelf::new(runs))
    }

    /// A run; nothing where blocks of it are damaged, each of which was told.
    async fn memo_run(&mut self, name: &RunName) -> Result<Option<MemoRun>, TableError> {
        let run = Run::load(self.disk, &self.owner.directory, name.head(self.owner)).await?;
        self.tell.bytes(run.bytes());
        let mut is_sound = true;
        for key in run.keys() {
            let (part, number) = key?;
            if let Some(Err(error)) = run.part(part, number) {
                is_sound = false;
                self.memo_damage(&error);
            }
        }
        if !is_sound {
            return Ok(None);
        }
        run.verify()?;
        let run = MemoRun::open(run)?;
        run.verify()?;
        match run.run().bytes() == name.bytes {
            true => Ok(Some(run)),
            false => {
                let what = "it has another size than the manifest says";
                let damage = Damage::new(Part::Memos, run.run().path(), None, what);
                self.tell.damage(damage);
                Ok(None)
            }
        }
    }

    fn memo_damage(&mut self, error: &TableError) {
        self.tell.damage(Damage::table(Part::Memos, error));
    }

    /// Counts what runs and log have together.
    pub(super) fn memos(&mut self, state: &State) {
        let mut merged = state.memos.merged(&[]);
        loop {
            match merged.next() {
                Ok(Some((_, entry))) => {
                    self.tell.summary.memos += u64::from(entry != Entry::Gone);
                }
                Ok(None) => return,
                Err(error) => return self.memo_damage(&error),
            }
        }
    }
}
