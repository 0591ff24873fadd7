//! `smtp`, `submission`, `lmtp`: mail into a server, what the answers took, and what became of it.

use super::brief::Brief;
use super::live::LiveLine;
use super::options::Inject;
use super::proof::Proof;
use super::run::{self, Plan, Sums};
use super::search;
use crate::client::smtp::opening::Hello;
use crate::client::smtp::{Dialect, Pipelining, Session};
use crate::load::corpus::Framing;
use crate::outcome::Outcome;
use anyhow::bail;
use engine::reactor::Now;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A scenario that injects mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Smtp,
    Submission,
    Lmtp,
    Relay,
}

/// What a scenario ends with.
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    /// The server stopped answering, or something could not be measured.
    pub(crate) failed: bool,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Smtp => "smtp",
            Kind::Submission => "submission",
            Kind::Lmtp => "lmtp",
            Kind::Relay => "relay",
        }
    }

    fn dialect(self) -> Dialect {
        match self {
            Kind::Lmtp => Dialect::Lmtp,
            _ => Dialect::Smtp,
        }
    }

    /// The load, after the server has shown that it answers; and what it says of itself.
    pub(crate) fn plan(self, inject: &Inject, run: u32) -> anyhow::Result<(Arc<Plan>, Hello)> {
        let plan = Arc::new(inject.plan(self.dialect(), self == Kind::Submission, run)?);
        match run::introduce(&plan.settings)? {
            Ok(hello) => {
                let chunks = plan.settings.corpus.framing() == Framing::Chunk;
                if chunks && !hello.offer.chunking {
                    bail!(
                        "{} does not offer CHUNKING: leave --bdat out",
                        inject.target
                    );
                }
                Ok((plan, hello))
            }
            Err(refused) => bail!("{}: {}", inject.target, refused.explained()),
        }
    }
}

impl Ending {
    /// With what the server said of itself.
    pub(crate) fn of_server(mut self, plan: &Plan, hello: Hello) -> Ending {
        self.outcome.server = Some(hello.greeting);
        if plan.settings.pipelining != Pipelining::None && !hello.offer.pipelining {
            let why = "The server does not offer PIPELINING: each command waited for its answer";
            self.outcome.remarks.push(why.into());
        }
        self
    }
}

/// Runs it.
pub(crate) fn submit(kind: Kind, inject: &Inject, stop: Arc<AtomicBool>) -> anyhow::Result<Ending> {
    let now = Now::read();
    let tag = run_tag(now);
    Proof::check(inject)?;
    let (plan, hello) = kind.plan(inject, tag)?;
    if let Some(first) = inject.load.steps {
        let (sums, steps) = search::search::<Session>(&inject.load, &plan, first, &stop)?;
        let outcome = outcome(kind, inject, &plan, sums, now);
        return Ok(steps.ending(outcome).of_server(&plan, hello));
    }
    let proof = Proof::begin(inject, &plan, tag)?;
    let line = LiveLine::new();
    let mut sums = run::run::<Session>(plan.clone(), stop, &line)?;
    let proven = proof.end(&plan, &mut sums, tag, &line);
    let failed = sums.gave_up || proven.failed;
    let mut outcome = outcome(kind, inject, &plan, sums, now);
    outcome.audit = proven.audit;
    Ok(Ending { outcome, failed }.of_server(&plan, hello))
}

/// Tells one run from another.
pub(crate) fn run_tag(now: Now) -> u32 {
    fastrand::Rng::with_seed(now.unix_millis ^ u64::from(std::process::id())).u32(..)
}

/// The sums as a report has them.
pub(crate) fn outcome(kind: Kind, inject: &Inject, plan: &Plan, sums: Sums, began: Now) -> Outcome {
    let mut load = inject.described();
    if plan.settings.password.is_some() {
        load.with.push("AUTH PLAIN".into());
    }
    let brief = Brief {
        scenario: kind.name(),
        target: format!("{} {}", kind.name(), inject.target),
        server: &inject.server,
        load,
        began,
    };
    brief.of_load(sums, "messages")
}
