//! MESSAGELIMIT: a command that names too many messages says how far it came (RFC 9738 §3.1).

use super::*;

fn limited(messages: u32, limit: u32) -> (Fake, Client) {
    let store = Fake::new();
    for at in 0..messages {
        store.deliver(ALICE, "INBOX", format!("Subject: {at}\r\n\r\nb").as_bytes());
    }
    let mut client = Client::limited(&store, ALICE, Some(limit));
    client.say("s CREATE x");
    client.say("s SELECT INBOX");
    (store, client)
}

#[test]
fn the_limit_is_announced() {
    let (_store, mut one) = limited(0, 1000);
    assert!(one.say("a CAPABILITY").contains(" MESSAGELIMIT=1000\r\n"));
    let mut free = Client::new(&Fake::new(), ALICE);
    assert!(!free.say("a CAPABILITY").contains("MESSAGELIMIT"));
}

#[test]
fn the_newest_are_worked_on() {
    let (_store, mut one) = limited(5, 2);
    one.play(
        "C: a1 FETCH 1:5 UID
         S: * 4 FETCH (UID 4)
         S: * 5 FETCH (UID 5)
         S: a1 OK [MESSAGELIMIT 2 4] Fetch completed
         C: a2 UID FETCH 1:3 UID
         S: * 2 FETCH (UID 2)
         S: * 3 FETCH (UID 3)
         S: a2 OK [MESSAGELIMIT 2 2] Fetch completed
         C: a3 FETCH 1:2 UID
         S: * 1 FETCH (UID 1)
         S: * 2 FETCH (UID 2)
         S: a3 OK Fetch completed
         C: a4 UID FETCH 1:* UID (PARTIAL 1:3)
         S: a4 NO [MESSAGELIMIT 2] Too many messages for one command
         C: a5 COPY 1:4 x
         S: a5 NO [MESSAGELIMIT 2 3] Too many messages for one command
         C: a6 STORE 1:5 +FLAGS.SILENT (\\Deleted)
         S: a6 OK [MESSAGELIMIT 2 4] Store completed
         C: a7 STORE 1:3 (UNCHANGEDSINCE 1) +FLAGS (\\Deleted)
         S: * NO [MESSAGELIMIT 2 2] Too many messages for one command
         S: a7 OK [MODIFIED 2:3] Some messages were changed meanwhile
         C: a8 UID MOVE 1:3 x
         S: * OK [COPYUID 1002 2:3 1:2] Move completed
         S: * 2 EXPUNGE
         S: * 2 EXPUNGE
         S: * NO [MESSAGELIMIT 2 2] Too many messages for one command
         S: a8 OK [HIGHESTMODSEQ 14] Move completed
         C: a9 EXPUNGE
         S: * 2 EXPUNGE
         S: * 2 EXPUNGE
         S: a9 OK [HIGHESTMODSEQ 16] Expunge completed",
    );
}
