//! A run of memos: what is said of each key. Values are shown as far as a line goes.

use super::Dump;
use super::line::{Line, abbreviated};
use crate::disk::Disk;
use crate::memo::{Entry, MemoRun};
use crate::table::manifest::Manifest;
use crate::table::run::Run;

impl<D: Disk> Dump<'_, D> {
    /// Whether the manifest names a run as one of memos.
    pub(super) async fn is_of_memos(&self, number: u32) -> bool {
        let owner = self.owner;
        let read = Manifest::read(self.disk, &owner.directory, owner.store, owner.shard).await;
        let manifest = read.ok().flatten().unwrap_or_default();
        manifest.memos.iter().any(|run| run.number == number)
    }

    pub(super) fn memos(&mut self, run: Run) {
        let path = run.path().to_owned();
        let memos = match MemoRun::open(run) {
            Ok(memos) => memos,
            Err(error) => return self.damage(&path, error),
        };
        let head = memos.head();
        self.say(
            Line::new("memos")
                .with("entries", head.entries)
                .with("removals", head.removals)
                .with("written", head.secs)
                .with("half-over", head.half_secs),
        );
        let mut cursor = memos.cursor(&[]);
        loop {
            match cursor.next() {
                Ok(Some((key, entry))) => self.say(line(&key, &entry)),
                Ok(None) => return,
                Err(error) => {
                    self.damage(&path, error);
                    cursor.skip();
                }
            }
        }
    }
}

fn line(key: &[u8], entry: &Entry<'_>) -> Line {
    let (space, key) = key
        .split_first()
        .map_or((0, key), |(space, key)| (*space, key));
    let line = Line::new("memo")
        .with("space", space)
        .with("key", abbreviated(key));
    match entry {
        Entry::Gone => line.with("removed", true),
        Entry::Put {
            expiry_secs,
            value,
            is_first,
        } => line
            .with("expiry", expiry_secs)
            .with("first", is_first)
            .with("value", abbreviated(value)),
    }
}
