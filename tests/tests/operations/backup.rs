//! `ringpostctl backup` and `restore` as an operator uses them: increments, moments, one mailbox,
//! and every refusal.

use super::{ALICE, BOB, message};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tests::binary;
use tests::imap::Imap;
use tests::server::Server;
use tests::setup::Setup;

#[test]
fn a_second_backup_copies_only_what_is_new() {
    let server = Server::usual();
    let data = server.setup.data();
    let large = tests::corpus::plain("large", 900_000, &mut tests::seed::Seed::new(7));
    for _ in 0..4 {
        server.deliver(&[ALICE], &large);
    }
    let place = tempfile::tempdir().unwrap();
    let first = backup(&data, place.path());
    assert!(
        first.new_bytes > 3_600_000 && first.new_bytes == first.bytes,
        "{first:?}"
    );
    server.deliver(&[BOB], &message("one more"));
    let second = backup(&data, place.path());
    assert_eq!(second.generation, 2);
    assert!((1..200_000).contains(&second.new_bytes), "{second:?}");
    let third = backup(&data, place.path());
    assert_eq!(
        (third.new_bytes, third.new_files),
        (0, 0),
        "nothing happened: {third:?}"
    );
    // Each generation is what it was.
    for (generation, count) in [("1", 0), ("2", 1), ("3", 1)] {
        let folder = tempfile::tempdir().unwrap();
        let restored = folder.path().join("data");
        let from = path(place.path());
        ctl(&restored, &["restore", "--generation", generation, from]).unwrap();
        let twin = Server::start(Setup::usual().data_in(&restored));
        assert_eq!(messages(&mut twin.imap(ALICE), "INBOX"), 4);
        assert_eq!(messages(&mut twin.imap(BOB), "INBOX"), count);
    }
}

#[test]
fn a_moment_has_what_came_before_and_nothing_later() {
    let mut server = Server::start(Setup::usual().top("shards = 2"));
    server.deliver(&[ALICE, BOB], &message("before"));
    server.wait_for_messages(BOB, 1);
    let moment = pass_second();
    server.deliver(&[ALICE, BOB], &message("after"));
    let mut imap = server.imap_in(ALICE, "INBOX");
    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.ok("EXPUNGE").unwrap();
    pass_second();
    let data = server.setup.data();
    let running = tempfile::tempdir().unwrap();
    backup(&data, running.path());
    // As it closes, a store writes down an index, which then knows more than there was.
    assert!(server.terminate(Duration::from_secs(45)).success());
    let closed = tempfile::tempdir().unwrap();
    backup(&data, closed.path());
    assert!(
        closed
            .path()
            .join("generations/00000001/shard-00/MANIFEST")
            .exists()
    );
    for place in [&running, &closed] {
        let folder = tempfile::tempdir().unwrap();
        let restored = folder.path().join("data");
        let to = format!("@{moment}");
        ctl(&restored, &["restore", "--to", &to, path(place.path())]).unwrap();
        let twin = Server::start(Setup::usual().data_in(&restored));
        for user in [ALICE, BOB] {
            let subjects = subjects(&mut twin.imap_in(user, "INBOX"));
            assert_eq!(subjects, ["before"], "{user}");
        }
        twin.deliver(&[ALICE, BOB], &message("new life"));
        twin.wait_for_messages(ALICE, 2);
        twin.wait_for_messages(BOB, 2);
    }
}

#[test]
fn a_moment_outside_of_the_backup_is_refused_with_its_bounds() {
    let server = Server::usual();
    server.deliver(&[ALICE], &message("mail"));
    let place = tempfile::tempdir().unwrap();
    backup(&server.setup.data(), place.path());
    let folder = tempfile::tempdir().unwrap();
    for (to, says) in [
        ("2001-01-01T00:00:00Z", "the earliest is --to 20"),
        ("2101-01-01T00:00:00Z", "the backup ends at 20"),
        ("yesterday", "is no moment"),
    ] {
        let restored = folder.path().join("data");
        let refused = ctl(&restored, &["restore", "--to", to, path(place.path())]);
        let refused = refused.expect_err("it must be refused");
        assert!(refused.contains(says), "{to}: {refused}");
        assert!(!restored.exists(), "something was made: {to}");
    }
}

#[test]
fn one_mailbox_goes_into_another_store() {
    let mut server = Server::usual();
    let mut imap = server.imap(ALICE);
    imap.ok("CREATE Work").unwrap();
    imap.append("Work", "(\\Flagged $Later) ", &message("precious"))
        .unwrap();
    imap.append(
        "Work",
        "",
        &tests::corpus::plain("big", 700_000, &mut tests::seed::Seed::new(3)),
    )
    .unwrap();
    let place = tempfile::tempdir().unwrap();
    let data = server.setup.data();
    backup(&data, place.path());
    imap.ok("DELETE Work").unwrap();
    let (into, from) = (path(&data), path(place.path()));
    let order = [
        "restore",
        "--account",
        ALICE,
        "--mailbox",
        "Work",
        "--into",
        into,
        from,
    ];
    let refused = ctl(&data, &order).expect_err("the server runs");
    assert!(
        refused.contains("stands still") && refused.contains("over IMAP"),
        "{refused}"
    );
    assert!(server.terminate(Duration::from_secs(45)).success());
    for _ in 0..2 {
        ctl(&data, &order).unwrap();
    }
    let missing = [
        "restore",
        "--account",
        ALICE,
        "--mailbox",
        "No",
        "--into",
        into,
        from,
    ];
    let refused = ctl(&data, &missing).expect_err("there is no such mailbox");
    assert!(refused.contains("no mailbox No"), "{refused}");
    server.restart();
    let mut imap = server.imap(ALICE);
    assert_eq!(messages(&mut imap, "\"Restored 2/Work\""), 2);
    imap.ok("SELECT Restored/Work").unwrap();
    assert_eq!(subjects(&mut imap), ["precious", "big"]);
    let found = imap.ok("SEARCH KEYWORD $Later FLAGGED").unwrap();
    assert!(
        found
            .untagged
            .iter()
            .any(|line| line.text() == "* SEARCH 1"),
        "flags are kept"
    );
    assert!(!data.join("restore-scratch").exists());
}

#[test]
fn wrong_places_are_refused_and_stay_as_they_are() {
    let server = Server::usual();
    server.deliver(&[ALICE], &message("mail"));
    let data = server.setup.data();
    let inside = data.join("backup");
    let refused = ctl(&data, &["backup", path(&inside)]).expect_err("inside of the store");
    assert!(refused.contains("must not lie in each other"), "{refused}");
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("letter.txt"), "mine").unwrap();
    let refused = ctl(&data, &["backup", path(other.path())]).expect_err("something else is there");
    assert!(refused.contains("no backup of Ringpost"), "{refused}");
    let refused = ctl(other.path(), &["backup", path(&inside)]).expect_err("no store");
    assert!(refused.contains("there is no store"), "{refused}");

    let place = tempfile::tempdir().unwrap();
    backup(&data, place.path());
    let second = Server::usual();
    let refused = ctl(&second.setup.data(), &["backup", path(place.path())]);
    let refused = refused.expect_err("the backup of another store");
    assert!(refused.contains("another store"), "{refused}");
    let refused = ctl(&data, &["restore", path(place.path())]).expect_err("into a store");
    assert!(refused.contains("is not empty"), "{refused}");
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data");
    let order = ["restore", "--generation", "9", path(place.path())];
    let refused = ctl(&target, &order).expect_err("no such generation");
    assert!(refused.contains("no generation 9"), "{refused}");
}

/// One changed octet anywhere in what a generation counts on.
#[test]
fn damage_in_a_backup_is_named() {
    let server = Server::usual();
    server.deliver(&[ALICE], &message("mail"));
    let place = tempfile::tempdir().unwrap();
    backup(&server.setup.data(), place.path());
    for (file, at) in [
        ("backup", 20),
        ("generations/00000001/list", 100),
        ("shard-00/log/0000000000000001.log", 4_200),
    ] {
        let file = place.path().join(file);
        let whole = std::fs::read(&file).unwrap();
        let mut changed = whole.clone();
        changed[at] ^= 4;
        std::fs::write(&file, changed).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let refused = ctl(
            &folder.path().join("data"),
            &["restore", path(place.path())],
        );
        refused.expect_err("a changed octet is noticed");
        assert!(
            !folder.path().join("data/store").exists(),
            "half a store can be opened"
        );
        std::fs::write(&file, whole).unwrap();
    }
}

/// Old generations go, what is kept stays whole, and a changed octet is told with its file.
#[test]
fn a_backup_is_pruned_and_verified() {
    let server = Server::usual();
    let data = server.setup.data();
    let place = tempfile::tempdir().unwrap();
    for number in 0..3 {
        server.deliver(&[ALICE], &message(&format!("number {number}")));
        backup(&data, place.path());
    }
    let at = path(place.path());
    let said = ctl(&data, &["backup", "--verify", at]).unwrap();
    assert!(
        said.contains("3 generations") && said.contains("whole"),
        "{said}"
    );
    let refused = ctl(&data, &["backup", "--prune", "0", at]).expect_err("none would be left");
    assert!(refused.contains("--prune"), "{refused}");
    let said = ctl(&data, &["backup", "--prune", "2", at]).unwrap();
    assert!(said.starts_with("1 generations"), "{said}");
    assert!(!place.path().join("generations/00000001").exists());
    let listed = ctl(&data, &["--json", "backup", "--list", at]).unwrap();
    assert_eq!(listed.matches("\"generation\"").count(), 2, "{listed}");
    let said = ctl(&data, &["backup", "--verify", at]).unwrap();
    assert!(
        said.contains("2 generations") && said.contains("whole"),
        "{said}"
    );
    assert_eq!(backup(&data, place.path()).generation, 4);

    let file = place.path().join("generations/00000003/shard-00/tail");
    let mut octets = std::fs::read(&file).unwrap();
    octets[70] ^= 1;
    std::fs::write(&file, octets).unwrap();
    let mut command = Command::new(binary::ringpostctl());
    command.args(["backup", "--verify", at]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("shard-00/tail: its checksum does not fit (generation 3)"),
        "{said}"
    );
}

/// A store that went back to an older state and lived on is not mixed with what it was.
#[test]
fn another_history_is_not_mixed_in() {
    let server = Server::usual();
    let data = server.setup.data();
    let place = tempfile::tempdir().unwrap();
    server.deliver(&[ALICE], &message("one"));
    backup(&data, place.path());
    // The very last frame might be one that a power cut took.
    server.deliver(&[ALICE], &message("two"));
    server.deliver(&[ALICE], &message("and a half"));
    backup(&data, place.path());
    let folder = tempfile::tempdir().unwrap();
    let restored = folder.path().join("data");
    ctl(
        &restored,
        &["restore", "--generation", "1", path(place.path())],
    )
    .unwrap();
    let twin = Server::start(Setup::usual().data_in(&restored));
    twin.deliver(&[ALICE], &message("another two"));
    let refused = ctl(&restored, &["backup", path(place.path())]).expect_err("it lived on");
    assert!(refused.contains("begin a new backup"), "{refused}");
    // Restored to its end, a store goes on with its backup.
    let folder = tempfile::tempdir().unwrap();
    let restored = folder.path().join("data");
    ctl(&restored, &["restore", path(place.path())]).unwrap();
    let twin = Server::start(Setup::usual().data_in(&restored));
    twin.deliver(&[ALICE], &message("three"));
    assert_eq!(backup(&restored, place.path()).generation, 3);
}

#[derive(Debug)]
struct Taken {
    generation: u64,
    bytes: u64,
    new_files: u64,
    new_bytes: u64,
}

fn backup(data: &Path, place: &Path) -> Taken {
    let said = ctl(data, &["--json", "backup", path(place)]).unwrap();
    let number = |name: &str| {
        let (_, rest) = said.split_once(&format!("\"{name}\":")).unwrap();
        let end = rest.find([',', '}']).unwrap();
        rest[..end].trim().parse().unwrap()
    };
    Taken {
        generation: number("generation"),
        bytes: number("bytes"),
        new_files: number("new_files"),
        new_bytes: number("new_bytes"),
    }
}

/// The present second, when it is over.
fn pass_second() -> u64 {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let second = now();
    while now() == second {
        std::thread::yield_now();
    }
    second
}

fn messages(imap: &mut Imap, mailbox: &str) -> u64 {
    imap.status(mailbox, "MESSAGES").unwrap()["MESSAGES"]
}

fn subjects(imap: &mut Imap) -> Vec<String> {
    let fetched = imap
        .fetch(&format!("FETCH 1:* (BODY.PEEK[{SUBJECT}])"))
        .unwrap();
    let text = |one: &tests::imap::Fetched| {
        let octets = one.octets(&format!("BODY[{SUBJECT}]")).unwrap();
        let text = String::from_utf8_lossy(octets).into_owned();
        text.trim().trim_start_matches("Subject: ").to_owned()
    };
    fetched.iter().map(text).collect()
}

/// Runs the tool; the error is what it said.
fn ctl(data: &Path, order: &[&str]) -> Result<String, String> {
    let mut command = Command::new(binary::ringpostctl());
    command.arg("--data").arg(data).args(order);
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the tool is built");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn path(of: &Path) -> &str {
    of.to_str().expect("scratch directories have plain names")
}

const SUBJECT: &str = "HEADER.FIELDS (SUBJECT)";
