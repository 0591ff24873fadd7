//! Broken files end no import: what cannot be read is counted and named, the rest is taken.

use super::{Scene, table, write};
use std::fs;

#[test]
fn what_is_broken_is_named_and_the_rest_is_taken() {
    let scene = Scene::new();
    let tree = scene.path("tree");
    write(
        &tree.join("headless.mbox"),
        "Subject: lost\n\nbody\n\nFrom a@b Wed Jan  3 01:05:34 1996\n\
        Subject: kept\n\nbody\n",
    );
    write(&tree.join("none.mbox"), "no mail here\n");
    write(
        &tree.join("cut.mbox"),
        "From a@b Wed Jan  3 01:05:34 1996\nSubject: cut\n\nbo",
    );
    write(
        &tree.join("nul.mbox"),
        "From a@b Wed Jan  3 01:05:34 1996\nSubject: n\n\n\0\n\n\
        From a@b Wed Jan  3 01:05:34 1996\n",
    );
    let report = scene.path("report");
    let said = scene.exits(
        1,
        &[
            "import",
            "--account",
            "anna@example.test",
            "--format",
            "mbox",
            "--report",
            report.to_str().unwrap(),
            "tree",
        ],
    );
    assert!(
        said.contains("4 messages imported") || said.contains("3 messages imported"),
        "{said}"
    );
    let picture = scene.picture("anna@example.test", "out");
    for (mailbox, count) in [("headless", 1), ("none", 0), ("cut", 1), ("nul", 1)] {
        assert_eq!(table(&picture, mailbox).len(), count, "{mailbox}\n{said}");
    }
    assert_eq!(picture["nul/1.eml"], b"Subject: n\r\n\r\n\0\r\n");
    assert_eq!(picture["cut/1.eml"], b"Subject: cut\r\n\r\nbo");
    let report = fs::read_to_string(report).unwrap();
    for line in [
        "left out\ttree/headless.mbox\t0\tno From_ line",
        "left out\ttree/none.mbox\t0\tno From_ line",
        "left out\ttree/nul.mbox\t49\tempty",
        "note\ttree/nul.mbox\t0\tholds NUL",
        "note\ttree/cut.mbox\t0\tthe file ends within a line",
    ] {
        assert!(report.contains(line), "{line}\n{report}");
    }
}

#[test]
fn a_maildir_with_bad_files_is_taken_without_them() {
    let scene = Scene::new();
    let cur = scene.path("md/cur");
    write(&cur.join("1.a.host,S=900:2,S"), "Subject: cut\n\nbody\n");
    write(&cur.join("2.a.host:2,S"), "");
    write(&cur.join("3.a.host:2,S"), "\0".repeat(4096));
    write(&cur.join("4.a.host:2,FS"), "Subject: fine\n\nbody\n");
    std::os::unix::fs::symlink("/nowhere", cur.join("5.a.host:2,")).unwrap();
    write(
        &scene.path("md/dovecot-uidlist"),
        "3 V99 N9\n4294967295 :1.a.host,S=900\n8 :4.a.host\n\
        x\n8 :5.a.host\n",
    );
    let large = fs::File::create(cur.join("6.a.host:2,")).unwrap();
    large.set_len((1 << 30) + 1).unwrap();
    let said = scene.exits(1, &["import", "--account", "anna@example.test", "md"]);
    for reason in [
        "empty",
        "all of them NUL",
        "No such file",
        "larger than 1024 MiB",
        "of 900",
    ] {
        assert!(said.contains(reason), "{reason}\n{said}");
    }
    let rows = table(&scene.picture("anna@example.test", "out"), "INBOX");
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(
        rows[0].starts_with("8.eml\t8\t\\Seen \\Flagged\t"),
        "{rows:?}"
    );
}

#[test]
fn orders_that_make_no_sense_exit_with_two() {
    let scene = Scene::new();
    let nobody = "nobody@example.test";
    for order in [
        &["import", "--account", nobody, "nowhere"][..],
        &["import", "--account", "no-address", "."],
        &["import", "--account", nobody, "--format", "pst", "."],
        &["import", "."],
        &["export", "--account", nobody, "--format", "mbox", "out"],
        &["export", "--format", "mbox"],
    ] {
        scene.exits(2, order);
    }
}
