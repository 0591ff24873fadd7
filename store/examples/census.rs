//! What it takes to find out what is live, without moving anything:
//! `cargo run --release -p store --example census -- STORE [SHARD]`, for a store that nobody has
//! open, e.g. one that `ringpostctl synthetic` has made.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use store::compact::{Owner, Policy, Task, Unpaced, carry_out};
use store::disk::blocking::{BlockingDisk, run};
use store::disk::home::{Home, shard_directory};
use store::mail::id::ShardId;
use store::shard::Manifest;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("the directory of a store");
    let shard = arguments.next().map_or(0, |n| n.parse().unwrap());
    let home = Home::existing(directory.as_ref()).map_err(|error| error.to_string());
    let home = home.unwrap();
    let owner = Owner {
        store: home.identity.uuid,
        shard: ShardId(shard),
        directory: shard_directory(shard),
    };
    let disk = BlockingDisk::new(&home.path).around_cache();
    let read = Manifest::read(&disk, &owner.directory, owner.store, owner.shard);
    let manifest = run(read).unwrap().expect("a shard with a manifest");
    // No pack is so dead, and no number of small ones is too many.
    let policy = Policy {
        dead_percent: 1000,
        dead_percent_in_all: 1000,
        small_packs: usize::MAX,
        ..Policy::default()
    };
    let held = [].into();
    let (before, began) = (resident("VmRSS"), wall_secs());
    let cpu = cpu_secs();
    let done = run(carry_out(
        &disk,
        &owner,
        &Task::Repack { policy, held },
        &Unpaced,
    ))
    .unwrap();
    println!(
        "{} objects, {} packs, dead {} of {} MB: {:.2} s of CPU, {:.2} s by the clock; resident \
         {before} MB before, {} MB at the most",
        manifest.last_object(),
        manifest.packs.len(),
        done.report.dead_bytes / 1_000_000,
        done.report.packed_bytes / 1_000_000,
        cpu_secs() - cpu,
        wall_secs() - began,
        resident("VmHWM"),
    );
}

/// What this process has of the memory, in MB; the index is mapped, and counts as far as it was
/// looked at.
fn resident(which: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024
}

/// Since the machine began.
fn wall_secs() -> f64 {
    let told = std::fs::read_to_string("/proc/uptime").unwrap();
    told.split(' ').next().unwrap().parse().unwrap()
}

fn cpu_secs() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos: f64 = told.split(' ').next().unwrap().parse().unwrap();
    nanos / 1e9
}
