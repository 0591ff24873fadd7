//! A store that the first build wrote, opened by today's: nothing that a client was told changes.
//!
//! What would break for a user: an upgrade that loses mail, flags or UIDs. The store and what the
//! first build said of it lie in `tests/fixtures`, with how they were made.

use std::fmt::Write;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;
use store::disk::blocking::{BlockingDisk, run};
use store::disk::home::Home;
use store::log::Options;
use store::mail::address::Address;
use store::mail::envelope::Notify;
use store::mail::id::ShardId;
use store::shard::{BodyWriter, Custody, Outbound, Shard};
use tests::binary;
use tests::imap::{Fetched, Imap, Response};
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};

const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];

#[test]
fn a_store_of_the_first_build_is_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let packed = std::fs::read(fixture("first-store.tar.zst")).unwrap();
    unpack(&zstd::decode_all(packed.as_slice()).unwrap(), &data);
    let told = std::fs::read_to_string(fixture("first-store.txt")).unwrap();
    assert!(told.lines().count() > 100, "the listing is there");
    must(&data, &["fsck"]);

    let setup = ACCOUNTS.iter().fold(Setup::empty(), |setup, account| {
        setup.account(&address(account), PASSWORD)
    });
    let setup = setup.top("shards = 2").domain("example.test");
    let mut server = Server::start(setup.data_in(&data));
    assert_same(&listing(&server), &told, "opened");
    assert!(server.terminate(ENDS_WITHIN).success());
    must(&data, &["fsck"]);
    server.restart();
    assert_same(&listing(&server), &told, "opened from its first checkpoint");
    server.deliver(&["alice@example.test"], &super::message("of today"));
    server.wait_for_messages("alice@example.test", 18);
    assert!(server.terminate(ENDS_WITHIN).success());

    must(&data, &["compact"]);
    must(&data, &["fsck"]);
    server.restart();
    let mut imap = server.imap_in("alice@example.test", "INBOX");
    imap.ok("UID STORE 21 +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.ok("UID EXPUNGE 21").unwrap();
    let now = listing(&server);
    let (told, now) = (beside_alices_inbox(&told), beside_alices_inbox(&now));
    assert_same(&now, &told, "compacted");
}

/// Its last segment may hold no queue: the first mail for another host begins one that may.
#[test]
fn a_store_of_the_first_build_takes_mail_for_other_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let packed = std::fs::read(fixture("first-store.tar.zst")).unwrap();
    unpack(&zstd::decode_all(packed.as_slice()).unwrap(), &data);
    let in_shard = |work: &dyn Fn(Rc<Shard<BlockingDisk>>) -> Work| with_shard(&data, work);
    in_shard(&|shard| {
        Box::pin(async move {
            let segment = shard.log().end().segment;
            assert_eq!(shard.queue_len(), 0);
            shard.take(foreign()).await.unwrap();
            assert_eq!(shard.log().end().segment, segment + 1);
        })
    });
    in_shard(&|shard| {
        Box::pin(async move {
            let items = shard.queue_arrivals(9);
            assert_eq!(items.len(), 1);
            let queued = shard.queued(&[items[0].id]).await.unwrap();
            let octets = shard.read(&queued.message, 0, u64::MAX).await.unwrap();
            assert_eq!(octets, b"Received: x\r\nSubject: y\r\n\r\n");
        })
    });
    must(&data, &["fsck"]);
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// Opens the first shard; its log and the work take turns.
fn with_shard(data: &Path, work: &dyn Fn(Rc<Shard<BlockingDisk>>) -> Work) {
    let home = Home::existing(data).map_err(|error| error.to_string());
    let options = Options::new(home.unwrap().identity.uuid, 0);
    let disk = BlockingDisk::new(data);
    let opened = Shard::open(disk, "shard-00", ShardId(0), options, || 0);
    let (shard, _) = run(opened).map_err(|error| error.to_string()).unwrap();
    let mut work = work(Rc::clone(&shard));
    let mut log = pin!(shard.run(|_| {}));
    let mut context = Context::from_waker(Waker::noop());
    let mut is_done = false;
    loop {
        if !is_done && work.as_mut().poll(&mut context).is_ready() {
            is_done = true;
            shard.close();
        }
        if log.as_mut().poll(&mut context).is_ready() {
            return;
        }
    }
}

fn foreign() -> Custody {
    Custody {
        body: BodyWriter::with(b"Subject: y\r\n\r\n".to_vec()),
        outbound: vec![Outbound {
            recipient: Address::new("somebody", "else.where"),
            notify: Notify::UNSET,
            orcpt: None,
            tenant: address("alice"),
            expiry_secs: 1,
            not_before_secs: 0,
            priority: 0,
            marks: 0,
            by_secs: 0,
            prefix: b"Received: x\r\n"[..].into(),
        }],
        ..Custody::default()
    }
}

/// The line that a new message changes is left out, the messages are not.
fn beside_alices_inbox(listing: &str) -> String {
    let lines = listing.lines();
    let kept = lines.filter(|line| !line.starts_with("alice mailbox INBOX "));
    kept.map(|line| format!("{line}\n")).collect()
}

fn assert_same(now: &str, told: &str, when: &str) {
    let differs = now
        .lines()
        .zip(told.lines())
        .find(|(now, told)| now != told);
    assert!(differs.is_none(), "{when}, differs: {differs:?}");
    assert_eq!(now.lines().count(), told.lines().count(), "{when}");
}

/// Everything that a client sees, in the form of the fixture.
fn listing(server: &Server) -> String {
    let mut out = String::new();
    for account in ACCOUNTS {
        let mut imap = server.imap(&address(account));
        for name in names(&mut imap, "LSUB") {
            writeln!(out, "{account} subscribed {name}").unwrap();
        }
        for name in names(&mut imap, "LIST") {
            mailbox(&mut imap, account, &name, &mut out);
        }
    }
    out
}

fn names(imap: &mut Imap, command: &str) -> Vec<String> {
    let answer = imap.ok(&format!("{command} \"\" *")).unwrap();
    let name = |response: &Response| {
        let values = tests::imap::parse(&response.0).unwrap();
        values.last().unwrap().string().unwrap()
    };
    let mut names: Vec<String> = answer.untagged.iter().map(name).collect();
    names.sort_unstable();
    names
}

fn mailbox(imap: &mut Imap, account: &str, name: &str, out: &mut String) {
    let items = [
        "UIDVALIDITY",
        "UIDNEXT",
        "HIGHESTMODSEQ",
        "MESSAGES",
        "UNSEEN",
    ];
    let status = imap
        .status(&format!("\"{name}\""), &items.join(" "))
        .unwrap();
    write!(out, "{account} mailbox {name}").unwrap();
    for item in items {
        write!(out, " {} {}", item.to_lowercase(), status[item]).unwrap();
    }
    writeln!(out).unwrap();
    imap.ok(&format!("EXAMINE \"{name}\"")).unwrap();
    let items = "UID FETCH 1:* (UID MODSEQ FLAGS INTERNALDATE BODY.PEEK[])";
    if status["MESSAGES"] > 0 {
        for message in imap.fetch(items).unwrap() {
            writeln!(out, "{account} message {name} {}", line(&message)).unwrap();
        }
    }
}

fn line(message: &Fetched) -> String {
    let flags = message.items["FLAGS"].list().unwrap().iter();
    let flags = flags.map(|flag| flag.string().unwrap());
    let mut flags: Vec<String> = flags.filter(|flag| flag != "\\Recent").collect();
    flags.sort_unstable();
    let octets = message.octets("BODY[]").unwrap();
    format!(
        "uid {} modseq {} flags ({}) date \"{}\" octets {} fnv {:016x}",
        message.uid().unwrap(),
        message.items["MODSEQ"].list().unwrap()[0].number().unwrap(),
        flags.join(" "),
        message.items["INTERNALDATE"].string().unwrap().trim(),
        octets.len(),
        fnv(octets)
    )
}

fn fnv(octets: &[u8]) -> u64 {
    let step = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x100_0000_01b3);
    octets.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Writes the directories and files of a ustar archive.
fn unpack(mut archive: &[u8], target: &Path) {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    while archive.len() > 512 && archive[0] != 0 {
        let (head, rest) = archive.split_at(512);
        let path = target.join(text(&head[..100]).trim_end_matches('\0'));
        let size = text(&head[124..135]);
        let size = usize::from_str_radix(&size, 8).unwrap();
        match head[156] {
            b'5' => std::fs::create_dir_all(&path).unwrap(),
            _ => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &rest[..size]).unwrap();
            }
        }
        archive = &rest[size.next_multiple_of(512)..];
    }
}

fn fixture(name: &str) -> std::path::PathBuf {
    binary::workspace().join("tests/fixtures").join(name)
}

fn address(account: &str) -> String {
    format!("{account}@example.test")
}

fn must(data: &Path, order: &[&str]) {
    let mut command = Command::new(binary::ringpostctl());
    command.arg("--data").arg(data).args(order);
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the tool is built");
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{order:?}: {said}{error}");
}

const ENDS_WITHIN: Duration = Duration::from_secs(45);
