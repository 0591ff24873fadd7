//! Flags as letters: `Status` and `X-Status` of an mbox, the info of a Maildir, names in tables.

use store::limit::KEYWORD_BYTES_MAX;
use store::mail::flags::Flags;

/// What a message brings along beside its octets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) flags: Flags,
    pub(crate) keywords: Vec<String>,
    /// The unique id of POP3 that it had.
    pub(crate) uidl: Option<Box<str>>,
}

impl Marks {
    /// Takes a keyword, unless no client could name it (RFC 9051 §9, flag-keyword).
    pub(crate) fn add_keyword(&mut self, name: &str) {
        let known = |other: &String| other.eq_ignore_ascii_case(name);
        if is_keyword(name) && !self.keywords.iter().any(known) {
            self.keywords.push(name.to_owned());
        }
    }

    pub(crate) fn add_flag(&mut self, flag: Flags) {
        self.flags = self.flags | flag;
    }

    /// `\Seen \Flagged`, as IMAP writes them.
    pub(crate) fn flag_names(&self) -> String {
        let names = NAMES.iter().filter(|(flag, _)| self.flags.contains(*flag));
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
    }

    /// Reads what [`flag_names`](Self::flag_names) writes; a word that is no flag is `None`.
    pub(crate) fn read_flag_names(&mut self, text: &str) -> Option<()> {
        for word in text.split_ascii_whitespace() {
            let named = NAMES.iter().find(|(_, name)| *name == word);
            self.add_flag(named?.0);
        }
        Some(())
    }
}

/// An atom, not longer than a keyword may be.
pub(crate) fn is_keyword(name: &str) -> bool {
    let special = |b: u8| matches!(b, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']');
    let is_atom_char = |b: u8| b.is_ascii_graphic() && !special(b);
    (1..=KEYWORD_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_atom_char)
}

/// The letters of a set, in the order of the table.
pub(crate) fn letters(table: &[(u8, Flags)], flags: Flags) -> String {
    let set = table.iter().filter(|(_, flag)| flags.contains(*flag));
    set.map(|(letter, _)| char::from(*letter)).collect()
}

/// The flag of a letter.
pub(crate) fn flag_of(table: &[(u8, Flags)], letter: u8) -> Option<Flags> {
    let entry = table.iter().find(|(known, _)| *known == letter);
    entry.map(|(_, flag)| *flag)
}

const NAMES: [(Flags, &str); 5] = [
    (Flags::SEEN, "\\Seen"),
    (Flags::ANSWERED, "\\Answered"),
    (Flags::FLAGGED, "\\Flagged"),
    (Flags::DELETED, "\\Deleted"),
    (Flags::DRAFT, "\\Draft"),
];

/// `X-Status`, as mutt and Dovecot write it.
pub(crate) const X_STATUS: [(u8, Flags); 4] = [
    (b'A', Flags::ANSWERED),
    (b'F', Flags::FLAGGED),
    (b'T', Flags::DRAFT),
    (b'D', Flags::DELETED),
];

/// The info of a Maildir, in the order in which its letters must stand.
pub(crate) const MAILDIR: [(u8, Flags); 5] = [
    (b'D', Flags::DRAFT),
    (b'F', Flags::FLAGGED),
    (b'R', Flags::ANSWERED),
    (b'S', Flags::SEEN),
    (b'T', Flags::DELETED),
];
