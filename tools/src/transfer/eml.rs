//! `.eml` files, one a message, and the table `mailbox.tsv` beside them.
//!
//! ```text
//! # ringpost mailbox 1
//! # name         Work/Präsi
//! # uidvalidity  1795331235
//! # uidnext      43
//! file   uid  flags           keywords  date                        octets
//! 1.eml  1    \Seen \Flagged  $Label1   17-Jul-1996 02:44:25 -0700  1234
//! ```
//!
//! Between columns stand tabs. A file as large as the table says is taken octet for octet; one that
//! the table does not name is a message of somebody else, dated by its mtime.

use super::date::{date_time, read_date_time};
use super::files::MessageFile;
use super::flags::Marks;
use super::lines::Lines;
use super::parcel::{Spot, Trouble};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use store::mail::date::InternalDate;

pub(crate) const TABLE: &str = "mailbox.tsv";

/// What the head of a table says of its mailbox.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) name: Option<String>,
    pub(crate) uid_validity: Option<u32>,
    pub(crate) uid_next: u32,
}

impl Head {
    pub(crate) fn read(folder: &Path) -> io::Result<Head> {
        let mut head = Head::default();
        let Some(mut lines) = open(folder)? else {
            return Ok(head);
        };
        while let Some(line) = lines.next()? {
            let text = String::from_utf8_lossy(line.octets);
            let Some(field) = text.strip_prefix("# ") else {
                break;
            };
            match field.trim_end_matches(['\r', '\n']).split_once('\t') {
                Some(("name", name)) => head.name = Some(name.to_owned()),
                Some(("uidvalidity", number)) => head.uid_validity = number.parse().ok(),
                Some(("uidnext", number)) => head.uid_next = number.parse().unwrap_or(0),
                _ => {}
            }
        }
        Ok(head)
    }

    pub(crate) fn write(&self) -> String {
        format!(
            "# ringpost mailbox 1\n# name\t{}\n# uidvalidity\t{}\n# uidnext\t{}\n{COLUMNS}\n",
            self.name.as_deref().unwrap_or_default(),
            self.uid_validity.unwrap_or_default(),
            self.uid_next
        )
    }
}

/// A line of the table.
pub(crate) fn row(file: &str, uid: u32, marks: &Marks, date: InternalDate, octets: u64) -> String {
    let (flags, keywords) = (marks.flag_names(), marks.keywords.join(" "));
    let date = date_time(date);
    format!("{file}\t{uid}\t{flags}\t{keywords}\t{date}\t{octets}\n")
}

/// The messages of a folder: those of the table in its order, then the others by name.
pub(crate) fn list(folder: &Path) -> io::Result<(Vec<MessageFile>, Vec<Trouble>)> {
    let mut messages = Vec::new();
    let mut troubles = Vec::new();
    let mut named: HashSet<OsString> = HashSet::new();
    if let Some(mut lines) = open(folder)? {
        while let Some(line) = lines.next()? {
            let text = String::from_utf8_lossy(line.octets);
            let text = text.trim_end_matches(['\r', '\n']);
            if text.is_empty() || text.starts_with("# ") || text == COLUMNS {
                continue;
            }
            match read_row(folder, text) {
                Some(message) => {
                    named.extend(message.path.file_name().map(OsStr::to_owned));
                    messages.push(message);
                }
                None => troubles.push(Trouble {
                    spot: Spot {
                        file: folder.join(TABLE).into(),
                        offset: line.offset,
                    },
                    why: "a line that is none of this table".to_owned(),
                }),
            }
        }
    }
    let mut others: Vec<PathBuf> = files(folder)?;
    others.retain(|path| path.file_name().is_some_and(|name| !named.contains(name)));
    others.sort();
    messages.extend(others.into_iter().map(other));
    Ok((messages, troubles))
}

/// A message that no table tells of.
pub(crate) fn other(path: PathBuf) -> MessageFile {
    let mtime_secs = fs::metadata(&path).map_or(0, |known| known.mtime());
    MessageFile {
        path,
        uid: None,
        marks: Marks::default(),
        date: InternalDate::utc(mtime_secs),
        octets: None,
        is_raw: false,
    }
}

fn read_row(folder: &Path, line: &str) -> Option<MessageFile> {
    let mut columns = line.split('\t');
    let mut column = || columns.next();
    let (file, uid, flags, keywords) = (column()?, column()?, column()?, column()?);
    let (date, octets) = (column()?, column()?.parse().ok()?);
    let is_plain = !file.is_empty() && !file.contains('/') && file != "..";
    let path = folder.join(Some(file).filter(|_| is_plain)?);
    let mut marks = Marks::default();
    marks.read_flag_names(flags)?;
    keywords
        .split_ascii_whitespace()
        .for_each(|name| marks.add_keyword(name));
    let is_raw = fs::metadata(&path).is_ok_and(|known| known.len() == octets);
    Some(MessageFile {
        path,
        uid: Some(uid.parse().ok()?),
        marks,
        date: read_date_time(date)?,
        octets: Some(octets),
        is_raw,
    })
}

/// Whether it holds messages itself.
pub(crate) fn is_folder(folder: &Path) -> bool {
    folder.join(TABLE).is_file() || files(folder).is_ok_and(|files| !files.is_empty())
}

/// Octets of all messages.
pub(crate) fn measure(folder: &Path) -> io::Result<u64> {
    let sizes = files(folder)?.into_iter().map(fs::metadata);
    Ok(sizes.filter_map(Result::ok).map(|known| known.len()).sum())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_eml(&entry.path()) && !entry.file_type()?.is_dir() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

pub(crate) fn is_eml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("eml"))
}

fn open(folder: &Path) -> io::Result<Option<Lines<BufReader<File>>>> {
    match File::open(folder.join(TABLE)) {
        Ok(file) => Ok(Some(Lines::new(BufReader::new(file)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

const COLUMNS: &str = "file\tuid\tflags\tkeywords\tdate\toctets";
