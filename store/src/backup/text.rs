//! Small texts of a backup, replaced whole by rename: filled with line feeds to whole blocks.

use super::BackupError;
use super::error::at;
use crate::disk::create::Creator;
use crate::disk::{Disk, File, Mode};
use crate::limit::{BLOCK_BYTES, MANIFEST_BYTES_MAX};
use std::io;

/// The text at `path` without the line feeds that fill it; `None` where none is.
pub(super) async fn read<D: Disk>(disk: &D, path: &str) -> Result<Option<String>, BackupError> {
    let file = match disk.open(path, Mode::Read).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path)(error)),
    };
    let damaged = |what| BackupError::Damaged {
        path: path.to_owned(),
        what,
    };
    let length = file.len().await.map_err(at(path))?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > TEXT_BYTES_MAX {
        return Err(damaged("it is far too long"));
    }
    let block = file.read_at(0, length).await.map_err(at(path))?;
    let text = std::str::from_utf8(block.as_slice()).map_err(|_| damaged("it is no text"))?;
    Ok(Some(format!("{}\n", text.trim_end_matches('\n'))))
}

/// Replaces the text at `path`, durable on return.
pub(super) async fn write<D: Disk>(disk: &D, path: &str, text: &str) -> Result<(), BackupError> {
    let draft = draft(path);
    match disk.remove(&draft).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&draft)(error)),
        _ => {}
    }
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), b'\n');
    let written = async {
        let mut creator = Creator::new(disk.clone(), &draft).await?;
        creator.append(&bytes).await?;
        creator.finish().await
    };
    written.await.map_err(at(&draft))?;
    if read(disk, &draft).await?.as_deref() != Some(text) {
        return Err(BackupError::Damaged {
            path: draft,
            what: "the device gives back something else than was written",
        });
    }
    disk.rename(&draft, path).await.map_err(at(path))
}

pub(super) fn draft(path: &str) -> String {
    format!("{path}.draft")
}

/// A list has a line for each file.
const TEXT_BYTES_MAX: usize = 4 * MANIFEST_BYTES_MAX;
