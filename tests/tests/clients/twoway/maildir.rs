//! A Maildir as a mail reader changes it: files are added, renamed and removed.

use super::Holder;
use super::model::{Change, Flags, Messages, What, message, number};
use std::fs;
use std::path::{Path, PathBuf};
use tests::corpus::normalised;

pub(crate) struct Maildir {
    root: PathBuf,
    /// What stands between the levels of a mailbox's name here.
    separator: char,
}

impl Maildir {
    pub(crate) fn at(root: PathBuf, separator: char) -> Maildir {
        Maildir { root, separator }
    }

    fn folder(&self, mailbox: &str) -> PathBuf {
        self.root
            .join(mailbox.replace('/', &self.separator.to_string()))
    }

    fn files(&self, mailbox: &str) -> Vec<(PathBuf, u64)> {
        let folder = self.folder(mailbox);
        let entries = ["cur", "new"].map(|below| {
            fs::read_dir(folder.join(below)).unwrap_or_else(|why| panic!("{folder:?}: {why}"))
        });
        let paths = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path());
        let with_number = |path: PathBuf| {
            let octets = normalised(&fs::read(&path).unwrap());
            let number = number(&octets, &path.display().to_string());
            (path, number)
        };
        paths.map(with_number).collect()
    }

    /// With the line ends of this system, as every reader of Maildirs writes them.
    fn add(&self, mailbox: &str, number: u64, flags: &Flags) {
        let folder = self.folder(mailbox);
        if let Some((above, _)) = mailbox.split_once('/') {
            make(&self.folder(above));
        }
        make(&folder);
        let text = String::from_utf8(message(number))
            .unwrap()
            .replace("\r\n", "\n");
        let name = named(&format!("{number}.reader.near"), flags);
        fs::write(folder.join("tmp").join(&name), text).unwrap();
        fs::rename(
            folder.join("tmp").join(&name),
            folder.join("cur").join(&name),
        )
        .unwrap();
    }
}

impl Holder for Maildir {
    fn apply(&mut self, change: &Change) {
        let mailbox = &change.mailbox;
        if let What::Add = change.what {
            return self.add(mailbox, change.number, &change.before);
        }
        let mut files = self.files(mailbox).into_iter();
        let (file, _) = files.find(|(_, number)| *number == change.number).unwrap();
        match &change.what {
            What::Add => {}
            What::Remove => fs::remove_file(file).unwrap(),
            What::Toggle(toggled) => {
                let flags: Flags = change
                    .before
                    .symmetric_difference(toggled)
                    .copied()
                    .collect();
                let name = file.file_name().unwrap().to_str().unwrap();
                let base = name.split(":2,").next().unwrap();
                let renamed = self.folder(mailbox).join("cur").join(named(base, &flags));
                fs::rename(file, renamed).unwrap();
            }
            What::Move(to) => {
                self.add(to, change.number, &change.before);
                fs::remove_file(file).unwrap();
            }
        }
    }

    fn picture(&mut self, mailbox: &str) -> Messages {
        let mut messages = Messages::new();
        for (file, number) in self.files(mailbox) {
            let twice = messages.insert(number, flags(&file));
            assert!(twice.is_none(), "{number} is twice in near {mailbox}");
        }
        messages
    }
}

pub(crate) fn make(folder: &Path) {
    for below in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.join(below)).unwrap();
    }
}

fn named(base: &str, flags: &Flags) -> String {
    format!("{base}:2,{}", flags.iter().collect::<String>())
}

fn flags(file: &Path) -> Flags {
    let name = file.file_name().unwrap().to_str().unwrap();
    name.split_once(":2,")
        .map_or_else(Flags::new, |(_, letters)| letters.chars().collect())
}
