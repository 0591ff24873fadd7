//! Which servers can be set up, by name.

use anyhow::bail;
use std::fmt;
use std::str::FromStr;

/// A wish for a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// `ringpost`, or `ringpost:2` for two shards.
    Ringpost {
        shards: Option<u16>,
    },
    PostfixQueue,
    PostfixDovecot,
    Dovecot,
    Exim,
    OpenSmtpd,
    SmtpSink,
    /// Somebody else's, that runs already.
    Elsewhere(String),
}

impl Kind {
    /// Those that can be set up, with a line on each.
    pub(crate) const KNOWN: [(&str, &str); 7] = [
        (
            "ringpost",
            "this workspace's release build (ringpost:2 has two shards)",
        ),
        (
            "postfix",
            "Postfix, queue only: accepted mail is discarded, or passed on (relay)",
        ),
        (
            "postfix-dovecot",
            "Postfix that delivers to Dovecot by LMTP (mdbox)",
        ),
        (
            "dovecot",
            "Dovecot alone: LMTP (mdbox), IMAP, POP3 where installed",
        ),
        ("exim", "Exim that delivers into Maildirs"),
        ("opensmtpd", "OpenSMTPD that delivers into Maildirs"),
        (
            "smtp-sink",
            "Postfix's smtp-sink, which stores nothing: a measuring stick",
        ),
    ];
}

impl Kind {
    /// Whether it can be set up to pass mail on.
    pub(super) fn relays(&self) -> bool {
        use Kind::{Exim, OpenSmtpd, PostfixQueue, Ringpost};
        matches!(self, Ringpost { .. } | PostfixQueue | Exim | OpenSmtpd)
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Kind> {
        Ok(match text {
            "ringpost" => Kind::Ringpost { shards: None },
            "postfix" => Kind::PostfixQueue,
            "postfix-dovecot" => Kind::PostfixDovecot,
            "dovecot" => Kind::Dovecot,
            "exim" => Kind::Exim,
            "opensmtpd" => Kind::OpenSmtpd,
            "smtp-sink" => Kind::SmtpSink,
            other => match other
                .rsplit_once(':')
                .map(|(host, port)| (host, port.parse()))
            {
                Some(("ringpost", Ok(shards))) => Kind::Ringpost {
                    shards: Some(shards),
                },
                Some((_, Ok(_))) => Kind::Elsewhere(other.to_string()),
                _ => {
                    let known = Kind::KNOWN.map(|(name, _)| name).join(", ");
                    bail!("no such server: {other}; known are {known}, and any host:port")
                }
            },
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Ringpost { shards: None } => "ringpost",
            Kind::Ringpost {
                shards: Some(count),
            } => return write!(f, "ringpost:{count}"),
            Kind::PostfixQueue => "postfix",
            Kind::PostfixDovecot => "postfix-dovecot",
            Kind::Dovecot => "dovecot",
            Kind::Exim => "exim",
            Kind::OpenSmtpd => "opensmtpd",
            Kind::SmtpSink => "smtp-sink",
            Kind::Elsewhere(door) => door,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_understood_and_told_again() {
        let names = Kind::KNOWN.iter().map(|(name, _)| *name);
        for name in names.chain(["ringpost:2", "mx.example.org:25", "[::1]:2525"]) {
            assert_eq!(name.parse::<Kind>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn a_mistake_is_answered_with_what_is_known() {
        for wrong in ["postfxi", "host:smtp", ""] {
            let why = wrong.parse::<Kind>().unwrap_err().to_string();
            assert!(why.contains("postfix-dovecot"), "{why}");
        }
    }
}
