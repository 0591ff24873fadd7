//! A store is checked, dumped, repaired and compacted by `ringpostctl`, with the server stopped.
//!
//! What would break for a user if this failed: damage is not found, or mail that could be saved is
//! not, or something is changed that nobody asked to change.

use super::{ALICE, BOB, message};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tests::binary;
use tests::imap::Fetched;
use tests::server::Server;
use tests::setup::Setup;

/// What the tool said, and its exit code.
fn ctl(data: &Path, order: &[&str]) -> (i32, String) {
    let mut command = Command::new(binary::ringpostctl());
    let output = command.arg("--data").arg(data).args(order).output();
    let output = output.expect("the tool is built");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    assert!(!said.contains("panicked"), "{order:?}: {said}");
    (output.status.code().expect("it ends by itself"), said)
}

/// A stopped server with mail of alice and bob; the first of alice's is seen, the third is gone.
fn stopped() -> Server {
    let mut server = Server::start(Setup::usual().top("shards = 1"));
    for number in 1..=6 {
        server.deliver(&[ALICE, BOB], &message(&format!("number {number}")));
    }
    server.deliver(&[BOB], &tests::corpus::plain("large", 700_000, &mut seed()));
    let mut imap = server.imap_in(ALICE, "INBOX");
    imap.ok("STORE 1 +FLAGS.SILENT (\\Seen Kept)").unwrap();
    imap.ok("STORE 3 +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.ok("EXPUNGE").unwrap();
    drop(imap);
    assert!(server.terminate(Duration::from_secs(45)).success());
    server
}

fn seed() -> tests::seed::Seed {
    tests::seed::Seed::new(3)
}

/// A message as a client sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Seen {
    uid: u32,
    flags: Vec<String>,
    octets: Option<Vec<u8>>,
}

fn mail(server: &Server, user: &str) -> Vec<Seen> {
    let mut imap = server.imap_in(user, "INBOX");
    let rows = imap.fetch("UID FETCH 1:* (UID FLAGS)").unwrap();
    let mut all = Vec::new();
    for row in rows {
        let uid = row.uid().unwrap();
        let body = imap.fetch(&format!("UID FETCH {uid} (BODY.PEEK[])"));
        let body = body
            .ok()
            .and_then(|found| Some(found.first()?.octets("BODY[]")?.to_vec()));
        all.push(Seen {
            uid,
            flags: flags(&row),
            octets: body,
        });
    }
    all
}

/// Without `\Recent`, which the next session does not see.
fn flags(row: &Fetched) -> Vec<String> {
    let flags = row.items["FLAGS"].list().unwrap();
    let flags = flags.iter().map(|flag| flag.string().unwrap());
    flags.filter(|flag| flag != "\\Recent").collect()
}

fn uids(mail: &[Seen]) -> Vec<u32> {
    mail.iter().map(|row| row.uid).collect()
}

/// Every file below a directory, but for the lock and the socket.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// Changes one octet behind the first place where `text` stands.
fn harm(file: &Path, text: &[u8]) {
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.windows(text.len()).position(|window| window == text);
    let at = at.expect("the text is in the file");
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

fn segment(server: &Server) -> PathBuf {
    server
        .setup
        .data()
        .join("shard-00/log/0000000000000001.log")
}

#[test]
fn a_sound_store_is_clean_and_nothing_is_changed() {
    let server = Server::start(Setup::usual().top("shards = 1"));
    server.deliver(&[ALICE], &message("hello"));
    let (code, said) = ctl(&server.setup.data(), &["fsck"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("stop the server"), "{said}");
    drop(server);
    let server = stopped();
    let data = server.setup.data();
    // A copy without a lock is what a snapshot of a file system looks like.
    std::fs::remove_file(data.join("lock")).unwrap();
    let before = files(&data);
    let (code, said) = ctl(&data, &["fsck"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("The store is clean"), "{said}");
    let (code, said) = ctl(&data, &["--json", "fsck"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = ctl(&data, &["fsck", "--memory", "64 B"]);
    assert!(code == 0 && said.contains("The store is clean"), "{said}");
    let (code, said) = ctl(&data, &["fsck", "--memory", "much"]);
    assert!(code == 2 && said.contains("write it as"), "{said}");
    let (code, said) = ctl(&data, &["compact", "--dry-run"]);
    assert_eq!(code, 0, "{said}");
    assert!(before == files(&data), "a look changes nothing");
}

#[test]
fn a_damaged_message_is_named_kept_and_dropped_only_when_asked() {
    let mut server = stopped();
    let data = server.setup.data();
    harm(&segment(&server), b"Subject: number 2");
    let (code, said) = ctl(&data, &["fsck"]);
    assert_eq!(code, 1, "{said}");
    for told in ["0000000000000001.log at ", ALICE, BOB, "\"INBOX\"", "UID 2"] {
        assert!(said.contains(told), "{told} is missing: {said}");
    }
    let (code, said) = ctl(&data, &["fsck", "--repair"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("UID 2"), "{said}");
    let aside = std::fs::read_dir(&data).unwrap().filter_map(Result::ok);
    let aside: Vec<PathBuf> = aside
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("/repair-"))
        .collect();
    let report = std::fs::read_to_string(aside[0].join("report.txt")).unwrap();
    assert!(report.contains("UID 2"), "{report}");
    server.restart();
    let left = mail(&server, ALICE);
    assert_eq!(uids(&left), [1, 2, 4, 5, 6]);
    assert!(
        left.iter()
            .all(|row| row.octets.is_some() == (row.uid != 2))
    );
    assert_eq!(left[0].flags, ["\\Seen", "Kept"]);
    assert!(server.terminate(Duration::from_secs(45)).success());
    let (code, said) = ctl(&data, &["fsck", "--repair", "--drop-unreadable"]);
    assert_eq!(code, 0, "{said}");
    server.restart();
    assert_eq!(uids(&mail(&server, ALICE)), [1, 4, 5, 6]);
    let large = mail(&server, BOB).pop().unwrap();
    assert!(large.octets.unwrap().len() > 700_000);
    server.deliver(&[ALICE], &message("and on"));
}

#[test]
fn an_index_that_is_damaged_or_gone_is_made_again() {
    let mut server = stopped();
    let data = server.setup.data();
    server.restart();
    let before = (mail(&server, ALICE), mail(&server, BOB));
    assert!(server.terminate(Duration::from_secs(45)).success());
    let shard = data.join("shard-00");
    harm(&shard.join("MANIFEST"), b"next-number");
    let (code, said) = Server::refused(&server.setup);
    assert_ne!(code, Some(0), "{said}");
    let (code, said) = ctl(&data, &["fsck"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("MANIFEST"), "{said}");
    let (code, said) = ctl(&data, &["fsck", "--repair"]);
    assert_eq!(code, 0, "{said}");
    server.restart();
    assert!(before == (mail(&server, ALICE), mail(&server, BOB)));
    assert!(server.terminate(Duration::from_secs(45)).success());
    std::fs::remove_dir_all(shard.join("index")).unwrap();
    let (code, said) = ctl(&data, &["fsck", "--repair"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(ctl(&data, &["fsck"]).0, 0);
    server.restart();
    assert!(before == (mail(&server, ALICE), mail(&server, BOB)));
}

#[test]
fn what_is_no_store_of_ours_is_told_and_left_alone() {
    let server = stopped();
    let data = server.setup.data();
    let nothing = tempfile::tempdir().unwrap();
    for order in [&["fsck"][..], &["fsck", "--repair"], &["dump"]] {
        let (code, said) = ctl(nothing.path(), order);
        assert_eq!(code, 2, "{order:?}: {said}");
        assert!(
            files(nothing.path()).is_empty(),
            "{order:?} has made something"
        );
    }
    let identity = std::fs::read_to_string(data.join("store")).unwrap();
    for (wrong, told) in [
        (identity.replace("format 1", "format 9"), "format 9"),
        ("hello\n".to_owned(), "does not describe"),
    ] {
        std::fs::write(data.join("store"), wrong).unwrap();
        let before = files(&data);
        for order in [&["fsck"][..], &["fsck", "--repair"], &["dump", "MANIFEST"]] {
            let (code, said) = ctl(&data, order);
            assert_eq!(code, 2, "{order:?}: {said}");
            assert!(said.contains(told), "{said}");
        }
        assert!(before == files(&data));
    }
    // Another store's identity over these files: everything is foreign.
    let uuid = identity.lines().nth(2).unwrap();
    let other = identity.replace(uuid, "uuid 000102030405060708090a0b0c0d0e0f");
    std::fs::write(data.join("store"), other).unwrap();
    let (code, said) = ctl(&data, &["fsck"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("another store"), "{said}");
}

#[test]
fn a_shard_whose_disk_is_not_mounted_is_missed_and_not_begun_anew() {
    let mut server = Server::start(Setup::usual().top("shards = 2"));
    server.deliver(&[ALICE, BOB], &message("kept"));
    assert!(server.terminate(Duration::from_secs(45)).success());
    let data = server.setup.data();
    assert_eq!(ctl(&data, &["fsck"]).0, 0);
    let target = tempfile::tempdir().unwrap();
    for shard in ["shard-00", "shard-01"] {
        let (there, away) = (data.join(shard), target.path().join(shard));
        std::fs::rename(&there, &away).unwrap();
        // An empty mount point.
        std::fs::create_dir(&there).unwrap();
        let (code, said) = server.try_restart().unwrap_err();
        assert_eq!(code, Some(1), "{said}");
        let told = format!("the log of {shard} is not there");
        assert!(said.contains(&told) && said.contains("mount"), "{said}");
        let place = target.path().join("backup").display().to_string();
        let (code, said) = ctl(&data, &["backup", &place]);
        assert!(code != 0 && said.contains(&told), "{said}");
        let (code, said) = ctl(&data, &["fsck"]);
        assert!(code == 1 && said.contains(shard), "{said}");
        std::fs::remove_dir(&there).unwrap();
        std::fs::rename(&away, &there).unwrap();
    }
    server.restart();
    assert_eq!(mail(&server, ALICE).len() + mail(&server, BOB).len(), 2);
}

#[test]
fn every_file_can_be_dumped() {
    let server = stopped();
    let data = server.setup.data();
    let (code, said) = ctl(&data, &["dump"]);
    assert_eq!(code, 0, "{said}");
    let listed = said.lines().filter_map(|line| line.split("path=").nth(1));
    let listed: Vec<&str> = listed.filter_map(|rest| rest.split(' ').next()).collect();
    assert!(listed.len() >= 3, "{said}");
    for file in listed.iter().filter(|file| !file.ends_with(".spare")) {
        let (code, said) = ctl(&data, &["dump", file]);
        assert_eq!(code, 0, "{file}: {said}");
        let (code, said) = ctl(&data, &["--json", "dump", file]);
        assert!(
            code == 0 && said.lines().all(|line| line.starts_with('{')),
            "{said}"
        );
    }
    let (_, said) = ctl(&data, &["dump", "log/0000000000000001.log"]);
    let delivery = said.lines().find(|line| line.contains("kind=DELIVER"));
    let place = delivery.unwrap().split("place=").nth(1).unwrap();
    let place = place.split(' ').next().unwrap();
    let (code, said) = ctl(&data, &["dump", place]);
    assert!(code == 0 && said.contains("kind=DELIVER"), "{said}");
    assert!(!said.contains("ringpost-demo"), "no secret is shown");
    assert_eq!(ctl(&data, &["dump", "nonsense"]).0, 2);
}

#[test]
fn compacting_keeps_every_message() {
    let mut server = stopped();
    let data = server.setup.data();
    server.restart();
    let before = (mail(&server, ALICE), mail(&server, BOB));
    assert!(server.terminate(Duration::from_secs(45)).success());
    let (code, said) = ctl(&data, &["compact", "--verify"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("Verified"), "{said}");
    let (code, said) = ctl(&data, &["compact", "--keep", "a lot"]);
    assert_ne!(code, 0, "{said}");
    server.restart();
    assert!(before == (mail(&server, ALICE), mail(&server, BOB)));
}
