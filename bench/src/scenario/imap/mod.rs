//! `imap`: sessions that append, fetch, flag and search, or a population of them in IDLE.

mod audit;
mod idle;
mod options;
mod visit;

pub(crate) use audit::{Copies, Deleted, audit};
pub(crate) use options::{AccessSource, ImapArgs, WorkArgs};
pub(crate) use visit::visit;

use super::brief::Brief;
use super::live::LiveLine;
use super::run::{self, Plan, Sums};
use super::search::search;
use super::submit::{Ending, run_tag};
use crate::client::imap::deed::Deed;
use crate::client::imap::{Access, Session, Settings};
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
    if let Some(first) = args.load.steps {
        let (sums, steps) = search::<Session>(&args.load, &plan, first, &stop)?;
        let mut ending = steps.ending(outcome(args, sums, now));
        ending.outcome.server = Some(greeting);
        return Ok(ending);
    }
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
    let brief = Brief {
        scenario: "imap",
        target: format!("imap {}", args.target),
        server: &args.server,
        load: args.described(),
        began,
    };
    brief.of_load(sums, "operations")
}
