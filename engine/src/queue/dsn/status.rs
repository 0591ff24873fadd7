//! Enhanced status codes (RFC 3463): read from a reply, or made from its three digits.

use std::fmt;

/// `class.subject.detail`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Status {
    pub class: u8,
    pub subject: u16,
    pub detail: u16,
}

impl Status {
    #[must_use]
    pub const fn new(class: u8, subject: u16, detail: u16) -> Status {
        Status {
            class,
            subject,
            detail,
        }
    }

    /// What a reply says: its enhanced code where that agrees with its first digit, else what the
    /// three digits mean. A reply that says neither is a protocol error.
    #[must_use]
    pub fn of_reply(reply: &[u8]) -> Status {
        let Some((code, text)) = split(reply) else {
            return Status::new(5, 5, 0);
        };
        let class = u8::try_from(code / 100).unwrap_or_default();
        leading(text)
            .filter(|status| status.class == class)
            .unwrap_or_else(|| of_code(code, class))
    }

    /// The same with another class: what was tried in vain until its time was over has failed.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        self.class == 5
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// The three digits of a reply and what follows them and their separator.
pub(super) fn split(reply: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = reply.split_at_checked(3)?;
    let code: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let rest = match rest {
        [b' ' | b'-', text @ ..] => text,
        [] => rest,
        _ => return None,
    };
    (200..600).contains(&code).then_some((code, rest))
}

/// `x.y.z` at the beginning of a text.
pub(super) fn leading(text: &[u8]) -> Option<Status> {
    let word = text
        .split(|octet| !octet.is_ascii_digit() && *octet != b'.')
        .next()?;
    let mut numbers = word.split(|octet| *octet == b'.').map(|digits| {
        let digits = std::str::from_utf8(digits).ok()?;
        // RFC 3463 §2: one to three digits each.
        (1..=3)
            .contains(&digits.len())
            .then(|| digits.parse::<u16>().ok())?
    });
    let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let class = u8::try_from(class)
        .ok()
        .filter(|class| [2, 4, 5].contains(class))?;
    numbers
        .next()
        .is_none()
        .then_some(Status::new(class, subject, detail))
}

/// RFC 5321 §4.2.3 in the terms of RFC 3463 §3.
fn of_code(code: u16, class: u8) -> Status {
    let (subject, detail) = match code {
        421 => (3, 2),
        450 | 550 => (2, 0),
        451 => (3, 0),
        452 => (3, 1),
        552 => (2, 2),
        551 => (1, 6),
        553 => (1, 3),
        500..=504 | 555 => (5, 0),
        523 | 530 | 534 | 535 | 538 => (7, 0),
        556 => (1, 10),
        _ => (0, 0),
    };
    Status::new(class, subject, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read() {
        for (reply, status) in [
            ("550 5.1.1 No such user", "5.1.1"),
            ("550-5.7.26 Unauthenticated\r\n550 5.7.26 mail", "5.7.26"),
            ("550 No such user", "5.2.0"),
            ("450 4.7.650 The mail server", "4.7.650"),
            ("550 4.1.1 says two things", "5.2.0"),
            ("554 5.7 short", "5.0.0"),
            ("421 5.1234.1", "4.3.2"),
            ("552", "5.2.2"),
            ("250 2.1.5 OK", "2.1.5"),
            ("452 4.2.2: over", "4.2.2"),
            ("", "5.5.0"),
            ("hello", "5.5.0"),
            ("999 5.1.1", "5.5.0"),
            ("55\u{e9}", "5.5.0"),
            ("550.5.1.1", "5.5.0"),
        ] {
            assert_eq!(
                Status::of_reply(reply.as_bytes()).to_string(),
                status,
                "{reply}"
            );
        }
    }
}
