//! Where mail leaves from: weighted sources, those that cannot be used, proxies, warm-ups.

use super::{ALICE, submit};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tests::binary;
use tests::connection::{Connection, DEADLINE};
use tests::peer::{find, peer};
use tests::server::Server;
use tests::setup::Setup;
use tests::sink::{Sink, Taken};

/// A server whose mail for everybody goes to one sink, from the sources of these tables.
fn world(tables: &str) -> (Server, Sink) {
    let mut setup = Setup::usual().top("shards = 1");
    let port = setup.spare_port();
    (start(setup, port, tables), Sink::start(port))
}

fn start(setup: Setup, host: SocketAddr, tables: &str) -> Server {
    let route = format!(
        "[[route]]\ndomains = \"*\"\nvia = \"relay\"\nhost = \"{host}\"\nretry = \"1s\"\n\
         messages_per_connection_max = 1\n{tables}"
    );
    Server::start(setup.table(&route))
}

fn ctl(server: &Server, arguments: &[&str]) -> String {
    let mut command = Command::new(binary::ringpostctl());
    command.arg("--data").arg(server.setup.data());
    let output = command.args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Asks again until it says so.
fn says(server: &Server, arguments: &[&str], wanted: &str) -> String {
    let end = Instant::now() + DEADLINE;
    loop {
        let said = ctl(server, arguments);
        if said.contains(wanted) {
            return said;
        }
        assert!(
            Instant::now() < end,
            "{wanted} in {said}\n{}",
            server.log_tail()
        );
    }
}

/// How often each name and address came.
fn clients(taken: &[Taken]) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for one in taken {
        let key = (
            one.client.hello.clone(),
            one.client.address.ip().to_string(),
        );
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

fn source(name: &str, more: &str) -> String {
    format!("[[source]]\nname = \"{name}\"\nhello = \"{name}.test\"\n{more}\n")
}

/// Each source says its own name from its own address, and has its share of the mail; all
/// recipients of a message leave by the same one.
#[test]
fn sources_share_the_mail_by_weight() {
    let tables = source("a", "address = \"127.0.0.11\"\nweight = 1")
        + &source("b", "address = \"127.0.0.12\"\nweight = 3");
    let (server, sink) = world(&tables);
    for n in 0..60 {
        submit(
            &server,
            &[&format!("u{n}@far.test"), &format!("v{n}@far.test")],
            "shared",
        );
    }
    let taken = sink.wait_for(60);
    assert!(
        taken.iter().all(|one| one.to.len() == 2),
        "a message holds together"
    );
    let clients = clients(&taken);
    let of = |name: &str, address: &str| clients.get(&(name.to_owned(), address.to_owned()));
    let (a, b) = (of("a.test", "127.0.0.11"), of("b.test", "127.0.0.12"));
    let (a, b) = (a.copied().unwrap_or(0), b.copied().unwrap_or(0));
    assert_eq!(a + b, 60, "{clients:?}");
    assert!(a >= 3 && b > 2 * a, "{clients:?}");
}

/// A source whose address is none of this host's is suspended: the others take its share, nobody's
/// attempt is counted, and the operator sees it. Where there is no other, mail waits and says why.
#[test]
fn a_source_that_cannot_be_bound_is_suspended() {
    let tables =
        source("dead", "address = \"192.0.2.1\"") + &source("b", "address = \"127.0.0.12\"");
    let (server, sink) = world(&tables);
    for n in 0..20 {
        submit(&server, &[&format!("u{n}@far.test")], "bind");
    }
    let taken = sink.wait_for(20);
    assert_eq!(clients(&taken).len(), 1, "{:?}", clients(&taken));
    let log = server.wait_for_log("egress source suspended", 0).1;
    assert!(
        log.contains("source=dead") && log.contains("cannot connect"),
        "{log}"
    );
    assert!(
        !server
            .log_lines()
            .iter()
            .any(|line| line.contains("result=deferred"))
    );
    drop((server, sink));

    let (server, _sink) = world(&source("dead", "address = \"192.0.2.1\""));
    submit(&server, &["carol@far.test"], "waits");
    let said = says(
        &server,
        &["queue", "list"],
        "egress source dead, which is suspended",
    );
    let item = said
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    says(
        &server,
        &["queue", "why", &item],
        "Cannot assign requested address",
    );
    says(&server, &["queue", "top"], "suspended for");
}

/// A tenant and a sender leave by the pool that names them, others by that of the route.
#[test]
fn tenants_and_senders_have_pools() {
    let names = ["a", "b", "c"];
    let sources: String = names
        .iter()
        .zip(11..)
        .map(|(name, last)| source(name, &format!("address = \"127.0.0.{last}\"")))
        .collect();
    let pool = |name: &str, member: &str, more: &str| {
        format!("[[pool]]\nname = \"{name}\"\nsource = [{{ name = \"{member}\" }}]\n{more}\n")
    };
    let tables = sources
        + &pool("default", "a", "")
        + &pool("one", "b", "tenants = \"bob@example.test\"")
        + &pool("two", "c", "senders = \"bob+news@example.test\"");
    let (server, sink) = world(&tables);
    submit(&server, &["carol@far.test"], "alice");
    let mut bob = tests::smtp::Smtp::submit(
        server.addresses().submissions,
        "bob@example.test",
        tests::setup::PASSWORD,
    )
    .unwrap();
    for sender in ["bob@example.test", "bob+news@example.test"] {
        let text = super::text("bob");
        let reply = bob.deliver(sender, &["carol@far.test"], &text).unwrap();
        reply.expect(250).unwrap();
    }
    let taken = sink.wait_for(3);
    let by = |sender: &str| {
        let found = taken.iter().find(|one| one.from == sender).unwrap();
        found.client.hello.clone()
    };
    assert_eq!(by(ALICE), "a.test");
    assert_eq!(by("bob@example.test"), "b.test");
    assert_eq!(by("bob+news@example.test"), "c.test");
}

/// A source that warms up sends its messages of the day and no more, over restarts of any kind;
/// the warm one takes the rest. Where there is none, mail waits for tomorrow and says so.
#[test]
fn a_warm_up_rations_the_day() {
    let today = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        / 86_400;
    let (year, month, day) = store::mail::calendar::date_of(today as i64);
    // Around midnight the day may change: yesterday's ration is the same.
    let warmup =
        format!("[source.warmup]\nstart = \"{year:04}-{month:02}-{day:02}\"\ndays = [3, 3]");
    let cold = source(
        "cold",
        &format!("address = \"127.0.0.11\"\nweight = 1000\n{warmup}"),
    );
    let tables = cold.clone() + &source("warm", "address = \"127.0.0.12\"");
    let (mut server, sink) = world(&tables);
    let cold_sent = |sink: &Sink| {
        let taken = sink.taken();
        taken
            .iter()
            .filter(|one| one.client.hello == "cold.test")
            .count()
    };
    for n in 0..10 {
        submit(&server, &[&format!("u{n}@far.test")], "warm-up");
    }
    sink.wait_for(10);
    assert_eq!(cold_sent(&sink), 3);
    says(&server, &["queue", "sources"], "3 of 3 messages of today");
    assert!(server.terminate(Duration::from_secs(45)).success());
    server.restart();
    for n in 0..5 {
        submit(&server, &[&format!("w{n}@far.test")], "after");
    }
    sink.wait_for(15);
    assert_eq!(cold_sent(&sink), 3, "a restart gives no second day");
    says(&server, &["queue", "top"], "3 of 3 messages of today");
    drop((server, sink));

    let (server, sink) = world(&cold);
    for n in 0..5 {
        submit(&server, &[&format!("u{n}@far.test")], "waits");
    }
    sink.wait_for(3);
    says(
        &server,
        &["queue", "list"],
        "warms up and has sent its 3 messages of today",
    );
    assert_eq!(sink.taken().len(), 3);
}

/// A real SOCKS5 proxy, with a login; a wrong one is the source's fault, and another source sends.
#[test]
fn socks5_by_microsocks() {
    if peer("microsocks").is_none() {
        return;
    }
    let mut setup = Setup::usual().top("shards = 1");
    let (port, proxy) = (setup.spare_port(), setup.spare_port());
    let port_text = proxy.port().to_string();
    let arguments = [
        "-i",
        "127.0.0.1",
        "-p",
        &port_text,
        "-u",
        "me",
        "-P",
        "s3cret",
    ];
    let arguments = [&arguments[..], &["-b", "127.0.0.21"]].concat();
    let _proxy = Daemon::start("microsocks", &arguments, proxy);
    let sink = Sink::start(port);
    let right = source("right", &format!("proxy = \"socks5://me:s3cret@{proxy}\""));
    let wrong = source("wrong", &format!("proxy = \"socks5://me:wrong@{proxy}\""));
    let server = start(setup, port, &(right + &wrong));
    for n in 0..10 {
        submit(&server, &[&format!("u{n}@far.test")], "socks");
    }
    let clients = clients(&sink.wait_for(10));
    let expected = ("right.test".to_owned(), "127.0.0.21".to_owned());
    assert_eq!(
        clients.keys().collect::<Vec<_>>(),
        [&expected],
        "the proxy chooses the address"
    );
    let log = server.wait_for_log("egress source suspended", 0).1;
    assert!(
        log.contains("source=wrong") && log.contains("password"),
        "{log}"
    );
    assert!(!server.log_lines().concat().contains("s3cret"));
}

/// A real HAProxy connects to the host that the PROXY header names, from the address that it names
/// where it may; when it is gone, its source is suspended and another one sends.
#[test]
fn proxy_protocol_by_haproxy() {
    if peer("haproxy").is_none() {
        return;
    }
    let mut setup = Setup::usual().top("shards = 1");
    let (port, proxy) = (setup.spare_port(), setup.spare_port());
    let (from, expected) = match rustix::process::geteuid().is_root() {
        true => ("0.0.0.0 usesrc clientip", "127.0.0.13"),
        false => ("127.0.0.22", "127.0.0.22"),
    };
    let file = setup.directory.path().join("haproxy.cfg");
    let config = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
         listen egress\n  bind {proxy} accept-proxy\n  source {from}\n  server host 0.0.0.0\n"
    );
    std::fs::write(&file, config).unwrap();
    let haproxy = Daemon::start("haproxy", &["-db", "-f", file.to_str().unwrap()], proxy);
    let sink = Sink::start(port);
    let far = format!("weight = 1000\naddress = \"127.0.0.13\"\nproxy = \"haproxy:{proxy}\"");
    let near = source("near", "address = \"127.0.0.14\"");
    let server = start(setup, port, &(source("far", &far) + &near));
    submit(&server, &["carol@far.test"], "proxied");
    let taken = sink.wait_for(1);
    let client = &taken[0].client;
    assert_eq!(client.hello, "far.test");
    assert_eq!(client.address.ip().to_string(), expected);
    drop(haproxy);
    submit(&server, &["carol@far.test"], "direct");
    let taken = sink.wait_for(2);
    assert_eq!(taken[1].client.hello, "near.test");
    server.wait_for_log("egress source suspended", 0);
}

/// The header as a proxy of the test reads it: from the address of the source, to the host.
#[test]
fn the_proxy_header_names_source_and_host() {
    let mut setup = Setup::usual().top("shards = 1");
    let (port, proxy) = (setup.spare_port(), setup.spare_port());
    let listener = TcpListener::bind(proxy).unwrap();
    let reader = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut header = [0; 28];
        stream.read_exact(&mut header).unwrap();
        let mut host = TcpStream::connect(SocketAddr::from((
            <[u8; 4]>::try_from(&header[20..24]).unwrap(),
            u16::from_be_bytes([header[26], header[27]]),
        )))
        .unwrap();
        let (mut up, mut down) = (stream.try_clone().unwrap(), host.try_clone().unwrap());
        std::thread::spawn(move || drop(std::io::copy(&mut down, &mut up)));
        drop(std::io::copy(&mut stream, &mut host));
        let _ = host.flush();
        header
    });
    let sink = Sink::start(port);
    let far = format!("address = \"127.0.0.15\"\nproxy = \"haproxy:{proxy}\"");
    let mut server = start(setup, port, &source("far", &far));
    submit(&server, &["carol@far.test"], "proxied");
    sink.wait_for(1);
    server.kill();
    let header = reader.join().unwrap();
    assert_eq!(header[..12], *b"\r\n\r\n\0\r\nQUIT\n");
    assert_eq!(header[12..20], [0x21, 0x11, 0, 12, 127, 0, 0, 15]);
    assert_eq!(header[20..24], Ipv4Addr::LOCALHOST.octets());
    assert_eq!(header[26..], port.port().to_be_bytes());
}

struct Daemon(Child);

impl Daemon {
    /// Runs it until it listens.
    fn start(program: &str, arguments: &[&str], port: SocketAddr) -> Daemon {
        let mut command = Command::new(find(program).unwrap());
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let daemon = Daemon(command.spawn().unwrap());
        let end = Instant::now() + DEADLINE;
        while Connection::open(port).is_err() {
            assert!(Instant::now() < end, "{program} does not listen");
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
