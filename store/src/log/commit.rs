//! The committer: takes the pending frame, writes it, tells what became of it, takes the next.
//!
//! One frame is in flight at a time (`FRAMES_IN_FLIGHT_MAX`). A failed write fences its segment:
//! nothing is written there again, and the frame goes to the next segment, whose header says where
//! this one ends. A frame has two tries; what comes then is decided in [`super::state`].

use super::frame::{CLEAN, FRAME_HEADER_BYTES, FrameHeader, SEAL};
use super::pending::{Flight, Seat};
use super::segment::FIRST_OFFSET;
use super::state::{EPOCH, Fit, SEAL_BYTES, State, Writer, verdict};
use super::{Log, Place};
use crate::codec::checksum::seat;
use crate::disk::{Block, Disk, File};
use crate::error::LogError;
use crate::limit::{BLOCK_BYTES, FRAMES_IN_FLIGHT_MAX};
use crate::mail::id::{FrameSeq, Lsn};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Writes of a frame, each to a segment of its own.
const TRIES_MAX: u32 = 2;

/// A frame that is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    pub frame: FrameSeq,
    /// Of the frame's start; records lie at the offsets that `append` gave.
    pub place: Place,
    pub first_lsn: Lsn,
    pub records: u32,
    /// On disk, padding included.
    pub bytes: usize,
    /// From the end of filling to durable.
    pub latency: Duration,
}

/// What became of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Durable(Commit),
    /// The frames from `first` to `last` will never be durable; see the head of this room.
    Failed {
        first: FrameSeq,
        last: FrameSeq,
        error: LogError,
    },
}

enum Failed {
    /// There is nowhere to write to; a second try would not help.
    Supply(LogError),
    /// The segment that was written to is fenced.
    Write(io::Error),
}

impl<D: Disk> Log<D> {
    /// Commits until the log is closed, and pre-writes beside that. Call it once. `on_outcome` is
    /// called for each frame before those who wait for it are woken; it may append.
    pub async fn run(&self, mut on_outcome: impl FnMut(&Outcome)) {
        let mut commit = pin!(self.commit_all(&mut on_outcome));
        let mut supply = pin!(self.supply_all());
        let (mut committed, mut supplied) = (false, false);
        poll_fn(|context| {
            self.bell.rounds(context, |context| {
                committed = committed || commit.as_mut().poll(context).is_ready();
                supplied = supplied || supply.as_mut().poll(context).is_ready();
                match committed && supplied {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
        })
        .await;
    }

    async fn commit_all(&self, on_outcome: &mut impl FnMut(&Outcome)) {
        while let Some(flight) = self.once(State::next_flight).await {
            self.swapped.wake_all();
            let outcome = self.settle(flight).await;
            on_outcome(&outcome);
            self.answered.wake_all();
            // A failure also changes what `room` answers.
            self.swapped.wake_all();
        }
        self.mark_clean_end().await;
        self.state.borrow_mut().finished = true;
        self.bell.ring();
    }

    /// Ready when `ask` is; asked again whenever something changed.
    pub(super) async fn once<T>(&self, mut ask: impl FnMut(&mut State<D::File>) -> Poll<T>) -> T {
        poll_fn(|_| ask(&mut self.state.borrow_mut())).await
    }

    async fn settle(&self, mut flight: Flight) -> Outcome {
        let began = (self.options.clock)();
        match self.write(&mut flight).await {
            Ok(chain) => self.succeed(flight, chain, began),
            Err(error) => self.give_up(flight, error),
        }
    }

    fn succeed(&self, flight: Flight, chain: u32, began: Duration) -> Outcome {
        let (frame, first_lsn) = (flight.frame, flight.first_lsn);
        let (records, bytes) = (flight.records, flight.frame_bytes());
        Outcome::Durable(Commit {
            frame,
            place: self.state.borrow_mut().advance(flight, chain),
            first_lsn,
            records,
            bytes,
            latency: (self.options.clock)().saturating_sub(began),
        })
    }

    fn give_up(&self, flight: Flight, error: LogError) -> Outcome {
        let now = (self.options.clock)();
        let pause = self.options.full_pause;
        let first = flight.frame;
        let last = self
            .state
            .borrow_mut()
            .fail(flight, error.clone(), now, pause);
        Outcome::Failed { first, last, error }
    }

    /// Gives the chain value of the frame when it is durable.
    async fn write(&self, flight: &mut Flight) -> Result<u32, LogError> {
        for _ in 1..TRIES_MAX {
            match self.try_write(flight).await {
                Err(Failed::Write(_)) => {}
                Err(Failed::Supply(error)) => return Err(error),
                Ok(chain) => return Ok(chain),
            }
        }
        self.try_write(flight).await.map_err(|failed| match failed {
            Failed::Supply(error) => error,
            Failed::Write(error) => verdict(&error),
        })
    }

    async fn try_write(&self, flight: &mut Flight) -> Result<u32, Failed> {
        let bytes = flight.frame_bytes();
        while let Fit::Roll = self
            .once(|state| state.fit(bytes as u64))
            .await
            .map_err(Failed::Supply)?
        {
            self.roll().await?;
        }
        let (file, place) = self.next_seat();
        let chain = flight.seal(&place);
        let written = file.write_at(flight.block(), bytes, place.offset).await;
        written.map_err(|error| self.fence(error))?;
        Ok(chain)
    }

    fn next_seat(&self) -> (Rc<D::File>, Seat) {
        let state = self.state.borrow();
        let writer = &state.writer;
        let place = Seat {
            salt: writer.salt,
            offset: writer.end,
            epoch: EPOCH,
            previous: writer.chain,
            durable_upto: state.durable,
        };
        (writer.file.clone(), place)
    }

    /// storage.md §1.2: a failed write may be reported once and then forgotten by the kernel, so
    /// the segment takes nothing more.
    fn fence(&self, error: io::Error) -> Failed {
        let mut state = self.state.borrow_mut();
        state.writer.closed = true;
        state.counters.failed_writes += 1;
        Failed::Write(error)
    }

    /// Seals the present segment unless it is fenced, and begins the prepared one.
    async fn roll(&self) -> Result<(), Failed> {
        self.mark(SEAL, SEAL_BYTES).await;
        let (file, mut header) = {
            let mut state = self.state.borrow_mut();
            state.writer.closed = true;
            let header = state.next_header(&self.options);
            // It stays in the state meanwhile, or the pre-writer would put another in its place.
            let prepared = state.prepared.as_ref();
            (prepared.map(|prepared| prepared.file.clone()), header)
        };
        let Some(file) = file else {
            return Ok(());
        };
        let written = file
            .write_at(Rc::new(header.encode()), BLOCK_BYTES, 0)
            .await;
        let prepared = self.state.borrow_mut().prepared.take();
        // After an error the file is not used again: the pre-writer replaces it.
        written.map_err(|error| self.fence(error))?;
        let zeroed = prepared.map_or(FIRST_OFFSET, |prepared| prepared.zeroed);
        let mut state = self.state.borrow_mut();
        state.counters.segments += 1;
        state.writer = Writer::begin(&header, file, zeroed);
        Ok(())
    }

    /// Says that the log ends here on purpose, so that damage to the last frame is not taken for a
    /// torn write.
    async fn mark_clean_end(&self) {
        if self.state.borrow().counters.frames > 0 {
            self.mark(CLEAN, 2 * SEAL_BYTES).await;
        }
    }

    /// Writes a frame without records if `room` is left for it. Without room or after an error the
    /// log is as valid as before, it only says less.
    async fn mark(&self, flag: u8, room: u64) {
        let fit = self.once(|state| state.fit_mark(room)).await;
        if !matches!(fit, Ok(Fit::Here)) {
            return;
        }
        let (file, place) = self.next_seat();
        let (block, chain) = self.mark_frame(flag, &place);
        let written = file.write_at(block, BLOCK_BYTES, place.offset).await;
        if written.map_err(|error| self.fence(error)).is_ok() {
            let mut state = self.state.borrow_mut();
            state.writer.end += SEAL_BYTES;
            state.writer.chain = chain;
        }
    }

    fn mark_frame(&self, flags: u8, place: &Seat) -> (Rc<Block>, u32) {
        let mut header = FrameHeader {
            flags,
            frame_bytes: BLOCK_BYTES as u32,
            payload_bytes: 0,
            frame: place.durable_upto,
            epoch: place.epoch,
            first_lsn: self.state.borrow().durable_lsn,
            durable_upto: place.durable_upto,
            previous: place.previous,
            records: 0,
            records_crc: 0,
            chain: 0,
        };
        let mut bytes = [0; FRAME_HEADER_BYTES];
        header.encode(&mut bytes, seat(place.salt, place.offset));
        let mut block = Block::zeroed(BLOCK_BYTES);
        let (head, _) = block.as_mut_slice().split_at_mut(FRAME_HEADER_BYTES);
        head.copy_from_slice(&bytes);
        (Rc::new(block), header.chain)
    }
}

// The recovery rules, and the single `Flight` above, know of one frame in flight only.
const _: () = assert!(FRAMES_IN_FLIGHT_MAX == 1);
