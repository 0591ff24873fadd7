//! Messages arrive octet for octet, by every way of sending them.

use super::*;

#[test]
fn messages_arrive_as_they_are_on_a_kept_connection() {
    for keywords in [
        &["PIPELINING", "CHUNKING", "8BITMIME"][..],
        &["PIPELINING"],
        &["CHUNKING"],
        &[],
    ] {
        let (address, ledgers) = Server::offering(keywords).serve();
        on_shard(move || async move {
            let (target, tools) = (target(address), tools());
            let mut connection = Connection::open(&target, &tools).await.unwrap();
            for (octets, step) in sizes_and_steps() {
                let text = text(octets);
                let pieces: Rc<[Rc<[u8]>]> = text.chunks(step).map(Rc::from).collect();
                let outcome = connection.send(&letter(2), &mut Pieces::new(pieces)).await;
                assert!(outcome.is_open);
                for disposition in &outcome.recipients {
                    assert_eq!(disposition.fate, Fate::Delivered);
                    assert_eq!(disposition.reply.to_string(), "250 2.0.0 taken");
                }
            }
            let sent = sizes_and_steps().count();
            assert_eq!(connection.next_number() as usize, sent + 1);
            assert_eq!(*connection.tls(), TlsUse::NotOffered);
            connection.quit().await;
        });
        let ledger = ledgers.recv().unwrap();
        let expected: Vec<_> = sizes_and_steps()
            .map(|(octets, _)| whole(&text(octets)))
            .collect();
        assert!(ledger.messages == expected, "with {keywords:?}");
        assert_eq!(ledger.commands.last().unwrap(), "QUIT");
    }
}

/// Messages in large pieces, and in small ones that are put together on the way.
fn sizes_and_steps() -> impl Iterator<Item = (usize, usize)> {
    let by = |step| SIZES.into_iter().map(move |octets| (octets, step));
    by(50_000).chain(by(700))
}

#[test]
fn letters_that_follow_each_other_closely_arrive_as_they_are() {
    for keywords in [
        &["PIPELINING", "CHUNKING"][..],
        &["PIPELINING"],
        &["CHUNKING"],
        &[],
    ] {
        let (address, ledgers) = Server::offering(keywords).serve();
        on_shard(move || async move {
            let (target, tools) = (target(address), tools());
            let mut connection = Connection::open(&target, &tools).await.unwrap();
            let all = SIZES.map(|octets| (letter(2), text(octets)));
            for (at, (letter, text)) in all.iter().enumerate() {
                let next = all.get(at + 1);
                let next = next.map(|(letter, text)| (letter, text.len() as u64));
                let mut body = Pieces::from(&text[..]);
                let outcome = connection.send_before(letter, &mut body, next).await;
                assert!(outcome.is_open);
                for disposition in &outcome.recipients {
                    assert_eq!(disposition.reply.to_string(), "250 2.0.0 taken");
                }
            }
            connection.quit().await;
        });
        let ledger = ledgers.recv().unwrap();
        let expected: Vec<_> = SIZES.iter().map(|octets| whole(&text(*octets))).collect();
        assert!(ledger.messages == expected, "with {keywords:?}");
        assert_eq!(ledger.commands.last().unwrap(), "QUIT");
    }
}

/// The server waits for its message: another one would be taken for it.
#[test]
fn a_letter_that_was_announced_and_never_comes_ends_the_connection() {
    let by_data = &["PIPELINING"][..];
    let by_chunk = &["PIPELINING", "CHUNKING"][..];
    for (keywords, another) in [
        (by_data, true),
        (by_data, false),
        (by_chunk, true),
        (by_chunk, false),
    ] {
        let (address, ledgers) = Server::offering(keywords).serve();
        on_shard(move || async move {
            let mut connection = Connection::open(&target(address), &tools()).await.unwrap();
            let (first, second) = (letter(1), letter(2));
            let mut body = Pieces::from(&b"x\r\n"[..]);
            let next = Some((&second, 3));
            let sent = connection.send_before(&first, &mut body, next).await;
            assert_eq!(sent.recipients[0].fate, Fate::Delivered);
            if another {
                let stale = connection.send(&letter(3), &mut body).await;
                assert!(stale.is_stale && !connection.is_open());
            }
            connection.quit().await;
        });
        let ledger = ledgers.recv().unwrap();
        assert_eq!(ledger.messages, [whole(b"x\r\n")]);
        assert!(!ledger.commands.iter().any(|line| line == "QUIT"));
    }
}

const SIZES: [usize; 4] = [1, 4096, 70_000, 3_000_000];

#[test]
fn a_letter_without_a_body() {
    let (address, ledgers) = Server::offering(&["PIPELINING"]).serve();
    let outcome = on_shard(move || async move { deliver(&target(address), &tools(), b"").await });
    assert_eq!(outcome.unwrap().fate, Fate::Delivered);
    assert_eq!(ledgers.recv().unwrap().messages, [PREFIX.as_bytes()]);
}

#[test]
fn lmtp() {
    let server = Server {
        is_lmtp: true,
        answers: vec![("RCPT TO:<r1@", "550 5.1.1 nobody\r\n")],
        ..Server::offering(&["PIPELINING"])
    };
    let (address, ledgers) = server.serve();
    let fates = on_shard(move || async move {
        let target = Target {
            dialect: Dialect::Lmtp,
            ..target(address)
        };
        let mut connection = Connection::open(&target, &tools()).await.unwrap();
        let outcome = connection
            .send(&letter(3), &mut Pieces::from(&text(100)[..]))
            .await;
        connection.quit().await;
        outcome
            .recipients
            .iter()
            .map(|d| d.fate)
            .collect::<Vec<_>>()
    });
    assert_eq!(fates, [Fate::Delivered, Fate::Failed, Fate::Delivered]);
    assert_eq!(ledgers.recv().unwrap().commands[0], "LHLO us.test");
}

#[test]
fn eight_bits_are_looked_for_where_it_matters() {
    use store::mail::envelope::BodyKind;
    for (body, fate) in [
        (&b"seven\r\n"[..], Fate::Delivered),
        (b"\xc3\xb6\r\n", Fate::Failed),
    ] {
        let (address, ledgers) = Server::offering(&["PIPELINING"]).serve();
        let outcome = on_shard(move || async move {
            let mut connection = Connection::open(&target(address), &tools()).await.unwrap();
            let mut letter = letter(1);
            let mut envelope = (*letter.envelope).clone();
            envelope.body = BodyKind::EightBitMime;
            letter.envelope = Rc::new(envelope);
            let outcome = connection.send(&letter, &mut Pieces::from(body)).await;
            connection.quit().await;
            outcome.recipients[0].fate
        });
        assert_eq!(outcome, fate);
        let messages = ledgers.recv().unwrap().messages.len();
        assert_eq!(messages, usize::from(fate == Fate::Delivered));
    }
}

/// A body that does not hold what it promises.
struct Short;

impl Body for Short {
    fn octets(&self) -> u64 {
        100
    }

    async fn next(&mut self) -> std::io::Result<Option<&[u8]>> {
        Err(std::io::Error::other("a bad disk"))
    }

    fn rewind(&mut self) {}
}

#[test]
fn an_unreadable_body_is_never_ended() {
    for keywords in [&["PIPELINING"][..], &["CHUNKING"]] {
        let (address, ledgers) = Server::offering(keywords).serve();
        let outcome = on_shard(move || async move {
            let mut connection = Connection::open(&target(address), &tools()).await.unwrap();
            let outcome = connection.send(&letter(1), &mut Short).await;
            assert!(!outcome.is_open && !connection.is_open());
            outcome.recipients[0].reply.to_string()
        });
        assert_eq!(
            outcome,
            "451 4.3.0 the message cannot be read here: a bad disk"
        );
        assert!(ledgers.recv().unwrap().messages.is_empty());
    }
}

/// The look at it decides between sending and a bounce: a bad disk must not bounce.
#[test]
fn an_unreadable_body_is_not_taken_for_an_eight_bit_one() {
    use store::mail::envelope::BodyKind;
    let (address, ledgers) = Server::offering(&["PIPELINING"]).serve();
    let told = on_shard(move || async move {
        let mut connection = Connection::open(&target(address), &tools()).await.unwrap();
        let mut letter = letter(1);
        let mut envelope = (*letter.envelope).clone();
        envelope.body = BodyKind::EightBitMime;
        letter.envelope = Rc::new(envelope);
        let outcome = connection.send(&letter, &mut Short).await;
        assert!(outcome.is_open);
        connection.quit().await;
        Told::from(&outcome.recipients[0])
    });
    assert_eq!(told.fate, Fate::Deferred, "{told:?}");
    assert!(
        !ledgers
            .recv()
            .unwrap()
            .commands
            .iter()
            .any(|line| line.starts_with("MAIL"))
    );
}

#[test]
fn an_idle_connection_that_ends_is_noticed() {
    let (address, ledgers) = Server {
        answers: vec![(".", "250 ok\r\n421 4.4.2 idle\r\n")],
        ..Server::offering(&["PIPELINING"])
    }
    .serve();
    on_shard(move || async move {
        let mut connection = Connection::open(&target(address), &tools()).await.unwrap();
        let sent = connection
            .send(&letter(1), &mut Pieces::from(&b"x"[..]))
            .await;
        assert_eq!(sent.recipients[0].fate, Fate::Delivered);
        connection.ended().await;
        assert!(!connection.is_open());
        let stale = connection
            .send(&letter(2), &mut Pieces::from(&b"x"[..]))
            .await;
        assert!(stale.is_stale && stale.recipients.len() == 2);
    });
    drop(ledgers);
}

#[test]
fn nobody_listens() {
    let failure = on_shard(|| async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        deliver(&target(address), &tools(), b"x").await.unwrap_err()
    });
    assert_eq!(failure.stage, Stage::Connect);
    assert!(
        failure.is_temporary && failure.reply.contains("refused"),
        "{failure:?}"
    );
}
