//! What callers of the log and its writer share: the frame under construction, what became of the
//! frames before it, and how much more may be appended while the disk is full.

use super::frame::{frame_bytes, record_bytes};
use super::pending::Pending;
use super::recovery::End;
use super::spare::Spare;
use super::{Appended, Draft, PAYLOAD_BYTES_MAX, Position};
use crate::error::LogError;
use crate::limit::LOG_RESERVE_BYTES;
use crate::mail::id::{FrameSeq, Lsn};
use std::ops::RangeInclusive;

pub(super) struct State {
    pub(super) pending: Pending,
    /// The frame that `pending` will be.
    pub(super) frame: FrameSeq,
    pub(super) next_lsn: Lsn,
    pub(super) durable: FrameSeq,
    /// Behind the last durable frame.
    pub(super) end: Position,
    /// That are part of the log.
    pub(super) segments: RangeInclusive<u32>,
    /// Frames that will never be durable: first and last, ascending.
    pub(super) given_up: Vec<(FrameSeq, FrameSeq, LogError)>,
    pub(super) is_closed: bool,
    /// The next frame goes to a new segment.
    pub(super) is_turn_due: bool,
    pub(super) is_read_only: bool,
    /// The present segment, and so every later one, may hold times.
    pub(super) has_times: bool,
    /// The same of records about the queue.
    pub(super) has_queue: bool,
    pub(super) has_memos: bool,
    pub(super) has_saves: bool,
    /// The device is full, as far as is known.
    pub(super) shortage: Option<Shortage>,
    /// Spare blocks for frames.
    pub(super) spare: Spare,
}

/// A full device: frames go only where zeros were written before.
pub(super) struct Shortage {
    /// Pre-written behind the frame on its way, in bytes.
    pub(super) room: u64,
    /// When the device was last asked for more, by the clock of the options.
    pub(super) asked_micros: u64,
    /// The writer is to ask again.
    pub(super) is_retry_due: bool,
}

/// What may be appended to a full disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// What asks for space: mail.
    Ordinary,
    /// What gives space back or settles what is there already.
    Urgent,
}

impl State {
    pub(super) fn new<F>(end: &End<F>, first_segment: u32) -> State {
        State {
            pending: Pending::default(),
            frame: FrameSeq(1),
            next_lsn: end.next_lsn,
            durable: FrameSeq(0),
            end: end.position(),
            segments: first_segment..=end.header.segment,
            given_up: Vec::new(),
            is_closed: false,
            is_turn_due: false,
            is_read_only: end.is_read_only,
            has_times: end.header.has_times,
            has_queue: end.header.has_queue,
            has_memos: end.header.has_memos,
            has_saves: end.header.has_saves,
            shortage: None,
            spare: Spare::default(),
        }
    }

    pub(super) fn append<'a>(
        &mut self,
        drafts: impl ExactSizeIterator<Item = Draft<'a>> + Clone,
    ) -> Result<Appended, LogError> {
        if let Some(error) = self.refusal() {
            return Err(error);
        }
        let records = drafts.clone();
        let more: usize = records.map(|draft| record_bytes(draft.octets())).sum();
        // Whoever asked for room as an ordinary one has left the reserve alone.
        if !self.admits(more, Class::Urgent) {
            return Err(LogError::Full);
        }
        let first_lsn = self.next_lsn;
        let offsets = self.pending.append(drafts, first_lsn, &mut self.spare)?;
        self.next_lsn.0 += offsets.len() as u64;
        // Nothing to write is durable already: no frame may ever follow.
        let frame = if offsets.is_empty() {
            self.durable
        } else {
            self.frame
        };
        Ok(Appended {
            frame,
            first_lsn,
            offsets,
        })
    }

    /// Whether records of `bytes` can be appended now; `None` while there is no room in the frame.
    pub(super) fn room(&self, bytes: usize, class: Class) -> Option<Result<(), LogError>> {
        if let Some(error) = self.refusal() {
            return Some(Err(error));
        }
        if !self.admits(bytes, class) {
            return Some(Err(LogError::Full));
        }
        (self.pending.bytes() + bytes <= PAYLOAD_BYTES_MAX).then_some(Ok(()))
    }

    /// Whether the pending frame with `bytes` more fits into what is left of a full disk.
    fn admits(&self, bytes: usize, class: Class) -> bool {
        let Some(shortage) = &self.shortage else {
            return true;
        };
        let reserve = match class {
            Class::Ordinary => LOG_RESERVE_BYTES,
            Class::Urgent => 0,
        };
        let frame = frame_bytes(self.pending.bytes() + bytes) as u64;
        bytes == 0 || frame + reserve <= shortage.room
    }

    /// Gives up the frame on its way, if there is one, and the one under construction.
    pub(super) fn give_up(&mut self, why: LogError) {
        let last = self.frame;
        self.is_read_only |= why == LogError::ReadOnly;
        self.frame.0 += 1;
        self.pending.clear();
        // While the disk stays full, one entry grows.
        match self.given_up.last_mut() {
            Some(gone) if gone.1 > self.durable && gone.2 == why => gone.1 = last,
            gone => {
                let before = gone.map_or(self.durable, |gone| gone.1.max(self.durable));
                self.given_up.push((FrameSeq(before.0 + 1), last, why));
            }
        }
    }

    fn refusal(&self) -> Option<LogError> {
        if self.is_read_only {
            Some(LogError::ReadOnly)
        } else {
            self.is_closed.then_some(LogError::Closed)
        }
    }

    /// What became of a frame; `None` while it is on its way.
    pub(super) fn fate(&self, frame: FrameSeq) -> Option<Result<(), LogError>> {
        let at = self.given_up.partition_point(|gone| gone.1 < frame);
        match self.given_up.get(at) {
            Some((first, _, error)) if *first <= frame => Some(Err(error.clone())),
            _ => (frame <= self.durable).then_some(Ok(())),
        }
    }
}
