//! APPEND: literals in every chunking, and what is refused when.

use super::*;
use ::store::mail::flags::Flags;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

#[test]
fn a_literal_arrives_in_any_pieces() {
    for chunk in 1..40 {
        for plus in ["", "+"] {
            let store = Fake::new();
            let mut client = Client::selected(&store, ALICE);
            client.pipe.chunk.set(chunk);
            let line = format!(
                "a APPEND INBOX (\\Seen $x) \"17-Jul-1996 02:44:25 -0700\" {{{}{plus}}}\r\n",
                MESSAGE.len()
            );
            let go_ahead = client.say_octets(line.as_bytes());
            assert_eq!(go_ahead, if plus.is_empty() { "+ OK\r\n" } else { "" });
            let reply = client.say_octets(&[MESSAGE, b"\r\nb NOOP\r\n"].concat());
            assert!(reply.contains("* 1 EXISTS\r\n"), "{reply}");
            assert!(
                reply.contains("a OK [APPENDUID 1001 1] Append completed\r\n"),
                "{reply}"
            );
            assert!(reply.ends_with("b OK Done\r\n"), "{reply}");
            assert_eq!(
                store.contents(ALICE, "INBOX"),
                [(1, Flags::SEEN, MESSAGE.to_vec())]
            );
            let date = client.say("c FETCH 1 INTERNALDATE");
            assert!(date.contains("\"17-Jul-1996 02:44:25 -0700\""), "{date}");
        }
    }
}

#[test]
fn what_must_fail_is_refused_before_the_octets() {
    let store = Fake::new();
    let mut client = Client::new(&store, ALICE);
    client.play(
        "C: a1 APPEND Nowhere {5}
         S: a1 NO [TRYCREATE] No such mailbox; create it first
         C: a2 APPEND INBOX {1048577}
         S: a2 NO [TOOBIG] The message is too big
         C: a3 APPEND INBOX {0}
         S: a3 NO …
         C: a4 APPEND INBOX {9223372036854775808}
         S: a4 BAD …
         C: a5 APPEND INBOX {-1}
         S: a5 BAD …
         C: a6 APPEND INBOX (\\Nonsense) {5}
         S: a6 BAD …
         C: a7 NOOP
         S: a7 OK Done",
    );
    store.set_quota(ALICE, 3);
    client.play(
        "C: b1 APPEND INBOX {5}
         S: b1 NO [OVERQUOTA] Quota exceeded",
    );
}

#[test]
fn refused_octets_that_come_anyway_are_no_commands() {
    let store = Fake::new();
    let mut client = Client::new(&store, ALICE);
    let reply = client.say_octets(b"a APPEND Nowhere {12+}\r\nb LOGOUT\r\n\r\n\r\nc NOOP\r\n");
    assert_eq!(
        reply,
        "a NO [TRYCREATE] No such mailbox; create it first\r\nc OK Done\r\n"
    );
    let reply = client.say_octets(b"a APPEND INBOX {99999999999+}\r\nb LOGOUT\r\n");
    assert!(
        reply.contains("a NO [TOOBIG]") && reply.contains("* BYE"),
        "{reply}"
    );
    assert!(client.ended.is_some());
}

#[test]
fn nul_needs_a_literal8() {
    let store = Fake::new();
    let mut client = Client::new(&store, ALICE);
    assert_eq!(
        client.say_octets(b"a APPEND INBOX {3+}\r\na\0b\r\n"),
        "a NO A NUL needs a literal8\r\n"
    );
    let reply = client.say_octets(b"b APPEND INBOX ~{3+}\r\na\0b\r\n");
    assert!(reply.starts_with("b OK [APPENDUID"), "{reply}");
    assert_eq!(store.contents(ALICE, "INBOX").len(), 1);
}

#[test]
fn garbage_behind_the_message_keeps_nothing() {
    let store = Fake::new();
    let mut client = Client::new(&store, ALICE);
    let reply = client.say_octets(b"a APPEND INBOX {1+}\r\nx garbage\r\nb NOOP\r\n");
    assert!(
        reply.starts_with("a BAD") && reply.ends_with("b OK Done\r\n"),
        "{reply}"
    );
    assert!(store.contents(ALICE, "INBOX").is_empty());
}

#[test]
fn a_full_log_and_a_quota_met_late_are_answered() {
    let store = Fake::new();
    let mut client = Client::new(&store, ALICE);
    store.set_full(true);
    let reply = client.say_octets(b"a APPEND INBOX {1+}\r\nx\r\nb NOOP\r\n");
    assert!(
        reply.starts_with("a NO [UNAVAILABLE]") && reply.ends_with("b OK Done\r\n"),
        "{reply}"
    );
    store.set_full(false);
    client.say("c APPEND INBOX {1}");
    store.set_quota(ALICE, 0);
    assert_eq!(
        client.say_octets(b"x\r\n"),
        "c NO [OVERQUOTA] Quota exceeded\r\n"
    );
}

#[test]
fn a_large_literal_passes_through() {
    let store = Fake::new();
    let mut client = Client::new(&store, ALICE);
    let message = vec![b'm'; 1 << 20];
    client.say("a APPEND INBOX {1048576}");
    client.pipe.chunk.set(4099);
    let reply = client.say_octets(&[&message[..], b"\r\n"].concat());
    assert!(reply.starts_with("a OK [APPENDUID"), "{reply}");
    assert_eq!(store.contents(ALICE, "INBOX")[0].2, message);
}

#[test]
fn several_messages_come_all_or_none() {
    let store = Fake::new();
    let mut client = Client::selected(&store, ALICE);
    let both = b"a APPEND INBOX (\\Seen) {1+}\r\nx {2+}\r\nyz\r\nb NOOP\r\n";
    for chunk in [1, 2, 3, 100] {
        client.pipe.chunk.set(chunk);
        let reply = client.say_octets(both);
        assert!(reply.contains("a OK [APPENDUID 1001 "), "{reply}");
        assert!(reply.ends_with("b OK Done\r\n"), "{reply}");
    }
    let contents = store.contents(ALICE, "INBOX");
    assert_eq!(contents.len(), 8);
    assert_eq!(contents[0], (1, Flags::SEEN, b"x".to_vec()));
    assert_eq!(contents[1], (2, Flags::NONE, b"yz".to_vec()));
    // RFC 3502 §6.3.11: one that fails takes the others along; so does one of no octets.
    for (stream, why) in [
        (&b"c APPEND INBOX {1+}\r\nx {2+}\r\ny\0\r\n"[..], "c NO "),
        (b"c APPEND INBOX {1+}\r\nx {0+}\r\n\r\n", "c NO "),
        (
            b"c APPEND INBOX {1+}\r\nx {2+}\r\nyz {9}\r\n",
            "c NO [OVERQUOTA]",
        ),
        (b"c APPEND INBOX {1+}\r\nx nonsense {1+}\r\ny\r\n", "c BAD "),
    ] {
        store.set_quota(ALICE, 20);
        let reply = client.say_octets(&[stream, b"d NOOP\r\n"].concat());
        assert!(reply.contains(why), "{reply}");
        assert!(reply.ends_with("d OK Done\r\n"), "{reply}");
        assert_eq!(store.contents(ALICE, "INBOX").len(), 8, "{reply}");
    }
}

#[test]
fn the_uids_of_several_are_told_as_a_set() {
    let store = Fake::new();
    let mut client = Client::new(&store, ALICE);
    let reply = client.say_octets(b"a APPEND INBOX {1+}\r\nx {1+}\r\ny {1+}\r\nz\r\n");
    assert_eq!(reply, "a OK [APPENDUID 1001 1:3] Append completed\r\n");
}

#[test]
fn parts_of_other_messages_are_put_together() {
    let store = Fake::new();
    let mut client = Client::selected(&store, ALICE);
    client.say_octets(b"a APPEND INBOX {20+}\r\nSubject: x\r\n\r\nbody\r\n\r\n");
    let stream = b"b APPEND INBOX CATENATE (URL \"/INBOX;UIDVALIDITY=1001/;UID=1/;SECTION=TEXT\" \
        TEXT {3+}\r\nand URL \";UID=1/;PARTIAL=9.3\")\r\n";
    let reply = client.say_octets(stream);
    assert!(reply.contains("b OK [APPENDUID 1001 2]"), "{reply}");
    assert_eq!(store.contents(ALICE, "INBOX")[1].2, b"body\r\nandx\r\n");
    for url in [
        "/INBOX;UID=9",
        "/Nowhere;UID=1",
        "/INBOX;UIDVALIDITY=7/;UID=1",
        "/INBOX;UID=1/;SECTION=3",
        "imap://else.where/INBOX;UID=1",
        "/x]y",
    ] {
        let reply = client.say(&format!("c APPEND INBOX CATENATE (URL \"{url}\")"));
        let shown = url.replace(']', "%5D");
        assert!(
            reply.starts_with(&format!("c NO [BADURL {shown}]")),
            "{reply}"
        );
    }
    let reply = client.say_octets(b"d APPEND INBOX CATENATE (TEXT {1+}\r\nx URL y)\r\ne NOOP\r\n");
    assert!(reply.starts_with("d NO [BADURL y]"), "{reply}");
    assert_eq!(store.contents(ALICE, "INBOX").len(), 2);
}

#[test]
fn a_replaced_message_goes_when_the_new_one_is_there() {
    let store = Fake::new();
    let mut client = Client::selected(&store, ALICE);
    client.say_octets(b"a APPEND INBOX {3+}\r\nold {5+}\r\nother\r\n");
    client.say("a NOOP");
    let reply = client.say_octets(b"b REPLACE 1 INBOX (\\Draft) {3+}\r\nnew\r\n");
    assert_eq!(
        reply,
        "* OK [APPENDUID 1001 3] Append completed\r\n* 1 EXPUNGE\r\n* 2 EXISTS\r\n\
         * 2 RECENT\r\nb OK Replace completed\r\n"
    );
    assert!(client.say("c REPLACE 9 INBOX {3}").starts_with("c BAD"));
    assert!(client.say("c UID REPLACE 1 INBOX {3}").starts_with("c NO"));
    assert!(
        client
            .say("c UID REPLACE 2 Nowhere {3}")
            .starts_with("c NO [TRYCREATE]")
    );
    client.say("d EXAMINE INBOX");
    assert!(client.say("e REPLACE 1 INBOX {3}").starts_with("e NO"));
    client.say("f UNSELECT");
    assert!(client.say("g REPLACE 1 INBOX {3}").starts_with("g BAD"));
    assert_eq!(store.contents(ALICE, "INBOX").len(), 2);
}

#[test]
fn utf8_messages_are_for_those_who_enabled_them() {
    let store = Fake::new();
    let mut client = Client::new(&store, ALICE);
    let stream = "b APPEND INBOX UTF8 (~{2+}\r\né)\r\n".as_bytes();
    assert!(client.say_octets(stream).starts_with("b BAD"));
    assert_eq!(
        client.say("a ENABLE UTF8=ACCEPT"),
        "* ENABLED UTF8=ACCEPT\r\na OK Enabled\r\n"
    );
    assert!(client.say_octets(stream).starts_with("b OK [APPENDUID"));
    assert!(client.say("c CREATE \"Été\"").starts_with("c OK"));
    let listed = client.say("d LIST \"\" E%");
    assert!(listed.is_empty() || listed.contains("d OK"), "{listed}");
    assert!(client.say("d LIST \"\" \"É%\"").contains("\"Été\""));
}

/// What stands behind the octets of a message may be a literal, and its client waits to be asked.
#[test]
fn a_string_behind_a_message_may_be_a_literal_that_waits() {
    let store = Fake::new();
    let mut client = Client::new(&store, ALICE);
    let said = client.say_octets(b"a APPEND INBOX CATENATE (TEXT {3+}\r\nabc URL {20}\r\n");
    assert!(said.starts_with('+'), "{said}");
    let said = client.say_octets(b"/INBOX/;UID=99999999)\r\n");
    assert!(said.starts_with("a NO [BADURL "), "{said}");
    assert_eq!(client.say("b NOOP"), "b OK Done\r\n");
}
