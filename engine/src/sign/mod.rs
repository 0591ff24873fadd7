//! DKIM signatures of mail that leaves this host (RFC 6376, RFC 8301, RFC 8463), and ARC sets of
//! mail that is only relayed (RFC 8617).
//!
//! ```text
//! Signers::begin(domain, now) → Signing ── feed(piece)* ──▶ finish → "DKIM-Signature: …\r\n" × n
//! Signers::begin_seal(domain, seen, now) ── the same ─────▶ finish → ARC-Seal, ARC-…, ARC-…
//! ```
//!
//! [`Signers`] holds the keys of the configuration; [`Signing`] takes one message in pieces as it
//! will be sent, header first, and gives the fields that stand before it. The body is hashed where
//! it lies, once for each canonicalisation that is asked for, however many keys sign. The clock is
//! the caller's.
//!
//! Who may be signed for is decided by the caller and narrowed here: the domain that begins a
//! signature is the one that this host answers for, the reverse-path of a login or our own name.
//! The author's domain signs when one key covers both, so that nobody borrows the name of another
//! tenant by writing it into From; else the answering domain signs for itself.
//!
//! Why not mail-auth, which the house uses to verify: its 0.13.3 keeps white-space lines at the end
//! of relaxed bodies, hashes the body once a key, reads the clock itself, knows no oversigning, and
//! wants the whole message at once.

mod arc;
mod body;
mod canon;
mod field;
mod key;
mod record;
mod signing;
#[cfg(test)]
mod tests;

pub use arc::{Chain, INSTANCE_MAX, Seen};
pub use body::BodyHash;
pub use key::PrivateKey;
pub use record::{RECORD_STRING_BYTES_MAX, record_strings, zone_entry};
pub use signing::{HEADER_BYTES_MAX, Signing, Unsigned};

use crate::config::{Dkim, DkimAlgorithm, Problem};
use std::collections::HashMap;
use std::io;
use std::path::Path;

/// All keys, by the domain that they sign for.
#[derive(Debug, Default)]
pub struct Signers {
    by_domain: HashMap<String, Vec<Signer>>,
}

/// A key and what the configuration says of it.
#[derive(Debug)]
struct Signer {
    says: Dkim,
    key: PrivateKey,
}

impl Signers {
    /// Reads every key; all that is wrong is told with its line of the configuration.
    pub fn load(
        config: &[Dkim],
        read: &dyn Fn(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Signers, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut signers = Signers::default();
        for says in config {
            match Signer::load(says, read) {
                Ok(signer) => signers.add(signer),
                Err(what) => problems.push(Problem::new(says.line, what)),
            }
        }
        match problems.is_empty() {
            true => Ok(signers),
            false => Err(problems),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_domain.is_empty()
    }

    /// Begins the signatures of a message for which the `answering` domain, in lower-case A-labels,
    /// takes responsibility. `now` is in seconds since 1970.
    #[must_use]
    pub fn begin<'a>(&'a self, answering: &'a str, now: i64) -> Signing<'a> {
        Signing::new(self, answering, now)
    }

    /// Begins the ARC set of a message that comes from elsewhere and goes on: `sealing` is our own
    /// domain, `seen` what was found out about the message when it came.
    #[must_use]
    pub fn begin_seal<'a>(&'a self, sealing: &'a str, seen: Seen<'a>, now: i64) -> Signing<'a> {
        Signing::new(self, sealing, now).sealing(seen)
    }

    fn add(&mut self, signer: Signer) {
        let domain = signer.says.domain.clone();
        self.by_domain.entry(domain).or_default().push(signer);
    }

    /// The nearest domain at or above `name` that has a key at this time.
    fn covering(&self, name: &str, now: i64) -> Option<&str> {
        let mut rest = Some(name);
        while let Some(name) = rest {
            if let Some((domain, signers)) = self.by_domain.get_key_value(name)
                && signers.iter().any(|signer| signer.says.signs_at(now))
            {
                return Some(domain.as_str());
            }
            rest = name.split_once('.').map(|(_, parent)| parent);
        }
        None
    }

    /// Of each algorithm the key that began last.
    fn active(&self, domain: &str, now: i64) -> Vec<&Signer> {
        let signers = self.by_domain.get(domain).map_or(&[][..], Vec::as_slice);
        let newest = move |algorithm| {
            signers
                .iter()
                .filter(|signer| signer.says.algorithm == algorithm)
                .filter(|signer| signer.says.signs_at(now))
                .max_by_key(|signer| signer.says.not_before_secs)
        };
        [DkimAlgorithm::Rsa, DkimAlgorithm::Ed25519]
            .into_iter()
            .filter_map(newest)
            .collect()
    }
}

impl Signer {
    fn load(says: &Dkim, read: &dyn Fn(&Path) -> io::Result<Vec<u8>>) -> Result<Signer, String> {
        let file = says.key.display();
        let pem = read(&says.key).map_err(|error| format!("cannot read {file}: {error}"))?;
        let key = PrivateKey::from_pem(&pem).map_err(|what| format!("{file}: {what}"))?;
        if key.algorithm() != says.algorithm {
            let (is, said) = (key.algorithm().name(), says.algorithm.name());
            return Err(format!("{file}: this is an {is} key; the line says {said}"));
        }
        let says = says.clone();
        Ok(Signer { says, key })
    }
}
