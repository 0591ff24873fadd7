//! Dovecot opens our Maildir and finds the UIDs and flags; we open one of Dovecot's and keep them.

use super::{Scene, number, table, write};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tests::peer::{Peer, peer};

#[test]
fn dovecot_reads_our_maildir() {
    let scene = Scene::new();
    let Some(dovecot) = Dovecot::new(&scene) else {
        return;
    };
    write_source(&scene);
    scene.import("anna@example.test", "source");
    let folder = scene.export("anna@example.test", "maildir", "out");
    fs::rename(folder, scene.path("mail")).unwrap();
    let inbox = dovecot.run(&[
        "fetch",
        "uid flags size.physical date.received",
        "mailbox",
        "INBOX",
    ]);
    let inbox: Vec<&str> = inbox.split_whitespace().collect();
    assert_eq!(
        inbox.join(" "),
        "uid: 3 flags: \\Flagged \\Seen $Label1 size.physical: 23 \
         date.received: 2001-09-09 01:46:40 uid: 7 flags: size.physical: 23 \
         date.received: 2001-09-09 01:46:41"
    );
    let status = dovecot.run(&[
        "mailbox",
        "status",
        "uidvalidity uidnext",
        "INBOX",
        "Work.Präsi",
    ]);
    assert!(
        status.contains("INBOX uidnext=42 uidvalidity=1234567"),
        "{status}"
    );
    assert!(
        status.contains("Work.Präsi uidnext=2 uidvalidity=1234568"),
        "{status}"
    );
    let subscribed = dovecot.run(&["mailbox", "list", "-s"]);
    assert!(subscribed.contains("Work.Präsi"), "{subscribed}");
    let size = dovecot.run(&["fetch", "size.virtual", "mailbox", "INBOX", "uid", "7"]);
    assert_eq!(size.trim(), "size.virtual: 23");
}

#[test]
fn we_read_dovecots_maildir() {
    let scene = Scene::new();
    let Some(dovecot) = Dovecot::new(&scene) else {
        return;
    };
    let message = b"Subject: saved\nFrom: a@b.test\n\nFrom the start\n";
    dovecot.run(&["mailbox", "create", "Work", "Work.Präsi", "R&D"]);
    dovecot.run(&["mailbox", "subscribe", "Work.Präsi"]);
    for mailbox in ["INBOX", "INBOX", "INBOX", "Work.Präsi"] {
        dovecot.input(&["save", "-m", mailbox], message);
    }
    dovecot.run(&["expunge", "mailbox", "INBOX", "uid", "1"]);
    dovecot.run(&[
        "flags",
        "add",
        "\\Seen \\Answered $Label1",
        "mailbox",
        "INBOX",
        "uid",
        "2",
    ]);
    dovecot.run(&["expunge", "mailbox", "INBOX", "uid", "3"]);
    let status = dovecot.run(&["mailbox", "status", "uidvalidity uidnext", "INBOX"]);
    scene.import("anna@example.test", "mail");
    let picture = scene.picture("anna@example.test", "out");
    let (validity, next) = ("uidvalidity", "uidnext");
    let known = format!(
        "INBOX uidnext={} uidvalidity={}",
        number(&picture, "INBOX", next),
        number(&picture, "INBOX", validity)
    );
    assert_eq!(status.trim(), known);
    let inbox = table(&picture, "INBOX");
    assert_eq!(inbox.len(), 1, "{inbox:?}");
    assert!(
        inbox[0].starts_with("2.eml\t2\t\\Seen \\Answered\t$Label1\t"),
        "{inbox:?}"
    );
    assert_eq!(table(&picture, "Work/Präsi").len(), 1);
    assert!(table(&picture, "R&D").is_empty());
    let crlf = String::from_utf8_lossy(message).replace('\n', "\r\n");
    assert_eq!(picture["INBOX/2.eml"], crlf.as_bytes());
    assert!(picture["subscriptions"].ends_with(b"Work\tPr&AOQ-si\n"));
}

fn write_source(scene: &Scene) {
    let text = b"Subject: x\r\n\r\nhello\r\n\r\n";
    let head = |name: &str, validity: u32, next: u32| {
        format!("# name\t{name}\n# uidvalidity\t{validity}\n# uidnext\t{next}\n")
    };
    let inbox = head("INBOX", 1_234_567, 42)
        + "3.eml\t3\t\\Seen \\Flagged\t$Label1\t09-Sep-2001 01:46:40 +0000\t23\n\
           7.eml\t7\t\t\t09-Sep-2001 01:46:41 +0000\t23\n";
    write(&scene.path("source/INBOX/mailbox.tsv"), inbox);
    write(&scene.path("source/INBOX/3.eml"), text);
    write(&scene.path("source/INBOX/7.eml"), text);
    let other = head("Work/Präsi", 1_234_568, 2) + "1.eml\t1\t\t\t09-Sep-2001 01:46:41 +0000\t23\n";
    write(&scene.path("source/p/mailbox.tsv"), other);
    write(&scene.path("source/p/1.eml"), text);
    write(
        &scene.path("source/subscriptions"),
        "V\t2\n\nINBOX\nWork\tPr&AOQ-si\n",
    );
}

/// Dovecot on the Maildir `mail`, as somebody who is not root: it refuses root's mail.
struct Dovecot {
    config: String,
    home: String,
    root: bool,
}

impl Dovecot {
    fn new(scene: &Scene) -> Option<Dovecot> {
        peer("doveadm")?;
        let folder = scene.folder.path();
        let root = is_root();
        let (user, group) = match root {
            true => ("nobody".to_owned(), "nogroup".to_owned()),
            false => (own("-un"), own("-gn")),
        };
        let at = folder.display();
        let text = format!(
            "protocols =\nbase_dir = {at}/run\nstate_dir = {at}/run\nlog_path = /dev/stderr\n\
             ssl = no\nmail_uid = {user}\nmail_gid = {group}\nfirst_valid_uid = 1\n\
             first_valid_gid = 1\ndefault_internal_user = {user}\ndefault_login_user = {user}\n\
             default_internal_group = {group}\nmail_location = maildir:{at}/mail\n\
             mail_home = {at}/home\n"
        );
        write(&folder.join("dovecot.conf"), text);
        for name in ["run", "home"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        Some(Dovecot {
            config: folder.join("dovecot.conf").display().to_string(),
            home: folder.display().to_string(),
            root,
        })
    }

    fn run(&self, order: &[&str]) -> String {
        self.command(order).succeeds()
    }

    fn input(&self, order: &[&str], octets: &[u8]) -> String {
        self.command(order).input(octets).succeeds()
    }

    fn command(&self, order: &[&str]) -> Peer {
        let doveadm = tests::peer::find("doveadm").unwrap();
        let command = match self.root {
            true => {
                fs::create_dir_all(Path::new(&self.home).join("mail")).unwrap();
                for name in ["run", "home", "mail"] {
                    let path = format!("{}/{name}", self.home);
                    peer("chown")
                        .unwrap()
                        .args(["-R", "nobody:nogroup", &path])
                        .succeeds();
                }
                peer("runuser")
                    .unwrap()
                    .args(["-u", "nobody", "--"])
                    .arg(doveadm)
                    .env("USER", "nobody")
            }
            false => Peer::env(peer("doveadm").unwrap(), "USER", own("-un")),
        };
        let home = format!("{}/home", self.home);
        command
            .env("HOME", home)
            .env("TZ", "UTC")
            .args(["-c", &self.config])
            .args(order)
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn own(what: &str) -> String {
    peer("id").unwrap().arg(what).succeeds().trim().to_owned()
}
