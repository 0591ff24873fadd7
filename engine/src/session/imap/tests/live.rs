//! Results that are kept up to date (RFC 5267 §4.3).

use super::*;

fn store(subjects: &[&str]) -> Fake {
    let store = Fake::new();
    for subject in subjects {
        store.deliver(
            ALICE,
            "INBOX",
            format!("Subject: {subject}\r\n\r\n").as_bytes(),
        );
    }
    store
}

#[test]
fn a_search_follows_flags_arrivals_and_expunges() {
    let store = store(&["a", "b", "c"]);
    let mut other = Client::selected(&store, ALICE);
    let mut client = Client::selected(&store, ALICE);
    client.play(
        "C: B01 UID SEARCH RETURN (UPDATE COUNT) DELETED
         S: * ESEARCH (TAG \"B01\") UID COUNT 0
         S: B01 OK Search completed
         C: B02 SEARCH RETURN (UPDATE) UNDELETED
         S: * ESEARCH (TAG \"B02\")
         S: B02 OK Search completed
         C: B01 SEARCH RETURN (UPDATE) FLAGGED
         S: B01 BAD …",
    );
    other.say("x STORE 2:3 +FLAGS.SILENT (\\Deleted)");
    client.play(
        "C: n NOOP
         S: * 2 FETCH (UID 2 FLAGS (\\Deleted…
         S: * 3 FETCH (UID 3 FLAGS (\\Deleted…
         S: * ESEARCH (TAG \"B01\") UID ADDTO (0 2:3)
         S: * ESEARCH (TAG \"B02\") REMOVEFROM (0 2:3)
         S: n OK Done",
    );
    store.deliver(ALICE, "INBOX", b"Subject: new\r\n\r\n");
    other.say("x EXPUNGE");
    client.play(
        "C: n NOOP
         S: * ESEARCH (TAG \"B01\") UID REMOVEFROM (0 2)
         S: * 2 EXPUNGE
         S: * ESEARCH (TAG \"B01\") UID REMOVEFROM (0 3)
         S: * 2 EXPUNGE
         S: * 2 EXISTS
         S: * 0 RECENT
         S: * ESEARCH (TAG \"B02\") ADDTO (0 2)
         S: n OK Done
         C: c CANCELUPDATE \"B01\" \"B02\"
         S: c OK No further updates
         C: d CANCELUPDATE \"B01\"
         S: d BAD …
         C: e STORE 1 +FLAGS.SILENT (\\Deleted)
         S: e OK Store completed",
    );
}

#[test]
fn a_sort_keeps_its_order() {
    let store = store(&["d", "b"]);
    let mut other = Client::selected(&store, ALICE);
    let mut client = Client::selected(&store, ALICE);
    client.play(
        "C: s UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 UNSEEN
         S: * ESEARCH (TAG \"s\") UID ALL 2,1
         S: s OK Sort completed",
    );
    for subject in ["c", "a", "a", "e"] {
        store.deliver(
            ALICE,
            "INBOX",
            format!("Subject: {subject}\r\n\r\n").as_bytes(),
        );
    }
    let reply = client.say("n NOOP");
    // a a b c d e: 4 5 2 3 1 6.
    let told = "* ESEARCH (TAG \"s\") UID ADDTO (1 4:5 4 3 6 6)\r\n";
    assert!(reply.contains(told), "{reply}");
    other.say("x NOOP");
    other.say("x STORE 2,4,6 +FLAGS.SILENT (\\Seen)");
    let reply = client.say("n NOOP");
    let told = "* ESEARCH (TAG \"s\") UID REMOVEFROM (6 6 3 2 1 4)\r\n";
    assert!(reply.contains(told), "{reply}");
    other.say("x STORE 3 +FLAGS.SILENT (\\Deleted)");
    other.say("x EXPUNGE");
    let reply = client.say("n NOOP");
    assert!(
        reply.contains("UID REMOVEFROM (2 3)\r\n* 3 EXPUNGE\r\n"),
        "{reply}"
    );
}

#[test]
fn sequence_numbers_mean_what_they_meant() {
    let store = store(&["a", "b", "c"]);
    let mut other = Client::selected(&store, ALICE);
    let mut client = Client::selected(&store, ALICE);
    client.say("s SEARCH RETURN (UPDATE) 2 UNSEEN");
    other.say("x STORE 1 +FLAGS.SILENT (\\Deleted)");
    other.say("x EXPUNGE");
    client.say("n NOOP");
    other.say("x STORE 1 +FLAGS.SILENT (\\Seen)");
    let reply = client.say("n NOOP");
    assert!(reply.contains("REMOVEFROM (0 1)"), "{reply}");
    other.say("x STORE 2 +FLAGS.SILENT (\\Seen)");
    let reply = client.say("n NOOP");
    assert!(!reply.contains("ESEARCH"), "{reply}");
}

/// A keyword that nobody had when the search was asked for.
#[test]
fn a_new_keyword_is_found() {
    let store = store(&["a"]);
    let mut client = Client::selected(&store, ALICE);
    client.say("s SEARCH RETURN (UPDATE) KEYWORD Later");
    let reply = client.say("k STORE 1 +FLAGS.SILENT (Later)");
    assert!(
        reply.contains("* ESEARCH (TAG \"s\") ADDTO (0 1)"),
        "{reply}"
    );
}

#[test]
fn updates_are_refused_beyond_their_bound_and_end_with_the_mailbox() {
    let store = store(&["a"]);
    let mut client = Client::selected(&store, ALICE);
    for n in 0..16 {
        let reply = client.say(&format!("u{n} SEARCH RETURN (UPDATE) SEEN"));
        assert!(!reply.contains("NOUPDATE"), "{reply}");
    }
    client.play(
        "C: v SEARCH RETURN (UPDATE COUNT) SEEN
         S: * ESEARCH (TAG \"v\") COUNT 0
         S: * NO [NOUPDATE \"v\"] This result is not kept up to date
         S: v OK Search completed",
    );
    client.say("x SELECT INBOX");
    client.play(
        "C: w SORT RETURN (UPDATE COUNT) (RELEVANCY) UTF-8 FUZZY SUBJECT a
         S: * ESEARCH (TAG \"w\") COUNT 1
         S: * NO [NOUPDATE \"w\"] This result is not kept up to date
         S: w OK Sort completed
         C: u1 SEARCH RETURN (UPDATE COUNT) SEEN
         S: * ESEARCH (TAG \"u1\") COUNT 0
         S: u1 OK Search completed",
    );
}
