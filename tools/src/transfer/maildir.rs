//! Maildir++ as Dovecot keeps it: flags in names, UIDs in a list, INTERNALDATE as mtime.
//!
//! ```text
//! cur/1700000000.V1795331235U7.ringpost,S=1234,W=1234:2,FSa
//!     seconds    UIDVALIDITY  UID       size    with CRLF  info: flags, keywords a to z
//! new/…          nobody has seen it yet, and it has no flag
//! ```
//!
//! Our own files hold the octets as they are, with CRLF, as Dovecot does with `mail_save_crlf`;
//! `.ringpost-raw` marks those with a LF or CR that stands alone.

use super::dovecot::{self, UidList, base};
use super::files::MessageFile;
use super::flags::{MAILDIR, Marks, flag_of, letters};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use store::mail::date::InternalDate;

/// The messages of one folder, by UID; those without one behind them, by date.
pub(crate) struct Listing {
    folder: PathBuf,
    keywords: Vec<Option<String>>,
    uidls: HashMap<u32, Box<str>>,
    entries: std::vec::IntoIter<Entry>,
}

/// Ordered as messages are taken in.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// `u32::MAX` where there is none.
    uid: u32,
    mtime_secs: i64,
    name: Box<OsStr>,
    is_new: bool,
}

impl Listing {
    pub(crate) fn read(folder: &Path) -> io::Result<Listing> {
        let uids = UidList::read(&folder.join(dovecot::UIDLIST))?.unwrap_or_default();
        let mut entries = Vec::new();
        for (below, is_new) in [("cur", false), ("new", true)] {
            each_message(&folder.join(below), |name, known| {
                let uid = uids.uids.get(base(name.as_bytes())).copied();
                entries.push(Entry {
                    uid: uid.unwrap_or(u32::MAX),
                    mtime_secs: known.map_or(0, |known| known.mtime()),
                    name: name.into(),
                    is_new,
                });
            })?;
        }
        entries.sort_unstable();
        Ok(Listing {
            uidls: uids.uidls,
            keywords: dovecot::read_keywords(&folder.join(dovecot::KEYWORDS))?,
            folder: folder.to_owned(),
            entries: entries.into_iter(),
        })
    }

    fn message(&self, entry: Entry) -> MessageFile {
        let name = entry.name.as_bytes();
        let below = if entry.is_new { "new" } else { "cur" };
        let mut marks = self.marks(name);
        marks.uidl = self.uidls.get(&entry.uid).cloned();
        MessageFile {
            uid: (entry.uid != u32::MAX).then_some(entry.uid),
            marks,
            date: InternalDate::utc(entry.mtime_secs),
            octets: size(name, b",S="),
            is_raw: is_own(name),
            path: self.folder.join(below).join(&*entry.name),
        }
    }

    fn marks(&self, name: &[u8]) -> Marks {
        let mut marks = Marks::default();
        let info = memchr::memmem::rfind(name, b":2,").and_then(|at| name.get(at + 3..));
        for &letter in info.unwrap_or_default() {
            if let Some(flag) = flag_of(&MAILDIR, letter) {
                marks.add_flag(flag);
            }
            let number = usize::from(letter.wrapping_sub(b'a'));
            if let Some(Some(keyword)) = self.keywords.get(number) {
                marks.add_keyword(keyword);
            }
            if letter == b'P' {
                marks.add_keyword("$Forwarded");
            }
        }
        marks
    }
}

impl Iterator for Listing {
    type Item = MessageFile;

    fn next(&mut self) -> Option<MessageFile> {
        let entry = self.entries.next()?;
        Some(self.message(entry))
    }
}

/// Whether it has the folders of a Maildir.
pub(crate) fn is_maildir(folder: &Path) -> bool {
    folder.join("cur").is_dir() || folder.join("new").is_dir()
}

/// Octets of all messages, as far as names or the disk tell.
pub(crate) fn measure(folder: &Path) -> io::Result<u64> {
    let mut octets = 0;
    for below in ["cur", "new"] {
        each_message(&folder.join(below), |_, known| {
            octets += known.map_or(0, |known| known.len());
        })?;
    }
    Ok(octets)
}

fn each_message(
    folder: &Path,
    mut each: impl FnMut(&OsStr, Option<fs::Metadata>),
) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if !name.as_bytes().starts_with(b".") && !entry.file_type()?.is_dir() {
            each(&name, entry.metadata().ok());
        }
    }
    Ok(())
}

fn size(name: &[u8], field: &[u8]) -> Option<u64> {
    let at = memchr::memmem::find(name, field)? + field.len();
    let digits = name.get(at..)?.iter().take_while(|b| b.is_ascii_digit());
    let count = digits.count();
    std::str::from_utf8(name.get(at..at + count)?)
        .ok()?
        .parse()
        .ok()
}

/// Whether the octets are as they were, also where a LF stands alone.
fn is_own(name: &[u8]) -> bool {
    memchr::memmem::find(name, b".ringpost-raw,").is_some()
}

/// What the name of a file says.
pub(crate) struct Label<'a> {
    pub(crate) unix_secs: i64,
    pub(crate) uid_validity: u32,
    pub(crate) uid: u32,
    pub(crate) octets: u64,
    /// LFs without a CR: Dovecot counts a CR for each.
    pub(crate) bare_lfs: u64,
    pub(crate) is_clean: bool,
    pub(crate) marks: &'a Marks,
    /// By letter.
    pub(crate) keywords: &'a [String],
    pub(crate) is_recent: bool,
}

impl Label<'_> {
    /// The name up to its info, as it stands in the UID list.
    pub(crate) fn base(&self) -> String {
        let Label {
            unix_secs,
            uid_validity,
            uid,
            octets,
            ..
        } = self;
        let raw = if self.is_clean { "" } else { "-raw" };
        let wire = octets + self.bare_lfs;
        let secs = unix_secs.max(&0);
        format!("{secs}.V{uid_validity}U{uid}.ringpost{raw},S={octets},W={wire}")
    }

    /// The file below the folder.
    pub(crate) fn path(&self) -> PathBuf {
        let letters = letters(&MAILDIR, self.marks.flags) + &self.keyword_letters();
        match self.is_recent && letters.is_empty() {
            true => Path::new("new").join(self.base()),
            false => Path::new("cur").join(format!("{}:2,{letters}", self.base())),
        }
    }

    /// Ascending, as the info wants them.
    fn keyword_letters(&self) -> String {
        let has = |keyword: &&String| self.marks.keywords.contains(keyword);
        let lettered = (b'a'..=b'z').zip(self.keywords);
        let set = lettered.filter(|(_, keyword)| has(keyword));
        set.map(|(letter, _)| char::from(letter)).collect()
    }
}
