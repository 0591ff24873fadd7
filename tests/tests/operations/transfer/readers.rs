//! Python and mutt read what we export, with its flags; what Python wrote is imported.

use super::{Scene, table, write};
use std::fs;
use tests::peer::peer;

#[test]
fn python_reads_our_mbox_and_maildir() {
    let scene = Scene::new();
    if peer("python3").is_none() {
        return;
    }
    write(&scene.path("in.mbox"), MBOX);
    scene.import("anna@example.test", "in.mbox");
    let picture = scene.picture("anna@example.test", "eml");
    let rows = table(&picture, "in");
    assert!(rows[0].starts_with("1.eml\t1\t\\Seen \\Flagged\tJunk\t03-Jan-1996 01:05:34 +0000\t"));
    assert!(
        rows[1].starts_with("2.eml\t2\t\t\t04-Jan-1996 00:05:34 +0000\t"),
        "{rows:?}"
    );
    assert_eq!(rows.len(), 2);
    let first = b"Subject: one\r\n\r\nFrom here on\r\n>From there\r\nFrom us all\r\n";
    assert_eq!(picture["in/1.eml"], first);
    assert_eq!(picture["in/2.eml"], b"Subject: two\r\n\r\n\r\nend\r\n\r\n");
    let mbox = scene
        .export("anna@example.test", "mbox", "mbox")
        .join("in.mbox");
    let maildir = scene
        .export("anna@example.test", "maildir", "maildir")
        .join(".in");
    let said = peer("python3")
        .unwrap()
        .args(["-c", READ])
        .arg(mbox)
        .arg(maildir)
        .succeeds();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "mbox one FR 3 Wed Jan  3 01:05:34 1996",
            "mbox two  3 Thu Jan  4 00:05:34 1996",
            "maildir one FSa 820631134",
            "maildir two  820713934",
        ],
        "{said}"
    );
}

#[test]
fn what_python_wrote_is_imported() {
    let scene = Scene::new();
    if peer("python3").is_none() {
        return;
    }
    peer("python3")
        .unwrap()
        .args(["-c", WRITE])
        .arg(scene.path("py"))
        .succeeds();
    for (account, source) in [
        ("a@example.test", "py/maildir"),
        ("b@example.test", "py/box"),
    ] {
        scene.import(account, source);
        let picture = scene.picture(account, &format!("out-{account}"));
        let mailbox = if source == "py/box" { "box" } else { "INBOX" };
        let rows = table(&picture, mailbox);
        let mut marks: Vec<&str> = rows
            .iter()
            .map(|row| row.split('\t').nth(2).unwrap())
            .collect();
        marks.sort();
        assert_eq!(marks, ["\\Flagged", "\\Seen \\Answered"], "{source}");
        let sent = picture.get("Sent/mailbox.tsv");
        assert!(sent.is_some());
        assert_eq!(
            table(&picture, "Sent").len(),
            usize::from(source == "py/maildir")
        );
    }
}

#[test]
fn mutt_reads_our_mbox() {
    let scene = Scene::new();
    if peer("mutt").is_none() || peer("script").is_none() {
        return;
    }
    write(&scene.path("in.mbox"), MBOX);
    scene.import("anna@example.test", "in.mbox");
    let mbox = scene
        .export("anna@example.test", "mbox", "mbox")
        .join("in.mbox");
    let copy = scene.path("flagged");
    let rc = format!(
        "set nowait_key\nset confirmappend = no\nset confirmcreate = no\nset delete = yes\n\
         set quit = yes\nset spoolfile = {}\nset folder = {}\n\
         push \"<tag-pattern>~F<enter><tag-prefix><copy-message>{}<enter><exit><exit>\"\n",
        mbox.display(),
        scene.folder.path().display(),
        copy.display()
    );
    write(&scene.path("muttrc"), rc);
    let order = format!("mutt -R -n -F {}", scene.path("muttrc").display());
    peer("timeout")
        .unwrap()
        .args(["60", "script", "-qec", &order, "/dev/null"])
        .env("TERM", "xterm")
        .env("HOME", scene.folder.path())
        .succeeds();
    let copied = fs::read_to_string(copy).unwrap();
    assert!(
        copied.contains("Subject: one") && !copied.contains("Subject: two"),
        "{copied}"
    );
    assert!(copied.contains("\nX-Status: F"), "{copied}");
}

/// Unquoted `From ` that is no From_ line, a Content-Length that lies, CRLF here and there.
const MBOX: &str = "From a@b.test Wed Jan  3 01:05:34 1996\n\
    Status: RO\nX-Status: F\nX-Keywords: Junk\nSubject: one\n\n\
    >From here on\n>>From there\r\nFrom us all\n\n\
    From c@d.test Thu Jan  4 01:05:34 +0100 1996\nSubject: two\n\n\nend\n\n\n";

const READ: &str = r#"
import mailbox, sys
for m in mailbox.mbox(sys.argv[1], create=False):
    flags = "".join(sorted(set(m.get_flags()) - {"O"}))
    lines = len(m.get_payload().splitlines())
    print("mbox", m["subject"], flags, lines, m.get_from().split(" ", 1)[1])
for m in sorted(mailbox.Maildir(sys.argv[2], create=False), key=lambda m: m.get_date()):
    print("maildir", m["subject"], m.get_flags(), int(m.get_date()))
"#;

const WRITE: &str = r#"
import mailbox, os, sys
os.mkdir(sys.argv[1])
maildir = mailbox.Maildir(sys.argv[1] + "/maildir")
box = mailbox.mbox(sys.argv[1] + "/box")
for text, letters in [("one", "RS"), ("two", "F")]:
    m = mailbox.MaildirMessage("Subject: %s\n\nbody\nFrom me\n" % text)
    m.set_flags(letters)
    m.set_subdir("cur")
    m.set_date(1000000000 + len(letters))
    maildir.add(m)
    m = mailbox.mboxMessage("Subject: %s\n\nbody\nFrom me\n" % text)
    m.set_flags({"RS": "ROA", "F": "OF"}[letters])
    m.set_from("a@b.test Wed Jan  3 01:05:34 1996")
    box.add(m)
sent = maildir.add_folder("Sent")
sent.add("Subject: sent\n\nbody\n")
maildir.close()
box.close()
"#;
