//! QRESYNC: a client that comes back is told what it missed, and no more (RFC 7162 §3.2).

use super::*;

/// INBOX with UIDs 1 to `messages`, of MODSEQ 3 and on.
fn inbox(messages: u32) -> Fake {
    let store = Fake::new();
    for at in 0..messages {
        store.deliver(ALICE, "INBOX", format!("Subject: {at}\r\n\r\nb").as_bytes());
    }
    store
}

fn enabled(store: &Fake) -> Client {
    let mut client = Client::new(store, ALICE);
    assert_eq!(
        client.say("e ENABLE QRESYNC"),
        "* ENABLED QRESYNC\r\ne OK Enabled\r\n"
    );
    client
}

/// The lines of a SELECT that only QRESYNC brings.
fn missed(client: &mut Client, parameters: &str) -> Vec<String> {
    let told = client.say(&format!("q SELECT INBOX (QRESYNC ({parameters}))"));
    assert!(told.contains("q OK [READ-WRITE]"), "{told}");
    let lines = told
        .lines()
        .filter(|l| l.contains("VANISHED") || l.contains(" FETCH "));
    lines.map(str::to_owned).collect()
}

fn expunge(store: &Fake, uids: &str) {
    let mut client = Client::selected(store, ALICE);
    client.say(&format!("x UID STORE {uids} +FLAGS.SILENT (\\Deleted)"));
    client.say(&format!("x UID EXPUNGE {uids}"));
}

#[test]
fn what_was_missed_is_told_at_select() {
    let store = inbox(6);
    let mut other = Client::selected(&store, ALICE);
    other.say("x UID STORE 3 +FLAGS.SILENT (\\Seen)");
    expunge(&store, "2,5");
    store.deliver(ALICE, "INBOX", b"new");
    let mut client = enabled(&store);
    assert_eq!(
        missed(&mut client, "1001 8"),
        [
            "* VANISHED (EARLIER) 2,5",
            "* 2 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (9))",
            "* 5 FETCH (UID 7 FLAGS (\\Recent) MODSEQ (13))"
        ]
    );
    // Only of what the client knows.
    assert_eq!(
        missed(&mut client, "1001 8 1:4"),
        [
            "* VANISHED (EARLIER) 2",
            "* 2 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (9))",
        ]
    );
    // Another UIDVALIDITY: nothing that the client has is of this mailbox.
    assert_eq!(missed(&mut client, "77 8"), Vec::<String>::new());
    // Up to date, and from a future that is none.
    assert_eq!(missed(&mut client, "1001 13"), Vec::<String>::new());
    assert_eq!(missed(&mut client, "1001 9000"), Vec::<String>::new());
}

/// RFC 7162 §3.2.5.2: who does not remember names all that is not there.
#[test]
fn a_mailbox_that_forgot_compares() {
    let store = inbox(9);
    expunge(&store, "2,5");
    store.forget_expunges(ALICE, "INBOX");
    expunge(&store, "8");
    let mut client = enabled(&store);
    let gone = |told: Vec<String>| {
        let gone = told.into_iter().find(|line| line.contains("VANISHED"));
        gone.unwrap_or_default()
    };
    assert_eq!(
        gone(missed(&mut client, "1001 3")),
        "* VANISHED (EARLIER) 2,5,8"
    );
    // UIDs that were never given out are not said to be gone: they will be.
    assert_eq!(
        gone(missed(&mut client, "1001 3 4:99")),
        "* VANISHED (EARLIER) 5,8"
    );
    // Number 3 is UID 4 still, so that nothing up to there was missed.
    let told = missed(&mut client, "1001 3 1:9 (2:3,8 3:4,9)");
    assert_eq!(gone(told), "* VANISHED (EARLIER) 5,8");
    let told = missed(&mut client, "1001 3 1:9 (1,6 1,9)");
    assert_eq!(gone(told), "", "{}", "number 6 is UID 9");
    // What came after is remembered.
    let modseq = client.say("s STATUS INBOX (HIGHESTMODSEQ)");
    let since: u64 = behind(&modseq, "HIGHESTMODSEQ ") - 2;
    assert_eq!(
        gone(missed(&mut client, &format!("1001 {since}"))),
        "* VANISHED (EARLIER) 8"
    );
}

fn behind(text: &str, word: &str) -> u64 {
    let rest = &text[text.find(word).unwrap() + word.len()..];
    rest.split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// RFC 7162 §3.2.10: VANISHED at once, and EXPUNGE never.
#[test]
fn expunges_are_told_by_uid() {
    let store = inbox(5);
    let mut one = enabled(&store);
    one.say("a SELECT INBOX");
    expunge(&store, "1:2,4");
    one.play(
        "C: a1 FETCH 5 UID
         S: * 5 FETCH (UID 5)
         S: a1 OK Fetch completed
         C: a2 NOOP
         S: * VANISHED 1:2,4
         S: a2 OK [HIGHESTMODSEQ 11] Done
         C: a3 STORE 1:2 +FLAGS.SILENT (\\Deleted)
         S: * 1 FETCH (UID 3 MODSEQ (12))
         S: * 2 FETCH (UID 5 MODSEQ (12))
         S: a3 OK Store completed
         C: a4 EXPUNGE
         S: * VANISHED 3,5
         S: a4 OK [HIGHESTMODSEQ 14] Expunge completed
         C: a5 IDLE
         S: + idling",
    );
    store.deliver(ALICE, "INBOX", b"n");
    assert_eq!(one.listen(), "* 1 EXISTS\r\n* 1 RECENT\r\n");
    expunge(&store, "6");
    assert_eq!(one.listen(), "* VANISHED 6\r\n");
}

/// RFC 7162 §3.2.6.
#[test]
fn uid_fetch_with_vanished() {
    let store = inbox(9);
    expunge(&store, "2,5,9");
    let mut one = enabled(&store);
    one.say("a0 SELECT INBOX");
    one.play(
        "C: a1 UID FETCH 3:8 (FLAGS) (CHANGEDSINCE 9 VANISHED)
         S: * VANISHED (EARLIER) 5
         S: * 6 FETCH (UID 8 FLAGS () MODSEQ (10))
         S: a1 OK Fetch completed
         C: a2 UID FETCH 6:* (FLAGS) (VANISHED CHANGEDSINCE 99)
         S: a2 OK Fetch completed
         C: a3 UID FETCH 6:* (FLAGS) (VANISHED CHANGEDSINCE 12)
         S: * VANISHED (EARLIER) 9
         S: a3 OK Fetch completed
         C: a4 UID FETCH *,*:* (FLAGS) (VANISHED CHANGEDSINCE 12)
         S: a4 OK Fetch completed
         C: a5 FETCH 1:* (FLAGS) (CHANGEDSINCE 12 VANISHED)
         S: a5 BAD VANISHED is for UID FETCH with CHANGEDSINCE after ENABLE QRESYNC",
    );
}

/// What a client counts still is told as it counts, and not before.
#[test]
fn what_is_held_back_is_not_told_as_earlier() {
    let store = inbox(4);
    let mut one = enabled(&store);
    one.say("a SELECT INBOX");
    expunge(&store, "2");
    one.play(
        "C: a1 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 6 VANISHED)
         S: * VANISHED 2
         S: a1 OK [HIGHESTMODSEQ 8] Fetch completed",
    );
}

#[test]
fn qresync_has_to_be_enabled() {
    let store = inbox(1);
    let mut one = Client::new(&store, ALICE);
    one.play(
        "C: a1 SELECT INBOX (QRESYNC (1001 3))
         S: a1 BAD ENABLE QRESYNC first
         C: a2 ENABLE QRESYNC CONDSTORE
         S: * ENABLED QRESYNC
         S: a2 OK Enabled
         C: a3 SELECT Nowhere (QRESYNC (1001 3))
         S: a3 NO [NONEXISTENT] No such mailbox",
    );
}
