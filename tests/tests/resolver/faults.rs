//! Ill name servers: the mail waits, it does not come back, and nobody else's mail waits with it.

use super::{Scene, names};
use engine::resolver::DnsFailure;
use tests::dns::{DnsServer, Fault, Kind};

const ZONE: &str = "
    ill.test 300 MX 10 mx.ill.test
    mx.ill.test 300 A 198.51.100.1
    well.test 300 MX 10 mx.well.test
    mx.well.test 300 A 198.51.100.2
    circle.test 300 CNAME round.test
    round.test 300 CNAME circle.test
";

fn scene() -> Scene {
    let scene = Scene::start();
    scene.dns.zone(ZONE);
    scene
}

#[test]
fn no_illness_of_a_name_server_bounces_mail() {
    let scene = scene();
    for (fault, failure) in [
        (Fault::Code(1), DnsFailure::Refused(1)),
        (Fault::Code(2), DnsFailure::Refused(2)),
        (Fault::Code(4), DnsFailure::Refused(4)),
        (Fault::Code(5), DnsFailure::Refused(5)),
        (Fault::Silent, DnsFailure::Silent),
        (Fault::WrongId, DnsFailure::Silent),
        (Fault::Referral, DnsFailure::Garbled),
    ] {
        scene.dns.fault("ill.test", fault);
        assert_eq!(scene.hosts("ill.test"), Err(failure), "{fault:?}");
    }
    let kinds = [
        Fault::Garbage,
        Fault::CutShort,
        Fault::WrongName,
        Fault::TruncatedForEver,
    ];
    for fault in kinds {
        scene.dns.fault("ill.test", fault);
        let failure = scene.hosts("ill.test").unwrap_err();
        assert!(!failure.is_permanent(), "{fault:?} gave {failure}");
        assert_eq!(names(&scene.hosts("well.test").unwrap()), ["mx.well.test"]);
    }
    scene.dns.mend("ill.test");
    assert_eq!(names(&scene.hosts("ill.test").unwrap()), ["mx.ill.test"]);
}

#[test]
fn a_host_whose_address_nobody_tells_is_tried_later() {
    let scene = scene();
    scene.dns.fault("mx.ill.test", Fault::Code(2));
    assert_eq!(scene.hosts("ill.test"), Err(DnsFailure::Refused(2)));
    // One family is enough.
    scene.dns.mend("mx.ill.test");
    scene
        .dns
        .fault_of("mx.ill.test", Kind::Aaaa, Fault::Code(2));
    assert_eq!(names(&scene.hosts("ill.test").unwrap()), ["mx.ill.test"]);
}

#[test]
fn a_circle_of_aliases_ends() {
    let failure = scene().hosts("circle.test").unwrap_err();
    assert_eq!(failure, DnsFailure::Refused(2));
}

#[test]
fn long_answers_come_over_tcp_and_are_cut_to_size() {
    let scene = scene();
    for n in 0..1_500 {
        let host = format!("h{n}.many.test");
        scene.dns.zone(&format!(
            "many.test 300 MX {} {host}\n{host} 300 A 198.51.100.1",
            n % 50
        ));
    }
    let ways = scene.hosts("many.test").unwrap();
    assert_eq!(ways.hosts.len(), 16);
    assert!(ways.hosts.iter().all(|host| host.preference == 0));
    let asked = scene.dns.asked();
    let over_tcp = |asked: &&tests::dns::Asked| asked.name == "many.test" && asked.over_tcp;
    assert_eq!(asked.iter().filter(over_tcp).count(), 1);
}

#[test]
fn truncated_answers_are_asked_for_over_tcp() {
    let scene = scene();
    scene.dns.fault("ill.test", Fault::Truncated);
    assert_eq!(names(&scene.hosts("ill.test").unwrap()), ["mx.ill.test"]);
}

/// A name server that refuses, or is dead, stands before a good one.
#[test]
fn another_name_server_is_asked() {
    for fault in [Fault::Code(5), Fault::Code(2), Fault::Silent] {
        let lame = DnsServer::start();
        lame.fault("well.test", fault);
        lame.fault("mx.well.test", fault);
        let scene = Scene::with(|props| {
            props.config.servers.insert(0, lame.address());
            props.config.attempts = 2;
        });
        scene.dns.zone(ZONE);
        assert_eq!(
            names(&scene.hosts("well.test").unwrap()),
            ["mx.well.test"],
            "{fault:?}"
        );
    }
}
