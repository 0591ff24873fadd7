//! `smtp`, `submission`, `lmtp`: mail into a server, and what the answers took.

use super::live::LiveLine;
use super::options::Inject;
use super::run::{self, Plan, Sums};
use crate::client::smtp::{Dialect, NotOpened};
use crate::measure::answer::Answer;
use crate::measure::machine::machine;
use crate::outcome::Outcome;
use engine::reactor::Now;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A scenario that injects mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Smtp,
    Submission,
    Lmtp,
}

/// What a scenario ends with.
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    /// The server stopped answering, or never began to.
    pub(crate) failed: bool,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Smtp => "smtp",
            Kind::Submission => "submission",
            Kind::Lmtp => "lmtp",
        }
    }

    fn dialect(self) -> Dialect {
        match self {
            Kind::Lmtp => Dialect::Lmtp,
            Kind::Smtp | Kind::Submission => Dialect::Smtp,
        }
    }
}

/// Runs it.
pub(crate) fn submit(kind: Kind, inject: &Inject, stop: Arc<AtomicBool>) -> anyhow::Result<Ending> {
    let now = Now::read();
    let plan = Arc::new(inject.plan(kind.dialect(), run_tag(now))?);
    let hello = match run::introduce(&plan.settings)? {
        Ok(hello) => hello,
        Err(refused) => anyhow::bail!("{}: {}", inject.target, explained(&refused)),
    };
    let line = LiveLine::new();
    let sums = run::run(plan.clone(), stop, &line)?;
    let failed = sums.gave_up;
    let mut outcome = outcome(kind.name(), inject, &plan, sums, now);
    outcome.server = Some(hello.greeting);
    Ok(Ending { outcome, failed })
}

/// Tells one run from another.
pub(crate) fn run_tag(now: Now) -> u32 {
    fastrand::Rng::with_seed(now.unix_millis ^ u64::from(std::process::id())).u32(..)
}

fn explained(refused: &NotOpened) -> String {
    let NotOpened { answer, at, detail } = refused;
    let advice = match answer {
        Answer::Lost(loss) => loss.advice(),
        Answer::Reply(..) => "look into the server's log",
    };
    format!("{at} failed: {detail}; {advice}")
}

fn outcome(scenario: &str, inject: &Inject, plan: &Plan, sums: Sums, began: Now) -> Outcome {
    let tally = sums.tally;
    let mut remarks = sums.remarks;
    if sums.late > 0 {
        remarks.push(format!(
            "{} messages were due and never begun: the server, or --connections, did not keep up \
             with the rate",
            sums.late
        ));
    }
    if let Some(rate) = plan.tempo.map(|tempo| tempo.rate.peak())
        && tally.counts.acknowledged == 0
    {
        remarks.push(format!("Nothing was acknowledged at {rate}/s"));
    }
    Outcome {
        scenario: scenario.to_owned(),
        command: std::env::args().collect(),
        target: format!("{scenario} {}", inject.target),
        server: None,
        durability: inject.server.durability.clone(),
        machine: machine(inject.server.folder.as_deref()),
        began_secs: began.unix_secs() as i64,
        elapsed_micros: tally.ended_micros.saturating_sub(tally.began_micros),
        load: inject.described(),
        counts: tally.counts,
        octets: tally.octets,
        answers: tally
            .answers
            .iter()
            .map(|(answer, count)| (answer.to_string(), *count))
            .collect(),
        phases: tally.latencies.phases(),
        seconds: tally.seconds.into_vec(),
        usage: sums.usage,
        delivered: None,
        round: None,
        audit: None,
        remarks,
    }
}
