//! SELECT, EXAMINE, CLOSE, UNSELECT, EXPUNGE, CHECK: what a client learns of a mailbox.

use super::*;

#[test]
fn select_tells_everything_a_client_needs() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"a");
    store.deliver(ALICE, "INBOX", b"b");
    let mut client = Client::new(&store, ALICE);
    client.play(
        "C: a1 SELECT inbox
         S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
         S: * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \
            \\*)] Flags that last
         S: * 2 EXISTS
         S: * 2 RECENT
         S: * OK [UNSEEN 1] The first unseen message
         S: * OK [UIDVALIDITY 1001] UIDs are valid
         S: * OK [UIDNEXT 3] The next UID
         S: * OK [HIGHESTMODSEQ 4] The highest MODSEQ
         S: * OK [MAILBOXID (F1-1)] Whatever it is called
         S: a1 OK [READ-WRITE] Selected",
    );
}

#[test]
fn rev2_has_a_list_and_nothing_recent() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"a");
    let mut client = Client::new(&store, ALICE);
    client.play(
        "C: a0 ENABLE imap4rev2 X-UNKNOWN
         S: * ENABLED IMAP4rev2
         S: a0 OK Enabled
         C: a1 ENABLE IMAP4rev2
         S: * ENABLED
         S: a1 OK Enabled
         C: a2 SELECT INBOX
         S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)
         S: * OK [PERMANENTFLAGS …
         S: * 1 EXISTS
         S: * OK [UIDVALIDITY 1001] UIDs are valid
         S: * OK [UIDNEXT 2] The next UID
         S: * OK [HIGHESTMODSEQ 3] The highest MODSEQ
         S: * OK [MAILBOXID (F1-1)] Whatever it is called
         S: * LIST (\\HasNoChildren) \"/\" INBOX
         S: a2 OK [READ-WRITE] Selected
         C: a3 FETCH 1 FLAGS
         S: * 1 FETCH (FLAGS ())
         S: a3 OK Fetch completed",
    );
}

#[test]
fn selecting_another_closes_the_first_even_when_it_fails() {
    let store = Fake::new();
    let mut client = Client::selected(&store, ALICE);
    client.play(
        "C: a1 SELECT Nowhere
         S: * OK [CLOSED] The previous mailbox is closed
         S: a1 NO [NONEXISTENT] No such mailbox
         C: a2 FETCH 1 FLAGS
         S: a2 BAD Select a mailbox first",
    );
}

#[test]
fn only_the_first_session_sees_a_message_as_recent() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"a");
    let mut examiner = Client::new(&store, ALICE);
    assert!(examiner.say("a1 EXAMINE INBOX").contains("* 0 RECENT"));
    let mut first = Client::new(&store, ALICE);
    assert!(first.say("a1 SELECT INBOX").contains("* 1 RECENT"));
    first.play(
        "C: a2 FETCH 1 FLAGS
         S: * 1 FETCH (FLAGS (\\Recent))
         S: a2 OK Fetch completed",
    );
    let mut second = Client::new(&store, ALICE);
    assert!(second.say("a1 SELECT INBOX").contains("* 0 RECENT"));
}

#[test]
fn examine_changes_nothing() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"Subject: a\r\n\r\nb");
    let mut client = Client::new(&store, ALICE);
    client.say("a1 CREATE Other");
    let reply = client.say("a1 EXAMINE INBOX");
    assert!(reply.contains("* OK [PERMANENTFLAGS ()]"), "{reply}");
    assert!(
        reply.ends_with("a1 OK [READ-ONLY] Selected read-only\r\n"),
        "{reply}"
    );
    client.play(
        "C: a2 STORE 1 +FLAGS (\\Deleted)
         S: a2 NO The mailbox is selected read-only
         C: a3 EXPUNGE
         S: a3 NO The mailbox is selected read-only
         C: a4 MOVE 1 Other
         S: a4 NO The mailbox is selected read-only
         C: a5 FETCH 1 BODY[TEXT]
         S: * 1 FETCH (BODY[TEXT] {1}
         S: b)
         S: a5 OK Fetch completed
         C: a6 CLOSE
         S: a6 OK Done",
    );
    assert_eq!(
        store.contents(ALICE, "INBOX")[0].1,
        ::store::mail::flags::Flags::NONE
    );
}

#[test]
fn close_expunges_silently_and_unselect_does_not() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"a");
    store.deliver(ALICE, "INBOX", b"b");
    let mut client = Client::selected(&store, ALICE);
    client.play(
        "C: a1 STORE 1 +FLAGS.SILENT (\\Deleted)
         S: a1 OK Store completed
         C: a2 UNSELECT
         S: a2 OK Done",
    );
    assert_eq!(store.contents(ALICE, "INBOX").len(), 2);
    client.say("a3 SELECT INBOX");
    client.play(
        "C: a4 CLOSE
         S: a4 OK Done
         C: a5 CLOSE
         S: a5 BAD Select a mailbox first
         C: a6 UNSELECT
         S: a6 BAD Select a mailbox first
         C: a7 CHECK
         S: a7 BAD Select a mailbox first",
    );
    assert_eq!(store.contents(ALICE, "INBOX").len(), 1);
}

#[test]
fn expunge_counts_as_the_client_does() {
    let store = Fake::new();
    for body in [b"a", b"b", b"c", b"d"] {
        store.deliver(ALICE, "INBOX", body);
    }
    let mut client = Client::selected(&store, ALICE);
    client.play(
        "C: a1 STORE 1,3:4 +FLAGS.SILENT (\\Deleted)
         S: a1 OK Store completed
         C: a2 UID EXPUNGE 4:9
         S: * 4 EXPUNGE
         S: a2 OK Expunge completed
         C: a3 EXPUNGE
         S: * 1 EXPUNGE
         S: * 2 EXPUNGE
         S: a3 OK Expunge completed
         C: a4 UID SEARCH ALL
         S: * SEARCH 2
         S: a4 OK Search completed
         C: a5 CHECK
         S: a5 OK Done",
    );
}
