//! TLS as clients meet it: versions, hybrid key exchange, SNI, tickets of every shard.

use super::ALICE;
use std::collections::BTreeSet;
use std::io::Write;
use tests::certificate;
use tests::connection::Connection;
use tests::imap::Imap;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};

/// Recorded traffic stays secret from a later quantum computer (X25519MLKEM768).
#[test]
fn the_key_exchange_is_hybrid() {
    let server = Server::usual();
    let connection = Connection::open_tls(server.addresses().imaps).unwrap();
    let tls = connection.tls().unwrap();
    assert_eq!(
        tls.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
    let group = tls.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
}

/// Older clients have TLS 1.2 only; nothing older is spoken.
#[test]
fn tls_1_2_is_spoken_and_1_0_is_not() {
    let server = Server::usual();
    let mut connection = Connection::open(server.addresses().imaps).unwrap();
    connection
        .start_tls_as("localhost", certificate::client(&[&rustls::version::TLS12]))
        .unwrap();
    let version = connection.tls().unwrap().protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_2));
    let mut imap = Imap::over(connection);
    imap.response().unwrap();
    imap.ok(&format!("LOGIN {ALICE} {PASSWORD}")).unwrap();
    // A ClientHello of TLS 1.0 as it is on the wire, one cipher suite.
    let hello = [
        &[0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1][..],
        &[7; 32],
        &[0, 0, 2, 0, 0x2f, 1, 0],
    ];
    let mut connection = Connection::open(server.addresses().imaps).unwrap();
    connection.send(&hello.concat()).unwrap();
    let answer = connection.rest().unwrap();
    assert!(
        answer.is_empty() || answer[0] == 0x15,
        "not an alert: {answer:?}"
    );
}

/// Each name gets its certificate, an unknown one the first, and none at all too.
#[test]
fn sni_chooses_the_certificate() {
    let setup = Setup::usual();
    let second = setup.directory.path().join("second");
    std::fs::create_dir(&second).unwrap();
    let (cert, key) = certificate::write(&second);
    let table = format!(
        "[[certificate]]\nnames = [\"second.test\", \"*.wild.test\"]\n\
         cert = {cert:?}\nkey = {key:?}"
    );
    let server = Server::start(setup.table(&table));
    let shown = |name: &str| {
        let mut connection = Connection::open(server.addresses().imaps).unwrap();
        connection
            .start_tls_as(name, certificate::trusting_client())
            .unwrap();
        connection.tls().unwrap().peer_certificates().unwrap()[0].to_vec()
    };
    let (first, other) = (shown("localhost"), shown("second.test"));
    assert_ne!(first, other);
    assert_eq!(shown("SECOND.test"), other);
    assert_eq!(shown("mail.wild.test"), other);
    assert_eq!(shown("a.b.wild.test"), first, "a star is one label");
    assert_eq!(shown("unknown.test"), first);
    assert_eq!(shown("127.0.0.1"), first, "no SNI at all");
}

/// A ticket of one shard is good at all of them: reconnecting is cheap.
#[test]
fn tickets_are_good_at_every_shard() {
    let server = Server::start(Setup::usual().top("shards = 4"));
    let client = certificate::client(rustls::ALL_VERSIONS);
    let mut kinds = BTreeSet::new();
    for turn in 0..24 {
        let mut connection = Connection::open(server.addresses().imaps).unwrap();
        connection
            .start_tls_as("localhost", client.clone())
            .unwrap();
        // The greeting comes behind the tickets.
        connection.line().unwrap();
        let kind = connection.tls().unwrap().handshake_kind().unwrap();
        if turn > 0 {
            kinds.insert(format!("{kind:?}"));
        }
    }
    assert_eq!(kinds, BTreeSet::from(["Resumed".to_string()]));
}

/// Clear text on a TLS port, and TLS that stops in the middle, end quickly and harm nobody.
#[test]
fn broken_handshakes_end() {
    let mut server = Server::usual();
    let hellos: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"a LOGIN a b\r\n",
        &[0x16, 3, 1, 0xff, 0xff, 1],
        &[0; 64],
    ];
    for octets in hellos {
        for address in [server.addresses().imaps, server.addresses().submissions] {
            let mut connection = Connection::open(address).unwrap();
            connection.socket().unwrap().write_all(octets).unwrap();
            connection.shut_down_sending().unwrap();
            let answer = connection.rest().unwrap();
            let clear = String::from_utf8_lossy(&answer).into_owned();
            assert!(!clear.contains("OK") && !clear.contains("220"), "{clear:?}");
        }
    }
    server.assert_alive();
    server.imap(ALICE);
}
