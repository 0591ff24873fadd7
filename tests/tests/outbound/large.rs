//! The small form of `tests/measure/crowded_queue.py`: dead sites of every kind, more of them than
//! there are connections, and the living get their mail all the same.

use super::ALICE;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use tests::dns::DnsServer;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::sink::{Moment, Sink};
use tests::smtp::Smtp;

/// Silent hosts could hold every connection for minutes; refusing and deferring ones are tried
/// again and again. What is alive is reached through all of them, nobody is overdue, and the
/// metrics say which is which.
#[test]
fn the_living_are_reached_through_the_dead() {
    let dns = DnsServer::start();
    let zone: String = (0..SITES).map(site).collect();
    dns.zone(&zone);
    let mut setup = Setup::usual().top("shards = 1");
    let port = setup.spare_port().port();
    let tables = format!(
        "[resolver]\nservers = \"{}\"\nloopback_hosts = true\nmx_port = {port}\n\
         mta_sts = false\ndnssec = \"off\"\n[queue]\nshard_connections_max = 16\n\
         [[route]]\ndomains = \"*\"\nvia = \"mx\"\ntls = \"never\"\nretry = \"1s\"\n",
        dns.address()
    );
    let at = |kind: usize| SocketAddr::from((address(kind), port));
    let living = Sink::start(at(LIVING));
    let _later = Sink::with(at(LATER), |moment| match moment {
        Moment::Rcpt(..) => Some("451 4.7.1 Not today".to_owned()),
        _ => None,
    });
    listen_in_silence(at(SILENT));
    let server = Server::start(setup.table(&tables));
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    for round in 0..ROUNDS {
        for n in 0..SITES {
            let to = [format!("u{round}@d{n}.test")];
            let reply = smtp
                .deliver(ALICE, &to, b"Subject: many\r\n\r\nx\r\n")
                .unwrap();
            reply.expect(250).unwrap();
        }
    }
    let taken = living.wait_for(SITES / KINDS * ROUNDS);
    assert!(taken.iter().all(|one| one.to.len() == 1));
    // The living are let go as soon as what they said is written down.
    let metrics = loop {
        let metrics = server.metrics();
        let left = metrics["ringpost_queue_items{shard=\"0\"}"];
        if left <= (SITES / KINDS * (KINDS - 1) * ROUNDS) as f64 {
            break metrics;
        }
        std::thread::yield_now();
    };
    assert_eq!(metrics["ringpost_queue_overdue_total{shard=\"0\"}"], 0.0);
    let of = |name: &str, label: &str| {
        let keys = metrics
            .iter()
            .filter(|(key, _)| key.starts_with(name) && key.contains(label));
        keys.map(|(_, value)| value).sum::<f64>()
    };
    let sent = of("ringpost_site_recipients_total{", "result=\"sent\"");
    assert_eq!(sent, (SITES / KINDS * ROUNDS) as f64);
    assert!(of("ringpost_site_replies_total{", "reply=\"4yz\"") > 0.0);
    assert!(of("ringpost_site_recipients_total{", "result=\"unreached\"") > 0.0);
    let clocked = of("ringpost_site_delivery_seconds_count{", "");
    assert_eq!(clocked, sent, "each delivery has its time");
    let names = metrics
        .keys()
        .filter(|key| key.starts_with("ringpost_site_ready{"));
    assert!(names.count() <= 51, "fifty sites and the others");
}

const LIVING: usize = 0;
const SILENT: usize = 2;
const LATER: usize = 3;

/// Living, refusing, silent, deferring: by turns.
const KINDS: usize = 4;
const SITES: usize = 64;
const ROUNDS: usize = 4;

fn site(n: usize) -> String {
    let address = address(n % KINDS);
    format!("d{n}.test 300 MX 10 mx{n}.test\nmx{n}.test 300 A {address}\n")
}

fn address(kind: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 20 + kind as u8)
}

/// Takes connections and says nothing, until the other side has had enough.
fn listen_in_silence(address: SocketAddr) {
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || while socket.read(&mut [0; 64]).is_ok_and(|n| n > 0) {});
        }
    });
}
