//! The front of the house: proxies that name their clients, limits by address and account, pages
//! under TLS.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use tests::connection::Connection;
use tests::imap::Imap;
use tests::peer::{find, peer};
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::smtp::Smtp;

const ALICE: &str = "alice@example.test";

/// One more listener with these lines.
fn listener(setup: Setup, port: SocketAddr, protocol: &str, lines: &str) -> Setup {
    setup.table(&format!(
        "[[listener]]\nprotocol = \"{protocol}\"\naddress = \"{port}\"\n{lines}"
    ))
}

/// A listener behind proxies on loopback, and its address.
fn proxied(protocol: &str, tls: &str) -> (Server, SocketAddr) {
    let mut setup = Setup::usual();
    let port = setup.spare_port();
    let lines = format!("tls = \"{tls}\"\nproxy = [\"127.0.0.0/8\"]\nlogin_without_tls = true");
    (Server::start(listener(setup, port, protocol, &lines)), port)
}

/// What HAProxy sends for a client.
fn v2(client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(client);
    header.extend([127, 0, 0, 1, 0x10, 0, 0, 25]);
    header
}

fn greeted(port: SocketAddr, header: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut connection = Connection::open(port)?;
    connection.send(header)?;
    connection.line()
}

#[test]
fn the_client_is_who_the_proxy_says() {
    let (server, port) = proxied("smtp", "none");
    for (header, client) in [
        (v2([198, 51, 100, 7]), "198.51.100.7"),
        (
            b"PROXY TCP4 198.51.100.8 127.0.0.1 4096 25\r\n".to_vec(),
            "198.51.100.8",
        ),
        (
            b"PROXY TCP6 2001:db8::9 ::1 4096 25\r\n".to_vec(),
            "2001:db8::9",
        ),
    ] {
        let mut stream = TcpStream::connect(port).unwrap();
        // Octet by octet, and with the first command right behind it.
        stream.set_nodelay(true).unwrap();
        for octet in &header {
            stream.write_all(&[*octet]).unwrap();
        }
        let message = format!(
            "EHLO c\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n\
             Subject: {client}\r\n\r\n.\r\nQUIT\r\n"
        );
        stream.write_all(message.as_bytes()).unwrap();
        let from = server.log_position();
        server.wait_for_log(client, from.saturating_sub(1));
    }
    server.wait_for_messages(ALICE, 3);
    let mut imap = server.imap_in(ALICE, "INBOX");
    let fetched = imap
        .fetch("FETCH 1:* BODY[HEADER.FIELDS (Received)]")
        .unwrap();
    let received = format!("{fetched:?}");
    assert_eq!(fetched.len(), 3, "{received}");
}

#[test]
fn what_does_not_begin_with_a_header_hears_nothing() {
    let (mut server, port) = proxied("imap", "starttls");
    for bad in [
        &b"a1 CAPABILITY\r\n"[..],
        b"PROXY TCP4 1.2.3.4\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0caaaabbbbccdd",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    ] {
        assert!(greeted(port, bad).is_err(), "{bad:?}");
    }
    assert!(
        greeted(port, &v2([198, 51, 100, 7]))
            .unwrap()
            .starts_with(b"* OK ")
    );
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    assert!(greeted(port, local).unwrap().starts_with(b"* OK "));
    let metrics = tests::http::page(server.addresses().http, "/metrics")
        .unwrap()
        .1;
    assert!(
        metrics.contains("ringpost_proxy_headers_refused_total"),
        "{metrics}"
    );
    server.assert_alive();
}

/// Whoever is not among the proxies of a listener cannot make up an address.
#[test]
fn a_stranger_cannot_say_who_he_is() {
    let mut setup = Setup::usual();
    let port = setup.spare_port();
    let lines = "tls = \"none\"\nproxy = [\"203.0.113.0/24\"]";
    let server = Server::start(listener(setup, port, "smtp", lines));
    assert!(greeted(port, &v2([198, 51, 100, 7])).is_err());
    let plain = server.addresses().smtp;
    let answer = greeted(plain, b"PROXY TCP4 1.2.3.4 127.0.0.1 1 25\r\n").unwrap();
    assert!(answer.starts_with(b"220 "), "{answer:?}");
}

/// A real proxy; ended when dropped.
struct HaProxy(Child);

impl Drop for HaProxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn haproxy(front: SocketAddr, back: SocketAddr, send: &str, scratch: &std::path::Path) -> HaProxy {
    let config = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
         listen mail\n bind {front}\n server here {back} {send}\n"
    );
    let file = scratch.join("haproxy.cfg");
    std::fs::write(&file, config).unwrap();
    let program = find("haproxy").unwrap();
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(&file);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let started = command.spawn().unwrap();
    let haproxy = HaProxy(started);
    // Until it listens; a port without a listener refuses at once.
    let listens = (0..200_000).any(|_| {
        std::thread::yield_now();
        TcpStream::connect(front).is_ok()
    });
    assert!(listens, "haproxy does not listen");
    haproxy
}

/// The header goes before TLS.
#[test]
fn haproxy_passes_clients_on_in_both_versions() {
    if peer("haproxy").is_none() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    for send in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id",
    ] {
        let mut setup = Setup::usual();
        let (front, back) = (setup.spare_port(), setup.spare_port());
        let lines = "tls = \"implicit\"\nproxy = [\"127.0.0.1\"]";
        let server = Server::start(listener(setup, back, "imap", lines));
        let _haproxy = haproxy(front, back, send, scratch.path());
        let mut imap = Imap::login(front, ALICE, PASSWORD).unwrap();
        imap.ok("SELECT INBOX").unwrap();
        drop(server);
    }
}

/// XCLIENT: the address of the client is in the trace, and a login of the proxy counts.
#[test]
fn a_trusted_relay_speaks_for_its_clients() {
    let mut setup = Setup::usual();
    let port = setup.spare_port();
    let lines = "tls = \"none\"\ntrusted = [\"127.0.0.1\"]\nlogin_without_tls = true";
    let server = Server::start(listener(setup, port, "submission", lines));
    let mut smtp = Smtp::hello(port).unwrap();
    let login = format!("XCLIENT ADDR=198.51.100.7 NAME=c.example LOGIN={ALICE} HELO=c.example");
    smtp.command(&login).unwrap().expect(220).unwrap();
    smtp.command("EHLO proxy").unwrap().expect(250).unwrap();
    smtp.deliver(ALICE, &[ALICE], b"Subject: x\r\n\r\nx\r\n")
        .unwrap();
    server.wait_for_messages(ALICE, 1);
    let mut imap = server.imap_in(ALICE, "INBOX");
    let fetched = imap.fetch("FETCH 1 BODY[HEADER]").unwrap();
    let header = fetched[0].octets("BODY[HEADER]").unwrap();
    let header = String::from_utf8_lossy(header);
    assert!(
        header.contains("198.51.100.7") && header.contains("c.example"),
        "{header}"
    );
    let refused = server.smtp().command("XCLIENT ADDR=198.51.100.7").unwrap();
    refused.expect(550).unwrap();
}

#[test]
fn an_account_has_so_many_connections() {
    let server = Server::start(Setup::usual().limit("connections_per_account_max = 3"));
    let imaps = server.addresses().imaps;
    let held: Vec<Imap> = (0..3)
        .map(|_| Imap::login(imaps, ALICE, PASSWORD).unwrap())
        .collect();
    let mut fourth = Imap::connect_tls(imaps).unwrap();
    let refused = fourth
        .command(&format!("LOGIN {ALICE} {PASSWORD}"))
        .unwrap();
    assert!(refused.status.starts_with("NO [LIMIT]"), "{refused:?}");
    assert!(Imap::login(imaps, "bob@example.test", PASSWORD).is_ok());
    let submission = server.addresses().submissions;
    let sent: Vec<Smtp> = (0..3)
        .map(|_| Smtp::submit(submission, ALICE, PASSWORD).unwrap())
        .collect();
    assert!(Smtp::submit(submission, ALICE, PASSWORD).is_err());
    drop((held, sent));
    let again = (0..500).any(|_| Imap::login(imaps, ALICE, PASSWORD).is_ok());
    assert!(again, "connections that are closed count no more");
}

/// A connection counts for the address that the proxy names, not for the proxy.
#[test]
fn an_address_behind_a_proxy_has_so_many_connections() {
    let mut setup = Setup::usual()
        .limit("connections_per_address_max = 2")
        .top("shards = 1");
    let port = setup.spare_port();
    let lines = "tls = \"none\"\nproxy = [\"127.0.0.1\"]";
    let server = Server::start(listener(setup, port, "imap", lines));
    let open = |client: [u8; 4]| {
        let mut connection = Connection::open(port).unwrap();
        connection.send(&v2(client)).unwrap();
        let greeting = connection.line().unwrap();
        (connection, greeting)
    };
    let held = [open([198, 51, 100, 7]), open([198, 51, 100, 7])];
    assert!(
        held.iter()
            .all(|(_, greeting)| greeting.starts_with(b"* OK "))
    );
    assert!(open([198, 51, 100, 7]).1.starts_with(b"* BYE "));
    assert!(open([198, 51, 100, 8]).1.starts_with(b"* OK "));
    drop((held, server));
}

#[test]
fn pages_are_served_under_tls() {
    let mut setup = Setup::usual();
    let port = setup.spare_port();
    let server = Server::start(listener(setup, port, "http", "tls = \"implicit\""));
    let mut page = Connection::open_tls(port).unwrap();
    page.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let said = String::from_utf8(page.rest().unwrap()).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    let mut clear = Connection::open(port).unwrap();
    clear
        .send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let heard = clear.rest().unwrap_or_default();
    assert!(!heard.starts_with(b"HTTP/"), "{heard:?}");
    drop(server);
}
