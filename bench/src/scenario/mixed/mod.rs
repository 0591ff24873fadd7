//! `mixed`: users with sessions and IDLE while mail arrives, and an audit of it all at the end.
//!
//! Open loop: arrivals and sessions begin when their moment comes, whatever the server does.

pub(crate) mod day;
mod options;
mod shard;
mod user;

pub(crate) use options::{DayArgs, MixedArgs};

use super::board::Board;
use super::brief::Brief;
use super::imap::{Copies, audit, greeting, visit};
use super::live::LiveLine;
use super::run::{introduce, seat};
use super::submit::{Ending, run_tag};
use crate::client::imap::Session;
use crate::measure::ledger::Ledgers;
use crate::measure::tally::Tally;
use crate::measure::usage::Meter;
use crate::outcome::{Audit, Outcome, Usage};
use anyhow::{Context, bail};
use engine::reactor::clock::{instant, monotonic_micros};
use engine::reactor::runtime::start_shard;
use engine::reactor::{Now, idle};
use options::Plan;
use shard::{Shard, Yield};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// The sums of all threads.
struct Sums {
    tally: Tally,
    ledgers: Ledgers,
    deleted: Vec<super::imap::Deleted>,
    failed_steps: u64,
    late: u64,
}

/// Runs it.
pub(crate) fn mixed(args: &MixedArgs, stop: Arc<AtomicBool>) -> anyhow::Result<Ending> {
    let now = Now::read();
    let plan = Arc::new(args.plan(run_tag(now))?);
    let server = greeting(&plan.access, plan.accounts.name(0), &args.imap)?;
    for settings in [&plan.arrivals, &plan.submission] {
        if let Err(refused) = introduce(settings)? {
            bail!("{}: {}", settings.target, refused.explained());
        }
    }
    let line = LiveLine::new();
    line.say(format!("looking into {} mailboxes", plan.users));
    let uids: Arc<[u32]> = prepare(&plan)?.into();
    let mut remarks = Vec::new();
    let (sums, usage) = run(args, &plan, &uids, stop, &line, &mut remarks)?;
    line.say("audit: reading every mailbox".into());
    let audited = audited(&plan, &uids, &sums);
    line.clear();
    let mut failed = sums.failed_steps > 0 || sums.late > 0;
    let audited = match audited {
        Ok(audited) => Some(audited),
        Err(why) => {
            failed = true;
            remarks.push(format!("{why:#}"));
            None
        }
    };
    let mut outcome = outcome(args, &plan, sums, now);
    failed |= outcome.counts.acknowledged < outcome.counts.attempted;
    outcome.server = Some(server);
    outcome.usage = usage;
    outcome.audit = audited;
    outcome.remarks.extend(remarks);
    Ok(Ending { outcome, failed })
}

/// Makes the archives; where each INBOX's new messages will begin.
fn prepare(plan: &Plan) -> anyhow::Result<Vec<u32>> {
    let prepared = visit(
        &plan.access,
        &plan.accounts,
        async |_, session: &mut Session| {
            for mailbox in [user::ARCHIVE, "INBOX"] {
                let answer = session.select(mailbox).await?;
                if !answer.is_positive() {
                    let why = format!("{mailbox}: the server answers {answer}");
                    return Err(std::io::Error::other(why));
                }
            }
            Ok(session.uid_next)
        },
    );
    prepared.context("cannot look into the mailboxes")
}

fn run(
    args: &MixedArgs,
    plan: &Arc<Plan>,
    uids: &Arc<[u32]>,
    stop: Arc<AtomicBool>,
    line: &LiveLine,
    remarks: &mut Vec<String>,
) -> anyhow::Result<(Sums, Option<Usage>)> {
    let subject = args.server.subject();
    let meter = subject.map(|subject| Meter::begin(&subject, args.server.folder.as_deref()));
    let meter = meter
        .transpose()
        .context("the server's use is not known: --pid and --cgroup")?;
    let board = Arc::new(Board::new(plan.threads, stop));
    let began = monotonic_micros() + HEAD_START_MICROS;
    board.began_micros.store(began, Ordering::Relaxed);
    let (yields, harvest) = mpsc::channel();
    for index in 0..plan.threads {
        let (plan, board, yields) = (plan.clone(), board.clone(), yields.clone());
        let uids = uids.clone();
        start_shard(index as usize, seat(), move || async move {
            let shard = Shard::new(&plan, &board, index);
            // The main thread waits for it; it has gone only when the process ends.
            let _ = yields.send((index, shard.work(uids).await));
        })?;
    }
    drop(yields);
    let mut all = Vec::new();
    loop {
        match harvest.recv_timeout(LOOK) {
            Ok(one) => all.push(one),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                line.show(&board.look(), monotonic_micros().saturating_sub(began));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    if all.len() < plan.threads as usize {
        bail!("a thread of the load ended before its time");
    }
    let mut usage = None;
    if let Some((used, told)) = meter.map(Meter::end).transpose()? {
        remarks.extend(told);
        usage = Some(used);
    }
    Ok((added(all), usage))
}

fn added(mut all: Vec<(u32, Yield)>) -> Sums {
    all.sort_by_key(|(index, _)| *index);
    let mut sums = Sums {
        tally: Tally::new(),
        ledgers: Ledgers::default(),
        deleted: Vec::new(),
        failed_steps: 0,
        late: 0,
    };
    let mut inside = Vec::new();
    for (_, one) in all {
        sums.tally.merge(&one.tally);
        sums.ledgers.0.push(one.outside);
        inside.push(one.inside);
        sums.deleted.extend(one.deleted);
        sums.failed_steps += one.failed_steps;
        sums.late += one.late;
    }
    // The ledger of a number is the one at its remainder: first those from outside, then answers.
    sums.ledgers.0.extend(inside);
    sums
}

/// Reads until nothing is missing any more, or has been for a while: a server may deliver late.
fn audited(plan: &Plan, uids: &[u32], sums: &Sums) -> anyhow::Result<Audit> {
    let mailboxes = ["INBOX", user::ARCHIVE].map(str::to_owned);
    let began = instant();
    loop {
        let from = uids.to_vec();
        let mut copies = Copies::read(&plan.access, &plan.accounts, &mailboxes, from, plan.run)?;
        copies.count_deleted(&sums.deleted);
        let recipients = |number| plan.arrivals.recipients(number);
        let audited = audit(&sums.ledgers, copies, plan.run, recipients);
        if audited.missing_count == 0 || began.elapsed() > ARRIVAL_MAX {
            return Ok(audited);
        }
        idle::rest(ROUND);
    }
}

fn outcome(args: &MixedArgs, plan: &Plan, sums: Sums, began: Now) -> Outcome {
    let mut remarks = Vec::new();
    if sums.failed_steps > 0 {
        remarks.push(format!(
            "{} steps of IMAP were refused or got no answer: see the answers",
            sums.failed_steps
        ));
    }
    if sums.late > 0 {
        remarks.push(format!(
            "{} arrivals were due and never begun: the server, or --injectors, did not keep up",
            sums.late
        ));
    }
    let brief = Brief {
        scenario: "mixed",
        target: args.told(),
        server: &args.server,
        load: args.described(plan),
        began,
    };
    Outcome {
        remarks,
        ..brief.outcome(sums.tally)
    }
}

/// How often the live line changes.
const LOOK: Duration = Duration::from_millis(200);

/// Threads are there before the run begins.
const HEAD_START_MICROS: u64 = 200_000;

/// What has not arrived by then is lost.
const ARRIVAL_MAX: Duration = Duration::from_secs(10);
const ROUND: Duration = Duration::from_millis(500);
