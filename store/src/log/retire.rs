//! Segments that nobody needs any more: kept as spare files for segments to come, or removed.
//!
//! A spare file is written from its first to its last block, so the segment that it becomes needs
//! no zeros. What it holds is valid under the salt of an earlier life only (FORMAT.md, "Segment").

use super::{Log, segment};
use crate::disk::{Disk, File, Mode};

/// What became of segments that were retired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retired {
    pub kept: u32,
    pub removed: u32,
}

impl<D: Disk> Log<D> {
    /// Takes the files of all segments below `first_segment` out of the log, leftovers of earlier
    /// lives included: some are kept as spare files, the others removed. The last segment stays.
    ///
    /// The caller has made durable elsewhere that the log begins at `first_segment`, and nobody
    /// reads the segments before it, in this process or through a map.
    pub async fn retire(&self, first_segment: u32) -> std::io::Result<Retired> {
        let first = {
            let mut state = self.state.borrow_mut();
            let last = *state.segments.end();
            let first = first_segment.min(last).max(*state.segments.start());
            state.segments = first..=last;
            first
        };
        self.readers.forget(|segment| segment < first);
        let names = self.disk.list(&self.directory).await?;
        let numbers = names.iter().filter_map(|name| segment::number(name));
        let mut gone: Vec<u32> = numbers.filter(|number| *number < first).collect();
        gone.sort_unstable();
        let mut retired = Retired::default();
        for number in gone {
            match self.keep_or_remove(number).await? {
                true => retired.kept += 1,
                false => retired.removed += 1,
            }
        }
        self.retry();
        Ok(retired)
    }

    /// Removes the spare files: who writes next makes its own. How many there were.
    pub async fn remove_spares(&self) -> std::io::Result<u32> {
        let mut removed = 0;
        loop {
            let Some(number) = self.spares.borrow_mut().pop_first() else {
                return Ok(removed);
            };
            let spare = segment::path_spare(&self.directory, number);
            self.disk.remove(&spare).await?;
            removed += 1;
        }
    }

    /// Renames the file of a segment that is about to be retired, so that it is neither written
    /// over nor removed. One that is not there was renamed before.
    pub async fn set_aside(&self, segment: u32, path: &str) -> std::io::Result<()> {
        let from = segment::path(&self.directory, segment);
        match self.disk.rename(&from, path).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    /// Whether the file of this segment is kept.
    async fn keep_or_remove(&self, number: u32) -> std::io::Result<bool> {
        let path = segment::path(&self.directory, number);
        if self.spares.borrow().len() >= SPARES_MAX {
            self.disk.remove(&path).await?;
            return Ok(false);
        }
        let spare = segment::path_spare(&self.directory, number);
        self.disk.rename(&path, &spare).await?;
        self.spares.borrow_mut().insert(number);
        Ok(true)
    }

    /// A spare file, under another name and open; `None` where there is none that fits.
    pub(super) async fn take_spare(&self, making: &str) -> Option<D::File> {
        loop {
            let number = self.spares.borrow_mut().pop_first()?;
            let spare = segment::path_spare(&self.directory, number);
            // A rename that reports an error may have happened.
            if self.disk.rename(&spare, making).await.is_ok()
                && let Some(file) = self.open_spare(making).await
            {
                self.count(|stats| stats.recycled_segments += 1);
                return Some(file);
            }
            let _ = self.disk.remove(making).await;
        }
    }

    /// Of another size than segments have now, a spare file is of no use.
    async fn open_spare(&self, making: &str) -> Option<D::File> {
        let file = self.disk.open(making, Mode::Write).await.ok()?;
        let bytes = file.len().await.ok()?;
        (bytes <= self.options.segment_bytes).then_some(file)
    }
}

/// Spare files of a log.
pub(super) const SPARES_MAX: usize = 8;
