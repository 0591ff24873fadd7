//! What goes on beside a load and after it: a kill, watched INBOXes, the audit.

use super::inbox::{self, Watch};
use super::kill::Kill;
use super::live::LiveLine;
use super::options::{Inject, misused};
use super::run::{Plan, Sums};
use crate::client::mailbox::{Door, Position};
use crate::load::stamp;
use crate::measure::audit::{Sighting, audit};
use crate::measure::ledger::Ledgers;
use crate::outcome::Audit;
use anyhow::Context;

/// What was prepared before the load began.
pub(crate) struct Proof {
    kill: Option<Kill>,
    watch: Option<Watch>,
    /// Where mailboxes are read, and where each one ended.
    before: Option<(Door, Vec<Position>)>,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Proven {
    pub(crate) audit: Option<Audit>,
    /// Something that was asked for was not done.
    pub(crate) failed: bool,
}

impl Proof {
    /// Whether the command line says all that is needed.
    pub(crate) fn check(inject: &Inject) -> anyhow::Result<()> {
        match inject.proof.audit && inject.proof.imap.is_none() {
            true => misused("--audit reads INBOXes: --imap and --password say where and how"),
            false => Ok(()),
        }
    }

    /// Looks where the mailboxes end, begins to watch, and sets the kill.
    pub(crate) fn begin(inject: &Inject, plan: &Plan, run: u32) -> anyhow::Result<Proof> {
        let accounts = &inject.message.accounts;
        let door = inject.door()?;
        let watch = match (&door, inject.proof.inbox) {
            (Some(door), Some(count)) => Some(
                Watch::begin(door.clone(), accounts, count, run).context("cannot watch INBOXes")?,
            ),
            _ => None,
        };
        let before = match door.filter(|_| inject.proof.audit) {
            Some(door) => {
                let positions = inbox::positions(&door, accounts)?;
                Some((door, positions))
            }
            None => None,
        };
        Ok(Proof {
            kill: inject.kill(&plan.begun)?,
            watch,
            before,
        })
    }

    /// After the load: adds what was watched to the sums, and audits.
    pub(crate) fn end(self, plan: &Plan, sums: &mut Sums, run: u32, line: &LiveLine) -> Proven {
        let mut proven = Proven::default();
        if let Some(kill) = self.kill {
            proven.failed |= tell_kill(kill, sums);
        }
        if let Some(watch) = self.watch {
            let (latencies, trouble) = watch.end();
            sums.tally.latencies.merge(&latencies);
            proven.failed |= trouble.is_some();
            sums.remarks.extend(trouble);
        }
        let Some((door, before)) = self.before else {
            return proven;
        };
        line.say("audit: reading every INBOX".into());
        let judged = in_mailboxes(&door, before, plan, &sums.ledgers, run);
        line.clear();
        match judged {
            Ok(audit) => proven.audit = Some(audit),
            Err(why) => {
                proven.failed = true;
                sums.remarks.push(format!("No audit: {why:#}"));
            }
        }
        proven
    }
}

/// Says how the kill went; `true`: it did not come off.
fn tell_kill(kill: Kill, sums: &mut Sums) -> bool {
    match kill.told() {
        Ok(remark) => {
            sums.remarks.push(remark);
            false
        }
        Err(why) => {
            let remark = format!("The kill did not come off: {why:#}");
            sums.remarks.push(remark);
            true
        }
    }
}

/// Holds what was seen against the ledgers of a run.
pub(crate) fn judge(plan: &Plan, ledgers: &Ledgers, sightings: Vec<Sighting>, run: u32) -> Audit {
    let settings = &plan.settings;
    let name = |number, account| {
        let id = stamp::id(run, number);
        match account < settings.accounts.len() {
            true => format!("{id} to {}", settings.accounts.name(account)),
            false => format!("{id} to a stranger"),
        }
    };
    audit(
        ledgers,
        sightings,
        |number| settings.recipients(number),
        name,
    )
}

/// Copies that acknowledged messages come to.
pub(crate) fn expected(plan: &Plan, ledgers: &Ledgers) -> u64 {
    judge(plan, ledgers, Vec::new(), 0).acknowledged
}

fn in_mailboxes(
    door: &Door,
    before: Vec<Position>,
    plan: &Plan,
    ledgers: &Ledgers,
    run: u32,
) -> anyhow::Result<Audit> {
    let expected = expected(plan, ledgers);
    let accounts = &plan.settings.accounts;
    let sightings = inbox::sightings(door, accounts, before, run, expected)?;
    Ok(judge(plan, ledgers, sightings, run))
}
