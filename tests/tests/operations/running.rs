//! A server at work: restart, reload, drain, metrics, and what its log says.

use super::{ALICE, BOB, message};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tests::certificate;
use tests::connection::{Connection, is_end};
use tests::http;
use tests::imap::Imap;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::smtp::Smtp;

/// Mail, flags, mailboxes, subscriptions and UIDs outlive the process.
#[test]
fn a_restart_changes_nothing() {
    let mut server = Server::usual();
    for number in 0..10 {
        server.deliver(&[ALICE, BOB], &message(&format!("number {number}")));
    }
    server.wait_for_messages(ALICE, 10);
    server.wait_for_messages(BOB, 10);
    let mut imap = server.imap_in(ALICE, "INBOX");
    imap.ok("STORE 2:3 +FLAGS.SILENT (\\Seen $Work)").unwrap();
    imap.ok("STORE 5 +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.ok("EXPUNGE").unwrap();
    imap.ok("CREATE A/B").unwrap();
    imap.ok("SUBSCRIBE A/B").unwrap();
    imap.ok("MOVE 1 A/B").unwrap();
    let before = picture(&mut imap);
    assert!(server.terminate(DRAIN).success(), "{}", server.log_tail());
    server.restart();
    assert_eq!(
        picture(&mut server.imap_in(ALICE, "INBOX")),
        before,
        "after SIGTERM"
    );
    server.kill_and_restart();
    assert_eq!(
        picture(&mut server.imap_in(ALICE, "INBOX")),
        before,
        "after SIGKILL"
    );
}

/// New accounts and a new certificate are taken without touching a session.
#[test]
fn a_reload_takes_what_is_new() {
    let mut server = Server::usual();
    let mut session = server.imap_in(ALICE, "INBOX");
    let before = shown_certificate(&server);
    certificate::write(server.setup.directory.path());
    let fresh = server.setup.text()
        + "\n[[domain]]\nname = \"new.test\"\n\n[[account]]\naddress = \"carol@new.test\"\n\
           password = \"{PLAIN}ringpost-demo\"\n";
    reload(&server, &fresh);
    server.imap("carol@new.test");
    server.deliver(&["carol@new.test"], &message("welcome"));
    assert_ne!(
        shown_certificate(&server),
        before,
        "the old certificate is still shown"
    );
    session.ok("NOOP").unwrap();
    // Without its line the account is gone, and its session with it or not: no new login.
    reload(&server, &server.setup.text());
    let login = Imap::login(server.addresses().imaps, "carol@new.test", PASSWORD);
    assert!(login.is_err(), "an account that is gone may still log in");
    server.assert_alive();
}

/// A file with a fault is explained in the log and changes nothing.
#[test]
fn a_bad_reload_changes_nothing() {
    let mut server = Server::usual();
    let text = server.setup.text();
    let bad = format!("{text}\n[[account]]\naddress = \"dave@example.test\"\nwrong = 1\n");
    let place = reload(&server, &bad);
    let file = server.setup.config_file().display().to_string();
    server.wait_for_log(&format!("{file}:"), place);
    assert!(Imap::login(server.addresses().imaps, "dave@example.test", PASSWORD).is_err());
    server.imap(ALICE);
    reload(&server, &text);
    server.imap(BOB);
    server.assert_alive();
}

/// SIGTERM under load: what was acknowledged is there, no reply is cut, IMAP hears BYE.
#[test]
fn a_drain_loses_nothing_and_cuts_no_reply() {
    let mut server = Server::start(Setup::usual().top("shards = 2"));
    let (acknowledged, cut) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut idle = server.imap_in(BOB, "INBOX");
    idle.send("IDLE").unwrap();
    idle.go_ahead().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..32 {
            let (address, acknowledged, cut) = (server.addresses().smtp, &acknowledged, &cut);
            scope.spawn(move || {
                let Ok(mut smtp) = Smtp::hello(address) else {
                    return;
                };
                while deliver_one(&mut smtp).is_ok() {
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
                if !smtp.connection.unread().is_empty() {
                    cut.store(true, Ordering::SeqCst);
                }
            });
        }
        while acknowledged.load(Ordering::SeqCst) < 200 {
            std::thread::yield_now();
        }
        server.signal(Signal::TERM);
    });
    assert!(server.ended(DRAIN).success(), "{}", server.log_tail());
    assert!(!cut.load(Ordering::SeqCst), "a reply was cut in the middle");
    let goodbye = String::from_utf8_lossy(&idle.connection.rest().unwrap()).into_owned();
    assert!(goodbye.contains("* BYE"), "IMAP was told {goodbye:?}");
    server.restart();
    let kept = server.imap(ALICE).status("INBOX", "MESSAGES").unwrap()["MESSAGES"] as usize;
    let acknowledged = acknowledged.load(Ordering::SeqCst);
    assert!(
        kept >= acknowledged,
        "{acknowledged} were acknowledged, {kept} are there"
    );
}

/// A transaction under way when SIGTERM comes may still end.
#[test]
fn a_transaction_under_way_may_end() {
    let mut server = Server::usual();
    let mut smtp = server.smtp();
    smtp.envelope("a@remote.test", &[ALICE]).unwrap();
    smtp.command("DATA").unwrap().expect(354).unwrap();
    server.signal(Signal::TERM);
    smtp.connection
        .send(b"Subject: last\r\n\r\nbody\r\n.\r\n")
        .unwrap();
    let outcome = smtp.reply();
    let status = server.ended(DRAIN);
    assert!(status.success(), "{status}\n{}", server.log_tail());
    server.restart();
    let kept = server.imap(ALICE).status("INBOX", "MESSAGES").unwrap()["MESSAGES"];
    match outcome {
        Ok(reply) if reply.code == 250 => assert_eq!(kept, 1, "acknowledged and lost"),
        Ok(reply) => assert!(reply.code == 421 || reply.code == 451, "{reply}"),
        Err(error) => assert!(is_end(&error), "{error}"),
    }
}

/// A waiting client hears of new mail within 100 ms.
#[test]
fn idle_hears_at_once() {
    let server = Server::start(Setup::usual().top("shards = 2"));
    let mut idle = server.imap_in(ALICE, "INBOX");
    idle.send("IDLE").unwrap();
    idle.go_ahead().unwrap();
    let mut delays: Vec<Duration> = (1..=20)
        .map(|number| {
            server.deliver(&[ALICE], &message("news"));
            let delivered = std::time::Instant::now();
            let wanted = format!("* {number} EXISTS");
            while idle.response().unwrap().text() != wanted {}
            delivered.elapsed()
        })
        .collect();
    delays.sort();
    // The median: single wake-ups may be late on a machine that others use too.
    assert!(delays[10] < Duration::from_millis(100), "{delays:?}");
}

#[test]
fn metrics_count_what_happens() {
    let server = Server::usual();
    let health = http::page(server.addresses().http, "/healthz").unwrap();
    assert_eq!(health.0, 200);
    assert_eq!(
        http::page(server.addresses().http, "/nothing").unwrap().0,
        404
    );
    let before = server.metrics();
    assert!(!before.is_empty());
    for number in 0..7 {
        server.deliver(&[ALICE], &message(&format!("number {number}")));
    }
    let _session = server.imap(ALICE);
    let after = server.metrics();
    // What is counted by shard and protocol is summed up by name.
    let names: BTreeSet<&str> = after
        .keys()
        .filter_map(|name| name.split('{').next())
        .collect();
    let grown = |part: &str, by: f64| {
        let growth = |name: &&str| http::total(&after, name) - http::total(&before, name);
        names
            .iter()
            .filter(|name| name.contains(part))
            .any(|name| growth(name) >= by)
    };
    assert!(
        grown("message", 7.0),
        "no message counter grew by 7:\n{after:#?}"
    );
    assert!(grown("commit", 1.0), "no commit counter grew:\n{after:#?}");
    let labelled = after.keys().any(|name| name.contains("shard="));
    assert!(labelled, "nothing is told per shard:\n{after:#?}");
}

/// One line a transaction, with its enhanced status and both ends of the envelope.
#[test]
fn a_transaction_is_one_line_of_the_log() {
    let server = Server::usual();
    let place = server.log_position();
    let mut smtp = server.smtp();
    let reply = smtp
        .deliver("teller@remote.test", &[ALICE], &message("one line"))
        .unwrap();
    reply.expect(250).unwrap();
    let (at, line) = server.wait_for_log("teller@remote.test", place);
    assert!(line.contains(ALICE), "the recipient is missing: {line}");
    assert!(
        line.contains("2.0.0") || line.contains("2.6.0"),
        "no enhanced status: {line}"
    );
    smtp.command("QUIT").unwrap();
    let lines = server.log_lines();
    let again = lines[at + 1..]
        .iter()
        .filter(|line| line.contains("teller@remote.test"));
    assert_eq!(again.count(), 0, "more than one line");
}

/// No password ever reaches the log, right or wrong.
#[test]
fn passwords_are_not_logged() {
    let server = Server::usual();
    for password in [PASSWORD, "wr0ng-passw0rd"] {
        let _ = Imap::login(server.addresses().imaps, ALICE, password);
        let _ = Smtp::submit(server.addresses().submissions, ALICE, password);
    }
    server.imap(ALICE).ok("LOGOUT").unwrap();
    let told = server.log_lines();
    let told: Vec<&String> = told
        .iter()
        .filter(|line| line.contains(PASSWORD) || line.contains("wr0ng"))
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

/// Writes the file, sends SIGHUP and waits for the log's word; gives where that stood.
fn reload(server: &Server, text: &str) -> usize {
    std::fs::write(server.setup.config_file(), text).unwrap();
    let place = server.log_position();
    server.signal(Signal::HUP);
    server.wait_for_log("reload", place);
    place
}

fn deliver_one(smtp: &mut Smtp) -> io::Result<()> {
    smtp.deliver("a@remote.test", &[ALICE], &message("load"))?
        .expect(250)
        .map(drop)
}

fn shown_certificate(server: &Server) -> Vec<u8> {
    let connection = Connection::open_tls(server.addresses().imaps).unwrap();
    connection.tls().unwrap().peer_certificates().unwrap()[0].to_vec()
}

/// Everything a client can see of two mailboxes and the tree.
fn picture(imap: &mut Imap) -> Vec<String> {
    let mut lines = Vec::new();
    for command in [
        "LIST \"\" \"*\" RETURN (SUBSCRIBED CHILDREN)",
        "STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE)",
        "STATUS A/B (MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE)",
        "FETCH 1:* (UID INTERNALDATE RFC822.SIZE BODY.PEEK[])",
        "SEARCH KEYWORD $Work",
        "SEARCH SEEN",
    ] {
        let answer = imap.ok(command).unwrap();
        let wanted = ["LIST", "STATUS", "SEARCH", "FETCH"];
        let is_wanted = |line: &String| wanted.iter().any(|word| line.contains(word));
        let texts = answer
            .untagged
            .iter()
            .map(|response| response.text().into_owned());
        lines.extend(texts.filter(is_wanted));
    }
    lines
}

/// The default of `drain_secs_max` and a little more.
const DRAIN: Duration = Duration::from_secs(45);
