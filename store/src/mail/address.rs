//! A mailbox address, `local-part@domain`, as the envelope carries it (RFC 5321 §4.1.2, RFC 6531).

use std::fmt;

/// An address that went through the SMTP path parser.
///
/// The local-part is unquoted (`"a b"@c` has the local-part `a b`) and keeps its case; the domain
/// is lower-case, U-labels turned to A-labels, or an address literal with its brackets. An empty
/// domain occurs only in `<postmaster>` (RFC 5321 §4.5.1).
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Address {
    pub local: String,
    pub domain: String,
}

impl Address {
    /// An address from its two parts, taken as they are.
    pub fn new(local: impl Into<String>, domain: impl Into<String>) -> Address {
        Address {
            local: local.into(),
            domain: domain.into(),
        }
    }

    /// Splits `local@domain` at the last `@`; `None` where one part is missing.
    #[must_use]
    pub fn split(text: &str) -> Option<Address> {
        let (local, domain) = text.rsplit_once('@')?;
        if local.is_empty() || domain.is_empty() {
            return None;
        }
        Some(Address::new(local, domain.to_ascii_lowercase()))
    }

    /// As [`to_string`](ToString::to_string), in one piece: what every delivery asks for.
    #[must_use]
    pub fn text(&self) -> String {
        let Some(pieces) = self.pieces() else {
            return self.to_string();
        };
        let mut text = String::with_capacity(self.local.len() + 1 + self.domain.len());
        pieces.into_iter().for_each(|piece| text.push_str(piece));
        text
    }

    /// What [`to_string`](ToString::to_string) is made of, where nothing has to be quoted.
    #[must_use]
    pub fn pieces(&self) -> Option<[&str; 3]> {
        let is_plain = !self.domain.is_empty() && is_dot_string(&self.local);
        is_plain.then(|| [&*self.local, "@", &*self.domain])
    }
}

/// The form for headers and replies: the local-part quoted where RFC 5321 §4.1.2 asks for it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            f.write_str(&self.local)?;
        } else {
            f.write_str("\"")?;
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            f.write_str("\"")?;
        }
        if self.domain.is_empty() {
            Ok(())
        } else {
            f.write_str("@")?;
            f.write_str(&self.domain)
        }
    }
}

/// Whether a local-part needs no quotes (RFC 5321 §4.1.2): atoms with single dots between them.
#[must_use]
pub fn is_dot_string(local: &str) -> bool {
    let mut before = b'.';
    for octet in local.bytes() {
        let is_good = match octet {
            b'.' => before != b'.',
            octet => is_atext(octet),
        };
        if !is_good {
            return false;
        }
        before = octet;
    }
    before != b'.'
}

/// RFC 5322 §3.2.3, widened by RFC 6531 §3.3 to everything outside ASCII.
fn is_atext(octet: u8) -> bool {
    matches!(
        octet,
        b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'!'
            | b'#'..=b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'/'
            | b'='
            | b'?'
            | b'^'..=b'`'
            | b'{'..=b'~'
            | 0x80..
    )
}

#[cfg(test)]
mod tests {
    use super::{Address, is_dot_string};

    #[test]
    fn atoms_have_single_dots_between_them() {
        for good in ["a", "a.b", "!#$%&'*+-/=?^_`{|}~", "ä.ö", "0.Z"] {
            assert!(is_dot_string(good), "{good}");
        }
        for bad in [
            "", ".", ".a", "a.", "a..b", "a b", "a\"", "a(", "a)", "a,", "a:", "a@", "\x7f",
        ] {
            assert!(!is_dot_string(bad), "{bad}");
        }
    }

    #[test]
    fn quotes_only_where_needed() {
        assert_eq!(Address::new("a.b", "c").to_string(), "a.b@c");
        assert_eq!(Address::new("a b", "c").to_string(), "\"a b\"@c");
        assert_eq!(Address::new("a\"b", "c").to_string(), "\"a\\\"b\"@c");
        assert_eq!(Address::new("postmaster", "").to_string(), "postmaster");
        for (local, domain) in [("a.b", "c"), ("a b", "c"), ("postmaster", "")] {
            let address = Address::new(local, domain);
            assert_eq!(address.text(), address.to_string());
        }
    }

    #[test]
    fn splits_at_the_last_at_sign() {
        assert_eq!(
            Address::split("a@b@C.org"),
            Some(Address::new("a@b", "c.org"))
        );
        assert_eq!(Address::split("@c"), None);
        assert_eq!(Address::split("a@"), None);
    }
}
