//! What TLS must prove to a host before it is given mail.

use super::dane::Tlsa;
use super::sts::{Policy, StsFault};
use std::sync::Arc;

/// What of that which a domain publishes is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heed {
    pub dane: bool,
    pub mta_sts: bool,
}

/// A verdict, and what was wrong with the policy of the domain on the way to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    pub demand: TlsDemand,
    pub sts_fault: Option<StsFault>,
}

/// The verdict for one host of one domain. DANE goes before MTA-STS (RFC 8461 §2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TlsDemand {
    /// TLS where it is offered, with any certificate (RFC 7435).
    Opportunistic,
    /// The domain publishes a policy (RFC 8461): TLS with a certificate for the name of the host
    /// that a trusted root has signed.
    MtaSts(StsDemand),
    /// The host has usable TLSA records (RFC 7672): TLS with what [`super::dane::verify`] accepts.
    Dane(DaneDemand),
    /// The host has TLSA records and none that we can use (RFC 7672 §2.2): TLS is a must, any
    /// certificate will do.
    Encrypted,
}

/// A policy, applied to one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StsDemand {
    pub policy: Arc<Policy>,
    /// Whether a failure, or a host that is not listed, forbids delivery there; else it is only
    /// reported (RFC 8461 §5, mode "testing").
    pub is_enforced: bool,
    /// Whether the policy lists the host (RFC 8461 §4.1).
    pub is_listed: bool,
}

/// Usable TLSA records, and the names a certificate may be for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DaneDemand {
    /// Never empty.
    pub records: Arc<[Tlsa]>,
    /// Reference identifiers of DANE-TA (RFC 7672 §3.2.2): the name of the records first; that one
    /// is also the server name to send in the handshake.
    pub names: Vec<Arc<str>>,
}

impl Heed {
    pub const ALL: Heed = Heed {
        dane: true,
        mta_sts: true,
    };
}

impl TlsDemand {
    /// Whether mail may not go to this host, whatever it presents.
    #[must_use]
    pub fn forbids_host(&self) -> bool {
        matches!(self, TlsDemand::MtaSts(sts) if sts.is_enforced && !sts.is_listed)
    }

    /// Whether mail may go there only over TLS.
    #[must_use]
    pub fn is_binding(&self) -> bool {
        match self {
            TlsDemand::Opportunistic => false,
            TlsDemand::MtaSts(sts) => sts.is_enforced,
            TlsDemand::Dane(_) | TlsDemand::Encrypted => true,
        }
    }
}
