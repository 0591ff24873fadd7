//! What a queue costs in memory, and how long a start takes that finds one:
//!
//! ```text
//! cargo run --release -p store --example queue -- fill DIRECTORY [ITEMS] [DOMAINS]
//! cargo run --release -p store --example queue -- open DIRECTORY
//! ```
//!
//! `fill` takes custody of as many messages with one recipient each and writes a checkpoint; `open`
//! is another process, so that nothing is in its memory but what a start has read. Before the
//! checkpoint, with `fill … --no-checkpoint`, a start replays all of the log.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod turns;

use std::cell::Cell;
use std::rc::Rc;
use store::compact::{Aside, CompactError, Done, Here, Owner, Task};
use store::disk::blocking::{BlockingDisk, run};
use store::log::Options;
use store::mail::address::Address;
use store::mail::envelope::Notify;
use store::mail::id::{ItemId, QueueId, ShardId};
use store::shard::{Attempt, BodyWriter, Custody, End, Ending, HostReply, Note, Outbound, Shard};
use turns::{drive, together};

type Disk = BlockingDisk;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual| arguments.get(at).map_or(usual, |n| n.parse().unwrap());
    let directory = arguments.get(1).expect("a directory that can be filled");
    match arguments[0].as_str() {
        "fill" => {
            std::fs::create_dir_all(directory).unwrap();
            let is_written = arguments
                .last()
                .is_none_or(|last| last != "--no-checkpoint");
            let (items, domains) = (number(2, 1_000_000), number(3, 10_000));
            work(directory, async |shard, disk| {
                fill(&shard, items, domains).await;
                if is_written {
                    write_down(&shard, &disk).await;
                }
            });
        }
        _ => work(directory, async |shard, disk| look(&shard, &disk).await),
    }
}

/// Opens the shard, says what that took, and does some work with it.
fn work(directory: &str, work: impl AsyncFnOnce(Rc<Shard<Disk>>, Disk)) {
    let disk = BlockingDisk::new(directory);
    let options = Options::new([7; 16], 0);
    let (before, cpu) = (resident(), cpu_secs());
    let opened = Shard::open(disk.clone(), "shard-00", ShardId(0), options, || 0);
    let (shard, recovered) = run(opened).map_err(|error| error.to_string()).unwrap();
    let (items, taken) = (shard.queue_len(), resident().saturating_sub(before));
    if items > 0 {
        println!(
            "opened with {items} items in {:.3} CPU s, {} records replayed; {} KiB more, {:.1} \
             octets an item",
            cpu_secs() - cpu,
            recovered.records,
            taken / 1024,
            taken as f64 / items as f64,
        );
    }
    drive(&shard, work(Rc::clone(&shard), disk));
}

async fn fill(shard: &Rc<Shard<Disk>>, items: u64, domains: u64) {
    let cpu = cpu_secs();
    for first in (0..items).step_by(TOGETHER) {
        let some = first..items.min(first + TOGETHER as u64);
        let taken = together(some.map(|at| shard.take(custody(at, domains)))).await;
        taken.into_iter().for_each(|taken| drop(taken.unwrap()));
    }
    let secs = cpu_secs() - cpu;
    println!("{items} enqueued in {secs:.2} CPU s");
}

/// A message of 200 octets, with one recipient and the trace that intake makes.
fn custody(at: u64, domains: u64) -> Custody {
    let domain = format!("destination-{}.example.org", at % domains);
    let outbound = Outbound {
        recipient: Address::new(format!("recipient-{at}"), domain),
        notify: Notify::UNSET,
        orcpt: None,
        tenant: format!("tenant-{}", at % 100),
        expiry_secs: 1_800_000_000,
        not_before_secs: 0,
        priority: 0,
        marks: 0,
        by_secs: 0,
        prefix: [b'r'; 200].into(),
    };
    Custody {
        queue: QueueId(at),
        received_secs: 1_700_000_000,
        body: BodyWriter::with(vec![b'x'; 200]),
        outbound: vec![outbound],
        ..Custody::default()
    }
}

/// One attempt of each item in turn, a checkpoint, and the ends of a tenth.
async fn look(shard: &Rc<Shard<Disk>>, disk: &Disk) {
    let cpu = cpu_secs();
    let mut arrived = Vec::new();
    loop {
        let some = shard.queue_arrivals(TOGETHER);
        arrived.extend(some.iter().map(|item| item.id));
        if some.len() < TOGETHER {
            break;
        }
    }
    let count = arrived.len();
    println!("{count} arrivals in {:.3} CPU s", cpu_secs() - cpu);
    let cpu = cpu_secs();
    for items in arrived.chunks(TOGETHER) {
        shard
            .note(items.iter().map(attempt).collect())
            .await
            .unwrap();
    }
    println!("{count} attempts noted in {:.2} CPU s", cpu_secs() - cpu);
    write_down(shard, disk).await;
    let cpu = cpu_secs();
    let ends: Vec<Note> = arrived.iter().take(count / 10).map(end).collect();
    let ended = ends.len();
    shard.note(ends).await.unwrap();
    println!("{ended} ends noted in {:.2} CPU s", cpu_secs() - cpu);
    write_down(shard, disk).await;
}

async fn write_down(shard: &Rc<Shard<Disk>>, disk: &Disk) {
    let cpu = cpu_secs();
    let aside = Timed {
        here: Here(disk.clone()),
        began: Cell::new(0.0),
    };
    shard.checkpoint(&aside).await.unwrap();
    let (runs, frozen) = (shard.occupancy().run_bytes >> 20, aside.began.get() - cpu);
    let secs = cpu_secs() - cpu;
    println!("a checkpoint in {secs:.3} CPU s, {frozen:.3} of them frozen; {runs} MiB of runs");
}

/// Knows when the shard was done with its part of a checkpoint.
struct Timed {
    here: Here<Disk>,
    began: Cell<f64>,
}

impl Aside for Timed {
    async fn carry_out(&self, owner: &Owner, task: Task) -> Result<Done, CompactError> {
        self.began.set(cpu_secs());
        self.here.carry_out(owner, task).await
    }
}

fn attempt(item: &ItemId) -> Note {
    Note::Attempt(Attempt {
        item: *item,
        at_secs: 1_700_000_100,
        attempts: 1,
        due_secs: 1_700_001_000,
        reply: HostReply {
            host: "mx1.example.org".to_owned(),
            code: 451,
            enhanced: None,
            text: "4.7.1 try again later, we know you not well enough".to_owned(),
            ..HostReply::default()
        },
    })
}

fn end(item: &ItemId) -> Note {
    Note::End(End {
        item: *item,
        at_secs: 1_700_000_200,
        ending: Ending::Delivered,
        reply: HostReply::default(),
    })
}

/// Memory of this process that is no file, in octets.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

fn cpu_secs() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos: f64 = told.split(' ').next().unwrap().parse().unwrap();
    nanos / 1e9
}

const TOGETHER: usize = 1000;
