//! Why a pack cannot be used, and what the operator can do about it.

use crate::error::{Container, ReadError};
use std::fmt;
use std::io;

#[derive(Debug)]
pub enum PackError {
    /// Bytes are not what was written; `offset` is where the damaged part begins.
    Damaged {
        pack: u32,
        offset: u64,
        what: &'static str,
    },
    /// The file belongs to another store, shard or number: `what` differs.
    Foreign { pack: u32, what: &'static str },
    /// The pack was written by a later version of the program.
    Newer { pack: u32 },
    /// The device or the file system gave an error.
    Io {
        pack: u32,
        offset: u64,
        error: io::Error,
    },
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PackError::Damaged { pack, offset, what } => write!(
                f,
                "pack {pack:08x} is damaged at byte {offset}: {what}; restore the file from a \
                 replica or a backup"
            ),
            PackError::Foreign { pack, what } => write!(
                f,
                "pack {pack:08x} belongs to another {what}; the file was put into the wrong \
                 directory: put it back where it came from"
            ),
            PackError::Newer { pack } => write!(
                f,
                "pack {pack:08x} was written by a later version in a format that this one does not \
                 know; start the later version"
            ),
            PackError::Io {
                pack,
                offset,
                error,
            } => write!(
                f,
                "cannot read pack {pack:08x} at byte {offset}: {error}; check the device, the \
                 mount and the permissions"
            ),
        }
    }
}

impl std::error::Error for PackError {}

impl From<PackError> for ReadError {
    fn from(error: PackError) -> ReadError {
        let damaged = |pack, offset, what| ReadError::Damaged {
            container: Container::Pack(pack),
            offset,
            what,
        };
        match error {
            PackError::Damaged { pack, offset, what } => damaged(pack, offset, what),
            PackError::Foreign { pack, .. } => damaged(pack, 0, "the pack of another place"),
            PackError::Newer { pack } => damaged(pack, 0, "a pack of a later version"),
            PackError::Io {
                pack,
                offset,
                error,
            } => ReadError::Io {
                container: Container::Pack(pack),
                offset,
                kind: error.kind(),
            },
        }
    }
}
