//! FETCH: octet-exact sections, partials, streams, and messages that are gone or damaged.

use super::pipe::Wire;
use super::*;
use crate::session::imap::dialogue::Dialogue;
use crate::session::imap::io::Ended;
use crate::session::imap::{Session, Terms, Trouble};
use ::store::mail::date::InternalDate;
use std::cell::RefCell;
use std::rc::Rc;

const MULTIPART: &[u8] = b"From: A <a@x.example>\r\n\
    To: b@y.example\r\n\
    Subject: two parts\r\n\
    Date: Wed, 17 Jul 1996 02:23:25 -0700\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=cut\r\n\
    \r\n\
    preamble\r\n\
    --cut\r\n\
    \r\n\
    first\r\n\
    --cut\r\n\
    Content-Type: application/octet-stream\r\n\
    Content-Transfer-Encoding: base64\r\n\
    \r\n\
    AGEAYg==\r\n\
    --cut\r\n\
    Content-Type: text/plain\r\n\
    Content-Transfer-Encoding: x-unknown\r\n\
    \r\n\
    ??\r\n\
    --cut--\r\n";

fn client(message: &[u8]) -> (Fake, Client) {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", message);
    let mut client = Client::selected(&store, ALICE);
    client.say("x ENABLE IMAP4rev2");
    (store, client)
}

/// The octets of the only literal in a response.
fn literal(response: &[u8]) -> Vec<u8> {
    let open = response.iter().position(|o| *o == b'{').unwrap();
    let close = open + response[open..].iter().position(|o| *o == b'}').unwrap();
    let count: usize = std::str::from_utf8(&response[open + 1..close])
        .unwrap()
        .parse()
        .unwrap();
    response[close + 3..close + 3 + count].to_vec()
}

#[test]
fn rows_need_no_message() {
    let (_store, mut client) = client(MULTIPART);
    let size = MULTIPART.len();
    client.play(&format!(
        "C: a1 FETCH 1 FAST
         S: * 1 FETCH (FLAGS () INTERNALDATE \"14-Nov-2023 22:13:20 +0000\" RFC822.SIZE {size})
         S: a1 OK Fetch completed
         C: a2 UID FETCH 1:* (FLAGS UID FLAGS)
         S: * 1 FETCH (UID 1 FLAGS ())
         S: a2 OK Fetch completed
         C: a3 UID FETCH 5:7 FLAGS
         S: a3 OK Fetch completed
         C: a4 UID FETCH 99:* UID
         S: * 1 FETCH (UID 1)
         S: a4 OK Fetch completed
         C: a5 FETCH 2 FLAGS
         S: a5 BAD No such message
         C: a6 FETCH 1:2 FLAGS
         S: a6 BAD No such message"
    ));
}

#[test]
fn an_empty_mailbox_has_no_star_by_number_and_none_by_uid() {
    let mut client = Client::selected(&Fake::new(), ALICE);
    client.play(
        "C: a1 FETCH * FLAGS
         S: a1 BAD No such message
         C: a2 UID FETCH 1:* FLAGS
         S: a2 OK Fetch completed
         C: a3 SEARCH 1:*
         S: * SEARCH
         S: a3 OK Search completed",
    );
}

#[test]
fn sections_are_octet_exact() {
    let (_store, mut client) = client(MULTIPART);
    let text = String::from_utf8(MULTIPART.to_vec()).unwrap();
    let header_end = text.find("\r\n\r\n").unwrap() + 4;
    for (section, expected) in [
        ("BODY.PEEK[]", text.as_str()),
        ("BODY.PEEK[HEADER]", &text[..header_end]),
        ("BODY.PEEK[TEXT]", &text[header_end..]),
        ("BODY.PEEK[1]", "first"),
        ("BODY.PEEK[1.MIME]", "\r\n"),
        ("BODY.PEEK[2]", "AGEAYg=="),
        (
            "BODY.PEEK[2.MIME]",
            "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        ),
        (
            "BODY.PEEK[HEADER.FIELDS (subject TO x)]",
            "To: b@y.example\r\nSubject: two parts\r\n\r\n",
        ),
        (
            "BODY.PEEK[HEADER.FIELDS.NOT (from to date mime-version content-type)]",
            "Subject: two parts\r\n\r\n",
        ),
        ("RFC822.HEADER", &text[..header_end]),
        ("BINARY.PEEK[1]", "first"),
    ] {
        let response = client.say_octets(format!("a FETCH 1 {section}\r\n").as_bytes());
        assert_eq!(
            literal(response.as_bytes()),
            expected.as_bytes(),
            "{section}: {response}"
        );
        assert!(
            response.ends_with(")\r\na OK Fetch completed\r\n"),
            "{response}"
        );
        assert!(!response.contains("FLAGS ("), "{section} peeks");
    }
    client.play(
        "C: b1 FETCH 1 (BODY.PEEK[4] BODY.PEEK[1.1] BODY.PEEK[1.HEADER])
         S: * 1 FETCH (BODY[4] NIL BODY[1.1] NIL BODY[1.HEADER] NIL)
         S: b1 OK Fetch completed",
    );
}

#[test]
fn binary_decodes_and_says_so() {
    let (_store, mut client) = client(MULTIPART);
    let response = client.say("a1 FETCH 1 BINARY.PEEK[2]");
    assert!(
        response.starts_with("* 1 FETCH (BINARY[2] ~{4}\r\n\0a\0b)\r\n"),
        "{response}"
    );
    client.play(
        "C: a2 FETCH 1 (BINARY.SIZE[2] BINARY.SIZE[1] BINARY.PEEK[2]<1.2>)
         S: * 1 FETCH (BINARY.SIZE[2] 4 BINARY.SIZE[1] 5 BINARY[2]<1> ~{2}
         S: a\0)
         S: a2 OK Fetch completed
         C: a3 FETCH 1 BINARY.PEEK[3]
         S: a3 NO [UNKNOWN-CTE] …
         C: a4 FETCH 1 BINARY.PEEK[9]
         S: * 1 FETCH (BINARY[9] NIL)
         S: a4 OK Fetch completed",
    );
}

#[test]
fn partials_are_clipped() {
    let (_store, mut client) = client(b"Subject: x\r\n\r\n0123456789");
    for (partial, origin, expected) in [
        ("<0.3>", "<0>", "012"),
        ("<8.3>", "<8>", "89"),
        ("<9.1>", "<9>", "9"),
        ("<10.1>", "<10>", ""),
        ("<4294967295.4294967295>", "<4294967295>", ""),
        ("<0.4294967295>", "<0>", "0123456789"),
    ] {
        let response = client.say(&format!("a FETCH 1 BODY.PEEK[TEXT]{partial}"));
        let count = expected.len();
        let item = format!("* 1 FETCH (BODY[TEXT]{origin} {{{count}}}\r\n{expected})\r\n");
        assert!(response.starts_with(&item), "{partial}: {response}");
    }
    client.play(
        "C: b1 FETCH 1 BODY.PEEK[HEADER.FIELDS (subject)]<9.3>
         S: * 1 FETCH (BODY[HEADER.FIELDS (subject)]<9> {3}
         S: x
         S: )
         S: b1 OK Fetch completed
         C: b2 FETCH 1 BODY.PEEK[TEXT]<0.0>
         S: b2 BAD …",
    );
}

#[test]
fn reading_a_body_sets_seen_and_tells_it() {
    let (store, mut client) = client(b"Subject: x\r\n\r\ny");
    store.deliver(ALICE, "INBOX", b"Subject: z\r\n\r\nw");
    let mut other = Client::selected(&store, ALICE);
    client.play(
        "C: a0 NOOP
         S: * 2 EXISTS
         S: a0 OK Done
         C: a1 FETCH 1 BODY.PEEK[TEXT]
         S: * 1 FETCH (BODY[TEXT] {1}
         S: y)
         S: a1 OK Fetch completed
         C: a2 FETCH 1 BODY[TEXT]
         S: * 1 FETCH (BODY[TEXT] {1}
         S: y FLAGS (\\Seen))
         S: a2 OK Fetch completed
         C: a3 FETCH 1:2 (FLAGS BODY[TEXT])
         S: * 1 FETCH (FLAGS (\\Seen) BODY[TEXT] {1}
         S: y)
         S: * 2 FETCH (FLAGS (\\Seen) BODY[TEXT] {1}
         S: w)
         S: a3 OK Fetch completed",
    );
    let told = other.say("b NOOP");
    assert!(told.contains("* 1 FETCH (UID 1 FLAGS (\\Seen))"), "{told}");
}

#[test]
fn envelope_and_structure() {
    let (_store, mut client) = client(MULTIPART);
    client.play(
        "C: a1 FETCH 1 ENVELOPE
         S: * 1 FETCH (ENVELOPE (\"Wed, 17 Jul 1996 02:23:25 -0700\" \"two parts\" \
         ((\"A\" NIL \"a\" \"x.example\")) \
         ((\"A\" NIL \"a\" \"x.example\")) ((\"A\" NIL \"a\" \"x.example\")) \
         ((NIL NIL \"b\" \"y.example\")) NIL NIL NIL NIL))
         S: a1 OK Fetch completed",
    );
    let body = client.say("a2 FETCH 1 BODY");
    assert!(
        body.starts_with("* 1 FETCH (BODY ((\"text\" \"plain\""),
        "{body}"
    );
    assert!(body.contains("\"mixed\"))\r\n"), "{body}");
    let structure = client.say("a3 FETCH 1 BODYSTRUCTURE");
    assert!(structure.contains("(\"boundary\" \"cut\")"), "{structure}");
}

/// Memory for a large literal is one piece, and no octet is sent before the whole was checked.
#[test]
fn a_large_message_streams() {
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    message.extend((0..3_000_000u32).map(|at| (at % 251) as u8 + 1));
    let (store, mut client) = client(&message);
    client.push(b"a FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT]<1000000.1000000>)\r\n");
    let response = client.listen_octets();
    assert_eq!(literal(&response), message);
    assert!(
        client.pipe.largest_send.get() <= 256 << 10,
        "{}",
        client.pipe.largest_send.get()
    );
    store.damage_last(2_900_000);
    client.play(
        "C: b FETCH 1 (UID BODY.PEEK[])
         S: b NO [SERVERBUG] …
         C: c FETCH 1 BODY.PEEK[]<0.3>
         S: * 1 FETCH (BODY[]<0> {3}
         S: Sub)
         S: c OK Fetch completed",
    );
}

#[test]
fn a_slow_client_gets_every_octet_once() {
    let line = "Y2hlZXNlIGFuZCBvbmlvbnM=\r\n".repeat(25_000);
    let header = "Content-Transfer-Encoding: base64\r\n\r\n";
    for content in [&line, &line[..100_100]] {
        let message = format!("{header}{content}").into_bytes();
        let (_store, mut client) = client(&message);
        for item in ["BODY.PEEK[]", "BINARY.PEEK[1]", "BODY.PEEK[TEXT]<7.400000>"] {
            let command = format!("a UID FETCH 1 (UID {item} FLAGS)");
            client.pipe.takes.set(None);
            let all_at_once = client.say(&command);
            client.pipe.takes.set(Some(50_001));
            let bit_by_bit = client.say(&command);
            assert!(all_at_once.len() > 50_001, "more than it takes at once");
            assert!(all_at_once == bit_by_bit, "{item} of {}", message.len());
        }
    }
}

#[test]
fn a_message_that_breaks_under_way_ends_the_connection() {
    let (store, mut client) = client(&vec![b'x'; 3_000_000]);
    client.push(b"a FETCH 1 BODY.PEEK[]\r\n");
    while client.pipe.largest_send.get() < 64 << 10 {
        assert!(client.step(), "the stream suspends at each piece");
    }
    store.damage_last(2_900_000);
    let sent = client.listen_octets();
    assert!(sent.len() < 3_000_000);
    assert_eq!(client.ended, Some(Ended::Damaged));
}

#[test]
fn a_damaged_message_costs_only_itself() {
    let (store, mut client) = client(b"Subject: 1\r\n\r\na");
    store.deliver(ALICE, "INBOX", b"Subject: 2\r\n\r\nb");
    store.damage_last(0);
    store.deliver(ALICE, "INBOX", b"Subject: 3\r\n\r\nc");
    client.say("x NOOP");
    client.play(
        "C: a1 FETCH 1:3 (FLAGS BODY[TEXT])
         S: * 1 FETCH (FLAGS (\\Seen) BODY[TEXT] {1}
         S: a)
         S: * 2 FETCH (UID 2 FLAGS (\\Seen))
         S: * 3 FETCH (FLAGS (\\Seen) BODY[TEXT] {1}
         S: c)
         S: a1 NO [SERVERBUG] …
         C: a2 FETCH 1:3 FLAGS
         S: * 1 FETCH (FLAGS (\\Seen))
         S: * 2 FETCH (FLAGS (\\Seen))
         S: * 3 FETCH (FLAGS (\\Seen))
         S: a2 OK Fetch completed
         C: a3 SEARCH BODY c
         S: * NO [SERVERBUG] …
         S: * ESEARCH (TAG \"a3\") ALL 3
         S: a3 OK Search completed",
    );
}

/// The operator hears which message it was, once for each time it was asked for.
#[test]
fn damage_is_reported() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"Subject: 1\r\n\r\na");
    store.damage_last(0);
    let heard: Rc<RefCell<Vec<Trouble>>> = Rc::default();
    let report = Rc::clone(&heard);
    let mut client = Client::serve(|wire| {
        Box::pin(async move {
            let terms = Terms {
                ascii_headers: true,
                converters: None,
                autologout: std::time::Duration::from_secs(1800),
                append_bytes_max: 1,
                messages_max: None,
                now: Rc::new(InternalDate::default),
            };
            let report =
                Rc::new(move |trouble: &Trouble| report.borrow_mut().push(trouble.clone()));
            let mut session = Session::new(store, ALICE, terms).reporting_to(report);
            session.run(&mut Dialogue::new(wire), "x").await
        })
    });
    client.say_octets(b"a SELECT INBOX\r\nb FETCH 1 BODY.PEEK[]\r\nc SEARCH BODY x\r\n");
    let heard: Vec<_> = heard
        .take()
        .into_iter()
        .map(|t| (t.account, t.uid.0))
        .collect();
    assert_eq!(heard, [(ALICE, 1), (ALICE, 1)]);
}

/// Most connections wait most of the time: what they hold then is bounded here.
#[test]
fn a_waiting_session_is_small() {
    let store = Fake::new();
    let terms = Terms {
        ascii_headers: true,
        converters: None,
        autologout: std::time::Duration::from_secs(1800),
        append_bytes_max: 1,
        messages_max: None,
        now: Rc::new(InternalDate::default),
    };
    let mut session = Session::new(store, ALICE, terms);
    let mut dialogue = Dialogue::new(Wire(Rc::default()));
    let future = session.run(&mut dialogue, "x");
    assert!(size_of_val(&future) <= 2048, "{}", size_of_val(&future));
}

#[test]
fn nul_octets_come_back_as_they_went_in() {
    let (_store, mut client) = client(b"Subject: x\r\n\r\na\0b");
    let response = client.say_octets(b"a FETCH 1 BODY.PEEK[TEXT]\r\n");
    assert!(
        response.starts_with("* 1 FETCH (BODY[TEXT] {3}\r\na\0b)\r\n"),
        "{response:?}"
    );
}
