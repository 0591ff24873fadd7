//! Why a shard cannot be opened.

use crate::log;
use crate::table::TableError;
use std::fmt;

/// Nothing was changed on disk.
#[derive(Debug)]
pub enum OpenError {
    Log(log::OpenError),
    Index(TableError),
}

impl From<log::OpenError> for OpenError {
    fn from(error: log::OpenError) -> OpenError {
        OpenError::Log(error)
    }
}

impl From<TableError> for OpenError {
    fn from(error: TableError) -> OpenError {
        OpenError::Index(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Log(error) => error.fmt(f),
            OpenError::Index(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}
