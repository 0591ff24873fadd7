//! RFC 5464 and RFC 9590: what is noted of mailboxes and of the server.

use super::*;

#[test]
fn entries_are_set_told_and_taken_away() {
    Village::new().client(ALICE_NAME).play(
        "C: a1 SETMETADATA INBOX (/private/comment \"My own comment\" /Shared/Comment \"For all\")
         S: a1 OK Done
         C: a2 GETMETADATA INBOX /private/comment
         S: * METADATA INBOX (/private/comment \"My own comment\")
         S: a2 OK Done
         C: a3 GETMETADATA INBOX (/shared/comment /private/comment /private/x)
         S: * METADATA INBOX (/private/comment \"My own comment\" /private/x NIL …
         S: a3 OK Done
         C: a4 SETMETADATA INBOX (/private/comment NIL)
         S: a4 OK Done
         C: a5 GETMETADATA INBOX /private/comment
         S: * METADATA INBOX (/private/comment NIL)
         S: a5 OK Done
         C: a6 SETMETADATA INBOX (/private/comment \"\")
         S: a6 OK Done
         C: a7 GETMETADATA INBOX /private/comment
         S: * METADATA INBOX (/private/comment \"\")
         S: a7 OK Done
         C: a8 GETMETADATA nowhere /private/comment
         S: a8 NO [NONEXISTENT] …
         C: a9 SETMETADATA INBOX (/private NIL)
         S: a9 NO [CANNOT] …
         C: b1 SETMETADATA INBOX (/comment \"x\")
         S: b1 BAD …
         C: b2 GETMETADATA INBOX /shared/a//b
         S: b2 BAD …",
    );
}

#[test]
fn depth_and_maxsize_choose() {
    Village::new().client(ALICE_NAME).play(
        "C: a1 SETMETADATA INBOX (/private/f/a \"1\" /private/f/a/b \"22\" /private/fa \"3\")
         S: a1 OK Done
         C: a2 GETMETADATA (DEPTH 1) INBOX /private/f
         S: * METADATA INBOX (/private/f/a \"1\")
         S: a2 OK Done
         C: a3 GETMETADATA (DEPTH infinity) INBOX (/private/f)
         S: * METADATA INBOX (/private/f/a \"1\" /private/f/a/b \"22\")
         S: a3 OK Done
         C: a4 GETMETADATA (DEPTH infinity MAXSIZE 1) INBOX /private
         S: * METADATA INBOX (/private/f/a \"1\" /private/fa \"3\")
         S: a4 OK [METADATA LONGENTRIES 2] Done
         C: a5 GETMETADATA INBOX (MAXSIZE 1) (/private/f/a/b)
         S: a5 OK [METADATA LONGENTRIES 2] Done
         C: a6 GETMETADATA (DEPTH 2) INBOX /private
         S: a6 BAD …",
    );
}

#[test]
fn the_server_has_entries_of_its_own() {
    Village::new().client(ALICE_NAME).play(
        "C: a1 GETMETADATA \"\" /shared/comment
         S: * METADATA \"\" (/shared/comment \"A village\")
         S: a1 OK Done
         C: a2 GETMETADATA (DEPTH infinity) \"\" /shared
         S: * METADATA \"\" (/shared/admin \"mailto:alice@example.test\" …
         S: a2 OK Done
         C: a3 SETMETADATA \"\" (/shared/comment \"Mine\")
         S: a3 NO [NOPERM] …
         C: a4 SETMETADATA \"\" (/private/vendor/x \"Mine\")
         S: a4 OK Done
         C: a5 GETMETADATA \"\" /private/vendor/x
         S: * METADATA \"\" (/private/vendor/x \"Mine\")
         S: a5 OK Done",
    );
}

#[test]
fn values_are_long_binary_and_bounded() {
    let village = Village::new();
    let mut client = village.client(ALICE_NAME);
    let long: String = ('a'..='z').cycle().take(64 << 10).collect();
    let said = client.say(&format!(
        "a SETMETADATA INBOX (/private/long {{{}+}}\r\n{long})",
        long.len()
    ));
    assert!(said.ends_with("a OK Done\r\n"), "{said}");
    let told = client.say("b GETMETADATA INBOX /private/long");
    let whole = format!("* METADATA INBOX (/private/long {{65536}}\r\n{long})\r\nb OK Done\r\n");
    assert_eq!(told, whole);
    let said = client.say(&format!(
        "c SETMETADATA INBOX (/private/long {{{}+}}\r\n{long}x)",
        long.len() + 1
    ));
    assert!(said.contains("c NO [METADATA MAXSIZE 65536]"), "{said}");
    let said = client.say("d SETMETADATA INBOX (/private/long short)");
    assert!(said.starts_with("d BAD"), "a value is no atom: {said}");
    client.say("e SETMETADATA INBOX (/private/long \"short\")");
    let told = client.say("f GETMETADATA INBOX /private/long");
    assert!(
        told.starts_with("* METADATA INBOX (/private/long \"short\")"),
        "{told}"
    );
    client.say("g SETMETADATA INBOX (/private/nul ~{3+}\r\na\0b)");
    let told = client.say("h GETMETADATA INBOX /private/nul");
    assert!(told.contains("(/private/nul ~{3}\r\na\0b)"), "{told:?}");
}

#[test]
fn an_account_has_so_many_octets_of_notes() {
    let village = Village::new();
    let mut client = village.client(ALICE_NAME);
    let value = "x".repeat(64 << 10);
    let mut refused = None;
    for number in 0..80 {
        let command = format!(
            "a SETMETADATA INBOX (/shared/{number} {{{}+}}\r\n{value})",
            value.len()
        );
        let said = client.say(&command);
        if !said.contains("a OK") {
            assert!(said.contains("a NO [METADATA TOOMANY]"), "{said}");
            refused = Some(number);
            break;
        }
    }
    assert!(refused.is_some_and(|number| number > 40), "{refused:?}");
}

#[test]
fn they_follow_rename_and_vanish_with_the_mailbox() {
    Village::new().client(ALICE_NAME).play(
        "C: a1 CREATE one
         S: a1 OK [MAILBOXID …
         C: a2 SETMETADATA one (/private/comment \"x\")
         S: a2 OK Done
         C: a3 RENAME one two
         S: a3 OK Done
         C: a4 GETMETADATA two /private/comment
         S: * METADATA two (/private/comment \"x\")
         S: a4 OK Done
         C: a5 DELETE two
         S: a5 OK Done
         C: a6 CREATE two
         S: a6 OK [MAILBOXID …
         C: a7 GETMETADATA two /private/comment
         S: * METADATA two (/private/comment NIL)
         S: a7 OK Done",
    );
}

#[test]
fn who_enabled_it_hears_of_changes() {
    let village = Village::new();
    let mut one = village.client(ALICE_NAME);
    one.play(
        "C: a1 ENABLE METADATA
         S: * ENABLED METADATA
         S: a1 OK Enabled",
    );
    village.alice(&["SETMETADATA INBOX (/shared/comment \"new\" /private/comment \"new\")"]);
    one.play(
        "C: a2 NOOP
         S: * METADATA INBOX /private/comment
         S: * METADATA INBOX /shared/comment
         S: a2 OK Done
         C: a3 SETMETADATA INBOX (/shared/comment \"mine\")
         S: a3 OK Done
         C: a4 NOOP
         S: a4 OK Done",
    );
    one.say("x SELECT INBOX");
    one.say("a5 IDLE");
    village.alice(&["SETMETADATA INBOX (/shared/other \"x\")"]);
    assert_eq!(one.listen(), "* METADATA INBOX /shared/other\r\n");
}

/// RFC 5465 §5.6, §5.7: between commands too, and what was not asked for is not told.
#[test]
fn who_asked_for_it_with_notify_hears_of_changes() {
    let village = Village::new();
    let mut one = village.client(ALICE_NAME);
    village.alice(&["CREATE Lists", "CREATE Lists/a", "CREATE Spam"]);
    one.say("a ENABLE METADATA");
    one.say("a NOTIFY SET (subtree Lists (MailboxMetadataChange))");
    village.alice(&["SETMETADATA Lists/a (/shared/comment \"x\")"]);
    assert_eq!(one.listen(), "* METADATA Lists/a /shared/comment\r\n");
    village.alice(&[
        "SETMETADATA Spam (/shared/comment \"x\")",
        "SETMETADATA \"\" (/private/comment \"x\")",
    ]);
    assert_eq!(one.listen(), "");
    one.say("a NOTIFY SET (personal (ServerMetadataChange))");
    village.alice(&["SETMETADATA \"\" (/private/comment \"y\")"]);
    assert_eq!(one.listen(), "* METADATA \"\" /private/comment\r\n");
    one.say("a NOTIFY NONE");
    village.alice(&["SETMETADATA Lists/a (/shared/comment \"y\")"]);
    assert_eq!(one.say("a NOOP"), "a OK Done\r\n");
}

#[test]
fn list_tells_them() {
    Village::new().client(ALICE_NAME).play(
        "C: a1 CREATE a
         S: a1 OK [MAILBOXID …
         C: a2 SETMETADATA INBOX (/private/comment \"hello\")
         S: a2 OK Done
         C: a3 LIST \"\" % RETURN (METADATA (/private/comment /shared/comment) MYRIGHTS)
         S: * LIST (\\HasNoChildren) \"/\" INBOX
         S: * MYRIGHTS INBOX lrswipkxteacd
         S: * METADATA INBOX (/private/comment \"hello\")
         S: * LIST (\\HasNoChildren) \"/\" a
         S: * MYRIGHTS a lrswipkxteacd
         S: a3 OK Done",
    );
}
