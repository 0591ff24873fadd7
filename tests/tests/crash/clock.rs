//! A wall clock that jumps, under a running server and between two lives: nothing spins, nobody is
//! thrown out, and a mailbox that is made again never gets an old UIDVALIDITY.

use super::ALICE;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tests::binary;
use tests::corpus::plain;
use tests::imap::Imap;
use tests::peer::peer;
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::Setup;
use tests::usage;

#[test]
fn a_jumping_clock_changes_nothing_that_was_said() {
    if peer("faketime").is_none() {
        return;
    }
    let library = faketime().expect("the program comes with its library");
    let setup = Setup::usual();
    let clock = setup.directory.path().join("clock");
    let mut validities = BTreeSet::new();
    let mut delivered = 0;
    let mut setup = Some(setup);
    for jumps in [["+0", "+1y"], ["-1h", "-1y"], ["-1y", "+1y"], ["+0", "-1h"]] {
        let [begun, jumped] = jumps;
        set(&clock, begun);
        let mut server = start_at(setup.take().expect("given back below"), &library, &clock);
        let mut idle = server.imap_in(ALICE, "INBOX");
        make_again(&server, &mut validities);
        deliver(&server, &mut delivered);
        set(&clock, jumped);
        make_again(&server, &mut validities);
        deliver(&server, &mut delivered);
        assert_quiet(&server, &mut idle);
        assert!(
            has_jumped(&mut idle, delivered),
            "{jumps:?}: libfaketime does nothing"
        );
        idle.ok("NOOP").expect("a session outlives a jump");
        let status = idle.status("INBOX", "MESSAGES").unwrap();
        assert_eq!(status["MESSAGES"], delivered, "{jumps:?}");
        server.kill();
        setup = Some(server.into_setup());
    }
}

/// A mailbox that is deleted and made again is another one (RFC 9051 §2.3.1.1).
fn make_again(server: &Server, validities: &mut BTreeSet<u64>) {
    let mut imap = server.imap(ALICE);
    for _ in 0..3 {
        imap.ok("CREATE Again").unwrap();
        let validity = imap.status("Again", "UIDVALIDITY").unwrap()["UIDVALIDITY"];
        assert!(validities.insert(validity), "UIDVALIDITY {validity} again");
        let highest = validities.last().copied();
        assert_eq!(highest, Some(validity), "UIDVALIDITY fell");
        imap.ok("DELETE Again").unwrap();
    }
}

fn deliver(server: &Server, delivered: &mut u64) {
    *delivered += 1;
    let message = plain("whenever", 1_000, &mut Seed::new(*delivered));
    server.deliver(&[ALICE], &message);
}

/// While nothing happens, nothing is done: the wait is for a word in IDLE that does not come.
fn assert_quiet(server: &Server, idle: &mut Imap) {
    let tag = idle.send("IDLE").unwrap();
    idle.go_ahead().unwrap();
    while idle.response_within(Duration::from_millis(200)).is_some() {}
    let before = usage::cpu(server.pid());
    while idle.response_within(QUIET).is_some() {}
    let used = usage::cpu(server.pid()) - before;
    assert!(used < QUIET / 10, "{used:?} of processor time for nothing");
    idle.connection.send(b"DONE\r\n").unwrap();
    idle.answer(&tag).unwrap();
}

/// Whether the last two messages came at quite different times, as the server sees it.
fn has_jumped(imap: &mut Imap, delivered: u64) -> bool {
    let last = format!("FETCH {}:{delivered} INTERNALDATE", delivered - 1);
    let fetched = imap.fetch(&last).unwrap();
    let days: BTreeSet<String> = fetched
        .iter()
        .filter_map(|message| message.items["INTERNALDATE"].string())
        .map(|date| date.split(':').next().unwrap_or("").to_string())
        .collect();
    days.len() == 2
}

pub(super) fn set(clock: &Path, offset: &str) {
    // Renamed, so that nobody reads half of it.
    let fresh = clock.with_extension("fresh");
    std::fs::write(&fresh, format!("{offset}\n")).unwrap();
    std::fs::rename(&fresh, clock).unwrap();
}

pub(super) fn start_at(setup: Setup, library: &Path, clock: &Path) -> Server {
    setup.write();
    let mut command = Command::new(binary::ringpost());
    command.arg("--config").arg(setup.config_file());
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Server::start_with(setup, command)
}

pub(super) fn faketime() -> Option<PathBuf> {
    let folders = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
    ];
    let library = |folder: &&str| Path::new(folder).join("faketime/libfaketimeMT.so.1");
    folders.iter().map(library).find(|path| path.exists())
}

const QUIET: Duration = Duration::from_secs(1);
