//! The log alone over a simulated disk: a model, faults of the device, damage to its files.
//!
//! `RINGPOST_SEEDS=2000` is the nightly form; without it a few seeds of each test run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod damage;
mod faults;
mod full;
mod model;
mod position;
mod real;
mod recycle;
mod scan;

use std::cell::RefCell;
use std::rc::Rc;
use store::disk::executor::Executor;
use store::disk::fault::Seed;
use store::disk::sim::SimDisk;
use store::error::LogError;
use store::log::{
    Appended, Begin, Draft, Log, OpenError, Options, Outcome, Place, Position, Recovered,
};

pub const DIRECTORY: &str = "shard-00/log";
pub const STORE: [u8; 16] = [7; 16];
/// Before the payload of a frame's first record.
pub const HEADERS_BYTES: usize = 64 + store::log::RECORD_HEADER_BYTES;

/// A record as it was replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    pub place: Place,
    pub lsn: u64,
    pub payload: Vec<u8>,
}

/// A log that was opened, with the tasks that use it.
pub struct Rig {
    pub disk: SimDisk,
    pub executor: Executor,
    pub log: Rc<Log<SimDisk>>,
    pub recovered: Recovered,
    pub replayed: Vec<Seen>,
    /// Start of each frame that became durable.
    pub commits: Rc<RefCell<Vec<Place>>>,
    /// The end of the log as the observer saw it with each of them.
    pub ends: Rc<RefCell<Vec<Position>>>,
}

pub fn options() -> Options {
    let mut options = Options::new(STORE, 0);
    options.segment_bytes = 8 << 20;
    // Reads go to the disk.
    options.hot_tail_bytes = 0;
    options
}

pub fn open(disk: &SimDisk, seed: u64) -> Result<Rig, OpenError> {
    open_as(disk, seed, options())
}

pub fn open_as(disk: &SimDisk, seed: u64, options: Options) -> Result<Rig, OpenError> {
    open_at(disk, seed, options, Begin::default())
}

pub fn open_at(
    disk: &SimDisk,
    seed: u64,
    options: Options,
    begin: Begin,
) -> Result<Rig, OpenError> {
    let mut executor = Executor::new(disk.clone(), seed);
    let at = disk.clone();
    let opening = async move {
        let mut replayed = Vec::new();
        let mut replay = |place, record: &store::log::RecordRef<'_>| {
            replayed.push(Seen {
                place,
                lsn: record.lsn.0,
                payload: record.payload.to_vec(),
            });
            Ok(())
        };
        let (log, recovered) = Log::open(at, DIRECTORY, options, begin, &mut replay).await?;
        Ok((log, recovered, replayed))
    };
    let (log, recovered, replayed) = executor.finish(opening).expect("opening ends")?;
    Ok(Rig {
        disk: disk.clone(),
        executor,
        log: Rc::new(log),
        recovered,
        replayed,
        commits: Rc::default(),
        ends: Rc::default(),
    })
}

impl Rig {
    /// A new log whose writer runs.
    pub fn running(disk: &SimDisk) -> Rig {
        let mut rig = open(disk, 1).unwrap();
        rig.start();
        rig
    }

    pub fn start(&mut self) {
        let (log, commits) = (Rc::clone(&self.log), Rc::clone(&self.commits));
        let ends = Rc::clone(&self.ends);
        self.executor.spawn(async move {
            log.run(|outcome| {
                if let Outcome::Durable(commit) = outcome {
                    commits.borrow_mut().push(commit.start);
                    ends.borrow_mut().push(log.end());
                }
            })
            .await;
        });
    }

    /// Appends one record and waits for its frame.
    pub fn put(&mut self, payload: &[u8]) -> Result<(), LogError> {
        let frame = append(&self.log, &[payload])?.frame;
        self.settle(frame)
    }

    /// Tends a log that may be short of space, until nothing is under way.
    pub fn tend(&mut self) {
        self.log.retry();
        self.executor.run(usize::MAX);
    }

    pub fn settle(&mut self, frame: store::mail::id::FrameSeq) -> Result<(), LogError> {
        let log = Rc::clone(&self.log);
        let durable = async move { log.durable(frame).await };
        self.executor
            .finish(durable)
            .expect("everybody is answered")
    }

    pub fn read(&mut self, place: Place) -> Result<Vec<u8>, store::error::ReadError> {
        let log = Rc::clone(&self.log);
        let read = async move { log.read(place).await };
        let record = self.executor.finish(read).expect("reading ends")?;
        Ok(record.payload().to_vec())
    }

    pub fn close(mut self) -> SimDisk {
        self.log.close();
        self.executor.run(usize::MAX);
        self.disk
    }
}

pub fn append(log: &Log<SimDisk>, payloads: &[&[u8]]) -> Result<Appended, LogError> {
    log.append(payloads.iter().map(|payload| Draft {
        kind: 1,
        account: 2,
        parts: [payload, &[]],
    }))
}

pub fn payloads(seen: &[Seen]) -> Vec<&[u8]> {
    seen.iter().map(|seen| seen.payload.as_slice()).collect()
}

pub fn path(segment: u32) -> String {
    format!("{DIRECTORY}/{segment:016x}.log")
}

/// `octets` that only this `id` has.
pub fn content(id: u64, octets: usize) -> Vec<u8> {
    let mut seed = Seed::new(id);
    // No divisor of a block, so that no block of it equals another.
    let pattern: Vec<u8> = (0..65).flat_map(|_| seed.next().to_le_bytes()).collect();
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend(pattern.repeat(octets / pattern.len() + 1));
    bytes.truncate(octets.max(8));
    bytes
}

pub fn seeds(default: u64) -> u64 {
    let given = std::env::var("RINGPOST_SEEDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}
