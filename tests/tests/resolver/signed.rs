//! DNSSEC validated by ourselves, in a root zone signed here: what is signed is believed, what is
//! forged is not, and the AD bit of a stranger counts for nothing.

use super::{Scene, names};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::resolver::{DnsFailure, Dnssec, TlsDemand};
use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, RRSIG};
use hickory_resolver::proto::dnssec::{DnssecSigner, SigningKey};
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_resolver::proto::rr::rdata::{A, MX, TLSA};
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record, RecordSet};
use hickory_resolver::proto::serialize::binary::BinEncodable;
use std::time::Duration;
use tests::dns::{DnsServer, Kind};

/// A key of the root.
struct Root {
    signer: DnssecSigner,
    key: DNSKEY,
}

impl Root {
    fn make() -> Root {
        let pkcs8 = Ed25519SigningKey::generate_pkcs8().unwrap();
        let secret = Ed25519SigningKey::from_pkcs8(&pkcs8).unwrap();
        let key = DNSKEY::from_key(&secret.to_public_key().unwrap());
        let years = Duration::from_secs(30 * 31_556_952);
        let signer = DnssecSigner::new(key.clone(), Box::new(secret), Name::root(), years);
        Root { signer, key }
    }

    /// As in a file of trust anchors.
    fn anchor(&self) -> String {
        let octets = self.key.to_bytes().unwrap();
        format!(
            ". 300 IN DNSKEY 257 3 15 {}\n",
            STANDARD.encode(&octets[4..])
        )
    }

    fn publish_key(&self, dns: &DnsServer) {
        let key = self.key.to_bytes().unwrap();
        let set = set(Name::root(), &RData::from(self.key.clone()));
        dns.add("", Kind::Other(48), key);
        dns.add("", Kind::Other(46), self.signature(&set));
    }

    fn publish(&self, dns: &DnsServer, name: &str, data: &RData) {
        let set = set(Name::from_ascii(format!("{name}.")).unwrap(), data);
        dns.add(
            name,
            Kind::of(set.record_type().into()),
            data.to_bytes().unwrap(),
        );
        dns.add(name, Kind::Other(46), self.signature(&set));
    }

    fn signature(&self, set: &RecordSet) -> Vec<u8> {
        let begin = rcgen::date_time_ymd(2020, 1, 1);
        let signature = RRSIG::from_rrset(set, DNSClass::IN, begin, &self.signer);
        signature.unwrap().to_bytes().unwrap()
    }
}

fn set(name: Name, data: &RData) -> RecordSet {
    RecordSet::from(Record::from_rdata(name, 300, data.clone()))
}

/// The zone of this root, asked by a resolver that trusts `trusted`.
fn scene(root: &Root, trusted: &Root) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.key");
    std::fs::write(&file, trusted.anchor()).unwrap();
    let scene = Scene::with(|props| {
        props.config.dnssec = Dnssec::Validate;
        props.config.trust_anchors = Some(file);
    });
    scene.dns.secure("test");
    let host = Name::from_ascii("mx.signed.test.").unwrap();
    root.publish_key(&scene.dns);
    root.publish(&scene.dns, "signed.test", &RData::MX(MX::new(10, host)));
    let address = RData::A(A::new(198, 51, 100, 1));
    root.publish(&scene.dns, "mx.signed.test", &address);
    let tlsa = TLSA::new(
        CertUsage::DaneEe,
        Selector::Spki,
        Matching::Sha256,
        vec![0xaa; 32],
    );
    root.publish(&scene.dns, "_25._tcp.mx.signed.test", &RData::TLSA(tlsa));
    scene
}

#[test]
fn what_our_root_signed_is_secure() {
    let root = Root::make();
    let scene = scene(&root, &root);
    let ways = scene.hosts("signed.test").unwrap();
    assert_eq!(names(&ways), ["mx.signed.test"]);
    assert!(ways.is_secure && ways.hosts[0].is_secure);
    let demand = scene.resolver.demand("signed.test", &ways, &ways.hosts[0]);
    let demand = pollster::block_on(demand).unwrap();
    assert!(matches!(demand, TlsDemand::Dane(_)), "{demand:?}");
}

#[test]
fn what_another_root_signed_is_bogus() {
    let scene = scene(&Root::make(), &Root::make());
    let failure = scene.hosts("signed.test").unwrap_err();
    assert!(!failure.is_permanent(), "{failure}");
    assert_eq!(failure, DnsFailure::Bogus);
}
