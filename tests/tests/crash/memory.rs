//! A server with 256 MiB: large messages pass through, and when the kernel kills it for want of
//! memory nothing is lost that was acknowledged.

use super::ALICE;
use crate::storm::{ACCOUNTS, Spread, compare, during, setup};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::time::Duration;
use tests::binary;
use tests::cage::Cage;
use tests::connection::is_end;
use tests::corpus::plain;
use tests::http;
use tests::ledger::{Ledger, Seen};
use tests::seed::{Seed, number_from_env};
use tests::server::Server;
use tests::setup::Setup;
use tests::usage;

#[test]
fn large_messages_take_a_few_buffers() {
    let Some((cage, mut server)) = caged() else {
        return;
    };
    let message = plain("large", 100_000_000, &mut Seed::new(2));
    let send = |message: &[u8]| {
        let mut smtp = server.smtp();
        let reply = smtp.deliver("a@remote.test", &[ALICE], message).unwrap();
        assert_eq!(reply.code, 250, "{reply}");
    };
    send(&plain("small", 1_000, &mut Seed::new(1)));
    let before = usage::resident_bytes_peak(server.pid());
    for _ in 0..3 {
        send(&message);
    }
    // A checkpoint has buffers of its own.
    while http::total(&server.metrics(), "ringpost_checkpoints_total") < 1.0 {
        std::thread::yield_now();
    }
    let grown = usage::resident_bytes_peak(server.pid()).saturating_sub(before);
    println!(
        "3 × 100 MB in one connection each: {} KiB more",
        grown / 1024
    );
    assert!(grown < LARGE_GROW_BYTES_MAX, "{grown} octets for 100 MB");
    server.assert_alive();
    drop((server, cage));
}

/// `RINGPOST_LARGE_MEGABYTES` sets the size of each.
#[test]
fn fifty_large_messages_at_once_fit() {
    let megabytes = number_from_env("RINGPOST_LARGE_MEGABYTES", 10) as usize;
    let Some((cage, mut server)) = caged() else {
        return;
    };
    let message = plain("one of fifty", megabytes * 1_000_000, &mut Seed::new(3));
    let addresses = server.addresses();
    let codes: Vec<u16> = std::thread::scope(|scope| {
        let send = || {
            let mut smtp = tests::smtp::Smtp::hello(addresses.smtp).unwrap();
            match smtp.deliver("a@remote.test", &[ALICE], &message) {
                Ok(reply) => reply.code,
                Err(error) if is_end(&error) => 0,
                Err(error) => panic!("{error}"),
            }
        };
        let senders: Vec<_> = (0..50).map(|_| scope.spawn(send)).collect();
        senders.into_iter().map(|s| s.join().unwrap()).collect()
    });
    server.assert_alive();
    println!(
        "50 × {megabytes} MB: {} KiB at most, of the cage {} KiB",
        usage::resident_bytes_peak(server.pid()) / 1024,
        cage.octets_peak() / 1024
    );
    let deferred = |code: &u16| *code == 250 || (400..500).contains(code);
    assert!(codes.iter().all(deferred), "{codes:?}");
    let taken = codes.iter().filter(|code| **code == 250).count() as u64;
    let status = server.imap(ALICE).status("INBOX", "MESSAGES").unwrap();
    assert_eq!(status["MESSAGES"], taken);
    drop((server, cage));
}

#[test]
fn nothing_acknowledged_is_lost_when_memory_ends() {
    let Some(cage) = Cage::new(CAGE_BYTES) else {
        return;
    };
    let mut server = start_in(&cage, setup());
    let ledger = Ledger::default();
    let mut hog: Option<Child> = None;
    during(&mut server, &ledger, 16, Spread::Several, 0x00d, |server| {
        assert!(ledger.reaches(200, DEADLINE), "{} only", ledger.count());
        hog = Some(cage.hog(2 * CAGE_BYTES).spawn().unwrap());
        let status = server.ended(DEADLINE);
        assert_eq!(status.signal(), Some(9), "not killed: {status:?}");
    });
    let _ = hog.map(|mut hog| hog.wait());
    server.restart();
    let mut seen = vec![Seen::default(); ACCOUNTS];
    let faults = compare(&server, &ledger, &mut seen, true);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    drop((server, cage));
}

fn caged() -> Option<(Cage, Server)> {
    let cage = Cage::new(CAGE_BYTES)?;
    let setup = Setup::usual()
        .top("shards = 1")
        .limit("message_bytes_max = \"128 MiB\"");
    let server = start_in(&cage, setup);
    Some((cage, server))
}

fn start_in(cage: &Cage, setup: Setup) -> Server {
    setup.write();
    let mut command: Command = cage.victim(binary::ringpost());
    command.arg("--config").arg(setup.config_file());
    Server::start_with(setup, command)
}

const CAGE_BYTES: u64 = 256 << 20;
/// What a shard keeps of its last frames (32 MiB), blocks for frames to come (four of each size, 22
/// MiB), three frames on their way (12 MiB); the buffers of a connection and of a checkpoint.
const LARGE_GROW_BYTES_MAX: u64 = (32 + 22 + 12 + 4) << 20;
const DEADLINE: Duration = Duration::from_secs(60);
