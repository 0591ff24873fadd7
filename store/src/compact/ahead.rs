//! A disk that reads ahead, for whoever goes through single records of large files by rising place:
//! of the files that were read last it keeps what was read last, half a megabyte of each. What is
//! read that way must not change meanwhile.

use crate::disk::{Block, Disk, File, Map, Mode};
use crate::limit::BLOCK_BYTES;
use crate::pack::recent::Recent;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

#[derive(Clone)]
pub(super) struct Ahead<D> {
    disk: D,
    windows: Rc<Windows>,
}

pub(super) struct AheadFile<F> {
    file: F,
    number: u64,
    windows: Rc<Windows>,
}

struct Windows {
    /// By the number of the file: where the window begins, and what is there.
    recent: RefCell<Recent<u64, (u64, Block)>>,
    /// Files so far.
    files: Cell<u64>,
}

impl<D> Ahead<D> {
    pub(super) fn new(disk: D) -> Ahead<D> {
        let windows = Windows {
            recent: RefCell::new(Recent::new(usize::MAX, WINDOWS_MAX)),
            files: Cell::new(0),
        };
        Ahead {
            disk,
            windows: Rc::new(windows),
        }
    }
}

impl<D: Disk> Disk for Ahead<D> {
    type File = AheadFile<D::File>;

    async fn open(&self, path: &str, mode: Mode) -> io::Result<AheadFile<D::File>> {
        let file = self.disk.open(path, mode).await?;
        let number = self.windows.files.get();
        self.windows.files.set(number + 1);
        Ok(AheadFile {
            file,
            number,
            windows: Rc::clone(&self.windows),
        })
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.disk.list(directory).await
    }

    async fn create_directory(&self, path: &str) -> io::Result<()> {
        self.disk.create_directory(path).await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to).await
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path).await
    }

    async fn map(&self, path: &str) -> io::Result<Map> {
        self.disk.map(path).await
    }

    fn is_direct(&self) -> bool {
        self.disk.is_direct()
    }
}

impl<F: File> AheadFile<F> {
    /// The octets, if all of them are in the window.
    fn seen(&self, offset: u64, bytes: usize) -> Option<Block> {
        let window = self.windows.recent.borrow_mut().find(self.number)?;
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
        let bytes = read.len();
        let window = Rc::new((from, read));
        self.windows
            .recent
            .borrow_mut()
            .keep(self.number, window, bytes);
        Ok(asked)
    }

    async fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        self.file.zero(from, to).await
    }

    async fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        self.file.reserve(from, to).await
    }

    async fn len(&self) -> io::Result<u64> {
        self.file.len().await
    }
}

/// Read at a time.
const WINDOW_BYTES: usize = 512 << 10;

/// Files of which something is kept: deliveries and their messages may lie in several.
const WINDOWS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::blocking::{BlockingDisk, run};

    #[test]
    fn what_is_read_is_what_is_there() {
        let root = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..700_000u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(root.path().join("one"), &content).unwrap();
        let disk = Ahead::new(BlockingDisk::new(root.path()));
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
