//! The log of one shard: append → durable; nothing else.
//!
//! One writer, one frame per group commit: records that are appended while a frame is on its way to
//! the disk make up the next one. Layout, validity rules and the recovery argument: `FORMAT.md`.
//!
//! ```text
//! append ─→ Pending ─ seal ─→ one O_DIRECT|O_DSYNC write ─ Ok ──→ durable, observer, waiters
//!                                                        └ Err ─→ fence: new segment, once more
//!                                                                  └ Err ─→ given up, all of it
//! ```

pub mod anew;
mod error;
mod frame;
mod pending;
mod place;
mod position;
mod reader;
mod recovery;
mod retire;
mod roll;
pub mod scan;
mod segment;
mod spare;
mod state;
mod stretch;
mod supply;
mod tail;
mod waiting;
mod walk;
mod writer;

pub use error::OpenError;
pub(crate) use frame::RecordHeader;
pub use frame::record_bytes;
pub use place::{BLOCK_RECORDS_MAX, CONTAINERS_MAX, PACK_BLOCKS_MAX, Place};
pub use position::{Begin, Position};
pub use reader::Record;
pub use retire::Retired;

use crate::disk::Disk;
use crate::error::LogError;
use crate::limit::{FRAME_BYTES_MAX, HOT_TAIL_BYTES, SEGMENT_BYTES};
use crate::mail::id::{FrameSeq, Lsn, ShardId};
use reader::Readers;
use state::{Class, State};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use tail::HotTail;
use waiting::{Bell, FrameWaiters, Waiters};
use writer::Writer;

/// Bytes of a record beside its payload, padding not counted.
pub const RECORD_HEADER_BYTES: usize = frame::RECORD_HEADER_BYTES;

/// One record to append: its payload is `parts`, one behind the other.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    pub kind: u8,
    pub account: u32,
    pub parts: [&'a [u8]; 2],
}

impl Draft<'_> {
    /// Octets of the payload.
    fn octets(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}

/// What `append` promises: the records lie in frame `frame`, at these offsets from its start.
pub struct Appended {
    /// Counts what this process appended; never used again, also when the frame is given up.
    pub frame: FrameSeq,
    pub first_lsn: Lsn,
    /// In the order of the drafts.
    pub offsets: Vec<u32>,
}

/// A record as it is replayed.
pub struct RecordRef<'a> {
    pub kind: u8,
    pub account: u32,
    pub lsn: Lsn,
    pub payload: &'a [u8],
}

/// Called for each record of each durable frame, oldest first; an error stops the opening.
pub type Replay<'a> = &'a mut dyn FnMut(Place, &RecordRef<'_>) -> Result<(), String>;

/// What the log is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    pub store: [u8; 16],
    pub shard: ShardId,
    /// Size of a segment file, in bytes.
    pub segment_bytes: u64,
    /// Durable frames kept in memory, in bytes.
    pub hot_tail_bytes: usize,
    /// Where the salts of segments come from.
    pub random: fn() -> u64,
    /// Microseconds of a clock that does not go back, for the latency of commits.
    pub clock_micros: fn() -> u64,
}

impl Options {
    /// The usual sizes, the kernel's randomness, and no clock.
    #[must_use]
    pub fn new(store: [u8; 16], shard: u16) -> Options {
        Options {
            store,
            shard: ShardId(shard),
            segment_bytes: SEGMENT_BYTES,
            hot_tail_bytes: HOT_TAIL_BYTES,
            random: || getrandom::u64().expect("the kernel gives randomness after boot"),
            clock_micros: || 0,
        }
    }
}

/// What opening found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recovered {
    /// That are part of the log, replayed or not.
    pub segments: u32,
    /// Files of segments before the first that is part of the log: the caller may retire them.
    pub leftovers: u32,
    /// Of what was replayed, as the two below.
    pub frames: u64,
    pub records: u64,
    pub bytes: u64,
    /// A frame that was being written when the last life ended was cut off; nobody was told of it.
    pub torn: bool,
}

/// A frame that became durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commit {
    pub frame: FrameSeq,
    pub start: Place,
    pub records: u32,
    /// On disk, header and padding included.
    pub bytes: usize,
    /// From the write to its completion.
    pub micros: u64,
    pub last_lsn: Lsn,
}

/// What `run` tells its observer, before anybody who waits.
pub enum Outcome<'a> {
    Durable(&'a Commit),
    /// Everything that was appended and is not durable is given up and will never be in the log.
    GivenUp,
}

/// Counters since the log was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    pub frames: u64,
    pub records: u64,
    pub bytes: u64,
    pub failed_writes: u64,
    pub zeroed_bytes: u64,
    /// Segments that were made of a spare file.
    pub recycled_segments: u64,
}

pub struct Log<D: Disk> {
    disk: D,
    directory: String,
    options: Options,
    state: RefCell<State>,
    tail: RefCell<HotTail>,
    readers: Readers<D::File>,
    /// Numbers in the names of the spare files.
    spares: RefCell<BTreeSet<u32>>,
    /// Taken by `run`.
    writer: RefCell<Option<Writer<D::File>>>,
    /// Rings for `run`.
    bell: Bell,
    /// Tasks that wait for durability.
    waiters: FrameWaiters,
    /// Tasks that wait for room in the next frame.
    roomers: Waiters,
    stats: Cell<Stats>,
}

impl<D: Disk> Log<D> {
    /// Opens the log in `directory`, making it where nothing is there, and calls `replay` for
    /// every durable record from the beginning that is asked for.
    pub async fn open(
        disk: D,
        directory: &str,
        options: Options,
        begin: Begin,
        replay: Replay<'_>,
    ) -> Result<(Log<D>, Recovered), OpenError> {
        let end = recovery::recover(&disk, directory, &options, &begin, replay).await?;
        let state = State::new(&end, begin.first_segment);
        let recovered = end.recovered;
        let spares = RefCell::new(end.spares.clone());
        let log = Log {
            tail: RefCell::new(HotTail::new(options.hot_tail_bytes)),
            readers: Readers::default(),
            spares,
            writer: RefCell::new(Some(Writer::new(end))),
            disk,
            directory: directory.to_owned(),
            options,
            state: RefCell::new(state),
            bell: Bell::default(),
            waiters: FrameWaiters::default(),
            roomers: Waiters::default(),
            stats: Cell::default(),
        };
        Ok((log, recovered))
    }

    /// Waits until the frame under construction can take records of `bytes` in all, each counted
    /// by [`record_bytes`]. `Full` at once where the disk has space for urgent records only.
    pub async fn room(&self, bytes: usize) -> Result<(), LogError> {
        self.room_for(bytes, Class::Ordinary).await
    }

    /// As [`room`](Self::room), for what gives space back or settles what is there: it may use the
    /// reserve of a full disk.
    pub async fn room_urgent(&self, bytes: usize) -> Result<(), LogError> {
        self.room_for(bytes, Class::Urgent).await
    }

    async fn room_for(&self, bytes: usize, class: Class) -> Result<(), LogError> {
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(LogError::Full);
        }
        let room = || self.state.borrow().room(bytes, class);
        let answer = self.roomers.until(room).await;
        if answer == Err(LogError::Full) {
            self.retry_in_time();
        }
        answer
    }

    /// Adds records that become durable together. `Full`: there is no room, see
    /// [`room`](Self::room).
    pub fn append<'a, I>(&self, drafts: I) -> Result<Appended, LogError>
    where
        I: IntoIterator<Item = Draft<'a>, IntoIter: ExactSizeIterator + Clone>,
    {
        let appended = self.state.borrow_mut().append(drafts.into_iter());
        match appended {
            Ok(_) => self.bell.ring(),
            Err(_) => self.retry_in_time(),
        }
        appended
    }

    /// Waits until a frame is durable, or known never to be.
    pub async fn durable(&self, frame: FrameSeq) -> Result<(), LogError> {
        let fate = || self.state.borrow().fate(frame);
        self.waiters.until(frame, fate).await
    }

    pub fn is_durable(&self, frame: FrameSeq) -> bool {
        self.state.borrow().fate(frame) == Some(Ok(()))
    }

    /// Behind the last durable frame: a log that is opened from here replays what comes later. The
    /// observer of [`run`](Self::run) finds the frame before it that it is just told of.
    pub fn end(&self) -> Position {
        self.state.borrow().end
    }

    /// Whether a failed write has ended the log's life as something to write to.
    pub fn is_read_only(&self) -> bool {
        self.state.borrow().is_read_only
    }

    /// Whether records of the kind TIME may be appended: a segment of the first build takes none.
    pub fn has_times(&self) -> bool {
        self.state.borrow().has_times
    }

    /// Whether records about the queue may be appended: a segment of an earlier build takes none,
    /// and whoever has some [`turn`](Self::turn)s.
    pub fn has_queue(&self) -> bool {
        self.state.borrow().has_queue
    }

    /// Whether memos may be appended: as for the queue.
    pub fn has_memos(&self) -> bool {
        self.state.borrow().has_memos
    }

    /// Whether records may say when a message was saved: as for the queue.
    pub fn has_saves(&self) -> bool {
        self.state.borrow().has_saves
    }

    /// No more appends; `run` writes what is pending and returns.
    pub fn close(&self) {
        self.state.borrow_mut().is_closed = true;
        self.bell.ring();
        self.roomers.wake_all();
        self.waiters.wake_all();
    }

    /// The next frame goes to a new segment, although the present one has room. If none can be
    /// made, that frame is given up, and the one behind it stays.
    pub fn turn(&self) {
        self.state.borrow_mut().is_turn_due = true;
    }

    /// Size of a segment file, in bytes.
    pub fn segment_bytes(&self) -> u64 {
        self.options.segment_bytes
    }

    pub fn stats(&self) -> Stats {
        self.stats.get()
    }

    /// Whether writes go around the page cache.
    pub fn is_direct(&self) -> bool {
        self.disk.is_direct()
    }

    fn count(&self, change: impl FnOnce(&mut Stats)) {
        let mut stats = self.stats.get();
        change(&mut stats);
        self.stats.set(stats);
    }
}

/// Records of one frame, headers and padding included, in bytes.
pub(crate) const PAYLOAD_BYTES_MAX: usize = FRAME_BYTES_MAX - frame::FRAME_HEADER_BYTES;
