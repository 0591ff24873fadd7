//! Identifiers, dates of saving and previews.

use super::*;

fn letter(store: &Fake, text: &str) {
    store.deliver(ALICE, "INBOX", text.as_bytes());
}

#[test]
fn one_id_wherever_a_message_goes() {
    let store = Fake::new();
    letter(&store, "Message-ID: <a@x>\r\n\r\none\r\n");
    letter(
        &store,
        "Message-ID: <b@x>\r\nReferences: <a@x>\r\n\r\ntwo\r\n",
    );
    letter(&store, "Subject: x\r\n\r\nthree\r\n");
    for lists in [false, true] {
        if lists {
            store.list();
        }
        let mut client = Client::selected(&store, ALICE);
        let ids = client.say("a FETCH 1:3 (EMAILID THREADID)");
        let of = |n: usize| {
            ids.lines()
                .nth(n)
                .unwrap()
                .split_once("EMAILID ")
                .unwrap()
                .1
        };
        let thread = |n: usize| of(n).split_once("THREADID ").unwrap().1;
        assert_eq!(thread(0), thread(1));
        assert_eq!(thread(2), "NIL)");
        assert_ne!(of(0), of(1));
        let email = of(1).split(['(', ')']).nth(1).unwrap();
        let found = client.say(&format!("b SEARCH EMAILID {email}"));
        assert!(found.starts_with("* SEARCH 2\r\n"), "{found}");
        let id = thread(0).split(['(', ')']).nth(1).unwrap();
        let found = client.say(&format!("c SEARCH THREADID {id}"));
        assert!(found.starts_with("* SEARCH 1 2\r\n"), "{found}");
        let found = client.say("d SEARCH OR EMAILID Mffff THREADID x-y_z");
        assert!(found.starts_with("* SEARCH\r\n"), "{found}");
    }
}

#[test]
fn a_mailbox_keeps_its_id_under_another_name() {
    let store = Fake::new();
    let mut client = Client::new(&store, ALICE);
    let made = client.say("a CREATE One");
    let id = made
        .split_once("MAILBOXID ")
        .unwrap()
        .1
        .split_once(']')
        .unwrap()
        .0;
    client.say("b RENAME One Two");
    let status = client.say("c STATUS Two (MAILBOXID)");
    assert!(status.contains(&format!("(MAILBOXID {id})")), "{status}");
    let selected = client.say("d SELECT Two");
    assert!(
        selected.contains(&format!("* OK [MAILBOXID {id}]")),
        "{selected}"
    );
}

#[test]
fn when_a_message_was_saved() {
    let store = Fake::new();
    letter(&store, "x\r\n\r\n");
    let mut client = Client::selected(&store, ALICE);
    let saved = client.say("a FETCH 1 SAVEDATE");
    assert!(
        saved.contains("(SAVEDATE \"14-Nov-2023 22:13:20 +0000\")"),
        "{saved}"
    );
    for (key, hit) in [
        ("SAVEDON 14-Nov-2023", true),
        ("SAVEDSINCE 14-Nov-2023", true),
        ("SAVEDBEFORE 14-Nov-2023", false),
        ("SAVEDBEFORE 15-Nov-2023", true),
        ("SAVEDATESUPPORTED", true),
    ] {
        let found = client.say(&format!("b SEARCH {key}"));
        assert_eq!(found.starts_with("* SEARCH 1\r\n"), hit, "{key}: {found}");
    }
}

#[test]
fn the_first_words() {
    let store = Fake::new();
    letter(&store, "Subject: x\r\n\r\nHello,\r\n\r\n  world!\r\n");
    letter(
        &store,
        "Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         PHA+R3L832U8L3A+\r\n",
    );
    letter(&store, "Content-Type: image/png\r\n\r\nno\r\n");
    let mut client = Client::selected(&store, ALICE);
    let told = client.say("a FETCH 1 PREVIEW");
    assert!(
        told.starts_with("* 1 FETCH (PREVIEW \"Hello, world!\")\r\n"),
        "{told}"
    );
    let told = client.say("b FETCH 2 (UID PREVIEW (LAZY))");
    assert!(
        told.starts_with("* 2 FETCH (UID 2 PREVIEW {7}\r\nGrüße)\r\n"),
        "{told}"
    );
    assert!(
        client
            .say("c FETCH 3 PREVIEW (LAZY)")
            .starts_with("* 3 FETCH (PREVIEW \"\")\r\n")
    );
    assert!(client.say("d FETCH 1 PREVIEW (FAST)").starts_with("d BAD"));
}
