//! One load from begin to end: shards, the barrier between connecting and loading, the sums.

use super::board::Board;
use super::crew::{Crew, Yield};
use super::live::LiveLine;
use crate::client::smtp::opening::Hello;
use crate::client::smtp::{Session, Settings};
use crate::client::{Client, NotOpened};
use crate::load::arrivals::Tempo;
use crate::load::pace::Bounds;
use crate::measure::ledger::Ledgers;
use crate::measure::tally::Tally;
use crate::measure::usage::{Meter, Subject};
use crate::outcome::Usage;
use engine::reactor::clock::{instant, monotonic_micros};
use engine::reactor::runtime::{run_shard, start_shard};
use engine::reactor::{Backend, Clock, Seat};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A load that is to be run, by clients that have `S` alike.
#[derive(Clone)]
pub(crate) struct Plan<S = Settings> {
    pub(crate) settings: Arc<S>,
    pub(crate) seed: u64,
    pub(crate) connections: u32,
    pub(crate) threads: u32,
    /// Cores that the threads stay on, in turn; none leaves it to the kernel.
    pub(crate) cores: Vec<usize>,
    pub(crate) messages: Option<u64>,
    /// Of warm-up and measured part together.
    pub(crate) length: Option<Duration>,
    pub(crate) warm_up: Duration,
    /// `None`: a closed loop.
    pub(crate) tempo: Option<Tempo>,
    pub(crate) per_connection: Option<u32>,
    /// Silence that means that the server is gone; `None` waits on.
    pub(crate) give_up: Option<Duration>,
    /// The server, to measure what it uses, and where it writes.
    pub(crate) subject: Option<Subject>,
    pub(crate) folder: Option<PathBuf>,
    /// Set when the load begins, for whoever waits for it.
    pub(crate) begun: Arc<AtomicBool>,
}

/// What a load came to.
pub(crate) struct Sums {
    pub(crate) tally: Tally,
    pub(crate) ledgers: Ledgers,
    pub(crate) late: u64,
    pub(crate) remarks: Vec<String>,
    pub(crate) usage: Option<Usage>,
    /// The server stopped answering.
    pub(crate) gave_up: bool,
}

impl<S> Plan<S> {
    /// What shard `index` does of it.
    pub(crate) fn bounds_of(&self, index: u32) -> Bounds {
        let (index, shards) = (u64::from(index), u64::from(self.threads));
        let share = |messages: u64| messages / shards + u64::from(index < messages % shards);
        Bounds {
            tickets_max: self.messages.map_or(u64::MAX, share),
            micros_max: self
                .length
                .map_or(u64::MAX, |length| length.as_micros() as u64),
        }
    }

    pub(crate) fn seat(&self, index: usize) -> Seat {
        let core = index.checked_rem(self.cores.len());
        Seat {
            core: core.and_then(|at| self.cores.get(at).copied()),
            ..seat()
        }
    }
}

/// A thread that stays where the kernel puts it.
pub(crate) fn seat() -> Seat {
    Seat {
        backend: Backend::probe().0,
        core: None,
        on_panic: Arc::new(|message| eprintln!("ringpost-bench: a worker panicked: {message}")),
        clock: Clock::Kernel,
    }
}

/// Opens one session and says what the server says of itself: whether a load makes sense.
pub(crate) fn introduce(settings: &Arc<Settings>) -> anyhow::Result<Result<Hello, NotOpened>> {
    let settings = settings.clone();
    alone(|| async move {
        let (session, hello) = Session::introduce(&settings, 0).await?;
        session.quit(false).await;
        Ok(hello)
    })
}

/// Runs a future on a thread of its own, until it ends.
pub(crate) fn alone<T, M, F>(make: M) -> anyhow::Result<T>
where
    T: Send + 'static,
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output = T> + 'static,
{
    let thread = std::thread::spawn(move || run_shard(seat(), make));
    let told = thread
        .join()
        .map_err(|_| anyhow::anyhow!("a thread panicked"))?;
    Ok(told?)
}

/// Runs the load. `stop` ends it early, with what was measured until then.
pub(crate) fn run<C: Client>(
    plan: Arc<Plan<C::Settings>>,
    stop: Arc<AtomicBool>,
    line: &LiveLine,
) -> anyhow::Result<Sums> {
    let board = Arc::new(Board::new(plan.threads, stop));
    let (yields, harvest) = mpsc::channel();
    for index in 0..plan.threads {
        let (plan, board, yields) = (plan.clone(), board.clone(), yields.clone());
        start_shard(
            index as usize,
            plan.seat(index as usize),
            move || async move {
                let crew = Crew::<C>::new(&plan, &board, index);
                // The main thread waits for it; it has gone only when the process ends.
                let _ = yields.send((index, crew.work().await));
            },
        )?;
    }
    drop(yields);
    let mut watch = Watch::new(&plan, &board, line);
    let mut all: Vec<(u32, Yield)> = Vec::new();
    while all.len() < plan.threads as usize {
        match harvest.recv_timeout(LOOK) {
            Ok(one) => all.push(one),
            Err(mpsc::RecvTimeoutError::Timeout) => watch.look(),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    let usage = watch.end_meter();
    watch.note_own_share();
    line.clear();
    let (mut remarks, gave_up) = (watch.remarks, watch.gave_up);
    if all.len() < plan.threads as usize {
        remarks.push("A thread of the load ended before its time; its part is missing".into());
    }
    let none = Sums {
        tally: Tally::new(),
        ledgers: Ledgers::default(),
        late: 0,
        remarks,
        usage,
        gave_up,
    };
    Ok(added(none, all))
}

fn added(mut sums: Sums, mut all: Vec<(u32, Yield)>) -> Sums {
    all.sort_by_key(|(index, _)| *index);
    for (_, one) in all {
        sums.tally.merge(&one.tally);
        sums.late += one.late;
        sums.ledgers.0.push(one.ledger);
    }
    sums
}

/// The main thread's eye on a run.
struct Watch<'a, S> {
    plan: &'a Plan<S>,
    board: &'a Board,
    line: &'a LiveLine,
    answered: u64,
    answered_at: std::time::Instant,
    /// The CPU time of this process when the load began.
    cpu_micros: u64,
    meter: Option<Meter>,
    is_metered: bool,
    remarks: Vec<String>,
    gave_up: bool,
}

impl<'a, S> Watch<'a, S> {
    fn new(plan: &'a Plan<S>, board: &'a Board, line: &'a LiveLine) -> Watch<'a, S> {
        Watch {
            plan,
            board,
            line,
            answered: 0,
            answered_at: instant(),
            cpu_micros: 0,
            meter: None,
            is_metered: false,
            remarks: Vec::new(),
            gave_up: false,
        }
    }

    fn look(&mut self) {
        let began = self.board.began_micros.load(Ordering::Relaxed);
        if began == 0 {
            if self.board.ready.load(Ordering::Relaxed) == self.plan.threads {
                if self.plan.warm_up.is_zero() {
                    self.begin_meter();
                }
                self.cpu_micros = own_cpu_micros();
                let soon = monotonic_micros() + HEAD_START_MICROS;
                self.board.began_micros.store(soon, Ordering::Relaxed);
                self.plan.begun.store(true, Ordering::Relaxed);
            }
            self.line
                .connecting(&self.board.look(), self.plan.connections);
            self.answered_at = instant();
            return;
        }
        if monotonic_micros() >= began + self.plan.warm_up.as_micros() as u64 {
            self.begin_meter();
        }
        let live = self.board.look();
        self.line
            .show(&live, monotonic_micros().saturating_sub(began));
        if live.answered != self.answered || live.in_flight == 0 && live.failed == 0 {
            (self.answered, self.answered_at) = (live.answered, instant());
        }
        let silence = self.answered_at.elapsed();
        if self.plan.give_up.is_some_and(|most| silence > most) && !self.gave_up {
            self.gave_up = true;
            self.remarks.push(format!(
                "The server stopped answering: nothing for {} s, so the run ended early",
                silence.as_secs()
            ));
            self.board.stop.store(true, Ordering::Relaxed);
        }
    }

    /// A load that is busy itself measures itself.
    fn note_own_share(&mut self) {
        let began = self.board.began_micros.load(Ordering::Relaxed);
        let elapsed = monotonic_micros().saturating_sub(began).max(1);
        let used = own_cpu_micros().saturating_sub(self.cpu_micros);
        let share = used as f64 / elapsed as f64 / f64::from(self.plan.threads);
        if began != 0 && share > BUSY {
            self.remarks.push(format!(
                "The load itself was busy {:.0} % of the time of its {} thread(s): more of them, \
                 or more cores, may show more of the server",
                share * 100.0,
                self.plan.threads
            ));
        }
    }

    fn begin_meter(&mut self) {
        let Some(subject) = self.plan.subject.as_ref().filter(|_| !self.is_metered) else {
            return;
        };
        self.is_metered = true;
        match Meter::begin(subject, self.plan.folder.as_deref()) {
            Ok(meter) => self.meter = Some(meter),
            Err(why) => self
                .remarks
                .push(format!("The server's use is unknown: {why:#}")),
        }
    }

    fn end_meter(&mut self) -> Option<Usage> {
        match self.meter.take()?.end() {
            Ok((usage, remarks)) => {
                self.remarks.extend(remarks);
                Some(usage)
            }
            Err(why) => {
                self.remarks
                    .push(format!("The server's use is unknown: {why:#}"));
                None
            }
        }
    }
}

/// Microseconds of CPU that this process has used.
fn own_cpu_micros() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
}

/// A thread that works more than this is itself in the way.
const BUSY: f64 = 0.85;

/// How often the live line changes.
const LOOK: Duration = Duration::from_millis(200);

/// Shards learn of the beginning before it comes.
const HEAD_START_MICROS: u64 = 200_000;
