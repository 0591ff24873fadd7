//! A log that begins: at the first start, or behind what a repair has given up.

use super::error::at;
use super::recovery::make_segment;
use super::segment::{FIRST_OFFSET, SegmentHeader, path_in_the_making};
use super::{OpenError, Options, Position};
use crate::disk::{Disk, Mode};

/// Makes an empty segment behind the one of `after`, so that whatever is wrong with that one, the
/// log can be written to again once those before are emptied. Returns where its first frame goes.
pub async fn go_on_behind<D: Disk>(
    disk: &D,
    directory: &str,
    options: &Options,
    after: &Position,
) -> Result<Position, OpenError> {
    let segment = after.segment + 1;
    let making = path_in_the_making(directory, segment);
    // One may be left from a start or a repair that was cut short.
    let _ = disk.remove(&making).await;
    let file = disk
        .open(&making, Mode::Create)
        .await
        .map_err(at(&making))?;
    let mut header = SegmentHeader {
        store: options.store,
        shard: options.shard,
        segment,
        size: options.segment_bytes,
        salt: (options.random)(),
        epoch: 0,
        first_frame: after.frame,
        first_lsn: after.lsn,
        previous_end: after.offset,
        previous: after.chain,
        ro_compat: 0,
        remains: 0,
        has_times: true,
        has_queue: true,
        has_memos: true,
        has_saves: true,
        chain: 0,
    };
    make_segment(disk, directory, &file, &making, &mut header)
        .await
        .map_err(at(&making))?;
    Ok(Position {
        segment,
        offset: FIRST_OFFSET,
        chain: header.chain,
        ..*after
    })
}
