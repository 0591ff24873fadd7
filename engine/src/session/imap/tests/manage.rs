//! CREATE, DELETE, RENAME, SUBSCRIBE, STATUS, and the commands of any state.

use super::*;

#[test]
fn mailboxes_are_made_renamed_and_deleted() {
    Client::new(&Fake::new(), ALICE).play(
        "C: a1 CREATE a/b/
         S: a1 OK [MAILBOXID …
         C: a2 CREATE a/b
         S: a2 NO [ALREADYEXISTS] The mailbox already exists
         C: a3 CREATE inbox
         S: a3 NO [ALREADYEXISTS] The mailbox already exists
         C: a4 CREATE a//c
         S: a4 NO [CANNOT] …
         C: a5 CREATE \"a*\"
         S: a5 NO [CANNOT] …
         C: a6 RENAME a c
         S: a6 OK Done
         C: a7 LIST \"\" *
         S: * LIST (\\HasNoChildren) \"/\" INBOX
         S: * LIST (\\HasChildren) \"/\" c
         S: * LIST (\\HasNoChildren) \"/\" c/b
         S: a7 OK Done
         C: a8 RENAME a d
         S: a8 NO [NONEXISTENT] No such mailbox
         C: a9 RENAME c INBOX
         S: a9 NO [ALREADYEXISTS] The mailbox already exists
         C: b1 DELETE c/b
         S: b1 OK Done
         C: b2 DELETE c/b
         S: b2 NO [NONEXISTENT] No such mailbox
         C: b3 DELETE INBOX
         S: b3 NO [CANNOT] …",
    );
}

#[test]
fn names_of_attackers_are_names_or_refused() {
    let mut client = Client::new(&Fake::new(), ALICE);
    assert!(
        client
            .say("a CREATE ../../etc/passwd")
            .starts_with("a OK [MAILBOXID")
    );
    assert!(client.say("a CREATE /etc").starts_with("a NO [CANNOT]"));
    let long = "a".repeat(1025);
    assert!(
        client
            .say(&format!("a CREATE {long}"))
            .starts_with("a NO [LIMIT]")
    );
    let deep = ["a"; 33].join("/");
    assert!(
        client
            .say(&format!("a CREATE {deep}"))
            .starts_with("a NO [LIMIT]")
    );
    let reply = client.say_octets(b"a CREATE {3+}\r\na\0b\r\n");
    assert!(reply.starts_with("a BAD"), "{reply}");
    let reply = client.say_octets(b"a CREATE {4+}\r\na\r\nb\r\n");
    assert!(
        reply.starts_with("a NO") || reply.starts_with("a BAD"),
        "{reply}"
    );
    assert!(
        client.say("a CREATE &Jjo!").starts_with("a BAD"),
        "broken modified UTF-7"
    );
    assert!(
        client.say("a SUBSCRIBE \"\"").starts_with("a NO"),
        "nobody can be subscribed to nothing"
    );
}

#[test]
fn renaming_inbox_empties_it() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"a");
    let mut client = Client::selected(&store, ALICE);
    client.play(
        "C: a1 RENAME INBOX old
         S: * 1 EXPUNGE
         S: a1 OK Done
         C: a2 STATUS old (MESSAGES UIDNEXT DELETED)
         S: * STATUS old (MESSAGES 1 UIDNEXT 2 DELETED 0)
         S: a2 OK Done
         C: a3 STATUS INBOX (MESSAGES)
         S: * STATUS INBOX (MESSAGES 0)
         S: a3 OK Done",
    );
}

#[test]
fn rev2_hears_the_old_name() {
    Client::new(&Fake::new(), ALICE).play(
        "C: a1 ENABLE IMAP4rev2
         S: * ENABLED IMAP4rev2
         S: a1 OK Enabled
         C: a2 CREATE a
         S: a2 OK [MAILBOXID …
         C: a3 RENAME a b
         S: * LIST () \"/\" b (\"OLDNAME\" (a))
         S: a3 OK Done",
    );
}

#[test]
fn status_knows_every_item() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"abc");
    Client::new(&store, ALICE).play(
        "C: a1 STATUS inbox (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE RECENT APPENDLIMIT)
         S: * STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1001 UNSEEN 1 DELETED 0 \
            SIZE 3 RECENT 1 APPENDLIMIT 1048576)
         S: a1 OK Done
         C: a2 STATUS nowhere (MESSAGES)
         S: a2 NO [NONEXISTENT] No such mailbox",
    );
}

#[test]
fn deleting_the_selected_mailbox_closes_it() {
    let mut client = Client::new(&Fake::new(), ALICE);
    client.say("a CREATE x");
    client.say("a SELECT x");
    client.play(
        "C: a1 DELETE x
         S: * OK [CLOSED] The mailbox was deleted
         S: a1 OK Done
         C: a2 FETCH 1 FLAGS
         S: a2 BAD Select a mailbox first",
    );
}

#[test]
fn somebody_else_deletes_the_selected_mailbox() {
    let store = Fake::new();
    let (mut one, mut other) = (Client::new(&store, ALICE), Client::new(&store, ALICE));
    one.say("a CREATE x");
    one.say("a SELECT x");
    other.say("a DELETE x");
    assert_eq!(one.say("a NOOP"), "* BYE The mailbox was deleted\r\n");
    assert!(one.ended.is_some());
}

#[test]
fn any_state_answers_its_commands() {
    let mut client = Client::new(&Fake::new(), ALICE);
    client.play(
        "C: a1 CAPABILITY
         S: * CAPABILITY IMAP4rev1 …
         S: a1 OK Done
         C: a2 NOOP
         S: a2 OK Done
         C: a3 ID (\"name\" \"x\" \"os\" NIL)
         S: * ID (\"name\" \"Ringpost\")
         S: a3 OK Done
         C: a4 LOGIN alice secret
         S: a4 BAD Already logged in
         C: a5 STARTTLS
         S: a5 BAD Already logged in
         C: a6 AUTHENTICATE PLAIN
         S: a6 BAD Already logged in
         C: a7 XYZZY
         S: a7 BAD Unknown command
         C: a8 NOOP ((((
         S: a8 BAD …
         C: a9 LOGOUT
         S: * BYE Goodbye
         S: a9 OK Done",
    );
    assert!(client.ended.is_some());
}

#[test]
fn every_selected_command_needs_a_mailbox() {
    let mut client = Client::new(&Fake::new(), ALICE);
    for command in [
        "CHECK",
        "CLOSE",
        "UNSELECT",
        "EXPUNGE",
        "UID EXPUNGE 1",
        "SEARCH ALL",
        "UID SEARCH ALL",
        "FETCH 1 FLAGS",
        "UID FETCH 1 FLAGS",
        "STORE 1 FLAGS ()",
        "UID STORE 1 FLAGS ()",
        "COPY 1 INBOX",
        "UID COPY 1 INBOX",
        "MOVE 1 INBOX",
        "UID MOVE 1 INBOX",
    ] {
        let reply = client.say(&format!("a {command}"));
        assert_eq!(reply, "a BAD Select a mailbox first\r\n", "{command}");
        client.say("a NOOP");
    }
}

#[test]
fn a_client_of_nonsense_is_sent_away() {
    let mut client = Client::new(&Fake::new(), ALICE);
    let mut lines = 0;
    while client.ended.is_none() && lines < 100 {
        lines += 1;
        let reply = client.say("a NONSENSE");
        assert!(reply.starts_with("a BAD"), "{reply}");
    }
    assert_eq!(lines, 20);
}

#[test]
fn one_account_never_sees_another() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"for alice");
    let (mut alice, mut bob) = (Client::new(&store, ALICE), Client::new(&store, BOB));
    alice.say("a CREATE private");
    assert!(!bob.say("b LIST \"\" *").contains("private"));
    assert!(bob.say("b SELECT INBOX").contains("* 0 EXISTS"));
    assert!(bob.say("b SELECT private").contains("NO [NONEXISTENT]"));
}

#[test]
fn a_full_log_refuses_changes_and_serves_reads() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"Subject: a\r\n\r\nb");
    let mut client = Client::selected(&store, ALICE);
    store.set_full(true);
    client.play(
        "C: a1 CREATE x
         S: a1 NO [UNAVAILABLE] …
         C: a2 STORE 1 +FLAGS (\\Seen)
         S: a2 NO [UNAVAILABLE] …
         C: a3 FETCH 1 BODY[TEXT]
         S: * 1 FETCH (BODY[TEXT] {1}
         S: b FLAGS (\\Recent))
         S: a3 OK Fetch completed
         C: a4 EXPUNGE
         S: a4 NO [UNAVAILABLE] …",
    );
    store.set_full(false);
    assert!(
        client
            .say("a5 STORE 1 +FLAGS (\\Seen)")
            .ends_with("a5 OK Store completed\r\n")
    );
}
