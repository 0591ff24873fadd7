//! A small log on a simulated disk, and what was promised about it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use store::disk::executor::Executor;
use store::disk::fault::Seed;
use store::disk::sim::SimDisk;
use store::error::LogError;
use store::log::{Draft, Log, OpenError, Options, Outcome, Place, Recovered, record_bytes};
use store::mail::id::{FrameSeq, ShardId};

pub(crate) const DIRECTORY: &str = "shard-00/log";

/// One replayed record: kind, account, payload.
pub(crate) type Fact = (u8, u32, Vec<u8>);

pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) executor: Executor,
    pub(crate) log: Rc<Log<SimDisk>>,
    pub(crate) replayed: Vec<(Place, Fact)>,
    pub(crate) recovered: Recovered,
    pub(crate) book: Rc<Book>,
    pub(crate) clock: Rc<Cell<Duration>>,
}

/// What happened to the log in one life.
#[derive(Default)]
pub(crate) struct Book {
    /// Facts in the order of their appends, with their frame.
    pub(crate) appended: RefCell<Vec<(FrameSeq, Fact)>>,
    /// Frames that `durable` was `Ok` for.
    pub(crate) durable: RefCell<Vec<FrameSeq>>,
    pub(crate) failed: RefCell<Vec<(FrameSeq, LogError)>>,
    /// As told by `run`: place of each durable frame.
    pub(crate) places: RefCell<Vec<(FrameSeq, Place)>>,
    /// Places of the records of `appended`, by offset in their frame.
    pub(crate) offsets: RefCell<Vec<u32>>,
    pub(crate) outcomes: RefCell<Vec<Outcome>>,
    pub(crate) returned: Cell<bool>,
}

pub(crate) fn options(clock: &Rc<Cell<Duration>>, seed: u64) -> Options {
    let clock = clock.clone();
    let dice = RefCell::new(Seed::new(seed ^ 0x5a17));
    let mut options = Options::new(
        *b"a store of tests",
        ShardId(0),
        Rc::new(move || clock.get()),
        Rc::new(move || dice.borrow_mut().throw()),
    );
    options.segment_bytes = 96 << 10;
    options.frame_bytes_max = 24 << 10;
    options.prewrite_bytes = (16 << 10, 32 << 10);
    options.hot_tail_bytes = 128 << 10;
    options
}

impl World {
    pub(crate) fn open(disk: &SimDisk, seed: u64) -> Result<World, OpenError> {
        World::open_with(disk, seed, |_| {})
    }

    pub(crate) fn open_with(
        disk: &SimDisk,
        seed: u64,
        change: impl FnOnce(&mut Options),
    ) -> Result<World, OpenError> {
        let clock = Rc::new(Cell::new(Duration::ZERO));
        let mut options = options(&clock, seed);
        change(&mut options);
        let mut executor = Executor::new(disk.clone(), seed);
        let over = disk.clone();
        let opened = executor.finish(async move {
            let mut replayed = Vec::new();
            let mut replay = |place: Place, record: &store::log::RecordRef<'_>| {
                let fact = (record.kind, record.account, record.payload.to_vec());
                replayed.push((place, fact));
                Ok(())
            };
            let opened = Log::open(Rc::new(over), DIRECTORY, options, &mut replay).await;
            opened.map(|(log, recovered)| (log, recovered, replayed))
        });
        let (log, recovered, replayed) = opened.expect("opening never waits for ever")?;
        let log = Rc::new(log);
        let book = Rc::new(Book::default());
        let (running, told) = (log.clone(), book.clone());
        executor.spawn(async move {
            running.run(|outcome| told.note(outcome)).await;
            told.returned.set(true);
        });
        Ok(World {
            disk: disk.clone(),
            executor,
            log,
            replayed,
            recovered,
            book,
            clock,
        })
    }

    /// A task that appends the facts to one frame and waits until it is durable.
    pub(crate) fn append(&mut self, facts: Vec<Fact>) {
        let (log, book) = (self.log.clone(), self.book.clone());
        self.executor.spawn(async move {
            append(&log, &book, facts).await;
        });
    }

    pub(crate) fn settle(&mut self) {
        self.executor.run(usize::MAX);
    }

    /// Waits until everything is written, closes, and waits for the end.
    pub(crate) fn close(mut self) -> SimDisk {
        self.settle();
        self.log.close();
        self.settle();
        assert!(self.book.returned.get(), "run returns after close");
        self.disk
    }

    pub(crate) fn replayed_facts(&self) -> Vec<Fact> {
        self.replayed.iter().map(|(_, fact)| fact.clone()).collect()
    }
}

/// Errors are kept in the book; `Err` of an append leaves no trace in it.
pub(crate) async fn append(log: &Log<SimDisk>, book: &Book, facts: Vec<Fact>) -> Option<FrameSeq> {
    let bytes = facts
        .iter()
        .map(|(_, _, body)| record_bytes(body.len()))
        .sum();
    log.room(bytes).await.ok()?;
    let halves: Vec<[&[u8]; 2]> = facts
        .iter()
        .map(|(_, _, body)| body.split_at(body.len() / 2).into())
        .collect();
    let drafts: Vec<Draft<'_>> = facts
        .iter()
        .zip(&halves)
        .map(|((kind, account, _), parts)| Draft {
            kind: *kind,
            schema: 1,
            account: *account,
            parts,
        })
        .collect();
    let appended = log.append(&drafts).ok()?;
    book.offsets.borrow_mut().extend(&appended.offsets);
    let frame = appended.frame;
    let facts = facts.into_iter().map(|fact| (frame, fact));
    book.appended.borrow_mut().extend(facts);
    match log.durable(frame).await {
        Ok(()) => book.durable.borrow_mut().push(frame),
        Err(error) => book.failed.borrow_mut().push((frame, error)),
    }
    Some(frame)
}

impl Book {
    fn note(&self, outcome: &Outcome) {
        if let Outcome::Durable(commit) = outcome {
            let place = (commit.frame, commit.place);
            self.places.borrow_mut().push(place);
        }
        self.outcomes.borrow_mut().push(outcome.clone());
    }

    /// Every fact whose frame is durable, with the place that its record must have.
    pub(crate) fn placed(&self) -> Vec<(Place, Fact)> {
        let places = self.places.borrow();
        let offsets = self.offsets.borrow();
        let appended = self.appended.borrow();
        let with_place = appended
            .iter()
            .zip(&*offsets)
            .filter_map(|((frame, fact), at)| {
                let place = places.iter().find(|(durable, _)| durable == frame)?;
                Some((place.1.plus(*at), fact.clone()))
            });
        with_place.collect()
    }
}

/// A payload that tells where it comes from, of a length that the dice decide.
pub(crate) fn fact(seed: &mut Seed, number: u64) -> Fact {
    let len = match seed.below(10) {
        0 => 0,
        1..=5 => seed.below(200),
        6..=8 => seed.below(3000),
        _ => seed.below(7500),
    };
    let mut body = number.to_le_bytes().to_vec();
    let filling = seed.throw().to_le_bytes();
    body.extend((0..len as usize).map(|at| filling[at % 8] ^ at as u8));
    (seed.below(20) as u8, seed.below(9) as u32, body)
}
