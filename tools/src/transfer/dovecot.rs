//! What Dovecot keeps beside a Maildir: `dovecot-uidlist`, `dovecot-keywords`, `subscriptions`.
//!
//! ```text
//! dovecot-uidlist   3 V1795331235 N4 Gc23b…        version, UIDVALIDITY, perhaps UIDNEXT, GUID
//!                   1 W42 :1795331235.M1P1.host,S=17        UID, extensions, file without info
//!                   2 Pwhqtsw… :1795331240.M2P1.host        P: its unique id of POP3
//! dovecot-keywords  0 $Label1                       letter `a` in the info of a file
//! subscriptions     V<TAB>2, an empty line, then levels between tabs, modified UTF-7
//! ```
//!
//! UIDNEXT is often behind in the header; the largest UID decides too. Version 1 has no letters
//! and no extensions; a `subscriptions` without a version has dots between levels.

use super::lines::Lines;
use super::name::{from_maildir, from_maildir_level};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use store::mail::mailbox::SEPARATOR;
use store::shard::is_uidl;

pub(crate) const UIDLIST: &str = "dovecot-uidlist";
pub(crate) const KEYWORDS: &str = "dovecot-keywords";
pub(crate) const SUBSCRIPTIONS: &str = "subscriptions";

/// The UIDs of a folder.
#[derive(Debug, Default)]
pub(crate) struct UidList {
    pub(crate) uid_validity: u32,
    pub(crate) uid_next: u32,
    /// By the name of the file up to its info.
    pub(crate) uids: HashMap<Vec<u8>, u32>,
    /// Unique ids of POP3, where they are not made of the UIDs.
    pub(crate) uidls: HashMap<u32, Box<str>>,
}

impl UidList {
    /// `None`: there is none, or its first line is not understood.
    pub(crate) fn read(path: &Path) -> io::Result<Option<UidList>> {
        let Some(mut lines) = open(path)? else {
            return Ok(None);
        };
        let Some(mut list) = lines.next()?.and_then(|line| read_head(line.octets)) else {
            return Ok(None);
        };
        while let Some(line) = lines.next()? {
            if let Some((uid, extensions, file)) = read_line(line.octets).filter(|_| line.begins) {
                list.uid_next = list.uid_next.max(uid.saturating_add(1));
                if let Some(uidl) = uidl(extensions) {
                    list.uidls.insert(uid, uidl);
                }
                list.uids.insert(file.to_vec(), uid);
            }
        }
        Ok(Some(list))
    }

    /// UIDVALIDITY and UIDNEXT alone.
    pub(crate) fn read_numbers(path: &Path) -> io::Result<Option<UidList>> {
        UidList::read(path).map(|list| {
            list.map(|list| UidList {
                uids: HashMap::new(),
                uidls: HashMap::new(),
                ..list
            })
        })
    }

    /// The first line that Dovecot wants.
    pub(crate) fn head(uid_validity: u32, uid_next: u32) -> String {
        format!("3 V{uid_validity} N{uid_next}\n")
    }
}

fn read_head(line: &[u8]) -> Option<UidList> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let mut words = line.split(' ');
    let version = words.next()?;
    let numbers: Vec<&str> = words.collect();
    let number = |letter: char| {
        let word = numbers.iter().find_map(|word| word.strip_prefix(letter));
        word.and_then(|digits| digits.parse::<u32>().ok())
    };
    let (uid_validity, uid_next) = match version {
        "1" => (
            numbers.first()?.parse().ok()?,
            numbers.get(1)?.parse().ok()?,
        ),
        "3" => (number('V')?, number('N').unwrap_or(1)),
        _ => return None,
    };
    Some(UidList {
        uid_validity,
        uid_next,
        ..UidList::default()
    })
}

/// UID, extensions, file.
fn read_line(line: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let line = line.strip_suffix(b"\n")?;
    let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
    let (uid, rest) = line.split_at_checked(digits)?;
    let uid = std::str::from_utf8(uid).ok()?.parse().ok()?;
    let rest = rest.strip_prefix(b" ")?;
    let (extensions, file) = match memchr::memmem::find(rest, b" :") {
        _ if rest.first() == Some(&b':') => (&b""[..], rest.get(1..)?),
        Some(at) => (rest.get(..at)?, rest.get(at + 2..)?),
        None => (&b""[..], rest),
    };
    Some((uid, extensions, base(file)))
}

fn uidl(extensions: &[u8]) -> Option<Box<str>> {
    let mut words = extensions.split(|octet| *octet == b' ');
    let value = words.find_map(|word| word.strip_prefix(b"P"))?;
    let text = std::str::from_utf8(value).ok()?;
    is_uidl(value).then(|| text.into())
}

/// The name of a file up to its info.
pub(crate) fn base(file: &[u8]) -> &[u8] {
    let end = memchr::memchr(b':', file).unwrap_or(file.len());
    file.get(..end).unwrap_or_default()
}

/// The keywords that stand behind the letters `a` to `z`.
pub(crate) fn read_keywords(path: &Path) -> io::Result<Vec<Option<String>>> {
    let mut keywords = vec![None; LETTERS];
    let Some(mut lines) = open(path)? else {
        return Ok(keywords);
    };
    while let Some(line) = lines.next()? {
        let text = String::from_utf8_lossy(line.octets);
        let numbered = text.trim_end().split_once(' ');
        let slot = numbered.and_then(|(number, name)| {
            let slot = keywords.get_mut(number.parse::<usize>().ok()?)?;
            Some((slot, name))
        });
        if let Some((slot, name)) = slot {
            *slot = Some(name.to_owned());
        }
    }
    Ok(keywords)
}

/// The names in `subscriptions`.
pub(crate) fn read_subscriptions(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let Some(mut lines) = open(path)? else {
        return Ok(names);
    };
    let mut has_tabs = false;
    while let Some(line) = lines.next()? {
        let text = String::from_utf8_lossy(line.octets);
        match text.trim_end_matches(['\r', '\n']) {
            "" => {}
            "V\t2" => has_tabs = true,
            name if has_tabs => {
                let levels: Vec<String> = name.split('\t').map(from_maildir_level).collect();
                names.push(levels.join("/"));
            }
            name => names.push(from_maildir(name)),
        }
        if names.len() >= SUBSCRIPTIONS_MAX {
            break;
        }
    }
    Ok(names)
}

/// The file that [`read_subscriptions`] and Dovecot read.
pub(crate) fn subscriptions<'a>(names: impl Iterator<Item = &'a String>) -> Vec<u8> {
    let mut out = b"V\t2\n\n".to_vec();
    for name in names {
        let levels: Vec<String> = name
            .split(SEPARATOR)
            .map(super::name::to_maildir)
            .map(|level| level.trim_start_matches('.').to_owned())
            .collect();
        out.extend_from_slice(levels.join("\t").as_bytes());
        out.push(b'\n');
    }
    out
}

fn open(path: &Path) -> io::Result<Option<Lines<BufReader<File>>>> {
    match File::open(path) {
        Ok(file) => Ok(Some(Lines::new(BufReader::new(file)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keywords that the info of a Maildir has letters for.
pub(crate) const LETTERS: usize = 26;

/// Subscriptions read of one file.
const SUBSCRIPTIONS_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_dovecot_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let text = "3 V1795331235 N1 Gc23b6914a394026bf601000083ecc375\n\
                    1 :1795331235.M489934P511.vm,S=17,W=20\n\
                    7 W9 Pwhqtsw S8 :two words.host:2,S\nnonsense\n";
        std::fs::write(&file, text).unwrap();
        let list = UidList::read(&file).unwrap().unwrap();
        assert_eq!((list.uid_validity, list.uid_next), (1_795_331_235, 8));
        assert_eq!(
            list.uids[b"1795331235.M489934P511.vm,S=17,W=20".as_slice()],
            1
        );
        assert_eq!(list.uids[b"two words.host".as_slice()], 7);
        assert_eq!(list.uidls.len(), 1);
        assert_eq!(&*list.uidls[&7], "whqtsw");
        std::fs::write(&file, "1 123 9\n4 old.host\n").unwrap();
        let list = UidList::read(&file).unwrap().unwrap();
        assert_eq!((list.uid_validity, list.uid_next), (123, 9));
        assert_eq!(list.uids[b"old.host".as_slice()], 4);
        std::fs::write(&file, "9 ?\n").unwrap();
        assert!(UidList::read(&file).unwrap().is_none());
        std::fs::write(&file, "0 $Label1\n25 Junk\n26 beyond\n").unwrap();
        let keywords = read_keywords(&file).unwrap();
        assert_eq!(keywords[0].as_deref(), Some("$Label1"));
        assert_eq!(keywords[25].as_deref(), Some("Junk"));
    }

    #[test]
    fn subscriptions_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("subscriptions");
        let names = ["INBOX".to_owned(), "Work/Präsi".into(), "R&D/v1.2".into()];
        std::fs::write(&file, subscriptions(names.iter())).unwrap();
        assert_eq!(read_subscriptions(&file).unwrap(), names);
        std::fs::write(&file, "INBOX\nWork.Pr&AOQ-si\n").unwrap();
        assert_eq!(read_subscriptions(&file).unwrap(), ["INBOX", "Work/Präsi"]);
    }
}
