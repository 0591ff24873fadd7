//! A whole new file, written once from front to end.
//!
//! Bytes are gathered into blocks of 1 MiB and padded with zeros to a whole block at the end. The
//! first block may be kept for last, so that a file with a good header is a whole file. Each write
//! is durable before the next one is issued; so is the file when [`Creator::finish`] returns. After
//! an error the file is removed. One that a crash left behind is removed by whoever owns the
//! directory, before it is made anew.

use super::{Block, Disk, File, Mode};
use crate::limit::BLOCK_BYTES;
use std::io;
use std::rc::Rc;

/// Bytes of one write.
const WRITE_BYTES: usize = 1 << 20;

pub struct Creator<D: Disk> {
    disk: D,
    path: String,
    /// `None` after an error.
    file: Option<D::File>,
    block: Rc<Block>,
    filled: usize,
    /// Bytes that are written, all of them in whole blocks.
    written: u64,
}

impl<D: Disk> Creator<D> {
    /// Makes the file; it must not be there. Its directory must.
    pub async fn new(disk: D, path: &str) -> io::Result<Creator<D>> {
        let file = match disk.open(path, Mode::Create).await {
            Ok(file) => file,
            Err(error) => {
                if error.kind() != io::ErrorKind::AlreadyExists {
                    drop(disk.remove(path).await);
                }
                return Err(error);
            }
        };
        Ok(Creator {
            disk,
            path: path.to_owned(),
            file: Some(file),
            block: Rc::new(Block::zeroed(WRITE_BYTES)),
            filled: 0,
            written: 0,
        })
    }

    /// Where the next byte will lie.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.written + self.filled as u64
    }

    pub async fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(WRITE_BYTES - self.filled));
            self.gather(head);
            bytes = rest;
            if self.filled == WRITE_BYTES {
                self.write().await?;
            }
        }
        Ok(())
    }

    /// Appends zeros up to the next block.
    pub async fn pad(&mut self) -> io::Result<()> {
        const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
        let over = self.filled % BLOCK_BYTES;
        let missing = if over == 0 { 0 } else { BLOCK_BYTES - over };
        self.append(ZEROS.get(..missing).unwrap_or_default()).await
    }

    /// Pads the file to whole blocks and returns its length, in bytes.
    pub async fn finish(mut self) -> io::Result<u64> {
        self.write_all().await
    }

    /// As [`finish`](Self::finish), then writes `header` over the file's first bytes, for which
    /// the caller has left room.
    pub async fn finish_with_header(mut self, header: Block) -> io::Result<u64> {
        let bytes = header.len();
        assert!(bytes.is_multiple_of(BLOCK_BYTES) && bytes as u64 <= self.position());
        let length = self.write_all().await?;
        self.write_at(Rc::new(header), bytes, 0).await?;
        Ok(length)
    }

    /// Gives the file up and removes it.
    pub async fn abandon(mut self) {
        self.remove().await;
    }

    async fn write_all(&mut self) -> io::Result<u64> {
        self.pad().await?;
        self.write().await?;
        Ok(self.written)
    }

    fn gather(&mut self, bytes: &[u8]) {
        if Rc::get_mut(&mut self.block).is_none() {
            // The disk still holds the block that it wrote.
            self.block = Rc::new(Block::zeroed(WRITE_BYTES));
        }
        let end = self.filled + bytes.len();
        Rc::get_mut(&mut self.block)
            .and_then(|block| block.as_mut_slice().get_mut(self.filled..end))
            .expect("the block is ours alone, and the caller cuts the bytes to its room")
            .copy_from_slice(bytes);
        self.filled = end;
    }

    async fn write(&mut self) -> io::Result<()> {
        if self.filled > 0 {
            let (block, bytes) = (Rc::clone(&self.block), self.filled);
            self.write_at(block, bytes, self.written).await?;
            self.written += bytes as u64;
            self.filled = 0;
        }
        Ok(())
    }

    async fn write_at(&mut self, block: Rc<Block>, bytes: usize, offset: u64) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Err(io::Error::other("an earlier write to the file failed"));
        };
        let written = file.write_at(block, bytes, offset).await;
        if written.is_err() {
            self.remove().await;
        }
        written
    }

    /// What the error was matters more than whether the file can be removed.
    async fn remove(&mut self) {
        if self.file.take().is_some() {
            drop(self.disk.remove(&self.path).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocking::{BlockingDisk, run};
    use super::super::executor::Executor;
    use super::super::fault::WriteFault;
    use super::super::sim::SimDisk;
    use super::*;
    use proptest::prelude::*;

    async fn make<D: Disk>(disk: D, pieces: Vec<Vec<u8>>) -> io::Result<u64> {
        let mut creator = Creator::new(disk, "new").await?;
        for piece in &pieces {
            creator.append(piece).await?;
        }
        creator.finish().await
    }

    fn on_sim(disk: &SimDisk, pieces: Vec<Vec<u8>>) -> io::Result<u64> {
        Executor::new(disk.clone(), 1)
            .finish(make(disk.clone(), pieces))
            .unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn a_file_is_its_pieces_and_zeros(
            sizes in proptest::collection::vec((0usize..700_000, any::<u8>()), 0..6),
        ) {
            let disk = SimDisk::new(1);
            let pieces: Vec<Vec<u8>> = sizes.iter().map(|(len, byte)| vec![*byte; *len]).collect();
            let bytes = on_sim(&disk, pieces.clone()).unwrap();
            let found = disk.crash(1).contents("new");
            prop_assert_eq!(bytes, found.len() as u64);
            let whole = pieces.concat();
            prop_assert!(found.starts_with(&whole));
            prop_assert!(found.len() == whole.len().next_multiple_of(BLOCK_BYTES));
            prop_assert!(found[whole.len()..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn the_header_is_written_last() {
        let root = tempfile::tempdir().unwrap();
        let disk = BlockingDisk::new(root.path());
        let made = run(async {
            let mut creator = Creator::new(disk.clone(), "new").await?;
            creator.append(&[0; BLOCK_BYTES]).await?;
            creator.append(b"behind").await?;
            creator.pad().await?;
            assert_eq!(creator.position(), 8192);
            let header = Block::copy_of(&[9; BLOCK_BYTES]);
            creator.finish_with_header(header).await
        });
        assert_eq!(made.unwrap(), 8192);
        let map = run(disk.map("new")).unwrap();
        assert_eq!(&map[..BLOCK_BYTES], [9; BLOCK_BYTES]);
        assert_eq!(&map[BLOCK_BYTES..][..7], b"behind\0");
    }

    #[test]
    fn a_file_that_fails_is_removed_and_one_that_is_there_is_not_touched() {
        for failing in 1..=3 {
            let disk = SimDisk::new(failing);
            disk.faults(|faults| faults.failing_writes = vec![(failing, WriteFault::Full)]);
            let error = on_sim(&disk, vec![vec![1; 5 << 19]]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(disk.paths().is_empty());
        }
        let disk = SimDisk::new(1);
        on_sim(&disk, vec![b"first".to_vec()]).unwrap();
        let error = on_sim(&disk, vec![b"second".to_vec()]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(disk.contents("new").starts_with(b"first"));
    }

    #[test]
    fn nothing_is_written_after_an_error() {
        let disk = SimDisk::new(1);
        disk.faults(|faults| faults.failing_writes = vec![(1, WriteFault::Io)]);
        let on = disk.clone();
        Executor::new(disk.clone(), 1).finish(async move {
            let mut creator = Creator::new(on, "new").await.unwrap();
            let large = vec![1; WRITE_BYTES];
            creator.append(&large).await.unwrap_err();
            creator.append(&large).await.unwrap_err();
            creator.finish().await.unwrap_err();
        });
        assert_eq!(disk.writes(), 1);
        assert!(disk.paths().is_empty());
    }
}
