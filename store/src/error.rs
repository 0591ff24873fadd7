//! Errors of the store, one enum per operation that can fail differently.

use std::fmt;

/// Why a change of a mailbox or account was not made; nothing of it is in the log unless said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeError {
    /// The account is not in this shard.
    NoAccount,
    /// No mailbox of that name or id (IMAP `[NONEXISTENT]`).
    NoMailbox,
    /// The name is taken (`[ALREADYEXISTS]`).
    AlreadyExists,
    /// The name or the mailbox cannot be used so (`[CANNOT]`); says why.
    Cannot(&'static str),
    /// A named maximum of `limit.rs` is reached (`[LIMIT]`).
    Limit(&'static str),
    /// The index of the account or mailbox is damaged (`[SERVERBUG]`); mail for it must wait.
    Damaged,
    /// The account's quota is used up (`[OVERQUOTA]`).
    OverQuota,
    /// The log cannot take the change: disk full, failed or read-only (`[UNAVAILABLE]`).
    Log(LogError),
}

/// Why an append is not durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogError {
    /// No space on the device; may heal by itself.
    Full,
    /// Writing failed and the shard takes no more changes until it is restarted.
    ReadOnly,
    /// The shard is closing.
    Closed,
}

/// Why a record cannot be read; names the damage and never serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// The bytes at this offset are not the record that the index says.
    Damaged {
        container: Container,
        offset: u64,
        what: &'static str,
    },
    /// The device gave an error.
    Io {
        container: Container,
        offset: u64,
        kind: std::io::ErrorKind,
    },
    /// The object is not in the location table: expunged and compacted.
    Gone,
}

/// The file that holds a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    Segment(u32),
    Pack(u32),
    /// A chunk of the table that says where the record would be.
    Locations(u32),
    /// A run of the index.
    Run(u32),
}

impl From<LogError> for ChangeError {
    fn from(error: LogError) -> ChangeError {
        ChangeError::Log(error)
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::NoAccount => f.write_str("no such account"),
            ChangeError::NoMailbox => f.write_str("no such mailbox"),
            ChangeError::AlreadyExists => f.write_str("the name is taken"),
            ChangeError::Cannot(why) => f.write_str(why),
            ChangeError::Limit(what) => write!(f, "limit reached: {what}"),
            ChangeError::Damaged => f.write_str("the index is damaged; run ringpostctl fsck"),
            ChangeError::OverQuota => f.write_str("quota exceeded"),
            ChangeError::Log(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogError::Full => "no space left for the log",
            LogError::ReadOnly => "the log failed and is read-only until a restart",
            LogError::Closed => "the store is closing",
        })
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Damaged {
                container,
                offset,
                what,
            } => write!(f, "damaged record in {container} at {offset}: {what}"),
            ReadError::Io {
                container,
                offset,
                kind,
            } => write!(f, "cannot read {container} at {offset}: {kind}"),
            ReadError::Gone => f.write_str("the message is gone"),
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Container::Segment(number) => write!(f, "segment {number:08x}"),
            Container::Pack(number) => write!(f, "pack {number:08x}"),
            Container::Locations(number) => write!(f, "locations {number:08x}"),
            Container::Run(number) => write!(f, "run {number:08x}"),
        }
    }
}

impl std::error::Error for ChangeError {}
impl std::error::Error for LogError {}
impl std::error::Error for ReadError {}
