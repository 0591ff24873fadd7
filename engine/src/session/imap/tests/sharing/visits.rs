//! Whole days in somebody else's mailbox.

use super::*;

const INBOX: &str = "\"Other Users/alice@example.test/INBOX\"";

fn lent(rights: &str) -> Village {
    let village = Village::new();
    for text in ["Subject: one\r\n\r\nfirst", "Subject: two\r\n\r\nsecond"] {
        village.store.deliver(ALICE, "INBOX", text.as_bytes());
    }
    village.alice(&[&format!("SETACL INBOX bob {rights}")]);
    village
}

#[test]
fn namespaces_are_told() {
    let village = Village {
        shared: Some("shared@example.test".into()),
        ..Village::new()
    };
    assert_eq!(
        village.client(BOB_NAME).say("a NAMESPACE"),
        "* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"Shared/\" \"/\"))\r\n\
         a OK Done\r\n"
    );
}

#[test]
fn a_guest_reads_and_goes_home() {
    let village = lent("lr");
    let script = format!(
        "C: a1 SELECT {INBOX}
         S: * FLAGS …
         S: * OK [PERMANENTFLAGS ()] …
         S: * 2 EXISTS
         S: * 0 RECENT
         S: * OK [UNSEEN 1] …
         S: * OK [UIDVALIDITY …
         S: * OK [UIDNEXT 3] …
         S: * OK [HIGHESTMODSEQ 4] The highest MODSEQ
         S: * OK [MAILBOXID …
         S: a1 OK [READ-ONLY] Selected read-only
         C: a2 FETCH 1 BODY[TEXT]
         S: * 1 FETCH (BODY[TEXT] {{5}}
         S: first)
         S: a2 OK Fetch completed
         C: a3 SEARCH SUBJECT two
         S: * SEARCH 2
         S: a3 OK Search completed
         C: a4 STORE 1 +FLAGS (\\Seen)
         S: a4 NO [NOPERM] …
         C: a5 STATUS INBOX (MESSAGES)
         S: * STATUS INBOX (MESSAGES 0)
         S: a5 OK Done
         C: a6 STATUS {INBOX} (MESSAGES UNSEEN)
         S: * STATUS {INBOX} (MESSAGES 2 UNSEEN 2)
         S: a6 OK Done
         C: a7 EXPUNGE
         S: a7 NO [NOPERM] …
         C: a8 SELECT INBOX
         S: * OK [CLOSED] …
         S: * FLAGS …
         S: * OK [PERMANENTFLAGS …
         S: * 0 EXISTS
         S: * 0 RECENT
         S: * OK [UIDVALIDITY …
         S: * OK [UIDNEXT 1] …
         S: * OK [HIGHESTMODSEQ 2] The highest MODSEQ
         S: * OK [MAILBOXID …
         S: a8 OK [READ-WRITE] Selected
         C: a9 SELECT {INBOX}
         S: * OK [CLOSED] …
         S: * FLAGS …
         S: * OK [PERMANENTFLAGS …
         S: * 2 EXISTS
         S: * 0 RECENT
         S: * OK [UNSEEN 1] …
         S: * OK [UIDVALIDITY …
         S: * OK [UIDNEXT 3] …
         S: * OK [HIGHESTMODSEQ 4] The highest MODSEQ
         S: * OK [MAILBOXID …
         S: a9 OK [READ-ONLY] Selected read-only
         C: b1 UNSELECT
         S: b1 OK Done
         C: b2 FETCH 1 UID
         S: b2 BAD Select a mailbox first"
    );
    village.client(BOB_NAME).play(&script);
}

#[test]
fn each_right_over_flags_is_for_its_flags() {
    let village = lent("lrsw");
    let mut bob = village.client(BOB_NAME);
    let selected = bob.say(&format!("a SELECT {INBOX}"));
    let flags = "[PERMANENTFLAGS (\\Answered \\Flagged \\Seen \\Draft \\*)]";
    assert!(selected.contains(flags), "{selected}");
    assert!(selected.contains("[READ-WRITE]"), "{selected}");
    let told = bob.say("b STORE 1 +FLAGS (\\Flagged \\Deleted work)");
    assert!(
        told.contains("FETCH (FLAGS (\\Flagged \\Recent work))"),
        "{told}"
    );
    // What replaces leaves alone what is not the guest's.
    village.alice(&["SELECT INBOX", "STORE 1 +FLAGS (\\Deleted)"]);
    bob.say("c STORE 1 FLAGS (\\Seen)");
    let named = village.store.named_flags(ALICE, "INBOX");
    let first: Vec<&str> = named[0].1.iter().map(String::as_str).collect();
    assert_eq!(first, ["\\Deleted", "\\Seen"]);
}

#[test]
fn who_lost_a_right_notices_at_once() {
    let village = lent("lrste");
    let mut bob = village.client(BOB_NAME);
    bob.say(&format!("a SELECT {INBOX}"));
    assert!(bob.say("b FETCH 1 FLAGS").contains("b OK"));
    village.alice(&["DELETEACL INBOX bob"]);
    assert!(bob.say("c FETCH 1 FLAGS").starts_with("c NO [NOPERM]"));
    assert!(bob.say("d CLOSE").starts_with("d OK"));
}

#[test]
fn an_append_of_a_guest_streams() {
    let village = lent("lri");
    let mut bob = village.client(BOB_NAME);
    assert_eq!(
        bob.say(&format!("a APPEND {INBOX} (\\Seen \\Flagged) {{5}}")),
        "+ OK\r\n"
    );
    let said = bob.say("hello");
    assert!(said.starts_with("a OK [APPENDUID 1001 3]"), "{said}");
    let contents = village.store.contents(ALICE, "INBOX");
    assert_eq!(contents[2].2, b"hello");
    assert_eq!(
        contents[2].1,
        ::store::mail::flags::Flags::NONE,
        "no right over flags"
    );
    // Pipelined behind a message that is refused, and behind one that is taken.
    let pipelined = format!(
        "b APPEND {INBOX} {{3+}}\r\nabc\r\nc NOOP\r\n\
         d APPEND \"Other Users/alice@example.test/no\" {{3+}}\r\nabc\r\ne NOOP\r\n"
    );
    let said = bob.say_octets(pipelined.as_bytes());
    let tagged: Vec<&str> = said
        .lines()
        .map(|line| line.get(..4).unwrap_or(""))
        .collect();
    assert_eq!(tagged, ["b OK", "c OK", "d NO", "e OK"], "{said}");
}

#[test]
fn messages_travel_between_accounts() {
    let village = lent("lriste");
    let mut bob = village.client(BOB_NAME);
    bob.say("x CREATE mine");
    bob.say(&format!("a SELECT {INBOX}"));
    bob.say("b STORE 2 +FLAGS (\\Seen)");
    let said = bob.say("c COPY 1:2 mine");
    assert!(said.starts_with("c OK [COPYUID 1002 1:2 1:2]"), "{said}");
    let mine = village.store.contents(BOB, "mine");
    assert_eq!(mine[1].2, b"Subject: two\r\n\r\nsecond");
    assert_eq!(mine[1].1, ::store::mail::flags::Flags::SEEN);
    let said = bob.say("d UID MOVE 1 mine");
    assert!(said.starts_with("* OK [COPYUID 1002 1 3]"), "{said}");
    assert!(
        said.contains("* 1 EXPUNGE") && said.contains("d OK"),
        "{said}"
    );
    assert_eq!(village.store.contents(ALICE, "INBOX").len(), 1);
    // And from one's own to others'.
    bob.say("e SELECT mine");
    let said = bob.say(&format!("f COPY 3 {INBOX}"));
    assert!(said.starts_with("f OK [COPYUID 1001 3 3]"), "{said}");
    let said = bob.say("g COPY 3 \"Other Users/alice@example.test/no\"");
    assert!(said.starts_with("g NO [NONEXISTENT]"), "{said}");
}

#[test]
fn a_copy_that_does_not_fit_leaves_nothing() {
    let village = lent("lr");
    let mut bob = village.client(BOB_NAME);
    village.store.set_quota(BOB, 25);
    bob.say(&format!("a SELECT {INBOX}"));
    let said = bob.say("b COPY 1:2 INBOX");
    assert!(said.starts_with("b NO [OVERQUOTA]"), "{said}");
    assert_eq!(village.store.contents(BOB, "INBOX").len(), 0);
}

#[test]
fn idle_hears_what_the_owner_does() {
    let village = lent("lr");
    let mut bob = village.client(BOB_NAME);
    bob.say(&format!("a SELECT {INBOX}"));
    assert_eq!(bob.say("b IDLE"), "+ idling\r\n");
    village.store.deliver(ALICE, "INBOX", b"three");
    assert_eq!(bob.listen(), "* 3 EXISTS\r\n* 0 RECENT\r\n");
    assert_eq!(
        bob.say("DONE\r\nc NOOP"),
        "b OK Idle completed\r\nc OK Done\r\n"
    );
}

#[test]
fn list_shows_what_is_lent() {
    let village = lent("lr");
    village.alice(&["CREATE a/b", "SETACL a/b anyone l"]);
    let mut bob = village.client(BOB_NAME);
    bob.play(
        &format!(
            "C: a1 LIST \"\" *
         S: * LIST (\\HasNoChildren) \"/\" INBOX
         S: * LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" \"Other Users\"
         S: * LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" \"Other Users/alice…
         S: * LIST (\\HasNoChildren) \"/\" {INBOX}
         S: * LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" \"Other Users/alice@example…
         S: * LIST (\\HasNoChildren) \"/\" \"Other Users/alice@example.test/a/b\"
         S: a1 OK Done
         C: a2 SUBSCRIBE {INBOX}
         S: a2 OK Done
         C: a3 LIST (SUBSCRIBED) \"\" * RETURN (STATUS (MESSAGES) MYRIGHTS)
         S: * LIST (\\Subscribed \\HasNoChildren) \"/\" {INBOX}
         S: * MYRIGHTS {INBOX} lr
         S: * STATUS {INBOX} (MESSAGES 2)
         S: a3 OK Done
         C: a4 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"Other Users\"
         S: * LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" \"Other Users\" …
         S: a4 OK Done
         C: a5 LSUB \"\" *
         S: * LSUB () \"/\" {INBOX}
         S: a5 OK Done"
        )
        .replace(
            "(CHILDINFO (SUBSCRIBED))",
            "(\"CHILDINFO\" (\"SUBSCRIBED\"))",
        ),
    );
}

#[test]
fn two_owners_are_two_houses() {
    let village = lent("lrx");
    let mut bob = village.client(BOB_NAME);
    let said = bob.say(&format!("a RENAME {INBOX} mine"));
    assert!(said.starts_with("a NO [CANNOT]"), "{said}");
    let said = bob.say("b CREATE \"Shared/x\"");
    assert!(
        said.starts_with("b OK [MAILBOXID"),
        "nothing is shared here: a name like any other"
    );
}

/// What a guest puts together has no flags that they may not set, and nothing that they may not
/// read; REPLACE takes away only for who may expunge.
#[test]
fn the_ways_of_append_are_no_way_around_rights() {
    let village = lent("lri");
    let mut bob = village.client(BOB_NAME);
    let several = format!("a APPEND {INBOX} {{1+}}\r\nx (\\Deleted secret) {{1+}}\r\ny\r\n");
    let said = bob.say_octets(several.as_bytes());
    assert!(said.starts_with("a OK [APPENDUID 1001 3:4]"), "{said}");
    let contents = village.store.contents(ALICE, "INBOX");
    assert_eq!(contents[3].1, ::store::mail::flags::Flags::NONE);
    let said = bob.say(&format!("b APPEND {INBOX} CATENATE (URL \"/INBOX;UID=1\")"));
    assert!(said.starts_with("b NO [BADURL /INBOX;UID=1]"), "{said}");
    let said = bob.say("c APPEND INBOX CATENATE (URL \"/Other%20Users/alice@example.test;UID=1\")");
    assert!(said.starts_with("c NO [BADURL "), "{said}");
    bob.say(&format!("d SELECT {INBOX}"));
    let said = bob.say(&format!("e REPLACE 1 {INBOX} {{1}}"));
    assert!(said.starts_with("e NO [NOPERM]"), "{said}");
    village.alice(&["SETACL INBOX bob lrite"]);
    let said = bob.say_octets(format!("f REPLACE 1 {INBOX} {{1+}}\r\nz\r\n").as_bytes());
    assert!(
        said.contains("* 1 EXPUNGE") && said.contains("f OK"),
        "{said}"
    );
}

/// RFC 7377 §2.2: sources reach whatever the user may read, wherever it is.
#[test]
fn one_search_finds_what_others_let_be_read() {
    let village = lent("lr");
    let mut bob = village.client(BOB_NAME);
    let found = |tag: &str| {
        format!(
            "* ESEARCH (TAG \"{tag}\" MAILBOX {INBOX} UIDVALIDITY 1001) UID ALL 2\r\n\
             {tag} OK Search completed\r\n"
        )
    };
    let mut say =
        |tag: &str, sources: &str| bob.say(&format!("{tag} ESEARCH IN ({sources}) SUBJECT two"));
    assert_eq!(say("a1", &format!("mailboxes {INBOX}")), found("a1"));
    let spelled = "mailboxes \"Other Users/Alice@Example.test/inbox\"";
    assert_eq!(say("a2", spelled), found("a2"));
    assert_eq!(say("a3", "subtree \"Other Users\""), found("a3"));
    assert_eq!(say("a4", "personal"), "a4 OK Search completed\r\n");
    assert_eq!(say("a5", "subscribed"), "a5 OK Search completed\r\n");
    bob.say(&format!("x SUBSCRIBE {INBOX}"));
    let mut say =
        |tag: &str, sources: &str| bob.say(&format!("{tag} ESEARCH IN ({sources}) SUBJECT two"));
    assert_eq!(say("b1", "subscribed inboxes"), found("b1"));
    village.alice(&["SETACL INBOX bob l"]);
    assert_eq!(
        say("b2", "subtree \"Other Users\""),
        "b2 OK Search completed\r\n"
    );
    village.alice(&["SETACL INBOX bob lr"]);
    bob.say(&format!("x SELECT {INBOX}"));
    assert_eq!(bob.say("c1 ESEARCH IN (selected) SUBJECT two"), found("c1"));
    assert!(
        bob.say("c2 ESEARCH SUBJECT two")
            .ends_with("c2 OK Search completed\r\n")
    );
}

/// RFC 5465 §5: what cannot be told is refused, whether it is there or not.
#[test]
fn others_mailboxes_are_not_watched_in_silence() {
    let village = lent("lr");
    let mut bob = village.client(BOB_NAME);
    let refused = "a NO [NOTIFICATIONOVERFLOW] Mailboxes of others cannot be watched\r\n";
    let nowhere = "\"Other Users/alice@example.test/Nowhere\"";
    for filter in [
        format!("mailboxes {INBOX}"),
        format!("mailboxes (Lists {nowhere})"),
        "subtree \"Other Users\"".to_owned(),
        "subtree-one \"Other Users/alice@example.test\"".to_owned(),
    ] {
        let notify = format!("a NOTIFY SET ({filter} (MessageNew MessageExpunge))");
        assert_eq!(bob.say(&notify), refused, "{filter}");
    }
    let unknown =
        format!("a NOTIFY SET (mailboxes {INBOX} (MessageNew MessageExpunge AnnotationChange))");
    assert!(bob.say(&unknown).starts_with("a NO [BADEVENT "));
    let own = "a NOTIFY SET (subtree Lists (MessageNew MessageExpunge))";
    assert_eq!(bob.say(own), "a OK Done\r\n");
}
