//! RFC 4314 by the owner, and what each right lets a guest do.

use super::*;

#[test]
fn the_owner_gives_and_takes_rights() {
    Village::new().client(ALICE_NAME).play(
        "C: a1 SETACL INBOX Bob@example.test lrs
         S: a1 OK Done
         C: a2 GETACL INBOX
         S: * ACL INBOX alice@example.test lrswipkxteacd bob@example.test lrs
         S: a2 OK Done
         C: a3 SETACL INBOX bob +td
         S: a3 OK Done
         C: a4 SETACL INBOX bob -s
         S: a4 OK Done
         C: a5 SETACL INBOX -anyone p
         S: a5 OK Done
         C: a6 GETACL INBOX
         S: * ACL INBOX alice@example.test lrswipkxteacd -anyone p bob@example.test lrted
         S: a6 OK Done
         C: a7 DELETEACL INBOX bob
         S: a7 OK Done
         C: a8 SETACL INBOX -anyone \"\"
         S: a8 OK Done
         C: a9 GETACL INBOX
         S: * ACL INBOX alice@example.test lrswipkxteacd
         S: a9 OK Done
         C: b1 LISTRIGHTS INBOX bob
         S: * LISTRIGHTS INBOX bob \"\" l r s w i p k x t e a c d
         S: b1 OK Done
         C: b2 LISTRIGHTS INBOX alice
         S: * LISTRIGHTS INBOX alice lrswipkxtea
         S: b2 OK Done
         C: b3 MYRIGHTS INBOX
         S: * MYRIGHTS INBOX lrswipkxteacd
         S: b3 OK Done
         C: b4 SETACL INBOX bob lq
         S: b4 BAD …
         C: b5 SETACL INBOX alice lr
         S: b5 NO [CANNOT] The owner keeps all rights
         C: b6 SETACL INBOX -alice l
         S: b6 NO [CANNOT] …
         C: b7 SETACL nowhere bob l
         S: b7 NO [NONEXISTENT] …
         C: b8 MYRIGHTS nowhere
         S: b8 NO [NONEXISTENT] …",
    );
}

/// Who is in a group sees and may what was given to it, as to `anyone`, and loses what is denied.
#[test]
fn a_group_is_many_at_once() {
    let village = Village {
        groups_of_bob: vec!["group:sales".into(), "group:all".into()],
        ..Village::new()
    };
    village.alice(&[
        "CREATE Offers",
        "SETACL Offers Group:Sales lr",
        "SETACL Offers group:all i",
        "SETACL Offers group:strangers a",
        "CREATE Hidden",
        "SETACL Hidden group:sales lr",
        "SETACL Hidden -group:all l",
    ]);
    let mut bob = village.client(BOB_NAME);
    bob.play(
        "C: a1 LIST \"\" \"Other Users/*\"
         S: * LIST (\\NonExistent …
         S: * LIST (\\HasNoChildren) \"/\" \"Other Users/alice@example.test/Offers\"
         S: a1 OK Done
         C: a2 MYRIGHTS \"Other Users/alice@example.test/Offers\"
         S: * MYRIGHTS \"Other Users/alice@example.test/Offers\" lri
         S: a2 OK Done
         C: a3 SELECT \"Other Users/alice@example.test/Hidden\"
         S: a3 NO [NONEXISTENT] …",
    );
    let stranger = Village {
        groups_of_bob: Vec::new(),
        ..village
    };
    let listed = stranger
        .client(BOB_NAME)
        .say("b LIST \"\" \"Other Users/*\"");
    assert!(!listed.contains("Offers"), "{listed}");
}

#[test]
fn entries_are_bounded() {
    let village = Village::new();
    let mut alice = village.client(ALICE_NAME);
    for number in 0..256 {
        let said = alice.say(&format!("a SETACL INBOX user{number} l"));
        assert_eq!(said, "a OK Done\r\n");
    }
    let said = alice.say("a SETACL INBOX onemore l");
    assert!(said.starts_with("a NO [LIMIT]"), "{said}");
    assert_eq!(alice.say("a SETACL INBOX user7 lr"), "a OK Done\r\n");
}

/// A refusal says what is missing only to who may see the mailbox.
#[test]
fn without_lookup_there_is_nothing() {
    let village = Village::new();
    village.alice(&["CREATE secret", "SETACL secret bob rswipkxtea"]);
    let mut bob = village.client(BOB_NAME);
    let name = "\"Other Users/alice@example.test/secret\"";
    let other = "\"Other Users/alice@example.test/nothing\"";
    for command in [
        "SELECT #",
        "EXAMINE #",
        "STATUS # (MESSAGES)",
        "DELETE #",
        "RENAME # #x",
        "GETACL #",
        "MYRIGHTS #",
        "SETACL # bob l",
        "LISTRIGHTS # bob",
        "GETQUOTAROOT #",
        "CREATE #",
        "GETMETADATA # /shared/comment",
        "SETMETADATA # (/shared/comment \"x\")",
        "APPEND # {1+}\r\nx",
    ] {
        let fill = |name: &str| {
            let inside = name.trim_matches('"');
            let text = command.replace("#x", &format!("\"{inside}/x\""));
            format!("a {}", text.replace('#', name))
        };
        let (there, nowhere) = (bob.say(&fill(name)), bob.say(&fill(other)));
        assert_eq!(there, nowhere, "{command}");
        assert!(there.starts_with("a NO"), "{command}: {there}");
    }
    assert_eq!(bob.say("a LIST \"\" \"Other Users/*\""), "a OK Done\r\n");
}

#[test]
fn what_is_negative_wins() {
    let village = Village::new();
    village.alice(&["SETACL INBOX anyone lr", "SETACL INBOX -bob r"]);
    village.client(BOB_NAME).play(
        "C: a1 MYRIGHTS \"Other Users/alice@example.test/INBOX\"
         S: * MYRIGHTS \"Other Users/alice@example.test/INBOX\" l
         S: a1 OK Done
         C: a2 SELECT \"Other Users/alice@example.test/INBOX\"
         S: a2 NO [NOPERM] …",
    );
}

#[test]
fn new_mailboxes_have_the_rights_of_the_one_above() {
    let village = Village::new();
    village.alice(&["CREATE Team", "SETACL Team bob lrk"]);
    village.client(BOB_NAME).play(
        "C: a1 CREATE \"Other Users/alice@example.test/Team/notes\"
         S: a1 OK [MAILBOXID …
         C: a2 MYRIGHTS \"Other Users/alice@example.test/Team/notes\"
         S: * MYRIGHTS \"Other Users/alice@example.test/Team/notes\" lrkc
         S: a2 OK Done
         C: a3 CREATE \"Other Users/alice@example.test/Mine\"
         S: a3 NO [NONEXISTENT] …
         C: a4 DELETE \"Other Users/alice@example.test/Team/notes\"
         S: a4 NO [NOPERM] …
         C: a5 CREATE \"Other Users/alice@example.test\"
         S: a5 NO [CANNOT] …",
    );
}

#[test]
fn rights_vanish_with_the_mailbox_and_follow_its_name() {
    let village = Village::new();
    village.alice(&["CREATE one", "SETACL one bob lr", "RENAME one two"]);
    let mut bob = village.client(BOB_NAME);
    let all = "a LIST \"\" \"Other Users/%/*\"";
    assert_eq!(
        bob.say(all),
        "* LIST (\\HasNoChildren) \"/\" \"Other Users/alice@example.test/two\"\r\na OK Done\r\n"
    );
    village.alice(&["DELETE two", "CREATE two"]);
    assert_eq!(bob.say(all), "a OK Done\r\n");
}
