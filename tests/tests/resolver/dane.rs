//! Which hosts must prove themselves by TLSA records: only those known securely, and those always.

use super::Scene;
use engine::resolver::{DaneDemand, DnsFailure, Dnssec, TlsDemand};
use tests::dns::{Fault, Kind};

const ZONE: &str = "
    signed.test 300 MX 10 mx.signed.test
    signed.test 300 MX 20 mx.plain.test
    mx.signed.test 300 A 198.51.100.1
    _25._tcp.mx.signed.test 300 TLSA 3 1 1 DIGEST-a
    _25._tcp.mx.signed.test 300 TLSA 1 1 1 DIGEST-b
    mx.plain.test 300 A 198.51.100.2
    _25._tcp.mx.plain.test 300 TLSA 3 1 1 DIGEST-a
    plain.test 300 MX 10 mx.signed.test
    useless.signed.test 300 MX 10 pkix.signed.test
    pkix.signed.test 300 A 198.51.100.3
    _25._tcp.pkix.signed.test 300 TLSA 0 1 1 DIGEST-c
    bare.signed.test 300 A 198.51.100.4
    _25._tcp.bare.signed.test 300 TLSA 2 0 1 DIGEST-d
    aliased.signed.test 300 MX 10 alias.signed.test
    alias.signed.test 300 CNAME mx.signed.test
";

fn scene_that(dnssec: Dnssec) -> Scene {
    let scene = Scene::with(|props| props.config.dnssec = dnssec);
    let digests = ["a", "b", "c", "d"].map(|digit| (format!("DIGEST-{digit}"), digit.repeat(64)));
    let zone = digests
        .iter()
        .fold(ZONE.to_owned(), |zone, (name, hex)| zone.replace(name, hex));
    scene.dns.zone(&zone);
    scene.dns.secure("signed.test");
    scene
}

/// The demand to the host of this place in the order.
fn demand(scene: &Scene, domain: &str, at: usize) -> Result<TlsDemand, DnsFailure> {
    let ways = scene.hosts(domain).unwrap();
    pollster::block_on(scene.resolver.demand(domain, &ways, &ways.hosts[at]))
}

fn dane(demand: Result<TlsDemand, DnsFailure>) -> DaneDemand {
    match demand {
        Ok(TlsDemand::Dane(dane)) => dane,
        other => panic!("no DANE: {other:?}"),
    }
}

#[test]
fn a_secure_host_must_show_what_its_records_say() {
    let scene = scene_that(Dnssec::Local);
    let found = dane(demand(&scene, "signed.test", 0));
    let records: Vec<String> = found.records.iter().map(ToString::to_string).collect();
    assert_eq!(records, [format!("3 1 1 {}", "a".repeat(64))]);
    assert_eq!(found.names[0].as_ref(), "mx.signed.test");
    assert!(found.names.iter().any(|name| &**name == "signed.test"));
    let found = dane(demand(&scene, "bare.signed.test", 0));
    assert_eq!(found.names[0].as_ref(), "bare.signed.test");
    let found = dane(demand(&scene, "aliased.signed.test", 0));
    assert_eq!(found.names[0].as_ref(), "mx.signed.test");
    assert!(
        found
            .names
            .iter()
            .any(|name| &**name == "alias.signed.test")
    );
}

#[test]
fn records_that_nobody_vouches_for_prove_nothing() {
    let scene = scene_that(Dnssec::Local);
    assert_eq!(
        demand(&scene, "signed.test", 1),
        Ok(TlsDemand::Opportunistic)
    );
    // An unsigned MX may name anybody's signed host.
    assert_eq!(
        demand(&scene, "plain.test", 0),
        Ok(TlsDemand::Opportunistic)
    );
    assert_eq!(scene.dns.count("_25._tcp.mx.plain.test", Kind::Tlsa), 0);
}

#[test]
fn without_trust_there_is_no_dane() {
    let scene = scene_that(Dnssec::Off);
    assert!(!scene.hosts("signed.test").unwrap().is_secure);
    assert_eq!(
        demand(&scene, "signed.test", 0),
        Ok(TlsDemand::Opportunistic)
    );
}

#[test]
fn records_of_no_use_still_demand_tls() {
    let scene = scene_that(Dnssec::Trusted);
    let found = demand(&scene, "useless.signed.test", 0).unwrap();
    assert_eq!(found, TlsDemand::Encrypted);
    assert!(found.is_binding() && !found.forbids_host());
}

/// RFC 7672 §2.1.2: whoever makes the records disappear must not get the mail in clear.
#[test]
fn hidden_records_keep_the_mail_here() {
    for fault in [Fault::Code(2), Fault::Silent] {
        let scene = scene_that(Dnssec::Local);
        scene.dns.fault("_25._tcp.mx.signed.test", fault);
        let failure = demand(&scene, "signed.test", 0).unwrap_err();
        assert!(!failure.is_permanent(), "{failure}");
    }
}
