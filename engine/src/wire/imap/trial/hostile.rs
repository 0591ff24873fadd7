//! Hostile input (attack classes 5, 6, 7, 10, 11, 19): the right answer, bounded memory, and the
//! next command understood.

use super::super::fault::{Bad, Fault};
use super::super::fuzz::fuzz_receiver;
use super::super::limit::*;
use super::super::receive::Event;
use super::*;

fn both() -> [Client; 2] {
    [Client::before_login(), Client::logged_in()]
}

fn fatal(tag: Option<&str>, fault: Fault) -> Event {
    Event::Fatal(Bad {
        tag: tag.map(str::to_owned),
        fault,
    })
}

#[test]
fn class_5_unfinished_nesting() {
    for mut client in both() {
        client.send(b"a NOOP ((((\r\n");
        client.send(format!("a {}\r\n", "(".repeat(8000)).as_bytes());
        client.send(format!("a ID {}\r\n", "(".repeat(8000)).as_bytes());
        client.send(b"b NOOP\r\n");
        let heard = client.events();
        assert_eq!(heard.len(), 4);
        assert_eq!(heard[0], bad("a", Fault::Syntax("Too many arguments")));
        assert_eq!(heard[1], bad("a", Fault::UnknownCommand));
        assert_eq!(heard[3], noop("b"));
    }
    for opening in ["(", "NOT ", "OR ALL ", "OR (", "NOT ("] {
        let deep = format!("a SEARCH {}ALL", opening.repeat(SEARCH_DEPTH_MAX + 1));
        assert_eq!(fault(deep), Fault::TooDeep, "{opening}");
        let deepest = format!("a SEARCH {}", opening.repeat(6000));
        assert_eq!(fault(deepest), Fault::TooDeep, "{opening}");
    }
    let allowed = format!("a SEARCH {}ALL", "NOT ".repeat(SEARCH_DEPTH_MAX));
    assert!(matches!(body(allowed), Body::Search { .. }));
    let part = format!("a FETCH 1 BODY[{}1]", "1.".repeat(PART_DEPTH_MAX));
    assert_eq!(fault(part), Fault::TooDeep);
}

#[test]
fn class_6_a_large_literal_is_refused_before_it_is_waited_for() {
    for size in [
        "4294967295",
        "4294967296",
        "9223372036854775808",
        "99999999999999999999",
    ] {
        for mut client in both() {
            client.send(format!("a LOGIN {{{size}}}\r\nb NOOP\r\n").as_bytes());
            assert_eq!(
                client.events(),
                [bad("a", Fault::LiteralTooLarge), noop("b")]
            );
            // The octets would come anyhow, and nobody wants to read four billion.
            client.send(format!("a LOGIN {{{size}+}}\r\nb NOOP\r\n").as_bytes());
            assert_eq!(client.events(), [fatal(Some("a"), Fault::LiteralTooLarge)]);
            assert_eq!(client.receiver.held_bytes(), 0);
        }
    }
}

#[test]
fn class_6_what_is_no_size_is_no_literal() {
    for marker in [
        "{-1}", "{-1+}", "{}", "{+}", "{1-}", "{0x10}", "{1 }", "{1}}", "{{1}", "{1.5}",
    ] {
        for mut client in both() {
            client.send(format!("a LOGIN x {marker}\r\nb NOOP\r\n").as_bytes());
            let heard = client.events();
            assert!(
                matches!(&heard[0], Event::Bad(Bad { tag: Some(tag), .. }) if tag == "a")
                    || heard[0] == Event::Continue,
                "{marker}: {heard:?}"
            );
            if marker != "{{1}" {
                assert_eq!(heard[1], noop("b"), "{marker}");
            }
        }
    }
}

#[test]
fn class_6_a_literal_that_is_a_little_too_large_is_swallowed() {
    let octets = LITERAL_BYTES_MAX_BEFORE_LOGIN as usize + 1;
    let mut client = Client::before_login();
    let stream = [
        format!("a LOGIN {{{octets}+}}\r\n").as_bytes(),
        &b"\r\nz NOOP\r\n".repeat(octets)[..octets],
        b" {2+}\r\nxy {1}\r\nb NOOP\r\n",
    ]
    .concat();
    stream.chunks(100).for_each(|piece| client.send(piece));
    assert_eq!(
        client.events(),
        [bad("a", Fault::LiteralTooLarge), noop("b")]
    );
}

#[test]
fn class_6_what_is_swallowed_is_bounded_with_all_that_follows() {
    let octets = SKIP_BYTES_MAX_BEFORE_LOGIN as usize;
    let refused = format!("a LOGIN {{{}+}}\r\n{}", octets - 3, "x".repeat(octets - 3));
    let mut client = Client::before_login();
    client.send(format!("{refused} xy\r\n").as_bytes());
    assert_eq!(
        client.events(),
        [
            bad("a", Fault::LiteralTooLarge),
            fatal(None, Fault::LineTooLong)
        ]
    );
    let mut client = Client::before_login();
    client.send(format!("{refused} {{1+}}\r\n").as_bytes());
    assert_eq!(client.events()[1], fatal(None, Fault::LineTooLong));
    let mut client = Client::before_login();
    client.send(format!("{refused} x\nb NOOP\r\n").as_bytes());
    assert_eq!(client.events()[1], noop("b"));
}

#[test]
fn class_6_a_literal8_is_no_argument() {
    for mut client in both() {
        client.send(b"a LOGIN x ~{1}\r\nb LOGIN ~{2+}\r\n\0\n y\r\nc NOOP\r\n");
        let heard = client.events();
        assert_eq!(heard.len(), 3, "{heard:?}");
        assert_eq!(heard[2], noop("c"));
    }
}

#[test]
fn class_6_many_literals_and_their_sum_are_bounded() {
    let many = |count: usize| format!("a SEARCH{}\r\n", " FROM {1+}\r\nx".repeat(count));
    let mut client = Client::logged_in();
    client.send(many(LITERALS_MAX).as_bytes());
    assert!(matches!(&client.events()[..], [Event::Command(_)]));
    client.send(many(LITERALS_MAX + 1).as_bytes());
    client.send(b"b NOOP\r\n");
    let too_many = Fault::TooMany("Too many literals");
    assert_eq!(client.events(), [bad("a", too_many), noop("b")]);

    let half = LITERAL_BYTES_MAX as usize / 2;
    let literal = format!("{{{half}+}}\r\n{}", "x".repeat(half));
    client.send(format!("a SEARCH FROM {literal} TO {literal}\r\n").as_bytes());
    assert!(matches!(&client.events()[..], [Event::Command(_)]));
    client.send(format!("a SEARCH FROM {literal} TO {literal} CC {{1}}\r\n").as_bytes());
    client.send(b"b NOOP\r\n");
    assert_eq!(
        client.events(),
        [bad("a", Fault::LiteralTooLarge), noop("b")]
    );
}

#[test]
fn class_6_before_login_only_login_and_id_have_literals() {
    let mut client = Client::before_login();
    client.send(b"a APPEND INBOX {10}\r\nb SELECT {5+}\r\nINBOX\r\nc FOO {1+}\r\nx\r\nd NOOP\r\n");
    assert_eq!(
        client.events(),
        [
            bad("a", Fault::LogInFirst),
            bad("b", Fault::LogInFirst),
            bad("c", Fault::UnknownCommand),
            noop("d")
        ]
    );
    client.send(b"a APPEND INBOX {4294967295+}\r\n");
    assert_eq!(client.events(), [fatal(Some("a"), Fault::LogInFirst)]);
}

#[test]
fn class_6_a_slow_literal_costs_its_octets_once() {
    let mut client = Client::logged_in();
    let octets = LITERAL_BYTES_MAX as usize;
    client.send(format!("a SEARCH BODY {{{octets}}}\r\n").as_bytes());
    assert!(
        client.receiver.held_bytes() < 1024,
        "allocated on a promise"
    );
    for _ in 0..octets {
        client.send(b"x");
    }
    client.send(b"\r\n");
    assert!(matches!(
        &client.events()[..],
        [Event::Continue, Event::Command(_)]
    ));
}

#[test]
fn class_7_before_login_a_connection_holds_12_kib_at_most() {
    let octets = LITERAL_BYTES_MAX_BEFORE_LOGIN as usize;
    let line = " ".repeat(LINE_BYTES_MAX_BEFORE_LOGIN - 17);
    let stream = format!("a LOGIN {{{octets}+}}\r\n{}{line}", "x".repeat(octets));
    for pieces in [1, 100, stream.len()] {
        let mut client = Client::before_login();
        stream
            .as_bytes()
            .chunks(pieces)
            .for_each(|piece| client.send(piece));
        assert_eq!(client.events(), []);
        assert!(client.receiver.held_bytes() >= stream.len());
        assert!(client.receiver.held_bytes() <= (12 << 10) + 2);
    }
}

#[test]
fn class_7_long_lines_are_refused_skipped_and_in_the_end_cut() {
    for (mut client, line_max, skip_max) in [
        (
            Client::before_login(),
            LINE_BYTES_MAX_BEFORE_LOGIN,
            SKIP_BYTES_MAX_BEFORE_LOGIN,
        ),
        (Client::logged_in(), LINE_BYTES_MAX, SKIP_BYTES_MAX),
    ] {
        let long = format!("a NOOP {}\r\nb NOOP\r\n", "x".repeat(line_max));
        long.as_bytes()
            .chunks(1000)
            .for_each(|piece| client.send(piece));
        assert_eq!(client.events(), [bad("a", Fault::LineTooLong), noop("b")]);
        // In one piece the tag is found as well.
        client.send(long.as_bytes());
        assert_eq!(client.events(), [bad("a", Fault::LineTooLong), noop("b")]);
        // A SASL response (or what should be DONE) has no tag of its own.
        client.receiver.expect_line();
        client.send(long.as_bytes());
        let untagged = Event::Bad(Fault::LineTooLong.into());
        assert_eq!(client.events(), [untagged, noop("b")]);
        // The end of the line is looked at even there: a literal is not taken for commands.
        let literal = format!(
            "a NOOP {}{{9+}}\r\nz NOOP\r\n.\r\nb NOOP\r\n",
            "x".repeat(line_max)
        );
        literal
            .as_bytes()
            .chunks(7)
            .for_each(|piece| client.send(piece));
        assert_eq!(client.events(), [bad("a", Fault::LineTooLong), noop("b")]);
        for _ in 0..line_max + skip_max as usize + 2 {
            client.send(b"x");
            assert!(client.receiver.held_bytes() <= line_max);
        }
        let heard = client.events();
        assert_eq!(heard.len(), 2);
        assert_eq!(heard[1], fatal(None, Fault::LineTooLong));
    }
}

#[test]
fn class_10_control_octets_everywhere() {
    for octet in (0..=255).filter(|b: &u8| b.is_ascii_control() || *b >= 0x80) {
        if octet == b'\n' {
            continue;
        }
        for command in ["a NOOP", "a LOGIN b c", "a LIST \"\" x", "a FETCH 1 FLAGS"] {
            for at in 0..=command.len() {
                let mut line = command.as_bytes().to_vec();
                line.insert(at, octet);
                if at == line.len() - 1 && octet == b'\r' {
                    continue;
                }
                // Inside quotes the grammar takes control characters (RFC 9051 §9, TEXT-CHAR).
                if command.contains('"') && at == 8 && octet < 0x80 && !matches!(octet, 0 | b'\r') {
                    continue;
                }
                fault(&line);
            }
        }
    }
    assert!(matches!(fault(b"a LOGIN x {3+}\r\na\0b"), Fault::Syntax(_)));
    assert!(matches!(fault(b"a LOGIN x \"a\0b\""), Fault::Syntax(_)));
    assert!(matches!(
        fault(b"a SEARCH SUBJECT {1+}\r\n\0"),
        Fault::Syntax(_)
    ));
}

#[test]
fn class_11_names() {
    for (name, seen) in [
        ("../../../etc/passwd", "../../../etc/passwd"),
        ("a//b/", "a//b/"),
    ] {
        let mailbox = seen.to_owned();
        assert_eq!(body(format!("a SELECT {name}")), Body::Select { mailbox });
    }
    let long = "x".repeat(60 << 10);
    assert!(matches!(
        fault(format!("a SELECT {long}")),
        Fault::TooMany(_)
    ));
    assert!(matches!(
        fault(format!("a CREATE {{61440+}}\r\n{long}")),
        Fault::TooMany(_)
    ));
    assert!(matches!(
        fault(format!("a LIST \"\" {long}")),
        Fault::TooMany(_)
    ));
    for overlong in ["&AGE-", "&AC8-", "&ACoAKg-", "&AA", "&", "a&b", "&AAA"] {
        assert_eq!(
            fault(format!("a CREATE {overlong}")),
            Fault::Name,
            "{overlong}"
        );
        assert_eq!(
            fault(format!("a LIST \"\" {overlong}")),
            Fault::Name,
            "{overlong}"
        );
    }
    assert_eq!(fault(b"a SELECT {2+}\r\n\xc3\xa9"), Fault::Name);
    // NUL can be spelled in modified UTF-7; no such mailbox can be made.
    let Body::Create { mailbox, .. } = body("a CREATE a&AAA-b") else {
        panic!("no CREATE");
    };
    assert!(super::super::name::check_new(&mailbox).is_err());
}

#[test]
fn tags_are_bounded_and_clean() {
    let tag = "x".repeat(TAG_BYTES_MAX);
    assert_eq!(understood(format!("{tag} NOOP")).tag, tag);
    for line in [
        "",
        " ",
        "a",
        "a ",
        " a NOOP",
        "+ NOOP",
        "a+ NOOP",
        "* NOOP",
        "a* NOOP",
        "\"a\" NOOP",
        "{1+}\r\na NOOP",
        "a\tNOOP",
        &format!("x{tag} NOOP"),
    ] {
        let expected = if line == "a " {
            Fault::UnknownCommand
        } else {
            Fault::NoTag
        };
        assert_eq!(fault(line), expected, "{line:?}");
    }
}

#[test]
fn lists_are_bounded() {
    let many = |count: usize, item: &str| vec![item; count].join(" ");
    assert!(matches!(
        fault(format!("a SEARCH {}", many(SEARCH_KEYS_MAX + 1, "ALL"))),
        Fault::TooMany(_)
    ));
    assert!(matches!(
        fault(format!("a FETCH 1 ({})", many(FETCH_ITEMS_MAX + 1, "UID"))),
        Fault::TooMany(_)
    ));
    assert!(matches!(
        fault(format!(
            "a LIST \"\" ({})",
            many(LIST_PATTERNS_MAX + 1, "x")
        )),
        Fault::TooMany(_)
    ));
    assert!(matches!(
        fault(format!("a ENABLE {}", many(OPTIONS_MAX + 1, "x"))),
        Fault::TooMany(_)
    ));
    assert!(matches!(
        fault(format!("a ID ({})", many(ID_PAIRS_MAX + 1, "\"a\" NIL"))),
        Fault::TooMany(_)
    ));
    let fields = many(HEADER_FIELDS_MAX + 1, "x");
    assert!(matches!(
        fault(format!("a FETCH 1 BODY[HEADER.FIELDS ({fields})]")),
        Fault::TooMany(_)
    ));
    let keywords: Vec<String> = (0..65).map(|n| format!("k{n}")).collect();
    assert!(matches!(
        fault(format!("a STORE 1 FLAGS ({})", keywords.join(" "))),
        Fault::TooMany(_)
    ));
    assert!(matches!(
        fault(format!("a STORE 1 FLAGS {}", "k".repeat(129))),
        Fault::TooMany(_)
    ));
}

#[test]
fn class_19_random_commands_in_random_states() {
    let mut random = Random(0x5eed);
    for _ in 0..30_000 {
        let mut stream = vec![random.next() as u8, random.pick(&[0, 1, 6, 63, 255])];
        for _ in 0..=random.below(3) {
            let mut command = random.pick(CORPUS).as_bytes().to_vec();
            for _ in 0..random.below(4) {
                mutate(&mut command, &mut random);
            }
            stream.extend(command);
        }
        fuzz_receiver(&stream);
    }
}

#[test]
fn class_19_random_octets() {
    let mut random = Random(0x0dd);
    let alphabet = b"a1 (){}+*%\"\\\r\n[]<>~$:,.&-\0\xffNILUIDSEARCHFETCH";
    for _ in 0..30_000 {
        let length = random.below(80);
        let stream: Vec<u8> = (0..length).map(|_| random.pick(alphabet)).collect();
        fuzz_receiver(&stream);
    }
}

fn mutate(command: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(command.len());
    match random.below(5) {
        0 => command[at] = random.next() as u8,
        1 => command.insert(at, random.pick(b" (){}\"\\*%\r\n0~+&[]<>\0\x80")),
        2 => drop(command.drain(at..)),
        3 => {
            let tail = command[at..].to_vec();
            command.extend(tail);
        }
        _ => {
            let other = random.pick(CORPUS).as_bytes();
            command.splice(at..at, other.iter().copied());
        }
    }
    if command.is_empty() {
        command.push(b'\n');
    }
}
