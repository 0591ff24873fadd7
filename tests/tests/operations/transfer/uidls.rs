//! Unique ids of POP3 that move in with their messages: a client that left its mail on the old
//! server finds nothing new on ours.

use super::{Scene, write};
use std::fs;
use tests::pop3::Pop3;
use tests::server::Server;
use tests::setup::Setup;

const ANNA: &str = "anna@example.test";

/// A Maildir of another server: UIDs, and unique ids of three of its messages.
fn write_maildir(scene: &Scene) {
    let mut list = "3 V1795331235 N9 Gc23b6914a394026bf601000083ecc375\n".to_owned();
    for uid in [1, 2, 4, 8] {
        let name = format!("{}.M1P1.host,S=20", 1_700_000_000 + uid);
        let file = scene.path("md/cur").join(format!("{name}:2,S"));
        write(
            &file,
            format!("Message-ID: <{uid}@a>\nSubject: {uid}\n\nx\n"),
        );
        let uidl = if uid == 4 {
            String::new()
        } else {
            format!("Puidl-{uid} ")
        };
        list += &format!("{uid} W30 {uidl}:{name}\n");
    }
    write(&scene.path("md/dovecot-uidlist"), list);
}

const BROUGHT: [&str; 4] = ["uidl-1", "uidl-2", "000000046b0294a3", "uidl-8"];

/// As the tool lists them.
fn listed(scene: &Scene) -> Vec<String> {
    let said = scene.exits(0, &["--json", "uidl", "list", ANNA]);
    let id = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["uidl"].as_str().unwrap().to_owned()
    };
    said.lines().map(id).collect()
}

fn served(data: &std::path::Path) -> Vec<String> {
    let setup = Setup::usual().account(ANNA, tests::setup::PASSWORD);
    let server = Server::start(setup.data_in(data));
    let mut pop3 = Pop3::login(server.addresses().pop3s, ANNA).unwrap();
    let ids = pop3.uidl().unwrap();
    for (at, id) in ids.iter().enumerate() {
        let one = pop3.ok(&format!("UIDL {}", at + 1)).unwrap();
        assert_eq!(one, format!("{} {id}", at + 1));
    }
    pop3.ok("QUIT").unwrap();
    ids
}

#[test]
fn unique_ids_of_dovecot_move_in_and_on() {
    let scene = Scene::new();
    write_maildir(&scene);
    scene.import(ANNA, "md");
    assert_eq!(listed(&scene), BROUGHT);
    assert_eq!(served(&scene.path("data")), BROUGHT);
    scene.exits(0, &["compact"]);
    assert_eq!(listed(&scene), BROUGHT);
    // Out and in again, into a mailbox that has other UIDs.
    let maildir = scene.export(ANNA, "maildir", "out");
    let text = fs::read_to_string(maildir.join("dovecot-uidlist")).unwrap();
    assert!(text.contains("\n1 Puidl-1 :"), "{text}");
    let mbox = scene.export(ANNA, "mbox", "boxes");
    for source in [maildir, mbox] {
        let again = Scene::new();
        write(&again.path("first.eml"), "Subject: first\n\nx\n");
        again.exits(
            0,
            &[
                "import",
                "--account",
                ANNA,
                "--mailbox",
                "INBOX",
                "first.eml",
            ],
        );
        again.import(ANNA, source.to_str().unwrap());
        assert_eq!(listed(&again)[1..], BROUGHT, "{}", source.display());
        again.import(ANNA, source.to_str().unwrap());
        assert_eq!(listed(&again)[1..], BROUGHT, "nothing comes twice");
    }
}

#[test]
fn a_backup_has_unique_ids_too() {
    let scene = Scene::new();
    write_maildir(&scene);
    scene.import(ANNA, "md");
    assert_eq!(served(&scene.path("data")), BROUGHT);
    scene.exits(0, &["backup", "safe"]);
    let restored = Scene::new();
    fs::remove_dir_all(restored.path("data")).unwrap();
    let place = scene.path("safe");
    restored.exits(0, &["restore", place.to_str().unwrap()]);
    assert_eq!(listed(&restored), BROUGHT);
    assert_eq!(served(&restored.path("data")), BROUGHT);
}

#[test]
fn lists_and_headers_give_unique_ids() {
    let scene = Scene::new();
    for (uid, uidl) in [
        (1, "X-UIDL: !one~\n"),
        (2, ""),
        (3, ""),
        (4, "X-UIDL: bad one\n"),
    ] {
        let text = format!("{uidl}Message-ID: <{uid}@a>\nSubject: {uid}\n\nx\n");
        write(&scene.path(&format!("md/cur/{uid}.a:2,")), text);
    }
    scene.import(ANNA, "md");
    let own = listed(&scene);
    assert!(
        own.iter().all(|id| id.len() == 16),
        "headers are not believed: {own:?}"
    );
    // It was imported already: only the ids are new.
    scene.exits(0, &["import", "--account", ANNA, "--x-uidl", "md"]);
    assert_eq!(listed(&scene)[0], "!one~");
    assert_eq!(listed(&scene)[1..], own[1..]);
    write(
        &scene.path("list"),
        "by-uid\t2\nby-id\t<3@a>\n!one~\t4\nnone\t<9@a>\nnone\t9\nx\n",
    );
    let said = scene.exits(1, &["uidl", "import", ANNA, "list"]);
    assert!(
        said.contains("2 unique ids taken over, 4 left out"),
        "{said}"
    );
    assert!(
        said.contains("list:3: another message has this unique id"),
        "{said}"
    );
    assert_eq!(listed(&scene), ["!one~", "by-uid", "by-id", &own[3]]);
}
