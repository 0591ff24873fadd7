//! What it takes to find out what is live, without moving anything:
//! `cargo run --release -p store --example census -- STORE [SHARD]`, for a store that nobody has
//! open, e.g. one that `ringpostctl synthetic` has made.

mod clock;

use clock::Clock;
use std::error::Error;
use store::compact::{Owner, Policy, Task, Unpaced, carry_out};
use store::disk::blocking::{BlockingDisk, run};
use store::disk::home::{Home, shard_directory};
use store::mail::id::ShardId;
use store::shard::Manifest;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("say the directory of a store")?;
    let shard = arguments.next().map_or(Ok(0), |word| word.parse())?;
    let home = Home::existing(directory.as_ref())?;
    let owner = Owner {
        store: home.identity.uuid,
        shard: ShardId(shard),
        directory: shard_directory(shard),
    };
    let disk = BlockingDisk::new(&home.path).around_cache();
    let read = Manifest::read(&disk, &owner.directory, owner.store, owner.shard);
    let manifest = run(read)?.ok_or("the shard has no manifest")?;
    // No pack is so dead, and no number of small ones is too many.
    let policy = Policy {
        dead_percent: 1000,
        dead_percent_in_all: 1000,
        small_packs: usize::MAX,
        ..Policy::default()
    };
    let held = [].into();
    let (before, clock) = (resident("VmRSS"), Clock::start());
    let done = run(carry_out(
        &disk,
        &owner,
        &Task::Repack { policy, held },
        &Unpaced,
    ))?;
    println!(
        "{} objects, {} packs, dead {} of {} MB: {}; resident {before} MB before, {} MB at the \
         most",
        manifest.last_object(),
        manifest.packs.len(),
        done.report.dead_bytes / 1_000_000,
        done.report.packed_bytes / 1_000_000,
        clock.spent(),
        resident("VmHWM"),
    );
    Ok(())
}

/// What this process has of the memory, in MB; the index is mapped, and counts as far as it was
/// looked at.
fn resident(which: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(which));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.expect("Linux has this line, and a number in it") / 1024
}
