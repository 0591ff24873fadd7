//! What a log knows between two awaits: plain data, changed by plain functions.
//!
//! ```text
//!            write, zeroing or a new segment fails for lack of space
//!      Good ────────────────────────────────────────────────────────▶ Full(until)
//!        ▲                                                              │ appends are refused
//!        └──────────── the first frame that is durable ◀── try again ◀──┘ until the pause is over
//!      any ──── two writes in a row fail, or no new segment ────▶ ReadOnly, for ever
//! ```

use super::pending::{Flight, Pending, Spares};
use super::segment::{FIRST_OFFSET, SegmentHeader};
use super::tail::HotTail;
use super::{Options, Place};
use crate::error::LogError;
use crate::limit::BLOCK_BYTES;
use crate::mail::id::{FrameSeq, Lsn};
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Room that is left at the end of a segment for its seal.
pub(super) const SEAL_BYTES: u64 = BLOCK_BYTES as u64;

/// Runs of failed frames that are remembered apart.
const FAILURES_MAX: usize = 64;

pub(super) struct State<F> {
    pub(super) pending: Pending,
    pub(super) spares: Spares,
    pub(super) durable: FrameSeq,
    /// The LSN behind the last durable record.
    pub(super) durable_lsn: Lsn,
    pub(super) failures: Failures,
    pub(super) health: Health,
    pub(super) writer: Writer<F>,
    pub(super) prepared: Option<Prepared<F>>,
    pub(super) supply: Supply,
    /// Bytes of frames written in this life: pre-writing grows with it.
    pub(super) written: u64,
    pub(super) closing: bool,
    /// The committer has returned.
    pub(super) finished: bool,
    pub(super) tail: HotTail,
    pub(super) counters: Counters,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Health {
    Good,
    Full { until: Duration },
    ReadOnly,
}

/// The segment that takes frames.
pub(super) struct Writer<F> {
    pub(super) segment: u32,
    pub(super) file: Rc<F>,
    pub(super) salt: u64,
    /// Where the next frame goes: everything before it is durable.
    pub(super) end: u64,
    /// Pre-written up to here.
    pub(super) zeroed: u64,
    pub(super) size: u64,
    /// What the next frame names as `previous`.
    pub(super) chain: u32,
    /// Takes nothing more: sealed, or fenced after a failed write.
    pub(super) closed: bool,
}

/// The next segment, pre-written and without a header.
pub(super) struct Prepared<F> {
    pub(super) file: Rc<F>,
    pub(super) zeroed: u64,
}

/// What the committer asks of the pre-writer, and what became of it.
#[derive(Default)]
pub(super) struct Supply {
    pub(super) need: Option<Need>,
    pub(super) fault: Option<LogError>,
    /// After a fault nothing is pre-written before this time unless the committer needs it.
    pub(super) not_before: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Need {
    /// The present segment up to this offset.
    Extend(u64),
    /// The next segment.
    Prepare,
}

/// What the pre-writer does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Task {
    Extend { segment: u32, from: u64, to: u64 },
    Prepare { segment: u32, bytes: u64 },
}

pub(super) enum Fit {
    Here,
    Roll,
}

/// Frames that will never be durable, oldest first.
#[derive(Default)]
pub(super) struct Failures {
    runs: Vec<(FrameSeq, FrameSeq, LogError)>,
}

/// What the log has done since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    pub frames: u64,
    pub records: u64,
    /// Of frames, padding included.
    pub bytes: u64,
    /// Segments begun.
    pub segments: u64,
    /// Writes of frames, seals and segment headers that gave an error.
    pub failed_writes: u64,
    /// Frames that were given up.
    pub failed_frames: u64,
    /// Pre-written.
    pub zeroed_bytes: u64,
    /// Pre-writing that gave an error.
    pub failed_zeroes: u64,
    /// Records read from the hot tail.
    pub hot_reads: u64,
    /// Records read from the disk.
    pub disk_reads: u64,
    /// Reads that found damage or an error of the device.
    pub failed_reads: u64,
}

impl<F> State<F> {
    /// Whether an append may be tried now.
    pub(super) fn admits(&self, now: Duration) -> Result<(), LogError> {
        match self.health {
            _ if self.closing => Err(LogError::Closed),
            Health::ReadOnly => Err(LogError::ReadOnly),
            Health::Full { until } if now < until => Err(LogError::Full),
            Health::Good | Health::Full { .. } => Ok(()),
        }
    }

    /// What became of a frame, once it is known.
    pub(super) fn outcome_of(&self, frame: FrameSeq) -> Option<Result<(), LogError>> {
        assert!(
            frame <= self.pending.frame,
            "a frame that nobody appended to"
        );
        match self.failures.find(frame) {
            Some(error) => Some(Err(error)),
            None if frame <= self.durable => Some(Ok(())),
            None => None,
        }
    }

    /// The pending frame, when it has records; `None` when there is nothing more to come.
    pub(super) fn next_flight(&mut self) -> Poll<Option<Flight>> {
        if self.pending.records > 0 {
            let next = FrameSeq(self.pending.frame.0 + 1);
            return Poll::Ready(Some(self.swap_pending(next).into_flight()));
        }
        match self.closing {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    }

    fn swap_pending(&mut self, next: FrameSeq) -> Pending {
        let lsn = self.pending.next_lsn();
        let block = self.spares.take(self.pending.frame_bytes_with(0));
        std::mem::replace(&mut self.pending, Pending::new(block, next, lsn))
    }

    /// Gives up the frame in flight and all that was appended behind it: those records may refer
    /// to the lost ones. Numbers and LSNs are not used again in this life.
    pub(super) fn fail(
        &mut self,
        flight: Flight,
        error: LogError,
        now: Duration,
        pause: Duration,
    ) -> FrameSeq {
        let first = flight.frame;
        flight.recycle(&mut self.spares);
        let mut last = first;
        if self.pending.records > 0 {
            last = self.pending.frame;
            let next = FrameSeq(last.0 + 1);
            self.swap_pending(next)
                .into_flight()
                .recycle(&mut self.spares);
        }
        self.counters.failed_frames += last.0 - first.0 + 1;
        self.failures.add(first, last, error.clone());
        self.health = match error {
            LogError::Full => Health::Full { until: now + pause },
            LogError::ReadOnly | LogError::Closed => Health::ReadOnly,
        };
        last
    }

    /// Whether the present segment takes a frame of so many bytes; asks the pre-writer if not yet.
    pub(super) fn fit(&mut self, bytes: u64) -> Poll<Result<Fit, LogError>> {
        let need = match (self.writer.takes(bytes), &self.prepared) {
            (true, _) if self.writer.end + bytes <= self.writer.zeroed => {
                return self.fits(Fit::Here);
            }
            (true, _) => Need::Extend(self.writer.end + bytes),
            (false, Some(_)) => return self.fits(Fit::Roll),
            (false, None) => Need::Prepare,
        };
        self.wait_for(need)
    }

    /// Whether a mark fits before `room` more bytes of the present segment; asks the pre-writer if
    /// not yet.
    pub(super) fn fit_mark(&mut self, room: u64) -> Poll<Result<Fit, LogError>> {
        let to = self.writer.end + room;
        if self.writer.closed || to > self.writer.size {
            return self.fits(Fit::Roll);
        }
        if to <= self.writer.zeroed {
            return self.fits(Fit::Here);
        }
        self.wait_for(Need::Extend(to))
    }

    fn wait_for(&mut self, need: Need) -> Poll<Result<Fit, LogError>> {
        if self.supply.need.replace(need).is_none() {
            self.supply.fault = None;
            return Poll::Pending;
        }
        match self.supply.fault.take() {
            Some(fault) => {
                self.supply.need = None;
                Poll::Ready(Err(fault))
            }
            None => Poll::Pending,
        }
    }

    fn fits(&mut self, fit: Fit) -> Poll<Result<Fit, LogError>> {
        self.supply.need = None;
        self.supply.fault = None;
        Poll::Ready(Ok(fit))
    }

    /// What to pre-write now, if anything; `Ready(None)` when the log is done.
    pub(super) fn supply_task(&self, now: Duration, options: &Options) -> Poll<Option<Task>> {
        if self.finished {
            return Poll::Ready(None);
        }
        let task = match self.supply.need {
            Some(need) => self.needed(need, options),
            None => self.foreseen(now, options),
        };
        match task {
            Some(task) => Poll::Ready(Some(task)),
            None => Poll::Pending,
        }
    }

    /// What the committer waits for, unless it only has not looked again yet.
    fn needed(&self, need: Need, options: &Options) -> Option<Task> {
        let answered = match need {
            Need::Extend(to) => self.writer.zeroed >= to,
            Need::Prepare => self.prepared.is_some(),
        };
        if answered || self.supply.fault.is_some() {
            return None;
        }
        Some(match need {
            Need::Extend(to) => self.extend_to(to, options),
            Need::Prepare => self.prepare_next(options),
        })
    }

    /// What the committer will need.
    fn foreseen(&self, now: Duration, options: &Options) -> Option<Task> {
        if self.closing || self.health == Health::ReadOnly || now < self.supply.not_before {
            return None;
        }
        let writer = &self.writer;
        let step = self.step(options);
        let room = writer.size.saturating_sub(writer.end);
        if !writer.closed && writer.zeroed < writer.size && writer.ahead() < step / 2 {
            return Some(self.extend_to(0, options));
        }
        let is_near_end = writer.closed || room < 2 * step;
        (is_near_end && self.prepared.is_none()).then(|| self.prepare_next(options))
    }

    /// One step of pre-writing, or more where `least` is further.
    fn extend_to(&self, least: u64, options: &Options) -> Task {
        let writer = &self.writer;
        Task::Extend {
            segment: writer.segment,
            from: writer.zeroed,
            to: least
                .max(writer.zeroed + self.step(options))
                .min(writer.size),
        }
    }

    fn prepare_next(&self, options: &Options) -> Task {
        Task::Prepare {
            segment: self.next_segment(),
            bytes: self.step(options).min(options.segment_bytes),
        }
    }

    /// 32 bits of 256 MiB each are an exbibyte: they are not used up.
    fn next_segment(&self) -> u32 {
        self.writer.segment.wrapping_add(1)
    }

    /// Grows with what was written in this life, so that a store without mail stays small.
    fn step(&self, options: &Options) -> u64 {
        let (first, largest) = options.prewrite_bytes;
        let step = self.written.clamp(first, largest);
        step - step % BLOCK_BYTES as u64
    }

    /// Takes in a durable frame: it follows the one before and stays in memory.
    pub(super) fn advance(&mut self, flight: Flight, chain: u32) -> Place {
        let start = Place::new(self.writer.segment, self.writer.end);
        let bytes = flight.frame_bytes() as u64;
        self.writer.end += bytes;
        self.writer.chain = chain;
        self.durable = flight.frame;
        self.durable_lsn = flight.next_lsn();
        self.health = Health::Good;
        self.written += bytes;
        self.counters.frames += 1;
        self.counters.records += u64::from(flight.records);
        self.counters.bytes += bytes;
        let kept = flight.into_kept(&mut self.spares);
        let spares = &mut self.spares;
        self.tail
            .push(start, self.writer.salt, kept, |block| spares.give(block));
        start
    }

    /// The header of the segment that follows the present one.
    pub(super) fn next_header(&self, options: &Options) -> SegmentHeader {
        SegmentHeader {
            store: options.store,
            shard: options.shard,
            segment: self.next_segment(),
            size: options.segment_bytes,
            salt: (options.random)(),
            epoch: EPOCH,
            first_frame: FrameSeq(self.durable.0 + 1),
            first_lsn: self.durable_lsn,
            previous_end: self.writer.end,
            previous: self.writer.chain,
            ro_compat: 0,
            chain: 0,
        }
    }
}

impl<F> Writer<F> {
    /// A segment whose header is durable and that holds no frame yet.
    pub(super) fn begin(header: &SegmentHeader, file: Rc<F>, zeroed: u64) -> Writer<F> {
        Writer {
            segment: header.segment,
            file,
            salt: header.salt,
            end: FIRST_OFFSET,
            zeroed,
            size: header.size,
            chain: header.chain,
            closed: false,
        }
    }

    /// Pre-written bytes that no frame has taken yet.
    fn ahead(&self) -> u64 {
        self.zeroed.saturating_sub(self.end)
    }

    pub(super) fn takes(&self, bytes: u64) -> bool {
        !self.closed && self.end + bytes + SEAL_BYTES <= self.size
    }
}

impl Failures {
    fn find(&self, frame: FrameSeq) -> Option<LogError> {
        let covers = |run: &&(FrameSeq, FrameSeq, LogError)| run.0 <= frame && frame <= run.1;
        self.runs.iter().find(covers).map(|run| run.2.clone())
    }

    /// Beyond the bound the two oldest runs become one. The durable frames between them are then
    /// called failed, which only somebody notices who asks very late: at worst a duplicate, never
    /// a false `Ok`.
    fn add(&mut self, first: FrameSeq, last: FrameSeq, error: LogError) {
        match self.runs.last_mut() {
            Some(run) if run.1.0 + 1 == first.0 && run.2 == error => run.1 = last,
            _ => self.runs.push((first, last, error)),
        }
        if self.runs.len() > FAILURES_MAX {
            let oldest = self.runs.remove(0);
            if let Some(run) = self.runs.first_mut() {
                run.0 = oldest.0;
            }
        }
    }
}

/// The fencing token of replication (design §8): one owner, the first, until that is built.
pub(super) const EPOCH: u64 = 0;

/// Whether an error of the disk may heal by itself, or the shard must stop writing.
pub(super) fn verdict(error: &io::Error) -> LogError {
    const PASSING: [i32; 5] = [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::EAGAIN,
        libc::EINTR,
    ];
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => LogError::Full,
        (_, Some(code)) if PASSING.contains(&code) => LogError::Full,
        _ => LogError::ReadOnly,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn a_forgotten_failure_never_turns_into_success() {
        let mut failures = Failures::default();
        for run in 0..200 {
            failures.add(FrameSeq(run * 10), FrameSeq(run * 10 + 1), LogError::Full);
        }
        assert_eq!(failures.runs.len(), FAILURES_MAX);
        for run in 0..200 {
            assert_eq!(failures.find(FrameSeq(run * 10)), Some(LogError::Full));
        }
        assert_eq!(failures.find(FrameSeq(1995)), None);
    }

    #[test]
    fn errors_of_the_disk_are_judged() {
        let judge = |code| verdict(&io::Error::from_raw_os_error(code));
        assert_eq!(judge(libc::ENOSPC), LogError::Full);
        assert_eq!(judge(libc::EDQUOT), LogError::Full);
        assert_eq!(judge(libc::EMFILE), LogError::Full);
        assert_eq!(judge(libc::EIO), LogError::ReadOnly);
        assert_eq!(judge(libc::EROFS), LogError::ReadOnly);
    }
}
