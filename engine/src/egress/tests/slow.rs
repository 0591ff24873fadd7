//! Peers that say nothing, too much, or do not listen: bounded time, bounded memory, clear words.

use super::*;
use crate::reactor::{Now, yield_now};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

#[test]
fn silence_at_every_command() {
    for (silent_at, stage) in [
        ("", Stage::Banner),
        ("EHLO", Stage::Hello),
        ("MAIL", Stage::Mail),
        ("RCPT", Stage::Rcpt),
        ("DATA", Stage::Data),
        (".", Stage::End),
    ] {
        let server = Server {
            silent_at: Some(silent_at),
            ..Server::offering(&["PIPELINING"])
        };
        let (address, _ledgers) = server.serve();
        let ended = on_shard(move || async move { deliver(&hasty(address), &tools(), b"x").await });
        let (at, reply) = match ended {
            Ok(told) => (told.stage, told.reply),
            Err(why) => (why.stage, why.reply),
        };
        assert_eq!(at, stage);
        assert!(
            reply.starts_with("451 4.4.2 no reply in time at "),
            "{reply}"
        );
    }
}

/// A peer on a socket of its own.
fn peer(serve: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || serve(listener.accept().unwrap().0));
    address
}

#[test]
fn endless_words_end_in_clear_ones() {
    for (begin, piece, why) in [
        ("", "220", "a reply line without an end"),
        ("", "220-x\r\n", "a reply without an end"),
        ("", "\0", "a reply line without an end"),
        ("220 x\r\n", "250-X-NOTHING\r\n", "a reply without an end"),
    ] {
        let address = peer(move |mut socket| {
            let _ = socket.write_all(begin.as_bytes());
            let pieces = piece.repeat(1000);
            // Until nobody listens any more.
            while socket.write_all(pieces.as_bytes()).is_ok() {}
        });
        let sent = on_shard(move || async move { deliver(&target(address), &tools(), b"x").await });
        let failure = sent.unwrap_err();
        assert!(
            failure.reply.starts_with(&format!("451 4.5.0 {why}")),
            "{failure:?}"
        );
        assert!(failure.is_temporary);
    }
}

/// Answers the opening and an envelope, up to 354.
fn grant(socket: &mut TcpStream) {
    for reply in [
        "220 x\r\n",
        "250-x\r\n250 PIPELINING\r\n",
        "250 a\r\n250 b\r\n354 c\r\n",
    ] {
        socket.write_all(reply.as_bytes()).unwrap();
        assert!(socket.read(&mut [0; 4096]).unwrap() > 0);
    }
}

/// What is said of a message that is too large for the buffers on the way.
fn told_of_a_large_message(serve: impl FnOnce(TcpStream) + Send + 'static) -> Told {
    let address = peer(serve);
    on_shard(move || async move {
        let told = deliver(&hasty(address), &tools(), &text(30_000_000)).await;
        told.unwrap()
    })
}

#[test]
fn a_peer_that_does_not_read_the_message() {
    let told = told_of_a_large_message(|mut socket| {
        grant(&mut socket);
        // Reads no more, and sees the end only when the client is gone.
        let mut poll = [rustix::event::PollFd::new(
            &socket,
            rustix::event::PollFlags::RDHUP,
        )];
        rustix::event::poll(&mut poll, None).unwrap();
    });
    assert_eq!((told.fate, told.stage), (Fate::Deferred, Stage::Body));
}

#[test]
fn last_words_before_the_end_of_the_message_are_heard() {
    let told = told_of_a_large_message(|mut socket| {
        grant(&mut socket);
        socket.write_all(b"552 5.3.4 that is enough\r\n").unwrap();
        // What comes behind is met by a reset.
        socket.shutdown(std::net::Shutdown::Read).unwrap();
        let _ = socket.shutdown(std::net::Shutdown::Both);
    });
    assert_eq!(told.stage, Stage::Body);
    let reply = told.reply;
    assert!(
        reply == "552 5.3.4 that is enough" || reply.starts_with("451 4.4.2"),
        "{reply}"
    );
}

/// A body that is read for longer than a reply to DATA may take.
struct Sluggish(Pieces);

impl Body for Sluggish {
    fn octets(&self) -> u64 {
        self.0.octets()
    }

    async fn next(&mut self) -> std::io::Result<Option<&[u8]>> {
        let begun = Now::here();
        while Now::here().since(begun) < 3 * HASTE {
            yield_now().await;
        }
        self.0.next().await
    }

    fn rewind(&mut self) {
        self.0.rewind();
    }
}

#[test]
fn the_message_has_a_time_of_its_own() {
    let (address, ledgers) = Server::offering(&["PIPELINING"]).serve();
    let fate = on_shard(move || async move {
        let mut connection = Connection::open(&hasty(address), &tools()).await.unwrap();
        let mut body = Sluggish(Pieces::from(&text(1000)[..]));
        let outcome = connection.send(&letter(1), &mut body).await;
        connection.quit().await;
        outcome.recipients[0].fate
    });
    assert_eq!(fate, Fate::Delivered);
    assert_eq!(ledgers.recv().unwrap().messages, [whole(&text(1000))]);
}
