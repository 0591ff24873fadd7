//! Writes a file of signatures: blocks as they are laid out, the directory, the header last.

use super::block::BlockRow;
use super::gather::{Gathering, Laid};
use super::head::Head;
use super::{Anchor, Version, name};
use crate::codec::checksum::plain;
use crate::disk::Disk;
use crate::disk::create::Creator;
use crate::limit::BLOCK_BYTES;
use crate::mail::id::ObjectId;
use crate::table::locations::Owner;
use std::io;
use std::ops::Range;

/// Which file is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Title {
    pub(crate) number: u32,
    pub(crate) version: Version,
    pub(crate) anchor: Anchor,
}

/// After an error of the disk the file is removed and the writer is of no more use.
pub(crate) struct SignWriter<D: Disk> {
    creator: Creator<D>,
    blocks: Vec<BlockRow>,
}

impl<D: Disk> SignWriter<D> {
    /// Makes the file; it must not be there. Its directory must.
    pub(crate) async fn create(disk: &D, owner: &Owner, number: u32) -> io::Result<SignWriter<D>> {
        let path = name::path(&owner.directory, number);
        let mut creator = Creator::new(disk.clone(), &path).await?;
        creator.append(&[0; BLOCK_BYTES]).await?;
        Ok(SignWriter {
            creator,
            blocks: Vec::new(),
        })
    }

    /// Writes what was gathered as a block; nothing where nothing was.
    pub(crate) async fn block(&mut self, gathering: &mut Gathering) -> io::Result<()> {
        if gathering.is_empty() {
            return Ok(());
        }
        let Laid { row, front, body } = gathering.lay_out();
        let offset = self.creator.position();
        self.blocks.push(BlockRow { offset, ..row });
        self.creator.append(&front).await?;
        self.creator.append(&body).await
    }

    /// Writes directory and header; the file is durable on return.
    pub(crate) async fn finish(
        mut self,
        owner: &Owner,
        title: &Title,
        objects: Range<ObjectId>,
    ) -> io::Result<Head> {
        let mut directory = Vec::new();
        self.blocks
            .iter()
            .for_each(|row| row.encode(&mut directory));
        let head = Head {
            store: owner.store,
            shard: owner.shard,
            number: title.number,
            version: title.version,
            objects,
            anchor: title.anchor,
            members: self.blocks.iter().map(|row| u64::from(row.members)).sum(),
            blocks: self.blocks.len() as u32,
            directory: self.creator.position(),
            directory_crc: plain(&directory),
        };
        self.creator.append(&directory).await?;
        self.creator.finish_with_header(head.encode()).await?;
        Ok(head)
    }

    /// Gives the file up and removes it.
    pub(crate) async fn abandon(self) {
        self.creator.abandon().await;
    }
}
