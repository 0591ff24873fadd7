//! What a server offers in its answer to EHLO or LHLO (RFC 5321 §4.1.1.1).
//!
//! Keywords are read in any case; unknown ones and values that make no sense are passed over, as
//! if they had not been said. SIZE (RFC 1870), 8BITMIME (RFC 6152), PIPELINING (RFC 2920), CHUNKING
//! and BINARYMIME (RFC 3030), STARTTLS (RFC 3207), AUTH (RFC 4954), SMTPUTF8 (RFC 6531), DSN
//! (RFC 3461), ENHANCEDSTATUSCODES (RFC 2034), REQUIRETLS (RFC 8689), DELIVERBY (RFC 2852),
//! MT-PRIORITY (RFC 6710), LIMITS (RFC 9422).

use super::reply::Heard;
use crate::wire::sasl::{Mechanism, client};

/// The extensions of one server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// `None`: SIZE is not offered, or without a limit.
    pub size_max: Option<u64>,
    pub size: bool,
    pub eight_bit_mime: bool,
    pub pipelining: bool,
    pub chunking: bool,
    pub binary_mime: bool,
    pub start_tls: bool,
    /// Those that we know.
    pub auth: Vec<Mechanism>,
    pub smtputf8: bool,
    pub dsn: bool,
    pub enhanced_status_codes: bool,
    pub require_tls: bool,
    /// Shortest time in seconds that is taken, 0 where none is said.
    pub deliver_by_secs_min: Option<u64>,
    pub priority: bool,
    pub limits: Limits,
}

/// RFC 9422 §4; `None`: unlimited, or not said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Messages a connection.
    pub mail_max: Option<u32>,
    /// Recipients a message.
    pub rcpt_max: Option<u32>,
    /// Domains among the recipients of a message.
    pub rcpt_domain_max: Option<u32>,
}

impl Offer {
    /// Reads a positive answer to EHLO; its first line is a greeting.
    #[must_use]
    pub fn read(heard: &Heard<'_>) -> Offer {
        let mut offer = Offer::default();
        for line in heard.lines().skip(1) {
            offer.note(line);
        }
        offer
    }

    fn note(&mut self, line: &str) {
        // Before RFC 4954 there were servers that say `AUTH=`.
        let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
        let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
        match &*keyword {
            "SIZE" => {
                self.size = true;
                self.size_max = words.next().and_then(number).filter(|max| *max > 0);
            }
            "8BITMIME" => self.eight_bit_mime = true,
            "PIPELINING" => self.pipelining = true,
            "CHUNKING" => self.chunking = true,
            "BINARYMIME" => self.binary_mime = true,
            "STARTTLS" => self.start_tls = true,
            "AUTH" => self.note_mechanisms(words),
            "SMTPUTF8" => self.smtputf8 = true,
            "DSN" => self.dsn = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "REQUIRETLS" => self.require_tls = true,
            "DELIVERBY" => {
                self.deliver_by_secs_min = Some(words.next().and_then(number).unwrap_or(0));
            }
            "MT-PRIORITY" => self.priority = true,
            "LIMITS" => self.limits.note(line),
            _ => {}
        }
    }

    fn note_mechanisms<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            let known = Mechanism::from_name(name.as_bytes());
            let known = known.filter(|known| client::KNOWN.contains(known));
            if let Some(mechanism) = known.filter(|known| !self.auth.contains(known)) {
                self.auth.push(mechanism);
            }
        }
    }
}

impl Limits {
    fn note(&mut self, line: &str) {
        for word in line.split(' ').skip(1) {
            let Some((name, value)) = word.split_once('=') else {
                continue;
            };
            // RFC 9422 §3.1: 1 to 6 digits, no leading zero.
            let value = number(value).and_then(|value| u32::try_from(value).ok());
            let Some(value) = value.filter(|value| *value > 0) else {
                continue;
            };
            match &*name.to_ascii_uppercase() {
                "MAILMAX" => self.mail_max = Some(value),
                "RCPTMAX" => self.rcpt_max = Some(value),
                "RCPTDOMAINMAX" => self.rcpt_domain_max = Some(value),
                _ => {}
            }
        }
    }
}

fn number(word: &str) -> Option<u64> {
    let is_number = word.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::reply::ReplyReceiver;
    use super::*;

    fn offer(stream: &[u8]) -> Offer {
        let mut receiver = ReplyReceiver::default();
        let (_, heard) = receiver.feed(stream);
        Offer::read(&heard.unwrap().unwrap())
    }

    #[test]
    fn every_extension_is_read() {
        let offer = offer(
            b"250-mx.example greets you\r\n250-SIZE 1000000\r\n250-8bitmime\r\n250-PIPELINING\r\n\
              250-CHUNKING\r\n250-BINARYMIME\r\n250-STARTTLS\r\n250-AUTH login PLAIN XOAUTH2\r\n\
              250-SMTPUTF8\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250-REQUIRETLS\r\n\
              250-DELIVERBY 240\r\n250-MT-PRIORITY MIXER\r\n\
              250 LIMITS MAILMAX=5 RCPTMAX=100 RCPTDOMAINMAX=1 NEWMAX=3 RCPTMAX\r\n",
        );
        let expected = Offer {
            size_max: Some(1_000_000),
            size: true,
            eight_bit_mime: true,
            pipelining: true,
            chunking: true,
            binary_mime: true,
            start_tls: true,
            auth: vec![Mechanism::Login, Mechanism::Plain],
            smtputf8: true,
            dsn: true,
            enhanced_status_codes: true,
            require_tls: true,
            deliver_by_secs_min: Some(240),
            priority: true,
            limits: Limits {
                mail_max: Some(5),
                rcpt_max: Some(100),
                rcpt_domain_max: Some(1),
            },
        };
        assert_eq!(offer, expected);
    }

    #[test]
    fn odd_values_and_the_greeting_are_passed_over() {
        let offer = offer(
            b"250-PIPELINING\r\n250-SIZE\r\n250-AUTH=PLAIN LOGIN PLAIN\r\n250-SIZE x\r\n250-\r\n\
              250 LIMITS RCPTMAX=0 MAILMAX=x =1 RCPTDOMAINMAX=99999999999\r\n",
        );
        assert!(!offer.pipelining && offer.size && offer.size_max.is_none());
        assert_eq!(offer.auth, [Mechanism::Plain, Mechanism::Login]);
        assert_eq!(offer.limits, Limits::default());
    }
}
