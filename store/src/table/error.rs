//! Why a file of the index cannot be used: which file, where in it, and what is wrong.

use std::fmt;
use std::io;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableError {
    /// Bytes that were durable are not what was written.
    Damaged {
        path: String,
        offset: u64,
        what: &'static str,
    },
    /// The file belongs to another store, shard or place: `what` differs.
    Foreign { path: String, what: &'static str },
    /// The file was written by a later version of the program; `what` is new.
    Newer { path: String, what: String },
    /// A file that must be there is not.
    Missing { path: String },
    /// The device or the file system gave an error.
    Io {
        path: String,
        kind: io::ErrorKind,
        why: String,
    },
}

impl TableError {
    pub(crate) fn damaged(path: &str, offset: u64, what: &'static str) -> TableError {
        TableError::Damaged {
            path: path.to_owned(),
            offset,
            what,
        }
    }

    pub(crate) fn foreign(path: &str, what: &'static str) -> TableError {
        TableError::Foreign {
            path: path.to_owned(),
            what,
        }
    }

    pub(crate) fn newer(path: &str, what: impl Into<String>) -> TableError {
        TableError::Newer {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

/// Attaches the path that an operation on the disk was about.
pub(crate) fn at(path: &str) -> impl Fn(io::Error) -> TableError + '_ {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => TableError::Missing {
            path: path.to_owned(),
        },
        kind => TableError::Io {
            path: path.to_owned(),
            kind,
            why: error.to_string(),
        },
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableError::Damaged { path, offset, what } => {
                write!(f, "{path} is damaged at byte {offset}: {what}")
            }
            TableError::Foreign { path, what } => write!(
                f,
                "{path} belongs to another {what}; the file was put into the wrong directory: put \
                 it back where it came from"
            ),
            TableError::Newer { path, what } => write!(
                f,
                "{path} was written by a later version ({what}); start the later version"
            ),
            TableError::Missing { path } => write!(
                f,
                "{path} is missing, and the store needs it; put the file back, or restore the \
                 whole store from one backup"
            ),
            TableError::Io { path, why, .. } => write!(f, "cannot use {path}: {why}"),
        }
    }
}

impl std::error::Error for TableError {}
