//! `kill -9` under load: nothing that was acknowledged is missing, nothing comes twice, and UIDs
//! and MODSEQs never go back.
//!
//! After so many acknowledgements the process is killed, started again and every mailbox is
//! compared with the ledger. `RINGPOST_KILL_ROUNDS` sets how often, `RINGPOST_KILL_ACKS` after how
//! many on the average.

use crate::storm::{ACCOUNTS, Spread, compare, during, setup_that_compacts};
use std::path::Path;
use std::time::{Duration, Instant};
use tests::ledger::{Ledger, Seen};
use tests::seed::{Seed, number_from_env};
use tests::server::Server;

#[test]
fn nothing_acknowledged_is_lost_or_doubled() {
    let rounds = number_from_env("RINGPOST_KILL_ROUNDS", ROUNDS);
    let acknowledged = number_from_env("RINGPOST_KILL_ACKS", ACKNOWLEDGED);
    let mut seed = Seed::from_env(0x5eed);
    let mut server = Server::start(setup_that_compacts());
    let ledger = Ledger::default();
    let mut seen = vec![Seen::default(); ACCOUNTS];
    for round in 0..rounds {
        let wanted = ledger.count() + 50 + seed.below(2 * acknowledged) as usize;
        let fresh = seed.next_u64();
        let reached = during(
            &mut server,
            &ledger,
            CONNECTIONS,
            Spread::Several,
            fresh,
            |_| ledger.reaches(wanted, ROUND_DEADLINE),
        );
        let count = ledger.count();
        assert!(reached, "round {round}: only {count} of {wanted}");
        let started = Instant::now();
        server.restart();
        let took = started.elapsed();
        let bytes = log_bytes(&server.setup.data());
        let patience = READY_DEADLINE + READY_PER_MIB * (bytes >> 20) as u32;
        assert!(
            took < patience,
            "round {round}: {took:?} for {bytes} octets"
        );
        let faults = compare(&server, &ledger, &mut seen, false);
        assert!(faults.is_empty(), "round {round}:\n{}", faults.join("\n"));
    }
    // Once more from the first UID on, with flags and whole bodies.
    server.kill_and_restart();
    let faults = compare(&server, &ledger, &mut seen, true);
    assert!(faults.is_empty(), "at the end:\n{}", faults.join("\n"));
    println!(
        "{rounds} rounds, {} copies acknowledged, none lost, none doubled",
        ledger.count()
    );
}

fn log_bytes(data: &Path) -> u64 {
    let entries = std::fs::read_dir(data).unwrap().map(Result::unwrap);
    let octets = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => log_bytes(&entry.path()),
        metadata => metadata.map_or(0, |metadata| metadata.len()),
    };
    entries.map(octets).sum()
}

const CONNECTIONS: usize = 64;
const ROUNDS: u64 = 20;
/// In one round, on the average and beyond the first 50.
const ACKNOWLEDGED: u64 = 300;
const ROUND_DEADLINE: Duration = Duration::from_secs(60);

/// The target is 2 s and 1 s for each GB; this is for a machine that others use too.
const READY_DEADLINE: Duration = Duration::from_secs(15);
const READY_PER_MIB: Duration = Duration::from_millis(8);
