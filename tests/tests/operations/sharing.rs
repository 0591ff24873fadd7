//! Users of every shard in the mailboxes of one of them: what stops working here stops teams.

use super::accounts::ctl;
use tests::imap::Imap;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};

/// With two shards some of them live where the owner does, and some do not.
const GUESTS: usize = 8;

/// More than goes into one letter.
const LONG: usize = 700_000;

#[test]
fn guests_of_all_shards_use_the_mailboxes_of_one() {
    let server = Server::start(setup());
    let imaps = server.addresses().imaps;
    let log_in = |user: &str| Imap::login(imaps, user, PASSWORD).unwrap();
    let mut owner = log_in("alice@example.test");
    owner.ok("CREATE Team").unwrap();
    let long = format!("Subject: long\r\n\r\n{}", "0123456789".repeat(LONG / 10));
    owner.append("Team", "", long.as_bytes()).unwrap();
    let mut shared = log_in("shared@example.test");
    shared.ok("CREATE News").unwrap();
    shared.ok("SETACL News anyone lrswi").unwrap();
    for number in 0..GUESTS {
        owner
            .ok(&format!("SETACL Team {} lrswite", guest(number)))
            .unwrap();
    }
    for number in 0..GUESTS {
        visit(&mut log_in(&guest(number)), &mut owner, &long);
    }
}

fn visit(bob: &mut Imap, owner: &mut Imap, long: &str) {
    let team = "\"Other Users/alice@example.test/Team\"";
    let listed = bob.ok("LIST \"\" * RETURN (STATUS (MESSAGES))").unwrap();
    assert!(listed.has(&format!("* LIST (\\HasNoChildren) \"/\" {team}")));
    assert!(
        listed.has(&format!("* STATUS {team} (MESSAGES 1)")),
        "{listed:?}"
    );
    let selected = bob.ok(&format!("SELECT {team}")).unwrap();
    assert!(
        selected.status.contains("READ-WRITE"),
        "{}",
        selected.status
    );
    let fetched = bob.fetch("FETCH 1 BODY.PEEK[]").unwrap();
    assert_eq!(fetched[0].octets("BODY[]").unwrap(), long.as_bytes());

    let appended = bob.append(team, "(\\Flagged) ", long.as_bytes()).unwrap();
    assert!(appended.is_ok(), "{}", appended.status);
    let tag = bob.send("IDLE").unwrap();
    bob.go_ahead().unwrap();
    owner.ok("SELECT Team").unwrap();
    owner.ok("STORE 2 +FLAGS (hello)").unwrap();
    let heard = loop {
        let response = bob.response().unwrap();
        if response.text().contains("hello") && response.text().contains("FETCH") {
            break response;
        }
    };
    assert!(heard.text().starts_with("* 2 FETCH"), "{}", heard.text());
    bob.connection.send(b"DONE\r\n").unwrap();
    assert!(bob.answer(&tag).unwrap().is_ok());

    let copied = bob.ok("COPY 1:2 INBOX").unwrap();
    assert!(copied.status.contains("COPYUID"), "{}", copied.status);
    let moved = bob.ok("MOVE 2 INBOX").unwrap();
    assert!(
        moved.has("* 1 EXPUNGE") || moved.has("* 2 EXPUNGE"),
        "{moved:?}"
    );
    assert_eq!(bob.status("INBOX", "MESSAGES").unwrap()["MESSAGES"], 3);
    bob.ok("SELECT INBOX").unwrap();
    let mine = bob.fetch("FETCH 2 (FLAGS BODY.PEEK[])").unwrap();
    assert_eq!(mine[0].octets("BODY[]").unwrap(), long.as_bytes());
    bob.ok(&format!("COPY 1 {team}")).unwrap();
    owner.ok("NOOP").unwrap();
    owner.ok("STORE 2 +FLAGS (\\Deleted)").unwrap();
    owner.ok("EXPUNGE").unwrap();

    bob.ok("SETMETADATA \"Shared/News\" (/shared/comment \"x\")")
        .unwrap();
    bob.ok("SUBSCRIBE Shared/News").unwrap();
    let listed = bob.ok("LIST (SUBSCRIBED) \"\" Shared/*").unwrap();
    assert!(
        listed.has("* LIST (\\Subscribed \\HasNoChildren) \"/\" Shared/News"),
        "{listed:?}"
    );
    let namespaces = bob.ok("NAMESPACE").unwrap();
    assert!(namespaces.has("* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"Shared/\""));
}

#[test]
fn an_operator_sees_and_sets_what_owners_can() {
    let server = Server::start(setup());
    let ctl = |order: &[&str]| ctl(&server.setup, order, "");
    let alice = "alice@example.test";
    ctl(&["acl", "set", alice, "INBOX", "guest1@example.test", "lr"]).unwrap();
    let shown = ctl(&["acl", "show", alice, "INBOX"]).unwrap();
    assert!(shown.contains("guest1@example.test lr"), "{shown}");
    ctl(&[
        "quota",
        "set",
        alice,
        "--storage",
        "1 MiB",
        "--messages",
        "5",
    ])
    .unwrap();
    let shown = ctl(&["quota", "show", alice]).unwrap();
    assert!(
        shown.contains("(STORAGE 0 1024 MESSAGE 0 5 MAILBOX 6 10000)"),
        "{shown}"
    );
    ctl(&[
        "metadata",
        "set",
        alice,
        "INBOX",
        "/shared/comment",
        "Ours \"all\"",
    ])
    .unwrap();
    let shown = ctl(&["metadata", "show", alice, "INBOX"]).unwrap();
    assert!(
        shown.contains("(/shared/comment \"Ours \\\"all\\\"\")"),
        "{shown}"
    );
    let refused = ctl(&["acl", "set", alice, "Nowhere", "bob", "l"]).unwrap_err();
    assert!(refused.contains("No such mailbox"), "{refused}");
    let refused = ctl(&["acl", "set", alice, "INBOX", "bob", "lq"]).unwrap_err();
    assert!(refused.contains("Unknown right"), "{refused}");
    assert!(ctl(&["quota", "show", "nobody@example.test"]).is_err());
}

/// Whoever gets an address that somebody had before is let into nobody's mailboxes by it.
#[test]
fn a_removed_address_takes_its_rights_along() {
    let server = Server::start(setup());
    let imaps = server.addresses().imaps;
    let ctl = |order: &[&str], input: &str| ctl(&server.setup, order, input).unwrap();
    let owners = [
        "alice@example.test".to_owned(),
        guest(0),
        guest(1),
        guest(2),
    ];
    for name in ["eve", "mallory"] {
        let address = format!("{name}@example.test");
        ctl(&["account", "add", &address], "first\n");
        for owner in &owners {
            ctl(&["acl", "set", owner, "INBOX", &address, "lr"], "");
        }
        let mut owner = Imap::login(imaps, &owners[0], PASSWORD).unwrap();
        owner.ok(&format!("SETACL INBOX -{address} w")).unwrap();
    }
    ctl(&["account", "remove", "--yes", "eve@example.test"], "");
    for owner in &owners {
        let shown = ctl(&["acl", "show", owner, "INBOX"], "");
        assert!(
            !shown.contains("eve@") && shown.contains("mallory@"),
            "{shown}"
        );
    }
    ctl(&["account", "add", "eve@example.test"], "second\n");
    let mut eve = Imap::login(imaps, "eve@example.test", "second").unwrap();
    let listed = eve.ok("LIST \"\" \"Other Users/*\"").unwrap();
    assert!(!listed.has("* LIST"), "{listed:?}");
}

fn guest(number: usize) -> String {
    format!("guest{number}@example.test")
}

fn setup() -> Setup {
    let mut setup = Setup::usual()
        .top("shards = 2")
        .account("shared@example.test", PASSWORD)
        .table("[sharing]\nshared = \"shared@example.test\"");
    for number in 0..GUESTS {
        setup = setup.account(&guest(number), PASSWORD);
    }
    setup
}
