//! Attack classes 5, 6, 10, 11 and 19: anything in any order. The session never hangs, never
//! panics, answers every tag once, and what one client says changes nothing for another account.

use super::*;

const SEEDS: u64 = 300;

/// Pieces of commands, good and bad.
const WORDS: [&str; 76] = [
    "NOOP",
    "NOTIFY SET",
    "NOTIFY NONE",
    "STATUS (selected (MessageNew (UID BODY[]) MessageExpunge FlagChange))",
    "(personal (MailboxName SubscriptionChange MessageNew MessageExpunge))",
    "UIDBATCHES",
    "QRESYNC",
    "UIDONLY",
    "(QRESYNC (1001 1 1:5))",
    "(CHANGEDSINCE 1 VANISHED)",
    "(UNCHANGEDSINCE 3)",
    "(PARTIAL -1:-4294967295)",
    "500",
    "SELECT",
    "EXAMINE",
    "INBOX",
    "FETCH",
    "UID",
    "STORE",
    "SEARCH",
    "COPY",
    "MOVE",
    "APPEND",
    "LIST",
    "LSUB",
    "STATUS",
    "CREATE",
    "DELETE",
    "RENAME",
    "CLOSE",
    "EXPUNGE",
    "IDLE",
    "DONE",
    "ENABLE",
    "IMAP4rev2",
    "CHECK",
    "1:*",
    "*",
    "$",
    "1",
    "4294967295",
    "0",
    "(",
    ")",
    "((((",
    "BODY[]",
    "BODY[1.2.3.MIME]",
    "BODY[HEADER.FIELDS (A B)]<0.9>",
    "ENVELOPE",
    "FLAGS",
    "+FLAGS.SILENT",
    "(\\Seen)",
    "\\Deleted",
    "RETURN",
    "(SAVE)",
    "(MIN MAX)",
    "NOT",
    "OR",
    "ALL",
    "SUBJECT",
    "\"x\"",
    "\"\"",
    "%",
    "../..",
    "&",
    "&AAA-",
    "{3}",
    "{3+}\r\nabc",
    "{-1}",
    "{9223372036854775808}",
    "~{2+}\r\n\0\0",
    "\0",
    "\u{7f}",
    "é",
    "kw",
    "Other/Sub",
];

#[test]
fn anything_in_any_order() {
    for seed in 1..=SEEDS {
        let mut random = Random::new(seed);
        let store = Fake::new();
        store.deliver(BOB, "INBOX", b"canary");
        store.deliver(ALICE, "INBOX", b"Subject: x\r\n\r\ny");
        let mut client = Client::new(&store, ALICE);
        client.pipe.chunk.set(random.below(30));
        for tag in 0..60 {
            let words: Vec<&str> = (0..1 + random.below(7))
                .map(|_| random.one_of(&WORDS))
                .collect();
            let said = format!("t{tag} {}\r\n", words.join(" "));
            let heard = client.say_octets(said.as_bytes());
            assert!(!heard.contains("canary"), "seed {seed}: {said}");
            if client.ended.is_some() {
                assert!(heard.contains("* BYE"), "seed {seed}: {said} {heard}");
                break;
            }
        }
        let bob = Client::new(&store, BOB).say("b STATUS INBOX (MESSAGES)");
        assert!(
            bob.starts_with("* STATUS INBOX (MESSAGES 1)"),
            "seed {seed}: {bob}"
        );
    }
}

#[test]
fn every_command_is_answered_once_whatever_the_pieces() {
    let commands = "t1 NOOP\r\nt2 SELECT INBOX\r\nt3 FETCH 1 (FLAGS BODY[])\r\nt4 XYZZY\r\n\
        t5 IDLE\r\nDONE\r\nt6 APPEND INBOX {3+}\r\nabc\r\nt7 SEARCH TEXT {1+}\r\na\r\n\
        t8 NOOP ((((\r\n\
        t9 LOGOUT\r\n";
    let mut whole = None;
    for chunk in 1..commands.len() {
        let store = Fake::new();
        store.deliver(ALICE, "INBOX", b"Subject: x\r\n\r\ny");
        let mut client = Client::new(&store, ALICE);
        client.pipe.chunk.set(chunk);
        let heard = client.say_octets(commands.as_bytes());
        for tag in 1..=9 {
            let answers = heard
                .lines()
                .filter(|l| l.starts_with(&format!("t{tag} ")))
                .count();
            assert_eq!(answers, 1, "t{tag} in pieces of {chunk}: {heard}");
        }
        assert_eq!(
            *whole.get_or_insert_with(|| heard.clone()),
            heard,
            "pieces of {chunk}"
        );
    }
}
