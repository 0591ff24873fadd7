//! TLS to other hosts: what a domain publishes and what the operator demands decides who gets mail,
//! and nobody on the way gets it instead.

use super::{ALICE, submit};
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_resolver::proto::rr::rdata::{A, MX, TLSA};
use hickory_resolver::proto::rr::{Name, RData};
use rustls::ServerConfig;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use tests::authority::Authority;
use tests::binary;
use tests::dns::DnsServer;
use tests::dns::signed::Root;
use tests::server::Server;
use tests::setup::Setup;
use tests::sink::{Moment, Sink, SinkTls};
use tests::web::{Web, ok, response};

/// A name server, a policy host, an authority that the server trusts; the server starts last.
struct World {
    dns: DnsServer,
    authority: Authority,
    web: Web,
    /// Until the server has it.
    setup: Option<Setup>,
    port: u16,
}

impl World {
    fn new() -> World {
        let authority = Authority::make();
        let web = Web::start(authority.certify("mta-sts.far.test").server(), Vec::new());
        let mut setup = Setup::usual().top("shards = 1");
        let port = setup.spare_port().port();
        World {
            dns: DnsServer::start(),
            authority,
            web,
            setup: Some(setup),
            port,
        }
    }

    fn folder(&self) -> PathBuf {
        let setup = self.setup.as_ref().unwrap();
        setup.directory.path().to_owned()
    }

    /// `far.test` has one host, `mx.far.test`, at 127.0.0.9.
    fn usual() -> World {
        let world = World::new();
        world
            .dns
            .zone("far.test 300 MX 10 mx.far.test\nmx.far.test 300 A 127.0.0.9");
        world
    }

    /// Announces a policy of MTA-STS.
    fn policy(self, mode: &str) -> World {
        self.dns
            .zone("mta-sts.far.test 300 A 127.0.0.1\n_mta-sts.far.test 300 TXT v=STSv1; id=1;");
        let text = format!("version: STSv1\nmode: {mode}\nmx: mx.far.test\nmax_age: 86400\n");
        self.web.say(ok(&text));
        self
    }

    /// TLSA records of `mx.far.test`, in a zone that the name server vouches for.
    fn tlsa(self, data: &str) -> World {
        self.dns.secure("far.test");
        let name = format!("_{}._tcp.mx.far.test", self.port);
        self.dns.zone(&format!("{name} 300 TLSA {data}"));
        self
    }

    fn host(&self) -> SocketAddr {
        (Ipv4Addr::new(127, 0, 0, 9), self.port).into()
    }

    fn sink(&self, config: Arc<ServerConfig>) -> Sink {
        Sink::with_tls(self.host(), config)
    }

    /// With more keys of the resolver, of the route, and more tables.
    fn start(mut self, resolver: &str, route: &str, tables: &str) -> (World, Server) {
        let authorities = self.authority.write(&self.folder(), "authorities.pem");
        let text = format!(
            "[resolver]\nservers = \"{}\"\nloopback_hosts = true\nmx_port = {}\n\
             mta_sts_port = {}\ntimeout_secs = 1\nattempts = 1\n{resolver}\n\
             [tls]\nauthorities = {authorities:?}\n\
             [[route]]\ndomains = \"*\"\nvia = \"mx\"\nretry = \"1s\"\n{route}\n{tables}",
            self.dns.address(),
            self.port,
            self.web.address.port(),
        );
        let setup = self.setup.take().unwrap();
        (self, Server::start(setup.table(&text)))
    }
}

/// What `ringpostctl tls-report` prints.
fn report(server: &Server) -> String {
    let mut command = Command::new(binary::ringpostctl());
    command.arg("--data").arg(server.setup.data());
    let output = command
        .args(["--json", "tls-report", "--domain", "far.test"])
        .output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

fn has(text: &str, wanted: &[&str]) {
    for part in wanted {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// A policy that is enforced: the host that it names gets mail with the right certificate, is
/// believed to be itself, and the report says so.
#[test]
fn an_enforced_policy_takes_the_right_host() {
    let world = World::usual().policy("enforce");
    let sink = world.sink(world.authority.certify("mx.far.test").server());
    let (world, server) = world.start("", "", "");
    submit(&server, &["carol@far.test"], "sts");
    let taken = sink.wait_for(1);
    let tls = taken[0].client.tls.clone().unwrap();
    assert_eq!(tls.server_name.as_deref(), Some("mx.far.test"));
    assert_eq!(world.web.visits(), 1);
    server.wait_for_log("how=delivered", 0);
    has(
        &report(&server),
        &[
            "\"policy-type\":\"sts\"",
            "\"mx: mx.far.test\"",
            "\"total-successful-session-count\":1",
            "\"total-failure-session-count\":0",
        ],
    );
}

/// Another certificate, one that nobody vouches for, an old one, and a host that hides STARTTLS:
/// no mail for any of them, the sender hears of it in the end, and the report says what was wrong.
#[test]
fn an_enforced_policy_takes_nobody_else() {
    let stranger = Authority::make();
    for (make, words) in [
        ("other", "certificate-host-mismatch"),
        ("stranger", "certificate-not-trusted"),
        ("expired", "certificate-expired"),
        ("stripped", "starttls-not-supported"),
    ] {
        let world = World::usual().policy("enforce");
        let sink = match make {
            "other" => world.sink(world.authority.certify("mx.evil.test").server()),
            "stranger" => world.sink(stranger.certify("mx.far.test").server()),
            "expired" => world.sink(world.authority.certify_expired("mx.far.test").server()),
            _ => Sink::start(world.host()),
        };
        let (_world, server) = world.start("", "expire = \"2s\"", "");
        submit(&server, &["carol@far.test"], make);
        server.wait_for_log("result=deferred", 0);
        let inbox = server.inbox(ALICE, 1);
        has(&inbox[0], &["Action: failed", "carol@far.test"]);
        assert!(sink.taken().is_empty(), "{make}");
        has(
            &report(&server),
            &[words, "\"receiving-mx-hostname\":\"mx.far.test\""],
        );
    }
}

/// A host that the policy does not name gets nothing, whatever it shows.
#[test]
fn a_host_that_the_policy_does_not_name_gets_nothing() {
    let world = World::usual().policy("enforce");
    world.web.say(ok(
        "version: STSv1\nmode: enforce\nmx: mx2.far.test\nmax_age: 86400\n",
    ));
    let sink = world.sink(world.authority.certify("mx.far.test").server());
    let (_world, server) = world.start("", "", "");
    submit(&server, &["carol@far.test"], "unlisted");
    let log = server.wait_for_log("result=deferred", 0).1;
    has(&log, &["4.7.5", "MTA-STS"]);
    assert_eq!(sink.connections(), 0);
}

/// A policy that is only tried out changes nothing but the report.
#[test]
fn a_policy_in_testing_is_reported_and_no_more() {
    let world = World::usual().policy("testing");
    let sink = world.sink(world.authority.certify("mx.evil.test").server());
    let (_world, server) = world.start("", "", "");
    submit(&server, &["carol@far.test"], "testing");
    assert!(sink.wait_for(1)[0].client.tls.is_some());
    server.wait_for_log("how=delivered", 0);
    let said = report(&server);
    has(&said, &["\"mode: testing\"", "certificate-host-mismatch"]);
    has(&said, &["\"total-failure-session-count\":1"]);
}

/// A policy that was taken back (mode `none`) is none: nothing is demanded, nothing is reported
/// under it, whatever the host shows (RFC 8461 §5).
#[test]
fn a_policy_that_was_taken_back_demands_nothing() {
    let world = World::usual().policy("none");
    let sink = world.sink(Authority::make().certify("mx.evil.test").server());
    let (world, server) = world.start("", "", "");
    submit(&server, &["carol@far.test"], "none");
    assert!(sink.wait_for(1)[0].client.tls.is_some());
    assert_eq!(world.web.visits(), 1, "it was read, and says so");
    server.wait_for_log("how=delivered", 0);
    let said = report(&server);
    has(&said, &["\"total-failure-session-count\":0"]);
    has(&said, &["\"policy-type\":\"no-policy-found\""]);
    assert!(!said.contains("\"policy-type\":\"sts\""), "{said}");
}

/// A policy that cannot be had holds nothing up, and is reported.
#[test]
fn a_policy_that_is_not_there_is_reported() {
    let world = World::usual().policy("enforce");
    world
        .web
        .say(response("500 Internal Server Error", "text/plain", ""));
    let sink = world.sink(Authority::make().certify("x.test").server());
    let (_world, server) = world.start("", "", "");
    submit(&server, &["carol@far.test"], "no policy");
    sink.wait_for(1);
    has(&report(&server), &["sts-policy-fetch-error"]);
}

/// DANE-EE: the key of the record and no other; names and dates do not matter (RFC 7671 §5.1).
#[test]
fn dane_takes_the_key_of_the_record() {
    let world = World::usual();
    let own = world.authority.certify_expired("whatever.test");
    let world = world.tlsa(&format!("3 1 1 {}", own.key_digest()));
    let sink = world.sink(own.server());
    let (_world, server) = world.start("dnssec = \"local\"", "tls = \"dane-only\"", "");
    submit(&server, &["carol@far.test"], "dane");
    assert!(sink.wait_for(1)[0].client.tls.is_some());
    server.wait_for_log("how=delivered", 0);
    has(&report(&server), &["\"policy-type\":\"tlsa\"", "\"3 1 1 "]);
}

/// Records of which none can be used: TLS is a must, any certificate will do (RFC 7672 §2.2), and
/// the domain hears that its records protect nothing.
#[test]
fn dane_without_a_usable_record_is_reported() {
    let world = World::usual();
    let world = world.tlsa(&format!("1 1 1 {}", "ab".repeat(32)));
    let sink = world.sink(Authority::make().certify("whatever.test").server());
    let (_world, server) = world.start("dnssec = \"local\"", "", "");
    submit(&server, &["carol@far.test"], "unusable");
    assert!(sink.wait_for(1)[0].client.tls.is_some());
    server.wait_for_log("how=delivered", 0);
    let wanted = ["\"policy-type\":\"tlsa\"", "\"tlsa-invalid\""];
    has(&report(&server), &wanted);
    has(&report(&server), &["\"total-successful-session-count\":0"]);
}

/// DANE with the wrong key, and DANE-TA with a certificate that is old or for another name: the
/// mail waits, although an authority vouches for the host.
#[test]
fn dane_takes_nobody_else() {
    for make in ["key", "expired", "name"] {
        let world = World::usual();
        let own = match make {
            "expired" => world.authority.certify_expired("mx.far.test"),
            "name" => world.authority.certify("mx.evil.test"),
            _ => world.authority.certify("mx.far.test"),
        };
        let record = match make {
            "key" => format!("3 1 1 {}", "ab".repeat(32)),
            _ => format!("2 0 1 {}", world.authority.digest()),
        };
        let world = world.tlsa(&record);
        let sink = world.sink(own.server());
        let (_world, server) = world.start("dnssec = \"local\"\nmta_sts = false", "", "");
        submit(&server, &["carol@far.test"], make);
        let log = server.wait_for_log("result=deferred", 0).1;
        has(&log, &["TLSA"]);
        assert!(sink.taken().is_empty(), "{make}");
        has(&report(&server), &["validation-failure"]);
    }
}

/// RFC 7672 §3.2.2: behind an alias the name of the records is the one that is asked for and that
/// the certificate is for.
#[test]
fn dane_follows_the_alias_of_a_host() {
    let world = World::new();
    world.dns.zone(
        "far.test 300 MX 10 alias.far.test\nalias.far.test 300 CNAME mx.far.test\n\
         mx.far.test 300 A 127.0.0.9",
    );
    let record = format!("2 0 1 {}", world.authority.digest());
    let world = world.tlsa(&record);
    let sink = world.sink(world.authority.certify("mx.far.test").server());
    let (_world, server) = world.start("dnssec = \"local\"\nmta_sts = false", "", "");
    submit(&server, &["carol@far.test"], "alias");
    let tls = sink.wait_for(1)[0].client.tls.clone().unwrap();
    assert_eq!(tls.server_name.as_deref(), Some("mx.far.test"));
}

/// A zone that we validate ourselves: mail goes out where our root has signed, and waits where
/// somebody else has, or where the signatures are over.
#[test]
fn forged_and_old_signatures_keep_the_mail_here() {
    for (signer, is_right) in [("own", true), ("another", false), ("over", false)] {
        let own = if signer == "over" {
            Root::expired()
        } else {
            Root::make()
        };
        let other = Root::make();
        let zone = if signer == "another" { &other } else { &own };
        let world = World::new();
        let host = world.authority.certify("mx.far.test");
        publish(zone, &world, &host.key_digest());
        let anchor = world.folder().join("root.key");
        std::fs::write(&anchor, own.anchor()).unwrap();
        let sink = world.sink(host.server());
        let resolver =
            format!("dnssec = \"validate\"\ntrust_anchors = {anchor:?}\nmta_sts = false");
        let (_world, server) = world.start(&resolver, "", "");
        submit(&server, &["carol@far.test"], signer);
        match is_right {
            true => {
                assert!(sink.wait_for(1)[0].client.tls.is_some());
                server.wait_for_log("how=delivered", 0);
                has(&report(&server), &["\"policy-type\":\"tlsa\""]);
            }
            false => {
                let log = server.wait_for_log("result=deferred", 0).1;
                has(&log, &["not signed as it should be"]);
                assert_eq!(sink.connections(), 0, "{signer}");
                has(&report(&server), &["dnssec-invalid"]);
            }
        }
    }
}

fn publish(zone: &Root, world: &World, key_digest: &str) {
    let dns = &world.dns;
    dns.secure("test");
    zone.publish_key(dns);
    let host = Name::from_ascii("mx.far.test.").unwrap();
    zone.publish(dns, "far.test", &RData::MX(MX::new(10, host)));
    zone.publish(dns, "mx.far.test", &RData::A(A::new(127, 0, 0, 9)));
    let octet = |at: usize| u8::from_str_radix(&key_digest[2 * at..2 * at + 2], 16).unwrap();
    let digest = (0..32).map(octet).collect();
    let (usage, selector) = (CertUsage::DaneEe, Selector::Spki);
    let tlsa = TLSA::new(usage, selector, Matching::Sha256, digest);
    let name = format!("_{}._tcp.mx.far.test", world.port);
    zone.publish(dns, &name, &RData::TLSA(tlsa));
}

/// Nobody demands anything: a certificate that nobody vouches for is better than none; where TLS
/// does not work, mail goes in clear, and the next one is spared the attempt.
#[test]
fn without_a_policy_any_tls_is_taken_and_none_if_it_fails() {
    let world = World::usual();
    let sink = world.sink(Authority::make().certify("x.test").server());
    let (_world, server) = world.start("mta_sts = false", "", "");
    submit(&server, &["carol@far.test"], "self-signed");
    assert!(sink.wait_for(1)[0].client.tls.is_some());
    server.wait_for_log("how=delivered", 0);
    has(&report(&server), &["\"policy-type\":\"no-policy-found\""]);

    let world = World::usual();
    // It takes only clients with a certificate, and we have none.
    let host = world.authority.certify("mx.far.test");
    let sink = world.sink(host.asking_server(&world.authority));
    let (_world, server) = world.start("mta_sts = false", "messages_per_connection_max = 1", "");
    submit(&server, &["carol@far.test"], "first");
    assert!(sink.wait_for(1)[0].client.tls.is_none());
    let before = sink.connections();
    submit(&server, &["carol@far.test"], "second");
    assert!(sink.wait_for(2)[1].client.tls.is_none());
    assert_eq!((before, sink.connections()), (2, 3), "no second handshake");
    has(&report(&server), &["validation-failure"]);
}

/// The operator demands TLS: a host that hides it, or one whose TLS is too old, gets nothing, and
/// the sender hears why in the end.
#[test]
fn what_the_operator_demands_is_not_gone_without() {
    for (policy, words) in [
        ("tls = \"required\"", "TLS is demanded and not offered"),
        ("tls = \"required\"\ntls_min = \"1.3\"", "handshake"),
        ("tls = \"dane-only\"", "DANE"),
    ] {
        let world = World::usual();
        let sink = match policy.contains("tls_min") {
            true => world.sink(world.authority.certify("mx.far.test").old_server()),
            false => Sink::start(world.host()),
        };
        let tables = format!("[[tls_policy]]\ndomains = \"far.test\"\n{policy}\n");
        let (_world, server) = world.start("mta_sts = false", "expire = \"2s\"", &tables);
        submit(&server, &["carol@far.test"], "demanded");
        let inbox = server.inbox(ALICE, 1);
        has(&inbox[0], &["Action: failed", words]);
        assert!(sink.taken().is_empty(), "{policy}");
    }
}

/// A host that the operator knows: by fingerprint, or by an authority of its own; we show a
/// certificate where the host asks for one.
#[test]
fn the_operator_knows_the_host() {
    let (private, stranger) = (Authority::make(), Authority::make());
    for (pin, is_right) in [
        ("cert", true),
        ("key", true),
        ("ca", true),
        ("wrong", false),
    ] {
        let world = World::usual();
        let folder = world.folder();
        let host = private.certify("mx.far.test");
        let proof = match pin {
            "cert" => format!("fingerprints = \"{}\"", host.digest()),
            "key" => format!("fingerprints = [\"{}\"]", host.key_digest()),
            "ca" => format!("ca = {:?}", private.write(&folder, "private.pem")),
            _ => format!("ca = {:?}", stranger.write(&folder, "stranger.pem")),
        };
        let (cert, key) = private.certify("us.test").write(&folder, "client");
        let tables = format!(
            "[[tls_policy]]\ndomains = \"*.test\"\ntls = \"verified\"\n{proof}\n\
             cert = {cert:?}\nkey = {key:?}\n"
        );
        let sink = world.sink(host.asking_server(&private));
        let (_world, server) = world.start("mta_sts = false", "", &tables);
        submit(&server, &["carol@far.test"], pin);
        match is_right {
            true => {
                let tls = sink.wait_for(1)[0].client.tls.clone().unwrap();
                assert_eq!(tls.certificates, 1, "{pin}");
            }
            false => {
                server.wait_for_log("result=deferred", 0);
                assert!(sink.taken().is_empty(), "{pin}");
            }
        }
    }
}

/// RFC 3207 §4.2: what somebody puts in behind the 220 to STARTTLS is no answer to anything: the
/// message arrives whole over TLS, or not at all.
#[test]
fn words_put_in_before_tls_are_thrown_away() {
    let world = World::usual();
    let tls = SinkTls {
        config: world.authority.certify("mx.far.test").server(),
        injected: "250-evil\r\n250 SIZE 1\r\n550 5.1.1 nobody\r\n550 5.1.1 nobody\r\n",
    };
    let sink = Sink::open(world.host(), Some(tls), |moment| match moment {
        Moment::Rcpt("late@far.test", 0) => Some("450 4.2.1 Later".to_owned()),
        _ => None,
    });
    let tables = "[[tls_policy]]\ndomains = \"far.test\"\ntls = \"verified\"\n";
    let (_world, server) = world.start("mta_sts = false", "", tables);
    submit(&server, &["carol@far.test"], "injected");
    let log = server.wait_for_log("result=", 0).1;
    match log.contains("result=delivered") {
        true => assert!(sink.wait_for(1)[0].client.tls.is_some()),
        // They came in a packet of their own, where a handshake was due.
        false => assert!(
            log.contains("result=deferred") && sink.taken().is_empty(),
            "{log}"
        ),
    }
    assert!(!log.contains("evil") && !log.contains("nobody"), "{log}");
}
