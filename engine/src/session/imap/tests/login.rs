//! Before login: greeting, STARTTLS, LOGIN, AUTHENTICATE, and hostile clients.

use super::door::Way;
use super::*;
use crate::session::imap::io::Ended;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A connection at whose door passwords are taken in clear, or not.
fn connect(in_clear: bool) -> Client {
    let way = Way {
        in_clear,
        append_bytes_max: 1000,
    };
    let mut client = way.connect(&Fake::new());
    let greeting = client.listen();
    assert!(
        greeting.starts_with("* OK [CAPABILITY IMAP4rev1 IMAP4rev2 "),
        "{greeting}"
    );
    assert_eq!(greeting.contains("LOGINDISABLED"), !in_clear);
    client
}

fn initial(text: &str) -> String {
    STANDARD.encode(text)
}

fn bearer(token: &str) -> String {
    initial(&format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}"))
}

#[test]
fn a_password_waits_for_tls() {
    let mut client = connect(false);
    client.play(
        "C: a1 LOGIN alice secret
         S: a1 NO [PRIVACYREQUIRED] Begin TLS before you log in
         C: a2 AUTHENTICATE PLAIN
         S: a2 NO [PRIVACYREQUIRED] Begin TLS before you log in
         C: a3 STARTTLS
         S: a3 OK Begin TLS now
         C: a4 STARTTLS
         S: a4 BAD TLS is already active
         C: a5 CAPABILITY
         S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE \
            AUTH=SCRAM-SHA-256 AUTH=OAUTHBEARER AUTH=PLAIN AUTH=LOGIN
         S: a5 OK Done
         C: a6 LOGIN alice secret
         S: a6 OK [CAPABILITY IMAP4rev1 …
         C: a7 SELECT INBOX
         S: * FLAGS …
         S: * OK [PERMANENTFLAGS …
         S: * 0 EXISTS
         S: * 0 RECENT
         S: * OK [UIDVALIDITY …
         S: * OK [UIDNEXT …
         S: * OK [HIGHESTMODSEQ 2] The highest MODSEQ
         S: * OK [MAILBOXID …
         S: a7 OK [READ-WRITE] Selected",
    );
}

/// Attack class 2: what was said in the clear behind STARTTLS was never said.
#[test]
fn commands_behind_starttls_are_thrown_away() {
    let mut client = connect(false);
    let reply = client.say_octets(b"a STARTTLS\r\nb CAPABILITY\r\nc LOGIN alice secret\r\nd LOG");
    assert_eq!(reply, "a OK Begin TLS now\r\n");
    assert_eq!(client.say("e NOOP"), "e OK Done\r\n");
    let mut bare = connect(true);
    bare.pipe.certificate.set(false);
    assert_eq!(bare.say("a STARTTLS"), "a BAD TLS is not available\r\n");
}

#[test]
fn every_mechanism_lets_in_and_refuses() {
    let good = initial("\0alice\0secret");
    let (user, password) = (initial("alice"), initial("secret"));
    for (said, expected) in [
        (
            format!("a AUTHENTICATE PLAIN {good}\r\n"),
            "a OK [CAPABILITY",
        ),
        (
            format!("a AUTHENTICATE plain\r\n{good}\r\n"),
            "+ \r\na OK [CAPABILITY",
        ),
        (
            format!("a AUTHENTICATE LOGIN\r\n{user}\r\n{password}\r\n"),
            "+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\na OK [CAPABILITY",
        ),
        (
            "a LOGIN {5+}\r\nalice {6+}\r\nsecret\r\n".to_owned(),
            "a OK [CAPABILITY",
        ),
        (
            "a LOGIN alice wrong\r\n".to_owned(),
            "a NO [AUTHENTICATIONFAILED]",
        ),
        (
            "a LOGIN nobody-knows x\r\n".to_owned(),
            "a NO [UNAVAILABLE]",
        ),
        (
            "a LOGIN everywhere x\r\n".to_owned(),
            "a NO [LIMIT] Too many connections",
        ),
        (
            format!("a AUTHENTICATE OAUTHBEARER {}\r\n", bearer("good")),
            "a OK [CAPABILITY",
        ),
        (
            format!("a AUTHENTICATE OAUTHBEARER {}\r\nAQ==\r\n", bearer("bad")),
            "+ eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=\r\na NO [AUTHENTICATIONFAILED]",
        ),
        (
            "a LOGIN \"\" \"\"\r\n".to_owned(),
            "a NO [AUTHENTICATIONFAILED]",
        ),
        ("a AUTHENTICATE GSSAPI\r\n".to_owned(), "a NO "),
        (
            "a AUTHENTICATE PLAIN\r\n*\r\n".to_owned(),
            "+ \r\na BAD Authentication cancelled",
        ),
        (
            "a AUTHENTICATE PLAIN\r\n!!!\r\n".to_owned(),
            "+ \r\na BAD Not base64",
        ),
        (
            format!("a AUTHENTICATE PLAIN {}\r\n", initial("broken")),
            "a BAD ",
        ),
        ("a SELECT INBOX\r\n".to_owned(), "a BAD Log in first"),
        ("a IDLE\r\n".to_owned(), "a BAD Log in first"),
        ("a ENABLE IMAP4rev2\r\n".to_owned(), "a BAD Log in first"),
        (
            "a ID NIL\r\n".to_owned(),
            "* ID (\"name\" \"Ringpost\")\r\na OK Done",
        ),
        ("a LOGOUT\r\n".to_owned(), "* BYE Goodbye\r\na OK Done"),
    ] {
        let reply = connect(true).say_octets(said.as_bytes());
        assert!(reply.starts_with(expected), "{said}: {reply}");
    }
}

/// A stranger gets a salt like everybody and is refused at the end (attack class 8).
#[test]
fn scram_tells_no_stranger_from_a_user() {
    let mut client = connect(false);
    let first = client.say(&format!(
        "a AUTHENTICATE SCRAM-SHA-256 {}",
        initial("n,,n=eve,r=abc")
    ));
    let challenge = first.strip_prefix("+ ").unwrap().trim_end();
    let challenge = String::from_utf8(STANDARD.decode(challenge).unwrap()).unwrap();
    assert!(challenge.starts_with("r=abcservernonce,s="), "{challenge}");
    let proof = STANDARD.encode([1; 32]);
    let last = initial(&format!("c=biws,r=abcservernonce,p={proof}"));
    assert!(client.say(&last).starts_with("a NO [AUTHENTICATIONFAILED]"));
}

#[test]
fn pipelined_commands_go_along_to_the_session() {
    let mut client = connect(true);
    let reply = client.say_octets(b"a LOGIN alice secret\r\nb SELECT INBOX\r\nc NOOP\r\n");
    assert!(reply.starts_with("a OK [CAPABILITY"), "{reply}");
    assert!(
        reply.ends_with("b OK [READ-WRITE] Selected\r\nc OK Done\r\n"),
        "{reply}"
    );
}

#[test]
fn guessing_and_dawdling_end() {
    let mut client = connect(true);
    for _ in 0..2 {
        assert!(client.say("a LOGIN alice guess").starts_with("a NO"));
    }
    assert!(client.say("a LOGIN alice guess").contains("* BYE"));
    assert_eq!(client.ended, Some(Ended::Finished));
    let mut dawdler = connect(true);
    let mut said = 0;
    while dawdler.ended.is_none() && said < 1000 {
        said += 1;
        dawdler.say("a NOOP");
    }
    assert_eq!(said, 64);
    let mut silent = connect(true);
    assert_eq!(silent.end(Ended::TimedOut), "* BYE Idle for too long\r\n");
}

/// Attack classes 6 and 7: nothing large is taken before login.
#[test]
fn nothing_large_is_taken_before_login() {
    for said in [
        "a LOGIN {4294967295}\r\n".to_owned(),
        "a LOGIN {9223372036854775808}\r\n".to_owned(),
        "a LOGIN {-1}\r\n".to_owned(),
        "a NOOP {5}\r\n".to_owned(),
        "a APPEND INBOX {5}\r\n".to_owned(),
        format!("a AUTHENTICATE PLAIN {}\r\n", "A".repeat(20_000)),
        format!("a AUTHENTICATE PLAIN\r\n{}\r\n", "A".repeat(20_000)),
        format!("a LOGIN {}\r\n", "(".repeat(20_000)),
    ] {
        let mut client = connect(true);
        let reply = client.say_octets(said.as_bytes());
        let shown = &said[..said.len().min(60)];
        assert!(
            reply.contains("a BAD") || reply.contains("* BYE"),
            "{shown}: {reply}"
        );
        assert!(!reply.contains("+ OK"), "{shown}: {reply}");
    }
    let mut client = connect(true);
    let endless = client.say_octets(&vec![b'x'; 1 << 20]);
    assert!(endless.contains("* BYE"), "{endless}");
}

/// RFC 8437: another user on the same connection, who finds nothing of the first.
#[test]
fn who_leaves_may_come_again() {
    let mut client = connect(true);
    client.say("a LOGIN alice secret");
    client.say("b ENABLE IMAP4rev2");
    assert!(client.say("c SELECT INBOX").contains("c OK"));
    assert_eq!(client.say("d UNAUTHENTICATE"), "d OK Done\r\n");
    assert_eq!(client.say("e SELECT INBOX"), "e BAD Log in first\r\n");
    let words = client.say("f CAPABILITY");
    assert!(
        words.contains("AUTH=PLAIN") && !words.contains("UNAUTHENTICATE"),
        "{words}"
    );
    assert!(client.say("g LOGIN alice wrong").starts_with("g NO"));
    assert!(
        client
            .say("h LOGIN alice secret")
            .starts_with("h OK [CAPABILITY")
    );
    assert!(client.say("i FETCH 1 FLAGS").starts_with("i BAD"));
    assert!(
        client.say("j SELECT INBOX").contains("* 0 RECENT"),
        "ENABLE was forgotten"
    );
    assert_eq!(client.say("k UNAUTHENTICATE"), "k OK Done\r\n");
    assert_eq!(client.say("l UNAUTHENTICATE"), "l BAD Log in first\r\n");
}
