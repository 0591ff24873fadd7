//! The disk of a shard ([`store::disk::Disk`]): writes and reads of blocks through the ring, all
//! else on worker threads, so that no file system call runs on the shard.
//!
//! - A write is one operation on a descriptor with `O_DIRECT|O_DSYNC`: durable when it completes.
//!   Whether the file system takes `O_DIRECT` is tried once, by a write, when the disk is opened.
//! - Reads go through the page cache on a second descriptor. What is in it is copied at once, by a
//!   call that never waits; a few hundred kilobytes later the ring has a turn, and with it the
//!   other tasks of the shard.
//! - On epoll, reads and writes too run on the workers; a write is copied for that.
//! - A block in flight is owned by the operation: a dropped future never frees it under the kernel.

use super::local;
use super::offload::Pool;
use super::runtime::Backend;
use monoio::buf::{IoBuf, IoBufMut};
use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::cell::Cell;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use store::disk::{Block, Disk, File, Map, Mode};
use store::limit::BLOCK_BYTES;

/// A directory of files of this shard.
#[derive(Clone)]
pub struct RingDisk {
    root: PathBuf,
    direct: bool,
    backend: Backend,
    pool: Pool,
}

/// One open file of a [`RingDisk`].
pub struct RingFile {
    read: Handle,
    write: Option<Handle>,
    /// The writing descriptor again, for the workers.
    zero: Option<Arc<fs::File>>,
    /// Octets that were read at once since the ring had a turn.
    at_once: Cell<usize>,
    pool: Pool,
}

/// Octets that are read at once before the ring has a turn.
const AT_ONCE_BYTES_MAX: usize = 384 << 10;

/// What a read counts for beside its octets.
const READ_BYTES: usize = 4 << 10;

/// Zeros written by one call.
const ZERO_STEP_BYTES: u64 = 1 << 20;

impl RingDisk {
    /// Opens the directory, which must exist, on this shard; `pool` does the blocking calls.
    pub async fn open(root: PathBuf, pool: Pool) -> io::Result<RingDisk> {
        let backend = local::with(|local| local.backend);
        let tried = root.clone();
        let direct = pool.offload_patiently(move || takes_direct(&tried)).await?;
        Ok(RingDisk {
            root,
            direct,
            backend,
            pool,
        })
    }

    fn path(&self, path: &str) -> io::Result<PathBuf> {
        let inside = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if inside {
            return Ok(self.root.join(path));
        }
        Err(io::Error::new(
            ErrorKind::InvalidInput,
            "a path that leaves the data directory",
        ))
    }
}

impl Disk for RingDisk {
    type File = RingFile;

    async fn open(&self, path: &str, mode: Mode) -> io::Result<RingFile> {
        let (path, direct) = (self.path(path)?, self.direct);
        let open = move || open_both(&path, mode, direct);
        let (read, write) = self.pool.offload_patiently(open).await?;
        let zero = write.as_ref().map(fs::File::try_clone).transpose()?;
        let write = write
            .map(|file| Handle::new(file, self.backend))
            .transpose()?;
        Ok(RingFile {
            read: Handle::new(read, self.backend)?,
            write,
            zero: zero.map(Arc::new),
            at_once: Cell::new(0),
            pool: self.pool.clone(),
        })
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let path = self.path(directory)?;
        self.pool.offload_patiently(move || list_names(&path)).await
    }

    async fn create_directory(&self, path: &str) -> io::Result<()> {
        let (root, path) = (self.root.clone(), self.path(path)?);
        let create = move || {
            fs::create_dir_all(&path)?;
            let made = path.ancestors().take_while(|above| *above != root);
            made.chain([root.as_path()]).try_for_each(sync_directory)
        };
        self.pool.offload_patiently(create).await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from)?, self.path(to)?);
        let rename = move || {
            fs::rename(&from, &to)?;
            sync_parent(&to)?;
            if from.parent() == to.parent() {
                Ok(())
            } else {
                sync_parent(&from)
            }
        };
        self.pool.offload_patiently(rename).await
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        let path = self.path(path)?;
        let remove = move || fs::remove_file(&path).and_then(|()| sync_parent(&path));
        self.pool.offload_patiently(remove).await
    }

    async fn map(&self, path: &str) -> io::Result<Map> {
        let path = self.path(path)?;
        let map = move || Map::of_file(&path);
        self.pool.offload_patiently(map).await
    }

    fn is_direct(&self) -> bool {
        self.direct
    }
}

impl File for RingFile {
    async fn write_at(&self, block: Rc<Block>, bytes: usize, offset: u64) -> io::Result<()> {
        assert!(bytes.is_multiple_of(BLOCK_BYTES) && bytes <= block.len());
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64));
        match self.write.as_ref() {
            Some(Handle::Ring(file)) => write_in_ring(file, block, bytes, offset).await,
            Some(Handle::Threads(file)) => {
                let copy = Block::copy_of(block.as_slice().get(..bytes).unwrap_or_default());
                let file = file.clone();
                let write = move || file.write_all_at(copy.as_slice(), offset);
                self.pool.offload_patiently(write).await
            }
            None => Err(read_only()),
        }
    }

    async fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Block> {
        match &self.read {
            Handle::Ring(file) => {
                let mut block = Block::zeroed(bytes);
                let filled = self.read_at_once(file, &mut block, offset);
                match filled == bytes {
                    true => Ok(block),
                    false => read_in_ring(file, (block, filled), offset).await,
                }
            }
            Handle::Threads(file) => {
                let file = file.clone();
                let read = move || read_blocking(&file, offset, bytes);
                self.pool.offload_patiently(read).await
            }
        }
    }

    async fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        assert!(from.is_multiple_of(BLOCK_BYTES as u64) && to.is_multiple_of(BLOCK_BYTES as u64));
        let file = self.zero.clone().ok_or_else(read_only)?;
        self.pool
            .offload_patiently(move || zero_blocking(&file, from, to))
            .await
    }

    async fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        let file = self.zero.clone().ok_or_else(read_only)?;
        self.pool
            .offload_patiently(move || reserve_blocking(&file, from, to))
            .await
    }

    async fn len(&self) -> io::Result<u64> {
        // No disk access: the inode of an open file is in memory.
        let stat = match &self.read {
            Handle::Ring(file) => rustix::fs::fstat(borrow(file))?,
            Handle::Threads(file) => rustix::fs::fstat(file)?,
        };
        u64::try_from(stat.st_size).map_err(|_| ErrorKind::InvalidData.into())
    }
}

/// Where the operations of a descriptor run.
enum Handle {
    Ring(monoio::fs::File),
    Threads(Arc<fs::File>),
}

impl Handle {
    fn new(file: fs::File, backend: Backend) -> io::Result<Handle> {
        match backend {
            Backend::Uring => monoio::fs::File::from_std(file).map(Handle::Ring),
            Backend::Epoll => Ok(Handle::Threads(Arc::new(file))),
        }
    }
}

async fn write_in_ring(
    file: &monoio::fs::File,
    block: Rc<Block>,
    bytes: usize,
    offset: u64,
) -> io::Result<()> {
    let mut written = 0;
    while written < bytes {
        let part = Outgoing {
            block: block.clone(),
            from: written,
            to: bytes,
        };
        match file.write_at(part, offset + written as u64).await.0 {
            // Direct I/O goes on from a block boundary; the same octets are written again.
            Ok(count) if count >= BLOCK_BYTES || written + count == bytes => {
                written += count;
                if written < bytes {
                    written -= written % BLOCK_BYTES;
                }
            }
            Ok(_) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl RingFile {
    /// Reads what is in the page cache; how many octets that were, from the front.
    fn read_at_once(&self, file: &monoio::fs::File, block: &mut Block, offset: u64) -> usize {
        let before = self.at_once.get();
        if before > AT_ONCE_BYTES_MAX {
            self.at_once.set(0);
            return 0;
        }
        let into = &mut [IoSliceMut::new(block.as_mut_slice())];
        // Whatever the file system says to this, the ring says it again.
        let read = preadv2(borrow(file), into, offset, ReadWriteFlags::NOWAIT).unwrap_or(0);
        self.at_once.set(before + read + READ_BYTES);
        read
    }
}

/// Fills the rest of a block.
async fn read_in_ring(
    file: &monoio::fs::File,
    (mut block, mut filled): (Block, usize),
    offset: u64,
) -> io::Result<Block> {
    let bytes = block.len();
    while filled < bytes {
        let part = Incoming {
            block,
            from: filled,
            to: bytes,
        };
        let (result, part) = file.read_at(part, offset + filled as u64).await;
        block = part.block;
        match result {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    block.truncate(filled);
    Ok(block)
}

/// A part of a block that the kernel reads.
struct Outgoing {
    block: Rc<Block>,
    from: usize,
    to: usize,
}

/// A part of a block that the kernel fills.
struct Incoming {
    block: Block,
    from: usize,
    to: usize,
}

// SAFETY: a block's memory stays where it is while the block lives, and the operation owns the
// `Rc`; nobody writes a block that others can see. `from <= to <= block.len()` as made above.
#[expect(unsafe_code, reason = "monoio's contract for buffers")]
unsafe impl IoBuf for Outgoing {
    fn read_ptr(&self) -> *const u8 {
        self.block
            .as_slice()
            .get(self.from..)
            .unwrap_or_default()
            .as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.to - self.from
    }
}

// SAFETY: as above, and the operation is the block's only owner. All of it is initialised.
#[expect(unsafe_code, reason = "monoio's contract for buffers")]
unsafe impl IoBufMut for Incoming {
    fn write_ptr(&mut self) -> *mut u8 {
        self.block
            .as_mut_slice()
            .get_mut(self.from..)
            .unwrap_or_default()
            .as_mut_ptr()
    }

    fn bytes_total(&mut self) -> usize {
        self.to - self.from
    }

    // SAFETY: demands nothing, as nothing is done.
    unsafe fn set_init(&mut self, _: usize) {}
}

#[expect(unsafe_code, reason = "monoio 0.2 gives raw descriptors only")]
fn borrow(file: &monoio::fs::File) -> BorrowedFd<'_> {
    // SAFETY: `file` owns the descriptor and the result borrows `file`.
    unsafe { BorrowedFd::borrow_raw(file.as_raw_fd()) }
}

fn open_both(path: &Path, mode: Mode, direct: bool) -> io::Result<(fs::File, Option<fs::File>)> {
    if mode == Mode::Read {
        return Ok((fs::File::open(path)?, None));
    }
    let write = write_options(direct)
        .create_new(mode == Mode::Create)
        .open(path)?;
    // A write that a killed process left in the kernel holds the lock until it has ended.
    write.lock()?;
    match mode {
        Mode::Create => sync_parent(path)?,
        // What a killed process wrote through the page cache must not vanish later.
        Mode::Write | Mode::Read => write.sync_data()?,
    }
    Ok((fs::File::open(path)?, Some(write)))
}

fn write_options(direct: bool) -> OpenOptions {
    let durable = OFlags::DSYNC;
    let flags = if direct {
        durable | OFlags::DIRECT
    } else {
        durable
    };
    let mut options = OpenOptions::new();
    // Mail is nobody else's business.
    options
        .write(true)
        .mode(0o600)
        .custom_flags(flags.bits() as i32);
    options
}

/// Tries one direct write to a file that has a name only for that moment.
fn takes_direct(root: &Path) -> io::Result<bool> {
    let mut name = OsString::from(".direct-");
    name.push(std::process::id().to_string());
    name.push(format!("-{:?}", std::thread::current().id()));
    let path = root.join(name);
    let file = match write_options(true).create(true).open(&path) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => return Ok(false),
        other => other?,
    };
    let written = file.write_all_at(Block::zeroed(BLOCK_BYTES).as_slice(), 0);
    fs::remove_file(&path)?;
    match written {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(false),
        other => other.map(|()| true),
    }
}

fn zero_blocking(file: &fs::File, from: u64, to: u64) -> io::Result<()> {
    let zeros = Block::zeroed(ZERO_STEP_BYTES as usize);
    let mut offset = from;
    while offset < to {
        let step = ZERO_STEP_BYTES.min(to - offset);
        // Durable: the descriptor has O_DSYNC.
        file.write_all_at(
            zeros.as_slice().get(..step as usize).unwrap_or_default(),
            offset,
        )?;
        offset += step;
    }
    Ok(())
}

/// Zeros where the file system cannot reserve.
fn reserve_blocking(file: &fs::File, from: u64, to: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), from, to - from) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => zero_blocking(file, from, to),
        other => Ok(other?),
    }
}

fn read_blocking(file: &fs::File, offset: u64, bytes: usize) -> io::Result<Block> {
    let mut block = Block::zeroed(bytes);
    let mut filled = 0;
    while filled < bytes {
        let rest = block.as_mut_slice().get_mut(filled..).unwrap_or_default();
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    block.truncate(filled);
    Ok(block)
}

fn list_names(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // A name that is not UTF-8 is not ours.
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_directory)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

fn read_only() -> io::Error {
    io::Error::new(
        ErrorKind::PermissionDenied,
        "the file was opened for reading",
    )
}
