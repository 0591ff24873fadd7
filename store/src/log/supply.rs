//! The pre-writer: zeros ahead of the committer, and the next segment before it is needed.
//!
//! A commit is then a pure overwrite: no allocation, no change of size, no journal (storage.md
//! §1.2). It runs beside the commits, within `Log::run`, and a commit waits for it only when it has
//! caught up. A segment is zeroed under another name and then takes its place, so a `.log` file is
//! either in use or wholly blank.

use super::Log;
use super::segment::{path, path_in_the_making};
use super::state::{Prepared, State, Task, verdict};
use crate::disk::{Disk, File, Mode};
use crate::error::LogError;
use std::io;
use std::rc::Rc;

impl<D: Disk> Log<D> {
    pub(super) async fn supply_all(&self) {
        let now = || (self.options.clock)();
        while let Some(task) = self.once(|s| s.supply_task(now(), &self.options)).await {
            let done = match task {
                Task::Extend { segment, from, to } => self.extend(segment, from, to).await,
                Task::Prepare { segment, bytes } => self.prepare(segment, bytes).await,
            };
            if let Err(error) = done {
                let mut state = self.state.borrow_mut();
                state.supply_failed(task, &error);
                state.supply.not_before = now() + self.options.full_pause;
            }
            self.bell.ring();
        }
    }

    async fn extend(&self, segment: u32, from: u64, to: u64) -> io::Result<()> {
        let file = self.state.borrow().writer.file.clone();
        file.zero(from, to).await?;
        let mut state = self.state.borrow_mut();
        state.counters.zeroed_bytes += to - from;
        // The committer may have left the segment meanwhile, after a failed write.
        if state.writer.segment == segment {
            state.writer.zeroed = to;
        }
        Ok(())
    }

    async fn prepare(&self, segment: u32, bytes: u64) -> io::Result<()> {
        let prepared = prewrite(&*self.disk, &self.directory, segment, bytes).await?;
        let mut state = self.state.borrow_mut();
        // The file took the place of whatever had its name: that must not have been in use.
        let is_next = state.prepared.is_none() && state.writer.segment.wrapping_add(1) == segment;
        assert!(is_next, "segment {segment:016x} was pre-written twice");
        state.counters.zeroed_bytes += bytes;
        state.prepared = Some(prepared);
        Ok(())
    }
}

impl<F> State<F> {
    /// A segment that cannot grow is used up to where it was pre-written; only lack of space, and
    /// the lack of a next segment, are faults of a commit that waits for them.
    fn supply_failed(&mut self, task: Task, error: &io::Error) {
        self.counters.failed_zeroes += 1;
        let verdict = verdict(error);
        let is_present = |segment| segment == self.writer.segment;
        match task {
            Task::Extend { segment, .. }
                if verdict == LogError::ReadOnly && !is_present(segment) => {}
            Task::Extend { from, .. } if verdict == LogError::ReadOnly => self.writer.size = from,
            _ if self.supply.need.is_some() => self.supply.fault = Some(verdict),
            _ => {}
        }
    }
}

/// Makes the file of a segment with `bytes` zeros in it. A file that had this name before was never
/// used, or its header could not be written; it is replaced.
pub(super) async fn prewrite<D: Disk>(
    disk: &D,
    directory: &str,
    segment: u32,
    bytes: u64,
) -> io::Result<Prepared<D::File>> {
    let making = path_in_the_making(directory, segment);
    let file = match disk.open(&making, Mode::Create).await {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(&making).await?;
            disk.open(&making, Mode::Create).await?
        }
        other => other?,
    };
    if let Err(error) = file.zero(0, bytes).await {
        drop(file);
        // Gives the space back; if that fails too, the next attempt begins with it.
        let _best_effort = disk.remove(&making).await;
        return Err(error);
    }
    drop(file);
    let path = path(directory, segment);
    disk.rename(&making, &path).await?;
    let file = disk.open(&path, Mode::Write).await?;
    Ok(Prepared {
        file: Rc::new(file),
        zeroed: bytes,
    })
}
