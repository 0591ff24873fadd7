//! MTA-STS against a real HTTPS server: which policies hold, and which ones nobody believes.

use super::Scene;
use engine::resolver::{StsDemand, TlsDemand};
use rustls::RootCertStore;
use std::ops::Deref;
use tests::authority::Authority;
use tests::dns::{Fault, Kind};
use tests::web::{self, ok, response};

const POLICY: &str = "version: STSv1\nmode: enforce\nmx: mx.sts.test\nmax_age: 604800\n";

/// The policy host of sts.test, and who vouches for it.
struct Web {
    web: web::Web,
    roots: RootCertStore,
}

impl Deref for Web {
    type Target = web::Web;

    fn deref(&self) -> &web::Web {
        &self.web
    }
}

impl Web {
    fn start() -> Web {
        Web::named("mta-sts.sts.test")
    }

    /// With a certificate for this name.
    fn named(name: &str) -> Web {
        let authority = Authority::make();
        let expected = [
            "GET /.well-known/mta-sts.txt HTTP/1.1",
            "host: mta-sts.sts.test",
        ];
        let expected = expected.map(str::to_owned).into();
        let web = web::Web::start(authority.certify(name).server(), expected);
        web.say(ok(POLICY));
        Web {
            web,
            roots: authority.roots(),
        }
    }

    /// A scene whose resolver trusts this server's root and comes to its port.
    fn scene(&self) -> Scene {
        let scene = Scene::with(|props| {
            props.config.mta_sts = true;
            props.config.mta_sts_port = self.address.port();
            props.roots = self.roots.clone();
        });
        scene.dns.zone(
            "sts.test 300 MX 10 mx.sts.test\nsts.test 300 MX 20 evil.test\n\
             mx.sts.test 300 A 198.51.100.1\nevil.test 300 A 198.51.100.2\n\
             mta-sts.sts.test 300 A 127.0.0.1\n_mta-sts.sts.test 0 TXT v=STSv1; id=1;",
        );
        scene
    }
}

/// The demand to the host of this place in the order.
fn demand(scene: &Scene, at: usize) -> TlsDemand {
    let ways = scene.hosts("sts.test").unwrap();
    pollster::block_on(scene.resolver.demand("sts.test", &ways, &ways.hosts[at])).unwrap()
}

fn sts(demand: TlsDemand) -> StsDemand {
    match demand {
        TlsDemand::MtaSts(sts) => sts,
        other => panic!("no policy: {other:?}"),
    }
}

#[test]
fn an_enforced_policy_names_the_hosts() {
    let web = Web::start();
    let scene = web.scene();
    let listed = demand(&scene, 0);
    assert!(listed.is_binding() && !listed.forbids_host());
    assert!(sts(listed).is_listed);
    assert!(demand(&scene, 1).forbids_host());
    assert_eq!(web.visits(), 1, "the policy is kept");
}

#[test]
fn a_policy_that_is_tried_out_forbids_nothing() {
    let web = Web::start();
    web.say(ok(&POLICY.replace("enforce", "testing")));
    let scene = web.scene();
    let unlisted = demand(&scene, 1);
    assert!(!unlisted.forbids_host() && !unlisted.is_binding());
    assert!(!sts(unlisted).is_listed);
}

#[test]
fn a_domain_may_give_its_policy_up() {
    let web = Web::start();
    let scene = web.scene();
    assert!(demand(&scene, 0).is_binding());
    web.say(ok("version: STSv1\nmode: none\nmax_age: 86400\n"));
    scene.dns.forget("_mta-sts.sts.test");
    scene.dns.zone("_mta-sts.sts.test 0 TXT v=STSv1; id=2;");
    assert_eq!(demand(&scene, 0), TlsDemand::Opportunistic);
}

#[test]
fn what_is_no_policy_is_none() {
    let long = format!("{POLICY}{}", "#".repeat(70_000));
    for said in [
        response("404 Not Found", "text/plain", POLICY),
        response("301 Moved Permanently", "text/plain", POLICY),
        response("200 OK", "text/html", POLICY),
        response("200 OK", "text/plain", &long),
        response("200 OK", "text/plain", "version: STSv9\n"),
        ok(POLICY)[..120].to_vec(),
        b"SSH-2.0-OpenSSH\r\n".to_vec(),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000)).into_bytes(),
        Vec::new(),
    ] {
        let web = Web::start();
        let shown = String::from_utf8_lossy(&said[..said.len().min(80)]).into_owned();
        web.say(said);
        let scene = web.scene();
        assert_eq!(demand(&scene, 0), TlsDemand::Opportunistic, "{shown}");
        // Not asked for again at once, but after five minutes.
        web.say(ok(POLICY));
        assert_eq!(demand(&scene, 0), TlsDemand::Opportunistic, "{shown}");
        scene.pass(301);
        assert!(demand(&scene, 0).is_binding(), "{shown}");
    }
}

#[test]
fn only_a_verified_server_is_believed() {
    let other = Web::named("mta-sts.other.test");
    assert_eq!(demand(&other.scene(), 0), TlsDemand::Opportunistic);
    let (trusted, unknown) = (Web::start(), Web::start());
    let scene = Scene::with(|props| {
        props.config.mta_sts = true;
        props.config.mta_sts_port = unknown.address.port();
        props.roots = trusted.roots.clone();
    });
    scene.dns.zone(
        "sts.test 300 MX 10 mx.sts.test\nmx.sts.test 300 A 198.51.100.1\n\
         mta-sts.sts.test 300 A 127.0.0.1\n_mta-sts.sts.test 0 TXT v=STSv1; id=1;",
    );
    assert_eq!(demand(&scene, 0), TlsDemand::Opportunistic);
    assert_eq!((other.visits(), unknown.visits()), (0, 0));
}

/// RFC 8461 §5.1: whoever hides the record, the host or the file does not get rid of the policy.
#[test]
fn a_kept_policy_outlives_its_sources() {
    let web = Web::start();
    let scene = web.scene();
    assert!(demand(&scene, 0).is_binding());
    web.say(response("500 Internal Server Error", "text/plain", ""));
    scene.dns.forget("_mta-sts.sts.test");
    assert!(demand(&scene, 0).is_binding(), "without the record");
    scene.dns.zone("_mta-sts.sts.test 0 TXT v=STSv1; id=2;");
    assert!(demand(&scene, 0).is_binding(), "without the new policy");
    scene.dns.fault("_mta-sts.sts.test", Fault::Code(2));
    assert!(demand(&scene, 0).is_binding(), "without an answer");
    scene.pass(604_801);
    assert_eq!(demand(&scene, 0), TlsDemand::Opportunistic, "after max_age");
}

#[test]
fn a_kept_policy_is_fetched_again_each_day_and_with_each_id() {
    let web = Web::start();
    let scene = web.scene();
    assert!(demand(&scene, 0).is_binding());
    scene.pass(3_600);
    assert!(demand(&scene, 0).is_binding());
    assert_eq!(web.visits(), 1);
    scene.pass(86_400);
    assert!(demand(&scene, 0).is_binding());
    assert_eq!(web.visits(), 2);
    web.say(ok(&POLICY.replace("enforce", "testing")));
    scene.dns.forget("_mta-sts.sts.test");
    scene.dns.zone("_mta-sts.sts.test 0 TXT v=STSv1; id=2;");
    assert!(!demand(&scene, 0).is_binding());
    assert_eq!(web.visits(), 3);
}

#[test]
fn a_record_that_nobody_tells_is_not_waited_for_each_time() {
    let web = Web::start();
    let scene = web.scene();
    scene.dns.fault("_mta-sts.sts.test", Fault::Silent);
    assert_eq!(demand(&scene, 0), TlsDemand::Opportunistic);
    let asked = scene.dns.count("_mta-sts.sts.test", Kind::Txt);
    assert_eq!(demand(&scene, 1), TlsDemand::Opportunistic);
    assert_eq!(scene.dns.count("_mta-sts.sts.test", Kind::Txt), asked);
    scene.dns.mend("_mta-sts.sts.test");
    scene.pass(301);
    assert!(demand(&scene, 0).is_binding());
}

#[test]
fn a_domain_without_record_costs_no_visit() {
    let web = Web::start();
    let scene = web.scene();
    scene.dns.forget("_mta-sts.sts.test");
    assert_eq!(demand(&scene, 0), TlsDemand::Opportunistic);
    scene
        .dns
        .zone("_mta-sts.sts.test 0 TXT v=STSv1; id=1;\n_mta-sts.sts.test 0 TXT v=STSv1; id=2;");
    assert_eq!(demand(&scene, 0), TlsDemand::Opportunistic, "two records");
    assert_eq!(web.visits(), 0);
}
