//! The one writer: group commit.
//!
//! One frame is on its way at a time; records that come meanwhile make up the next one. `supply.rs`
//! and `roll.rs` see to it that there is a place for it.

use super::frame::{CLEAN, FrameHeader, frame_bytes};
use super::pending::Sealed;
use super::recovery::End;
use super::roll::{MARKS_BYTES, mark};
use super::segment::{FIRST_OFFSET, SegmentHeader};
use super::supply::{Ahead, is_full};
use super::{Commit, Log, Outcome, Place, Position};
use crate::disk::{Block, Disk, File};
use crate::error::LogError;
use crate::limit::BLOCK_BYTES;
use crate::mail::id::{FrameSeq, Lsn};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// The segment that is written, and where in it.
pub(super) struct Writer<F> {
    file: Rc<F>,
    segment: u32,
    pub(super) salt: u64,
    size: u64,
    /// Where the segment before ends, and its last chain value.
    previous: (u64, u32),
    /// Where the next frame goes.
    pub(super) offset: u64,
    /// CRC of the last header: the next frame names it.
    pub(super) chain: u32,
    /// Counts the frames of the log on disk.
    pub(super) sequence: FrameSeq,
    /// Of the last durable record.
    pub(super) last_lsn: Lsn,
    /// The place at `offset` must not be written: something else was, or may still be.
    pub(super) is_fenced: bool,
    /// Something was written since the last mark.
    pub(super) is_dirty: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Write,
    /// What was given up must not come back: the new segment says so as soon as it can be made.
    Mend,
    Stop,
}

impl<F> Writer<F> {
    pub(super) fn new(end: End<F>) -> Writer<F> {
        Writer {
            file: Rc::new(end.file),
            segment: end.header.segment,
            salt: end.header.salt,
            size: end.header.size,
            previous: (end.header.previous_end, end.header.previous),
            offset: end.offset,
            chain: end.chain,
            sequence: end.next_frame,
            last_lsn: Lsn(end.next_lsn.0.saturating_sub(1)),
            is_fenced: end.recovered.torn,
            is_dirty: false,
        }
    }

    /// Goes on at the start of a new segment.
    pub(super) fn enter(&mut self, file: Rc<F>, header: &SegmentHeader) {
        self.file = file;
        self.segment = header.segment;
        self.salt = header.salt;
        self.size = header.size;
        self.previous = (header.previous_end, header.previous);
        self.offset = FIRST_OFFSET;
        self.chain = header.chain;
        self.is_fenced = false;
    }

    pub(super) fn file(&self) -> Rc<F> {
        Rc::clone(&self.file)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.is_fenced
    }

    pub(super) fn is_near_its_end(&self) -> bool {
        self.offset >= self.size / 4 * 3
    }

    /// How much of this segment is written ahead of the frames and can take more, in bytes.
    pub(super) fn room(&self, ready_to: u64, framed_to: u64) -> u64 {
        match self.is_fenced {
            true => 0,
            false => ready_to.min(self.frames_end()).saturating_sub(framed_to),
        }
    }

    /// No frame reaches beyond it.
    fn frames_end(&self) -> u64 {
        self.size.saturating_sub(MARKS_BYTES)
    }

    /// A segment that is fenced before its first frame is replaced, so that a device that refuses
    /// again and again makes no chain of empty ones. Not the first: a position in it may be known.
    fn is_replaced(&self) -> bool {
        self.is_fenced && self.offset == FIRST_OFFSET && self.segment > 1
    }

    /// The number of the segment that comes next.
    pub(super) fn successor(&self) -> u32 {
        self.segment + u32::from(!self.is_replaced())
    }

    /// Where the segment before the successor ends, and its last chain value.
    pub(super) fn end_for_successor(&self) -> (u64, u32) {
        match self.is_replaced() {
            true => self.previous,
            false => (self.offset, self.chain),
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

    pub(super) fn frame_header(&self, flags: u8) -> FrameHeader {
        FrameHeader {
            flags,
            frame_bytes: BLOCK_BYTES as u32,
            payload_bytes: 0,
            frame: self.sequence,
            epoch: 0,
            first_lsn: Lsn(self.last_lsn.0 + 1),
            durable_upto: FrameSeq(self.sequence.0 - 1),
            previous: self.chain,
            records: 0,
            records_crc: 0,
            chain: 0,
        }
    }

    /// A frame of `bytes` is durable at the offset.
    fn pass(&mut self, bytes: usize, chain: u32) {
        self.offset += bytes as u64;
        self.chain = chain;
        self.sequence.0 += 1;
    }
}

impl<D: Disk> Log<D> {
    /// Writes frames until [`close`](Log::close) is called and everything is written. `observe` is
    /// told of every outcome before those who wait for it.
    pub async fn run(&self, mut observe: impl FnMut(Outcome<'_>)) {
        let Some(mut writer) = self.writer.borrow_mut().take() else {
            return;
        };
        let bytes = writer.file.len().await.unwrap_or(writer.offset);
        let ahead = RefCell::new(Ahead::new(bytes, writer.offset));
        loop {
            match self.wait(&writer, &ahead).await {
                Turn::Write => self.commit(&mut writer, &ahead, &mut observe).await,
                Turn::Mend => self.mend(&mut writer, &ahead).await,
                Turn::Stop => break,
            }
        }
        self.mark_clean(&mut writer, &ahead).await;
        self.finish_ahead(&writer, &ahead).await;
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
                let is_mendable = writer.is_fenced && ahead.borrow().next.is_some();
                let state = self.state.borrow();
                turn = match (state.pending.records() > 0, state.is_closed) {
                    (true, _) => Some(Turn::Write),
                    (false, true) => Some(Turn::Stop),
                    (false, false) => is_mendable.then_some(Turn::Mend),
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
    pub(super) async fn beside<'a, T>(
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

    /// One group commit: everything that is pending, in one frame.
    async fn commit<'a>(
        &'a self,
        writer: &mut Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
        observe: &mut impl FnMut(Outcome<'_>),
    ) {
        if let Err(error) = self.find_place(writer, ahead).await {
            return self.give_up(writer, ahead, &error, observe);
        }
        let Some((ticket, mut sealed, block)) = self.seal(writer, ahead) else {
            return;
        };
        // The next frame has room from here on.
        self.roomers.wake_all();
        let begun = (self.options.clock_micros)();
        let written = self.write(writer, ahead, &mut sealed, block).await;
        let micros = (self.options.clock_micros)().saturating_sub(begun);
        match written {
            Ok(block) => {
                let commit = Commit {
                    frame: ticket,
                    start: Place::new(writer.segment, writer.offset),
                    records: sealed.records,
                    bytes: sealed.bytes,
                    micros,
                    last_lsn: Lsn(sealed.first_lsn.0 + u64::from(sealed.records) - 1),
                };
                writer.pass(sealed.bytes, sealed.chain);
                self.settle(&commit, block, ahead, writer);
                observe(Outcome::Durable(&commit));
                self.waiters.wake_through(ticket);
            }
            Err(error) => self.give_up(writer, ahead, &error, observe),
        }
    }

    /// Writes a frame at the writer's place, or once more in a new segment if that fails.
    async fn write<'a>(
        &'a self,
        writer: &mut Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
        sealed: &mut Sealed,
        block: Block,
    ) -> io::Result<Rc<Block>> {
        let mut block = Rc::new(block);
        let file = writer.file();
        let write = file.write_at(Rc::clone(&block), sealed.bytes, writer.offset);
        if self.beside(writer, ahead, write).await.is_err() {
            self.count(|stats| stats.failed_writes += 1);
            (block, sealed.chain) = self.fence(writer, ahead, block, sealed.bytes).await?;
        }
        Ok(block)
    }

    fn settle(
        &self,
        commit: &Commit,
        block: Rc<Block>,
        ahead: &RefCell<Ahead<'_, D::File>>,
        writer: &mut Writer<D::File>,
    ) {
        writer.is_dirty = true;
        writer.last_lsn = commit.last_lsn;
        let mut ahead = ahead.borrow_mut();
        ahead.ready_to = ahead.ready_to.max(writer.offset);
        let mut state = self.state.borrow_mut();
        state.durable = commit.frame;
        state.end = writer.position();
        let spare = &mut state.spare;
        self.tail
            .borrow_mut()
            .push(commit.start, block, commit.bytes, |block| spare.keep(block));
        self.count(|stats| {
            stats.frames += 1;
            stats.records += u64::from(commit.records);
            stats.bytes += commit.bytes as u64;
        });
    }

    /// Makes sure that the pending frame fits at the writer's offset, that the place is written
    /// already and that nothing else is writing there.
    async fn find_place<'a>(
        &'a self,
        writer: &mut Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
    ) -> io::Result<()> {
        loop {
            // Records may be added while this waits.
            let bytes = self.state.borrow().pending.frame_bytes() as u64;
            let end = writer.offset + bytes;
            let is_turn = std::mem::take(&mut self.state.borrow_mut().is_turn_due);
            if writer.is_fenced || is_turn || end > writer.frames_end() {
                self.roll(writer, ahead).await?;
            } else if self.is_reached(ahead, end) {
                return Ok(());
            } else {
                self.reach(writer, ahead).await?;
            }
        }
    }

    fn seal(
        &self,
        writer: &Writer<D::File>,
        ahead: &RefCell<Ahead<'_, D::File>>,
    ) -> Option<(FrameSeq, Sealed, Block)> {
        let mut state = self.state.borrow_mut();
        let header = writer.frame_header(0);
        let (sealed, block) = state.pending.seal(header, writer.salt, writer.offset)?;
        let ticket = state.frame;
        state.frame.0 += 1;
        drop(state);
        let mut ahead = ahead.borrow_mut();
        ahead.frame(sealed.bytes as u64, writer.offset + sealed.bytes as u64);
        self.tell_supply(writer, &ahead);
        Some((ticket, sealed, block))
    }

    /// Nothing that is not durable will ever be. A full disk may have room later; after any other
    /// error the log takes no more.
    fn give_up(
        &self,
        writer: &Writer<D::File>,
        ahead: &RefCell<Ahead<'_, D::File>>,
        error: &io::Error,
        observe: &mut impl FnMut(Outcome<'_>),
    ) {
        let why = match is_full(error) {
            true => LogError::Full,
            false => LogError::ReadOnly,
        };
        if why == LogError::Full {
            self.lacks_place(writer, &mut ahead.borrow_mut());
        }
        self.state.borrow_mut().give_up(why);
        observe(Outcome::GivenUp);
        self.roomers.wake_all();
        self.waiters.wake_all();
    }

    /// Ends a fenced segment as soon as there is another, so that a frame that was given up cannot
    /// come back, although it may be whole on the disk.
    async fn mend<'a>(&'a self, writer: &mut Writer<D::File>, ahead: &RefCell<Ahead<'a, D::File>>) {
        match self.roll(writer, ahead).await {
            Ok(()) => {}
            Err(error) if is_full(&error) => self.lacks_place(writer, &mut ahead.borrow_mut()),
            // The next frame finds out whether that is for good.
            Err(_) => ahead.borrow_mut().has_failed = true,
        }
    }

    /// Says that nothing was being written when the log was closed, so that damage to the last
    /// frame is not taken for a torn write, nor a frame that was given up for a durable one.
    async fn mark_clean<'a>(
        &'a self,
        writer: &mut Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
    ) {
        self.finish_ahead(writer, ahead).await;
        ahead.borrow_mut().forget_lack();
        if !writer.is_dirty || writer.is_fenced && self.roll(writer, ahead).await.is_err() {
            return;
        }
        let bytes = frame_bytes(0);
        if writer.offset + bytes as u64 > writer.size {
            return;
        }
        let (block, chain) = mark(writer, CLEAN);
        let write = writer.file.write_at(Rc::new(block), bytes, writer.offset);
        // If it fails, the log ends as after a crash.
        if write.await.is_ok() {
            writer.pass(bytes, chain);
            self.state.borrow_mut().end = writer.position();
        }
    }
}
