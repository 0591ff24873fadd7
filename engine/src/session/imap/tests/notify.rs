//! NOTIFY: what happens elsewhere is told at once, and what nobody asked for is not (RFC 5465).

use super::*;

fn two() -> (Fake, Client, Client) {
    let store = Fake::new();
    let mut other = Client::new(&store, ALICE);
    for name in ["Lists", "Lists/a", "Spam"] {
        other.say(&format!("x CREATE {name}"));
    }
    store.deliver(ALICE, "INBOX", b"Subject: one\r\n\r\n1");
    store.deliver(ALICE, "Lists", b"Subject: two\r\n\r\n2");
    let one = Client::new(&store, ALICE);
    (store, one, other)
}

const MESSAGES: &str = "(MessageNew MessageExpunge)";

/// RFC 5465 §3.1, §5.2, §5.3.
#[test]
fn messages_of_other_mailboxes() {
    let (store, mut one, mut other) = two();
    one.say("a SELECT INBOX");
    assert_eq!(
        one.say(&format!(
            "a NOTIFY SET STATUS (mailboxes (Lists inbox) {MESSAGES})"
        )),
        "* STATUS Lists (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1002)\r\na OK Done\r\n"
    );
    store.deliver(ALICE, "Lists", b"three");
    assert_eq!(one.listen(), "* STATUS Lists (MESSAGES 2 UIDNEXT 3)\r\n");
    // Neither flags, nor the selected mailbox, nor one that was not named.
    store.deliver(ALICE, "INBOX", b"four");
    store.deliver(ALICE, "Spam", b"five");
    other.say("x SELECT Lists");
    other.say("x STORE 1 +FLAGS (\\Seen)");
    assert_eq!(one.listen(), "");
    assert_eq!(one.say("a NOOP"), "a OK Done\r\n");
    other.say("x STORE 1 +FLAGS (\\Deleted)");
    other.say("x EXPUNGE");
    assert_eq!(one.listen(), "* STATUS Lists (MESSAGES 1 UIDNEXT 3)\r\n");
    // The client sees by itself what it does itself.
    one.say("a STORE 1 +FLAGS.SILENT (\\Deleted)");
    assert!(one.say("a EXPUNGE").contains("* 1 EXPUNGE\r\n"));
}

/// RFC 5465 §5.1.
#[test]
fn flags_of_other_mailboxes() {
    let (_store, mut one, mut other) = two();
    let set = "a NOTIFY SET STATUS (personal (MessageNew MessageExpunge FlagChange))";
    let told = one.say(set);
    assert!(told.contains("* STATUS Lists (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1002 UNSEEN 1)"));
    assert_eq!(told.lines().count(), 5, "{told}");
    other.say("x SELECT Lists");
    other.say("x STORE 1 +FLAGS (\\Seen)");
    assert_eq!(one.listen(), "* STATUS Lists (UNSEEN 0)\r\n");
    other.say("x STORE 1 +FLAGS (\\Flagged)");
    assert_eq!(one.listen(), "");
    one.say("a ENABLE CONDSTORE");
    other.say("x STORE 1 -FLAGS (\\Flagged)");
    let told = one.listen();
    assert!(
        told.starts_with("* STATUS Lists (UIDVALIDITY 1002 HIGHESTMODSEQ "),
        "{told}"
    );
}

/// RFC 5465 §6.1.1, §5.2: EXISTS and what was asked for, between commands.
#[test]
fn the_selected_mailbox_at_once() {
    let (store, mut one, mut other) = two();
    one.say("a SELECT INBOX");
    store.deliver(ALICE, "INBOX", b"Subject: missed\r\n\r\n");
    let set = "a NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (Subject)]) \
               MessageExpunge FlagChange))";
    // RFC 5465 §3.1: NOTIFY SET is a NOOP as well.
    assert_eq!(one.say(set), "* 2 EXISTS\r\n* 2 RECENT\r\na OK Done\r\n");
    store.deliver(ALICE, "INBOX", b"Subject: new\r\n\r\n");
    assert_eq!(
        one.listen(),
        "* 3 EXISTS\r\n* 3 RECENT\r\n* 3 FETCH (UID 3 BODY[HEADER.FIELDS (Subject)] {16}\r\n\
         Subject: new\r\n\r\n)\r\n"
    );
    other.say("x SELECT INBOX");
    other.say("x STORE 1 +FLAGS.SILENT (\\Deleted)");
    assert_eq!(
        one.listen(),
        "* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))\r\n"
    );
    other.say("x EXPUNGE");
    assert_eq!(one.listen(), "* 1 EXPUNGE\r\n");
    // Without flags, only they are missing.
    one.say(&format!("a NOTIFY SET (SELECTED {MESSAGES})"));
    other.say("x STORE 1 +FLAGS.SILENT (\\Deleted)");
    assert_eq!(one.listen(), "");
    assert_eq!(one.say("a NOOP"), "a OK Done\r\n");
    other.say("x EXPUNGE");
    assert_eq!(one.listen(), "* 1 EXPUNGE\r\n");
}

/// RFC 5465 §6.1.2: numbers hold until a command that may change them.
#[test]
fn the_selected_mailbox_delayed() {
    let (store, mut one, mut other) = two();
    store.deliver(ALICE, "INBOX", b"two");
    one.say("a SELECT INBOX");
    one.say("a NOTIFY SET (selected-delayed (MessageNew MessageExpunge FlagChange))");
    other.say("x SELECT INBOX");
    other.say("x STORE 1 +FLAGS.SILENT (\\Deleted)");
    assert_eq!(
        one.listen(),
        "* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))\r\n"
    );
    other.say("x EXPUNGE");
    assert_eq!(one.listen(), "");
    store.deliver(ALICE, "INBOX", b"three");
    assert_eq!(one.listen(), "* 3 EXISTS\r\n* 3 RECENT\r\n");
    one.play(
        "C: a1 FETCH 2 UID
         S: * 2 FETCH (UID 2)
         S: a1 OK Fetch completed
         C: a2 NOOP
         S: * 1 EXPUNGE
         S: a2 OK Done",
    );
    // RFC 5465 §4: IDLE is such a command.
    other.say("x STORE 1 +FLAGS.SILENT (\\Deleted)");
    one.say("a3 NOOP");
    other.say("x EXPUNGE");
    assert_eq!(one.say("a4 IDLE"), "+ idling\r\n* 1 EXPUNGE\r\n");
    store.deliver(ALICE, "INBOX", b"four");
    assert_eq!(one.listen(), "* 2 EXISTS\r\n* 2 RECENT\r\n");
    assert_eq!(one.say("DONE"), "a4 OK Idle completed\r\n");
}

/// RFC 5465 §3.1: after NOTIFY NONE, and where `selected` was not said, nothing is told.
#[test]
fn nothing_is_told_unasked() {
    let (store, mut one, mut other) = two();
    one.say("a SELECT INBOX");
    for set in [
        "NONE",
        "SET (personal (MailboxName))",
        "SET (selected NONE)",
    ] {
        assert_eq!(
            one.say(&format!("a NOTIFY {set}")),
            "a OK Done\r\n",
            "{set}"
        );
        store.deliver(ALICE, "INBOX", b"new");
        other.say("x SELECT INBOX");
        other.say("x STORE 1 +FLAGS.SILENT (\\Flagged)");
        assert_eq!(one.listen(), "");
        assert_eq!(one.say("b NOOP"), "b OK Done\r\n");
        assert_eq!(one.say("c IDLE"), "+ idling\r\n");
        assert_eq!(one.say("DONE"), "c OK Idle completed\r\n");
        let told = one.say("a NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))");
        assert!(told.contains(" EXISTS\r\n"), "{told}");
        other.say("x STORE 1 -FLAGS.SILENT (\\Flagged)");
        one.listen();
    }
}

/// RFC 5465 §5.4, §5.5.
#[test]
fn names_and_subscriptions() {
    let (_store, mut one, mut other) = two();
    one.say("a NOTIFY SET (personal (MailboxName SubscriptionChange))");
    other.say("x CREATE Lists/b");
    assert_eq!(
        one.listen(),
        "* LIST (\\HasNoChildren) \"/\" Lists/b\r\n* LIST (\\HasChildren) \"/\" Lists\r\n"
    );
    other.say("x SUBSCRIBE Lists/b");
    assert_eq!(
        one.listen(),
        "* LIST (\\Subscribed \\HasNoChildren) \"/\" Lists/b\r\n"
    );
    other.say("x RENAME Spam Ham");
    assert_eq!(
        one.listen(),
        "* LIST (\\HasNoChildren) \"/\" Ham (\"OLDNAME\" (Spam))\r\n"
    );
    other.say("x DELETE Lists/b");
    assert_eq!(
        one.listen(),
        "* LIST (\\NonExistent \\Noselect \\Subscribed \\HasNoChildren) \"/\" Lists/b\r\n\
         * LIST (\\HasChildren) \"/\" Lists\r\n"
    );
    other.say("x UNSUBSCRIBE Lists/b");
    assert_eq!(
        one.listen(),
        "* LIST (\\NonExistent \\Noselect \\HasNoChildren) \"/\" Lists/b\r\n"
    );
    assert_eq!(one.say("a NOOP"), "a OK Done\r\n");
}

/// RFC 5465 §6.4: the list is looked at anew when it changes; §5.1: a mailbox that is made anew has
/// another UIDVALIDITY.
#[test]
fn what_is_watched_changes() {
    let (store, mut one, mut other) = two();
    other.say("x SUBSCRIBE Lists");
    one.say(&format!(
        "a NOTIFY SET (subscribed {MESSAGES}) (subtree Spam {MESSAGES})"
    ));
    store.deliver(ALICE, "Lists", b"a");
    assert_eq!(one.listen(), "* STATUS Lists (MESSAGES 2 UIDNEXT 3)\r\n");
    other.say("x UNSUBSCRIBE Lists");
    store.deliver(ALICE, "Lists", b"b");
    assert_eq!(one.listen(), "");
    other.say("x DELETE Spam");
    other.say("x CREATE Spam");
    let told = one.listen();
    assert_eq!(
        told,
        "* STATUS Spam (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1005)\r\n"
    );
    other.say("x CREATE Spam/bad");
    assert_eq!(
        one.listen(),
        "* STATUS Spam/bad (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1006)\r\n"
    );
    store.deliver(ALICE, "Spam/bad", b"b");
    assert_eq!(one.listen(), "* STATUS Spam/bad (MESSAGES 1 UIDNEXT 2)\r\n");
}

/// RFC 5465 §3.1, §5, §8.
#[test]
fn refused_commands_change_nothing() {
    let (store, mut one, _other) = two();
    one.say(&format!("a NOTIFY SET (mailboxes Lists {MESSAGES})"));
    let bad_event = "a NO [BADEVENT (MessageNew MessageExpunge FlagChange MailboxName \
                     SubscriptionChange MailboxMetadataChange ServerMetadataChange)] \
                     No such event is told here\r\n";
    for set in [
        "(personal (MessageNew MessageExpunge AnnotationChange))",
        "(personal (MailboxMetadataChange AnnotationChange MessageNew MessageExpunge))",
        "(personal (TeaReady))",
    ] {
        assert_eq!(one.say(&format!("a NOTIFY SET {set}")), bad_event, "{set}");
    }
    for wrong in [
        "NOTIFY",
        "NOTIFY NONE (personal NONE)",
        "NOTIFY SET",
        "NOTIFY SET STATUS",
        "NOTIFY SET personal NONE",
        "NOTIFY SET (personal)",
        "NOTIFY SET (personal ())",
        "NOTIFY SET (nobody NONE)",
        "NOTIFY SET (mailboxes () NONE)",
        "NOTIFY SET (personal (MessageNew))",
        "NOTIFY SET (personal (MessageExpunge))",
        "NOTIFY SET (personal (FlagChange))",
        "NOTIFY SET (selected (AnnotationChange))",
        "NOTIFY SET (selected (MailboxName))",
        "NOTIFY SET (selected NONE) (selected-delayed NONE)",
        "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
        "NOTIFY SET (selected (MessageNew () MessageExpunge))",
        "NOTIFY SET (selected (MessageNew (NONSENSE) MessageExpunge))",
    ] {
        let said = one.say(&format!("a {wrong}"));
        assert!(said.starts_with("a BAD "), "{wrong}: {said}");
        one.say("a NOOP");
    }
    store.deliver(ALICE, "Lists", b"b");
    assert_eq!(one.listen(), "* STATUS Lists (MESSAGES 2 UIDNEXT 3)\r\n");
}

/// RFC 5465 §5.8, and §3.1 for the refusal.
#[test]
fn too_many_mailboxes_end_the_notices() {
    let (store, mut one, mut other) = two();
    for at in 0..1997 {
        other.say(&format!("x CREATE many/{at}"));
    }
    let refused = "a NO [NOTIFICATIONOVERFLOW] Too many mailboxes to watch\r\n";
    assert_eq!(one.say("a NOTIFY SET (personal (MailboxName))"), refused);
    other.say("x DELETE many/0");
    other.say("x DELETE many/1");
    other.say("x DELETE many/2");
    assert_eq!(
        one.say("a NOTIFY SET (personal (MailboxName))"),
        "a OK Done\r\n"
    );
    other.say("x CREATE many/x");
    assert!(one.listen().contains("many/x\r\n"));
    other.say("x CREATE many/y");
    let told = one.listen();
    assert!(
        told.ends_with("* OK [NOTIFICATIONOVERFLOW] Too many mailboxes to watch\r\n"),
        "{told}"
    );
    store.deliver(ALICE, "Lists", b"b");
    other.say("x CREATE many/z");
    assert_eq!(one.listen(), "");
    assert_eq!(one.say("a NOOP"), "a OK Done\r\n");
}
