//! TLSA records against chains made here: what they prove, and everything they must not prove.

use super::*;
use aws_lc_rs::digest;
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use std::time::Duration;

/// A root that signs an intermediate that signs the certificate of `mx.example.test`.
struct Chain {
    chain: Vec<CertificateDer<'static>>,
    keys: Vec<Vec<u8>>,
}

impl Chain {
    fn make() -> Chain {
        Chain::until(2040)
    }

    fn until(year: i32) -> Chain {
        let keys: Vec<KeyPair> = (0..3).map(|_| KeyPair::generate().unwrap()).collect();
        let (root, middle) = (authority("root", 2040), authority("middle", 2040));
        let mut own = CertificateParams::new(vec!["mx.example.test".to_owned()]).unwrap();
        own.not_before = date_time_ymd(2020, 1, 1);
        own.not_after = date_time_ymd(year, 1, 1);
        own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let own = own
            .signed_by(&keys[0], &Issuer::from_params(&middle, &keys[1]))
            .unwrap();
        let middle = middle
            .signed_by(&keys[1], &Issuer::from_params(&root, &keys[2]))
            .unwrap();
        let root = root.self_signed(&keys[2]).unwrap();
        Chain {
            chain: [own, middle, root]
                .iter()
                .map(|c| c.der().clone())
                .collect(),
            keys: keys
                .iter()
                .map(PublicKeyData::subject_public_key_info)
                .collect(),
        }
    }

    fn verify(&self, records: &[Tlsa], name: &str) -> Result<usize, DaneError> {
        self.verify_at(records, &[name], 2030)
    }

    fn verify_at(&self, records: &[Tlsa], names: &[&str], year: u64) -> Result<usize, DaneError> {
        let names: Vec<ServerName<'_>> = names
            .iter()
            .map(|name| ServerName::try_from(*name).unwrap())
            .collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs((year - 1970) * 31_556_952));
        let algorithms = default_provider().signature_verification_algorithms;
        verify(records, &self.chain, &names, now, &algorithms).map(|proof| proof.depth)
    }

    /// The record of a certificate of the chain.
    fn record(&self, usage: u8, selector: u8, matching: u8, at: usize) -> Tlsa {
        let part: &[u8] = match selector {
            0 => &self.chain[at],
            _ => &self.keys[at],
        };
        let data = match matching {
            0 => part.to_vec(),
            1 => digest::digest(&digest::SHA256, part).as_ref().to_vec(),
            _ => digest::digest(&digest::SHA512, part).as_ref().to_vec(),
        };
        Tlsa::new(usage, selector, matching, &data).unwrap()
    }
}

fn authority(name: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

#[test]
fn every_form_of_record_proves_its_certificate() {
    let chain = Chain::make();
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            let own = [chain.record(3, selector, matching, 0)];
            assert_eq!(chain.verify(&own, "mx.example.test"), Ok(0));
            for at in [1, 2] {
                let anchor = [chain.record(2, selector, matching, at)];
                assert_eq!(chain.verify(&anchor, "mx.example.test"), Ok(at));
            }
        }
    }
}

#[test]
fn names_and_dates_matter_to_an_anchor_only() {
    let chain = Chain::until(2025);
    let (own, anchor) = ([chain.record(3, 1, 1, 0)], [chain.record(2, 1, 1, 1)]);
    assert_eq!(chain.verify(&own, "other.test"), Ok(0));
    let expired = chain.verify(&anchor, "mx.example.test");
    assert!(
        matches!(expired, Err(DaneError::Unproven(_))),
        "{expired:?}"
    );
    let other_name = chain.verify_at(&anchor, &["other.test"], 2024);
    assert!(
        matches!(other_name, Err(DaneError::Unproven(_))),
        "{other_name:?}"
    );
    let names = ["other.test", "mx.example.test"];
    assert_eq!(chain.verify_at(&anchor, &names, 2024), Ok(1));
    let none = chain.verify_at(&anchor, &[], 2024);
    assert!(matches!(none, Err(DaneError::Unproven(_))), "{none:?}");
}

#[test]
fn another_key_proves_nothing() {
    let (chain, other) = (Chain::make(), Chain::make());
    for usage in [2, 3] {
        let records: Vec<Tlsa> = (0..3).map(|at| other.record(usage, 1, 1, at)).collect();
        assert_eq!(
            chain.verify(&records, "mx.example.test"),
            Err(DaneError::NoMatch)
        );
    }
    assert_eq!(
        chain.verify(&[], "mx.example.test"),
        Err(DaneError::NoMatch)
    );
}

#[test]
fn each_usage_is_for_its_place_in_the_chain() {
    let chain = Chain::make();
    let as_anchor = [chain.record(2, 1, 1, 0)];
    assert_eq!(
        chain.verify(&as_anchor, "mx.example.test"),
        Err(DaneError::NoMatch)
    );
    let as_own = [chain.record(3, 1, 1, 1)];
    assert_eq!(
        chain.verify(&as_own, "mx.example.test"),
        Err(DaneError::NoMatch)
    );
}

/// A stolen authority certificate beside a certificate that it did not sign.
#[test]
fn an_anchor_that_signed_nothing_vouches_for_nothing() {
    let (mut chain, other) = (Chain::make(), Chain::make());
    chain.chain = vec![
        chain.chain[0].clone(),
        other.chain[1].clone(),
        other.chain[2].clone(),
    ];
    let anchor = [other.record(2, 1, 1, 1)];
    let verdict = chain.verify(&anchor, "mx.example.test");
    assert!(
        matches!(verdict, Err(DaneError::Unproven(_))),
        "{verdict:?}"
    );
}

#[test]
fn one_good_record_among_others_is_enough() {
    let (chain, other) = (Chain::make(), Chain::make());
    let records = [
        other.record(3, 1, 1, 0),
        chain.record(2, 0, 2, 2),
        chain.record(3, 1, 1, 0),
    ];
    assert_eq!(chain.verify(&records, "mx.example.test"), Ok(0));
}

#[test]
fn chains_that_are_none_are_refused() {
    let mut chain = Chain::make();
    let records = [chain.record(3, 1, 1, 0), chain.record(2, 1, 1, 1)];
    let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
    let flood = vec![chain.chain[1].clone(); 100];
    chain.chain = vec![garbage.clone()];
    assert_eq!(
        chain.verify(&records, "mx.example.test"),
        Err(DaneError::NoMatch)
    );
    let full = [Tlsa::new(3, 0, 0, &garbage).unwrap()];
    assert_eq!(chain.verify(&full, "mx.example.test"), Ok(0));
    chain.chain = Vec::new();
    assert_eq!(
        chain.verify(&records, "mx.example.test"),
        Err(DaneError::Chain)
    );
    chain.chain = flood;
    assert_eq!(
        chain.verify(&records, "mx.example.test"),
        Err(DaneError::Chain)
    );
}

#[test]
fn unusable_records_are_left_out() {
    for (usage, selector, matching, length) in [
        (0, 1, 1, 32),
        (1, 1, 1, 32),
        (255, 1, 1, 32),
        (3, 2, 1, 32),
        (3, 1, 3, 32),
        (3, 1, 1, 31),
        (3, 1, 2, 32),
        (3, 0, 0, 0),
        (3, 0, 0, 20_000),
    ] {
        let record = Tlsa::new(usage, selector, matching, &vec![7; length]);
        assert_eq!(record, None, "{usage} {selector} {matching} {length}");
    }
}

#[test]
fn of_two_digests_the_stronger_counts() {
    let record = |usage, selector, matching, length: usize| {
        Tlsa::new(usage, selector, matching, &vec![7; length]).unwrap()
    };
    let strong = record(3, 1, 2, 64);
    let chosen = choose(vec![record(3, 1, 1, 32), strong.clone(), strong.clone()]);
    assert_eq!(chosen, vec![strong.clone()]);
    // Another part, another usage and the part itself are no weaker digests of the same.
    let others = vec![
        record(3, 0, 1, 32),
        record(2, 1, 1, 32),
        record(3, 1, 0, 9),
        strong,
    ];
    assert_eq!(choose(others).len(), 4);
    assert_eq!(
        record(3, 1, 1, 32).to_string(),
        format!("3 1 1 {}", "07".repeat(32))
    );
}

proptest! {
    #[test]
    fn any_octets_are_a_record_or_none(
        numbers in any::<(u8, u8, u8)>(),
        data in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let (usage, selector, matching) = numbers;
        if let Some(record) = Tlsa::new(usage % 5, selector % 3, matching % 4, &data) {
            prop_assert_eq!(&*record.data, &data[..]);
            let certificate = CertificateDer::from(data);
            let now = UnixTime::since_unix_epoch(Duration::ZERO);
            let algorithms = default_provider().signature_verification_algorithms;
            let chain = [certificate.clone(), certificate];
            let _ = verify(&[record], &chain, &[], now, &algorithms);
        }
    }
}
