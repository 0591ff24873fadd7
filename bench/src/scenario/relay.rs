//! `relay`: mail in at one end of a server, and out of it into a sink of our own.

use super::basin::Basin;
use super::live::LiveLine;
use super::options::{Inject, demand_descriptors, misused};
use super::proof::{Proof, expected, judge};
use super::run::{self, Plan, Sums};
use super::sink::Behaviour;
use super::submit::{Ending, Kind, outcome, run_tag};
use crate::client::smtp::Session;
use crate::outcome::Delivered;
use clap::Args;
use engine::reactor::clock::{instant, monotonic_micros};
use engine::reactor::{Now, idle};
use indicatif::HumanCount;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Mail into a relay, and out of it into a sink of this tool, with an audit there
#[derive(Args, Clone, Debug)]
pub(crate) struct RelayArgs {
    #[command(flatten)]
    pub(crate) inject: Inject,
    /// Where the sink listens, and where the relay must send its mail
    #[arg(long, value_name = "ADDRESS:PORT", default_value = SINK)]
    sink: SocketAddr,
    /// Threads of the sink
    #[arg(long, default_value_t = 1, value_name = "N")]
    sink_threads: u32,
    /// Seconds without a message after which what is missing counts as lost
    #[arg(long, default_value_t = SETTLE_SECS, value_name = "SECONDS")]
    settle: f64,
    #[command(flatten)]
    behaviour: Behaviour,
}

impl RelayArgs {
    /// With a sink of one thread at `sink` that takes everything.
    pub(crate) fn of(inject: Inject, sink: SocketAddr) -> RelayArgs {
        RelayArgs {
            inject,
            sink,
            sink_threads: 1,
            settle: SETTLE_SECS,
            behaviour: Behaviour::takes_all(),
        }
    }
}

/// Runs it. The audit is always made: everything that comes out is seen anyway.
pub(crate) fn relay(args: &RelayArgs, stop: Arc<AtomicBool>) -> anyhow::Result<Ending> {
    let (began, inject) = (Now::read(), &args.inject);
    if args.sink_threads == 0 {
        return misused("a sink needs a thread");
    }
    if inject.load.steps.is_some() || inject.proof.imap.is_some() || inject.proof.audit {
        return misused("a relay has no --steps and no --imap; its sink audits without being told");
    }
    // The sink holds the other end of each.
    demand_descriptors(inject.load.connections, 2)?;
    let tag = run_tag(began);
    let accounts = inject.message.accounts.numbers();
    let settings = args.behaviour.settings(accounts, args.sink_threads)?;
    let basin = Basin::open(args.sink, args.sink_threads, settings)?;
    let (plan, hello) = Kind::Relay.plan(inject, tag)?;
    let line = LiveLine::new();
    let proof = Proof::begin(inject, &plan, tag)?;
    let mut sums = run::run::<Session>(plan.clone(), stop.clone(), &line)?;
    let proven = proof.end(&plan, &mut sums, tag, &line);
    let failed = sums.gave_up || proven.failed;
    let delivered = wait(&basin, &plan, &sums, args, &line, &stop);
    let record = basin.close()?;
    sums.tally.latencies.merge(&record.latencies);
    let judged = judge(&plan, &sums.ledgers, record.of_run(tag), tag);
    let mut outcome = outcome(Kind::Relay, inject, &plan, sums, began);
    outcome.target = format!("relay {}, sink {}", inject.target, args.sink);
    outcome.remarks.extend(record.handshakes.told());
    outcome.delivered = Some(delivered);
    outcome.audit = Some(judged);
    Ok(Ending { outcome, failed }.of_server(&plan, hello))
}

/// Until everything acknowledged has come out, or nothing comes any more.
fn wait(
    basin: &Basin,
    plan: &Plan,
    sums: &Sums,
    args: &RelayArgs,
    line: &LiveLine,
    stop: &AtomicBool,
) -> Delivered {
    let expected = expected(plan, &sums.ledgers);
    let settle = Duration::try_from_secs_f64(args.settle).unwrap_or(Duration::MAX);
    let (mut recorded, mut progress) = (basin.recorded(), instant());
    let mut last_micros = monotonic_micros();
    // A second interruption ends the process; the first one may have ended the load only.
    let was_stopped = stop.swap(false, Ordering::Relaxed);
    while recorded < expected && progress.elapsed() < settle && !stop.load(Ordering::Relaxed) {
        line.say(format!(
            "at the sink: {} of {}",
            HumanCount(recorded),
            HumanCount(expected)
        ));
        idle::rest(LOOK);
        let now = basin.recorded();
        if now > recorded {
            (recorded, progress) = (now, instant());
            last_micros = monotonic_micros();
        }
    }
    stop.fetch_or(was_stopped, Ordering::Relaxed);
    // What is doubled comes late.
    idle::rest(LAST_LOOK);
    line.clear();
    Delivered {
        count: basin.recorded(),
        elapsed_micros: last_micros.saturating_sub(sums.tally.began_micros),
    }
}

pub(crate) const SINK: &str = "127.0.0.1:2526";
const SETTLE_SECS: f64 = 15.0;
const LOOK: Duration = Duration::from_millis(20);

/// For copies that nobody waits for.
const LAST_LOOK: Duration = Duration::from_millis(300);
