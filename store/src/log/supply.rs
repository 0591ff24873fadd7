//! Where the next frames will go: zeros ahead of the writer, the next segment, a full disk.
//!
//! A frame goes only where something was written before: it is a pure overwrite, and a full disk is
//! met by the zeros, never by a frame. When they meet it the log is *short*: it uses what it has,
//! the last [`LOG_RESERVE_BYTES`](crate::limit::LOG_RESERVE_BYTES) for urgent records alone,
//! and asks the device again when [`Log::retry`] is called or, a second after it asked last, when
//! somebody is refused.
//!
//! ```text
//! enough ── zeros or next segment: ENOSPC ─→ short ── retry: written ─→ enough
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

/// Pre-writing: what is done, and what is being done.
pub(super) struct Ahead<'a, F> {
    pub(super) zeroed_to: u64,
    /// Frames reach up to here, the one on its way included: no zeros below.
    pub(super) framed_to: u64,
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
    /// Written up to here, with zeros or in an earlier life.
    pub(super) zeroed_to: u64,
    /// What an earlier life left may reach up to here.
    pub(super) remains: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    Zeros,
    Segment,
}

type Work<'a, F> = Pin<Box<dyn Future<Output = Prepared<F>> + 'a>>;

enum Prepared<F> {
    Zeroed(io::Result<u64>),
    Next(io::Result<Next<F>>),
}

impl<F> Ahead<'_, F> {
    /// For a segment of which the file has `bytes` and the frames reach to `framed_to`.
    pub(super) fn new(bytes: u64, framed_to: u64) -> Self {
        Ahead {
            // A file cut at any byte by a crash or a copy: the block with the cut is written again.
            zeroed_to: bytes - bytes % BLOCK_BYTES as u64,
            framed_to,
            next: None,
            work: None,
            has_failed: false,
            lack: None,
            step: STEP_FIRST_BYTES,
        }
    }

    /// Goes on in a segment of which this much is written.
    pub(super) fn enter(&mut self, zeroed_to: u64) {
        self.zeroed_to = zeroed_to.max(segment::FIRST_OFFSET);
        self.framed_to = segment::FIRST_OFFSET;
        self.has_failed = false;
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
                let more = to.saturating_sub(ahead.zeroed_to);
                self.count(|stats| stats.zeroed_bytes += more);
                ahead.zeroed_to += more;
                ahead.lack = None;
            }
            Prepared::Next(Ok(next)) => {
                ahead.next = Some(next);
                ahead.lack = None;
            }
            Prepared::Zeroed(Err(error)) if is_full(&error) => self.lacks(ahead, Lack::Zeros),
            Prepared::Next(Err(error)) if is_full(&error) => self.lacks(ahead, Lack::Segment),
            Prepared::Zeroed(Err(_)) | Prepared::Next(Err(_)) => {
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
                room: writer.room(ahead.zeroed_to, ahead.framed_to),
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
            Some(Lack::Zeros) => Some(self.zeroing(writer, ahead)),
            Some(Lack::Segment) => Some(self.making(writer, SEGMENT_BYTES_LEAST)),
            None if writer.is_fenced() => {
                let is_wanted = ahead.next.is_none();
                is_wanted.then(|| self.making(writer, SEGMENT_BYTES_LEAST))
            }
            None if ahead.zeroed_to < writer.size() => {
                let lead = ahead.zeroed_to.saturating_sub(ahead.framed_to);
                (lead < ahead.step / 2).then(|| self.zeroing(writer, ahead))
            }
            None => {
                let is_wanted = ahead.next.is_none() && writer.is_near_its_end();
                is_wanted.then(|| self.making(writer, STEP_BYTES_MAX))
            }
        }
    }

    fn zeroing<'a>(
        &'a self,
        writer: &Writer<D::File>,
        ahead: &mut Ahead<'a, D::File>,
    ) -> Work<'a, D::File> {
        let from = ahead.zeroed_to.max(ahead.framed_to);
        let to = (from + ahead.step).min(writer.size());
        ahead.step = (ahead.step * 4).min(STEP_BYTES_MAX);
        let file = writer.file();
        Box::pin(async move { Prepared::Zeroed(file.zero(from, to).await.map(|()| to)) })
    }

    fn making<'a>(&'a self, writer: &Writer<D::File>, bytes: u64) -> Work<'a, D::File> {
        let number = writer.successor();
        Box::pin(async move { Prepared::Next(self.make_next(number, bytes).await) })
    }

    /// Whether the place up to `to` is written already, or never will be before its frame.
    pub(super) fn is_reached(&self, ahead: &RefCell<Ahead<'_, D::File>>, to: u64) -> bool {
        let ahead = ahead.borrow();
        to <= ahead.zeroed_to || ahead.has_failed && ahead.work.is_none()
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
                ahead.work = Some(self.zeroing(writer, &mut ahead));
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
        let (prepared, lack) = {
            let mut ahead = ahead.borrow_mut();
            (ahead.next.take(), ahead.lack)
        };
        match (prepared, lack) {
            (Some(next), _) => Ok(next),
            (None, Some(_)) => Err(io::ErrorKind::StorageFull.into()),
            (None, None) => {
                self.make_next(writer.successor(), SEGMENT_BYTES_LEAST)
                    .await
            }
        }
    }

    /// The file of the next segment under its name in the making, written up to `bytes`. Of a try
    /// that failed nothing is left: on a full disk it would take the last space.
    async fn make_next(&self, number: u32, bytes: u64) -> io::Result<Next<D::File>> {
        let making = segment::path_in_the_making(&self.directory, number);
        // One may be left from a try that failed.
        let _ = self.disk.remove(&making).await;
        let bytes = bytes.min(self.options.segment_bytes);
        let file = match self.take_spare(&making).await {
            Some(file) => file,
            None => self.disk.open(&making, Mode::Create).await?,
        };
        match self.fill(file, &making, bytes).await {
            Ok(next) => Ok(next),
            Err(error) => {
                let _ = self.disk.remove(&making).await;
                Err(error)
            }
        }
    }

    async fn fill(&self, file: D::File, making: &str, bytes: u64) -> io::Result<Next<D::File>> {
        let found = file.len().await?;
        let block = BLOCK_BYTES as u64;
        let mut zeroed_to = found - found % block;
        if zeroed_to < bytes {
            file.zero(zeroed_to, bytes).await?;
            self.count(|stats| stats.zeroed_bytes += bytes - zeroed_to);
            zeroed_to = bytes;
        }
        Ok(Next {
            file: Rc::new(file),
            making: making.to_owned(),
            zeroed_to,
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

/// A full disk is asked again this long after it was asked, when somebody is refused.
const RETRY_MICROS: u64 = 1_000_000;
