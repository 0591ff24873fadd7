//! Accounts whose owners log in with a certificate (SASL EXTERNAL, RFC 4422 appendix A).
//!
//! A certificate stands for the accounts that its fingerprint is configured for, and, if one of the
//! configured authorities vouches for it, for the addresses in its subjectAltName. The handshake
//! has proven that the client holds the key; whether the names are accounts, the directory knows.

use super::certificates::CertificateError;
use super::clients::{fingerprint, verifier};
use super::der;
use crate::config::Auth;
use crate::config::Fingerprint;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Who is known by which certificate.
#[derive(Clone, Default)]
pub struct Holders {
    accounts: HashMap<Fingerprint, Vec<Box<str>>>,
    authorities: Option<Arc<dyn ClientCertVerifier>>,
}

impl Holders {
    /// Reads the authorities.
    pub fn load(auth: &Auth) -> Result<Holders, CertificateError> {
        let mut accounts: HashMap<Fingerprint, Vec<Box<str>>> = HashMap::new();
        for holder in &auth.certificates {
            let of_one = accounts.entry(holder.fingerprint).or_default();
            of_one.push(holder.account.to_string().into());
        }
        Ok(Holders {
            accounts,
            authorities: auth.authorities.as_deref().map(verifier).transpose()?,
        })
    }

    /// The login names that a chain stands for, each once; `unix_secs` is the time.
    #[must_use]
    pub fn names(&self, chain: &[CertificateDer<'_>], unix_secs: u64) -> Vec<Box<str>> {
        let Some((end_entity, intermediates)) = chain.split_first() else {
            return Vec::new();
        };
        let mut names = Vec::new();
        let configured = self.accounts.get(&fingerprint(end_entity));
        names.extend(configured.into_iter().flatten().cloned());
        let now = UnixTime::since_unix_epoch(Duration::from_secs(unix_secs));
        let vouched = self.authorities.as_ref().is_some_and(|known| {
            let verified = known.verify_client_cert(end_entity, intermediates, now);
            verified.is_ok()
        });
        if vouched {
            names.extend(der::addresses(end_entity).into_iter().map(Into::into));
        }
        let mut known = Vec::with_capacity(names.len());
        for name in names {
            if !known.contains(&name) {
                known.push(name);
            }
        }
        known
    }
}

impl fmt::Debug for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holders({} certificates)", self.accounts.len())
    }
}
