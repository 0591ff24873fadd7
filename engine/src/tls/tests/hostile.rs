//! Clients that are not clients.

use super::*;
use rustls::version::TLS13;
use std::io::ErrorKind;

/// What the server says to raw octets instead of a handshake, and how its handshake ends.
fn answer(context: &TlsContext, octets: &[u8]) -> (Vec<u8>, ErrorKind) {
    let context = context.clone();
    let (address, server) = serve(|stream| async move {
        let shaken = stream.start_tls(&context).await;
        shaken.err().map_or(ErrorKind::Other, |error| error.kind())
    });
    let mut client = TcpStream::connect(address).unwrap();
    // The server may be gone before all is sent.
    let _ = client.write_all(octets);
    let _ = client.shutdown(std::net::Shutdown::Write);
    let mut back = Vec::new();
    let _ = client.read_to_end(&mut back);
    (back, server.join().unwrap())
}

fn hello(name: &str) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(client_config(&TLS13), name).unwrap();
    let mut octets = Vec::new();
    client.write_tls(&mut octets).unwrap();
    octets
}

#[test]
fn commands_in_clear_behind_starttls_end_the_handshake() {
    let context = context();
    let mut octets = b"MAIL FROM:<a@b>\r\n".to_vec();
    octets.extend_from_slice(&hello("mx.example.test"));
    let (back, kind) = answer(&context, &octets);
    assert_eq!(kind, ErrorKind::InvalidData);
    assert_eq!(back.first(), Some(&21), "an alert and nothing else");
}

#[test]
fn hostile_server_names_are_refused_or_get_the_default() {
    let context = context();
    let name = "mx.example.test";
    let good = hello(name);
    let at = good
        .windows(name.len())
        .position(|part| part == name.as_bytes())
        .unwrap();
    let odd: [&[u8]; 6] = [
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"../../etc/passwd"[..15].try_into().unwrap(),
        b"\xff\xfe\xfd\xfc\xfb\xfa\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"...............",
        b"*.example.test ",
        b"-_-.=+;'\"`$(x)|",
    ];
    for bytes in odd {
        let mut bent = good.clone();
        bent[at..at + name.len()].copy_from_slice(bytes);
        let (back, kind) = answer(&context, &bent);
        let refused = kind == ErrorKind::InvalidData && back.first() == Some(&21);
        let served = kind == ErrorKind::UnexpectedEof && back.first() == Some(&22);
        assert!(refused || served, "{bytes:?}: {kind:?}");
    }
    // Lengths of the name, of the list and of the extension that lie.
    for offset in 1..=9 {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bent = good.clone();
            bent[at - offset] = value;
            let (_, kind) = answer(&context, &bent);
            assert!(matches!(
                kind,
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof
            ));
        }
    }
}

#[test]
fn cut_and_bent_hellos_end_in_an_error() {
    let context = context();
    let good = hello("mx.example.test");
    for end in (0..good.len()).step_by(97) {
        assert_eq!(answer(&context, &good[..end]).1, ErrorKind::UnexpectedEof);
    }
    for index in (0..good.len()).step_by(61) {
        let mut bent = good.clone();
        bent[index] ^= 0x55;
        let (_, kind) = answer(&context, &bent);
        assert!(
            matches!(kind, ErrorKind::InvalidData | ErrorKind::UnexpectedEof),
            "{index}"
        );
    }
    let endless = [
        &[22, 3, 1, 0x40, 0][..],
        &[1, 0, 0xff, 0xff],
        &vec![0; 200_000],
    ]
    .concat();
    assert_eq!(answer(&context, &endless).1, ErrorKind::InvalidData);
}

#[test]
fn a_flood_of_key_updates_ends_the_session() {
    let context = context();
    let (address, server) = serve(|stream| async move {
        let mut stream = stream.start_tls(&context).await.unwrap();
        let mut octets = Vec::new();
        while stream.recv(&mut octets, 100).await? > 0 {}
        std::io::Result::Ok(octets)
    });
    let mut client = connect(address, &client_config(&TLS13), "mx.example.test");
    client.write_all(b"x").unwrap();
    for _ in 0..100 {
        client.conn.refresh_traffic_keys().unwrap();
        if client.flush().is_err() {
            break;
        }
    }
    let error = server.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains("KeyUpdate"), "{error}");
}
