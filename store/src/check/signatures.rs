//! The signatures of messages: every file from front to end. They can always be made anew, so
//! damage costs nothing but time.

use super::damage::{Damage, Part};
use super::{Check, Owner};
use crate::disk::Disk;
use crate::search::{SEARCH, SignFile, is_unfinished, number_of, path};
use crate::table::TableError;

/// What is wrong with a file of signatures.
pub(super) enum Fault {
    Damaged(Damage),
    /// It has no header, or half of one: a crash has ended its making.
    Unfinished,
}

impl<D: Disk> Check<'_, D> {
    pub(super) async fn signatures(&mut self) {
        for number in numbers(self.disk, self.owner).await {
            self.tell.summary.signatures += 1;
            let file = path(&self.owner.directory, number);
            match sound(self.disk, self.owner, number).await {
                Ok(bytes) => self.tell.bytes(bytes),
                Err(Fault::Damaged(damage)) => self.tell.damage(damage),
                Err(Fault::Unfinished) => {
                    let what = "a leftover of a crash; the next round of the server removes it";
                    self.tell.note(format!("{file}: {what}"));
                }
            }
        }
    }
}

/// Numbers of the files that are there, ascending.
pub(super) async fn numbers<D: Disk>(disk: &D, owner: &Owner) -> Vec<u32> {
    let directory = format!("{}/{SEARCH}", owner.directory);
    let names = disk.list(&directory).await.unwrap_or_default();
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    numbers
}

/// Reads all of a file. Its length.
pub(super) async fn sound<D: Disk>(disk: &D, owner: &Owner, number: u32) -> Result<u64, Fault> {
    let read = async {
        let file = SignFile::open(disk, owner, number).await?;
        file.verify().await?;
        Ok::<u64, TableError>(file.bytes())
    };
    match read.await {
        Ok(bytes) => Ok(bytes),
        Err(_) if is_unfinished(disk, owner, number).await => Err(Fault::Unfinished),
        Err(error) => Err(Fault::Damaged(Damage::table(Part::Signatures, &error))),
    }
}
