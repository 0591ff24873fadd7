//! From submission to the inbox: some mailboxes are watched over IMAP while the load runs, and all
//! are read at the end for the audit.

use super::run::seat;
use crate::client::mailbox::{Door, Mailbox, Part, Position};
use crate::load::accounts::Accounts;
use crate::load::stamp::Stamp;
use crate::measure::audit::Sighting;
use crate::measure::histogram::{Latencies, Step};
use anyhow::{Context, anyhow};
use engine::reactor::clock::{instant, monotonic_micros};
use engine::reactor::runtime::{run_shard, start_shard};
use engine::reactor::{Alarm, sleep, spawn};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Mailboxes that are watched, on a thread of their own.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    harvest: mpsc::Receiver<(Latencies, Option<String>)>,
}

impl Watch {
    /// Watches the first `count` accounts for messages of `run`.
    pub(crate) fn begin(
        door: Door,
        accounts: &Accounts,
        count: u32,
        run: u32,
    ) -> anyhow::Result<Watch> {
        let names: Vec<String> = (0..count.min(accounts.len()))
            .map(|number| accounts.name(number).to_owned())
            .collect();
        let stop = Arc::new(AtomicBool::new(false));
        let (yields, harvest) = mpsc::channel();
        let (ready, readiness) = mpsc::channel();
        let stopped = stop.clone();
        start_shard(0, seat(), move || async move {
            let watchers = Rc::new(Watchers::default());
            for name in names {
                let (watchers, door, ready) = (watchers.clone(), door.clone(), ready.clone());
                spawn(async move {
                    if let Err(error) = watchers.watch(&door, &name, run, ready).await {
                        let why = format!("INBOX of {name}: {error}");
                        watchers.trouble.borrow_mut().get_or_insert(why);
                    }
                });
            }
            drop(ready);
            while !stopped.load(Ordering::Relaxed) {
                sleep(LOOK).await;
            }
            watchers.settle().await;
            // The receiver has gone only when the process ends.
            let _ = yields.send((watchers.latencies.take(), watchers.trouble.take()));
        })?;
        // Each tells when it watches; one that cannot drops its end.
        for () in readiness {}
        Ok(Watch { stop, harvest })
    }

    /// What was seen, and what went wrong.
    pub(crate) fn end(self) -> (Latencies, Option<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let told = self.harvest.recv_timeout(SETTLE_MAX * 2);
        told.unwrap_or_else(|_| (Latencies::default(), Some("no watcher answered".into())))
    }
}

#[derive(Default)]
struct Watchers {
    latencies: RefCell<Latencies>,
    trouble: RefCell<Option<String>>,
    seen_micros: Cell<u64>,
}

impl Watchers {
    async fn watch(
        &self,
        door: &Door,
        name: &str,
        run: u32,
        ready: mpsc::Sender<()>,
    ) -> io::Result<()> {
        let alarm = Alarm::new()?;
        let mut mailbox = Mailbox::open(door, name).await?;
        let mut position = mailbox.examine().await?;
        drop(ready);
        mailbox.set_patience(QUIET_MAX);
        let mut is_more = false;
        loop {
            if !is_more && mailbox.offers_idle {
                mailbox.wait().await?;
            } else if !is_more {
                alarm.at(monotonic_micros() + POLL_MICROS).await?;
                mailbox.poll().await?;
            }
            let show = |line: &[u8], heard: u64| self.note(line, heard, run);
            is_more = mailbox.read(&mut position, Part::Stamp, show).await?;
        }
    }

    fn note(&self, line: &[u8], heard_micros: u64, run: u32) {
        let stamp = Stamp::find(line).map(|(stamp, _)| stamp);
        if let Some(stamp) = stamp.filter(|stamp| stamp.run == run) {
            let took = heard_micros.saturating_sub(stamp.start_micros);
            self.latencies.borrow_mut().record(Step::Inbox, took);
            self.seen_micros.set(heard_micros);
        }
    }

    /// Until nothing has come for a while.
    async fn settle(&self) {
        let began = instant();
        while began.elapsed() < SETTLE_MAX {
            let quiet = monotonic_micros().saturating_sub(self.seen_micros.get());
            if quiet > SETTLED_MICROS && began.elapsed() > SETTLED {
                return;
            }
            sleep(LOOK).await;
        }
    }
}

/// Where each account's new messages begin.
pub(crate) fn positions(door: &Door, accounts: &Accounts) -> anyhow::Result<Vec<Position>> {
    let positions = vec![Position::default(); accounts.len() as usize];
    let (read, _) = visit(door, accounts, positions, false, 0)?;
    Ok(read)
}

/// Reads every new message of every account until `expected` copies of `run` are there, or none
/// have come for [`SETTLE_MAX`].
pub(crate) fn sightings(
    door: &Door,
    accounts: &Accounts,
    mut positions: Vec<Position>,
    run: u32,
    expected: u64,
) -> anyhow::Result<Vec<Sighting>> {
    let mut all = Vec::new();
    let mut progress = instant();
    loop {
        let (moved, fresh) = visit(door, accounts, positions, true, run)?;
        positions = moved;
        if !fresh.is_empty() {
            progress = instant();
            all.extend(fresh);
        }
        if all.len() as u64 >= expected || progress.elapsed() > SETTLE_MAX {
            return Ok(all);
        }
        engine::reactor::idle::rest(ROUND);
    }
}

/// Goes through all accounts, some at a time.
fn visit(
    door: &Door,
    accounts: &Accounts,
    positions: Vec<Position>,
    reads: bool,
    run: u32,
) -> anyhow::Result<(Vec<Position>, Vec<Sighting>)> {
    let (door, accounts) = (door.clone(), accounts.clone());
    let visitors = std::thread::spawn(move || {
        run_shard(seat(), || async move {
            let round = Rc::new(Round {
                door,
                accounts,
                reads,
                run,
                next: Cell::new(0),
                visiting: Cell::new(0),
                positions: RefCell::new(positions),
                seen: RefCell::default(),
                trouble: RefCell::default(),
            });
            for _ in 0..VISITORS.min(round.accounts.len()) {
                round.visiting.set(round.visiting.get() + 1);
                let round = round.clone();
                spawn(async move {
                    round.go().await;
                    round.visiting.set(round.visiting.get() - 1);
                });
            }
            while round.visiting.get() > 0 {
                sleep(LOOK).await;
            }
            let (positions, seen) = (round.positions.take(), round.seen.take());
            (positions, seen, round.trouble.take())
        })
    });
    let told = visitors.join().map_err(|_| anyhow!("a reader panicked"))?;
    let (positions, seen, trouble) = told.context("cannot start a reader")?;
    match trouble {
        Some(trouble) => Err(anyhow!(trouble)),
        None => Ok((positions, seen)),
    }
}

/// One way through all accounts.
struct Round {
    door: Door,
    accounts: Accounts,
    reads: bool,
    run: u32,
    next: Cell<u32>,
    visiting: Cell<u32>,
    positions: RefCell<Vec<Position>>,
    seen: RefCell<Vec<Sighting>>,
    trouble: RefCell<Option<String>>,
}

impl Round {
    async fn go(&self) {
        while self.next.get() < self.accounts.len() && self.trouble.borrow().is_none() {
            let account = self.next.replace(self.next.get() + 1);
            if let Err(error) = self.visit(account).await {
                let why = format!(
                    "cannot read the INBOX of {} at {}: {error}; --imap and --password say how",
                    self.accounts.name(account),
                    self.door.target
                );
                self.trouble.borrow_mut().get_or_insert(why);
            }
        }
    }

    async fn visit(&self, account: u32) -> io::Result<()> {
        let mut mailbox = Mailbox::open(&self.door, self.accounts.name(account)).await?;
        let found = mailbox.examine().await?;
        let at = account as usize;
        let before = self.positions.borrow().get(at).copied().unwrap_or_default();
        let mut position = before;
        if !self.reads {
            position = found;
        } else if found.uid_next > before.uid_next {
            let show = |message: &[u8], _| self.see(account, message);
            mailbox.read(&mut position, Part::Whole, show).await?;
        }
        if let Some(place) = self.positions.borrow_mut().get_mut(at) {
            *place = position;
        }
        Ok(())
    }

    fn see(&self, account: u32, message: &[u8]) {
        let Some((stamp, line)) = Stamp::find(message) else {
            return;
        };
        if stamp.run == self.run {
            self.seen.borrow_mut().push(Sighting {
                number: stamp.number,
                account,
                is_intact: stamp.fits(message.get(line.end..).unwrap_or_default()),
            });
        }
    }
}

/// How often threads look whether they are to end.
const LOOK: Duration = Duration::from_millis(60);

/// Sessions that read at the same time.
const VISITORS: u32 = 8;

/// Between two ways through all accounts.
const ROUND: Duration = Duration::from_millis(100);

/// How long nothing may come before what is missing counts as lost.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// How long nothing may come before a watcher has seen everything.
const SETTLED: Duration = Duration::from_millis(500);
const SETTLED_MICROS: u64 = 500_000;

/// Where a server has no IDLE.
const POLL_MICROS: u64 = 5_000;

/// A watched mailbox may be quiet for so long.
const QUIET_MAX: Duration = Duration::from_secs(24 * 3600);
