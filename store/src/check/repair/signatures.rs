//! Files of signatures with damage: moved aside. The server makes them anew.

use super::super::signatures::{Fault, numbers, sound};
use super::{Repair, RepairError, unwritten};
use crate::disk::Disk;
use crate::search::{SEARCH, path};

impl<D: Disk> Repair<'_, D> {
    pub(super) async fn signatures(&mut self) -> Result<(), RepairError> {
        let directory = &self.owner.directory;
        let aside = format!("{}/{directory}/{SEARCH}", self.order.aside);
        for number in numbers(self.disk, self.owner).await {
            let found = sound(self.disk, self.owner, number).await;
            if let Err(Fault::Damaged(_)) = found {
                let made = self.disk.create_directory(&aside).await;
                made.map_err(unwritten)?;
                let file = path(&self.owner.directory, number);
                let kept = format!("{}/{file}", self.order.aside);
                self.move_file(&file, &kept).await?;
            }
        }
        Ok(())
    }
}
