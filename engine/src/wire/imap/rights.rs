//! Rights as letters, and the commands about them (RFC 4314 §2, §3; RFC 8440 for LIST).
//!
//! `c` and `d` of RFC 2086 are virtual (RFC 4314 §2.1.1): here `c` stands for `k` and `x`, `d` for
//! `t` and `e`. They are read as those, and shown beside them for clients that know no others.

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Rights(u16);

impl Rights {
    pub const NONE: Rights = Rights(0);
    /// `l`: the mailbox is visible.
    pub const LOOKUP: Rights = Rights(1);
    /// `r`: SELECT, FETCH, SEARCH, the source of COPY.
    pub const READ: Rights = Rights(1 << 1);
    /// `s`: `\Seen`.
    pub const SEEN: Rights = Rights(1 << 2);
    /// `w`: flags other than `\Seen` and `\Deleted`.
    pub const WRITE: Rights = Rights(1 << 3);
    /// `i`: APPEND, the target of COPY.
    pub const INSERT: Rights = Rights(1 << 4);
    /// `p`: mail may be sent to the mailbox's own address.
    pub const POST: Rights = Rights(1 << 5);
    /// `k`: mailboxes below may be made.
    pub const CREATE: Rights = Rights(1 << 6);
    /// `x`: the mailbox may be deleted or renamed.
    pub const DELETE_MAILBOX: Rights = Rights(1 << 7);
    /// `t`: `\Deleted`.
    pub const DELETE_MESSAGES: Rights = Rights(1 << 8);
    /// `e`: EXPUNGE.
    pub const EXPUNGE: Rights = Rights(1 << 9);
    /// `a`: the rights of others.
    pub const ADMINISTER: Rights = Rights(1 << 10);
    pub const ALL: Rights = Rights((1 << 11) - 1);

    /// The rights that letters name; `None` where one of them is no right.
    #[must_use]
    pub fn parse(letters: &str) -> Option<Rights> {
        let mut rights = Rights::NONE;
        for letter in letters.chars() {
            rights = rights | Rights::of(letter)?;
        }
        Some(rights)
    }

    fn of(letter: char) -> Option<Rights> {
        match letter {
            'c' => Some(Rights::CREATE | Rights::DELETE_MAILBOX),
            'd' => Some(Rights::DELETE_MESSAGES | Rights::EXPUNGE),
            letter => {
                let at = LETTERS.iter().position(|known| *known == letter)?;
                Some(Rights(1 << at))
            }
        }
    }

    /// The rights of both.
    #[must_use]
    pub const fn and(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    #[must_use]
    pub fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether at least one right of `other` is in it.
    #[must_use]
    pub fn meets(self, other: Rights) -> bool {
        self.0 & other.0 != 0
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }

    /// The letters as they are kept: no virtual ones.
    #[must_use]
    pub fn letters(self) -> String {
        let letters = LETTERS.iter().enumerate();
        letters
            .filter(|(at, _)| self.0 >> at & 1 == 1)
            .map(|(_, letter)| *letter)
            .collect()
    }

    /// The letters as clients are shown them (RFC 4314 §2.1.1).
    #[must_use]
    pub fn shown(self) -> String {
        let mut letters = self.letters();
        if self.meets(Rights::CREATE | Rights::DELETE_MAILBOX) {
            letters.push('c');
        }
        if self.meets(Rights::DELETE_MESSAGES | Rights::EXPUNGE) {
            letters.push('d');
        }
        letters
    }
}

impl std::ops::BitOr for Rights {
    type Output = Rights;

    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

/// Letter `i` is bit `i`.
const LETTERS: [char; 11] = ['l', 'r', 's', 'w', 'i', 'p', 'k', 'x', 't', 'e', 'a'];

/// One of the commands of RFC 4314 §3. Identifiers are as the client sent them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Set {
        mailbox: String,
        identifier: String,
        change: Change,
    },
    Delete {
        mailbox: String,
        identifier: String,
    },
    Get {
        mailbox: String,
    },
    List {
        mailbox: String,
        identifier: String,
    },
    My {
        mailbox: String,
    },
}

impl Command {
    #[must_use]
    pub fn mailbox(&self) -> &str {
        match self {
            Command::Set { mailbox, .. }
            | Command::Delete { mailbox, .. }
            | Command::Get { mailbox }
            | Command::List { mailbox, .. }
            | Command::My { mailbox } => mailbox,
        }
    }

    pub fn mailbox_mut(&mut self) -> &mut String {
        match self {
            Command::Set { mailbox, .. }
            | Command::Delete { mailbox, .. }
            | Command::Get { mailbox }
            | Command::List { mailbox, .. }
            | Command::My { mailbox } => mailbox,
        }
    }
}

/// The modification of a SETACL (RFC 4314 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    Replace(Rights),
    Add(Rights),
    Remove(Rights),
}

impl Change {
    /// What is left of `rights`.
    #[must_use]
    pub fn applied(self, rights: Rights) -> Rights {
        match self {
            Change::Replace(new) => new,
            Change::Add(more) => rights | more,
            Change::Remove(less) => rights.without(less),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn letters_are_rights_and_back() {
        assert_eq!(Rights::parse("lrswipkxtea"), Some(Rights::ALL));
        assert_eq!(Rights::ALL.letters(), "lrswipkxtea");
        assert_eq!(Rights::parse("c").unwrap().letters(), "kx");
        assert_eq!(Rights::parse("d").unwrap().letters(), "te");
        assert_eq!(Rights::parse("lk").unwrap().shown(), "lkc");
        assert_eq!(Rights::parse("").unwrap(), Rights::NONE);
        for unknown in ["z", "L", "l1", "n"] {
            assert_eq!(Rights::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_change_replaces_adds_or_takes_away() {
        let (lr, rw) = (Rights::parse("lr").unwrap(), Rights::parse("rw").unwrap());
        assert_eq!(Change::Replace(rw).applied(lr).letters(), "rw");
        assert_eq!(Change::Add(rw).applied(lr).letters(), "lrw");
        assert_eq!(Change::Remove(rw).applied(lr).letters(), "l");
    }
}
