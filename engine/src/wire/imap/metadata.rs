//! The commands of RFC 5464, and what an entry may be called.

/// One of the commands of RFC 5464 §4. The mailbox `""` is the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Get {
        mailbox: String,
        entries: Vec<Entry>,
        depth: Depth,
        /// Longer values are not told, in octets.
        max_size: Option<u64>,
    },
    Set {
        mailbox: String,
        /// `None` takes the entry away.
        entries: Vec<(Entry, Option<Vec<u8>>)>,
    },
}

impl Command {
    #[must_use]
    pub fn mailbox(&self) -> &str {
        match self {
            Command::Get { mailbox, .. } | Command::Set { mailbox, .. } => mailbox,
        }
    }

    pub fn mailbox_mut(&mut self) -> &mut String {
        match self {
            Command::Get { mailbox, .. } | Command::Set { mailbox, .. } => mailbox,
        }
    }
}

/// How far below a named entry others are told (RFC 5464 §4.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Depth {
    #[default]
    Zero,
    One,
    Infinity,
}

/// The name of an entry: in lower case, for its case does not count (RFC 5464 §3.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry(String);

/// Who sees the value of an entry (RFC 5464 §3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Only who set it.
    Private,
    /// Everybody who may see the mailbox.
    Shared,
}

impl Entry {
    /// A name as a client sent it; `None` where none is like that (RFC 5464 §3.2).
    #[must_use]
    pub fn new(name: &str) -> Option<Entry> {
        let entry = Entry(name.to_ascii_lowercase());
        let is_sound = |level: &str| {
            let printable = |b: u8| b.is_ascii_graphic() || b == b' ';
            !level.is_empty() && level.bytes().all(|b| printable(b) && !b"*%".contains(&b))
        };
        let mut levels = entry.0.strip_prefix('/')?.split('/');
        let is_short = entry.0.len() <= ENTRY_BYTES_MAX;
        (is_short && levels.all(is_sound) && entry.split().is_some()).then_some(entry)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn scope(&self) -> Scope {
        self.split().map_or(Scope::Shared, |(scope, _)| scope)
    }

    /// Behind `/private` or `/shared`: empty, or `/comment`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.split().map_or("", |(_, path)| path)
    }

    /// Whether it is a level above others, which has no value of its own.
    #[must_use]
    pub fn is_scope(&self) -> bool {
        self.path().is_empty()
    }

    /// Whether `below` is told where this one is asked for.
    #[must_use]
    pub fn reaches(&self, below: &Entry, depth: Depth) -> bool {
        let Some(rest) = below.0.strip_prefix(&self.0) else {
            return false;
        };
        match depth {
            _ if rest.is_empty() => true,
            Depth::Zero => false,
            Depth::One => rest.starts_with('/') && rest.matches('/').count() == 1,
            Depth::Infinity => rest.starts_with('/'),
        }
    }

    fn split(&self) -> Option<(Scope, &str)> {
        let scopes = [("/private", Scope::Private), ("/shared", Scope::Shared)];
        scopes.into_iter().find_map(|(word, scope)| {
            let path = self.0.strip_prefix(word)?;
            (path.is_empty() || path.starts_with('/')).then_some((scope, path))
        })
    }
}

/// Octets of the name of an entry.
pub const ENTRY_BYTES_MAX: usize = 144;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_entries() {
        let entry = Entry::new("/Private/Vendor/X/y").unwrap();
        assert_eq!(entry.as_str(), "/private/vendor/x/y");
        assert_eq!(
            (entry.scope(), entry.path()),
            (Scope::Private, "/vendor/x/y")
        );
        assert_eq!(Entry::new("/shared").unwrap().path(), "");
        for wrong in [
            "",
            "/",
            "comment",
            "/comment",
            "/sharedx/a",
            "/shared/",
            "/shared//a",
            "/shared/a*",
            "/shared/a%",
            "/shared/a\u{7f}",
            "/shared/é",
        ] {
            assert_eq!(Entry::new(wrong), None, "{wrong}");
        }
        let long = format!("/shared/{}", "x".repeat(ENTRY_BYTES_MAX));
        assert_eq!(Entry::new(&long), None);
    }

    #[test]
    fn depth_says_how_far() {
        let entry = |name| Entry::new(name).unwrap();
        let (above, below) = (entry("/shared/a"), entry("/shared/a/b"));
        let deep = entry("/shared/a/b/c");
        assert!(above.reaches(&above, Depth::Zero) && !above.reaches(&below, Depth::Zero));
        assert!(above.reaches(&below, Depth::One) && !above.reaches(&deep, Depth::One));
        assert!(above.reaches(&deep, Depth::Infinity));
        assert!(!above.reaches(&entry("/shared/ab"), Depth::Infinity));
    }
}
