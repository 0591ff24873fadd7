//! APPEND: the message streams through, whole and alone, and what is refused leaves no trace.

use super::super::append::{Append, Literal, Replaced, Step};
use super::super::command::{FlagList, SequenceNumber};
use super::super::fault::{Bad, Fault};
use super::super::limit::{SKIP_BYTES_MAX, SKIP_MESSAGE_BYTES_MAX};
use super::super::receive::Event;
use super::*;
use store::mail::date::InternalDate;
use store::mail::flags::Flags;

fn literal(octets: u64) -> Literal {
    Literal {
        octets,
        non_synchronizing: false,
        binary: false,
        utf8: false,
        is_part: false,
    }
}

fn begin(flags: FlagList) -> Step {
    Step::Begin { flags, date: None }
}

fn append(mailbox: &str, flags: FlagList, octets: u64) -> Append {
    Append {
        mailbox: mailbox.to_owned(),
        replaces: None,
        steps: vec![begin(flags), Step::Octets(literal(octets))],
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
    let expected = append("saved-messages", seen, 326);
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
    let mut expected = expected;
    expected.steps[1] = Step::Octets(Literal {
        octets: 297,
        non_synchronizing: true,
        ..literal(0)
    });
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
    let options = |append: &Append| match &append.steps[0] {
        Step::Begin { flags, date } => (flags.clone(), *date),
        other => panic!("{other:?}"),
    };
    let dated = of("a append \"inbox\" \"17-Jul-1996 02:44:25 -0700\" {7}\r\n");
    assert_eq!(dated.mailbox, "INBOX");
    assert_eq!(options(&dated).1, Some(date));
    let plain = append("Entwu", FlagList::default(), 1);
    assert_eq!(of("a APPEND {5+}\r\nEntwu {1}\r\n"), plain);
    assert!(of("a APPEND x () ~{7+}\r\n").literal().unwrap().binary);
    let utf8 = of("a APPEND x utf8 (~{7}\r\n").literal().unwrap();
    assert!(utf8.utf8 && utf8.binary);
    // As large as the grammar: the session says what is too much.
    let large = of("a APPEND x {9223372036854775807}\r\n");
    assert_eq!(large.literal().unwrap().octets, i64::MAX as u64);
    let (flags, _) = options(&of("a APPEND x (\\Recent \\Draft Work work $Done) {1}\r\n"));
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
                Heard::Event(Event::More(Ok(vec![Step::End]))),
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
    let ends: [(&str, bool); 10] = [
        ("a APPEND x {1+}\r\nm\r\n", true),
        ("a APPEND x {1+}\r\nm\n", true),
        ("a APPEND x UTF8 (~{1+}\r\nm)\r\n", true),
        ("a APPEND x UTF8 (~{1+}\r\nm\r\n", false),
        ("a APPEND x {1+}\r\nm)\r\n", false),
        ("a APPEND x {1+}\r\nm \r\n", false),
        ("a APPEND x {1+}\r\nm {x}\r\n", false),
        ("a APPEND x {1+}\r\nm(\\Seen) {1+}\r\nm\r\n", false),
        ("a REPLACE 1 x {1+}\r\nm (\\Seen) {1+}\r\nm\r\n", false),
        ("a APPEND x CATENATE (TEXT {1+}\r\nm\r\n", false),
    ];
    for (stream, good) in ends {
        let mut client = Client::logged_in();
        client.send(stream.as_bytes());
        client.send(b"b NOOP\r\n");
        let heard = after_command(&mut client);
        assert_eq!(heard.len(), 3, "{stream:?}: {heard:?}");
        assert_eq!(heard[0], Heard::Message(b"m".to_vec()));
        match &heard[1] {
            Heard::Event(Event::More(end)) => assert_eq!(end.is_ok(), good, "{stream:?}"),
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
    assert!(matches!(&heard[0], Event::More(Err(bad)) if bad.fault == Fault::LineTooLong));
    assert!(matches!(&heard[1], Event::Fatal(_)));
}

/// Every message with the steps and octets that made it, `+` for octets.
fn told(client: &mut Client) -> String {
    let mut told = String::new();
    for heard in client.heard() {
        match heard {
            Heard::Message(octets) => told += &format!("[{}]", octets.escape_ascii()),
            Heard::Event(Event::Command(command)) => match command.body {
                Body::Append(append) => told += &steps(&append.steps),
                other => told += &format!("{other:?}"),
            },
            Heard::Event(Event::More(Ok(more))) => told += &steps(&more),
            Heard::Event(Event::Continue) => {}
            Heard::Event(other) => told += &format!("{other:?}"),
        }
    }
    told
}

fn steps(steps: &[Step]) -> String {
    let word = |step: &Step| match step {
        Step::Begin { .. } => "begin ".to_owned(),
        Step::Url(url) => format!("<{}> ", url.escape_ascii()),
        Step::Octets(_) => "+".to_owned(),
        Step::End => " end ".to_owned(),
    };
    steps.iter().map(word).collect()
}

#[test]
fn several_messages_in_one_command() {
    // RFC 3502 §6.3.11, and the parts of RFC 4469 §3 in any mixture.
    for (stream, expected) in [
        (
            "a APPEND x (\\Seen) {1+}\r\na {2+}\r\nbc \
             \"17-Jul-1996 02:44:25 -0700\" ~{1+}\r\nd\r\n",
            "begin +[a] end begin +[bc] end begin +[d] end ",
        ),
        (
            "a APPEND x CATENATE (URL \"/b;UID=1\" TEXT {1+}\r\na \
             URL {2+}\r\n;U TEXT {1+}\r\nb)\r\n",
            "begin </b;UID=1> +[a]<;U> +[b] end ",
        ),
        (
            "a APPEND x CATENATE (UTF8 (~{1+}\r\na) URL u) UTF8 (~{1+}\r\nb) CATENATE (URL v)\r\n",
            "begin +[a]<u>  end begin +[b] end begin <v>  end ",
        ),
        (
            "a APPEND x CATENATE (URL u URL v)\r\n",
            "begin <u> <v>  end ",
        ),
        ("a UID REPLACE * {1+}\r\nx {1+}\r\nm\r\n", "begin +[m] end "),
    ] {
        for pieces in [1, 3, 1000] {
            let mut client = Client::logged_in();
            let octets = stream.as_bytes();
            octets.chunks(pieces).for_each(|piece| client.send(piece));
            assert_eq!(told(&mut client), expected, "{stream:?}");
            client.send(b"b NOOP\r\n");
            assert_eq!(client.events(), [noop("b")]);
        }
    }
}

#[test]
fn a_replace_names_what_it_replaces() {
    let of = |line: &str| match body(line) {
        Body::Append(append) => append.replaces.unwrap(),
        other => panic!("{line}: {other:?}"),
    };
    let number = SequenceNumber::Number(7);
    let uid = false;
    assert_eq!(
        of("a REPLACE 7 x CATENATE (URL u)"),
        Replaced { uid, number }
    );
    let (uid, number) = (true, SequenceNumber::Star);
    assert_eq!(
        of("a UID REPLACE * x CATENATE (URL u)"),
        Replaced { uid, number }
    );
    for line in [
        "a REPLACE 0 x CATENATE (URL u)",
        "a REPLACE 1:2 x CATENATE (URL u)",
        "a REPLACE 1 x CATENATE (URL u) CATENATE (URL u)",
        "a APPEND x CATENATE ()",
        "a APPEND x CATENATE (URL u",
        "a APPEND x CATENATE (URL u) ",
        "a APPEND x CATENATE (TEXT u)",
        "a APPEND x CATENATE (URL u URL)",
        "a APPEND x CATENATE(URL u)",
    ] {
        assert!(matches!(fault(line), Fault::Syntax(_)), "{line}");
    }
}
