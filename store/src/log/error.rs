//! Why a log cannot be opened, and what the operator can do about it.

use super::Place;
use std::fmt;
use std::io;

#[derive(Debug)]
pub enum OpenError {
    /// Bytes that were durable are not what was written. Nothing was changed on the disk.
    Damaged {
        segment: u32,
        offset: u64,
        what: &'static str,
    },
    /// A segment that must be there is not.
    Missing { segment: u32 },
    /// The segment belongs to another store or shard: `what` differs.
    Foreign { segment: u32, what: &'static str },
    /// The segment was written by a later version of the program.
    Newer { segment: u32 },
    /// The device or the file system gave an error; `path` is a directory or a file.
    Io { path: String, error: io::Error },
    /// The record at this place is whole, and whoever replays it cannot use it.
    Replay { place: Place, why: String },
    /// The options contradict each other.
    Options(&'static str),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Damaged {
                segment,
                offset,
                what,
            } => write!(
                f,
                "segment {segment:016x} is damaged at byte {offset}: {what}; this is no torn write \
                 of a crash, so nothing was cut: restore the file from a replica or a backup"
            ),
            OpenError::Missing { segment } => write!(
                f,
                "segment {segment:016x} is missing though the log goes on behind it or into it; \
                 put the file back, or restore the whole log directory from one backup"
            ),
            OpenError::Foreign { segment, what } => write!(
                f,
                "segment {segment:016x} belongs to another {what}; the file was put into the wrong \
                 directory: put it back where it came from"
            ),
            OpenError::Newer { segment } => write!(
                f,
                "segment {segment:016x} was written by a later version in a format that this one \
                 does not know; start the later version"
            ),
            OpenError::Io { path, error } => write!(
                f,
                "cannot use {path}: {error}; check the device, the mount and the permissions, then \
                 start again"
            ),
            OpenError::Replay { place, why } => write!(
                f,
                "the record in segment {:016x} at byte {} is whole but cannot be applied: {why}; \
                 was it written by another version?",
                place.segment(),
                place.offset()
            ),
            OpenError::Options(what) => write!(f, "the options of the log are wrong: {what}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// Attaches the path that an operation on the disk was about.
pub(super) fn at(path: &str) -> impl FnOnce(io::Error) -> OpenError + '_ {
    move |error| OpenError::Io {
        path: path.to_owned(),
        error,
    }
}
