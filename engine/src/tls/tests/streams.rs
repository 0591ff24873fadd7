//! Streams: echo, resumption, hand-over, the end of a stream.

use super::super::{Stream, StreamParts};
use super::*;
use crate::reactor::Side;
use crate::reactor::oneshot::oneshot;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;

#[test]
fn octets_of_any_amount_come_back_under_both_versions_and_on_both_backends() {
    let context = context();
    for backend in [Backend::probe().0, Backend::Epoll] {
        for version in [&TLS13, &TLS12] {
            let context = context.clone();
            let (address, server) = serve_on(backend, |stream| async move {
                let stream = stream.start_tls(&context).await.unwrap();
                let info = stream.info().unwrap();
                echo(stream).await.unwrap();
                info
            });
            let mut client = connect(address, &client_config(version), "mx.example.test");
            for size in [1, 2, 100, 4096, 16_384, 16_385, 100_000, 1_000_000] {
                let octets: Vec<u8> = (0..size).map(|i| (i / 3) as u8).collect();
                let half = octets.len() / 2;
                assert!(exchange(&mut client, &octets[..half]) == octets[..half]);
                assert!(exchange(&mut client, &octets) == octets);
            }
            client.conn.send_close_notify();
            client.flush().unwrap();
            assert_eq!(
                client.read(&mut [0; 1]).unwrap(),
                0,
                "close_notify comes back"
            );
            drop(client);
            let info = server.join().unwrap();
            assert_eq!(info.server_name.as_deref(), Some("mx.example.test"));
            assert!(info.cipher.starts_with("TLS"), "{}", info.cipher);
            let is_13 = std::ptr::eq(version, &TLS13);
            assert_eq!(info.version, if is_13 { "TLSv1.3" } else { "TLSv1.2" });
            assert!(!is_13 || info.group == "X25519MLKEM768", "{}", info.group);
        }
    }
}

#[test]
fn a_session_is_resumed_on_another_shard() {
    let context = context();
    let config = client_config(&TLS13);
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let context = context.clone();
        let (address, server) = serve(|stream| async move {
            let stream = stream.start_tls(&context).await.unwrap();
            let resumed = stream.info().unwrap().resumed;
            echo(stream).await.unwrap();
            resumed
        });
        let mut client = connect(address, &config, "mx.example.test");
        exchange(&mut client, b"NOOP\r\n");
        let kind = client.conn.handshake_kind().unwrap();
        client.conn.send_close_notify();
        client.flush().unwrap();
        drop(client);
        assert_eq!(server.join().unwrap(), kind == HandshakeKind::Resumed);
        kinds.push(kind);
    }
    assert_ne!(kinds[0], HandshakeKind::Resumed);
    assert_eq!(kinds[1..], [HandshakeKind::Resumed, HandshakeKind::Resumed]);
}

#[test]
fn a_session_moves_to_another_shard_with_octets_pending_both_ways() {
    let context = context();
    let (sender, receiver) = oneshot::<StreamParts>();
    let backend = Backend::probe().0;
    let owner = shard(backend, || async move {
        let mut stream = Stream::from_parts(receiver.await.unwrap()).unwrap();
        let mut octets = Vec::new();
        while octets.len() < 60_000 {
            assert_ne!(stream.recv(&mut octets, 7_000).await.unwrap(), 0);
        }
        stream.send(b"owned".to_vec()).await.0.unwrap();
        stream.close().await;
        octets
    });
    let (address, front) = serve(|stream| async move {
        let mut stream = stream.start_tls(&context).await.unwrap();
        let mut octets = Vec::new();
        assert_eq!(stream.recv(&mut octets, 6).await.unwrap(), 6);
        assert_eq!(octets, b"login\n");
        stream.send(vec![b'-'; 30_000]).await.0.unwrap();
        stream.readable().await.unwrap();
        assert!(sender.send(stream.into_parts().unwrap()).is_ok());
    });
    let sent: Vec<u8> = (0..60_000u32).map(|i| (i / 11) as u8).collect();
    let mut client = connect(address, &client_config(&TLS13), "mx.example.test");
    let mut first = b"login\n".to_vec();
    first.extend_from_slice(&sent);
    client.write_all(&first).unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    drop(client);
    front.join().unwrap();
    assert!(owner.join().unwrap() == sent);
    assert_eq!(back.len(), 30_005);
    assert!(back.ends_with(b"--owned"));
}

#[test]
fn a_stream_cut_short_is_not_an_end() {
    let context = context();
    let (address, server) = serve(|stream| async move {
        let mut stream = stream.start_tls(&context).await.unwrap();
        let mut octets = Vec::new();
        let first = stream.recv(&mut octets, 100).await.unwrap();
        (first, stream.recv(&mut octets, 100).await)
    });
    let mut client = connect(address, &client_config(&TLS13), "mx.example.test");
    client.write_all(b"half a message").unwrap();
    client.sock.shutdown(Shutdown::Write).unwrap();
    let (first, second) = server.join().unwrap();
    assert_eq!(first, 14);
    assert_eq!(second.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn what_comes_behind_the_end_is_never_seen() {
    let context = context();
    let (address, server) = serve(|stream| async move {
        let mut stream = stream.start_tls(&context).await.unwrap();
        let mut octets = Vec::new();
        while stream.recv(&mut octets, 4).await.unwrap() > 0 {}
        assert_eq!(stream.recv(&mut octets, 4).await.unwrap(), 0);
        octets
    });
    let mut client = connect(address, &client_config(&TLS13), "mx.example.test");
    client.write_all(b"BDAT 5 LAST\r\n").unwrap();
    client.conn.send_close_notify();
    let mut last = Vec::new();
    while client.conn.wants_write() {
        client.conn.write_tls(&mut last).unwrap();
    }
    last.extend_from_slice(b"clear\r\n");
    client.sock.write_all(&last).unwrap();
    assert_eq!(server.join().unwrap(), b"BDAT 5 LAST\r\n");
}

#[test]
fn both_ends_agree_on_the_channel_binding() {
    let context = context();
    for (version, bound) in [(&TLS13, true), (&TLS12, false)] {
        let context = context.clone();
        let (address, server) = serve(|stream| async move {
            assert_eq!(stream.channel_binding(), None);
            assert!(!stream.is_tls());
            let stream = stream.start_tls(&context).await.unwrap();
            let binding = stream.channel_binding();
            let _ = echo(stream).await;
            binding
        });
        let mut client = connect(address, &client_config(version), "mx.example.test");
        exchange(&mut client, b"x");
        let label = b"EXPORTER-Channel-Binding";
        let ours = client
            .conn
            .export_keying_material([0; 32], label, None)
            .unwrap();
        drop(client);
        assert_eq!(server.join().unwrap(), bound.then_some(ours));
    }
}

#[test]
fn a_silent_client_is_timed_out_in_the_handshake() {
    let context = context();
    let (address, server) = serve(|stream| async move {
        stream.set_deadline(Side::Read, Duration::from_millis(100));
        stream.start_tls(&context).await.err().unwrap().kind()
    });
    let _silent = TcpStream::connect(address).unwrap();
    assert_eq!(server.join().unwrap(), ErrorKind::TimedOut);
}

#[test]
fn a_client_that_stops_reading_is_timed_out_under_tls() {
    let context = context();
    let (address, server) = serve(|stream| async move {
        let mut stream = stream.start_tls(&context).await.unwrap();
        stream.set_send_time_max(Duration::from_millis(100));
        let (sent, octets) = stream.send(vec![1; 32 << 20]).await;
        let again = stream.send(b"more".to_vec()).await.0;
        (sent.unwrap_err().kind(), octets.len(), again.is_err())
    });
    let mut client = connect(address, &client_config(&TLS13), "mx.example.test");
    client.write_all(b"hello").unwrap();
    assert_eq!(
        server.join().unwrap(),
        (ErrorKind::TimedOut, 32 << 20, true)
    );
}
