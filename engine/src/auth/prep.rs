//! SASLprep: spellings of one password that people cannot tell apart become one (RFC 4013).

use std::borrow::Cow;

/// A longer password is refused unseen: the older hashes cost time by its length.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The prepared form; `None` where the text has what RFC 4013 §2.3 prohibits, or is no UTF-8.
#[must_use]
pub fn prepare(password: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(password).ok()?;
    stringprep::saslprep(text).ok()
}

/// Could this be a password at all? RFC 4616 §2: no NUL, and not empty.
#[must_use]
pub fn plausible(password: &[u8]) -> bool {
    !password.is_empty() && password.len() <= PASSWORD_BYTES_MAX && !password.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::{plausible, prepare};

    /// RFC 4013 §3.
    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(prepare("I\u{AD}X".as_bytes()).as_deref(), Some("IX"));
        assert_eq!(prepare(b"user").as_deref(), Some("user"));
        assert_eq!(prepare(b"USER").as_deref(), Some("USER"));
        assert_eq!(prepare("\u{AA}".as_bytes()).as_deref(), Some("a"));
        assert_eq!(prepare("\u{2168}".as_bytes()).as_deref(), Some("IX"));
        assert_eq!(prepare(b"\x07"), None);
        assert_eq!(prepare("\u{627}1".as_bytes()), None);
        assert_eq!(prepare(b"\xff"), None);
    }

    #[test]
    fn nothing_and_too_much_are_no_passwords() {
        assert!(plausible(b"x"));
        assert!(!plausible(b""));
        assert!(!plausible(b"a\0b"));
        assert!(!plausible(&[b'a'; super::PASSWORD_BYTES_MAX + 1]));
    }
}
