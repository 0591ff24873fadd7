//! A data directory copied while the server writes to it: the copy opens, and all that was
//! acknowledged before the copy began is in it. `RINGPOST_LIVE_COPIES` sets how many.

use crate::storm::{ACCOUNTS, Spread, compare, during, setup};
use std::path::Path;
use std::time::Duration;
use tests::ledger::{Ledger, Seen};
use tests::seed::{Seed, number_from_env};
use tests::server::Server;

#[test]
fn a_copy_of_a_running_server_opens_with_all_of_before() {
    copies_are_whole(Spread::One);
}

/// A shard that was copied early lacks what a shard that was copied late remembers to have handed
/// over to it.
#[test]
#[ignore = "shards are copied at different moments, and nothing reconciles their offers at a start"]
fn a_copy_has_what_shards_owe_each_other() {
    copies_are_whole(Spread::Several);
}

fn copies_are_whole(spread: Spread) {
    let copies = number_from_env("RINGPOST_LIVE_COPIES", COPIES);
    let mut seed = Seed::from_env(0xc0b7);
    let mut server = Server::start(setup());
    let ledger = Ledger::default();
    let fresh = seed.next_u64();
    during(&mut server, &ledger, CONNECTIONS, spread, fresh, |server| {
        for copy in 0..copies {
            let wanted = ledger.count() + 20 + seed.below(400) as usize;
            let reached = ledger.reaches(wanted, DEADLINE);
            assert!(reached, "copy {copy}: only {} of {wanted}", ledger.count());
            let before = ledger.snapshot();
            let folder = tempfile::tempdir().unwrap();
            copy_folder(&server.setup.data(), folder.path());
            let twin = Server::start(setup().data_in(folder.path()));
            let mut seen = vec![Seen::default(); ACCOUNTS];
            let faults = compare(&twin, &before, &mut seen, true);
            let named = faults.join("\n");
            assert!(
                faults.is_empty(),
                "copy {copy} of {}:\n{named}",
                before.count()
            );
        }
    });
}

/// What a backup program does: one file after the other, each as it is at that moment.
fn copy_folder(from: &Path, to: &Path) {
    let mut entries: Vec<_> = std::fs::read_dir(from)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

const COPIES: u64 = 5;
const CONNECTIONS: usize = 16;
const DEADLINE: Duration = Duration::from_secs(60);
