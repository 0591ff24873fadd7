//! Where an export writes the messages of one mailbox.

use super::dovecot::{self, LETTERS, UidList};
use super::flags::Marks;
use super::lines::Cleanness;
use super::maildir::Label;
use super::mbox::{Letterhead, MboxWriter};
use super::{Format, eml, name};
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::mail::date::InternalDate;
use store::mail::id::Uid;
use store::mailbox::{MailboxInfo, Status};

/// What there is to know of a message before its octets are written.
pub(crate) struct Header<'a> {
    pub(crate) uid: Uid,
    pub(crate) date: InternalDate,
    pub(crate) marks: &'a Marks,
    pub(crate) is_recent: bool,
    pub(crate) octets: u64,
    pub(crate) looks: &'a Looks,
}

/// What the octets of a message look like.
#[derive(Default)]
pub(crate) struct Looks {
    cleanness: Cleanness,
    lfs: u64,
    crlfs: u64,
    after_cr: bool,
    /// The first octets, for the Return-Path.
    start: Vec<u8>,
}

impl Looks {
    pub(crate) fn push(&mut self, octets: &[u8]) {
        self.cleanness.push(octets);
        for at in memchr::memchr_iter(b'\n', octets) {
            let before = at.checked_sub(1).and_then(|before| octets.get(before));
            let has_cr = before.map_or(self.after_cr, |octet| *octet == b'\r');
            self.lfs += 1;
            self.crlfs += u64::from(has_cr);
        }
        self.after_cr = octets.last() == Some(&b'\r');
        let room = START_BYTES.saturating_sub(self.start.len());
        let more = octets.get(..room.min(octets.len())).unwrap_or_default();
        self.start.extend_from_slice(more);
    }

    /// The address of the first Return-Path; empty where there is none.
    fn sender(&self) -> String {
        let text = String::from_utf8_lossy(&self.start);
        let header = text.lines().take_while(|line| !line.is_empty());
        let path = header
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("return-path"));
        let path = path.map_or("", |(_, path)| path);
        let graphic = path
            .chars()
            .filter(|c| !c.is_whitespace() && !c.is_control());
        graphic.filter(|c| !matches!(c, '<' | '>')).collect()
    }
}

/// The files of one mailbox.
pub(crate) enum Outlet {
    Mbox(MboxWriter<BufWriter<File>>),
    Maildir(MaildirWriter),
    Eml(EmlWriter),
}

impl Outlet {
    /// Makes what the mailbox needs below the folder of its account.
    pub(crate) fn create(
        format: Format,
        folder: &Path,
        info: &MailboxInfo,
        status: &Status,
        keywords: &[String],
    ) -> io::Result<Outlet> {
        Ok(match format {
            Format::Mbox => {
                let mut path = folder.join(name::to_path(&info.name)).into_os_string();
                path.push(".mbox");
                make_folders(Path::new(&path).parent().unwrap_or(folder))?;
                let out = BufWriter::with_capacity(BUFFER_BYTES, new_file(Path::new(&path))?);
                let last_uid = status.uid_next.0.saturating_sub(1);
                let keywords = keywords.to_vec();
                Outlet::Mbox(MboxWriter::new(
                    out,
                    info.uid_validity.0,
                    last_uid,
                    keywords,
                ))
            }
            Format::Maildir => Outlet::Maildir(MaildirWriter::create(
                &maildir_folder(folder, &info.name),
                status,
                keywords,
            )?),
            Format::Eml => {
                let folder = folder.join(name::to_path(&info.name));
                Outlet::Eml(EmlWriter::create(folder, info, status)?)
            }
        })
    }

    pub(crate) fn begin(&mut self, header: &Header<'_>) -> io::Result<()> {
        match self {
            Outlet::Mbox(out) => out.begin(&Letterhead {
                sender: &header.looks.sender(),
                uid: header.uid.0,
                date: header.date,
                marks: header.marks,
                is_recent: header.is_recent,
                octets: header.octets,
                is_clean: header.looks.cleanness.is_clean(),
            }),
            Outlet::Maildir(out) => out.begin(header),
            Outlet::Eml(out) => out.begin(header),
        }
    }

    pub(crate) fn push(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Outlet::Mbox(out) => out.push(octets),
            Outlet::Maildir(MaildirWriter { message, .. })
            | Outlet::Eml(EmlWriter { message, .. }) => match message {
                Some(file) => file.write_all(octets),
                None => Ok(()),
            },
        }
    }

    /// The message is complete.
    pub(crate) fn end(&mut self, header: &Header<'_>) -> io::Result<()> {
        match self {
            Outlet::Mbox(out) => out.end(),
            Outlet::Maildir(MaildirWriter { message, .. })
            | Outlet::Eml(EmlWriter { message, .. }) => match message.take() {
                Some(file) => file.set_modified(instant(header.date.unix_secs)),
                None => Ok(()),
            },
        }
    }

    /// The mailbox is complete.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Outlet::Mbox(out) => out.finish().map(drop),
            Outlet::Maildir(mut out) => out.list.flush(),
            Outlet::Eml(mut out) => out.table.flush(),
        }
    }
}

pub(crate) struct MaildirWriter {
    folder: PathBuf,
    uid_validity: u32,
    keywords: Vec<String>,
    list: BufWriter<File>,
    message: Option<File>,
}

impl MaildirWriter {
    fn create(folder: &Path, status: &Status, keywords: &[String]) -> io::Result<MaildirWriter> {
        make_maildir(folder)?;
        let letters = keywords.iter().take(LETTERS);
        let numbered = letters
            .enumerate()
            .map(|(at, name)| format!("{at} {name}\n"));
        let numbered: String = numbered.collect();
        if !numbered.is_empty() {
            new_file(&folder.join(dovecot::KEYWORDS))?.write_all(numbered.as_bytes())?;
        }
        let mut list = BufWriter::new(new_file(&folder.join(dovecot::UIDLIST))?);
        let uid_validity = status.uid_validity.0;
        list.write_all(UidList::head(uid_validity, status.uid_next.0).as_bytes())?;
        Ok(MaildirWriter {
            folder: folder.to_owned(),
            uid_validity,
            keywords: keywords.iter().take(LETTERS).cloned().collect(),
            list,
            message: None,
        })
    }

    fn begin(&mut self, header: &Header<'_>) -> io::Result<()> {
        let label = Label {
            unix_secs: header.date.unix_secs,
            uid_validity: self.uid_validity,
            uid: header.uid.0,
            octets: header.octets,
            bare_lfs: header.looks.lfs - header.looks.crlfs,
            is_clean: header.looks.lfs == header.looks.crlfs,
            marks: header.marks,
            keywords: &self.keywords,
            is_recent: header.is_recent,
        };
        let uidl = header.marks.uidl.as_ref();
        let uidl = uidl.map_or_else(String::new, |text| format!("P{text} "));
        writeln!(self.list, "{} {uidl}:{}", header.uid, label.base())?;
        self.message = Some(new_file(&self.folder.join(label.path()))?);
        Ok(())
    }
}

pub(crate) struct EmlWriter {
    folder: PathBuf,
    table: BufWriter<File>,
    message: Option<File>,
}

impl EmlWriter {
    fn create(folder: PathBuf, info: &MailboxInfo, status: &Status) -> io::Result<EmlWriter> {
        make_folders(&folder)?;
        let mut table = BufWriter::new(new_file(&folder.join(eml::TABLE))?);
        let head = eml::Head {
            name: Some(info.name.clone()),
            uid_validity: Some(info.uid_validity.0),
            uid_next: status.uid_next.0,
        };
        table.write_all(head.write().as_bytes())?;
        Ok(EmlWriter {
            folder,
            table,
            message: None,
        })
    }

    fn begin(&mut self, header: &Header<'_>) -> io::Result<()> {
        let uid = header.uid.0;
        let file = format!("{uid}.eml");
        let row = eml::row(&file, uid, header.marks, header.date, header.octets);
        self.table.write_all(row.as_bytes())?;
        self.message = Some(new_file(&self.folder.join(file))?);
        Ok(())
    }
}

/// INBOX is the Maildir itself, the others are folders in it.
fn maildir_folder(root: &Path, name: &str) -> PathBuf {
    match name {
        engine::wire::imap::name::INBOX => root.to_owned(),
        name => root.join(name::to_maildir(name)),
    }
}

/// The three folders, and the mark of a folder that is not the root.
pub(crate) fn make_maildir(folder: &Path) -> io::Result<()> {
    for below in ["cur", "new", "tmp"] {
        make_folders(&folder.join(below))?;
    }
    let is_below = folder
        .file_name()
        .is_some_and(|name| name.as_bytes().starts_with(b"."));
    match is_below {
        true => new_file(&folder.join("maildirfolder")).map(drop),
        false => Ok(()),
    }
}

/// Mail is nobody else's.
pub(crate) fn make_folders(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

fn instant(unix_secs: i64) -> SystemTime {
    let distance = Duration::from_secs(unix_secs.unsigned_abs());
    let moved = match unix_secs < 0 {
        true => UNIX_EPOCH.checked_sub(distance),
        false => UNIX_EPOCH.checked_add(distance),
    };
    moved.unwrap_or(UNIX_EPOCH)
}

/// What is written at once, in bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// Where a Return-Path is looked for, in bytes.
const START_BYTES: usize = 1024;
