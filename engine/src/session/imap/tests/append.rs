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
