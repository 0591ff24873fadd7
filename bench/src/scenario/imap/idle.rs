//! A population of connections in IDLE: what each costs the server, and how soon all of an account
//! hear of a delivery.
//!
//! ```text
//! main      level 1 ──► read memory ──► level 2 ──► read memory … ──► last level ──► deliver, see
//! shards    connect, LOGIN, SELECT, IDLE … until as many are held as the level says
//! ```
//!
//! The population is grown level by level, so that a cost that is not linear shows. A delivery is
//! an APPEND over one more connection; the next one begins when all have heard, or are given up.

use super::ImapArgs;
use crate::client::NotOpened;
use crate::client::imap::mailbox::FILL_NUMBER_MIN;
use crate::client::imap::{Access, Session};
use crate::load::accounts::Accounts;
use crate::load::corpus::Corpus;
use crate::load::pace::Ticket;
use crate::measure::answer::{Answer, Code, Loss, Word};
use crate::measure::histogram::Step;
use crate::measure::tally::{End, Tally};
use crate::measure::usage::Subject;
use crate::outcome::{Held, Outcome};
use crate::scenario::brief::Brief;
use crate::scenario::live::LiveLine;
use crate::scenario::options::demand_descriptors;
use crate::scenario::run::seat;
use crate::scenario::submit::{Ending, run_tag};
use anyhow::{Context, bail};
use engine::reactor::clock::{instant, monotonic_micros};
use engine::reactor::runtime::start_shard;
use engine::reactor::{Now, idle as pause, sleep, spawn};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// What the main thread and the shards tell each other.
struct Board {
    stop: Arc<AtomicBool>,
    /// Connections that are to be tried, and those that were, and those that are held.
    wanted: AtomicU32,
    tried: AtomicU32,
    held: AtomicU32,
    /// Those of the first account that are held.
    listeners: AtomicU32,
    /// When the present delivery began, and how many heard of it.
    delivery_micros: AtomicU64,
    heard: AtomicU32,
    /// Shards are to give their sums.
    is_over: AtomicBool,
}

/// One shard's part of the population.
struct Shard {
    board: Arc<Board>,
    access: Arc<Access>,
    accounts: Accounts,
    mailbox: String,
    index: u32,
    shards: u32,
    /// Connections begun, and those on their way.
    begun: Cell<u32>,
    connecting: Cell<u32>,
    tally: RefCell<Tally>,
}

/// Runs it.
pub(super) fn idle(args: &ImapArgs, stop: Arc<AtomicBool>) -> anyhow::Result<Ending> {
    let load = &args.load;
    if load.connections == 0 || load.threads == 0 || load.threads > load.connections {
        bail!("a population needs at least one connection a thread");
    }
    demand_descriptors(load.connections, 1)?;
    let now = Now::read();
    let access = Arc::new(args.access()?);
    let greeting = super::greeting(&access, args.accounts.name(0), &args.target)?;
    let corpus = args.corpus(run_tag(now))?;
    let board = Arc::new(Board {
        stop,
        wanted: AtomicU32::new(0),
        tried: AtomicU32::new(0),
        held: AtomicU32::new(0),
        listeners: AtomicU32::new(0),
        delivery_micros: AtomicU64::new(u64::MAX),
        heard: AtomicU32::new(0),
        is_over: AtomicBool::new(false),
    });
    let began_micros = monotonic_micros();
    let harvest = start(args, &access, &board)?;
    let line = LiveLine::new();
    let mut remarks = Vec::new();
    let population = grow(args, &board, &line, &mut remarks)?;
    let connected_micros = monotonic_micros() - began_micros;
    let mut tally = Tally::new();
    // Whoever interrupts a population wants what was seen until then.
    let was_stopped = board.is_stopped();
    let mut failed = board.held.load(Ordering::Relaxed) < load.connections && !was_stopped;
    if !was_stopped && args.deliveries > 0 {
        line.say("delivering".to_owned());
        let (access, board) = (access.clone(), board.clone());
        let own = args.clone();
        let told = crate::scenario::run::alone(move || async move {
            deliver(&own, &access, &board, &corpus).await
        })?;
        failed |= told != Ok(0);
        match told {
            Ok(0) => {}
            Ok(missed) => remarks.push(format!(
                "{missed} times an idler heard nothing of a delivery within {} s",
                access_secs(args)
            )),
            Err(why) => remarks.push(format!("The deliveries ended: {why}")),
        }
    }
    board.is_over.store(true, Ordering::Relaxed);
    for _ in 0..load.threads {
        let part = harvest.recv_timeout(HARVEST_MAX);
        tally.merge(&part.context("a thread of the load does not end")?);
    }
    line.clear();
    let mut outcome = outcome(args, tally, now, connected_micros, population);
    outcome.server = Some(greeting);
    outcome.remarks = remarks;
    Ok(Ending { outcome, failed })
}

fn start(
    args: &ImapArgs,
    access: &Arc<Access>,
    board: &Arc<Board>,
) -> anyhow::Result<mpsc::Receiver<Tally>> {
    let (tallies, harvest) = mpsc::channel();
    for index in 0..args.load.threads {
        let (board, access, tallies) = (board.clone(), access.clone(), tallies.clone());
        let (accounts, mailbox) = (args.accounts.clone(), args.mailbox.clone());
        let shards = args.load.threads;
        start_shard(index as usize, seat(), move || async move {
            let shard = Rc::new(Shard {
                board,
                access: Arc::new(access.as_ref().clone()),
                accounts,
                mailbox,
                index,
                shards,
                begun: Cell::new(0),
                connecting: Cell::new(0),
                tally: RefCell::new(Tally::new()),
            });
            // The main thread waits for it; it has gone only when the process ends.
            let _ = tallies.send(shard.work().await);
        })
        .context("cannot start a thread of the load")?;
    }
    Ok(harvest)
}

/// Level by level; what the server's memory was at each.
fn grow(
    args: &ImapArgs,
    board: &Board,
    line: &LiveLine,
    remarks: &mut Vec<String>,
) -> anyhow::Result<Vec<Held>> {
    let subject = args.server.subject();
    let memory = |subject: &Subject| subject.resident_bytes();
    let mut population = Vec::new();
    for level in 0..=args.levels {
        let share = u64::from(args.load.connections) * u64::from(level) / u64::from(args.levels);
        board.wanted.store(share as u32, Ordering::Relaxed);
        while board.tried.load(Ordering::Relaxed) < share as u32 && !board.is_stopped() {
            pause::rest(LOOK);
            let held = board.held.load(Ordering::Relaxed);
            line.say(format!(
                "holding {held} of {} connections",
                args.load.connections
            ));
        }
        let Some(subject) = &subject else { continue };
        settle(subject)?;
        population.push(Held {
            connections: board.held.load(Ordering::Relaxed),
            resident_bytes: memory(subject)?,
        });
    }
    let held = board.held.load(Ordering::Relaxed);
    if held < args.load.connections {
        remarks.push(format!(
            "{held} of {} connections were held: see the answers",
            args.load.connections
        ));
    }
    if subject.is_none() {
        remarks.push("Memory a connection is not known: --pid or --cgroup names the server".into());
    }
    Ok(population)
}

/// Waits until the server's memory has stopped moving.
fn settle(subject: &Subject) -> anyhow::Result<()> {
    let (began, mut before) = (instant(), subject.resident_bytes()?);
    while began.elapsed() < SETTLE_MAX {
        pause::rest(SETTLE_LOOK);
        let now = subject.resident_bytes()?;
        if now == before {
            return Ok(());
        }
        before = now;
    }
    Ok(())
}

/// Appends one message after the other; how often an idler did not hear of one.
async fn deliver(
    args: &ImapArgs,
    access: &Arc<Access>,
    board: &Board,
    corpus: &Corpus,
) -> Result<u64, String> {
    let user = args.accounts.name(0);
    let opened = Session::log_in(access, user, 0).await;
    let (mut session, _) = opened.map_err(|refused: NotOpened| refused.explained())?;
    let mut missed = 0;
    for number in 0..args.deliveries {
        let listeners = board.listeners.load(Ordering::Relaxed);
        board.heard.store(0, Ordering::Relaxed);
        let start_micros = monotonic_micros();
        board.delivery_micros.store(start_micros, Ordering::Relaxed);
        let ticket = Ticket {
            number: FILL_NUMBER_MIN + u64::from(number),
            start_micros,
        };
        let appended = session.append(corpus, &args.mailbox, user, ticket).await;
        let (answer, _) = appended.map_err(|error| error.to_string())?;
        if !answer.is_positive() {
            return Err(format!("the server answers {answer}"));
        }
        let end = start_micros.saturating_add(access.patience.as_micros() as u64);
        while board.heard.load(Ordering::Relaxed) < listeners && monotonic_micros() < end {
            sleep(HEARD_LOOK).await;
        }
        missed += u64::from(listeners.saturating_sub(board.heard.load(Ordering::Relaxed)));
        if board.is_stopped() {
            break;
        }
    }
    session.leave().await;
    Ok(missed)
}

impl Board {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Shard {
    async fn work(self: Rc<Shard>) -> Tally {
        self.tally.borrow_mut().begin(monotonic_micros());
        while !self.board.is_over.load(Ordering::Relaxed) {
            let wanted = self.board.wanted.load(Ordering::Relaxed);
            let own = wanted / self.shards + u32::from(self.index < wanted % self.shards);
            while self.begun.get() < own && self.connecting.get() < CONNECTING_MAX {
                let number = self.index + self.begun.get() * self.shards;
                self.begun.set(self.begun.get() + 1);
                self.connecting.set(self.connecting.get() + 1);
                spawn(self.clone().hold(number));
            }
            sleep(SHARD_LOOK).await;
        }
        self.tally.replace(Tally::new())
    }

    /// One connection, from its first packet until the run ends.
    async fn hold(self: Rc<Shard>, number: u32) {
        let start_micros = monotonic_micros();
        // Boxed: what opening needs is not kept while the connection idles.
        let opened = Box::pin(self.open(number)).await;
        let answer = match &opened {
            Ok(_) => Answer::Word(Word::Ok, Code::default()),
            Err(answer) => *answer,
        };
        self.tally.borrow_mut().count(End {
            answer,
            octets: 0,
            start_micros,
            end_micros: monotonic_micros(),
        });
        let is_listener = number.is_multiple_of(self.accounts.len());
        self.connecting.set(self.connecting.get() - 1);
        if let Ok(session) = opened {
            let board = &self.board;
            board.held.fetch_add(1, Ordering::Relaxed);
            let part = u32::from(is_listener);
            board.listeners.fetch_add(part, Ordering::Relaxed);
            board.tried.fetch_add(1, Ordering::Relaxed);
            let lost = self.listen(session, is_listener).await;
            board.held.fetch_sub(1, Ordering::Relaxed);
            board.listeners.fetch_sub(part, Ordering::Relaxed);
            self.tally.borrow_mut().hear(lost);
        } else {
            self.board.tried.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn open(&self, number: u32) -> Result<Box<Session>, Answer> {
        let user = self.accounts.name(number);
        let opened = Session::log_in(&self.access, user, number).await;
        let (mut session, _) = opened.map_err(|refused| refused.answer)?;
        let selected = session.select(&self.mailbox).await;
        let selected = selected.map_err(|error| Answer::from(&error))?;
        if !selected.is_positive() {
            return Err(selected);
        }
        match session.idle().await {
            Ok(None) => {}
            Ok(Some(refused)) => return Err(refused),
            Err(error) => return Err(Answer::from(&error)),
        }
        let mut tally = self.tally.borrow_mut();
        for (step, micros) in session.marks.drain(..) {
            tally.latencies.record(step, micros);
        }
        session.marks = Vec::new();
        Ok(Box::new(session))
    }

    /// Until the connection ends; why it did.
    async fn listen(&self, mut session: Box<Session>, is_listener: bool) -> Answer {
        loop {
            let known = session.exists;
            if let Err(error) = session.listen(None).await {
                return match Answer::from(&error) {
                    Answer::Lost(loss) => Answer::Lost(loss),
                    _ => Answer::Lost(Loss::Other),
                };
            }
            if is_listener && session.exists > known {
                let start = self.board.delivery_micros.load(Ordering::Relaxed);
                let micros = session.grew_micros.saturating_sub(start);
                let mut tally = self.tally.borrow_mut();
                tally.latencies.record(Step::Exists, micros);
                self.board.heard.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn access_secs(args: &ImapArgs) -> u64 {
    args.access.timeout as u64
}

fn outcome(
    args: &ImapArgs,
    tally: Tally,
    began: Now,
    connected_micros: u64,
    population: Vec<Held>,
) -> Outcome {
    let brief = Brief {
        scenario: "imap",
        target: format!("imap {}", args.target),
        server: &args.server,
        load: args.described(),
        began,
    };
    Outcome {
        elapsed_micros: connected_micros,
        population,
        ..brief.outcome(tally)
    }
}

/// Connections that a shard opens at the same time: less than servers let wait.
const CONNECTING_MAX: u32 = 128;

const LOOK: Duration = Duration::from_millis(100);
const SHARD_LOOK: Duration = Duration::from_millis(5);

/// How often it is seen whether all have heard; they note the moment themselves.
const HEARD_LOOK: Duration = Duration::from_millis(2);

/// Memory is read when it stood still for so long, or after so long in any case.
const SETTLE_LOOK: Duration = Duration::from_millis(500);
const SETTLE_MAX: Duration = Duration::from_secs(10);

const HARVEST_MAX: Duration = Duration::from_secs(10);
