//! RFC 5321 §5.1 as a domain's owner may write it down: which host gets the mail.

use super::{Scene, names};
use engine::resolver::{DnsFailure, Origin, Rollup, TlsDemand};
use std::collections::BTreeSet;
use std::net::IpAddr;

const ZONE: &str = "
    example.test 300 MX 20 backup.example.test
    example.test 300 MX 10 a.example.test
    example.test 300 MX 10 b.example.test
    a.example.test 120 A 198.51.100.1
    a.example.test 120 AAAA 2001:db8::1
    b.example.test 300 A 198.51.100.2
    backup.example.test 300 A 198.51.100.3
    bare.test 60 A 198.51.100.9
    null.test 300 MX 0 .
    empty.test 300 TXT nothing here
    loop.test 300 MX 10 mx.ours.test
    loop.test 300 MX 20 backup.example.test
    second.test 300 MX 5 a.example.test
    second.test 300 MX 10 other-name-of-ours.test
    second.test 300 MX 20 backup.example.test
    other-name-of-ours.test 300 A 192.0.2.99
    alias.test 300 CNAME example.test
    cname-mx.test 300 MX 10 mail.cname-mx.test
    mail.cname-mx.test 30 CNAME a.example.test
    dangling.test 300 MX 10 gone.dangling.test
    half.test 300 MX 10 gone.half.test
    half.test 300 MX 20 b.example.test
    xn--bcher-kva.test 300 MX 10 b.example.test
    strange.test 300 MX 10 b!d$.example.test
    brief.test 0 MX 10 b.example.test
";

fn scene() -> Scene {
    let scene = Scene::start();
    scene.dns.zone(ZONE);
    scene
}

#[test]
fn preference_addresses_site_and_time_to_live() {
    let scene = scene();
    let mut firsts = BTreeSet::new();
    for _ in 0..32 {
        let ways = scene.hosts("Example.TEST.").unwrap();
        assert_eq!(ways.hosts.len(), 3);
        assert_eq!(names(&ways)[2], "backup.example.test");
        assert_eq!(
            &*ways.exchange,
            "a.example.test,b.example.test,backup.example.test"
        );
        assert_eq!((&ways.site, ways.origin), (&ways.exchange, Origin::Mx));
        assert!(ways.ttl_secs <= 120 && !ways.is_secure);
        let a = ways
            .hosts
            .iter()
            .find(|host| &*host.name == "a.example.test")
            .unwrap();
        let addresses: BTreeSet<String> = a.addresses.iter().map(IpAddr::to_string).collect();
        assert_eq!(addresses.len(), 2, "{addresses:?}");
        firsts.insert(names(&ways)[0].to_owned());
    }
    assert_eq!(firsts.len(), 2, "equal preference is shuffled");
}

#[test]
fn a_domain_without_mx_is_its_own_host() {
    let ways = scene().hosts("bare.test").unwrap();
    assert_eq!(
        (names(&ways), ways.origin),
        (vec!["bare.test"], Origin::Implicit)
    );
    assert_eq!(&*ways.exchange, "bare.test");
}

#[test]
fn what_is_certain_is_permanent() {
    let scene = scene();
    for (domain, failure) in [
        ("null.test", DnsFailure::NullMx),
        ("nowhere.test", DnsFailure::NoDomain),
        ("empty.test", DnsFailure::NoAddress),
        ("dangling.test", DnsFailure::NoAddress),
        ("strange.test", DnsFailure::NoAddress),
        ("loop.test", DnsFailure::OwnHost),
        ("mx.ours.test", DnsFailure::NoDomain),
        ("a..test", DnsFailure::BadName),
        ("a b.test", DnsFailure::BadName),
        ("", DnsFailure::BadName),
        ("[192.0.2.99]", DnsFailure::OwnHost),
        ("[300.0.0.1]", DnsFailure::BadName),
        ("[", DnsFailure::BadName),
    ] {
        assert_eq!(scene.hosts(domain), Err(failure), "{domain}");
        assert!(failure.is_permanent(), "{domain}");
    }
    let long = format!("{}.test", "a".repeat(300));
    assert_eq!(scene.hosts(&long), Err(DnsFailure::BadName));
}

#[test]
fn nothing_behind_ourselves_is_tried() {
    let ways = scene().hosts("second.test").unwrap();
    assert_eq!(names(&ways), ["a.example.test"]);
}

#[test]
fn aliases_are_followed() {
    let scene = scene();
    let ways = scene.hosts("alias.test").unwrap();
    assert_eq!(ways.hosts.len(), 3);
    let ways = scene.hosts("cname-mx.test").unwrap();
    assert_eq!(names(&ways), ["mail.cname-mx.test"]);
    assert_eq!(ways.hosts[0].canonical.as_deref(), Some("a.example.test"));
    assert_eq!(ways.hosts[0].addresses.len(), 2);
    assert!(ways.ttl_secs <= 30);
}

#[test]
fn a_host_without_address_does_not_hide_the_others() {
    let ways = scene().hosts("half.test").unwrap();
    assert_eq!(names(&ways), ["b.example.test"]);
}

#[test]
fn an_international_name_is_asked_for_in_a_labels() {
    let scene = scene();
    let ways = scene.hosts("B\u{fc}cher.test").unwrap();
    assert_eq!(names(&ways), ["b.example.test"]);
    assert_eq!(ways, scene.hosts("xn--bcher-kva.test").unwrap());
}

#[test]
fn literals_need_no_name_server() {
    let scene = scene();
    for (domain, address) in [
        ("[198.51.100.7]", "198.51.100.7"),
        ("[IPv6:2001:db8::7]", "2001:db8::7"),
    ] {
        let ways = scene.hosts(domain).unwrap();
        assert_eq!(ways.origin, Origin::Literal);
        assert_eq!(
            ways.hosts[0].addresses,
            [address.parse::<IpAddr>().unwrap()]
        );
        let demand = pollster::block_on(scene.resolver.demand(domain, &ways, &ways.hosts[0]));
        assert_eq!(demand, Ok(TlsDemand::Opportunistic));
    }
    assert_eq!(scene.dns.asked(), []);
}

#[test]
fn loopback_is_ourselves_unless_said_otherwise() {
    let scene = Scene::with(|props| props.own.is_loopback_foreign = false);
    scene
        .dns
        .zone("lo.test 300 MX 10 mx.lo.test\nmx.lo.test 300 A 127.0.0.1");
    assert_eq!(scene.hosts("lo.test"), Err(DnsFailure::OwnHost));
    assert_eq!(scene.hosts("[127.0.0.1]"), Err(DnsFailure::OwnHost));
}

#[test]
fn a_provider_is_one_site() {
    let scene = Scene::with(|props| {
        props.config.rollups = vec![Rollup {
            site: "provider".to_owned(),
            suffixes: vec!["example.test".to_owned()],
        }];
    });
    scene.dns.zone(ZONE);
    let (one, other) = (
        scene.hosts("example.test").unwrap(),
        scene.hosts("brief.test").unwrap(),
    );
    assert_eq!((&*one.site, &*other.site), ("provider", "provider"));
    assert_ne!(one.exchange, other.exchange);
}

#[test]
fn what_must_not_be_kept_is_asked_for_again() {
    let scene = scene();
    for _ in 0..3 {
        assert_eq!(scene.hosts("brief.test").unwrap().ttl_secs, 0);
        scene.hosts("example.test").unwrap();
    }
    assert_eq!(scene.dns.count("brief.test", tests::dns::Kind::Mx), 3);
    assert_eq!(scene.dns.count("example.test", tests::dns::Kind::Mx), 1);
}
