//! APPEND: the message streams through, whole and alone, and what is refused leaves no trace.

use super::super::command::{Append, FlagList};
use super::super::fault::{Bad, Fault};
use super::super::limit::{SKIP_BYTES_MAX, SKIP_MESSAGE_BYTES_MAX};
use super::super::receive::Event;
use super::*;
use store::mail::date::InternalDate;
use store::mail::flags::Flags;

fn append(mailbox: &str, octets: u64) -> Append {
    Append {
        mailbox: mailbox.to_owned(),
        flags: FlagList::default(),
        date: None,
        octets,
        non_synchronizing: false,
        binary: false,
        utf8: false,
    }
}

/// What follows the command itself.
fn after_command(client: &mut Client) -> Vec<Heard> {
    let mut heard = client.heard();
    assert!(
        matches!(&heard[0], Heard::Event(Event::Command(c)) if matches!(c.body, Body::Append(_))),
        "{heard:?}"
    );
    heard.remove(0);
    heard
}

#[test]
fn the_examples_of_the_rfcs() {
    // RFC 9051 §6.3.12.
    let seen = FlagList {
        flags: Flags::SEEN,
        keywords: Vec::new(),
    };
    let mut client = Client::logged_in();
    client.send(b"A003 APPEND saved-messages (\\Seen) {326}\r\n");
    let expected = Append {
        flags: seen.clone(),
        ..append("saved-messages", 326)
    };
    let command = Command {
        tag: "A003".to_owned(),
        body: Body::Append(expected.clone()),
    };
    assert_eq!(client.events(), [Event::Command(command)]);

    client = Client::logged_in();
    client.send(b"A003 APPEND saved-messages (\\Seen) {297+}\r\n");
    let Event::Command(command) = client.events().remove(0) else {
        panic!("no command");
    };
    let expected = Append {
        octets: 297,
        non_synchronizing: true,
        ..expected
    };
    assert_eq!(command.body, Body::Append(expected));
}

#[test]
fn every_form_of_its_arguments() {
    let of = |line: &str| {
        let mut client = Client::logged_in();
        client.send(line.as_bytes());
        match client.events().pop().unwrap() {
            Event::Command(Command {
                body: Body::Append(append),
                ..
            }) => append,
            other => panic!("{line}: {other:?}"),
        }
    };
    let date = InternalDate {
        unix_secs: 837_596_665,
        zone_minutes: -420,
    };
    let dated = of("a append \"inbox\" \"17-Jul-1996 02:44:25 -0700\" {7}\r\n");
    assert_eq!((dated.mailbox.as_str(), dated.date), ("INBOX", Some(date)));
    assert_eq!(of("a APPEND {5+}\r\nEntwu {1}\r\n"), append("Entwu", 1));
    assert!(of("a APPEND x () ~{7+}\r\n").binary);
    let utf8 = of("a APPEND x utf8 (~{7}\r\n");
    assert!(utf8.utf8 && utf8.binary);
    // As large as the grammar: the session says what is too much.
    assert_eq!(
        of("a APPEND x {9223372036854775807}\r\n").octets,
        i64::MAX as u64
    );
    let flags = of("a APPEND x (\\Recent \\Draft Work work $Done) {1}\r\n").flags;
    assert_eq!(
        (flags.flags, flags.keywords),
        (Flags::DRAFT, vec!["Work".into(), "$Done".into()])
    );
}

#[test]
fn the_message_comes_whole_whatever_it_holds() {
    let message: Vec<u8> = (0..=255).chain(*b"\r\n{3+}\r\na NOOP\r\n)").collect();
    for pieces in [1, 2, 3, 7, 1000] {
        let mut client = Client::logged_in();
        let announced = format!("a APPEND x ~{{{}+}}\r\n", message.len());
        let stream = [announced.as_bytes(), &message, b"\r\nb NOOP\r\n"].concat();
        stream.chunks(pieces).for_each(|piece| client.send(piece));
        assert_eq!(
            after_command(&mut client),
            [
                Heard::Message(message.clone()),
                Heard::Event(Event::MessageEnd(Ok(()))),
                Heard::Event(noop("b")),
            ]
        );
    }
}

#[test]
fn a_refused_message_is_not_taken_for_commands() {
    let mut client = Client::refusing();
    client.send(b"a APPEND x {9+}\r\nz NOOP\r\n\n\r\nb NOOP\r\n");
    assert_eq!(after_command(&mut client), [Heard::Event(noop("b"))]);
    // The client waits for our go-ahead and sends no message.
    client.send(b"a APPEND x {9}\r\nb NOOP\r\n");
    assert_eq!(after_command(&mut client), [Heard::Event(noop("b"))]);
    // MULTIAPPEND behind a refused message goes the same way.
    client.send(b"a APPEND x {1+}\r\nm {9+}\r\nz NOOP\r\n\n\r\nb NOOP\r\n");
    assert_eq!(after_command(&mut client), [Heard::Event(noop("b"))]);
}

#[test]
fn a_refused_message_too_large_to_skip_ends_the_connection() {
    let too_large = Bad {
        tag: None,
        fault: Fault::LiteralTooLarge,
    };
    for octets in [SKIP_MESSAGE_BYTES_MAX + 1, i64::MAX as u64] {
        let mut client = Client::refusing();
        client.send(format!("a APPEND x {{{octets}+}}\r\nz NOOP\r\n").as_bytes());
        assert_eq!(
            after_command(&mut client),
            [Heard::Event(Event::Fatal(too_large.clone()))]
        );
        client.send(b"z NOOP\r\n");
        assert_eq!(client.events(), []);
    }
}

#[test]
fn what_is_no_end_of_the_command_is_bad() {
    let ends: [(&str, bool); 8] = [
        ("a APPEND x {1+}\r\nm\r\n", true),
        ("a APPEND x {1+}\r\nm\n", true),
        ("a APPEND x UTF8 (~{1+}\r\nm)\r\n", true),
        ("a APPEND x UTF8 (~{1+}\r\nm\r\n", false),
        ("a APPEND x {1+}\r\nm)\r\n", false),
        ("a APPEND x {1+}\r\nm \r\n", false),
        ("a APPEND x {1+}\r\nm {1}\r\n", false),
        (
            "a APPEND x {1+}\r\nm (\\Seen) {1+}\r\nm (\\Seen) {1+}\r\nm\r\n",
            false,
        ),
    ];
    for (stream, good) in ends {
        let mut client = Client::logged_in();
        client.send(stream.as_bytes());
        client.send(b"b NOOP\r\n");
        let heard = after_command(&mut client);
        assert_eq!(heard.len(), 3, "{stream:?}: {heard:?}");
        assert_eq!(heard[0], Heard::Message(b"m".to_vec()));
        match &heard[1] {
            Heard::Event(Event::MessageEnd(end)) => assert_eq!(end.is_ok(), good, "{stream:?}"),
            other => panic!("{stream:?}: {other:?}"),
        }
        assert_eq!(heard[2], Heard::Event(noop("b")));
    }
}

#[test]
fn faults_before_the_message() {
    for line in [
        "a APPEND x (\\Foo) {1}",
        "a APPEND x \"32-Jul-1996 02:44:25 -0700\" {1}",
        "a APPEND x UTF8 ({1}",
        "a APPEND x UTF8 ~{1}",
        "a APPEND x y {1}",
        "a APPEND {1}",
        "a APPEND x  {1}",
        "a APPEND x (\\Seen){1}",
        "a APPEND &x {1}",
        "a APPEND x {9223372036854775808}",
    ] {
        let mut client = Client::logged_in();
        client.send(format!("{line}\r\n").as_bytes());
        let first = client.events().remove(0);
        if line == "a APPEND {1}" {
            assert_eq!(first, Event::Continue, "the literal is the mailbox");
            continue;
        }
        let Event::Bad(bad) = first else {
            panic!("{line}: {first:?}");
        };
        assert_eq!(bad.tag.as_deref(), Some("a"), "{line}");
        client.send(b"b NOOP\r\n");
        assert_eq!(client.events(), [noop("b")], "{line}");
    }
    assert!(matches!(fault("a APPEND x"), Fault::Syntax(_)));
    assert!(matches!(fault("a APPEND x \"message\""), Fault::Syntax(_)));
    assert!(matches!(fault("a APPEND"), Fault::Syntax(_)));
}

#[test]
fn behind_a_message_the_limits_hold_too() {
    let mut client = Client::logged_in();
    client.send(b"a APPEND x {1+}\r\nm");
    client.heard();
    let endless = vec![b'x'; SKIP_BYTES_MAX as usize * 3];
    endless.chunks(4096).for_each(|piece| {
        client.send(piece);
        assert!(client.receiver.held_bytes() <= 256 << 10);
    });
    let heard = client.events();
    assert!(matches!(&heard[0], Event::MessageEnd(Err(bad)) if bad.fault == Fault::LineTooLong));
    assert!(matches!(&heard[1], Event::Fatal(_)));
}
