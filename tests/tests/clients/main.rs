//! Real programs against the real server: what they all understand, our users may use.
//!
//! One test a program; `tests::peer` says what happens when it is missing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod alpine;
mod attachments;
mod curl;
mod desktop;
mod dkim;
mod dovecot_imap;
mod dovecot_pop3;
mod fetchers;
mod filters;
mod libraries;
mod logins;
mod mutt;
mod notices;
mod numbered;
mod pop3;
mod postfix;
mod terminal;
mod twoway;

use std::path::Path;
use tests::binary::workspace;
use tests::corpus::plain;
use tests::imap::Imap;
use tests::peer::{Peer, peer};
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::PASSWORD;

const ALICE: &str = "alice@example.test";
const BOB: &str = "bob@example.test";

#[test]
fn curl_sends_and_reads() {
    if peer("curl").is_none() {
        return;
    }
    let server = Server::usual();
    let a = server.addresses();
    let message = plain("by curl", 3_000, &mut Seed::new(1));
    for (url, login) in [
        (format!("smtp://{}/client.test", a.smtp), false),
        (format!("smtp://{}/client.test", a.submission), true),
        (format!("smtps://{}/client.test", a.submissions), true),
    ] {
        let mut curl = curl(&server).args(["--ssl", "--mail-from", ALICE, "--mail-rcpt", BOB]);
        if login {
            curl = curl.args(["--user", &format!("{ALICE}:{PASSWORD}")]);
        }
        curl.args(["--url", &url, "--upload-file", "-"])
            .input(&message)
            .succeeds();
    }
    let login = format!("{BOB}:{PASSWORD}");
    for url in [format!("imap://{}", a.imap), format!("imaps://{}", a.imaps)] {
        let read = |path: &str| {
            let url = format!("{url}/{path}");
            curl(&server)
                .args(["--ssl-reqd", "--user", &login, "--url", &url])
                .succeeds()
        };
        assert!(read("INBOX;MAILINDEX=1").ends_with(std::str::from_utf8(&message).unwrap()));
        assert!(read("").contains("INBOX"));
        let examine = [
            "--ssl-reqd",
            "--user",
            &login,
            "--request",
            "EXAMINE INBOX",
            "--url",
            &url,
        ];
        assert!(
            curl(&server)
                .args(examine)
                .succeeds()
                .contains("* 3 EXISTS")
        );
    }
    let wrong = format!("{BOB}:wrong");
    let url = format!("imaps://{}", a.imaps);
    curl(&server)
        .args(["--user", &wrong, "--url", &url])
        .fails();
}

#[test]
fn curl_appends_and_searches() {
    if peer("curl").is_none() {
        return;
    }
    let server = Server::usual();
    let url = format!("imaps://{}/INBOX", server.addresses().imaps);
    let login = format!("{ALICE}:{PASSWORD}");
    let message = plain("needle", 100_000, &mut Seed::new(2));
    // Only of a file curl knows the size, which APPEND says first.
    let file = server.setup.directory.path().join("message");
    std::fs::write(&file, &message).unwrap();
    let upload = [
        "--user",
        &login,
        "--url",
        &url,
        "--upload-file",
        file.to_str().unwrap(),
    ];
    curl(&server).args(upload).succeeds();
    let search = [
        "--user",
        &login,
        "--url",
        &url,
        "--request",
        "SEARCH SUBJECT needle",
    ];
    assert!(curl(&server).args(search).succeeds().contains("* SEARCH 1"));
}

#[test]
fn swaks_tries_every_way_in() {
    if peer("swaks").is_none() {
        return;
    }
    let server = Server::usual();
    let a = server.addresses();
    let port = |address: std::net::SocketAddr| address.port().to_string();
    let (smtp, submission, submissions) = (port(a.smtp), port(a.submission), port(a.submissions));
    let login = ["--auth-user", ALICE, "--auth-password", PASSWORD];
    swaks(&smtp).args(["--from", "a@remote.test"]).succeeds();
    swaks(&smtp)
        .args(["--from", "a@remote.test", "--tls"])
        .succeeds();
    swaks(&smtp).args(["--from", "<>", "--pipeline"]).succeeds();
    swaks(&port(a.lmtp))
        .args(["--from", "a@remote.test", "--protocol", "LMTP"])
        .succeeds();
    for mechanism in ["PLAIN", "LOGIN"] {
        let auth = ["--from", ALICE, "--auth", mechanism];
        swaks(&submission)
            .args(auth)
            .args(login)
            .arg("--tls")
            .succeeds();
        swaks(&submissions)
            .args(auth)
            .args(login)
            .arg("--tls-on-connect")
            .succeeds();
    }
    let no_login = ["--from", ALICE, "--tls"];
    assert!(swaks(&submission).args(no_login).fails().contains("530"));
    let wrong = [
        "--auth",
        "PLAIN",
        "--auth-user",
        ALICE,
        "--auth-password",
        "wrong",
        "--tls",
    ];
    assert!(swaks(&submission).args(wrong).fails().contains("535"));
    let nobody = swaks(&smtp).args(["--from", "a@remote.test", "--to", "nobody@example.test"]);
    assert!(nobody.fails().contains("550"));
    let abroad = swaks(&smtp).args(["--from", "a@remote.test", "--to", "x@elsewhere.test"]);
    assert!(abroad.fails().contains("550"));
    assert_eq!(
        server.imap(BOB).status("INBOX", "MESSAGES").unwrap()["MESSAGES"],
        8
    );
}

#[test]
fn msmtp_logs_in_by_every_mechanism() {
    if peer("msmtp").is_none() {
        return;
    }
    let server = Server::usual();
    let a = server.addresses();
    let trust = server.setup.certificate();
    let message = plain("by msmtp", 2_000, &mut Seed::new(3));
    for (number, mechanism) in ["plain", "login", "scram-sha-256"].into_iter().enumerate() {
        for (address, starttls) in [(a.submission, "on"), (a.submissions, "off")] {
            let sent = peer("msmtp")
                .unwrap()
                .args(["--host=localhost", "--file=/dev/null"]);
            let sent = sent.args([
                format!("--port={}", address.port()),
                format!("--auth={mechanism}"),
                format!("--user={ALICE}"),
                format!("--passwordeval=echo {PASSWORD}"),
                format!("--tls-starttls={starttls}"),
                format!("--tls-trust-file={}", trust.display()),
                format!("--from={ALICE}"),
                "--tls=on".into(),
                BOB.into(),
            ]);
            sent.input(&message).succeeds();
        }
        let count = server.imap(BOB).status("INBOX", "MESSAGES").unwrap()["MESSAGES"];
        assert_eq!(count, 2 * (number as u64 + 1), "{mechanism}");
    }
}

/// Both directions, flags and deletions included, and once more without anything to do.
#[test]
fn mbsync_keeps_a_maildir_in_step() {
    if peer("mbsync").is_none() {
        return;
    }
    let server = Server::usual();
    let folder = server.setup.directory.path().join("mail");
    std::fs::create_dir_all(folder.join("INBOX/cur")).unwrap();
    std::fs::create_dir_all(folder.join("INBOX/new")).unwrap();
    std::fs::create_dir_all(folder.join("INBOX/tmp")).unwrap();
    let config = server.setup.directory.path().join("mbsyncrc");
    std::fs::write(&config, mbsync_config(&server, &folder)).unwrap();
    let sync = || {
        peer("mbsync")
            .unwrap()
            .args(["-c", config.to_str().unwrap(), "all"])
            .succeeds()
    };

    for number in 0..20 {
        server.deliver(
            &[ALICE],
            &plain(&format!("m{number}"), 4_000, &mut Seed::new(number)),
        );
    }
    sync();
    assert_eq!(files(&folder.join("INBOX")), 20, "new mail comes down");
    let message = plain("from the other side", 2_000, &mut Seed::new(99));
    std::fs::write(folder.join("INBOX/cur/1.local:2,S"), &message).unwrap();
    sync();
    let mut imap = server.imap_in(ALICE, "INBOX");
    let search = imap.ok("SEARCH SEEN SUBJECT \"other side\"").unwrap();
    assert!(search.has("* SEARCH 21"), "local mail goes up: {search:?}");
    imap.ok("STORE 1:5 +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.ok("EXPUNGE").unwrap();
    imap.ok("CREATE Fresh").unwrap();
    sync();
    assert_eq!(files(&folder.join("INBOX")), 16, "deletions come down");
    assert!(folder.join("Fresh").is_dir(), "new mailboxes come down");
    sync();
    assert_eq!(imap.status("INBOX", "MESSAGES").unwrap()["MESSAGES"], 16);
}

#[test]
fn python_imaplib_does_a_users_day() {
    python("imaplib_day.py");
}

#[test]
fn python_smtplib_sends_everything() {
    python("smtplib_day.py");
}

#[test]
fn mutt_reads_and_deletes() {
    if peer("mutt").is_none() {
        return;
    }
    let server = Server::usual();
    for number in 0..3 {
        server.deliver(
            &[ALICE],
            &plain(&format!("number {number}"), 900, &mut Seed::new(number)),
        );
    }
    let home = server.setup.directory.path();
    let rc = home.join("muttrc");
    let copy = home.join("copy");
    let text = mutt_config(&server, &copy);
    std::fs::write(&rc, text).unwrap();
    // It reads mailboxes on a terminal only: Python gives it one.
    let terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
    let Some(python) = peer("python3") else {
        return;
    };
    python
        .args(["-c", terminal, "mutt", "-F", rc.to_str().unwrap()])
        .env("HOME", home)
        .env("TERM", "xterm")
        .succeeds();
    let copied = std::fs::read_to_string(&copy).unwrap_or_default();
    assert_eq!(
        copied.matches("Subject: number").count(),
        3,
        "all are copied out"
    );
    let count = server.imap(ALICE).status("INBOX", "MESSAGES").unwrap()["MESSAGES"];
    assert_eq!(count, 0, "mutt deleted what it saved");
}

/// Postfix's load generator, connections kept and not; then all of it is there.
#[test]
fn smtp_source_is_taken_at_its_speed() {
    if peer("smtp-source").is_none() {
        return;
    }
    let server = Server::usual();
    let a = server.addresses();
    let mut wanted = 0;
    for (keep, sessions, messages) in [(true, 10, 2_000), (false, 10, 500), (true, 100, 2_000)] {
        let mut source = peer("smtp-source").unwrap();
        if keep {
            source = source.args(["-d"]);
        }
        let (sessions, count) = (sessions.to_string(), messages.to_string());
        let options = [
            "-s",
            &sessions,
            "-m",
            &count,
            "-l",
            "4096",
            "-f",
            "a@remote.test",
            "-t",
            BOB,
        ];
        source
            .args(options)
            .args([format!("inet:{}", a.smtp)])
            .succeeds();
        wanted += messages;
    }
    let lmtp = [
        "-L",
        "-d",
        "-s",
        "10",
        "-m",
        "500",
        "-f",
        "a@remote.test",
        "-t",
        BOB,
    ];
    peer("smtp-source")
        .unwrap()
        .args(lmtp)
        .args([format!("inet:{}", a.lmtp)])
        .succeeds();
    wanted += 500;
    let count = server.imap(BOB).status("INBOX", "MESSAGES").unwrap()["MESSAGES"];
    assert_eq!(count, wanted);
}

fn curl(server: &Server) -> Peer {
    let trust = server.setup.certificate();
    peer("curl")
        .unwrap()
        .args(["--silent", "--show-error", "--max-time", "60", "--cacert"])
        .args([trust])
}

fn swaks(port: &str) -> Peer {
    let server = ["--server", "127.0.0.1", "--port", port, "--timeout", "60"];
    peer("swaks")
        .unwrap()
        .args(server)
        .args(["--to", BOB, "--helo", "client.test"])
}

/// A script of ours under `tests/clients`, told by its environment where the server is.
fn python(script: &str) {
    python_with(script, |_| {});
}

/// On a server that was prepared for it.
fn python_with(script: &str, prepare: impl FnOnce(&Server)) {
    if let Some(python) = peer("python3") {
        script_with(python, script, prepare);
    }
}

/// A script of ours for any interpreter.
fn script_with(interpreter: Peer, script: &str, prepare: impl FnOnce(&Server)) {
    let server = Server::usual();
    prepare(&server);
    let a = server.addresses();
    interpreter
        .args([workspace().join("tests/clients").join(script)])
        .env("SMTP_PORT", a.smtp.port().to_string())
        .env("SUBMISSION_PORT", a.submission.port().to_string())
        .env("SUBMISSIONS_PORT", a.submissions.port().to_string())
        .env("LMTP_PORT", a.lmtp.port().to_string())
        .env("IMAP_PORT", a.imap.port().to_string())
        .env("IMAPS_PORT", a.imaps.port().to_string())
        .env("POP3_PORT", a.pop3.port().to_string())
        .env("POP3S_PORT", a.pop3s.port().to_string())
        .env("CA_FILE", server.setup.certificate())
        .env("PASSWORD", PASSWORD)
        .succeeds();
}

/// Waits in IDLE for an untagged response with these words; what came before the IDLE is told at
/// its beginning.
fn hears(imap: &mut Imap, words: &[&str]) {
    let tag = imap.send("IDLE").unwrap();
    imap.go_ahead().unwrap();
    loop {
        let response = imap.response().unwrap();
        let text = response.text();
        if words.iter().all(|word| text.contains(word)) {
            break;
        }
    }
    imap.connection.send(b"DONE\r\n").unwrap();
    imap.answer(&tag).unwrap();
}

fn files(maildir: &Path) -> usize {
    let count = |name: &str| std::fs::read_dir(maildir.join(name)).unwrap().count();
    count("cur") + count("new")
}

fn mbsync_config(server: &Server, folder: &Path) -> String {
    format!(
        "IMAPStore far\nHost localhost\nPort {port}\nUser {ALICE}\nPass {PASSWORD}\n\
         SSLType IMAPS\nCertificateFile {trust}\nAuthMechs LOGIN\n\n\
         MaildirStore near\nPath {folder}/\nInbox {folder}/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSync All\n\
         SyncState *\n",
        port = server.addresses().imaps.port(),
        trust = server.setup.certificate().display(),
        folder = folder.display(),
    )
}

fn mutt_config(server: &Server, copy: &Path) -> String {
    let imaps = server.addresses().imaps.port();
    format!(
        "set folder = \"imaps://localhost:{imaps}/\"\nset spoolfile = \"+INBOX\"\n\
         set imap_user = \"{ALICE}\"\nset imap_pass = \"{PASSWORD}\"\nset mbox_type = mbox\n\
         set certificate_file = \"{trust}\"\nset ssl_starttls = no\n\
         set ssl_verify_host = no\nset confirmappend = no\nset confirmcreate = no\n\
         set delete = yes\nset move = no\nset wait_key = no\nset quit = yes\nset sleep_time = 0\n\
         push \"<tag-pattern>~A<enter><tag-prefix><save-message><kill-line>{copy}<enter><quit>\"\n",
        trust = server.setup.certificate().display(),
        copy = copy.display(),
    )
}
