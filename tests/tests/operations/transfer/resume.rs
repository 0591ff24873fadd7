//! An import that is run again takes what is new, nothing twice, and no UID a second time.

use super::{Scene, number, table, write};
use std::fmt::Write;
use tests::server::Server;
use tests::setup::Setup;

#[test]
fn a_second_run_takes_what_is_new() {
    let scene = Scene::new();
    write_maildir(&scene, 1..=150);
    scene.import("anna@example.test", "md");
    let first = scene.picture("anna@example.test", "first");
    // The same date and size, and twice the same message: each stands for one.
    write_maildir(&scene, 1..=300);
    scene.import("anna@example.test", "md");
    let second = scene.picture("anna@example.test", "second");
    let rows = table(&second, "INBOX");
    assert_eq!(rows.len(), 300);
    let before = table(&first, "INBOX");
    assert_eq!(rows[..150], before);
    let uids: Vec<u32> = (1..=300).map(|uid| uid * 2).collect();
    let kept: Vec<u32> = rows
        .iter()
        .map(|row| row.split('\t').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(kept, uids);
    let said = scene.import("anna@example.test", "md");
    assert!(said.contains("0 messages imported"), "{said}");
    assert_eq!(scene.picture("anna@example.test", "third"), second);
    assert_eq!(number(&second, "INBOX", "uidvalidity"), 77);
}

/// A large message that is there is not written again, one that differs at its end is.
#[test]
fn large_messages_are_compared_while_they_stream() {
    let scene = Scene::new();
    let mut large = b"Subject: large\n\n".to_vec();
    large.extend(b"0123456789 0123456789\n".repeat(40_000));
    let from = b"From a@b Wed Jan  3 01:05:34 1996\n";
    write(&scene.path("box"), [&from[..], &large, b"\n"].concat());
    scene.import("anna@example.test", "box");
    let other = [&large[..large.len() - 1], b"!\n"].concat();
    let longer = [&large[..], b"more\n"].concat();
    let shorter = &large[..large.len() - 11];
    let mut all = Vec::new();
    for message in [&other[..], &large, &longer, shorter, b"\n"] {
        all.extend_from_slice(from);
        all.extend_from_slice(message);
        all.extend_from_slice(b"\n");
    }
    write(&scene.path("box"), all);
    let said = scene.exits(0, &["import", "--account", "anna@example.test", "box"]);
    let picture = scene.picture("anna@example.test", "out");
    let crlf = |octets: &[u8]| {
        String::from_utf8_lossy(octets)
            .replace('\n', "\r\n")
            .into_bytes()
    };
    assert!(picture["box/1.eml"] == crlf(&large));
    assert!(picture["box/2.eml"] == crlf(&other), "{said}");
    assert!(picture["box/3.eml"] == crlf(&longer), "{said}");
    assert!(
        picture["box/4.eml"].starts_with(&crlf(&shorter[..1000])),
        "{said}"
    );
    assert_eq!(table(&picture, "box").len(), 5, "{said}");
}

/// A mailbox that was deleted and is imported again has another UIDVALIDITY.
#[test]
fn a_uidvalidity_is_taken_over_once() {
    let mut server = Server::start(Setup::usual());
    let scene = Scene::new();
    write_maildir(&scene, 1..=3);
    let data = server.setup.data();
    let order = [
        "--data",
        data.to_str().unwrap(),
        "import",
        "--account",
        super::super::ALICE,
        "--mailbox",
        "Old",
        scene.path("md").to_str().unwrap(),
    ]
    .map(str::to_owned);
    let import = || {
        let mut command = std::process::Command::new(tests::binary::ringpostctl());
        command.args(&order).output().expect("the tool is built")
    };
    let refused = import();
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status.code() == Some(1) && why.contains("stop the server"),
        "{why}"
    );
    let mut seen = Vec::new();
    for _ in 0..2 {
        assert!(
            server
                .terminate(std::time::Duration::from_secs(45))
                .success()
        );
        assert!(import().status.success());
        server.restart();
        let mut imap = server.imap(super::super::ALICE);
        let status = imap.status("Old", "MESSAGES UIDVALIDITY UIDNEXT").unwrap();
        assert_eq!(status["MESSAGES"], 3);
        seen.push((status["UIDVALIDITY"], status["UIDNEXT"]));
        imap.ok("DELETE Old").unwrap();
    }
    assert_eq!(seen[0], (77, 7));
    assert!(seen[1].0 > 77, "{seen:?}");
}

/// Messages with the UIDs 2, 4, 6 …
fn write_maildir(scene: &Scene, numbers: std::ops::RangeInclusive<u32>) {
    let mut list = format!("3 V77 N{}\n", 2 * numbers.end() + 1);
    for number in numbers {
        let file = format!("{:04}.a.host", number);
        let path = scene.path("md/cur").join(format!("{file}:2,S"));
        write(&path, format!("Subject: {}\n\nbody\n", 100 + number / 2));
        let date = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let touched = std::fs::File::options().write(true).open(&path).unwrap();
        touched.set_modified(date).unwrap();
        let _ = writeln!(list, "{} :{file}", number * 2);
    }
    write(&scene.path("md/dovecot-uidlist"), list);
}
