//! What TLS must be on the way to one host: what the operator demands, and what the domain
//! publishes.
//!
//! ```text
//! tls             heeds          where nothing is published
//! never           nothing        clear
//! opportunistic   DANE, MTA-STS  TLS where it works
//! dane, sts       one of them    TLS where it works
//! required        DANE, MTA-STS  TLS with any certificate
//! verified        DANE, MTA-STS  TLS with a certificate of the host, or a pinned one
//! dane-only       DANE           no mail
//! ```

use super::tls_report::Policed;
use crate::config::outbound::{TlsDemand, TlsPolicy};
use crate::egress::Demand;
use crate::post::PolicyType;
use crate::resolver::sts::{Mode, Policy};
use crate::resolver::{self, DaneDemand, Heed, dane};
use crate::tls::{Judge, Proof, Shown};
use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What is looked up for a demand.
pub(super) fn heed(demand: TlsDemand) -> Heed {
    Heed {
        dane: !matches!(demand, TlsDemand::Never | TlsDemand::Sts),
        mta_sts: !matches!(
            demand,
            TlsDemand::Never | TlsDemand::Dane | TlsDemand::DaneOnly
        ),
    }
}

/// What a host must show; `None`: it gets no mail. `authorities` are those of the policy.
pub(super) fn demanded(
    policy: &TlsPolicy,
    authorities: Option<Arc<RootCertStore>>,
    host: &str,
    published: &resolver::TlsDemand,
) -> Option<Demand> {
    if published.forbids_host() {
        return None;
    }
    let published = match published {
        resolver::TlsDemand::Opportunistic => Demand::Opportunistic,
        resolver::TlsDemand::Encrypted => Demand::Required(Proof::Nothing),
        resolver::TlsDemand::MtaSts(sts) if sts.is_enforced => Demand::Required(names(host)),
        resolver::TlsDemand::MtaSts(_) => Demand::Trial(names(host)),
        resolver::TlsDemand::Dane(dane) => {
            Demand::Required(Proof::Judge(Arc::new(DaneJudge(dane.clone()))))
        }
    };
    let is_dane = matches!(published, Demand::Required(Proof::Judge(_)));
    Some(match policy.demand {
        TlsDemand::Never => Demand::Clear,
        TlsDemand::Opportunistic | TlsDemand::Dane | TlsDemand::Sts => published,
        TlsDemand::DaneOnly => is_dane.then_some(published)?,
        TlsDemand::Required => match published {
            Demand::Required(proof) => Demand::Required(proof),
            _ => Demand::Required(Proof::Nothing),
        },
        TlsDemand::Verified | TlsDemand::Implicit => match own_proof(policy, authorities, host) {
            Some(own) => Demand::Required(own),
            None if is_dane => published,
            None => Demand::Required(names(host)),
        },
    })
}

/// As much as that, and a host that proves who it is.
pub(super) fn verified(demand: &Demand, host: &str) -> Demand {
    match demand {
        Demand::Clear | Demand::Opportunistic | Demand::Required(Proof::Nothing) => {
            Demand::Required(names(host))
        }
        Demand::Trial(proof) | Demand::Required(proof) => Demand::Required(proof.clone()),
    }
}

/// What the operator himself says of the certificate.
fn own_proof(
    policy: &TlsPolicy,
    authorities: Option<Arc<RootCertStore>>,
    host: &str,
) -> Option<Proof> {
    if !policy.fingerprints.is_empty() {
        let pins = Pins(policy.fingerprints.clone());
        return Some(Proof::Judge(Arc::new(pins)));
    }
    authorities.map(|authorities| Proof::Vouched([host.to_owned()].into(), authorities))
}

fn names(host: &str) -> Proof {
    Proof::Names([host.to_owned()].into())
}

/// What a session is reported under.
pub(super) fn policed(demand: &resolver::TlsDemand) -> Policed {
    match demand {
        resolver::TlsDemand::Opportunistic => Policed::nothing(),
        resolver::TlsDemand::Encrypted => Policed::unusable(),
        resolver::TlsDemand::Dane(dane) => {
            let records = dane.records.iter().map(ToString::to_string);
            Policed::new(PolicyType::Tlsa, records.collect(), Vec::new())
        }
        resolver::TlsDemand::MtaSts(sts) => of_sts(&sts.policy),
    }
}

fn of_sts(policy: &Policy) -> Policed {
    let mode = match policy.mode {
        Mode::Enforce => "enforce",
        Mode::Testing => "testing",
        Mode::None => "none",
    };
    let hosts: Vec<String> = policy.hosts.iter().map(ToString::to_string).collect();
    let mut lines = vec!["version: STSv1".to_owned(), format!("mode: {mode}")];
    lines.extend(hosts.iter().map(|host| format!("mx: {host}")));
    lines.push(format!("max_age: {}", policy.max_age_secs));
    Policed::new(PolicyType::Sts, lines, hosts)
}

/// RFC 7672: the certificate is judged by the records of the host.
struct DaneJudge(DaneDemand);

impl Judge for DaneJudge {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), String> {
        let others = shown.intermediates.iter();
        let chain: Vec<_> = std::iter::once(shown.end_entity)
            .chain(others)
            .cloned()
            .collect();
        let names = self.0.names.iter();
        let names: Vec<_> = names
            .filter_map(|name| ServerName::try_from(&**name).ok())
            .collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(shown.unix_secs));
        let algorithms = provider::default_provider().signature_verification_algorithms;
        let proof = dane::verify(&self.0.records, &chain, &names, now, &algorithms);
        proof.map(drop).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for DaneJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DaneJudge({} records)", self.0.records.len())
    }
}

/// The certificate or its public key is one that the operator knows.
#[derive(Debug)]
struct Pins(Vec<[u8; 32]>);

impl Judge for Pins {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), String> {
        let is_pinned = |octets: &[u8]| {
            let digest = digest::digest(&digest::SHA256, octets);
            self.0.iter().any(|pin| digest.as_ref() == pin)
        };
        let key = ParsedCertificate::try_from(shown.end_entity).ok();
        let key = key.map(|parsed| parsed.subject_public_key_info());
        match is_pinned(shown.end_entity) || key.is_some_and(|key| is_pinned(&key)) {
            true => Ok(()),
            false => Err("it is none of the configured fingerprints".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::StsDemand;
    use crate::resolver::dane::Tlsa;

    fn policy(demand: TlsDemand) -> TlsPolicy {
        TlsPolicy {
            demand,
            ..TlsPolicy::default()
        }
    }

    fn sts(is_enforced: bool, is_listed: bool) -> resolver::TlsDemand {
        let text = b"version: STSv1\nmode: enforce\nmx: mx.test\nmax_age: 60\n";
        resolver::TlsDemand::MtaSts(StsDemand {
            policy: Arc::new(Policy::parse(text).unwrap()),
            is_enforced,
            is_listed,
        })
    }

    fn dane() -> resolver::TlsDemand {
        let record = Tlsa::new(3, 1, 1, &[0; 32]).unwrap();
        resolver::TlsDemand::Dane(DaneDemand {
            records: [record].into(),
            names: vec!["mx.test".into()],
        })
    }

    /// In one letter each: clear, opportunistic, trial, any certificate, names, judge, no mail.
    fn shown(demand: TlsDemand, published: &resolver::TlsDemand) -> char {
        match demanded(&policy(demand), None, "mx.test", published) {
            None => '-',
            Some(Demand::Clear) => 'c',
            Some(Demand::Opportunistic) => 'o',
            Some(Demand::Trial(_)) => 't',
            Some(Demand::Required(Proof::Nothing)) => 'a',
            Some(Demand::Required(Proof::Names(_))) => 'n',
            Some(Demand::Required(Proof::Judge(_))) => 'j',
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_stricter_of_operator_and_domain_holds() {
        use TlsDemand as D;
        let published = [
            resolver::TlsDemand::Opportunistic,
            resolver::TlsDemand::Encrypted,
            sts(true, true),
            sts(true, false),
            sts(false, true),
            dane(),
        ];
        for (demand, expected) in [
            (D::Never, "ccc-cc"),
            (D::Opportunistic, "oan-tj"),
            (D::Required, "aan-aj"),
            (D::Verified, "nnn-nj"),
            (D::Implicit, "nnn-nj"),
            (D::DaneOnly, "-----j"),
        ] {
            let found: String = published.iter().map(|one| shown(demand, one)).collect();
            assert_eq!(found, expected, "{demand:?}");
        }
    }

    /// RFC 8689 §4.2.1: also where nobody else asks for a proof.
    #[test]
    fn what_must_be_private_is_proven() {
        let any = Demand::Required(Proof::Nothing);
        for demand in [Demand::Clear, Demand::Opportunistic, any] {
            let found = verified(&demand, "mx.test");
            assert!(
                matches!(found, Demand::Required(Proof::Names(_))),
                "{found:?}"
            );
        }
        let tried = verified(&Demand::Trial(names("mx.test")), "mx.test");
        assert!(matches!(tried, Demand::Required(Proof::Names(_))));
        let judged = demanded(&policy(TlsDemand::Opportunistic), None, "mx.test", &dane());
        let judged = verified(&judged.unwrap(), "mx.test");
        assert!(matches!(judged, Demand::Required(Proof::Judge(_))));
    }

    #[test]
    fn what_is_not_heeded_is_not_looked_up() {
        let of = |demand| {
            let heed = heed(demand);
            (heed.dane, heed.mta_sts)
        };
        assert_eq!(of(TlsDemand::Never), (false, false));
        assert_eq!(of(TlsDemand::Dane), (true, false));
        assert_eq!(of(TlsDemand::DaneOnly), (true, false));
        assert_eq!(of(TlsDemand::Sts), (false, true));
        assert_eq!(of(TlsDemand::Verified), (true, true));
    }

    #[test]
    fn what_the_operator_pins_goes_before_everything() {
        let pinned = TlsPolicy {
            fingerprints: vec![[7; 32]],
            ..policy(TlsDemand::Verified)
        };
        let found = demanded(&pinned, None, "mx.test", &dane());
        let Some(Demand::Required(Proof::Judge(judge))) = found else {
            panic!("{found:?}");
        };
        assert!(format!("{judge:?}").starts_with("Pins"));
        let own = Arc::new(RootCertStore::empty());
        let found = demanded(&policy(TlsDemand::Verified), Some(own), "mx.test", &dane());
        assert!(matches!(found, Some(Demand::Required(Proof::Vouched(..)))));
    }
}
