//! `disk`: what a synced write takes on the disk below a mail server, without the server.
//!
//! Files of their own are filled and then written over as a log is, one write after the other by
//! each writer, around the page cache and synced. No server that keeps its word acknowledges
//! faster, and a pause of the disk is a pause of every server on it: what a latency test of a
//! server is to be held against.

use super::brief::Brief;
use super::live::LiveLine;
use super::options::{ReportArgs, ServerArgs, misused};
use super::submit::Ending;
use crate::load::arrivals::{Arrivals, Rate, Spacing, Tempo};
use crate::measure::histogram::Step;
use crate::measure::tally::Tally;
use crate::outcome::Load;
use anyhow::Context;
use clap::Args;
use engine::reactor::Now;
use engine::reactor::clock::monotonic_micros;
use indicatif::HumanCount;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use store::disk::blocking::{self, BlockingDisk, BlockingFile};
use store::disk::{Block, Disk, File, Mode};
use store::limit::BLOCK_BYTES;

/// Where, how much, how fast.
#[derive(Args, Clone, Debug)]
pub(crate) struct DiskArgs {
    /// An existing directory on the disk; what is made there is removed at the end
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Files that are written to at the same time, as shards do
    #[arg(long, short = 'c', default_value_t = 2, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) writers: u32,
    /// Octets of a write, a multiple of 4096
    #[arg(long, default_value_t = 16_384, value_name = "OCTETS",
        value_parser = clap::value_parser!(u64).range(4_096..=16 << 20))]
    pub(crate) octets: u64,
    /// Writes a second, all writers together; as fast as it goes if left out
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<f64>,
    /// Seconds
    #[arg(long = "for", default_value_t = 10.0, value_name = "SECONDS")]
    pub(crate) secs: f64,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Runs it.
pub(crate) fn disk(args: &DiskArgs, stop: &AtomicBool) -> anyhow::Result<Ending> {
    args.check()?;
    let scratch = Scratch::make(&args.folder)?;
    let (now, line) = (Now::read(), LiveLine::new());
    let done = AtomicU64::new(0);
    let run = Run {
        args,
        folder: &scratch.0,
        // Until every file is filled, nobody writes.
        ready: std::sync::Barrier::new(args.writers as usize),
        done: &done,
        stop,
    };
    let tallies = std::thread::scope(|scope| {
        let run = &run;
        let start = |index| scope.spawn(move || run.write(index));
        let writers: Vec<_> = (0..args.writers).map(start).collect();
        while !writers.iter().all(|writer| writer.is_finished()) {
            line.say(match done.load(Ordering::Relaxed) {
                0 => "filling the files".to_owned(),
                writes => format!("{} writes", HumanCount(writes)),
            });
            std::thread::sleep(LOOK);
        }
        let tallies = writers.into_iter().map(|writer| writer.join());
        let tallies = tallies.map(|tally| tally.expect("a writer does not panic"));
        tallies.collect::<anyhow::Result<Vec<Tally>>>()
    });
    line.clear();
    let mut sum = Tally::new();
    for tally in &tallies? {
        sum.merge(tally);
    }
    let server = ServerArgs {
        folder: Some(args.folder.clone()),
        durability: Some("O_DIRECT where the file system has it, O_DSYNC".to_owned()),
        ..ServerArgs::default()
    };
    let brief = Brief {
        scenario: "disk",
        target: format!("disk {}", args.folder.display()),
        server: &server,
        load: args.described(),
        began: now,
    };
    Ok(Ending {
        outcome: brief.outcome(sum),
        failed: false,
    })
}

impl DiskArgs {
    fn check(&self) -> anyhow::Result<()> {
        if !self.octets.is_multiple_of(BLOCK_BYTES as u64) {
            return misused(format!("--octets must be a multiple of {BLOCK_BYTES}"));
        }
        if !(self.secs > 0.0 && self.secs <= SECS_MAX) {
            return misused(format!("--for takes up to {SECS_MAX} seconds"));
        }
        if self
            .rate
            .is_some_and(|rate| !(rate > 0.0 && rate.is_finite()))
        {
            return misused("--rate is a number of writes a second above 0");
        }
        if !self.folder.is_dir() {
            return misused(format!("{} is no directory", self.folder.display()));
        }
        Ok(())
    }

    fn described(&self) -> Load {
        Load {
            connections: self.writers,
            rate: self.rate,
            sizes: format!("{} octets", self.octets),
            messages_per_connection: None,
            with: vec!["overwriting files that are filled".to_owned()],
        }
    }
}

/// What the writers share.
struct Run<'a> {
    args: &'a DiskArgs,
    folder: &'a Path,
    ready: std::sync::Barrier,
    done: &'a AtomicU64,
    stop: &'a AtomicBool,
}

impl Run<'_> {
    /// One writer, from its file to its last write.
    fn write(&self, index: u32) -> anyhow::Result<Tally> {
        let file = self.filled(index);
        self.ready.wait();
        let mut tally = Tally::new();
        tally.begin(monotonic_micros());
        self.overwrite(&file?, index, &mut tally)?;
        Ok(tally)
    }

    fn filled(&self, index: u32) -> anyhow::Result<BlockingFile> {
        let disk = BlockingDisk::new(self.folder);
        let name = format!("{index}.data");
        let made = blocking::run(async {
            let file = disk.open(&name, Mode::Create).await?;
            file.zero(0, self.file_bytes()).await?;
            Ok::<_, std::io::Error>(file)
        });
        made.with_context(|| format!("cannot make {}", self.folder.join(name).display()))
    }

    fn overwrite(&self, file: &BlockingFile, index: u32, tally: &mut Tally) -> anyhow::Result<()> {
        let args = self.args;
        let octets = args.octets as usize;
        let block = Rc::new(Block::copy_of(&vec![b'x'; octets]));
        let tempo = |rate| Tempo {
            rate: Rate::Even(rate),
            spacing: Spacing::Constant,
        };
        let began = tally.began_micros;
        let arrivals = |rate| Arrivals::new(tempo(rate), 1, index, args.writers, began);
        let mut arrivals = args.rate.map(arrivals);
        let end = began + (args.secs * 1e6) as u64;
        let mut offset = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let due = arrivals.as_ref().map(Arrivals::due_micros);
            let due = due.unwrap_or_else(monotonic_micros);
            if due >= end {
                break;
            }
            let early = due.saturating_sub(monotonic_micros());
            std::thread::sleep(Duration::from_micros(early));
            blocking::run(file.write_at(block.clone(), octets, offset))
                .with_context(|| format!("a write to {} failed", self.folder.display()))?;
            count(tally, due, octets);
            self.done.fetch_add(1, Ordering::Relaxed);
            offset = (offset + args.octets) % self.file_bytes();
            if let Some(arrivals) = &mut arrivals {
                arrivals.advance();
            }
        }
        Ok(())
    }

    /// Whole writes of about [`FILE_BYTES`].
    fn file_bytes(&self) -> u64 {
        FILE_BYTES.div_ceil(self.args.octets) * self.args.octets
    }
}

fn count(tally: &mut Tally, start_micros: u64, octets: usize) {
    let ended = monotonic_micros();
    let took = ended.saturating_sub(start_micros);
    tally.counts.attempted += 1;
    tally.counts.acknowledged += 1;
    tally.octets += octets as u64;
    tally.latencies.record(Step::Write, took);
    tally.seconds.count(ended, took, true);
    tally.ended_micros = ended;
}

/// A directory of its own, removed with what is in it.
struct Scratch(PathBuf);

impl Scratch {
    fn make(folder: &Path) -> anyhow::Result<Scratch> {
        let own = folder.join(format!("ringpost-bench-disk-{}", std::process::id()));
        std::fs::create_dir(&own).with_context(|| format!("cannot make {}", own.display()))?;
        Ok(Scratch(own))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left has the tool's name and does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Of each writer, filled before it begins.
const FILE_BYTES: u64 = 64 << 20;

const SECS_MAX: f64 = 86_400.0;

const LOOK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn args(folder: &Path) -> DiskArgs {
        DiskArgs {
            folder: folder.to_owned(),
            writers: 2,
            octets: 8_192,
            rate: Some(1_000.0),
            secs: 0.1,
            report: ReportArgs::default(),
        }
    }

    #[test]
    fn every_write_is_counted_and_nothing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let ending = disk(&args(folder.path()), &AtomicBool::new(false)).unwrap();
        let outcome = ending.outcome;
        assert_eq!(outcome.counts.acknowledged, 100);
        assert_eq!(outcome.octets, 100 * 8_192);
        let phase = &outcome.phases[0];
        assert_eq!((phase.name.as_str(), phase.count), ("write", 100));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_stopped_run_ends() {
        let folder = tempfile::tempdir().unwrap();
        let endless = DiskArgs {
            rate: None,
            secs: SECS_MAX,
            ..args(folder.path())
        };
        let ending = disk(&endless, &AtomicBool::new(true)).unwrap();
        assert_eq!(ending.outcome.counts.acknowledged, 0);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let good = args(folder.path());
        for bad in [
            DiskArgs {
                octets: 5_000,
                ..good.clone()
            },
            DiskArgs {
                rate: Some(0.0),
                ..good.clone()
            },
            DiskArgs {
                secs: f64::NAN,
                ..good.clone()
            },
            DiskArgs {
                folder: folder.path().join("none"),
                ..good
            },
        ] {
            assert!(disk(&bad, &AtomicBool::new(false)).is_err());
        }
    }
}
