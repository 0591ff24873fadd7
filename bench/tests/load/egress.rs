//! The engine's outbound connection against servers that others wrote: Postfix, Exim, OpenSMTPD,
//! Dovecot's LMTP, smtp-sink. What lies in the mailbox afterwards is what was sent, octet for
//! octet; and against our own sink, misbehaving by plan.

use crate::peers::{has_root, may_mount, quiet, scratch};
use crate::tool::command;
use engine::egress::{Connection, Dialect, Fate, Letter, Pieces, Target, Tools};
use engine::reactor::runtime::run_shard;
use engine::reactor::{Backend, Clock, Seat};
use engine::tls::{Authorities, TlsClient};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::mail::address::Address;
use store::mail::envelope::{BodyKind, Envelope, Recipient};
use tests::imap::Imap;
use tests::peer::peer;

/// A message that tries what goes wrong on the way.
fn message(number: usize, octets: usize) -> Vec<u8> {
    let mut text = format!(
        "From: s@us.test\r\nTo: r@example.test\r\nSubject: number {number}\r\n\
         Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{number}@us.test>\r\n\r\n\
         .\r\n..\r\n...three\r\nFrom here\r\n\t \r\n ö\r\n"
    )
    .into_bytes();
    while text.len() + 72 < octets {
        text.extend_from_slice(&[b'.'; 3]);
        text.extend_from_slice(&[b'x'; 64]);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b".\r\n\r\n");
    text
}

const SIZES: [usize; 3] = [1, 4_096, 300_000];
const PREFIX: &str = "X-Egress: trial\r\n";

/// What became of the letters: fate and reply of each recipient, in one list.
type Told = Vec<(Fate, String)>;

/// Sends messages of all sizes to the recipients, `rounds` times, as far as the peer lets us.
fn send(door: SocketAddr, dialect: Dialect, recipients: &[String], rounds: usize) -> Told {
    let recipients = recipients.to_vec();
    let seat = Seat {
        backend: Backend::probe().0,
        core: None,
        on_panic: Arc::new(|_| {}),
        clock: Clock::Kernel,
    };
    let shard = move || run_shard(seat, move || letters(door, dialect, recipients, rounds));
    std::thread::spawn(shard).join().unwrap().unwrap()
}

async fn letters(
    door: SocketAddr,
    dialect: Dialect,
    recipients: Vec<String>,
    rounds: usize,
) -> Told {
    let tls = TlsClient::load(&Authorities::Nobody, None).unwrap();
    let tools = Tools { tls, pool: None };
    let mut target = Target::new(door, "peer.example.test", "us.test");
    target.dialect = dialect;
    target.patience.end = Duration::from_secs(20);
    let to = |address: &String| Recipient::new(Address::split(address).unwrap());
    let envelope = Envelope {
        reverse_path: Some(Address::new("s", "us.test")),
        recipients: recipients.iter().map(to).collect(),
        body: BodyKind::EightBitMime,
        ..Envelope::default()
    };
    let letter = Letter::new(Rc::new(envelope), Rc::from(PREFIX.as_bytes()));
    let mut told = Vec::new();
    let mut open = None;
    for number in 0..rounds * SIZES.len() {
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => Connection::open(&target, &tools).await.unwrap(),
        };
        let text = message(number, SIZES[number % SIZES.len()]);
        let pieces: Rc<[Rc<[u8]>]> = text.chunks(65_536).map(Rc::from).collect();
        let outcome = connection.send(&letter, &mut Pieces::new(pieces)).await;
        let each = outcome.recipients.iter();
        told.extend(each.map(|one| (one.fate, one.reply.to_string())));
        open = outcome.is_open.then_some(connection);
    }
    if let Some(connection) = open {
        connection.quit().await;
    }
    told
}

/// Brings up a peer; what it is.
fn raised(name: &str, scratch: &Path) -> Value {
    quiet(&["up", name, "--users", "2"], scratch);
    let listed = quiet(&["list", "--json"], scratch);
    serde_json::from_str::<Value>(&listed).unwrap()[0].clone()
}

fn users(target: &Value) -> Vec<String> {
    let users = target["users"].as_array().unwrap().iter();
    users
        .map(|user| user.as_str().unwrap().to_owned())
        .collect()
}

fn assert_delivered(told: &Told, count: usize) {
    assert_eq!(told.len(), count);
    for (fate, reply) in told {
        assert_eq!(*fate, Fate::Delivered, "{reply}");
    }
}

/// Every message of [`SIZES`] is there once, behind what the server put before it.
fn assert_intact(mut found: Vec<Vec<u8>>) {
    for (number, octets) in SIZES.iter().enumerate() {
        let sent = [PREFIX.as_bytes(), &message(number, *octets)].concat();
        let at = found.iter().position(|found| found.ends_with(&sent));
        let at = at.unwrap_or_else(|| panic!("message {number} is not there as it was sent"));
        found.remove(at);
    }
    assert!(found.is_empty(), "{} more than were sent", found.len());
}

/// The messages of a user of Dovecot, when there are as many as there should be.
fn by_imap(target: &Value, user: &str) -> Vec<Vec<u8>> {
    let door: SocketAddr = target["doors"]["imap"].as_str().unwrap().parse().unwrap();
    let password = target["password"].as_str().unwrap();
    let mut imap = Imap::connect(door).unwrap();
    imap.ok(&format!("LOGIN {user} {password}")).unwrap();
    imap.ok("SELECT INBOX").unwrap();
    let count = u32::try_from(SIZES.len()).unwrap();
    imap.wait_for_messages("INBOX", count).unwrap();
    let fetched = imap.fetch("FETCH 1:* BODY.PEEK[]").unwrap();
    let octets = fetched
        .iter()
        .map(|one| one.octets("BODY[]").unwrap().to_vec());
    octets.collect()
}

/// The messages of a user's Maildir, line ends as they were sent.
fn by_maildir(target: &Value, user: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(target["counting"]["Maildirs"].as_str().unwrap()).join(user);
    let end = Instant::now() + tests::connection::DEADLINE;
    loop {
        let files = std::fs::read_dir(folder.join("new")).into_iter().flatten();
        let files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        if files.len() >= SIZES.len() {
            let read = |file: &PathBuf| {
                let text = String::from_utf8(std::fs::read(file).unwrap()).unwrap();
                text.replace('\n', "\r\n").into_bytes()
            };
            return files.iter().map(read).collect();
        }
        assert!(Instant::now() < end, "{} of {user} came", files.len());
        std::thread::yield_now();
    }
}

fn door(target: &Value, protocol: &str) -> SocketAddr {
    target["doors"][protocol].as_str().unwrap().parse().unwrap()
}

#[test]
fn postfix_and_dovecot_have_what_was_sent() {
    if !has_root() || peer("postfix").is_none() || peer("dovecot").is_none() {
        return;
    }
    for (name, protocol, dialect) in [
        ("postfix-dovecot", "smtp", Dialect::Smtp),
        ("dovecot", "lmtp", Dialect::Lmtp),
    ] {
        let scratch = scratch();
        let target = raised(name, scratch.path());
        let users = users(&target);
        let told = send(door(&target, protocol), dialect, &users, 1);
        assert_delivered(&told, SIZES.len() * users.len());
        for user in &users {
            assert_intact(by_imap(&target, user));
        }
        quiet(&["down", name], scratch.path());
    }
}

#[test]
fn exim_and_opensmtpd_have_what_was_sent() {
    if !has_root() || peer("apt-get").is_none() || !may_mount() {
        return;
    }
    for name in ["exim", "opensmtpd"] {
        let scratch = scratch();
        let target = raised(name, scratch.path());
        let users = users(&target);
        let told = send(door(&target, "smtp"), Dialect::Smtp, &users, 1);
        assert_delivered(&told, SIZES.len() * users.len());
        for user in &users {
            assert_intact(by_maildir(&target, user));
        }
        quiet(&["down", name], scratch.path());
    }
}

#[test]
fn smtp_sink_takes_all() {
    if peer("smtp-sink").is_none() {
        return;
    }
    let scratch = scratch();
    let target = raised("smtp-sink", scratch.path());
    let anybody = [String::from("a@example.test")];
    let told = send(door(&target, "smtp"), Dialect::Smtp, &anybody, 30);
    assert_delivered(&told, 30 * SIZES.len());
    quiet(&["down", "smtp-sink"], scratch.path());
}

/// Our sink; ended when dropped.
struct Sink(Child);

impl Drop for Sink {
    fn drop(&mut self) {
        // It has ended by itself where it was asked to.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whatever the sink does by plan, each message has the fate that belongs to it.
#[test]
fn a_sink_that_misbehaves_by_plan() {
    let all = [Fate::Delivered, Fate::Deferred, Fate::Failed, Fate::Unknown];
    for (words, fates) in [
        (&["--defer", "100"][..], &all[1..2]),
        (&["--reject", "100"], &all[2..3]),
        (&["--reset", "100"], &all[3..4]),
        (&["--drip", "100"], &all[..1]),
        (&["--defer", "20", "--reject", "20", "--reset", "20"], &all),
    ] {
        let address = free_door();
        let mut words = words.to_vec();
        let door = address.to_string();
        words.splice(0..0, ["sink", &door]);
        let mut child = command(&words)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let _sink = Sink(child);
        // It says where it listens as soon as it does.
        let first = said.lines().next().unwrap().unwrap();
        let anybody = [String::from("a@example.test")];
        let told = send(address, Dialect::Smtp, &anybody, 3);
        assert_eq!(told.len(), 3 * SIZES.len(), "{first}");
        for (fate, reply) in &told {
            assert!(fates.contains(fate), "{fate:?} {reply} with {words:?}");
        }
    }
}

fn free_door() -> SocketAddr {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    held.local_addr().unwrap()
}
