//! Routes by domain, sender and account; smarthosts by name, with a login, over TLS.

use super::{ALICE, relay, submit, text, usual};
use std::net::{Ipv4Addr, SocketAddr};
use tests::dns::DnsServer;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::sink::Sink;
use tests::smtp::Smtp;

const BOB: &str = "bob@example.test";

/// The domain decides first, then the sender, then the account.
#[test]
fn the_most_exact_route_holds() {
    let mut setup = usual().alias("sales@example.test", &[ALICE, BOB]);
    let ports: Vec<SocketAddr> = (0..4).map(|_| setup.spare_port()).collect();
    let sinks: Vec<Sink> = ports.iter().map(|port| Sink::start(*port)).collect();
    let tables = [
        relay("*", ports[0], ""),
        relay("*", ports[1], "tenants = \"bob@example.test\"\n"),
        relay("*", ports[2], "senders = \"sales@example.test\"\n"),
        relay("own.test", ports[3], ""),
    ];
    let mut server = Server::start(setup.table(&tables.concat()));
    let send = |server: &Server, login: &str, from: &str, to: &str| {
        let mut smtp = Smtp::submit(server.addresses().submissions, login, PASSWORD).unwrap();
        smtp.deliver(from, &[to], &text("way"))
            .unwrap()
            .expect(250)
            .unwrap();
    };
    send(&server, ALICE, ALICE, "a@far.test");
    send(&server, BOB, BOB, "b@far.test");
    send(&server, BOB, "sales@example.test", "s@far.test");
    send(&server, ALICE, "sales@example.test", "t@far.test");
    send(&server, BOB, BOB, "o@own.test");
    let to = |sink: &Sink, count: usize| {
        let mut to: Vec<String> = sink
            .wait_for(count)
            .into_iter()
            .flat_map(|one| one.to)
            .collect();
        to.sort();
        to
    };
    assert_eq!(to(&sinks[0], 1), ["a@far.test"]);
    assert_eq!(to(&sinks[1], 1), ["b@far.test"]);
    assert_eq!(to(&sinks[2], 2), ["s@far.test", "t@far.test"]);
    assert_eq!(to(&sinks[3], 1), ["o@own.test"]);

    // The choice outlives a crash.
    super::ctl(&server, &["queue", "suspend", "--domain", "far.test"]);
    send(&server, ALICE, "sales@example.test", "u@far.test");
    server.kill_and_restart();
    // A suspension may outlive it, too.
    super::try_ctl(&server, &["queue", "resume", "--domain", "far.test"]);
    assert_eq!(to(&sinks[2], 3), ["s@far.test", "t@far.test", "u@far.test"]);
}

/// The name of a smarthost is asked of the configured name servers; one that they do not know makes
/// mail wait, and is found when they do.
#[test]
fn a_smarthost_by_name_is_asked_of_the_resolver() {
    let dns = DnsServer::start();
    let mut setup = usual();
    let port = setup.spare_port().port();
    let tables = format!(
        "[resolver]\nservers = \"{}\"\ndnssec = \"off\"\ntimeout_secs = 1\nattempts = 1\n\
         [[route]]\ndomains = \"*\"\nvia = \"relay\"\nhost = \"relay.hosts.test:{port}\"\n\
         retry = \"1s\"\n",
        dns.address()
    );
    dns.fault("relay.hosts.test", tests::dns::Fault::Code(2));
    let sink = Sink::start((Ipv4Addr::new(127, 0, 0, 9), port).into());
    let server = Server::start(setup.table(&tables));
    submit(&server, &["carol@far.test"], "named");
    let log = server.wait_for_log("result=deferred", 0).1;
    assert!(log.contains("relay.hosts.test"), "{log}");
    dns.zone("relay.hosts.test 300 A 127.0.0.9");
    dns.mend("relay.hosts.test");
    assert_eq!(sink.wait_for(1)[0].to, ["carol@far.test"]);
}

/// A Ringpost as the smarthost of another: login over TLS from the first octet or by STARTTLS, and
/// what the smarthost refuses comes back.
#[test]
fn another_ringpost_is_the_smarthost() {
    let mut far = Setup::empty()
        .domain("far.test")
        .account("carol@far.test", PASSWORD);
    far = far.account("relay@far.test", PASSWORD);
    let far = Server::start(far.alias("alice@far.test", &["relay@far.test"]));
    for (address, tls) in [
        (far.addresses().submission, "required"),
        (far.addresses().submissions, "implicit"),
    ] {
        // The certificate is nobody's: what must be proven waits, what must be secret goes.
        let smarthost = format!(
            "[[route]]\ndomains = \"*\"\nvia = \"smarthost\"\nhost = \"{address}\"\n\
             user = \"relay@far.test\"\npassword = \"{PASSWORD}\"\n\
             tls = \"{tls}\"\nretry = \"1s\"\n\
             [[rewrite]]\nwhat = \"sender\"\ndirection = \"outbound\"\nfrom = \"@example.test\"\n\
             to = \"$1@far.test\"\n"
        );
        let server = Server::start(usual().table(&smarthost));
        submit(&server, &["carol@far.test", "nobody@far.test"], tls);
        if tls == "implicit" {
            let log = server.wait_for_log("result=deferred", 0).1;
            assert!(log.contains("certificate"), "{log}");
            continue;
        }
        let inbox = far.inbox("carol@far.test", 1);
        assert!(inbox[0].contains("ESMTPSA"), "{}", inbox[0]);
        let told = server.inbox(ALICE, 1);
        assert!(
            told[0].contains("nobody@far.test") && told[0].contains("5.1.1"),
            "{}",
            told[0]
        );
    }
}
