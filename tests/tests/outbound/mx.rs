//! By the hosts that DNS names: preference, fallback, shared hosts, and names that lead nowhere.

use super::{ALICE, submit};
use std::net::{Ipv4Addr, SocketAddr};
use tests::dns::{DnsServer, Fault};
use tests::server::Server;
use tests::setup::Setup;
use tests::sink::Sink;

/// A server that asks a name server of the test, and the port of all mail exchangers.
struct World {
    dns: DnsServer,
    server: Server,
    port: u16,
}

impl World {
    fn start(zone: &str) -> World {
        let dns = DnsServer::start();
        dns.zone(zone);
        let mut setup = Setup::usual().top("shards = 1");
        let port = setup.spare_port().port();
        let tables = format!(
            "[resolver]\nservers = \"{}\"\nloopback_hosts = true\nmx_port = {port}\n\
             mta_sts = false\ndnssec = \"off\"\ntimeout_secs = 1\nattempts = 1\n\
             [[route]]\ndomains = \"*\"\nvia = \"mx\"\nretry = \"1s\"\n",
            dns.address()
        );
        let server = Server::start(setup.table(&tables));
        World { dns, server, port }
    }

    /// Where the mail exchanger 127.0.0.`last` listens.
    fn at(&self, last: u8) -> SocketAddr {
        (Ipv4Addr::new(127, 0, 0, last), self.port).into()
    }
}

/// The preferred host is asked first, the next when it does not answer; both are not asked when
/// the first takes it.
#[test]
fn the_next_host_takes_it_when_the_first_is_dead() {
    let world = World::start(
        "far.test 300 MX 10 mx1.far.test\nfar.test 300 MX 20 mx2.far.test\n\
         mx1.far.test 300 A 127.0.0.2\nmx2.far.test 300 A 127.0.0.3",
    );
    let second = Sink::start(world.at(3));
    submit(&world.server, &["carol@far.test"], "first");
    assert_eq!(second.wait_for(1)[0].to, ["carol@far.test"]);
    let log = world.server.wait_for_log("result=delivered", 0).1;
    assert!(log.contains("host=mx2.far.test"), "{log}");
}

/// Two domains with the same hosts are one site: one connection serves both.
#[test]
fn domains_that_share_their_hosts_share_a_transaction() {
    let world = World::start(
        "a.test 300 MX 10 mx.shared.test\nb.test 300 MX 10 mx.shared.test\n\
         mx.shared.test 300 A 127.0.0.4",
    );
    let sink = Sink::start(world.at(4));
    submit(&world.server, &["one@a.test", "two@b.test"], "both");
    let taken = sink.wait_for(1);
    let mut to = taken
        .iter()
        .flat_map(|one| one.to.clone())
        .collect::<Vec<_>>();
    if to.len() < 2 {
        // Their names were found one after the other.
        to = sink
            .wait_for(2)
            .into_iter()
            .flat_map(|one| one.to)
            .collect();
    }
    to.sort();
    assert_eq!(to, ["one@a.test", "two@b.test"]);
    assert_eq!(sink.connections(), 1, "one connection serves both");
}

/// A domain that is not there, and one that takes no mail, come back at once; one whose name
/// server is ill is tried again.
#[test]
fn names_that_lead_nowhere_come_back_and_ill_ones_wait() {
    let world = World::start(
        "null.test 300 MX 0 .\nill.test 300 MX 10 mx.ill.test\nmx.ill.test 300 A 127.0.0.5",
    );
    world.dns.fault("ill.test", Fault::Code(2));
    let sink = Sink::start(world.at(5));
    submit(&world.server, &["a@null.test"], "null");
    submit(&world.server, &["b@nowhere.test"], "gone");
    submit(&world.server, &["c@ill.test"], "ill");
    let inbox = world.server.inbox(ALICE, 2).join("\n");
    for wanted in [
        "Status: 5.1.10",
        "Status: 5.1.2",
        "a@null.test",
        "b@nowhere.test",
    ] {
        assert!(inbox.contains(wanted), "{wanted} in\n{inbox}");
    }
    let log = world.server.wait_for_log("result=deferred", 0).1;
    assert!(
        log.contains("domain=ill.test") && log.contains("SERVFAIL"),
        "{log}"
    );
    world.dns.mend("ill.test");
    assert_eq!(sink.wait_for(1)[0].to, ["c@ill.test"]);
}

/// A dead site does not hold up a living one.
#[test]
fn dead_domains_do_not_slow_the_living() {
    let mut zone = String::new();
    for n in 0..40 {
        let last = if n % 2 == 0 { 6 } else { 7 };
        zone += &format!("d{n}.test 300 MX 10 mx{n}.test\nmx{n}.test 300 A 127.0.0.{last}\n");
    }
    let world = World::start(&zone);
    let sink = Sink::start(world.at(6));
    for n in 0..40 {
        submit(&world.server, &[&format!("u@d{n}.test")], "many");
    }
    let taken = sink.wait_for(20);
    assert!(taken.iter().all(|one| one.to.len() == 1));
    assert_eq!(
        world.server.metrics()["ringpost_queue_overdue_total{shard=\"0\"}"],
        0.0
    );
}
