//! A data directory copied while the server writes to it: the copy opens, and all that was
//! acknowledged before the copy began is in it. `RINGPOST_LIVE_COPIES` sets how many.

use crate::storm::{ACCOUNTS, SHARDS, Spread, address, compare, during, message, setup};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
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
/// over to it: the start has it handed over again.
#[test]
fn a_copy_has_what_shards_owe_each_other() {
    copies_are_whole(Spread::Several);
}

/// A shard that was copied late has seen numbers that a shard that was copied early gives out
/// again: without what a start compares, new mail under them counts as delivered and is nowhere.
#[test]
fn a_restored_copy_delivers_new_mail() {
    let mut seed = Seed::from_env(0xc0b8);
    let mut server = Server::start(setup());
    let ledger = Ledger::default();
    let folder = tempfile::tempdir().unwrap();
    let fresh = seed.next_u64();
    during(
        &mut server,
        &ledger,
        CONNECTIONS,
        Spread::Several,
        fresh,
        |server| {
            assert!(ledger.reaches(1_000, DEADLINE));
            copy_data(&server.setup.data(), folder.path());
        },
    );
    let twin = Server::start(setup().data_in(folder.path()));
    let everybody: Vec<String> = (0..ACCOUNTS).map(address).collect();
    let mut smtp = twin.smtp();
    let new = Ledger::default();
    for number in 0..NEW_MESSAGES {
        let id = format!("new-{number}");
        let reply = smtp.deliver("a@remote.test", &everybody, &message(&id));
        let reply = reply.unwrap();
        assert_eq!(reply.code, 250, "{reply}");
        (0..ACCOUNTS).for_each(|account| new.acknowledge(account, &id, None));
    }
    arrives(&twin, &new, "new mail to a copy");
}

fn copies_are_whole(spread: Spread) {
    let copies = number_from_env("RINGPOST_LIVE_COPIES", COPIES);
    let mut seed = Seed::from_env(0xc0b7);
    // A fresh store now and then, so that what there is to read stays small.
    for _ in 0..copies.div_ceil(COPIES) {
        let mut server = Server::start(setup());
        let ledger = Ledger::default();
        let fresh = seed.next_u64();
        let take = |server: &mut Server| {
            let copies = (0..COPIES).map(|_| {
                let wanted = ledger.count() + 20 + seed.below(400) as usize;
                let reached = ledger.reaches(wanted, DEADLINE);
                assert!(reached, "only {} of {wanted}", ledger.count());
                let (before, folder) = (ledger.snapshot(), tempfile::tempdir().unwrap());
                copy_data(&server.setup.data(), folder.path());
                (before, folder)
            });
            copies.collect::<Vec<_>>()
        };
        // They are read when the storm is over: it would go on for as long as that takes.
        for (before, folder) in during(&mut server, &ledger, CONNECTIONS, spread, fresh, take) {
            let twin = Server::start(setup().data_in(folder.path()));
            arrives(&twin, &before, &format!("a copy of {}", before.count()));
        }
    }
}

/// Waits for all that stands in `ledger`, and reads it.
fn arrives(server: &Server, ledger: &Ledger, what: &str) {
    let mut seen = vec![Seen::default(); ACCOUNTS];
    let faults = compare(server, ledger, &mut seen, true);
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

/// A copy of one generation of every shard's files: where a manifest changed meanwhile, files that
/// it named may be gone; where a log went on in a new segment, the copy may have that one and lack
/// the end of the one before. Then all is copied again.
fn copy_data(from: &Path, to: &Path) {
    for _ in 0..COPY_TRIES {
        let before = generation(from);
        copy_folder(from, to);
        if generation(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
        std::fs::create_dir(to).unwrap();
    }
    panic!("the shards of {} never rest", from.display());
}

/// Of each shard the manifest, and the names of the log's segments.
fn generation(data: &Path) -> Vec<(Option<Vec<u8>>, BTreeSet<OsString>)> {
    let of_shard = |shard| {
        let folder = data.join(format!("shard-{shard:02}"));
        let manifest = std::fs::read(folder.join("MANIFEST")).ok();
        (manifest, segments(&folder.join("log")))
    };
    (0..SHARDS).map(of_shard).collect()
}

fn segments(log: &Path) -> BTreeSet<OsString> {
    let names = log
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|kind| kind == "log")
        })
        .collect()
}

/// What a backup program does: one file after the other, each as it is at that moment, and once
/// more those that have come or were renamed meanwhile, until a look finds nothing new.
fn copy_folder(from: &Path, to: &Path) {
    while copy_new(from, to) {}
}

/// Copies what `to` lacks, in the order of names; false when there was nothing. A server renames
/// segments that it has prepared, so an entry can be gone when its turn comes.
fn copy_new(from: &Path, to: &Path) -> bool {
    let mut entries: Vec<_> = std::fs::read_dir(from)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut some = false;
    for entry in entries {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if target.exists() {
            continue;
        }
        let copied = match entry.file_type().unwrap() {
            kind if kind.is_dir() => {
                std::fs::create_dir(&target).unwrap();
                copy_folder(&path, &target);
                Ok(())
            }
            kind if !kind.is_file() => continue,
            _ if target.extension().is_some_and(|name| name == "log") => {
                copy_backwards(&path, &target)
            }
            _ => std::fs::copy(&path, &target).map(drop),
        };
        match copied {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            copied => copied.unwrap(),
        }
        some = true;
    }
    some
}

/// From the end to the front: whatever frame is in the copy, those before it were durable when it
/// was read, and are read later. A copy from the front can catch a frame half written and the next
/// one whole; a start refuses that as damage, as it must.
fn copy_backwards(from: &Path, to: &Path) -> std::io::Result<()> {
    let (from, to) = (File::open(from)?, File::create(to)?);
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut piece = vec![0; COPIED_BYTES];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(COPIED_BYTES as u64);
        let piece = &mut piece[..(end - start) as usize];
        from.read_exact_at(piece, start)?;
        to.write_all_at(piece, start)?;
        end = start;
    }
    Ok(())
}

const COPIED_BYTES: usize = 1 << 20;

const COPY_TRIES: u32 = 20;

const COPIES: u64 = 6;
const NEW_MESSAGES: u32 = 20;
const CONNECTIONS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(60);
