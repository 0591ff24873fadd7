//! Why there is no way to a domain: what the sender is told, and whether trying again helps.
//!
//! ```text
//! permanent   the answer is known and it is no: NXDOMAIN, null MX, no address, our own host
//! temporary   nobody could tell us: silence, SERVFAIL, broken or forged answers, no room to ask
//! ```

use std::fmt;

/// Why a question has no usable answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DnsFailure {
    /// The text is neither a domain name nor an address literal.
    BadName,
    /// The domain does not exist (NXDOMAIN).
    NoDomain,
    /// The domain says that it takes no mail (RFC 7505).
    NullMx,
    /// The domain exists, but no host of it has an address that mail could be sent to.
    NoAddress,
    /// The best mail exchanger of the domain is this host (RFC 5321 §5.1).
    OwnHost,
    /// No name server answered in time.
    Silent,
    /// The name servers answered with this response code (RFC 1035 §4.1.1), 2 being SERVFAIL.
    Refused(u16),
    /// The name servers answered nonsense, or sent us to others as if we were to search ourselves.
    Garbled,
    /// The answer is forged or wrongly signed (DNSSEC).
    Bogus,
    /// As many questions as are allowed already wait for their answers.
    Busy,
    /// The service thread is gone: the server ends.
    Ending,
}

impl DnsFailure {
    /// Whether the same question will get the same answer for long, so that the mail goes back.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        match self {
            DnsFailure::BadName
            | DnsFailure::NoDomain
            | DnsFailure::NullMx
            | DnsFailure::NoAddress
            | DnsFailure::OwnHost => true,
            DnsFailure::Silent
            | DnsFailure::Refused(_)
            | DnsFailure::Garbled
            | DnsFailure::Bogus
            | DnsFailure::Busy
            | DnsFailure::Ending => false,
        }
    }

    /// The enhanced status code (RFC 3463, RFC 7505 §4.1).
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            DnsFailure::BadName | DnsFailure::NoDomain => "5.1.2",
            DnsFailure::NullMx => "5.1.10",
            DnsFailure::NoAddress => "5.4.4",
            DnsFailure::OwnHost => "5.4.6",
            DnsFailure::Bogus => "4.7.5",
            DnsFailure::Ending => "4.3.2",
            DnsFailure::Silent
            | DnsFailure::Refused(_)
            | DnsFailure::Garbled
            | DnsFailure::Busy => "4.4.3",
        }
    }
}

impl fmt::Display for DnsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DnsFailure::BadName => "that is no domain name",
            DnsFailure::NoDomain => "the domain does not exist",
            DnsFailure::NullMx => "the domain does not accept mail (null MX)",
            DnsFailure::NoAddress => "no mail exchanger of the domain has an address",
            DnsFailure::OwnHost => "the best mail exchanger of the domain is this host itself",
            DnsFailure::Silent => "the name servers did not answer in time",
            DnsFailure::Refused(code) => return refused(*code, f),
            DnsFailure::Garbled => "the name servers gave an answer that makes no sense",
            DnsFailure::Bogus => "the answer of the name servers is not signed as it should be",
            DnsFailure::Busy => "too many questions to the name servers are under way",
            DnsFailure::Ending => "the server is ending",
        })
    }
}

impl std::error::Error for DnsFailure {}

/// RFC 1035 §4.1.1.
fn refused(code: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match code {
        1 => f.write_str("the name servers did not understand the question (FORMERR)"),
        2 => f.write_str("the name servers could not find out (SERVFAIL)"),
        4 => f.write_str("the name servers do not answer such questions (NOTIMP)"),
        5 => f.write_str("the name servers refused to answer (REFUSED)"),
        code => write!(f, "the name servers answered with response code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::DnsFailure;

    #[test]
    fn the_class_of_the_status_says_whether_to_try_again() {
        let all = [
            DnsFailure::BadName,
            DnsFailure::NoDomain,
            DnsFailure::NullMx,
            DnsFailure::NoAddress,
            DnsFailure::OwnHost,
            DnsFailure::Silent,
            DnsFailure::Refused(2),
            DnsFailure::Garbled,
            DnsFailure::Bogus,
            DnsFailure::Busy,
            DnsFailure::Ending,
        ];
        for failure in all {
            assert_eq!(
                failure.status().starts_with('5'),
                failure.is_permanent(),
                "{failure}"
            );
        }
    }
}
