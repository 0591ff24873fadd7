//! Why a backup was not taken or a store not restored, and what to do about it.

use crate::log;
use crate::mail::calendar::date_of;
use crate::mail::id::ShardId;
use crate::pack::PackError;
use crate::table::TableError;
use std::fmt;
use std::io;

#[derive(Debug)]
pub enum BackupError {
    /// The directory holds something else than a backup.
    NoBackup,
    /// The backup is that of another store.
    OtherStore,
    /// The backup or a list in it was written by a later version.
    Newer { path: String },
    /// A file of the backup is not what was written.
    Damaged { path: String, what: &'static str },
    /// What the backup has and what the store has do not continue each other.
    OtherHistory { path: String },
    /// A file of the store is not what was written.
    Store(String),
    /// The store went on changing its files faster than they could be copied.
    Restless { shard: ShardId },
    /// No generation, or none of that number.
    NoGeneration(Option<u32>),
    /// The backup cannot restore the time; the next one that it can, if known, and the last
    /// generation before, by number and end, which it can, too.
    TooEarly {
        shard: ShardId,
        earliest: Option<i64>,
        latest: Option<(u32, i64)>,
    },
    /// The time lies behind the end of the generation.
    TooLate { taken_secs: i64 },
    /// The log has no times: it was written by an earlier version.
    NoTimes { shard: ShardId },
    /// The device or the file system gave an error.
    Io { path: String, error: io::Error },
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackupError::NoBackup => f.write_str(
                "the directory is no backup of Ringpost; name the directory of a backup, or an \
                 empty one to begin one",
            ),
            BackupError::OtherStore => f.write_str(
                "the backup is that of another store (its uuid differs); give each store a \
                 directory of its own",
            ),
            BackupError::Newer { path } => write!(
                f,
                "{path} was written by a later version; use the ringpostctl of that version"
            ),
            BackupError::Damaged { path, what } => write!(
                f,
                "{path} in the backup is damaged: {what}; use another backup, or restore another \
                 generation"
            ),
            BackupError::OtherHistory { path } => write!(
                f,
                "{path}: the store does not go on where the backup ends: it was restored or rolled \
                 back since; begin a new backup in an empty directory and keep this one"
            ),
            BackupError::Store(what) => write!(
                f,
                "the store cannot be copied: {what}; find out more with ringpostctl fsck"
            ),
            BackupError::Restless { shard } => write!(
                f,
                "the files of shard {shard} changed again and again while they were copied; try \
                 again when less is compacted"
            ),
            BackupError::NoGeneration(None) => f.write_str(
                "the backup has no generation that is whole: it was never taken to its end",
            ),
            BackupError::NoGeneration(Some(number)) => {
                write!(f, "the backup has no generation {number} that is whole")
            }
            BackupError::TooEarly {
                shard,
                earliest,
                latest,
            } => too_early(f, *shard, *earliest, *latest),
            BackupError::TooLate { taken_secs } => write!(
                f,
                "the backup ends at {} (UTC), before that time; leave --to away to restore all",
                Moment(*taken_secs)
            ),
            BackupError::NoTimes { shard } => write!(
                f,
                "the log of shard {shard} was written by an earlier version, without times; \
                 restore a whole generation instead"
            ),
            BackupError::Io { path, error } => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => write!(
                    f,
                    "{path}: no space left; make room and start again: what was copied stays"
                ),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    write!(f, "cannot write {path}: {error}")
                }
                _ => write!(f, "cannot use {path}: {error}"),
            },
        }
    }
}

fn too_early(
    f: &mut fmt::Formatter<'_>,
    shard: ShardId,
    earliest: Option<i64>,
    latest: Option<(u32, i64)>,
) -> fmt::Result {
    write!(f, "shard {shard} cannot be restored to a time so early")?;
    if let Some(secs) = earliest {
        write!(f, "; the earliest is --to {}", Moment(secs))?;
    }
    if let Some((generation, secs)) = latest {
        write!(
            f,
            "; before it there is all that generation {generation} has, as of {} (--generation \
             {generation} without --to): what came between was compacted before it was backed up, \
             and mail that was expunged meanwhile is gone",
            Moment(secs)
        )?;
    }
    match (earliest, latest) {
        (None, None) => f.write_str("; restore a whole generation, without --to"),
        _ => Ok(()),
    }
}

impl std::error::Error for BackupError {}

/// Seconds since 1970, shown as a date and a time of day in UTC.
pub struct Moment(pub i64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, secs) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Attaches the path that an operation on a disk was about.
pub(super) fn at(path: &str) -> impl Fn(io::Error) -> BackupError + '_ {
    move |error| BackupError::Io {
        path: path.to_owned(),
        error,
    }
}

/// What is wrong with a file of the store.
pub(super) fn of_store(error: impl fmt::Display) -> BackupError {
    BackupError::Store(error.to_string())
}

/// What is wrong with a table or a manifest in the backup.
pub(super) fn of_table(error: TableError) -> BackupError {
    match error {
        TableError::Damaged { path, what, .. } => BackupError::Damaged { path, what },
        TableError::Foreign { path, what } => BackupError::Damaged { path, what },
        TableError::Newer { path, .. } => BackupError::Newer { path },
        TableError::Missing { path } => BackupError::Damaged {
            path,
            what: "it is missing",
        },
        TableError::Io { path, kind, .. } => BackupError::Io {
            path,
            error: kind.into(),
        },
    }
}

/// What is wrong with a pack in the backup.
pub(super) fn of_pack(path: &str, error: PackError) -> BackupError {
    match error {
        PackError::Io { error, .. } => at(path)(error),
        PackError::Newer { .. } => BackupError::Newer {
            path: path.to_owned(),
        },
        PackError::Damaged { what, .. } | PackError::Foreign { what, .. } => BackupError::Damaged {
            path: path.to_owned(),
            what,
        },
    }
}

/// What is wrong with a segment in the backup.
pub(super) fn of_segment(path: &str, error: log::OpenError) -> BackupError {
    match error {
        log::OpenError::Io { path, error } => BackupError::Io { path, error },
        log::OpenError::Newer { .. } => BackupError::Newer {
            path: path.to_owned(),
        },
        log::OpenError::Damaged { what, .. } | log::OpenError::Foreign { what, .. } => {
            BackupError::Damaged {
                path: path.to_owned(),
                what,
            }
        }
        _ => BackupError::Damaged {
            path: path.to_owned(),
            what: "it is no segment of the log",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_early_is_told_what_there_is() {
        let told = |earliest, latest| {
            let shard = ShardId(1);
            let error = BackupError::TooEarly {
                shard,
                earliest,
                latest,
            };
            error.to_string()
        };
        let both = told(Some(951_782_399), Some((7, 0)));
        assert!(both.contains("--to 2000-02-28T23:59:59Z"), "{both}");
        let older = "generation 7 has, as of 1970-01-01T00:00:00Z (--generation 7 without --to)";
        assert!(both.contains(older), "{both}");
        assert!(told(None, None).ends_with("whole generation, without --to"));
    }

    #[test]
    fn moments_are_dates_of_the_calendar() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_333_261, "2026-11-22T07:41:01Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(Moment(secs).to_string(), text);
        }
    }
}
