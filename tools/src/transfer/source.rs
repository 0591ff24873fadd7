//! Which mailboxes a source holds: one file, a tree of files, a Maildir++ tree.
//!
//! ```text
//! file            mbox (it begins with `From `), or one .eml
//! folder          Maildir (cur/ or new/, here or in .Folder), .eml files, or a tree of mboxes
//! mbox tree       Work.mbox, Work/Plans.mbox; Thunderbird's Work and Work.sbd/Plans;
//!                 Apple's Work.mbox/mbox
//! ```
//!
//! Links to folders are not followed.

use super::parcel::{Spot, Trouble};
use super::{Format, dovecot, eml, maildir, mbox, name};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use store::limit::MAILBOX_DEPTH_MAX;

/// One mailbox of a source.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) format: Format,
    /// A file, or the folder that holds the messages.
    pub(crate) path: PathBuf,
    /// As it will be called here.
    pub(crate) name: String,
    pub(crate) uid_validity: Option<u32>,
    pub(crate) uid_next: u32,
    /// Of the files, for progress.
    pub(crate) octets: u64,
}

/// All that was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) folders: Vec<Folder>,
    pub(crate) subscriptions: Vec<String>,
    pub(crate) troubles: Vec<Trouble>,
}

/// Looks through one source. `target` is where its messages go, if not where their names say.
pub(crate) fn discover(
    source: &Path,
    format: Option<Format>,
    target: Option<&str>,
) -> Result<Found, String> {
    let known = fs::metadata(source).map_err(|error| format!("{}: {error}", source.display()))?;
    let format = match format {
        Some(format) => format,
        None if known.is_dir() => of_folder(source),
        None => of_file(source),
    };
    let mut search = Search {
        root: source,
        format,
        target,
        found: Found::default(),
    };
    match (known.is_dir(), format) {
        (true, Format::Maildir) => search.maildirs(source, &[]),
        (true, Format::Eml) => search.emls(source, &[]),
        (true, Format::Mbox) => search.mboxes(source, &[]),
        (false, Format::Maildir) => {
            return Err(format!("{}: a Maildir is a folder", source.display()));
        }
        (false, _) => search.file(source),
    }
    if known.is_dir() {
        search.subscriptions();
    }
    search.found.folders.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(search.found)
}

fn of_folder(source: &Path) -> Format {
    let below = || fs::read_dir(source).into_iter().flatten().flatten();
    let is_hidden = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'))
    };
    let has_maildir = |path: PathBuf| is_hidden(&path) && maildir::is_maildir(&path);
    if maildir::is_maildir(source) || below().any(|entry| has_maildir(entry.path())) {
        return Format::Maildir;
    }
    match has_eml(source, 0) {
        true => Format::Eml,
        false => Format::Mbox,
    }
}

fn has_eml(folder: &Path, depth: usize) -> bool {
    eml::is_folder(folder)
        || depth < MAILBOX_DEPTH_MAX
            && folders_in(folder)
                .into_iter()
                .flatten()
                .any(|(_, path)| has_eml(&path, depth + 1))
}

fn of_file(source: &Path) -> Format {
    match eml::is_eml(source) && !begins_with_from(source).unwrap_or(false) {
        true => Format::Eml,
        false => Format::Mbox,
    }
}

struct Search<'a> {
    root: &'a Path,
    format: Format,
    target: Option<&'a str>,
    found: Found,
}

impl Search<'_> {
    /// A Maildir, its `.Folders`, and folders below it that are Maildirs (`LAYOUT=fs`).
    fn maildirs(&mut self, folder: &Path, levels: &[String]) {
        if maildir::is_maildir(folder) {
            let list = dovecot::UidList::read_numbers(&folder.join(dovecot::UIDLIST));
            let list = self.told(folder, list).flatten();
            let octets = self.told(folder, maildir::measure(folder)).unwrap_or(0);
            self.add(folder, levels, |found| {
                found.octets = octets;
                found.uid_validity = list.as_ref().map(|list| list.uid_validity);
                found.uid_next = list.map_or(0, |list| list.uid_next);
            });
        }
        for (file, path) in self.told(folder, folders_in(folder)).unwrap_or_default() {
            match file.as_str() {
                "cur" | "new" | "tmp" => {}
                _ if file.starts_with('.') => {
                    if levels.is_empty() && maildir::is_maildir(&path) {
                        self.maildirs(&path, &[name::from_maildir(&file)]);
                    }
                }
                _ => self.below(
                    &path,
                    levels,
                    name::from_maildir_level(&file),
                    Search::maildirs,
                ),
            }
        }
    }

    fn emls(&mut self, folder: &Path, levels: &[String]) {
        if eml::is_folder(folder) {
            let head = self
                .told(folder, eml::Head::read(folder))
                .unwrap_or_default();
            let octets = self.told(folder, eml::measure(folder)).unwrap_or(0);
            let own_name: Vec<String> = head.name.into_iter().collect();
            let levels = if own_name.is_empty() {
                levels
            } else {
                &own_name
            };
            self.add(folder, levels, |found| {
                found.octets = octets;
                found.uid_validity = head.uid_validity;
                found.uid_next = head.uid_next;
            });
        }
        for (file, path) in self.told(folder, folders_in(folder)).unwrap_or_default() {
            self.below(&path, levels, name::from_file(&file), Search::emls);
        }
    }

    fn mboxes(&mut self, folder: &Path, levels: &[String]) {
        for (file, path) in self.told(folder, folders_in(folder)).unwrap_or_default() {
            let inner = path.join("mbox");
            if file.ends_with(".mbox") && inner.is_file() {
                self.mbox(&inner, levels, &file);
                continue;
            }
            let level = file.strip_suffix(".sbd").unwrap_or(&file);
            self.below(&path, levels, name::from_file(level), Search::mboxes);
        }
        for (file, path) in self.told(folder, files_in(folder)).unwrap_or_default() {
            let is_named_so = file.ends_with(".mbox");
            if is_named_so || self.told(&path, begins_with_from(&path)) == Some(true) {
                self.mbox(&path, levels, &file);
            }
        }
    }

    fn mbox(&mut self, path: &Path, levels: &[String], file: &str) {
        let level = file.strip_suffix(".mbox").unwrap_or(file);
        let levels = [levels, &[name::from_file(level)]].concat();
        let numbers = mbox::peek(path);
        self.add(path, &levels, |found| {
            found.octets = fs::metadata(path).map_or(0, |known| known.len());
            found.uid_validity = numbers.map(|numbers| numbers.0);
            found.uid_next = numbers.map_or(0, |numbers| numbers.1.saturating_add(1));
        });
    }

    fn file(&mut self, path: &Path) {
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match self.format {
            Format::Eml => self.add(path, &[], |found| {
                found.octets = fs::metadata(path).map_or(0, |known| known.len());
            }),
            _ if file.eq_ignore_ascii_case("mbox") => self.mbox(path, &[], "INBOX"),
            _ => self.mbox(path, &[], &file),
        }
    }

    fn below(
        &mut self,
        folder: &Path,
        levels: &[String],
        level: String,
        search: fn(&mut Self, &Path, &[String]),
    ) {
        if levels.len() < MAILBOX_DEPTH_MAX {
            search(self, folder, &[levels, &[level]].concat());
        } else {
            self.trouble(folder, "too many folders in each other".to_owned());
        }
    }

    fn add(&mut self, path: &Path, levels: &[String], fill: impl FnOnce(&mut Folder)) {
        let named = levels.join(SEPARATOR);
        let is_alone = path == self.root;
        let wanted = match (self.target, levels.is_empty() || is_alone) {
            (Some(target), true) => target.to_owned(),
            (Some(target), false) => format!("{target}{SEPARATOR}{named}"),
            (None, _) if levels.is_empty() => "INBOX".to_owned(),
            (None, _) => named,
        };
        match name::usable(&wanted) {
            Ok(name) => {
                let mut folder = Folder {
                    format: self.format,
                    path: path.to_owned(),
                    name,
                    uid_validity: None,
                    uid_next: 0,
                    octets: 0,
                };
                fill(&mut folder);
                self.found.folders.push(folder);
            }
            Err(why) => self.trouble(path, format!("{wanted:?}: {why}")),
        }
    }

    fn subscriptions(&mut self) {
        let names = dovecot::read_subscriptions(&self.root.join(dovecot::SUBSCRIPTIONS));
        let names = self.told(self.root, names).unwrap_or_default();
        let usable = names.iter().filter_map(|name| name::usable(name).ok());
        self.found.subscriptions = match self.target {
            // Names below another one are not those that were subscribed to.
            Some(_) => Vec::new(),
            None => usable.collect(),
        };
    }

    fn told<T>(&mut self, path: &Path, outcome: io::Result<T>) -> Option<T> {
        outcome
            .map_err(|error| self.trouble(path, error.to_string()))
            .ok()
    }

    fn trouble(&mut self, path: &Path, why: String) {
        let spot = Spot {
            file: path.into(),
            offset: 0,
        };
        self.found.troubles.push(Trouble { spot, why });
    }
}

fn folders_in(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    entries(folder, |kind| kind.is_dir())
}

fn files_in(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    entries(folder, |kind| kind.is_file())
}

/// By name.
fn entries(
    folder: &Path,
    is_wanted: fn(&fs::FileType) -> bool,
) -> io::Result<Vec<(String, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_wanted(&entry.file_type()?) {
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

fn begins_with_from(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(5).read_to_end(&mut start)?;
    Ok(start == b"From ")
}

/// Between the levels of a name.
const SEPARATOR: &str = "/";
