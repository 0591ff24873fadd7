//! A disk that reads ahead, for whoever goes through single records of large files by rising place:
//! each file keeps what was read last, a megabyte at a time. What is read that way must not change
//! meanwhile.

use super::{Block, Disk, File, Map, Mode};
use crate::limit::BLOCK_BYTES;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

#[derive(Clone)]
pub(crate) struct Ahead<D>(pub(crate) D);

pub(crate) struct AheadFile<F> {
    file: F,
    /// Where the window begins in the file, and what is there.
    window: RefCell<(u64, Rc<Block>)>,
}

impl<D: Disk> Disk for Ahead<D> {
    type File = AheadFile<D::File>;

    async fn open(&self, path: &str, mode: Mode) -> io::Result<AheadFile<D::File>> {
        Ok(AheadFile {
            file: self.0.open(path, mode).await?,
            window: RefCell::new((0, Rc::new(Block::zeroed(0)))),
        })
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.0.list(directory).await
    }

    async fn create_directory(&self, path: &str) -> io::Result<()> {
        self.0.create_directory(path).await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to).await
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        self.0.remove(path).await
    }

    async fn map(&self, path: &str) -> io::Result<Map> {
        self.0.map(path).await
    }

    fn is_direct(&self) -> bool {
        self.0.is_direct()
    }
}

impl<F: File> AheadFile<F> {
    /// The octets, if all of them are in the window.
    fn seen(&self, offset: u64, bytes: usize) -> Option<Block> {
        let window = self.window.borrow();
        let skip = usize::try_from(offset.checked_sub(window.0)?).ok()?;
        let seen = window.1.as_slice().get(skip..skip.checked_add(bytes)?)?;
        Some(Block::copy_of(seen))
    }
}

impl<F: File> File for AheadFile<F> {
    async fn write_at(&self, block: Rc<Block>, bytes: usize, offset: u64) -> io::Result<()> {
        self.file.write_at(block, bytes, offset).await
    }

    async fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Block> {
        if let Some(seen) = self.seen(offset, bytes) {
            return Ok(seen);
        }
        let skip = offset % BLOCK_BYTES as u64;
        let (from, least) = (offset - skip, skip as usize + bytes);
        // One bad block of the device must not cost its neighbours.
        let Ok(read) = self.file.read_at(from, least.max(WINDOW_BYTES)).await else {
            return self.file.read_at(offset, bytes).await;
        };
        let end = least.min(read.len());
        let asked = read.as_slice().get(skip as usize..end);
        let asked = Block::copy_of(asked.unwrap_or_default());
        self.window.replace((from, Rc::new(read)));
        Ok(asked)
    }

    async fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        self.file.zero(from, to).await
    }

    async fn len(&self) -> io::Result<u64> {
        self.file.len().await
    }
}

/// Read at a time.
const WINDOW_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::super::blocking::{BlockingDisk, run};
    use super::*;

    #[test]
    fn what_is_read_is_what_is_there() {
        let root = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..700_000u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(root.path().join("one"), &content).unwrap();
        let disk = Ahead(BlockingDisk::new(root.path()));
        let file = run(disk.open("one", Mode::Read)).unwrap();
        let asked = [
            (0, 4096),
            (4095, 10),
            (1_048_570, 20),
            (1_048_576, 2_000_000),
            (2_799_990, 100),
            (5000, 3),
            (9_000_000, 10),
        ];
        for (offset, bytes) in asked {
            let read = run(file.read_at(offset, bytes)).unwrap();
            let end = (offset as usize + bytes).min(content.len());
            let there = content.get(offset as usize..end).unwrap_or_default();
            assert_eq!(read.as_slice(), there, "{offset} {bytes}");
        }
    }
}
