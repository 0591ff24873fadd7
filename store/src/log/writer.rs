//! The one writer: group commit, pre-writing ahead of it, the roll to the next segment, the fence.

use super::frame::{CLEAN, FRAME_HEADER_BYTES, FrameHeader, frame_bytes};
use super::pending::{Sealed, reseal};
use super::recovery::{End, make_segment};
use super::segment::{self, SegmentHeader};
use super::{Commit, Log, Outcome, Place, Position};
use crate::codec::checksum::seat;
use crate::disk::{Block, Disk, File, Mode};
use crate::error::LogError;
use crate::limit::BLOCK_BYTES;
use crate::mail::id::{FrameSeq, Lsn};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

/// The segment that is written, and what is known of its future.
pub(super) struct Writer<F> {
    file: Rc<F>,
    segment: u32,
    salt: u64,
    size: u64,
    /// Where the next frame goes.
    offset: u64,
    /// CRC of the last header: the next frame names it.
    chain: u32,
    /// Counts the frames of the log on disk.
    sequence: FrameSeq,
    /// Of the last durable record.
    last_lsn: Lsn,
    /// The place at `offset` must not be written: something else was, or may still be.
    is_fenced: bool,
    /// Something was written since the last mark.
    is_dirty: bool,
}

/// Pre-writing: what is done, and what is being done.
struct Ahead<'a, F> {
    zeroed_to: u64,
    /// Frames reach up to here, the one on its way included: no zeros below.
    framed_to: u64,
    next: Option<(Rc<F>, u64)>,
    work: Option<Work<'a, F>>,
    /// The device refused: no more in this segment. Commits then extend the file themselves.
    has_failed: bool,
    step: u64,
}

type Work<'a, F> = Pin<Box<dyn Future<Output = Prepared<F>> + 'a>>;

enum Prepared<F> {
    Zeroed(io::Result<u64>),
    Next(io::Result<(Rc<F>, u64)>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Write,
    Stop,
}

impl<F> Writer<F> {
    pub(super) fn new(end: End<F>) -> Writer<F> {
        Writer {
            file: Rc::new(end.file),
            segment: end.header.segment,
            salt: end.header.salt,
            size: end.header.size,
            offset: end.offset,
            chain: end.chain,
            sequence: end.next_frame,
            last_lsn: Lsn(end.next_lsn.0.saturating_sub(1)),
            is_fenced: end.recovered.torn,
            is_dirty: false,
        }
    }

    fn position(&self) -> Position {
        Position {
            segment: self.segment,
            offset: self.offset,
            chain: self.chain,
            frame: self.sequence,
            lsn: Lsn(self.last_lsn.0 + 1),
        }
    }
}

impl<D: Disk> Log<D> {
    /// Writes frames until [`close`](Log::close) is called and everything is written. `observe` is
    /// told of every outcome before those who wait for it.
    pub async fn run(&self, mut observe: impl FnMut(Outcome<'_>)) {
        let Some(mut writer) = self.writer.borrow_mut().take() else {
            return;
        };
        // A file cut at any byte by a crash or a copy: the block with the cut is written again.
        let zeroed_to = writer.file.len().await.unwrap_or(writer.offset);
        let zeroed_to = zeroed_to - zeroed_to % BLOCK_BYTES as u64;
        let ahead = RefCell::new(Ahead {
            zeroed_to,
            framed_to: writer.offset,
            next: None,
            work: None,
            has_failed: false,
            step: STEP_FIRST_BYTES,
        });
        while self.wait(&writer, &ahead).await == Turn::Write {
            self.commit(&mut writer, &ahead, &mut observe).await;
        }
        self.mark_clean(&mut writer, &ahead).await;
        self.finish_ahead(&ahead).await;
    }

    /// Waits for records; pre-writes meanwhile.
    async fn wait<'a>(
        &'a self,
        writer: &Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
    ) -> Turn {
        let mut turn = None;
        poll_fn(|context| {
            self.bell.rounds(context, |context| {
                self.advance(writer, ahead, context);
                let state = self.state.borrow();
                turn = match (state.pending.records() > 0, state.is_closed) {
                    (true, _) => Some(Turn::Write),
                    (false, true) => Some(Turn::Stop),
                    (false, false) => None,
                };
                if turn.is_some() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
        })
        .await;
        turn.unwrap_or(Turn::Stop)
    }

    /// Polls a future of the commit and the pre-writing side by side.
    async fn beside<'a, T>(
        &'a self,
        writer: &Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
        future: impl Future<Output = T>,
    ) -> T {
        let mut future = pin!(future);
        poll_fn(|context| {
            self.advance(writer, ahead, context);
            future.as_mut().poll(context)
        })
        .await
    }

    /// Goes on with the pre-writing, and begins more where the writer comes near its end.
    fn advance<'a>(
        &'a self,
        writer: &Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
        context: &mut Context<'_>,
    ) {
        let mut ahead = ahead.borrow_mut();
        loop {
            if ahead.work.is_none() {
                ahead.work = self.plan(writer, &mut ahead);
            }
            if ahead.work.is_none() || self.poll_ahead(&mut ahead, context).is_pending() {
                return;
            }
        }
    }

    /// Ready when no pre-writing is under way.
    fn poll_ahead(&self, ahead: &mut Ahead<'_, D::File>, context: &mut Context<'_>) -> Poll<()> {
        let Some(work) = &mut ahead.work else {
            return Poll::Ready(());
        };
        let Poll::Ready(prepared) = work.as_mut().poll(context) else {
            return Poll::Pending;
        };
        ahead.work = None;
        match prepared {
            Prepared::Zeroed(Ok(to)) => {
                let more = to.saturating_sub(ahead.zeroed_to);
                self.count(|stats| stats.zeroed_bytes += more);
                ahead.zeroed_to += more;
            }
            Prepared::Next(Ok(next)) => {
                self.count(|stats| stats.zeroed_bytes += next.1);
                ahead.next = Some(next);
            }
            Prepared::Zeroed(Err(_)) | Prepared::Next(Err(_)) => ahead.has_failed = true,
        }
        Poll::Ready(())
    }

    fn plan<'a>(
        &'a self,
        writer: &Writer<D::File>,
        ahead: &mut Ahead<'a, D::File>,
    ) -> Option<Work<'a, D::File>> {
        if ahead.has_failed || self.state.borrow().is_closed {
            return None;
        }
        let lead = ahead.zeroed_to.saturating_sub(ahead.framed_to);
        if ahead.zeroed_to < writer.size {
            if lead >= ahead.step / 2 {
                return None;
            }
            let from = ahead.zeroed_to.max(ahead.framed_to);
            let to = (from + ahead.step).min(writer.size);
            ahead.step = (ahead.step * 4).min(STEP_BYTES_MAX);
            let file = Rc::clone(&writer.file);
            return Some(Box::pin(async move {
                Prepared::Zeroed(file.zero(from, to).await.map(|()| to))
            }));
        }
        if ahead.next.is_some() || writer.offset < writer.size / 4 * 3 {
            return None;
        }
        let next = writer.segment + 1;
        let bytes = STEP_BYTES_MAX.min(writer.size);
        Some(Box::pin(async move {
            Prepared::Next(self.make_next(next, bytes).await)
        }))
    }

    /// The file of the next segment under its name in the making.
    async fn make_next(&self, segment: u32, bytes: u64) -> io::Result<(Rc<D::File>, u64)> {
        let path = segment::path_in_the_making(&self.directory, segment);
        // One may be left from a try that failed.
        let _ = self.disk.remove(&path).await;
        let file = self.disk.open(&path, Mode::Create).await?;
        if bytes > 0 {
            file.zero(0, bytes).await?;
        }
        Ok((Rc::new(file), bytes))
    }

    /// One group commit: everything that is pending, in one frame.
    async fn commit<'a>(
        &'a self,
        writer: &mut Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
        observe: &mut impl FnMut(Outcome<'_>),
    ) {
        if let Err(error) = self.find_place(writer, ahead).await {
            return self.give_up(&error, observe);
        }
        let Some((ticket, sealed)) = self.seal(writer) else {
            return;
        };
        // The next frame has room from here on.
        self.roomers.wake_all();
        let begun = (self.options.clock_micros)();
        let bytes = sealed.bytes;
        let mut block = Rc::new(sealed.block);
        ahead.borrow_mut().framed_to = writer.offset + bytes as u64;
        let write = writer
            .file
            .write_at(Rc::clone(&block), bytes, writer.offset);
        let mut written = self.beside(writer, ahead, write).await;
        let mut chain = sealed.chain;
        if written.is_err() {
            self.count(|stats| stats.failed_writes += 1);
            written = match self.fence(writer, ahead, block, bytes).await {
                Ok((moved, moved_chain)) => {
                    (block, chain) = (moved, moved_chain);
                    Ok(())
                }
                Err(error) => return self.give_up(&error, observe),
            };
        }
        debug_assert!(written.is_ok());
        let start = Place::new(writer.segment, writer.offset);
        writer.offset += bytes as u64;
        writer.chain = chain;
        writer.sequence.0 += 1;
        writer.is_dirty = true;
        let records = sealed.records;
        let last_lsn = Lsn(sealed.first_lsn.0 + u64::from(records) - 1);
        writer.last_lsn = last_lsn;
        let micros = (self.options.clock_micros)().saturating_sub(begun);
        let commit = Commit {
            frame: ticket,
            start,
            records,
            bytes,
            micros,
            last_lsn,
        };
        self.settle(&commit, block, ahead, writer);
        observe(Outcome::Durable(&commit));
        self.waiters.wake_all();
    }

    fn settle(
        &self,
        commit: &Commit,
        block: Rc<Block>,
        ahead: &RefCell<Ahead<'_, D::File>>,
        writer: &Writer<D::File>,
    ) {
        let mut ahead = ahead.borrow_mut();
        ahead.zeroed_to = ahead.zeroed_to.max(writer.offset);
        let mut state = self.state.borrow_mut();
        state.durable = commit.frame;
        state.end = writer.position();
        let spare = &mut state.spare;
        self.tail
            .borrow_mut()
            .push(commit.start, block, commit.bytes, |block| {
                if spare.len() < SPARE_BLOCKS_MAX {
                    spare.push(block);
                }
            });
        self.count(|stats| {
            stats.frames += 1;
            stats.records += u64::from(commit.records);
            stats.bytes += commit.bytes as u64;
        });
    }

    /// Makes sure that the pending frame fits at the writer's offset and that nothing else is
    /// writing there.
    async fn find_place<'a>(
        &'a self,
        writer: &mut Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
    ) -> io::Result<()> {
        loop {
            let bytes = self.state.borrow().pending.frame_bytes() as u64;
            if writer.is_fenced || writer.offset + bytes > writer.size {
                self.roll(writer, ahead).await?;
                continue;
            }
            let is_zeroing = {
                let ahead = ahead.borrow();
                ahead.work.is_some() && writer.offset + bytes > ahead.zeroed_to
            };
            if !is_zeroing {
                return Ok(());
            }
            // Zeros on their way must not land on a frame.
            self.finish_ahead(ahead).await;
        }
    }

    /// Waits for the pre-writing that is under way, without beginning more.
    async fn finish_ahead(&self, ahead: &RefCell<Ahead<'_, D::File>>) {
        poll_fn(|context| self.poll_ahead(&mut ahead.borrow_mut(), context)).await;
    }

    fn seal(&self, writer: &Writer<D::File>) -> Option<(FrameSeq, Sealed)> {
        let mut state = self.state.borrow_mut();
        let header = self.header(writer, 0);
        let sealed = state.pending.seal(header, writer.salt, writer.offset)?;
        let ticket = state.frame;
        state.frame.0 += 1;
        Some((ticket, sealed))
    }

    fn header(&self, writer: &Writer<D::File>, flags: u8) -> FrameHeader {
        FrameHeader {
            flags,
            frame_bytes: BLOCK_BYTES as u32,
            payload_bytes: 0,
            frame: writer.sequence,
            epoch: 0,
            first_lsn: Lsn(writer.last_lsn.0 + 1),
            durable_upto: FrameSeq(writer.sequence.0 - 1),
            previous: writer.chain,
            records: 0,
            records_crc: 0,
            chain: 0,
        }
    }

    /// Goes on in the next segment. The new header says where this one ends: whatever lies behind
    /// that place is not part of the log, also if it appears later.
    async fn roll<'a>(
        &'a self,
        writer: &mut Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
    ) -> io::Result<()> {
        self.finish_ahead(ahead).await;
        // The successor may get its name although the rename reports an error: then it ends this
        // segment here, and a frame written here afterwards would be lost.
        writer.is_fenced = true;
        let number = writer.segment + 1;
        let prepared = ahead.borrow_mut().next.take();
        let (file, zeroed_to) = match prepared {
            Some(next) => next,
            None => self.make_next(number, 0).await?,
        };
        let mut header = SegmentHeader {
            store: self.options.store,
            shard: self.options.shard,
            segment: number,
            size: self.options.segment_bytes,
            salt: (self.options.random)(),
            epoch: 0,
            first_frame: writer.sequence,
            first_lsn: Lsn(writer.last_lsn.0 + 1),
            previous_end: writer.offset,
            previous: writer.chain,
            ro_compat: 0,
            chain: 0,
        };
        make_segment(&self.disk, &self.directory, &*file, &mut header).await?;
        let first = *self.state.borrow().segments.start();
        self.state.borrow_mut().segments = first..=number;
        writer.file = file;
        writer.segment = number;
        writer.salt = header.salt;
        writer.size = header.size;
        writer.offset = segment::FIRST_OFFSET;
        writer.chain = header.chain;
        writer.is_fenced = false;
        let mut ahead = ahead.borrow_mut();
        ahead.zeroed_to = zeroed_to.max(segment::FIRST_OFFSET);
        ahead.framed_to = segment::FIRST_OFFSET;
        ahead.has_failed = false;
        Ok(())
    }

    /// After a failed write nothing is known of the place: the segment ends before it, and the
    /// frame is written once more at the start of a new one.
    async fn fence<'a>(
        &'a self,
        writer: &mut Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
        block: Rc<Block>,
        bytes: usize,
    ) -> io::Result<(Rc<Block>, u32)> {
        writer.is_fenced = true;
        writer.is_dirty = true;
        let from = (writer.salt, writer.offset);
        self.roll(writer, ahead).await?;
        let mut block =
            Rc::try_unwrap(block).unwrap_or_else(|shared| Block::copy_of(shared.as_slice()));
        let to = (writer.salt, writer.offset);
        let chain = reseal(&mut block, bytes, from, to, writer.chain);
        let chain = chain.ok_or_else(|| io::Error::other("a sealed frame cannot be read"))?;
        let block = Rc::new(block);
        ahead.borrow_mut().framed_to = writer.offset + bytes as u64;
        writer.is_fenced = true;
        let write = writer
            .file
            .write_at(Rc::clone(&block), bytes, writer.offset);
        self.beside(writer, ahead, write).await?;
        writer.is_fenced = false;
        Ok((block, chain))
    }

    /// Nothing that is not durable will ever be. A full disk may have room later; after any other
    /// error the log takes no more.
    fn give_up(&self, error: &io::Error, observe: &mut impl FnMut(Outcome<'_>)) {
        let why = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LogError::Full,
            _ => LogError::ReadOnly,
        };
        self.state.borrow_mut().give_up(why);
        observe(Outcome::GivenUp);
        self.roomers.wake_all();
        self.waiters.wake_all();
    }

    /// Says that nothing was being written when the log was closed, so that damage to the last
    /// frame is not taken for a torn write, nor a frame that was given up for a durable one.
    async fn mark_clean<'a>(
        &'a self,
        writer: &mut Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
    ) {
        if !writer.is_dirty || self.is_read_only() {
            return;
        }
        if writer.is_fenced && self.roll(writer, ahead).await.is_err() {
            return;
        }
        let bytes = frame_bytes(0);
        if writer.offset + bytes as u64 > writer.size {
            return;
        }
        self.finish_ahead(ahead).await;
        let mut header = self.header(writer, CLEAN);
        let mut block = Block::zeroed(bytes);
        if let Some(target) = block.as_mut_slice().first_chunk_mut::<FRAME_HEADER_BYTES>() {
            header.encode(target, seat(writer.salt, writer.offset));
        }
        let write = writer.file.write_at(Rc::new(block), bytes, writer.offset);
        // If it fails, the log ends as after a crash.
        if write.await.is_ok() {
            writer.offset += bytes as u64;
            writer.chain = header.chain;
            writer.sequence.0 += 1;
            self.state.borrow_mut().end = writer.position();
        }
    }
}

/// Pre-written at first, so that a first start costs megabytes, not segments.
const STEP_FIRST_BYTES: u64 = 4 << 20;

/// Pre-written at a time later.
const STEP_BYTES_MAX: u64 = 32 << 20;

/// Blocks kept for frames to come.
const SPARE_BLOCKS_MAX: usize = 64;
