//! Backups taken while mail pours in: restored, all that was acknowledged before is there once, and
//! the restored store takes mail as if nothing had happened. `RINGPOST_BACKUPS` sets how many.

use crate::storm::{ACCOUNTS, Spread, address, compare, during, message, setup};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tests::binary;
use tests::ledger::{Ledger, Seen};
use tests::seed::{Seed, number_from_env};
use tests::server::Server;
use tests::smtp::Smtp;

/// Shards owe each other mail at every moment, and are copied one after the other.
#[test]
fn a_backup_under_load_has_all_of_before() {
    let backups = number_from_env("RINGPOST_BACKUPS", BACKUPS);
    let mut seed = Seed::from_env(0xbac0);
    let mut server = Server::start(setup());
    let ledger = Ledger::default();
    let place = tempfile::tempdir().unwrap();
    let (fresh, spread) = (seed.next_u64(), Spread::Several);
    let ledgers = during(&mut server, &ledger, CONNECTIONS, spread, fresh, |server| {
        let take = |_| {
            let wanted = ledger.count() + 20 + seed.below(400) as usize;
            assert!(ledger.reaches(wanted, DEADLINE), "only {}", ledger.count());
            let before = ledger.snapshot();
            must(&server.setup.data(), &["backup", path(place.path())]);
            before
        };
        (0..backups).map(take).collect::<Vec<Ledger>>()
    });
    for (number, before) in (1..).zip(&ledgers) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let generation = number.to_string();
        let order = ["restore", "--generation", &generation, path(place.path())];
        must(&data, &order);
        check(&data, before, number);
    }
}

/// Everything of the ledger is there, and mail that comes later too, none of it twice.
fn check(data: &Path, before: &Ledger, number: u64) {
    let twin = Server::start(setup().data_in(data));
    let mut seen = vec![Seen::default(); ACCOUNTS];
    let faults = compare(&twin, before, &mut seen, true);
    assert!(faults.is_empty(), "backup {number}:\n{}", faults.join("\n"));
    let mut smtp = Smtp::hello(twin.addresses().smtp).unwrap();
    let everybody: Vec<String> = (0..ACCOUNTS).map(address).collect();
    for later in 0..LATER {
        let id = format!("later-{number}-{later}");
        let reply = smtp.deliver("sender@remote.test", &everybody, &message(&id));
        reply.unwrap().expect(250).unwrap();
        (0..ACCOUNTS).for_each(|account| before.acknowledge(account, &id, None));
    }
    let faults = compare(&twin, before, &mut seen, true);
    assert!(
        faults.is_empty(),
        "after backup {number}:\n{}",
        faults.join("\n")
    );
}

/// Killed in its middle, a backup is none; the next one takes what is there and becomes whole.
#[test]
fn a_killed_backup_is_none_and_is_resumed() {
    let mut seed = Seed::from_env(0xdead);
    let mut server = Server::start(setup());
    let ledger = Ledger::default();
    let fresh = seed.next_u64();
    during(
        &mut server,
        &ledger,
        CONNECTIONS,
        Spread::Several,
        fresh,
        |_| {
            assert!(ledger.reaches(2_000, DEADLINE), "only {}", ledger.count());
        },
    );
    let data = server.setup.data();
    let place = tempfile::tempdir().unwrap();
    let mut child = ctl(&data, &["backup", path(place.path())]).spawn().unwrap();
    let begun = Instant::now();
    while !place.path().join("shard-01/log").exists() {
        assert!(begun.elapsed() < DEADLINE, "nothing is copied");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    let killed = child.wait().unwrap();
    assert!(!killed.success(), "it ended before it was killed");
    let folder = tempfile::tempdir().unwrap();
    let restored = folder.path().join("data");
    let refused = output(&restored, &["restore", path(place.path())]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("no generation"),
        "{said}"
    );
    must(&data, &["backup", path(place.path())]);
    must(&restored, &["restore", path(place.path())]);
    check(&restored, &ledger, 1);
}

fn must(data: &Path, order: &[&str]) {
    let output = output(data, order);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{order:?}: {said}");
}

fn output(data: &Path, order: &[&str]) -> Output {
    ctl(data, order).output().expect("the tool is built")
}

fn ctl(data: &Path, order: &[&str]) -> Command {
    let mut command = Command::new(binary::ringpostctl());
    command.arg("--data").arg(data).args(order);
    command.stdin(Stdio::null());
    command
}

fn path(of: &Path) -> &str {
    of.to_str().expect("scratch directories have plain names")
}

const BACKUPS: u64 = 4;
const CONNECTIONS: usize = 16;
/// Messages to everybody that a restored store takes.
const LATER: usize = 10;
const DEADLINE: Duration = Duration::from_secs(60);
