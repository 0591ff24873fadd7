//! Why a host refused: replies sorted by what has to be done about them.
//!
//! Hosts misuse codes more than words: `550 5.1.1` also says that the sender is listed, `550 5.7.1`
//! that there is no such user. So the words of [`super::words`] come first, which are those of the
//! large providers and of the servers that most others run; then the enhanced code, then the three
//! digits. A reply is read up to [`READ_BYTES_MAX`] octets.

use super::status::{Status, leading, split};
use super::words::WORDS;

/// Why mail was not taken. [`Class::name`] is the word for logs and metrics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// There is no such mailbox.
    BadMailbox,
    /// It is there and takes nothing: disabled, suspended, inactive.
    InactiveMailbox,
    /// There is no such domain, or it takes no mail.
    BadDomain,
    /// The mailbox is full.
    Quota,
    /// Unknown to them: come again later.
    Greylisted,
    /// Too much in a time.
    RateLimited,
    /// The address or name of this host, or the sender's domain, is not liked or listed.
    Reputation,
    /// The message looks like spam.
    Spam,
    /// SPF, DKIM or DMARC do not prove the sender.
    Authentication,
    /// Refused by a rule: relaying, sender not allowed, closed list.
    Policy,
    /// A virus, a kind of attachment, a broken format.
    Content,
    /// Too large.
    Size,
    /// The dialogue broke.
    Protocol,
    /// No connection as private as it must be.
    Tls,
    /// The name service said nothing.
    Dns,
    /// No host answered.
    Network,
    /// It goes in circles.
    Loop,
    /// Their system is out of order.
    System,
    /// Tried until its time was over.
    Expired,
    /// Not tried: the recipient is on our list of those that get no mail.
    Suppressed,
    Other,
}

/// Octets of a reply that are read.
pub const READ_BYTES_MAX: usize = 2_048;

/// What a reply means, whole, with its code and all its lines.
#[must_use]
pub fn classify(reply: &[u8]) -> Class {
    let head = reply.get(..READ_BYTES_MAX).unwrap_or(reply);
    let text = plain(head);
    if let Some((class, _)) = WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|word| text.contains(word)))
    {
        // RFC 5321 §4.2.3: 450 says of a busy mailbox what 550 says of one that is not there.
        let is_busy = *class == Class::BadMailbox && head.starts_with(b"4");
        return match is_busy && text.contains("unavailable") {
            true => Class::System,
            false => *class,
        };
    }
    let Some((code, rest)) = split(head) else {
        return Class::Protocol;
    };
    leading(rest)
        .and_then(of_status)
        .or_else(|| of_code(code))
        .unwrap_or(Class::Other)
}

/// Lower case, one space between words, continued lines without their codes.
fn plain(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply).to_ascii_lowercase();
    let mut words: Vec<&str> = Vec::new();
    for line in text.lines() {
        words.extend(line.split_ascii_whitespace());
    }
    words.join(" ")
}

/// RFC 3463 §3 and the codes registered since.
fn of_status(status: Status) -> Option<Class> {
    Some(match (status.subject, status.detail) {
        (1, 1 | 3 | 4 | 6) => Class::BadMailbox,
        (1, 2 | 10) => Class::BadDomain,
        (1, 7..=9) => Class::Policy,
        (2, 1) => Class::InactiveMailbox,
        (2, 2) => Class::Quota,
        (2, 3) | (3, 4) => Class::Size,
        (2, 4) => Class::System,
        (3, _) => Class::System,
        (4, 1 | 2) => Class::Network,
        (4, 3 | 4) => Class::Dns,
        (4, 5) => Class::RateLimited,
        (4, 6) => Class::Loop,
        (4, 7) => Class::Expired,
        (5, 3) => Class::RateLimited,
        (5, _) => Class::Protocol,
        (6, _) => Class::Content,
        (7, 10 | 11 | 30) => Class::Tls,
        (7, 20..=24 | 26..=29) => Class::Authentication,
        (7, 25) => Class::Reputation,
        (7, _) => Class::Policy,
        _ => return None,
    })
}

fn of_code(code: u16) -> Option<Class> {
    Some(match code {
        421 | 451 => Class::System,
        550 | 551 | 553 => Class::BadMailbox,
        552 => Class::Quota,
        452 => Class::System,
        500..=504 | 555 => Class::Protocol,
        523 | 530 | 534 | 535 | 538 => Class::Policy,
        556 => Class::BadDomain,
        _ => return None,
    })
}

impl Class {
    /// What we found ourselves, by the status that we gave it: no host said a word.
    #[must_use]
    pub fn of_own(subject: u16, detail: u16) -> Class {
        match (subject, detail) {
            // Here it is not their policy but our demand that was not met.
            (7, 4..=7) => Class::Tls,
            (7, 1) => Class::Suppressed,
            _ => of_status(Status::new(4, subject, detail)).unwrap_or(Class::Other),
        }
    }

    /// Whether the recipient is there no more: mail to it is worth nothing, now or later.
    #[must_use]
    pub fn is_hard(self) -> bool {
        matches!(self, Class::BadMailbox | Class::InactiveMailbox)
    }

    /// The word of logs, metrics and rules.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::BadMailbox => "bad-mailbox",
            Class::InactiveMailbox => "inactive-mailbox",
            Class::BadDomain => "bad-domain",
            Class::Quota => "quota",
            Class::Greylisted => "greylisted",
            Class::RateLimited => "rate-limited",
            Class::Reputation => "reputation",
            Class::Spam => "spam",
            Class::Authentication => "authentication",
            Class::Policy => "policy",
            Class::Content => "content",
            Class::Size => "size",
            Class::Protocol => "protocol",
            Class::Tls => "tls",
            Class::Dns => "dns",
            Class::Network => "network",
            Class::Loop => "loop",
            Class::System => "system",
            Class::Expired => "expired",
            Class::Suppressed => "suppressed",
            Class::Other => "other",
        }
    }
}
