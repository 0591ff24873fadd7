//! Names of mailboxes: INBOX in any case, levels between `/`, nothing that could hurt a client.

use super::tree::SEPARATOR;
use crate::error::ChangeError;
use crate::limit::{MAILBOX_DEPTH_MAX, MAILBOX_NAME_BYTES_MAX};

/// The name every account has.
pub(crate) const INBOX: &str = "INBOX";

/// `INBOX` in its one spelling, alone or as the first level; other names as they are.
pub(crate) fn canonical(name: &str) -> String {
    let (first, rest) = match name.split_once(SEPARATOR) {
        Some((first, rest)) => (first, Some(rest)),
        None => (name, None),
    };
    match (first.eq_ignore_ascii_case(INBOX), rest) {
        (true, None) => INBOX.to_owned(),
        (true, Some(rest)) => format!("{INBOX}{SEPARATOR}{rest}"),
        (false, _) => name.to_owned(),
    }
}

/// The canonical form of a name that a new mailbox may have. One separator at the end is dropped:
/// it says that children will follow (RFC 9051 §6.3.4), and every mailbox here may have them.
pub(crate) fn for_creation(name: &str) -> Result<String, ChangeError> {
    let name = name.strip_suffix(SEPARATOR).unwrap_or(name);
    if name.is_empty() || name.split(SEPARATOR).any(str::is_empty) {
        return Err(ChangeError::Cannot("a level of the name is empty"));
    }
    if name.len() > MAILBOX_NAME_BYTES_MAX {
        return Err(ChangeError::Cannot("the name is too long"));
    }
    if name.split(SEPARATOR).count() > MAILBOX_DEPTH_MAX {
        return Err(ChangeError::Cannot("the name has too many levels"));
    }
    // RFC 9051 §5.1: wildcards would make the name unreachable for LIST.
    if name
        .chars()
        .any(|c| c.is_control() || matches!(c, '*' | '%'))
    {
        return Err(ChangeError::Cannot(
            "the name holds a control character or a wildcard",
        ));
    }
    Ok(canonical(name))
}

/// The names of the levels above `name`, outermost first.
pub(crate) fn above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(SEPARATOR)
        .filter_map(|(at, _)| name.get(..at))
}

/// Whether `name` lies somewhere below `parent`.
pub(crate) fn is_below(name: &str, parent: &str) -> bool {
    name.strip_prefix(parent)
        .is_some_and(|rest| rest.starts_with(SEPARATOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_has_one_spelling() {
        assert_eq!(canonical("iNbOx"), "INBOX");
        assert_eq!(canonical("inbox/a"), "INBOX/a");
        assert_eq!(canonical("inboxes"), "inboxes");
    }

    #[test]
    fn refuses_names_that_cannot_be_reached() {
        for name in [
            "",
            "/",
            "a//b",
            "/a",
            "a*",
            "a%b",
            "a\u{0}b",
            "a\u{85}",
            &"x".repeat(1025),
        ] {
            assert!(for_creation(name).is_err(), "{name:?}");
        }
        assert!(for_creation(&vec!["a"; 33].join("/")).is_err());
        assert_eq!(for_creation("a/b/").as_deref(), Ok("a/b"));
        assert_eq!(for_creation("..").as_deref(), Ok(".."));
    }

    #[test]
    fn names_the_levels_above() {
        assert_eq!(above("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert!(is_below("a/b", "a") && !is_below("ab", "a") && !is_below("a", "a"));
    }
}
