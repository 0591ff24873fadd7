//! Mailbox names as names of files and folders, and back.
//!
//! Maildir++: levels between dots, in modified UTF-7 (RFC 3501 §5.1.3); a dot within a level is
//! `\2e` and a backslash `\5c`, as Dovecot's listescape has them. Trees of mbox and `.eml` files:
//! a folder a level, in UTF-8; what would be no level or look like a file of ours is `%XX`.

use engine::wire::imap::name::{canonical, check_new, decode_utf7, encode_utf7};
use std::path::PathBuf;
use store::mail::mailbox::SEPARATOR;

/// The folder `.A.B` of a mailbox `A/B`.
pub(crate) fn to_maildir(name: &str) -> String {
    let mut folder = Vec::new();
    for level in name.split(SEPARATOR) {
        folder.push(b'.');
        let level = level.replace('\\', "\\5c").replace('.', "\\2e");
        encode_utf7(&mut folder, &level);
    }
    String::from_utf8_lossy(&folder).into_owned()
}

/// The name of the folder `.A.B`; what is no modified UTF-7 is taken as it is.
pub(crate) fn from_maildir(folder: &str) -> String {
    let levels = folder.strip_prefix('.').unwrap_or(folder).split('.');
    let levels: Vec<String> = levels.map(from_maildir_level).collect();
    levels.join("/")
}

/// One level of a Maildir++ name.
pub(crate) fn from_maildir_level(level: &str) -> String {
    let decoded = decode_utf7(level.as_bytes()).unwrap_or_else(|| level.to_owned());
    decoded.replace("\\2e", ".").replace("\\5c", "\\")
}

/// Where the mailbox lies below the folder of its account.
pub(crate) fn to_path(name: &str) -> PathBuf {
    name.split(SEPARATOR).map(to_file).collect()
}

/// A level, or an address, as the name of a file.
pub(crate) fn to_file(level: &str) -> String {
    let mut file = String::with_capacity(level.len());
    let lower = level.to_ascii_lowercase();
    let looks_like_ours = FILES.iter().any(|ending| lower.ends_with(ending));
    let last_dot = level.rfind('.').filter(|_| looks_like_ours);
    for (at, c) in level.char_indices() {
        match c {
            '.' if at == 0 || Some(at) == last_dot => file.push_str("%2E"),
            '%' => file.push_str("%25"),
            '/' => file.push_str("%2F"),
            '\0' => file.push_str("%00"),
            c => file.push(c),
        }
    }
    file
}

/// The level of a name that [`to_file`] made; other percent signs stay.
pub(crate) fn from_file(file: &str) -> String {
    file.replace("%2E", ".").replace("%25", "%")
}

/// The name under which a mailbox can be made here: NFC, and `_` for what no name may hold.
pub(crate) fn usable(name: &str) -> Result<String, String> {
    let clean = |c: char| match c {
        '*' | '%' | '\u{2028}' | '\u{2029}' => '_',
        c if c.is_control() => '_',
        c => c,
    };
    let name = canonical(&name.chars().map(clean).collect::<String>());
    match check_new(&name) {
        Ok(()) => Ok(name),
        Err(fault) => Err(fault.text().to_owned()),
    }
}

/// Endings of files that lie beside folders of levels.
const FILES: [&str; 5] = [".eml", ".mbox", ".tsv", ".sbd", ".msf"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_dovecot() {
        assert_eq!(from_maildir(".Work.Pr&AOQ-si"), "Work/Präsi");
        assert_eq!(from_maildir(".R&-D"), "R&D");
        assert_eq!(from_maildir(".Präsi"), "Präsi");
        assert_eq!(to_maildir("Work/Präsi"), ".Work.Pr&AOQ-si");
        assert_eq!(to_maildir("v1.2"), ".v1\\2e2");
    }

    #[test]
    fn no_level_leaves_its_folder_or_hides() {
        assert_eq!(to_file(".."), "%2E.");
        assert_eq!(to_file("a/b"), "a%2Fb");
        assert_eq!(to_file("1.EML"), "1%2EEML");
        assert_eq!(usable("50%\n").as_deref(), Ok("50__"));
        assert!(usable("a//b").is_err());
    }

    proptest! {
        #[test]
        fn names_come_back(name in "[a-cé.\\\\%&~ ]{1,9}(/[a-c.\\\\é2e5%]{1,9}){0,2}") {
            prop_assert_eq!(from_maildir(&to_maildir(&name)), name.clone());
            let path = to_path(&name);
            let levels: Vec<String> = path.iter()
                .map(|level| from_file(level.to_str().unwrap())).collect();
            prop_assert_eq!(levels.join("/"), name);
        }
    }
}
