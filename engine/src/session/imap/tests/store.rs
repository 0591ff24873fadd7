//! STORE, COPY and MOVE.

use super::*;

fn three() -> (Fake, Client) {
    let store = Fake::new();
    for body in [b"a", b"b", b"c"] {
        store.deliver(ALICE, "INBOX", body);
    }
    let mut client = Client::selected(&store, ALICE);
    client.say("x ENABLE IMAP4rev2");
    (store, client)
}

#[test]
fn flags_are_set_added_removed_and_told() {
    let (_store, mut client) = three();
    client.play(
        "C: a1 STORE 1:2 FLAGS (\\Seen \\Flagged)
         S: * 1 FETCH (FLAGS (\\Flagged \\Seen))
         S: * 2 FETCH (FLAGS (\\Flagged \\Seen))
         S: a1 OK Store completed
         C: a2 STORE 1 -FLAGS (\\Seen)
         S: * 1 FETCH (FLAGS (\\Flagged))
         S: a2 OK Store completed
         C: a3 STORE 1 -FLAGS (\\Seen)
         S: * 1 FETCH (FLAGS (\\Flagged))
         S: a3 OK Store completed
         C: a4 STORE 3 +FLAGS.SILENT (\\Draft)
         S: a4 OK Store completed
         C: a5 UID STORE 3,9 +FLAGS \\Answered
         S: * 3 FETCH (UID 3 FLAGS (\\Answered \\Draft))
         S: a5 OK Store completed
         C: a6 STORE 4 +FLAGS (\\Seen)
         S: a6 BAD No such message
         C: a7 UID STORE 9 +FLAGS (\\Seen)
         S: a7 OK Store completed
         C: a8 STORE 1:* FLAGS ()
         S: * 1 FETCH (FLAGS ())
         S: * 2 FETCH (FLAGS ())
         S: * 3 FETCH (FLAGS ())
         S: a8 OK Store completed",
    );
}

#[test]
fn a_new_keyword_is_told_before_it_is_seen() {
    let (store, mut client) = three();
    let mut other = Client::selected(&store, ALICE);
    client.play(
        "C: a1 STORE 1 +FLAGS ($Forwarded Work)
         S: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded Work)
         S: * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \
            $Forwarded Work \\*)] …
         S: * 1 FETCH (FLAGS ($Forwarded Work))
         S: a1 OK Store completed
         C: a2 STORE 2 +FLAGS (work)
         S: * 2 FETCH (FLAGS (Work))
         S: a2 OK Store completed
         C: a3 SEARCH KEYWORD work
         S: * ESEARCH (TAG \"a3\") ALL 1:2
         S: a3 OK Search completed",
    );
    let told = other.say("b NOOP");
    assert!(told.starts_with("* FLAGS (\\Answered"), "{told}");
    assert!(
        told.contains("* 1 FETCH (UID 1 FLAGS ($Forwarded Work))"),
        "{told}"
    );
}

#[test]
fn silence_hides_only_what_this_session_did() {
    let (store, mut client) = three();
    let mut other = Client::selected(&store, ALICE);
    other.say("b STORE 1 +FLAGS.SILENT (\\Flagged)");
    client.play(
        "C: a1 STORE 1:2 +FLAGS.SILENT (\\Seen)
         S: * 1 FETCH (UID 1 FLAGS (\\Flagged))
         S: * 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen))
         S: a1 OK Store completed
         C: a2 NOOP
         S: a2 OK Done",
    );
}

/// Between the decision and the sync of a silent STORE, somebody else changes the message.
#[test]
fn silence_does_not_hide_a_race() {
    let (store, mut client) = three();
    let mut other = Client::selected(&store, ALICE);
    client.push(b"a1 STORE 1 +FLAGS.SILENT (\\Seen)\r\n");
    client.step();
    other.say("b STORE 1 +FLAGS (\\Flagged)");
    let told = client.listen();
    let last = client.say("a2 FETCH 1 FLAGS");
    let both = "* 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen))\r\n";
    assert!(told.contains(both), "{told}");
    assert!(last.contains("(\\Flagged \\Seen)"), "{last}");
}

#[test]
fn conditional_store_leaves_what_has_changed() {
    let (_store, mut client) = three();
    let reply = client.say("a0 FETCH 1 MODSEQ");
    let modseq = reply
        .split("MODSEQ (")
        .nth(1)
        .unwrap()
        .split(')')
        .next()
        .unwrap()
        .to_owned();
    client.say("a1 STORE 1 +FLAGS.SILENT (\\Seen)");
    client.play(&format!(
        "C: a2 STORE 1 (UNCHANGEDSINCE {modseq}) +FLAGS (\\Flagged)
         S: a2 OK [MODIFIED 1] Some messages were changed meanwhile
         C: a3 UID STORE 1 (UNCHANGEDSINCE 9999) +FLAGS (\\Flagged)
         S: * 1 FETCH (UID 1 FLAGS (\\Flagged \\Seen) MODSEQ (8))
         S: a3 OK Store completed"
    ));
}

#[test]
fn copies_tell_their_uids() {
    let (store, mut client) = three();
    client.play(
        "C: a1 COPY 1 Other
         S: a1 NO [TRYCREATE] No such mailbox; create it first
         C: a2 CREATE Other
         S: a2 OK [MAILBOXID …
         C: a3 COPY 2:3 Other
         S: a3 OK [COPYUID 1002 2:3 1:2] Copy completed
         C: a4 UID COPY 1 Other
         S: a4 OK [COPYUID 1002 1 3] Copy completed
         C: a5 UID COPY 77 Other
         S: a5 OK None of these messages exists
         C: a6 COPY 4 Other
         S: a6 BAD No such message
         C: a7 COPY 1 INBOX
         S: * 4 EXISTS
         S: a7 OK [COPYUID 1001 1 4] Copy completed",
    );
    let bodies: Vec<_> = store
        .contents(ALICE, "Other")
        .into_iter()
        .map(|c| c.2)
        .collect();
    assert_eq!(bodies, [b"b", b"c", b"a"]);
}

/// RFC 9051 §6.4.8: COPYUID in an untagged OK, then the EXPUNGEs, then the tagged OK.
#[test]
fn moves_tell_uids_before_expunges() {
    let (store, mut client) = three();
    client.play(
        "C: a1 CREATE Other
         S: a1 OK [MAILBOXID …
         C: a2 MOVE 1,3 Nowhere
         S: a2 NO [TRYCREATE] No such mailbox; create it first
         C: a3 MOVE 1,3 Other
         S: * OK [COPYUID 1002 1,3 1:2] Move completed
         S: * 1 EXPUNGE
         S: * 2 EXPUNGE
         S: a3 OK Move completed
         C: a4 UID MOVE 2 Other
         S: * OK [COPYUID 1002 2 3] Move completed
         S: * 1 EXPUNGE
         S: a4 OK Move completed
         C: a5 UID MOVE 2 Other
         S: a5 OK None of these messages exists",
    );
    assert_eq!(store.contents(ALICE, "Other").len(), 3);
    assert_eq!(store.contents(ALICE, "INBOX").len(), 0);
}
