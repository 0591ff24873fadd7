//! mutt and NeoMutt on a terminal: searches, flags, copies, moves, drafts, and a header cache that
//! QRESYNC keeps true.

use super::ALICE;
use super::numbered::deliver;
use super::terminal::alone;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tests::imap::{Fetched, Imap, Value};
use tests::peer::peer;
use tests::server::Server;
use tests::setup::PASSWORD;

struct Mutt {
    program: &'static str,
    home: PathBuf,
}

impl Mutt {
    fn new(program: &'static str, server: &Server) -> Mutt {
        let home = server.setup.directory.path().to_owned();
        for folder in ["headers", "bodies"] {
            fs::create_dir(home.join(folder)).unwrap();
        }
        let editor = home.join("editor");
        fs::write(
            &editor,
            "#!/bin/sh\nprintf 'written by an editor\\n' >\"$1\"\n",
        )
        .unwrap();
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(home.join("rc"), config(server)).unwrap();
        Mutt { program, home }
    }

    /// Presses these keys and gives what it noted of its dialogue.
    fn presses(&self, keys: &str) -> String {
        let path = |name: &str| self.home.join(name).display().to_string();
        let (rc, push, log) = (path("rc"), format!("push \"{keys}<quit>\""), path("log"));
        let mut words = vec![self.program, "-n", "-F", &rc, "-e", &push, "-d", "3"];
        if self.program == "neomutt" {
            words.extend(["-l", &log]);
        }
        alone(&words, &self.home);
        let log = if self.program == "mutt" {
            ".muttdebug0"
        } else {
            "log0"
        };
        fs::read_to_string(path(log)).unwrap_or_default()
    }
}

fn config(server: &Server) -> String {
    format!(
        "set folder=\"imaps://localhost:{imaps}/\"\nset spoolfile=\"+INBOX\"\n\
         set imap_user=\"{ALICE}\"\nset imap_pass=\"{PASSWORD}\"\nset mbox_type=mbox\n\
         set certificate_file=\"{trust}\"\nset ssl_starttls=no\nset ssl_verify_host=no\n\
         set confirmappend=no\nset confirmcreate=no\nset delete=yes\nset move=no\n\
         set wait_key=no\nset quit=yes\nset sleep_time=0\nset from=\"{ALICE}\"\n\
         set imap_qresync=yes\nset imap_condstore=yes\nset imap_idle=yes\n\
         set header_cache=\"{home}/headers\"\nset message_cachedir=\"{home}/bodies\"\n\
         set postponed=\"+Drafts\"\nset record=\"+Sent\"\nset editor=\"{home}/editor\"\n\
         set autoedit=yes\nset abort_unmodified=no\nset edit_headers=no\nset recall=no\n",
        imaps = server.addresses().imaps.port(),
        trust = server.setup.certificate().display(),
        home = server.setup.directory.path().display(),
    )
}

/// Subjects and our own flags of a mailbox, in its order; what a client keeps besides is its own.
fn seen(imap: &mut Imap, mailbox: &str) -> Vec<(String, String)> {
    let count = imap.status(mailbox, "MESSAGES").unwrap()["MESSAGES"];
    imap.ok(&format!("EXAMINE {mailbox}")).unwrap();
    if count == 0 {
        return Vec::new();
    }
    let items = "FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])";
    imap.fetch(items)
        .unwrap()
        .iter()
        .map(subject_and_flags)
        .collect()
}

fn subject_and_flags(fetched: &Fetched) -> (String, String) {
    let subject = fetched.octets("BODY[HEADER.FIELDS (SUBJECT)]").unwrap();
    let subject = String::from_utf8_lossy(subject)
        .trim()
        .replace("Subject: ", "");
    let flags = fetched.items["FLAGS"]
        .list()
        .unwrap()
        .iter()
        .filter_map(Value::string);
    let ours = flags.filter(|flag| flag.starts_with('\\') && flag != "\\Recent");
    (subject, ours.collect::<Vec<_>>().join(" "))
}

fn wanted(messages: &[(&str, &str)]) -> Vec<(String, String)> {
    messages
        .iter()
        .map(|(subject, flags)| ((*subject).into(), (*flags).into()))
        .collect()
}

fn a_users_day(program: &'static str) {
    if peer(program).is_none() {
        return;
    }
    let server = Server::usual();
    deliver(&server, 0..8);
    let mutt = Mutt::new(program, &server);
    mutt.presses(
        "<tag-pattern>~b needle3<enter><tag-prefix><copy-message><kill-line>=Copied<enter>\
         <untag-pattern>~A<enter>\
         <limit>=b needle5<enter><flag-message><limit>~A<enter>\
         <delete-pattern>~s 'number 7'<enter><sync-mailbox>\
         <tag-pattern>~s 'number [12]'<enter><tag-prefix><save-message><kill-line>=Moved<enter>\
         <sync-mailbox>\
         <mail>bob@example.test<enter>A draft<enter><postpone-message>",
    );
    let mut imap = server.imap(ALICE);
    let inbox = [
        ("number 0", ""),
        ("number 3", ""),
        ("number 4", ""),
        ("number 5", "\\Flagged"),
    ];
    let inbox = [&inbox[..], &[("number 6", "")]].concat();
    let inbox_now: Vec<_> = seen(&mut imap, "INBOX")
        .into_iter()
        .map(without_seen)
        .collect();
    assert_eq!(inbox_now, wanted(&inbox));
    let copied: Vec<_> = seen(&mut imap, "Copied")
        .into_iter()
        .map(without_seen)
        .collect();
    assert_eq!(copied, wanted(&[("number 3", "")]));
    let moved: Vec<_> = seen(&mut imap, "Moved")
        .into_iter()
        .map(without_seen)
        .collect();
    assert_eq!(moved, wanted(&[("number 1", ""), ("number 2", "")]));
    assert_eq!(seen(&mut imap, "Drafts"), wanted(&[("A draft", "\\Draft")]));
    let draft = imap.fetch("FETCH 1 BODY.PEEK[TEXT]").unwrap();
    assert_eq!(
        draft[0].octets("BODY[TEXT]").unwrap(),
        b"written by an editor\r\n"
    );
}

/// A search that reads bodies may have marked what it read.
fn without_seen((subject, flags): (String, String)) -> (String, String) {
    (subject, flags.replace("\\Seen", "").trim().to_owned())
}

#[test]
fn mutt_does_a_users_day() {
    a_users_day("mutt");
}

#[test]
fn neomutt_does_a_users_day() {
    a_users_day("neomutt");
}

/// What changed while it was away: flags, removals and new mail, on top of what it remembers.
fn resynchronises(program: &'static str) {
    if peer(program).is_none() {
        return;
    }
    let mut server = Server::usual();
    deliver(&server, 0..10);
    let mutt = Mutt::new(program, &server);
    mutt.presses("");
    let mut imap = server.imap_in(ALICE, "INBOX");
    imap.ok("STORE 2,5:6 +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.ok("EXPUNGE").unwrap();
    imap.ok("STORE 1,7 +FLAGS.SILENT (\\Flagged)").unwrap();
    deliver(&server, 10..12);
    server.kill_and_restart();
    let copy = |mailbox: &str, pattern: &str| {
        format!(
            "<tag-pattern>{pattern}<enter><tag-prefix><copy-message><kill-line>={mailbox}<enter>\
             <untag-pattern>~A<enter>"
        )
    };
    let log =
        mutt.presses(&(copy("Marked", "~F") + &copy("New", "~s 'number 1.'") + &copy("All", "~A")));
    let mut imap = server.imap(ALICE);
    let subjects = |imap: &mut Imap, mailbox: &str| -> Vec<String> {
        seen(imap, mailbox)
            .into_iter()
            .map(|(subject, _)| subject.replace("number ", ""))
            .collect()
    };
    assert_eq!(subjects(&mut imap, "Marked"), ["0", "9"]);
    assert_eq!(subjects(&mut imap, "New"), ["10", "11"]);
    assert_eq!(
        subjects(&mut imap, "All"),
        ["0", "2", "3", "6", "7", "8", "9", "10", "11"]
    );
    for word in ["ENABLE QRESYNC", "VANISHED)", "Handling VANISHED"] {
        assert!(log.contains(word), "{word} was not tried");
    }
}

#[test]
fn mutt_resynchronises_its_header_cache() {
    resynchronises("mutt");
}

#[test]
fn neomutt_resynchronises_its_header_cache() {
    resynchronises("neomutt");
}
