//! UIDONLY: no sequence numbers in either direction (RFC 9586); UIDBATCHES (RFC 10022).

use super::*;

fn inbox(messages: u32) -> (Fake, Client) {
    let store = Fake::new();
    for at in 0..messages {
        store.deliver(ALICE, "INBOX", format!("Subject: {at}\r\n\r\nb").as_bytes());
    }
    let mut client = Client::new(&store, ALICE);
    assert_eq!(
        client.say("e ENABLE UIDONLY"),
        "* ENABLED UIDONLY\r\ne OK Enabled\r\n"
    );
    let told = client.say("e SELECT INBOX");
    assert!(!told.contains("UNSEEN"), "{told}");
    (store, client)
}

#[test]
fn numbers_are_refused() {
    let (_store, mut one) = inbox(3);
    for refused in [
        "FETCH 1 FLAGS",
        "STORE 1 FLAGS ()",
        "COPY 1 x",
        "MOVE 1 x",
        "SEARCH ALL",
        "SEARCH UID 1",
        "UID SEARCH 1:2",
        "UID SEARCH OR SEEN NOT (SEEN 1)",
    ] {
        let said = one.say(&format!("a {refused}"));
        assert_eq!(
            said, "a BAD [UIDREQUIRED] Message numbers are off; use UIDs\r\n",
            "{refused}"
        );
    }
    one.play(
        "C: a1 ENABLE QRESYNC
         S: * ENABLED QRESYNC
         S: a1 OK Enabled
         C: a2 SELECT INBOX (QRESYNC (1001 3 1:3 (1 1)))
         S: a2 BAD [UIDREQUIRED] Message numbers are off; use UIDs
         C: a3 UID SEARCH UID 2:9
         S: * SEARCH 2 3
         S: a3 OK Search completed",
    );
}

#[test]
fn responses_name_uids() {
    let (store, mut one) = inbox(3);
    let mut other = Client::selected(&store, ALICE);
    one.play(
        "C: a1 UID FETCH 2:3 (FLAGS)
         S: * 2 UIDFETCH (FLAGS (\\Recent))
         S: * 3 UIDFETCH (FLAGS (\\Recent))
         S: a1 OK Fetch completed
         C: a2 UID FETCH 2 (UID BODY[TEXT])
         S: * 2 UIDFETCH (UID 2 BODY[TEXT] {1}
         S: b FLAGS (\\Seen \\Recent))
         S: a2 OK Fetch completed
         C: a3 UID STORE 1 +FLAGS (\\Deleted)
         S: * 1 UIDFETCH (FLAGS (\\Deleted \\Recent))
         S: a3 OK Store completed
         C: a4 UID EXPUNGE 1
         S: * VANISHED 1
         S: a4 OK Expunge completed",
    );
    other.say("b NOOP");
    other.say("b UID STORE 3 +FLAGS (\\Flagged)");
    assert_eq!(
        one.say("a5 NOOP"),
        "* 3 UIDFETCH (FLAGS (\\Flagged \\Recent))\r\na5 OK Done\r\n"
    );
}

#[test]
fn batches_of_a_mailbox() {
    let (_store, mut one) = inbox(1203);
    one.play(
        "C: a1 UIDBATCHES 500
         S: * UIDBATCHES (TAG \"a1\") 1203:704,703:204,203:1
         S: a1 OK Done
         C: a2 UIDBATCHES 500 2:3
         S: * UIDBATCHES (TAG \"a2\") 703:204,203:1
         S: a2 OK Done
         C: a3 UIDBATCHES 100000 1:1
         S: * UIDBATCHES (TAG \"a3\") 1203:1
         S: a3 OK Done
         C: a4 UIDBATCHES 500 4:200
         S: * UIDBATCHES (TAG \"a4\")
         S: a4 OK Done
         C: a5 UIDBATCHES 499
         S: a5 NO [TOOFEW] A batch has at least 500 messages
         C: a6 UIDBATCHES 500 3:2
         S: a6 BAD [CLIENTBUG] Batches are counted upwards
         C: a7 UIDBATCHES 0
         S: a7 BAD …
         C: a8 UNSELECT
         S: a8 OK Done
         C: a9 UIDBATCHES 500
         S: a9 BAD Select a mailbox first",
    );
}
