//! What memos cost: to put them, to look them up, in memory, and at a start that finds them:
//! `cargo run --release -p store --example memos -- DIRECTORY [MEMOS] [DAYS]`.
//!
//! The first run fills the directory, the next ones find it filled: what is then in memory is what
//! a start has read. Addresses are suppressed for ever; a key is claimed with a message. With
//! `DAYS`, 100,000 keys are put on each of so many, and are over a day later.

mod clock;
mod turns;

use clock::Clock;
use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use store::compact::{Here, Policy, Task};
use store::disk::blocking::{BlockingDisk, run};
use store::log::Options;
use store::mail::address::Address;
use store::mail::envelope::Notify;
use store::mail::id::ShardId;
use store::shard::{BodyWriter, Custody, Memo, MemoChange, Outbound, Shard, Space};
use turns::{drive, together};

type Disk = BlockingDisk;
type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    let mut words = std::env::args().skip(1);
    let directory = words.next().ok_or("say a directory that can be filled")?;
    let mut number = |usual| words.next().map_or(Ok(usual), |word| word.parse::<u64>());
    let (memos, days) = (number(1_000_000)?, number(0)? as i64);
    std::fs::create_dir_all(&directory)?;
    let disk = BlockingDisk::new(&directory);
    let options = Options::new([7; 16], 0);
    let now = Rc::new(Cell::new(DAY_SECS));
    let (before, clock, time) = (resident(), Clock::start(), Rc::clone(&now));
    let opened = Shard::open(disk.clone(), "shard-00", ShardId(0), options, move || {
        time.get()
    });
    let (shard, _) = run(opened)?;
    let taken = resident().saturating_sub(before);
    println!("opened in {}; {} KiB more", clock.spent(), taken >> 10);
    drive(&shard, async {
        if shard.memos(Space::SUPPRESSION, b"", None, 1)?.is_empty() {
            fill(&shard, &disk, memos).await?;
        }
        for day in 2..2 + days {
            now.set(day * DAY_SECS);
            pass_day(&shard, &disk, day).await?;
        }
        look_up(&shard, memos)?;
        claim(&shard).await?;
        write_down(&shard, &disk).await
    })
}

async fn fill(shard: &Rc<Shard<Disk>>, disk: &Disk, memos: u64) -> Done {
    let (clock, before) = (Clock::start(), resident());
    for first in (0..memos).step_by(TOGETHER) {
        let some = first..memos.min(first + TOGETHER as u64);
        let puts = some.map(|at| MemoChange::Put(suppressed(at)));
        shard.write_memos(puts.collect()).await?;
    }
    println!("{memos} put in {}", clock.spent());
    let tail = resident().saturating_sub(before) / memos.max(1);
    println!("before a checkpoint they have {tail} octets each in memory");
    write_down(shard, disk).await
}

async fn write_down(shard: &Rc<Shard<Disk>>, disk: &Disk) -> Done {
    let clock = Clock::start();
    let here = Here(disk.clone());
    shard.checkpoint(&here).await?;
    let spent = clock.spent();
    let (clock, policy) = (Clock::start(), Policy::default());
    shard.keep_house(&here, &policy).await?;
    let runs: Vec<u64> = shard.manifest().memos.iter().map(|run| run.bytes).collect();
    let (house, all) = (clock.spent(), runs.iter().sum::<u64>() >> 20);
    println!(
        "a checkpoint in {spent}; house kept in {house}; {} runs, {all} MiB",
        runs.len()
    );
    Ok(())
}

/// 100,000 keys that are over a day later, in twenty checkpoints.
async fn pass_day(shard: &Rc<Shard<Disk>>, disk: &Disk, day: i64) -> Done {
    for part in 0..20 {
        for first in (0..5000).step_by(TOGETHER) {
            let puts = (first..first + TOGETHER).map(|at| {
                MemoChange::Put(Memo {
                    space: Space::IDEMPOTENCY,
                    key: format!("tenant:{day}:{part}:{at}").into_bytes(),
                    value: vec![b'v'; 24],
                    expiry_secs: (day + 1) * DAY_SECS,
                })
            });
            shard.write_memos(puts.collect()).await?;
        }
        let here = Here(disk.clone());
        shard.checkpoint(&here).await?;
        shard.compact(&here, Task::Merge).await?;
    }
    let runs: Vec<u64> = shard
        .manifest()
        .memos
        .iter()
        .map(|run| run.bytes >> 20)
        .collect();
    println!("day {day}: runs of {runs:?} MiB");
    Ok(())
}

/// Those that are there, and as many that are not.
fn look_up(shard: &Rc<Shard<Disk>>, memos: u64) -> Done {
    for (what, from) in [("found", 0), ("not found", memos)] {
        let clock = Clock::start();
        let mut found = 0;
        for at in 0..LOOKS {
            let memo = suppressed(from + at * 7919 % memos.max(1));
            found += u64::from(shard.memo(memo.space, &memo.key)?.is_some());
        }
        let spent = clock.spent();
        let micros = spent.cpu_secs * 1e6 / LOOKS as f64;
        println!("{LOOKS} looked up, {found} {what}: {spent}, {micros:.2} µs of CPU each");
    }
    let clock = Clock::start();
    let listed = shard.memos(Space::SUPPRESSION, b"recipient-5", None, 10_000)?;
    println!("{} listed in {}", listed.len(), clock.spent());
    Ok(())
}

/// Messages with a key each, and the same without one.
async fn claim(shard: &Rc<Shard<Disk>>) -> Done {
    let keys = resident() * 1_000_003;
    for claims in [false, true] {
        let clock = Clock::start();
        for first in (0..CLAIMED).step_by(TOGETHER) {
            let some = first..first + TOGETHER as u64;
            let custody = |at| custody(keys + at, claims);
            for taken in together(some.map(|at| shard.take(custody(at)))).await {
                taken?;
            }
        }
        let with = if claims { "with a key" } else { "without one" };
        println!("{CLAIMED} messages taken {with}: {}", clock.spent());
    }
    Ok(())
}

fn custody(at: u64, claims: bool) -> Custody {
    let key = Memo {
        space: Space::IDEMPOTENCY,
        key: format!("tenant-{}:{at:032x}", at % 100).into_bytes(),
        value: at.to_le_bytes().to_vec(),
        expiry_secs: 1_900_000_000,
    };
    let outbound = Outbound {
        recipient: Address::new(format!("recipient-{at}"), "example.org"),
        notify: Notify::UNSET,
        orcpt: None,
        tenant: "tenant".to_owned(),
        expiry_secs: 1_800_000_000,
        not_before_secs: 0,
        priority: 0,
        marks: 0,
        by_secs: 0,
        prefix: [b'r'; 200].into(),
    };
    Custody {
        received_secs: 1_700_000_000,
        body: BodyWriter::with(vec![b'x'; 200]),
        outbound: vec![outbound],
        memos: claims.then_some(key).into_iter().collect(),
        claims,
        ..Custody::default()
    }
}

fn suppressed(at: u64) -> Memo {
    Memo {
        space: Space::SUPPRESSION,
        key: format!("recipient-{at}@destination-{}.example.org", at % 10_000).into_bytes(),
        value: b"550 5.1.1 no such user".to_vec(),
        expiry_secs: 0,
    }
}

/// Memory of this process that is no file, in octets.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.expect("Linux has this line, and a number in it") * 1024
}

const TOGETHER: usize = 1000;
const LOOKS: u64 = 1_000_000;
const CLAIMED: u64 = 100_000;
const DAY_SECS: i64 = 86_400;
