//! From one segment to the next: when it is full, and after a write that failed.
//!
//! The new header says where the old segment ends: whatever lies behind that place is no part of
//! the log, also if it appears later. Once the new segment has its name, a *seal* behind the end of
//! the old one says that there is a successor, so that its loss is noticed.

use super::Log;
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, SEAL, frame_bytes};
use super::pending::reseal;
use super::recovery::make_segment;
use super::segment::{self, SegmentHeader};
use super::supply::{Ahead, Next};
use super::writer::Writer;
use crate::codec::checksum::seat;
use crate::disk::{Block, Disk, File};
use crate::mail::id::Lsn;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

impl<D: Disk> Log<D> {
    /// Goes on in the next segment.
    pub(super) async fn roll<'a>(
        &'a self,
        writer: &mut Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
    ) -> io::Result<()> {
        let next = self.take_next(writer, ahead).await?;
        let mut header = self.segment_header(writer, &next);
        let was_fenced = writer.is_fenced;
        // The successor may get its name although the rename reports an error: then it ends this
        // segment here, and a frame written here afterwards would be lost.
        writer.is_fenced = true;
        let (disk, directory) = (&self.disk, &self.directory);
        if let Err(error) =
            make_segment(disk, directory, &*next.file, &next.making, &mut header).await
        {
            // On a full disk it would take the last space.
            let _ = disk.remove(&next.making).await;
            return Err(error);
        }
        if !was_fenced {
            self.seal_segment(writer).await;
        }
        writer.enter(next.file, &header);
        let mut ahead = ahead.borrow_mut();
        ahead.enter(next.ready_to, next.is_reserved);
        self.tell_supply(writer, &ahead);
        drop(ahead);
        let mut state = self.state.borrow_mut();
        state.segments = *state.segments.start()..=header.segment;
        state.has_times = true;
        state.has_queue = true;
        state.has_memos = true;
        state.has_saves = true;
        // A file of this number that was replaced.
        self.readers.forget(|segment| segment == header.segment);
        Ok(())
    }

    fn segment_header(&self, writer: &Writer<D::File>, next: &Next<D::File>) -> SegmentHeader {
        let (previous_end, previous) = writer.end_for_successor();
        SegmentHeader {
            store: self.options.store,
            shard: self.options.shard,
            segment: writer.successor(),
            size: self.options.segment_bytes,
            salt: (self.options.random)(),
            epoch: 0,
            first_frame: writer.sequence,
            first_lsn: Lsn(writer.last_lsn.0 + 1),
            previous_end,
            previous,
            ro_compat: 0,
            remains: next.remains,
            has_times: true,
            has_queue: true,
            has_memos: true,
            has_saves: true,
            chain: 0,
        }
    }

    /// Says that this segment has a successor. Without a seal only that is not noticed when the
    /// successor is lost, so a write that fails changes nothing.
    async fn seal_segment(&self, writer: &Writer<D::File>) {
        let bytes = frame_bytes(0);
        if writer.offset + bytes as u64 <= writer.size() {
            let (block, _) = mark(writer, SEAL);
            let file = writer.file();
            let _ = file.write_at(Rc::new(block), bytes, writer.offset).await;
        }
    }

    /// After a failed write nothing is known of the place: the segment ends before it, and the
    /// frame is written once more at the start of a new one.
    pub(super) async fn fence<'a>(
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
        let end = writer.offset + bytes as u64;
        ahead.borrow_mut().frame(bytes as u64, end);
        let file = writer.file();
        let write = file.write_at(Rc::clone(&block), bytes, writer.offset);
        let written = self.beside(writer, ahead, write).await;
        writer.is_fenced = written.is_err();
        written.map(|()| (block, chain))
    }
}

/// A frame without records for the writer's place, and its chain value.
pub(super) fn mark<F>(writer: &Writer<F>, flags: u8) -> (Block, u32) {
    let mut block = Block::zeroed(frame_bytes(0));
    let mut header: FrameHeader = writer.frame_header(flags);
    if let Some(target) = block.as_mut_slice().first_chunk_mut::<FRAME_HEADER_BYTES>() {
        header.encode(target, seat(writer.salt, writer.offset));
    }
    (block, header.chain)
}

/// Kept free behind the last frame of a segment: for a clean end and a seal.
pub(super) const MARKS_BYTES: u64 = 2 * segment::FIRST_OFFSET;
