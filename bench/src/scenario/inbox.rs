//! From submission to the inbox: some mailboxes are watched over IMAP while the load runs, and all
//! are read at the end for the audit.

use super::imap::visit;
use super::run::seat;
use crate::client::NotOpened;
use crate::client::imap::mailbox::{Found, Part};
use crate::client::imap::{Access, Session};
use crate::load::accounts::Accounts;
use crate::measure::audit::Sighting;
use crate::measure::histogram::{Latencies, Step};
use anyhow::Context;
use engine::reactor::clock::{instant, monotonic_micros};
use engine::reactor::runtime::start_shard;
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
        door: Arc<Access>,
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
        door: &Arc<Access>,
        name: &str,
        run: u32,
        ready: mpsc::Sender<()>,
    ) -> io::Result<()> {
        let alarm = Alarm::new()?;
        let opened = Session::log_in(door, name, 0).await;
        let (mut session, _) = opened.map_err(NotOpened::into_io)?;
        examine(&mut session).await?;
        let mut uid = session.uid_next;
        drop(ready);
        let mut is_more = false;
        loop {
            if !is_more && session.offer.idle {
                session.wait().await?;
            } else if !is_more {
                alarm.at(monotonic_micros() + POLL_MICROS).await?;
                session.ask("NOOP").await?;
            }
            let (from, known) = (uid, session.exists);
            let found = |found: Found| {
                uid = uid.max(found.uid.saturating_add(1));
                self.note(&found, run);
            };
            session.read_from(from, Part::Stamp, found).await?;
            is_more = session.exists > known;
            session.marks.clear();
        }
    }

    fn note(&self, found: &Found, run: u32) {
        if found.stamp.run == run {
            let took = found.heard_micros.saturating_sub(found.stamp.start_micros);
            self.latencies.borrow_mut().record(Step::Inbox, took);
            self.seen_micros.set(found.heard_micros);
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

/// The UID at which each account's new messages begin.
pub(crate) fn positions(door: &Arc<Access>, accounts: &Accounts) -> anyhow::Result<Vec<u32>> {
    let positions = visit(door, accounts, async |_, session: &mut Session| {
        examine(session).await?;
        Ok(session.uid_next)
    });
    positions.with_context(unread)
}

/// Reads every new message of every account until `expected` copies of `run` are there, or none
/// have come for [`SETTLE_MAX`].
pub(crate) fn sightings(
    door: &Arc<Access>,
    accounts: &Accounts,
    mut positions: Vec<u32>,
    run: u32,
    expected: u64,
) -> anyhow::Result<Vec<Sighting>> {
    let mut all = Vec::new();
    let mut progress = instant();
    loop {
        let before = all.len();
        let from = positions;
        let read = visit(
            door,
            accounts,
            async move |account, session: &mut Session| {
                let from = from.get(account as usize).copied().unwrap_or(1);
                fresh(account, session, from, run).await
            },
        );
        positions = Vec::new();
        for (next, seen) in read.with_context(unread)? {
            positions.push(next);
            all.extend(seen);
        }
        if all.len() > before {
            progress = instant();
        }
        if all.len() as u64 >= expected || progress.elapsed() > SETTLE_MAX {
            return Ok(all);
        }
        engine::reactor::idle::rest(ROUND);
    }
}

/// What is new in an account, and where newer messages will begin.
async fn fresh(
    account: u32,
    session: &mut Session,
    from: u32,
    run: u32,
) -> io::Result<(u32, Vec<Sighting>)> {
    examine(session).await?;
    let (mut next, mut seen) = (from, Vec::new());
    if session.uid_next <= from {
        return Ok((next, seen));
    }
    let found = |found: Found| {
        next = next.max(found.uid.saturating_add(1));
        if found.stamp.run == run {
            seen.push(Sighting {
                number: found.stamp.number,
                account,
                is_intact: found.is_intact,
            });
        }
    };
    let answer = session.read_from(from, Part::Whole, found).await?;
    match answer.is_positive() {
        true => Ok((next, seen)),
        false => Err(io::Error::other(format!("the server answers {answer}"))),
    }
}

async fn examine(session: &mut Session) -> io::Result<()> {
    let answer = session.ask("EXAMINE INBOX").await?;
    match answer.is_positive() {
        true => Ok(()),
        false => Err(io::Error::other(format!("the server answers {answer}"))),
    }
}

fn unread() -> String {
    "cannot read the INBOXes; --imap and --password say how".to_owned()
}

/// How often threads look whether they are to end.
const LOOK: Duration = Duration::from_millis(60);

/// Between two ways through all accounts.
const ROUND: Duration = Duration::from_millis(100);

/// How long nothing may come before what is missing counts as lost.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// How long nothing may come before a watcher has seen everything.
const SETTLED: Duration = Duration::from_millis(500);
const SETTLED_MICROS: u64 = 500_000;

/// Where a server has no IDLE.
const POLL_MICROS: u64 = 5_000;
