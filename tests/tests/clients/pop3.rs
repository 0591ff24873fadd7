//! Programs that fetch a mailbox by POP3, and leave it there or not, over several days.

use super::{ALICE, BOB, files, python_with};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tests::corpus::plain;
use tests::peer::{Peer, peer};
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::PASSWORD;

fn message(number: u64) -> Vec<u8> {
    plain(&format!("m{number}"), 3_000, &mut Seed::new(number))
}

fn deliver(server: &Server, numbers: std::ops::Range<u64>) {
    for number in numbers {
        server.deliver(&[ALICE], &message(number));
    }
}

fn count(server: &Server, user: &str) -> u64 {
    server.imap(user).status("INBOX", "MESSAGES").unwrap()["MESSAGES"]
}

/// A file that nobody else may read: it has a password.
fn secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// `keep` leaves mail on the server, and the next day only what is new comes; without it nothing
/// stays.
#[test]
fn fetchmail_keeps_and_takes_away() {
    if peer("fetchmail").is_none() {
        return;
    }
    let server = Server::usual();
    let a = server.addresses();
    let home = server.setup.directory.path();
    let run = |how: &str| {
        let config = home.join("fetchmailrc");
        let text = format!(
            "set no bouncemail\npoll localhost with proto POP3 service {port} uidl\n\
             user \"{ALICE}\" with password \"{PASSWORD}\" {how}\n\
             smtphost 127.0.0.1/{lmtp} lmtp smtpname {BOB}\n\
             ssl sslproto tls1.2+ no sslcertck no rewrite\n",
            port = a.pop3s.port(),
            lmtp = a.lmtp.port(),
        );
        secret(&config, &text);
        let fetchmail = peer("fetchmail").unwrap().arg("-f").arg(&config);
        fetchmail
            .args(["--nodetach", "--nosyslog", "--pidfile"])
            .arg(home.join("fetchmail.pid"))
            .arg("--idfile")
            .arg(home.join("fetchids"))
            .env("HOME", home)
            .env("FETCHMAILHOME", home)
            .succeeds();
    };
    deliver(&server, 0..20);
    run("keep");
    server.wait_for_messages(BOB, 20);
    deliver(&server, 20..30);
    run("keep");
    server.wait_for_messages(BOB, 30);
    assert_eq!(count(&server, ALICE), 30, "everything is still there");
    deliver(&server, 30..33);
    run("nokeep fetchall");
    server.wait_for_messages(BOB, 63);
    assert_eq!(count(&server, ALICE), 0, "everything is taken away");
    let mut imap = server.imap_in(BOB, "INBOX");
    let fetched = imap.fetch("FETCH 1:30 BODY.PEEK[TEXT]").unwrap();
    for (fetched, number) in fetched.iter().zip(0..) {
        let body = fetched.octets("BODY[TEXT]").expect("it was asked for");
        assert!(message(number).ends_with(body), "message {number} changed");
    }
}

/// STLS, and only what is new on the second day, known by its unique id.
#[test]
fn mpop_keeps_what_it_knows() {
    if peer("mpop").is_none() {
        return;
    }
    let server = Server::usual();
    let home = server.setup.directory.path();
    let folder = maildir(&home.join("mpop"));
    let run = |how: &[&str]| {
        let mpop = peer("mpop").unwrap().args(["--file=/dev/null"]);
        let mpop = mpop.args([
            "--host=localhost".to_owned(),
            format!("--port={}", server.addresses().pop3.port()),
            format!("--user={ALICE}"),
            format!("--passwordeval=echo {PASSWORD}"),
            format!("--tls-trust-file={}", server.setup.certificate().display()),
            format!("--uidls-file={}", home.join("uidls").display()),
            format!("--delivery=maildir,{}", folder.display()),
            "--tls=on".to_owned(),
            "--tls-starttls=on".to_owned(),
        ]);
        mpop.args(how).env("HOME", home).succeeds()
    };
    deliver(&server, 0..10);
    for (mechanism, there) in [("plain", 10), ("user", 13), ("scram-sha-256", 16)] {
        run(&["--keep=on", &format!("--auth={mechanism}")]);
        assert_eq!(files(&folder), there, "by {mechanism}");
        deliver(&server, there as u64..there as u64 + 3);
    }
    run(&["--keep=off"]);
    assert_eq!((files(&folder), count(&server, ALICE)), (19, 0));
}

/// `delete_after` is a matter of the client: here it keeps, then it deletes.
#[test]
fn getmail_keeps_what_it_knows() {
    if peer("getmail").is_none() {
        return;
    }
    let server = Server::usual();
    let home = server.setup.directory.path();
    let folder = maildir(&home.join("getmail"));
    let run = |delete: bool| {
        let text = format!(
            "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\nport = {port}\n\
             username = {ALICE}\npassword = {PASSWORD}\nca_certs = {trust}\n\n\
             [destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n\
             arguments = (\"-c\", \"cat > {folder}/new/$$\")\n\n\
             [options]\nread_all = false\ndelete = {delete}\nverbose = 0\n",
            port = server.addresses().pop3s.port(),
            trust = server.setup.certificate().display(),
            folder = folder.display(),
        );
        let config = home.join("getmailrc");
        secret(&config, &text);
        let getmail = peer("getmail").unwrap();
        getmail
            .arg("--getmaildir")
            .arg(home)
            .args(["--rcfile", "getmailrc"])
            .env("HOME", home)
            .succeeds();
    };
    deliver(&server, 0..10);
    run(false);
    assert_eq!(files(&folder), 10);
    deliver(&server, 10..15);
    run(false);
    assert_eq!((files(&folder), count(&server, ALICE)), (15, 15));
    run(true);
    assert_eq!((files(&folder), count(&server, ALICE)), (15, 0));
}

fn maildir(folder: &Path) -> PathBuf {
    for below in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(folder.join(below)).unwrap();
    }
    folder.to_owned()
}

#[test]
fn curl_reads_lists_and_deletes() {
    if peer("curl").is_none() {
        return;
    }
    let server = Server::usual();
    let a = server.addresses();
    deliver(&server, 0..3);
    let login = format!("{ALICE}:{PASSWORD}");
    for (url, auth) in [
        (format!("pop3://{}", a.pop3), "AUTH=PLAIN"),
        (format!("pop3s://{}", a.pop3s), "AUTH=LOGIN"),
    ] {
        let read = |path: &str| {
            let url = format!("{url}/{path}");
            let curl = super::curl(&server).args(["--ssl-reqd", "--login-options", auth]);
            curl.args(["--user", &login, "--url", &url])
        };
        let text = read("2").succeeds();
        assert!(text.ends_with(std::str::from_utf8(&message(1)).unwrap()));
        assert_eq!(read("").succeeds().lines().count(), 3, "LIST");
        assert_eq!(read("").args(["-X", "UIDL"]).succeeds().lines().count(), 3);
        read("9").fails();
    }
    let url = format!("pop3s://{}/1", a.pop3s);
    let delete = super::curl(&server).args(["--user", &login, "-X", "DELE", "-I", "--url", &url]);
    delete.succeeds();
    assert_eq!(count(&server, ALICE), 2);
    let wrong = format!("{ALICE}:wrong");
    super::curl(&server)
        .args(["--user", &wrong, "--url", &url])
        .fails();
}

#[test]
fn python_poplib_does_a_users_day() {
    python_with("poplib_day.py", |server| deliver(server, 0..5));
}

/// A batch: it says what it sees, deletes one and ends.
#[test]
fn mutt_reads_and_deletes_by_pop() {
    if peer("mutt").is_none() {
        return;
    }
    let server = Server::usual();
    deliver(&server, 0..3);
    let home = server.setup.directory.path();
    let rc = home.join("muttrc-pop");
    let text = format!(
        "set folder=\"{home}\"\nset pop_user=\"{ALICE}\"\nset pop_pass=\"{PASSWORD}\"\n\
         set certificate_file=\"{trust}\"\nset ssl_verify_host=no\nset delete=yes\nset quit=yes\n\
         set move=no\nset wait_key=no\nset sleep_time=0\nset pop_reconnect=no\n\
         set spoolfile=\"pops://localhost:{port}/\"\n\
         push \"<last-entry><delete-message><sync-mailbox><quit>\"\n",
        home = home.display(),
        trust = server.setup.certificate().display(),
        port = server.addresses().pop3s.port(),
    );
    std::fs::write(&rc, text).unwrap();
    terminal(&["mutt", "-n", "-F", rc.to_str().unwrap()], home);
    assert_eq!(count(&server, ALICE), 2, "the last one was deleted");
}

/// Runs a program on a terminal.
fn terminal(words: &[&str], home: &Path) {
    let script =
        "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let python: Peer = peer("python3").expect("it runs the other clients too");
    python
        .args(["-c", script, "timeout", "60"])
        .args(words)
        .env("HOME", home)
        .env("TERM", "xterm")
        .succeeds();
}
