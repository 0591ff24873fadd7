//! `imap`: sessions that append, fetch, flag and search, or a population of them in IDLE.

mod audit;
mod idle;
mod options;
mod visit;

pub(crate) use audit::{Copies, Deleted, audit};
pub(crate) use options::{AccessSource, ImapArgs, WorkArgs};
pub(crate) use visit::visit;

use super::live::LiveLine;
use super::run::{self, Plan, Sums};
use super::submit::{Ending, run_tag};
use crate::client::imap::deed::Deed;
use crate::client::imap::{Access, Session, Settings};
use crate::measure::machine::machine;
use crate::outcome::Outcome;
use anyhow::bail;
use engine::reactor::Now;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Runs it.
pub(crate) fn imap(args: &ImapArgs, stop: Arc<AtomicBool>) -> anyhow::Result<Ending> {
    args.check()?;
    if args.deeds == [Deed::Idle] {
        return idle::idle(args, stop);
    }
    let now = Now::read();
    let tag = run_tag(now);
    let plan = Arc::new(args.plan(tag)?);
    let greeting = greeting(&plan.settings.access, args.accounts.name(0), &args.target)?;
    let line = LiveLine::new();
    let sums = run::run::<Session>(plan.clone(), stop, &line)?;
    let failed = sums.gave_up;
    let audited = match args.audit {
        true => Some(audited(&plan, &sums, tag)?),
        false => None,
    };
    let mut outcome = outcome(args, sums, now);
    outcome.server = Some(greeting);
    outcome.audit = audited;
    Ok(Ending { outcome, failed })
}

/// What the server says of itself; whether a load makes sense.
pub(crate) fn greeting(access: &Arc<Access>, user: &str, target: &str) -> anyhow::Result<String> {
    let (own, user) = (access.clone(), user.to_owned());
    let told = run::alone(move || async move {
        let (session, greeting) = Session::log_in(&own, &user, 0).await?;
        session.leave().await;
        Ok::<_, crate::client::NotOpened>(greeting)
    })?;
    match told {
        Ok(greeting) => Ok(greeting),
        Err(refused) => bail!("imap {target}: {}", refused.explained()),
    }
}

/// A session appends to its own account only; which it was does not matter to the audit.
fn audited(plan: &Plan<Settings>, sums: &Sums, tag: u32) -> anyhow::Result<crate::outcome::Audit> {
    let settings = &plan.settings;
    let mailboxes = [settings.mailbox.clone()];
    let mut copies = Copies::read(
        &settings.access,
        &settings.accounts,
        &mailboxes,
        Vec::new(),
        tag,
    )?;
    copies.forget_accounts();
    Ok(audit(&sums.ledgers, copies, tag, |_| std::iter::once(0)))
}

fn outcome(args: &ImapArgs, sums: Sums, began: Now) -> Outcome {
    let tally = sums.tally;
    let mut remarks = sums.remarks;
    if sums.late > 0 {
        remarks.push(format!(
            "{} operations were due and never begun: the server, or --connections, did not keep \
             up with the rate",
            sums.late
        ));
    }
    Outcome {
        scenario: "imap".to_owned(),
        command: std::env::args().collect(),
        target: format!("imap {}", args.target),
        server: None,
        durability: args.server.durability.clone(),
        machine: machine(args.server.folder.as_deref()),
        began_secs: began.unix_secs() as i64,
        elapsed_micros: tally.ended_micros.saturating_sub(tally.began_micros),
        load: args.described(),
        counts: tally.counts,
        octets: tally.octets,
        answers: tally.told(),
        phases: tally.latencies.phases(),
        seconds: tally.seconds.into_vec(),
        usage: sums.usage,
        delivered: None,
        round: None,
        audit: None,
        population: Vec::new(),
        remarks,
    }
}
