//! CONDSTORE: who knows of MODSEQ is told of it (RFC 7162 §3.1).

use super::*;

/// INBOX with UIDs 1 to `messages`, of MODSEQ 3 and on; one client that selected it.
fn inbox(messages: u32) -> (Fake, Client) {
    let store = Fake::new();
    for at in 0..messages {
        store.deliver(ALICE, "INBOX", format!("Subject: {at}\r\n\r\nb").as_bytes());
    }
    let client = Client::selected(&store, ALICE);
    (store, client)
}

/// RFC 7162 §3.1: each of these shows that the client knows CONDSTORE.
#[test]
fn every_enabling_command_enables() {
    for enabling in [
        "ENABLE CONDSTORE",
        "ENABLE QRESYNC",
        "SELECT INBOX (CONDSTORE)",
        "STATUS INBOX (HIGHESTMODSEQ)",
        "LIST \"\" INBOX RETURN (STATUS (HIGHESTMODSEQ))",
        "FETCH 1 MODSEQ",
        "FETCH 1 FLAGS (CHANGEDSINCE 99)",
        "STORE 1 (UNCHANGEDSINCE 99) +FLAGS.SILENT ()",
        "SEARCH NOT (OR MODSEQ 99 SEEN)",
    ] {
        let (store, mut one) = inbox(1);
        let mut other = Client::selected(&store, ALICE);
        other.say("b STORE 1 +FLAGS (\\Flagged)");
        let told = one.say("a NOOP");
        assert!(!told.contains("MODSEQ"), "{told}");
        one.say(&format!("a {enabling}"));
        other.say("b STORE 1 +FLAGS (\\Seen)");
        let told = one.say("a NOOP");
        assert!(
            told.contains("FETCH (UID 1 FLAGS (\\Flagged \\Seen"),
            "{enabling}: {told}"
        );
        assert!(told.contains(") MODSEQ ("), "{enabling}: {told}");
    }
}

/// RFC 7162 §3.1.3, examples 3 to 8.
#[test]
fn a_conditional_store_leaves_alone_what_changed() {
    let (store, mut one) = inbox(3);
    let mut other = Client::selected(&store, ALICE);
    other.say("b STORE 2 +FLAGS (\\Flagged)");
    one.play(
        "C: a1 STORE 1:3 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Deleted)
         S: * 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ (6))
         S: * 1 FETCH (MODSEQ (7))
         S: * 3 FETCH (MODSEQ (7))
         S: a1 OK [MODIFIED 2] Some messages were changed meanwhile
         C: a2 UID STORE 2 (UNCHANGEDSINCE 6) +FLAGS (\\Deleted)
         S: * 2 FETCH (UID 2 FLAGS (\\Flagged \\Deleted \\Recent) MODSEQ (8))
         S: a2 OK Store completed
         C: a3 UID STORE 2:3 (UNCHANGEDSINCE 0) FLAGS ()
         S: a3 OK [MODIFIED 2:3] Some messages were changed meanwhile
         C: a4 STORE 1:2 (UNCHANGEDSINCE 7) FLAGS (\\Seen)
         S: * 1 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (10))
         S: a4 OK [MODIFIED 2] Some messages were changed meanwhile",
    );
}

/// RFC 7162 §3.1: also what a silent STORE without a condition changes has another MODSEQ now.
#[test]
fn a_silent_store_tells_the_modseq_of_what_it_changed() {
    let (_store, mut one) = inbox(2);
    one.play(
        "C: a1 STORE 1 +FLAGS.SILENT (\\Seen)
         S: a1 OK Store completed
         C: a2 ENABLE CONDSTORE
         S: * ENABLED CONDSTORE
         S: a2 OK Enabled
         C: a3 STORE 1:2 +FLAGS.SILENT (\\Seen)
         S: * 2 FETCH (MODSEQ (6))
         S: a3 OK Store completed
         C: a4 UID STORE 1 -FLAGS.SILENT (\\Seen)
         S: * 1 FETCH (UID 1 MODSEQ (7))
         S: a4 OK Store completed",
    );
}

/// RFC 7162 §3.1.4.1, RFC 9394 §3.3.
#[test]
fn fetch_of_what_changed_and_of_a_part() {
    let (_store, mut one) = inbox(5);
    one.say("s UID STORE 2,4 +FLAGS.SILENT (\\Seen)");
    one.play(
        "C: a1 FETCH 1:5 (FLAGS) (CHANGEDSINCE 7)
         S: * 2 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (8))
         S: * 4 FETCH (FLAGS (\\Seen \\Recent) MODSEQ (8))
         S: a1 OK Fetch completed
         C: a2 UID FETCH 3:* UID (CHANGEDSINCE 6)
         S: * 4 FETCH (UID 4 MODSEQ (8))
         S: * 5 FETCH (UID 5 MODSEQ (7))
         S: a2 OK Fetch completed
         C: a3 UID FETCH 1:* (UID) (PARTIAL -1:-2)
         S: * 4 FETCH (UID 4)
         S: * 5 FETCH (UID 5)
         S: a3 OK Fetch completed
         C: a4 UID FETCH 2:5 UID (PARTIAL 3:2 CHANGEDSINCE 5)
         S: * 4 FETCH (UID 4 MODSEQ (8))
         S: * 5 FETCH (UID 5 MODSEQ (7))
         S: a4 OK Fetch completed
         C: a5 UID FETCH 1:* UID (PARTIAL 6:9)
         S: a5 OK Fetch completed
         C: a6 UID FETCH 1:* UID (PARTIAL -1:2)
         S: a6 BAD …
         C: a7 UID FETCH 1:* UID (CHANGEDSINCE 5 VANISHED)
         S: a7 BAD VANISHED is for UID FETCH with CHANGEDSINCE after ENABLE QRESYNC",
    );
}

/// RFC 7162 §3.1.5, §3.1.6, §3.1.10: a search that asks for MODSEQ is answered with one.
#[test]
fn search_tells_the_highest_modseq_of_what_it_found() {
    let (_store, mut one) = inbox(3);
    one.say("s UID STORE 2 +FLAGS.SILENT (\\Seen)");
    one.play(
        "C: a1 SEARCH MODSEQ 5
         S: * SEARCH 2 3 (MODSEQ 6)
         S: a1 OK Search completed
         C: a2 SEARCH MODSEQ \"/flags/\\\\draft\" all 4
         S: * SEARCH 2 3 (MODSEQ 6)
         S: a2 OK Search completed
         C: a3 SEARCH MODSEQ 99
         S: * SEARCH
         S: a3 OK Search completed
         C: a4 UID SEARCH RETURN (MAX) MODSEQ 1
         S: * ESEARCH (TAG \"a4\") UID MAX 3 MODSEQ 5
         S: a4 OK Search completed
         C: a5 UID SEARCH RETURN (MIN COUNT) MODSEQ 1
         S: * ESEARCH (TAG \"a5\") UID MIN 1 COUNT 3 MODSEQ 6
         S: a5 OK Search completed
         C: a6 UID SEARCH RETURN (COUNT) MODSEQ 99
         S: * ESEARCH (TAG \"a6\") UID COUNT 0
         S: a6 OK Search completed
         C: a7 SEARCH SEEN
         S: * SEARCH 2
         S: a7 OK Search completed",
    );
}

/// RFC 7162 §3.2.7, §3.2.8: after an expunge the client knows up to where it is up to date.
#[test]
fn expunging_commands_tell_the_highest_modseq() {
    let (store, mut one) = inbox(4);
    one.say("s CREATE x");
    one.play(
        "C: a1 STORE 1:2 +FLAGS.SILENT (\\Deleted)
         S: a1 OK Store completed
         C: a2 UID EXPUNGE 1
         S: * 1 EXPUNGE
         S: a2 OK Expunge completed
         C: a3 ENABLE CONDSTORE
         S: * ENABLED CONDSTORE
         S: a3 OK Enabled
         C: a4 EXPUNGE
         S: * 1 EXPUNGE
         S: a4 OK [HIGHESTMODSEQ 10] Expunge completed
         C: a5 UID MOVE 3 x
         S: * OK [COPYUID 1002 3 1] Move completed
         S: * 1 EXPUNGE
         S: a5 OK [HIGHESTMODSEQ 12] Move completed
         C: a6 STORE 1 +FLAGS.SILENT (\\Deleted)
         S: * 1 FETCH (MODSEQ (13))
         S: a6 OK Store completed",
    );
    store.deliver(ALICE, "INBOX", b"unheard of");
    assert_eq!(one.say("a7 CLOSE"), "a7 OK Done\r\n");
    one.say("a8 SELECT INBOX");
    one.say("a9 STORE 1 +FLAGS.SILENT (\\Deleted)");
    assert_eq!(one.say("b1 CLOSE"), "b1 OK [HIGHESTMODSEQ 17] Done\r\n");
}

/// What a body read has set is told with its MODSEQ.
#[test]
fn a_message_that_is_read_tells_its_modseq() {
    let (_store, mut one) = inbox(1);
    one.play(
        "C: a1 FETCH 1 MODSEQ
         S: * 1 FETCH (MODSEQ (3))
         S: a1 OK Fetch completed
         C: a2 FETCH 1 BODY[TEXT]
         S: * 1 FETCH (BODY[TEXT] {1}
         S: b FLAGS (\\Seen \\Recent) MODSEQ (4))
         S: a2 OK Fetch completed",
    );
}

#[test]
fn malformed_parameters_and_modifiers_are_bad() {
    let (_store, mut one) = inbox(1);
    for wrong in [
        "SELECT INBOX ()",
        "SELECT INBOX CONDSTORE",
        "SELECT INBOX (CONDSTORE",
        "SELECT INBOX (NONSENSE)",
        "SELECT INBOX (QRESYNC)",
        "SELECT INBOX (QRESYNC (0 5))",
        "SELECT INBOX (QRESYNC (5 5 1:*))",
        "SELECT INBOX (QRESYNC (5 5 1:2 (1:2 3)))",
        "SELECT INBOX (QRESYNC (5 5 $))",
        "FETCH 1 FLAGS ()",
        "FETCH 1 FLAGS (CHANGEDSINCE)",
        "FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
        "FETCH 1 FLAGS (PARTIAL 0:5)",
        "FETCH 1 FLAGS (PARTIAL 1)",
        "STORE 1 (UNCHANGEDSINCE) FLAGS ()",
    ] {
        let said = one.say(&format!("a {wrong}"));
        assert!(said.starts_with("a BAD "), "{wrong}: {said}");
        assert_eq!(one.say("b CHECK"), "b OK Done\r\n");
    }
}
