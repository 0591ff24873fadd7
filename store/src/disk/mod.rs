//! Files as the log needs them: owned blocks in, owned blocks out, durable when the call returns.
//!
//! `Disk` is injected: `engine::reactor` brings one on io_uring, [`blocking`] one on plain system
//! calls for tools, [`sim`] one in memory that loses, tears and fails by a seed. All of them live
//! on one thread; futures need not be `Send`.

pub mod block;
pub mod blocking;
pub mod create;
pub mod executor;
pub mod fault;
pub mod home;
pub mod map;
pub mod sim;

pub use block::Block;
pub use map::Map;
use std::io;
use std::rc::Rc;

/// A directory of files. Paths are relative, with `/`, and never leave the directory. Clones are
/// the same directory.
pub trait Disk: Clone + 'static {
    type File: File;

    /// Opens a file; the directory above must be there.
    fn open(&self, path: &str, mode: Mode) -> impl Future<Output = io::Result<Self::File>>;

    /// Names in a directory, unsorted; empty where the directory is not there.
    fn list(&self, directory: &str) -> impl Future<Output = io::Result<Vec<String>>>;

    /// Makes a directory and those above it; durable on return.
    fn create_directory(&self, path: &str) -> impl Future<Output = io::Result<()>>;

    /// Renames a file over another; durable on return.
    fn rename(&self, from: &str, to: &str) -> impl Future<Output = io::Result<()>>;

    /// Removes a file; durable on return.
    fn remove(&self, path: &str) -> impl Future<Output = io::Result<()>>;

    /// The content of a file that nobody changes any more, as memory.
    fn map(&self, path: &str) -> impl Future<Output = io::Result<Map>>;

    /// Whether writes go around the page cache (`O_DIRECT`), for the log and the metrics.
    fn is_direct(&self) -> bool;
}

/// One disk for several rooms of a shard.
impl<D: Disk> Disk for Rc<D> {
    type File = D::File;

    async fn open(&self, path: &str, mode: Mode) -> io::Result<D::File> {
        (**self).open(path, mode).await
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        (**self).list(directory).await
    }

    async fn create_directory(&self, path: &str) -> io::Result<()> {
        (**self).create_directory(path).await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        (**self).rename(from, to).await
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        (**self).remove(path).await
    }

    async fn map(&self, path: &str) -> io::Result<Map> {
        (**self).map(path).await
    }

    fn is_direct(&self) -> bool {
        (**self).is_direct()
    }
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Reads through the page cache.
    Read,
    /// Reads and writes with `O_DIRECT|O_DSYNC` where the file system has it, else `O_DSYNC`.
    ///
    /// Takes an exclusive `flock` and waits for it: a write that a killed process left under way
    /// holds the open file, and so the lock, until it has ended. One file is open for writing once.
    Write,
    /// As `Write`, for a file that is not there yet; its name is durable on return.
    Create,
}

/// One open file. Offsets and lengths of writes are multiples of `BLOCK_BYTES`.
#[expect(
    clippy::len_without_is_empty,
    reason = "nobody asks whether a segment is empty"
)]
pub trait File: 'static {
    /// Writes the first `bytes` of `block` at `offset`. `Ok` means durable. After `Err` nothing is
    /// known about the range, and the caller must not write it again (storage.md §1.2).
    fn write_at(
        &self,
        block: Rc<Block>,
        bytes: usize,
        offset: u64,
    ) -> impl Future<Output = io::Result<()>>;

    /// Reads up to `bytes` at `offset` into a block of its own; fewer only at the end of the file.
    fn read_at(&self, offset: u64, bytes: usize) -> impl Future<Output = io::Result<Block>>;

    /// Writes zeros over `from..to`, extending the file, so that later writes there are pure
    /// overwrites; durable on return. Runs beside writes below `from`.
    fn zero(&self, from: u64, to: u64) -> impl Future<Output = io::Result<()>>;

    /// Takes the space for `from..to`, extending the file with what reads as zeros: later writes
    /// there are not refused by a full disk. Writes nothing where the file system can do that;
    /// after a power cut the file may be as short as before. Runs beside writes below `from`.
    fn reserve(&self, from: u64, to: u64) -> impl Future<Output = io::Result<()>>;

    /// Length in bytes.
    fn len(&self) -> impl Future<Output = io::Result<u64>>;
}
