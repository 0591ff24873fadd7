//! One TLSA record, and the choice among those of a name.

use std::fmt;

/// A record that can be used for SMTP (RFC 6698 §2.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tlsa {
    pub usage: Usage,
    pub selector: Selector,
    pub matching: Matching,
    pub data: Box<[u8]>,
}

/// What the record is about (RFC 7218 §2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Usage {
    /// 2: a certificate that signs, directly or not, the one of the host.
    DaneTa,
    /// 3: the certificate of the host itself; its names and dates do not matter (RFC 7671 §5.1).
    DaneEe,
}

/// Which part of the certificate (RFC 7218 §2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Selector {
    /// 0
    Certificate,
    /// 1: SubjectPublicKeyInfo.
    PublicKey,
}

/// How the part is written down (RFC 7218 §2.3), the weaker before the stronger digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Matching {
    /// 0: octet for octet.
    Full,
    /// 1
    Sha256,
    /// 2
    Sha512,
}

impl Tlsa {
    /// A record by the numbers of RFC 6698 §2.1; `None` where it cannot be used for SMTP.
    #[must_use]
    pub fn new(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Option<Tlsa> {
        let usage = match usage {
            2 => Usage::DaneTa,
            3 => Usage::DaneEe,
            _ => return None,
        };
        let selector = match selector {
            0 => Selector::Certificate,
            1 => Selector::PublicKey,
            _ => return None,
        };
        let matching = match (matching, data.len()) {
            (0, 1..=FULL_BYTES_MAX) => Matching::Full,
            (1, 32) => Matching::Sha256,
            (2, 64) => Matching::Sha512,
            _ => return None,
        };
        Some(Tlsa {
            usage,
            selector,
            matching,
            data: data.into(),
        })
    }
}

/// The records that count: of digests over the same part only the strongest (RFC 7671 §9). At most
/// [`RECORDS_MAX`].
#[must_use]
pub fn choose(mut records: Vec<Tlsa>) -> Vec<Tlsa> {
    records.truncate(RECORDS_MAX);
    let strongest = |one: &Tlsa| {
        let same = records
            .iter()
            .filter(|other| other.usage == one.usage && other.selector == one.selector);
        same.map(|other| other.matching).max()
    };
    let counts =
        |one: &Tlsa| one.matching == Matching::Full || Some(one.matching) == strongest(one);
    let mut chosen: Vec<Tlsa> = records.iter().filter(|one| counts(one)).cloned().collect();
    chosen.sort();
    chosen.dedup();
    chosen
}

impl fmt::Display for Tlsa {
    /// As in a zone, the digits of long data cut short.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage = match self.usage {
            Usage::DaneTa => 2,
            Usage::DaneEe => 3,
        };
        let (selector, matching) = (self.selector as u8, self.matching as u8);
        write!(f, "{usage} {selector} {matching} ")?;
        for octet in self.data.iter().take(SHOWN_BYTES) {
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

/// Records of one name that are looked at.
pub const RECORDS_MAX: usize = 32;

/// A certificate in a record; DNS would carry four times as much.
const FULL_BYTES_MAX: usize = 16 << 10;

/// The longest digest.
const SHOWN_BYTES: usize = 64;
