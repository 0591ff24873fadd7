//! Where the next frames will go: space ahead of the writer, the next segment, a full disk.
//!
//! A frame goes only where there is space for it, so a full disk is never met by a frame. Where
//! frames are small the space is written before, with zeros: the frame is a pure overwrite, which
//! takes half the time. Where they are large the space is only reserved: to write everything twice
//! would cost the disk more than it saves the frame.
//!
//! When the device has no more space the log is *short*: it uses what it has, the last
//! [`LOG_RESERVE_BYTES`](crate::limit::LOG_RESERVE_BYTES) for urgent records alone, and asks the
//! device again when [`Log::retry`] is called or, a second after it asked last, when somebody is
//! refused.
//!
//! ```text
//! enough ── space or next segment: ENOSPC ─→ short ── retry: there ─→ enough
//!                                            short ── retry: ENOSPC ─→ short
//! ```

use super::state::Shortage;
use super::writer::Writer;
use super::{Log, segment};
use crate::disk::{Disk, File, Mode};
use crate::limit::{BLOCK_BYTES, FRAME_BYTES_MAX};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Space ahead of the frames: what there is, and what is being made.
pub(super) struct Ahead<'a, F> {
    /// Frames have space up to here.
    pub(super) ready_to: u64,
    /// It is only reserved, not written.
    is_reserved: bool,
    /// Frames reach up to here, the one on its way included: no zeros below.
    framed_to: u64,
    load: Load,
    pub(super) next: Option<Next<F>>,
    work: Option<Work<'a, F>>,
    /// The device refused: no more in this segment. Commits then extend the file themselves.
    pub(super) has_failed: bool,
    /// What a full device did not give.
    lack: Option<Lack>,
    step: u64,
}

/// The file of a segment to come, under its name in the making.
pub(super) struct Next<F> {
    pub(super) file: Rc<F>,
    pub(super) making: String,
    /// Has space up to here: zeros, an earlier life, or what is only reserved.
    pub(super) ready_to: u64,
    pub(super) is_reserved: bool,
    /// What an earlier life left may reach up to here.
    pub(super) remains: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    Space,
    Segment,
}

/// How large the frames are of late.
#[derive(Default)]
struct Load {
    usual_bytes: u64,
    is_heavy: bool,
}

impl Load {
    fn frame(&mut self, bytes: u64) {
        self.usual_bytes = self.usual_bytes - self.usual_bytes / FRAMES + bytes / FRAMES;
        self.is_heavy = match self.is_heavy {
            true => self.usual_bytes >= LIGHT_BYTES,
            false => self.usual_bytes >= HEAVY_BYTES,
        };
    }
}

type Work<'a, F> = Pin<Box<dyn Future<Output = Prepared<F>> + 'a>>;

enum Prepared<F> {
    Zeroed(io::Result<u64>),
    Reserved(io::Result<u64>),
    Next(io::Result<Next<F>>),
}

impl<F> Ahead<'_, F> {
    /// For a segment of which the file has `bytes` and the frames reach to `framed_to`.
    pub(super) fn new(bytes: u64, framed_to: u64) -> Self {
        Ahead {
            // A file cut at any byte by a crash or a copy: the block with the cut is written again.
            ready_to: bytes - bytes % BLOCK_BYTES as u64,
            is_reserved: false,
            framed_to,
            load: Load::default(),
            next: None,
            work: None,
            has_failed: false,
            lack: None,
            step: STEP_FIRST_BYTES,
        }
    }

    /// Goes on in a segment that has this much space.
    pub(super) fn enter(&mut self, ready_to: u64, is_reserved: bool) {
        self.ready_to = ready_to.max(segment::FIRST_OFFSET);
        self.is_reserved = is_reserved;
        self.framed_to = segment::FIRST_OFFSET;
        self.has_failed = false;
    }

    /// A frame of `bytes` is on its way and ends at `to`.
    pub(super) fn frame(&mut self, bytes: u64, to: u64) {
        self.framed_to = to;
        self.load.frame(bytes);
    }

    /// Frames are small again: what is only reserved for them gets zeros after all.
    fn settle_for_zeros(&mut self) {
        if self.is_reserved && !self.load.is_heavy {
            self.is_reserved = false;
            self.ready_to = self.ready_to.min(self.framed_to);
            self.step = STEP_FIRST_BYTES;
        }
    }

    /// The device is asked again whatever it said last.
    pub(super) fn forget_lack(&mut self) {
        self.lack = None;
    }
}

impl<D: Disk> Log<D> {
    /// Asks a full disk once more for space; without effect while there is enough. To be called now
    /// and then, at least once a second, by whoever tends the log.
    pub fn retry(&self) {
        if let Some(shortage) = &mut self.state.borrow_mut().shortage {
            shortage.is_retry_due = true;
        }
        self.bell.ring();
    }

    /// Whether the device was full when it was last asked for space.
    pub fn is_full(&self) -> bool {
        self.state.borrow().shortage.is_some()
    }

    /// Somebody was refused: a second after the last try the disk may have space again.
    pub(super) fn retry_in_time(&self) {
        let asked = match &self.state.borrow().shortage {
            Some(shortage) => shortage.asked_micros,
            None => return,
        };
        if (self.options.clock_micros)().saturating_sub(asked) >= RETRY_MICROS {
            self.retry();
        }
    }

    /// Goes on with the pre-writing, and begins more where the writer comes near its end.
    pub(super) fn advance<'a>(
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
            if ahead.work.is_none() || self.poll_ahead(writer, &mut ahead, context).is_pending() {
                return;
            }
        }
    }

    /// Ready when no pre-writing is under way.
    fn poll_ahead(
        &self,
        writer: &Writer<D::File>,
        ahead: &mut Ahead<'_, D::File>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(work) = &mut ahead.work else {
            return Poll::Ready(());
        };
        let Poll::Ready(prepared) = work.as_mut().poll(context) else {
            return Poll::Pending;
        };
        ahead.work = None;
        match prepared {
            Prepared::Zeroed(Ok(to)) => {
                let more = to.saturating_sub(ahead.ready_to);
                self.count(|stats| stats.zeroed_bytes += more);
                ahead.ready_to += more;
                ahead.lack = None;
            }
            Prepared::Reserved(Ok(to)) => {
                ahead.ready_to = ahead.ready_to.max(to);
                ahead.is_reserved = true;
                ahead.lack = None;
            }
            Prepared::Next(Ok(next)) => {
                ahead.next = Some(next);
                ahead.lack = None;
            }
            Prepared::Next(Err(error)) if is_full(&error) => self.lacks(ahead, Lack::Segment),
            Prepared::Zeroed(Err(error)) | Prepared::Reserved(Err(error)) if is_full(&error) => {
                self.lacks(ahead, Lack::Space);
            }
            Prepared::Zeroed(Err(_)) | Prepared::Reserved(Err(_)) | Prepared::Next(Err(_)) => {
                ahead.has_failed = true;
                ahead.lack = None;
            }
        }
        self.tell_supply(writer, ahead);
        Poll::Ready(())
    }

    fn lacks(&self, ahead: &mut Ahead<'_, D::File>, what: Lack) {
        ahead.lack = Some(what);
        ahead.step = STEP_FIRST_BYTES;
        // Set anew by `tell_supply`, with the time of this try.
        self.state.borrow_mut().shortage = None;
    }

    /// A frame was given up because the device is full: what was it that was not there?
    pub(super) fn lacks_place(&self, writer: &Writer<D::File>, ahead: &mut Ahead<'_, D::File>) {
        if ahead.lack.is_none() && ahead.next.is_none() {
            self.lacks(ahead, Lack::Segment);
        }
        self.tell_supply(writer, ahead);
    }

    /// Tells those who append how much a full disk still takes.
    pub(super) fn tell_supply(&self, writer: &Writer<D::File>, ahead: &Ahead<'_, D::File>) {
        let mut state = self.state.borrow_mut();
        let was_short = state.shortage.is_some();
        state.shortage = ahead.lack.map(|_| {
            let before = state.shortage.take();
            let clock = self.options.clock_micros;
            Shortage {
                room: writer.room(ahead.ready_to, ahead.framed_to),
                asked_micros: before
                    .as_ref()
                    .map_or_else(clock, |known| known.asked_micros),
                is_retry_due: before.is_some_and(|known| known.is_retry_due),
            }
        });
        let is_short = state.shortage.is_some();
        drop(state);
        if was_short != is_short {
            self.roomers.wake_all();
        }
    }

    fn plan<'a>(
        &'a self,
        writer: &Writer<D::File>,
        ahead: &mut Ahead<'a, D::File>,
    ) -> Option<Work<'a, D::File>> {
        {
            let mut state = self.state.borrow_mut();
            let has_failed = ahead.has_failed && ahead.lack.is_none();
            if has_failed || state.is_closed || state.is_read_only {
                return None;
            }
            if let Some(shortage) = &mut state.shortage
                && !std::mem::take(&mut shortage.is_retry_due)
            {
                return None;
            }
        }
        match ahead.lack {
            Some(Lack::Space) => Some(self.extending(writer, ahead)),
            Some(Lack::Segment) => Some(self.making(writer, ahead, SEGMENT_BYTES_LEAST)),
            None if writer.is_fenced() => {
                let is_wanted = ahead.next.is_none();
                is_wanted.then(|| self.making(writer, ahead, SEGMENT_BYTES_LEAST))
            }
            None if ahead.ready_to < writer.size() => {
                ahead.settle_for_zeros();
                let lead = ahead.ready_to.saturating_sub(ahead.framed_to);
                (lead < ahead.step / 2).then(|| self.extending(writer, ahead))
            }
            None => {
                let is_wanted = ahead.next.is_none() && writer.is_near_its_end();
                is_wanted.then(|| self.making(writer, ahead, STEP_BYTES_MAX))
            }
        }
    }

    /// More space in this segment, written or reserved as the frames are.
    fn extending<'a>(
        &'a self,
        writer: &Writer<D::File>,
        ahead: &mut Ahead<'a, D::File>,
    ) -> Work<'a, D::File> {
        let from = ahead.ready_to.max(ahead.framed_to);
        let to = (from + ahead.step).min(writer.size());
        ahead.step = (ahead.step * 4).min(STEP_BYTES_MAX);
        let file = writer.file();
        match ahead.load.is_heavy {
            true => {
                Box::pin(
                    async move { Prepared::Reserved(file.reserve(from, to).await.map(|()| to)) },
                )
            }
            false => {
                Box::pin(async move { Prepared::Zeroed(file.zero(from, to).await.map(|()| to)) })
            }
        }
    }

    fn making<'a>(
        &'a self,
        writer: &Writer<D::File>,
        ahead: &Ahead<'a, D::File>,
        bytes: u64,
    ) -> Work<'a, D::File> {
        let (number, is_heavy) = (writer.successor(), ahead.load.is_heavy);
        Box::pin(async move { Prepared::Next(self.make_next(number, bytes, is_heavy).await) })
    }

    /// Whether the place up to `to` is written already, or never will be before its frame.
    pub(super) fn is_reached(&self, ahead: &RefCell<Ahead<'_, D::File>>, to: u64) -> bool {
        let ahead = ahead.borrow();
        to <= ahead.ready_to || ahead.has_failed && ahead.work.is_none()
    }

    /// Goes on with the pre-writing and waits for it: the next frame needs the place.
    pub(super) async fn reach<'a>(
        &'a self,
        writer: &Writer<D::File>,
        ahead: &RefCell<Ahead<'a, D::File>>,
    ) -> io::Result<()> {
        {
            let mut ahead = ahead.borrow_mut();
            if ahead.work.is_none() {
                if ahead.lack.is_some() {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                ahead.work = Some(self.extending(writer, &mut ahead));
            }
        }
        // Zeros on their way must not land on a frame.
        self.finish_ahead(writer, ahead).await;
        Ok(())
    }

    /// Waits for the pre-writing that is under way, without beginning more.
    pub(super) async fn finish_ahead(
        &self,
        writer: &Writer<D::File>,
        ahead: &RefCell<Ahead<'_, D::File>>,
    ) {
        poll_fn(|context| self.poll_ahead(writer, &mut ahead.borrow_mut(), context)).await;
    }

    /// The next segment: prepared already, or made now.
    pub(super) async fn take_next(
        &self,
        writer: &Writer<D::File>,
        ahead: &RefCell<Ahead<'_, D::File>>,
    ) -> io::Result<Next<D::File>> {
        self.finish_ahead(writer, ahead).await;
        let (prepared, lack, is_heavy) = {
            let mut ahead = ahead.borrow_mut();
            (ahead.next.take(), ahead.lack, ahead.load.is_heavy)
        };
        match (prepared, lack) {
            (Some(next), _) => Ok(next),
            (None, Some(_)) => Err(io::ErrorKind::StorageFull.into()),
            (None, None) => {
                let number = writer.successor();
                self.make_next(number, SEGMENT_BYTES_LEAST, is_heavy).await
            }
        }
    }

    /// The file of the next segment under its name in the making, with space for `bytes`. Of a try
    /// that failed nothing is left: on a full disk it would take the last space.
    async fn make_next(
        &self,
        number: u32,
        bytes: u64,
        is_heavy: bool,
    ) -> io::Result<Next<D::File>> {
        let making = segment::path_in_the_making(&self.directory, number);
        // One may be left from a try that failed.
        let _ = self.disk.remove(&making).await;
        let bytes = bytes.min(self.options.segment_bytes);
        let file = match self.take_spare(&making).await {
            Some(file) => file,
            None => self.disk.open(&making, Mode::Create).await?,
        };
        match self.fill(file, &making, bytes, is_heavy).await {
            Ok(next) => Ok(next),
            Err(error) => {
                let _ = self.disk.remove(&making).await;
                Err(error)
            }
        }
    }

    async fn fill(
        &self,
        file: D::File,
        making: &str,
        bytes: u64,
        is_heavy: bool,
    ) -> io::Result<Next<D::File>> {
        let found = file.len().await?;
        let block = BLOCK_BYTES as u64;
        let written = found - found % block;
        let is_reserved = written < bytes && is_heavy;
        if is_reserved {
            file.reserve(written, bytes).await?;
        } else if written < bytes {
            file.zero(written, bytes).await?;
            self.count(|stats| stats.zeroed_bytes += bytes - written);
        }
        Ok(Next {
            file: Rc::new(file),
            making: making.to_owned(),
            ready_to: written.max(bytes),
            is_reserved,
            remains: found.next_multiple_of(block),
        })
    }
}

pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Pre-written at first, so that a first start costs megabytes, not segments.
const STEP_FIRST_BYTES: u64 = 4 << 20;

/// Pre-written at a time later.
const STEP_BYTES_MAX: u64 = 32 << 20;

/// Pre-written of a segment before it takes its place, so that a nearly full disk makes no chain of
/// tiny ones.
const SEGMENT_BYTES_LEAST: u64 = 2 * FRAME_BYTES_MAX as u64;

/// Frames of so many octets on average are not worth to be written twice: on ext4 a frame into
/// reserved space waits for the journal, but the disk has half as much to do. Messages of 64 KiB
/// by ten sessions come as fast with 48 as with 128 KiB here, and cost 68 KB instead of 81.
const HEAVY_BYTES: u64 = 64 << 10;

/// And so few are again.
const LIGHT_BYTES: u64 = 32 << 10;

/// Of about the last so many frames.
const FRAMES: u64 = 8;

/// A full disk is asked again this long after it was asked, when somebody is refused.
const RETRY_MICROS: u64 = 1_000_000;
