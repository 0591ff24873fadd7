//! The log of one shard: append → durable; nothing else.
//!
//! One writer, one frame per group commit: records that are appended while a frame is on its way to
//! the disk make up the next one. Layout, validity rules and the recovery argument: `FORMAT.md`.
//!
//! A frame ends in exactly one way, told to [`Log::run`]'s callback before anybody who waits for
//! it:
//!
//! - **durable**: it is in the log, for ever;
//! - **failed**: its records are not in the log of this life, and neither are those of any frame
//!   behind it that was begun: the caller drops what it derived from them. Their frame numbers and
//!   LSNs are not used again in this life. After `ReadOnly`, or after a crash before the log has
//!   healed, a frame whose write failed can turn out to have reached the disk, whole or not at all,
//!   as if the crash had come before the answer. A success is never told for it.

mod commit;
mod error;
mod frame;
mod options;
mod pending;
mod read;
mod recover;
mod scan;
mod segment;
mod state;
mod supply;
mod tail;
mod waiting;

pub use commit::{Commit, Outcome};
pub use error::OpenError;
pub use frame::record_bytes;
pub use options::Options;
pub use read::Record;
pub use recover::Recovered;
pub use state::Counters;

use crate::disk::Disk;
use crate::error::LogError;
use crate::mail::id::{FrameSeq, Lsn};
use read::Readers;
use state::State;
use std::cell::RefCell;
use std::rc::Rc;
use waiting::{Bell, Waiters};

/// Where a record or frame begins on disk: segment number and byte offset / 8, packed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place(pub u64);

/// One record to append: its payload is the concatenation of `parts`.
pub struct Draft<'a> {
    pub kind: u8,
    /// Version of the payload's layout, per kind.
    pub schema: u16,
    pub account: u32,
    pub parts: &'a [&'a [u8]],
}

/// What `append` promises: the records lie in frame `frame`, at these offsets from its start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    pub frame: FrameSeq,
    /// LSN of the first draft; the others follow by one.
    pub first_lsn: Lsn,
    /// Offsets of the records from the start of the frame, in the order of the drafts.
    pub offsets: Vec<u32>,
}

/// A record as it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordRef<'a> {
    pub kind: u8,
    pub schema: u16,
    pub account: u32,
    pub lsn: Lsn,
    pub payload: &'a [u8],
}

pub struct Log<D: Disk> {
    disk: Rc<D>,
    directory: String,
    options: Options,
    state: RefCell<State<D::File>>,
    readers: Readers<D::File>,
    /// For whoever waits for a frame.
    answered: Waiters,
    /// For whoever waits for room.
    swapped: Waiters,
    bell: Bell,
}

impl<D: Disk> Log<D> {
    /// Creates the log or recovers it. `replay` sees each record of each durable frame, oldest
    /// first; memory is bounded by two frames. Nothing on the disk is changed before every frame
    /// was found good.
    pub async fn open(
        disk: Rc<D>,
        directory: &str,
        options: Options,
        replay: &mut dyn FnMut(Place, &RecordRef<'_>) -> Result<(), String>,
    ) -> Result<(Log<D>, Recovered), OpenError> {
        options.check()?;
        let (state, recovered) = recover::recover(&*disk, directory, &options, replay).await?;
        let log = Log {
            disk,
            directory: directory.to_owned(),
            options,
            state: RefCell::new(state),
            readers: Readers::default(),
            answered: Waiters::default(),
            swapped: Waiters::default(),
            bell: Bell::default(),
        };
        Ok((log, recovered))
    }

    /// Waits until the pending frame takes `bytes` more: the sum of [`record_bytes`] of the drafts.
    /// What it answers holds until the caller's next await.
    ///
    /// # Panics
    /// When `bytes` is more than [`Log::append_bytes_max`]: no frame would ever take it.
    pub async fn room(&self, bytes: usize) -> Result<(), LogError> {
        assert!(
            bytes <= self.append_bytes_max(),
            "{bytes} bytes are more than a frame"
        );
        self.swapped
            .until(|| match self.admits() {
                Ok(()) => self.has_room(bytes).then_some(Ok(())),
                Err(error) => Some(Err(error)),
            })
            .await
    }

    /// Appends all drafts to one frame. After `Ok`, the outcome of that frame is the outcome of the
    /// drafts; `Err` means that nothing was appended.
    ///
    /// # Panics
    /// When [`Log::room`] was not asked for the drafts together, or a record is too large.
    pub fn append(&self, drafts: &[Draft<'_>]) -> Result<Appended, LogError> {
        self.admits()?;
        let bytes = drafts
            .iter()
            .map(|draft| record_bytes(draft.payload_bytes()))
            .sum();
        assert!(
            self.has_room(bytes),
            "an append of {bytes} bytes without room for it"
        );
        let mut state = self.state.borrow_mut();
        let appended = Appended {
            frame: state.pending.frame,
            first_lsn: state.pending.next_lsn(),
            offsets: drafts
                .iter()
                .map(|draft| state.pending.add(draft))
                .collect(),
        };
        drop(state);
        self.bell.ring();
        Ok(appended)
    }

    /// Waits for the outcome of a frame.
    pub async fn durable(&self, frame: FrameSeq) -> Result<(), LogError> {
        self.answered
            .until(|| self.state.borrow().outcome_of(frame))
            .await
    }

    /// No more appends; `run` writes what is pending and returns.
    pub fn close(&self) {
        self.state.borrow_mut().closing = true;
        self.swapped.wake_all();
        self.bell.ring();
    }

    /// The LSN that the next record gets.
    pub fn next_lsn(&self) -> Lsn {
        self.state.borrow().pending.next_lsn()
    }

    /// The last durable frame.
    pub fn durable_upto(&self) -> FrameSeq {
        self.state.borrow().durable
    }

    pub fn counters(&self) -> Counters {
        self.state.borrow().counters
    }

    /// The largest sum of [`record_bytes`] that one append can have.
    pub fn append_bytes_max(&self) -> usize {
        self.options.frame_bytes_max - frame::FRAME_HEADER_BYTES
    }

    fn admits(&self) -> Result<(), LogError> {
        self.state.borrow().admits((self.options.clock)())
    }

    fn has_room(&self, bytes: usize) -> bool {
        let grown = self.state.borrow().pending.frame_bytes_with(bytes);
        grown <= self.options.frame_bytes_max
    }
}

impl Place {
    pub fn new(segment: u32, offset: u64) -> Place {
        debug_assert!(offset.is_multiple_of(8) && offset >> 35 == 0);
        Place(u64::from(segment) << 32 | offset >> 3)
    }

    pub fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Byte offset in the segment.
    pub fn offset(self) -> u64 {
        (self.0 & u64::from(u32::MAX)) << 3
    }

    /// The place of a record: of its frame's start plus the offset that `append` gave.
    pub fn plus(self, offset: u32) -> Place {
        Place::new(self.segment(), self.offset() + u64::from(offset))
    }
}

impl Draft<'_> {
    pub fn payload_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}
