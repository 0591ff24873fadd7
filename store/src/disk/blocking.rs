//! A disk on plain system calls, for tools and tests: every future is ready when first polled.
//!
//! A disk [`around the page cache`](BlockingDisk::around_cache) is for whoever goes through whole
//! files once: what others read often stays in memory, and nothing is copied on the way.
//!
//! `O_DIRECT` is dropped for good where the file system refuses it with `EINVAL`, at open or at the
//! first write (tmpfs, some network file systems); `O_DSYNC` never is. Names are made durable by an
//! `fsync` of their directory. A file open for writing is locked, see [`Mode::Write`].

use super::{Block, Disk, File, Map, Mode};
use crate::limit::BLOCK_BYTES;
use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Zeros are written in runs of this many bytes.
const ZERO_BYTES: usize = 1 << 20;

/// Bytes of one request of whoever reads around the page cache.
const READ_BYTES: usize = 256 << 10;

#[derive(Clone)]
pub struct BlockingDisk {
    root: PathBuf,
    direct: Rc<Cell<bool>>,
    /// Also files that are only read are opened with `O_DIRECT`.
    reads_direct: bool,
}

pub struct BlockingFile {
    disk: BlockingDisk,
    path: PathBuf,
    mode: Mode,
    /// Replaced when the file system turns out to refuse `O_DIRECT`.
    file: RefCell<fs::File>,
}

/// Runs a future of a [`BlockingDisk`] to its end.
///
/// # Panics
/// When the future waits for anything but such a disk: nobody would ever wake it.
pub fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future over a blocking disk waits for something else"),
    }
}

impl BlockingDisk {
    /// A disk below the directory `root`, which must be there.
    pub fn new(root: impl Into<PathBuf>) -> BlockingDisk {
        BlockingDisk {
            root: root.into(),
            direct: Rc::new(Cell::new(true)),
            reads_direct: false,
        }
    }

    /// The same disk, where reads go around the page cache, too.
    #[must_use]
    pub fn around_cache(self) -> BlockingDisk {
        BlockingDisk {
            reads_direct: true,
            ..self
        }
    }

    fn open_now(&self, path: &str, mode: Mode) -> io::Result<BlockingFile> {
        let path = self.root.join(path);
        let file = match self.open_as(&path, mode, libc::O_DSYNC) {
            Err(error) if self.refuses_direct(&error, mode) => {
                self.direct.set(false);
                self.open_as(&path, present(mode, &path), libc::O_DSYNC)?
            }
            other => other?,
        };
        if mode != Mode::Read {
            file.lock()?;
        }
        match mode {
            Mode::Read => {}
            Mode::Write => file.sync_data()?,
            Mode::Create => sync_directory_of(&path)?,
        }
        Ok(BlockingFile {
            disk: self.clone(),
            path,
            mode,
            file: RefCell::new(file),
        })
    }

    fn open_as(&self, path: &Path, mode: Mode, sync: i32) -> io::Result<fs::File> {
        let direct = match self.direct.get() && self.is_meant_direct(mode) {
            true => libc::O_DIRECT,
            false => 0,
        };
        let mut options = fs::OpenOptions::new();
        options.read(true).custom_flags(direct);
        if mode != Mode::Read {
            options.write(true).custom_flags(sync | direct);
        }
        options.create_new(mode == Mode::Create).open(path)
    }

    fn refuses_direct(&self, error: &io::Error, mode: Mode) -> bool {
        let is_refused = error.raw_os_error() == Some(libc::EINVAL);
        self.is_meant_direct(mode) && self.direct.get() && is_refused
    }

    fn is_meant_direct(&self, mode: Mode) -> bool {
        mode != Mode::Read || self.reads_direct
    }

    fn names(&self, directory: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.root.join(directory)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn make_directory(&self, path: &str) -> io::Result<()> {
        let mut above = self.root.clone();
        for name in Path::new(path) {
            above.push(name);
            match fs::create_dir(&above) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => other?,
            }
            // Also where it was there: a killed process may have renamed without syncing.
            sync_directory_of(&above)?;
        }
        fs::File::open(&above)?.sync_all()
    }
}

impl Disk for BlockingDisk {
    type File = BlockingFile;

    async fn open(&self, path: &str, mode: Mode) -> io::Result<BlockingFile> {
        self.open_now(path, mode)
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.names(directory)
    }

    async fn create_directory(&self, path: &str) -> io::Result<()> {
        self.make_directory(path)
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.root.join(from), self.root.join(to));
        fs::rename(&from, &to)?;
        sync_directory_of(&to)?;
        sync_directory_of(&from)
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        let path = self.root.join(path);
        fs::remove_file(&path)?;
        sync_directory_of(&path)
    }

    async fn map(&self, path: &str) -> io::Result<Map> {
        Map::of_file(&self.root.join(path))
    }

    fn is_direct(&self) -> bool {
        self.direct.get()
    }
}

impl BlockingFile {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let written = self.file.borrow().write_all_at(bytes, offset);
        match written {
            // Nothing was written: the call itself was refused, so this is no retry of a write.
            Err(error) if self.disk.refuses_direct(&error, self.mode) => {
                self.disk.direct.set(false);
                let file = self.disk.open_as(&self.path, Mode::Write, libc::O_DSYNC)?;
                file.write_all_at(bytes, offset)?;
                // The lock is free once the old descriptor is closed.
                drop(self.file.replace(file));
                self.file.borrow().lock()
            }
            other => other,
        }
    }

    fn read(&self, offset: u64, bytes: usize) -> io::Result<Block> {
        let skipped = match self.disk.is_meant_direct(self.mode) {
            true => (offset % BLOCK_BYTES as u64) as usize,
            false => 0,
        };
        let mut block = Block::zeroed((skipped + bytes).next_multiple_of(BLOCK_BYTES));
        let from = offset - skipped as u64;
        let filled = match self.fill(block.as_mut_slice(), from) {
            Err(error)
                if self.mode == Mode::Read && self.disk.refuses_direct(&error, self.mode) =>
            {
                self.disk.direct.set(false);
                let file = self.disk.open_as(&self.path, Mode::Read, 0)?;
                drop(self.file.replace(file));
                self.fill(block.as_mut_slice(), from)?
            }
            filled => filled?,
        };
        block.truncate(filled.min(skipped + bytes));
        if skipped == 0 {
            return Ok(block);
        }
        Ok(Block::copy_of(
            block.as_slice().get(skipped..).unwrap_or_default(),
        ))
    }

    fn fill(&self, target: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = self.file.borrow();
        let mut filled = 0;
        while let Some(rest) = target.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let piece = rest.len().min(self.read_bytes_max());
            let rest = rest.get_mut(..piece).unwrap_or_default();
            match file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// A device answers one request after the other: a commit must not wait behind megabytes.
    fn read_bytes_max(&self) -> usize {
        match self.disk.reads_direct {
            true => READ_BYTES,
            false => usize::MAX,
        }
    }

    /// One sync at the end instead of one for each run: nothing depends on their order.
    fn zero_now(&self, from: u64, to: u64) -> io::Result<()> {
        let zeros = Block::zeroed(ZERO_BYTES);
        let file = self.disk.open_as(&self.path, Mode::Write, 0)?;
        let mut offset = from;
        while offset < to {
            let count = (to - offset).min(ZERO_BYTES as u64);
            let run = zeros.as_slice().get(..count as usize).unwrap_or_default();
            match file.write_all_at(run, offset) {
                Err(error) if self.disk.refuses_direct(&error, Mode::Write) => {
                    self.disk.direct.set(false);
                    return self.zero_now(from, to);
                }
                other => other?,
            }
            offset += count;
        }
        file.sync_data()
    }
}

impl File for BlockingFile {
    async fn write_at(&self, block: Rc<Block>, bytes: usize, offset: u64) -> io::Result<()> {
        let bytes = block
            .as_slice()
            .get(..bytes)
            .ok_or(io::ErrorKind::InvalidInput)?;
        self.write(bytes, offset)
    }

    async fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Block> {
        self.read(offset, bytes)
    }

    async fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        self.zero_now(from, to)
    }

    // Tools write too little for it to matter.
    async fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        self.zero_now(from, to)
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.file.borrow().metadata()?.len())
    }
}

/// The file may have been made before `O_DIRECT` was refused.
fn present(mode: Mode, path: &Path) -> Mode {
    if mode == Mode::Create && path.exists() {
        Mode::Write
    } else {
        mode
    }
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let above = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::File::open(above)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_zeroed_written_read_renamed_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let disk = BlockingDisk::new(root.path());
        run(async {
            disk.create_directory("a/b").await.unwrap();
            disk.create_directory("a/b").await.unwrap();
            let file = disk.open("a/b/one", Mode::Create).await.unwrap();
            file.zero(0, 3 << 20).await.unwrap();
            assert_eq!(file.len().await.unwrap(), 3 << 20);
            let mut block = Block::zeroed(8192);
            block.as_mut_slice().fill(7);
            file.write_at(Rc::new(block), 4096, 4096).await.unwrap();
            let through = file.read_at(4000, 200).await.unwrap();
            assert_eq!(&through.as_slice()[..96], &[0; 96]);
            assert_eq!(&through.as_slice()[96..], &[7; 104]);
            disk.rename("a/b/one", "a/b/two").await.unwrap();
            let again = disk.open("a/b/two", Mode::Read).await.unwrap();
            assert_eq!(
                again.read_at(8192, 4096).await.unwrap().as_slice(),
                [0; 4096]
            );
            assert!(again.read_at(4 << 20, 10).await.unwrap().is_empty());
            assert_eq!(disk.list("a/b").await.unwrap(), ["two"]);
            disk.remove("a/b/two").await.unwrap();
            assert!(disk.list("a/b").await.unwrap().is_empty());
            assert!(disk.list("nowhere").await.unwrap().is_empty());
        });
    }

    #[test]
    fn around_the_page_cache_any_octets_can_be_read() {
        let root = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..10_000u32).map(|n| n.to_le_bytes()[0]).collect();
        fs::write(root.path().join("one"), &content).unwrap();
        let disk = BlockingDisk::new(root.path()).around_cache();
        let file = run(disk.open("one", Mode::Read)).unwrap();
        for (offset, bytes) in [(0, 4096), (1, 1), (4095, 2), (5000, 5000), (9999, 4096)] {
            let read = run(file.read_at(offset, bytes)).unwrap();
            let end = (offset as usize + bytes).min(content.len());
            assert_eq!(read.as_slice(), &content[offset as usize..end]);
        }
        assert!(run(file.read_at(10_000, 1)).unwrap().is_empty());
        assert!(run(file.read_at(1 << 20, 4096)).unwrap().is_empty());
    }

    #[test]
    fn a_file_is_open_for_writing_once() {
        let root = tempfile::tempdir().unwrap();
        let disk = BlockingDisk::new(root.path());
        for mode in [Mode::Create, Mode::Write] {
            let held = run(disk.open("one", mode)).unwrap();
            run(held.write_at(Rc::new(Block::zeroed(4096)), 4096, 0)).unwrap();
            let other = fs::File::open(root.path().join("one")).unwrap();
            assert!(matches!(
                other.try_lock(),
                Err(fs::TryLockError::WouldBlock)
            ));
            drop(held);
            other.try_lock().unwrap();
        }
    }

    #[test]
    fn create_refuses_a_file_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        let disk = BlockingDisk::new(root.path());
        run(disk.open("one", Mode::Create)).map(drop).unwrap();
        let error = run(disk.open("one", Mode::Create)).map(drop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }
}
