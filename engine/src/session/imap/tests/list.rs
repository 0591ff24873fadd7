//! LIST, LSUB, NAMESPACE: the tables of RFC 5258 §5 and RFC 9051 §6.3.9.8.

use super::*;

/// The mailboxes of RFC 9051 §6.3.9.8, example 1: `Fruit/Peach` is subscribed and does not exist.
fn fruit() -> Client {
    let mut client = Client::new(&Fake::new(), ALICE);
    for name in [
        "Fruit/Apple",
        "Fruit/Banana",
        "Tofu",
        "Vegetable/Broccoli",
        "Vegetable/Corn",
    ] {
        client.say(&format!("a CREATE {name}"));
    }
    for name in [
        "INBOX",
        "Fruit/Banana",
        "Fruit/Peach",
        "Vegetable",
        "Vegetable/Broccoli",
    ] {
        client.say(&format!("a SUBSCRIBE {name}"));
    }
    client
}

#[test]
fn plain_lists() {
    fruit().play(
        "C: a1 LIST \"\" \"\"
         S: * LIST (\\Noselect) \"/\" \"\"
         S: a1 OK Done
         C: a2 LIST \"\" *
         S: * LIST (\\HasChildren) \"/\" Fruit
         S: * LIST (\\HasNoChildren) \"/\" Fruit/Apple
         S: * LIST (\\HasNoChildren) \"/\" Fruit/Banana
         S: * LIST (\\HasNoChildren) \"/\" INBOX
         S: * LIST (\\HasNoChildren) \"/\" Tofu
         S: * LIST (\\HasChildren) \"/\" Vegetable
         S: * LIST (\\HasNoChildren) \"/\" Vegetable/Broccoli
         S: * LIST (\\HasNoChildren) \"/\" Vegetable/Corn
         S: a2 OK Done
         C: a3 LIST Fruit/ %
         S: * LIST (\\HasNoChildren) \"/\" Fruit/Apple
         S: * LIST (\\HasNoChildren) \"/\" Fruit/Banana
         S: a3 OK Done
         C: a4 LIST \"\" inbox
         S: * LIST (\\HasNoChildren) \"/\" INBOX
         S: a4 OK Done
         C: a5 LIST \"\" nothing%
         S: a5 OK Done
         C: a6 NAMESPACE
         S: * NAMESPACE ((\"\" \"/\")) NIL NIL
         S: a6 OK Done",
    );
}

#[test]
fn subscriptions_and_the_names_above_them() {
    fruit().play(
        "C: a1 LIST (SUBSCRIBED) \"\" *
         S: * LIST (\\Subscribed \\HasNoChildren) \"/\" Fruit/Banana
         S: * LIST (\\NonExistent \\Noselect \\Subscribed \\HasNoChildren) \"/\" Fruit/Peach
         S: * LIST (\\Subscribed \\HasNoChildren) \"/\" INBOX
         S: * LIST (\\Subscribed \\HasChildren) \"/\" Vegetable
         S: * LIST (\\Subscribed \\HasNoChildren) \"/\" Vegetable/Broccoli
         S: a1 OK Done
         C: a2 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %
         S: * LIST (\\HasChildren) \"/\" Fruit (\"CHILDINFO\" (\"SUBSCRIBED\"))
         S: * LIST (\\Subscribed \\HasNoChildren) \"/\" INBOX
         S: * LIST (\\Subscribed \\HasChildren) \"/\" Vegetable (\"CHILDINFO\" (\"SUBSCRIBED\"))
         S: a2 OK Done
         C: a3 LIST \"\" % RETURN (SUBSCRIBED)
         S: * LIST (\\HasChildren) \"/\" Fruit
         S: * LIST (\\Subscribed \\HasNoChildren) \"/\" INBOX
         S: * LIST (\\HasNoChildren) \"/\" Tofu
         S: * LIST (\\Subscribed \\HasChildren) \"/\" Vegetable
         S: a3 OK Done
         C: a4 LSUB \"\" %
         S: * LSUB (\\Noselect) \"/\" Fruit
         S: * LSUB () \"/\" INBOX
         S: * LSUB () \"/\" Vegetable
         S: a4 OK Done
         C: a5 LSUB \"\" *
         S: * LSUB () \"/\" Fruit/Banana
         S: * LSUB () \"/\" Fruit/Peach
         S: * LSUB () \"/\" INBOX
         S: * LSUB () \"/\" Vegetable
         S: * LSUB () \"/\" Vegetable/Broccoli
         S: a5 OK Done
         C: a6 UNSUBSCRIBE Fruit/Peach
         S: a6 OK Done
         C: a7 LSUB Fruit/ *
         S: * LSUB () \"/\" Fruit/Banana
         S: a7 OK Done",
    );
}

/// RFC 5258 §5, the last example: a parent is told only for children that are not.
#[test]
fn recursive_matches_are_not_told_twice() {
    let mut client = Client::new(&Fake::new(), ALICE);
    let names = [
        "foo2/bar1",
        "foo2/bar2",
        "baz2/bar2",
        "baz2/bar22",
        "baz2/bar222",
        "eps2/mamba",
        "qux2/bar2",
    ];
    for name in names {
        client.say(&format!("a CREATE {name}"));
        client.say(&format!("a SUBSCRIBE {name}"));
    }
    client.say("a SUBSCRIBE eps2");
    client.play(
        "C: a3 LIST (RECURSIVEMATCH SUBSCRIBED) \"\" \"*2\"
         S: * LIST (\\Subscribed \\HasNoChildren) \"/\" baz2/bar2
         S: * LIST (\\Subscribed \\HasNoChildren) \"/\" baz2/bar22
         S: * LIST (\\Subscribed \\HasNoChildren) \"/\" baz2/bar222
         S: * LIST (\\Subscribed \\HasChildren) \"/\" eps2 (\"CHILDINFO\" (\"SUBSCRIBED\"))
         S: * LIST (\\HasChildren) \"/\" foo2 (\"CHILDINFO\" (\"SUBSCRIBED\"))
         S: * LIST (\\Subscribed \\HasNoChildren) \"/\" foo2/bar2
         S: * LIST (\\Subscribed \\HasNoChildren) \"/\" qux2/bar2
         S: a3 OK Done",
    );
    let alone = client.say("a4 LIST (RECURSIVEMATCH) \"\" *");
    assert!(alone.starts_with("a4 BAD "), "{alone}");
    let remote = client.say("a5 LIST (RECURSIVEMATCH REMOTE) \"\" *");
    assert!(remote.starts_with("a5 BAD "), "{remote}");
}

#[test]
fn several_patterns_tell_a_name_once() {
    fruit().play(
        "C: a1 LIST \"\" (INBOX Tofu T% nothing)
         S: * LIST (\\HasNoChildren) \"/\" INBOX
         S: * LIST (\\HasNoChildren) \"/\" Tofu
         S: a1 OK Done
         C: a2 LIST (REMOTE) \"\" Tofu
         S: * LIST (\\HasNoChildren) \"/\" Tofu
         S: a2 OK Done",
    );
}

#[test]
fn a_deleted_parent_stays_as_a_level() {
    let mut client = fruit();
    client.play(
        "C: a1 DELETE Fruit
         S: a1 OK Done
         C: a2 LIST \"\" F%
         S: * LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" Fruit
         S: a2 OK Done
         C: a3 SELECT Fruit
         S: a3 NO [NONEXISTENT] No such mailbox
         C: a4 LIST (SUBSCRIBED) \"\" F%
         S: a4 OK Done",
    );
}

#[test]
fn special_use_is_made_told_and_selected() {
    Client::new(&Fake::new(), ALICE).play(
        "C: a1 CREATE Sent (USE (\\sent \\Flagged))
         S: a1 OK [MAILBOXID …
         C: a2 CREATE Odd (USE (\\Odd))
         S: a2 NO [USEATTR] …
         C: a3 LIST \"\" * RETURN (SPECIAL-USE)
         S: * LIST (\\HasNoChildren) \"/\" INBOX
         S: * LIST (\\HasNoChildren \\Flagged \\Sent) \"/\" Sent
         S: a3 OK Done
         C: a4 LIST (SPECIAL-USE) \"\" *
         S: * LIST (\\HasNoChildren \\Flagged \\Sent) \"/\" Sent
         S: a4 OK Done",
    );
}

#[test]
fn status_comes_with_the_list() {
    let store = Fake::new();
    store.deliver(ALICE, "INBOX", b"abc");
    let mut client = Client::new(&store, ALICE);
    client.play(
        "C: a1 CREATE a/b
         S: a1 OK [MAILBOXID …
         C: a2 DELETE a
         S: a2 OK Done
         C: a3 LIST \"\" % RETURN (STATUS (MESSAGES SIZE UNSEEN))
         S: * LIST (\\HasNoChildren) \"/\" INBOX
         S: * STATUS INBOX (MESSAGES 1 SIZE 3 UNSEEN 1)
         S: * LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" a
         S: a3 OK Done",
    );
}

#[test]
fn names_travel_in_the_dialect_of_the_session() {
    let mut client = Client::new(&Fake::new(), ALICE);
    client.play(
        "C: a1 CREATE Entw&APw-rfe
         S: a1 OK [MAILBOXID …
         C: a2 LIST \"\" E*
         S: * LIST (\\HasNoChildren) \"/\" Entw&APw-rfe
         S: a2 OK Done
         C: a3 ENABLE IMAP4rev2
         S: * ENABLED IMAP4rev2
         S: a3 OK Enabled
         C: a4 LIST \"\" E*
         S: * LIST (\\HasNoChildren) \"/\" \"Entwürfe\"
         S: a4 OK Done
         C: a5 STATUS \"Entwürfe\" (MESSAGES)
         S: * STATUS \"Entwürfe\" (MESSAGES 0)
         S: a5 OK Done",
    );
}
