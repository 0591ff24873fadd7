//! What a check tells while it goes on: each damage with its place and whose mail it is, and what
//! was looked at.

use crate::error::Container;
use crate::log::{self, Place};
use crate::mail::id::{AccountId, Uid};
use crate::pack::PackError;
use crate::table::TableError;
use std::fmt;

/// Told while a check is under way.
#[derive(Clone, Debug)]
pub enum Event {
    Damage(Damage),
    /// Nothing is wrong; an operator may want to know.
    Note(String),
    /// So many more bytes were looked at.
    Bytes(u64),
}

/// Where the events go.
pub type Listener<'a> = &'a mut dyn FnMut(Event);

/// What kind of file or thing is damaged, for the table at the end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    Manifest,
    Log,
    Pack,
    /// What packs list of their messages: it can be dropped.
    Listing,
    /// Signatures of messages: they are made anew.
    Signatures,
    Archive,
    Run,
    Locations,
    /// A run of memos.
    Memos,
    /// Rows that contradict each other or what was counted.
    Mailbox,
    /// A row whose message cannot be read.
    Message,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    pub part: Part,
    /// Below the store's directory.
    pub file: String,
    /// In bytes from the start of the file, where that is known.
    pub offset: Option<u64>,
    pub what: String,
    pub whose: Option<Whose>,
}

/// Whose mail is concerned.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Whose {
    pub account: AccountId,
    /// Empty where it is not known.
    pub address: String,
    pub mailbox: Option<String>,
    pub uid: Option<Uid>,
}

impl Damage {
    pub(super) fn new(part: Part, file: &str, offset: Option<u64>, what: &str) -> Damage {
        Damage {
            part,
            file: file.to_owned(),
            offset,
            what: what.to_owned(),
            whose: None,
        }
    }

    /// A shard of which nothing is there, while others have mail.
    #[must_use]
    pub fn missing_shard(directory: &str) -> Damage {
        let what = "nothing of this shard is there; put the directory back, or restore a backup";
        Damage::new(Part::Log, directory, None, what)
    }

    pub(super) fn of(mut self, whose: Whose) -> Damage {
        self.whose = Some(whose);
        self
    }

    /// Damage of a file of the index.
    pub(super) fn table(part: Part, error: &TableError) -> Damage {
        match error {
            TableError::Damaged { path, offset, what } => {
                Damage::new(part, path, Some(*offset), what)
            }
            TableError::Foreign { path, what } => {
                Damage::new(part, path, None, &belongs_elsewhere(what))
            }
            TableError::Newer { path, what } => Damage::new(part, path, None, &is_newer(what)),
            TableError::Missing { path } => Damage::new(part, path, None, MISSING),
            TableError::Io { path, why, .. } => Damage::new(part, path, None, why),
        }
    }

    /// Damage of a pack or an archive.
    pub(super) fn pack(part: Part, file: &str, error: &PackError) -> Damage {
        match error {
            PackError::Damaged { offset, what, .. } => Damage::new(part, file, Some(*offset), what),
            PackError::Foreign { what, .. } => {
                Damage::new(part, file, None, &belongs_elsewhere(what))
            }
            PackError::Newer { .. } => Damage::new(part, file, None, &is_newer("its format")),
            PackError::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
                Damage::new(part, file, None, MISSING)
            }
            PackError::Io { offset, error, .. } => {
                Damage::new(part, file, Some(*offset), &error.to_string())
            }
        }
    }

    /// Damage of a segment that cannot even be opened.
    pub(super) fn log(file: &str, error: &log::OpenError) -> Damage {
        let new = |offset, what: &str| Damage::new(Part::Log, file, offset, what);
        match error {
            log::OpenError::Damaged { offset, what, .. } => new(Some(*offset), what),
            log::OpenError::Missing { .. } => new(None, MISSING),
            log::OpenError::Foreign { what, .. } => new(None, &belongs_elsewhere(what)),
            log::OpenError::Newer { .. } => new(None, &is_newer("its format")),
            log::OpenError::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
                new(None, MISSING)
            }
            log::OpenError::Io { error, .. } => new(None, &error.to_string()),
            other => new(None, &other.to_string()),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(offset) = self.offset {
            write!(f, " at {offset}")?;
        }
        write!(f, ": {}", self.what)?;
        match &self.whose {
            Some(whose) => write!(f, " ({whose})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.as_str() {
            "" => write!(f, "account {}", self.account)?,
            address => write!(f, "account {address}")?,
        }
        if let Some(mailbox) = &self.mailbox {
            write!(f, ", mailbox {mailbox:?}")?;
        }
        match self.uid {
            Some(uid) => write!(f, ", UID {uid}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Manifest => "manifest",
            Part::Log => "log",
            Part::Pack => "packs",
            Part::Listing => "listings",
            Part::Signatures => "signatures",
            Part::Archive => "archives",
            Part::Run => "runs",
            Part::Locations => "locations",
            Part::Memos => "memos",
            Part::Mailbox => "mailboxes",
            Part::Message => "messages",
        })
    }
}

/// The file that holds a place, and the offset in it; that of a record in a pack is not known.
pub(super) fn spot_of(directory: &str, place: Place) -> (String, Option<u64>) {
    let offset = (!place.is_in_pack()).then(|| place.offset());
    (file_of(directory, place.container()), offset)
}

fn file_of(directory: &str, container: Container) -> String {
    match container {
        Container::Segment(number) => log::scan::file(&format!("{directory}/log"), number),
        Container::Pack(number) => crate::table::name::pack(directory, number),
        Container::Run(number) => crate::table::name::run(directory, number),
        Container::Locations(chunk) => format!("{directory}/index/{chunk:08x}.*.loc"),
    }
}

fn belongs_elsewhere(what: &str) -> String {
    format!(
        "it belongs to another {what}; somebody put it into the wrong directory: put it back where \
         it came from"
    )
}

fn is_newer(what: &str) -> String {
    format!("it was written by a later version of Ringpost ({what}); use that version")
}

const MISSING: &str = "it is missing, and the store needs it";
