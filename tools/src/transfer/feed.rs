//! Threads that read and parse ahead of the store, in the order of the source.
//!
//! ```text
//! dispatcher ─ jobs ─→ workers ─ one bounded channel a job ─→ the store's thread, job by job
//! ```
//!
//! A job is an mbox, or a few files of a folder. Jobs are begun in order, so the job whose turn it
//! is always has a worker, and nobody waits for ever. What is held is bounded by jobs begun ×
//! parcels a job × octets a parcel.

use super::files::{self, MessageFile};
use super::maildir::Listing;
use super::parcel::{HungUp, Parcel, Sink, Spot, Trouble};
use super::source::Folder;
use super::{Format, eml, mbox};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::{self, Scope};

/// The parcels of one job; the folder is counted from 0 and never falls.
pub(crate) struct Turn {
    pub(crate) folder: usize,
    pub(crate) parcels: Receiver<Parcel>,
}

enum Work {
    Mbox,
    Files(Vec<MessageFile>),
    Trouble(Vec<Trouble>),
}

struct Job<'a> {
    folder: &'a Folder,
    work: Work,
    parcels: Sender<Parcel>,
}

/// Reads all folders and calls `take` with their turns. When `take` returns, reading ends.
pub(crate) fn run<T>(folders: &[Folder], take: impl FnOnce(Receiver<Turn>) -> T) -> T {
    thread::scope(|scope| {
        let (turns, taken) = bounded(TURNS_MAX);
        scope.spawn(move || {
            let workers = Workers::start(scope, turns);
            // Nobody takes turns any more: then there is nothing left to do.
            let _ = workers.dispatch(folders);
        });
        take(taken)
    })
}

struct Workers<'a> {
    turns: Sender<Turn>,
    jobs: Sender<Job<'a>>,
}

impl<'a> Workers<'a> {
    fn start<'s>(scope: &'s Scope<'s, 'a>, turns: Sender<Turn>) -> Workers<'a> {
        let (jobs, begun) = bounded(0);
        for _ in 0..workers() {
            let begun: Receiver<Job<'a>> = begun.clone();
            scope.spawn(move || {
                for job in begun {
                    let sink = Sink::new(job.parcels, job.folder.path.as_path().into());
                    // The one who takes parcels is gone, and so will be the jobs.
                    let _ = read(job.folder, job.work, sink);
                }
            });
        }
        Workers { turns, jobs }
    }

    fn dispatch(&self, folders: &'a [Folder]) -> Result<(), HungUp> {
        for (number, folder) in folders.iter().enumerate() {
            match folder.format {
                Format::Mbox => self.hand_out(number, folder, Work::Mbox)?,
                Format::Maildir => match Listing::read(&folder.path) {
                    Ok(listing) => self.files(number, folder, listing)?,
                    Err(error) => self.trouble(number, folder, error.to_string())?,
                },
                Format::Eml if !folder.path.is_dir() => {
                    let alone = eml::other(folder.path.clone());
                    self.files(number, folder, std::iter::once(alone))?;
                }
                Format::Eml => match eml::list(&folder.path) {
                    Ok((messages, troubles)) => {
                        self.hand_out(number, folder, Work::Trouble(troubles))?;
                        self.files(number, folder, messages.into_iter())?;
                    }
                    Err(error) => self.trouble(number, folder, error.to_string())?,
                },
            }
        }
        Ok(())
    }

    fn files(
        &self,
        number: usize,
        folder: &'a Folder,
        mut messages: impl Iterator<Item = MessageFile>,
    ) -> Result<(), HungUp> {
        loop {
            let some: Vec<MessageFile> = messages.by_ref().take(JOB_FILES).collect();
            // A folder without messages has its turn too: it becomes a mailbox.
            let is_last = some.len() < JOB_FILES;
            self.hand_out(number, folder, Work::Files(some))?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn trouble(&self, number: usize, folder: &'a Folder, why: String) -> Result<(), HungUp> {
        let file = folder.path.as_path().into();
        let spot = Spot { file, offset: 0 };
        let work = Work::Trouble(vec![Trouble { spot, why }]);
        self.hand_out(number, folder, work)
    }

    fn hand_out(&self, number: usize, folder: &'a Folder, work: Work) -> Result<(), HungUp> {
        let (parcels, taken) = bounded(PARCELS_MAX);
        let turn = Turn {
            folder: number,
            parcels: taken,
        };
        self.turns.send(turn).map_err(|_| HungUp)?;
        let job = Job {
            folder,
            work,
            parcels,
        };
        self.jobs.send(job).map_err(|_| HungUp)
    }
}

fn read(folder: &Folder, work: Work, mut sink: Sink) -> Result<(), HungUp> {
    match work {
        Work::Mbox => mbox::read(&folder.path, mtime_secs(&folder.path), &mut sink),
        Work::Files(messages) => messages
            .iter()
            .try_for_each(|message| files::read(message, &mut sink)),
        Work::Trouble(troubles) => troubles.into_iter().try_for_each(|trouble| {
            sink.turn_to(trouble.spot.file);
            sink.left_out(trouble.spot.offset, trouble.why)
        }),
    }
}

fn mtime_secs(path: &Path) -> i64 {
    fs::metadata(path).map_or(0, |known| known.mtime())
}

/// One is the store's own.
fn workers() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    cores.clamp(1, WORKERS_MAX)
}

const WORKERS_MAX: usize = 8;

/// Jobs that are begun or wait for their turn.
const TURNS_MAX: usize = 16;

/// Parcels that wait in one job: a message each, or a chunk of one.
const PARCELS_MAX: usize = 16;

/// Files of one job.
const JOB_FILES: usize = 64;
