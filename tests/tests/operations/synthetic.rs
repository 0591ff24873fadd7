//! `ringpostctl synthetic`: its mail is served like any other, and depends on the seed alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use tests::binary;
use tests::imap::Imap;
use tests::server::Server;
use tests::setup::Setup;

const FACTS: &str = "UID FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE)";

#[test]
fn made_up_mail_is_served() {
    let server = serve(&["--shards", "2", "--bodies", "shared"]);
    for user in ["u1", "u2", "u3"] {
        let mut imap = login(&server, user);
        for mailbox in ["INBOX", "\"Folder 2\""] {
            let facts = facts(&mut imap, mailbox);
            assert_eq!(facts.len(), 300);
            let marks: BTreeSet<&str> = facts
                .iter()
                .filter_map(|fact| Some(fact.split_once("FLAGS (")?.1.split_once(')')?.0))
                .collect();
            assert!(marks.len() > 5, "flags differ: {marks:?}");
        }
        let body = imap.ok("FETCH 300 BODY.PEEK[]").unwrap();
        assert!(body.untagged[0].text().contains("Subject: "));
    }
}

#[test]
fn the_same_seed_makes_the_same_mail() {
    let one = serve(&["--shards", "1", "--bodies", "small"]);
    let two = serve(&["--shards", "3", "--bodies", "small"]);
    let other = serve(&["--seed", "2", "--bodies", "small"]);
    let facts = |server: &Server| facts(&mut login(server, "u2"), "INBOX");
    assert_eq!(facts(&one), facts(&two));
    assert_ne!(facts(&one), facts(&other));
}

#[test]
fn a_directory_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(synthetic(directory.path(), &[]).status.success());
    let refused = synthetic(directory.path(), &[]);
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && why.contains("is not empty"),
        "{why}"
    );
}

fn serve(options: &[&str]) -> Server {
    let setup =
        Setup::empty().table("[[domain]]\nname = \"example.test\"\naccounts_elsewhere = true");
    let made = synthetic(&setup.data(), options);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    Server::start(setup)
}

fn synthetic(data: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(binary::ringpostctl());
    command.arg("--data").arg(data).arg("synthetic");
    command.args(["--accounts", "3", "--mailboxes", "2", "--messages", "300"]);
    command.args(options).output().expect("the tool is built")
}

fn login(server: &Server, user: &str) -> Imap {
    let user = format!("{user}@example.test");
    Imap::login(server.addresses().imaps, &user, "ringpost-demo").unwrap()
}

fn facts(imap: &mut Imap, mailbox: &str) -> Vec<String> {
    imap.ok(&format!("SELECT {mailbox}")).unwrap();
    let answer = imap.ok(FACTS).unwrap();
    answer
        .untagged
        .iter()
        .map(|fact| fact.text().into_owned())
        .collect()
}
