//! DNSSEC validated by ourselves, in a root zone signed here: what is signed is believed, what is
//! forged is not, and the AD bit of a stranger counts for nothing.

use super::{Scene, names};
use engine::resolver::{DnsFailure, Dnssec, TlsDemand};
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_resolver::proto::rr::rdata::{A, MX, TLSA};
use hickory_resolver::proto::rr::{Name, RData};
use tests::dns::signed::Root;

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
