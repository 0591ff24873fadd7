//! Servers in turn, round by round: load one, wait until all has arrived, take its cost.
//!
//! A machine drifts, so no server has its runs in a row: each round has every server once, and each
//! round begins with another one. Before a load the disk is quiet (sync), because what a
//! predecessor left dirty would be written on its successor's account. What a run counts is what
//! is in the mailboxes; what was acknowledged and never arrives is said and makes the whole fail.

use crate::measure::machine::machine;
use crate::measure::usage::Meter;
use crate::outcome::{Audit, Delivered, Outcome};
use crate::peer::Target;
use crate::peer::count::Counter;
use anyhow::{Context, bail};
use engine::reactor::clock::instant;
use std::path::{Path, PathBuf};

/// What a load is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// A few messages, so that mailboxes are made and processes started; it is not counted, and
    /// is audited where mailboxes can be read.
    Pilot,
    Whole,
}

/// What a generator gives back.
pub(crate) struct Loaded {
    pub(crate) outcome: Outcome,
    /// Copies that are to arrive: acknowledged messages times their recipients; `None` where a load
    /// is more than arrivals.
    pub(crate) copies: Option<u64>,
}

/// Loads a server.
pub(crate) type Generator<'a> = dyn FnMut(&Target, Extent) -> anyhow::Result<Loaded> + 'a;

/// What to do, and what became of it so far.
pub(crate) struct Turns<'a> {
    pub(crate) runs: u32,
    /// Disk that must stay free there.
    pub(crate) scratch: PathBuf,
    pub(crate) command: Vec<String>,
    /// Told after each run: all outcomes so far, the last one is new.
    pub(crate) kept: &'a mut dyn FnMut(&[Outcome]) -> anyhow::Result<()>,
    /// Asked before each run: whether to stop with what there is.
    pub(crate) is_stopped: &'a dyn Fn() -> bool,
}

/// What came out, and what went wrong on the way.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) failures: Vec<String>,
}

struct Contender<'t> {
    target: &'t Target,
    counter: Counter,
    /// Of the pilot; the first counted run tells it.
    audit: Option<Audit>,
    has_failed: bool,
}

impl Turns<'_> {
    pub(crate) fn take(
        &mut self,
        targets: &[&Target],
        generator: &mut Generator,
    ) -> anyhow::Result<Taken> {
        let mut contenders = Vec::new();
        for target in targets {
            let counter = Counter::begin(target).with_context(|| target.name.clone())?;
            contenders.push(Contender {
                target,
                counter,
                audit: None,
                has_failed: false,
            });
        }
        let mut taken = Taken::default();
        self.round(None, &mut contenders, generator, &mut taken)?;
        for round in 0..self.runs {
            self.round(Some(round), &mut contenders, generator, &mut taken)?;
            contenders.rotate_left(1);
        }
        Ok(taken)
    }

    /// A server that fails is left out from then on; the others go on.
    fn round(
        &mut self,
        round: Option<u32>,
        contenders: &mut [Contender],
        generator: &mut Generator,
        taken: &mut Taken,
    ) -> anyhow::Result<()> {
        for contender in contenders.iter_mut().filter(|one| !one.has_failed) {
            if (self.is_stopped)() {
                return Ok(());
            }
            self.check_space()?;
            match self.turn(round, contender, generator) {
                Ok(None) => {}
                Ok(Some((outcome, copies))) => {
                    taken.failures.extend(wrong(&outcome, copies));
                    taken.outcomes.push(outcome);
                    (self.kept)(&taken.outcomes)?;
                }
                Err(why) => {
                    contender.has_failed = true;
                    let name = &contender.target.name;
                    taken
                        .failures
                        .push(format!("{name} is left out from here on: {why:#}"));
                }
            }
        }
        Ok(())
    }

    /// Gives what came out and how many copies were to arrive; nothing for the pilot.
    fn turn(
        &self,
        round: Option<u32>,
        contender: &mut Contender,
        generator: &mut Generator,
    ) -> anyhow::Result<Option<(Outcome, Option<u64>)>> {
        let target = contender.target;
        let Some(round) = round else {
            let loaded = generator(target, Extent::Pilot)?;
            if let Some(copies) = loaded.copies {
                contender.counter.await_all(copies)?;
            }
            contender.audit = loaded.outcome.audit;
            return Ok(None);
        };
        rustix::fs::sync();
        let folder = target.folder.as_deref();
        let subject = target.subject();
        let meter = subject
            .map(|subject| Meter::begin(&subject, folder))
            .transpose()?;
        let Loaded {
            mut outcome,
            copies,
        } = generator(target, Extent::Whole)?;
        let ended = instant();
        let arrived = match copies {
            Some(copies) => Some((copies, contender.counter.await_all(copies)?)),
            None => None,
        };
        if let Some((usage, remarks)) = meter.map(Meter::end).transpose()? {
            outcome.usage = Some(usage);
            outcome.remarks.extend(remarks);
        }
        if let Some((copies, arrived)) = arrived {
            outcome.delivered = Some(Delivered {
                count: arrived,
                elapsed_micros: outcome.elapsed_micros + ended.elapsed().as_micros() as u64,
            });
            if arrived != copies {
                let remark = format!("{copies} were to arrive, {arrived} did");
                outcome.remarks.push(remark);
            }
        }
        outcome.audit = outcome.audit.take().or_else(|| contender.audit.take());
        outcome.round = Some(round);
        outcome.server = Some(target.server.clone());
        outcome.durability = Some(target.durability.clone());
        outcome.machine = machine(Some(folder.unwrap_or(&self.scratch)));
        outcome.command.clone_from(&self.command);
        Ok(Some((outcome, copies)))
    }

    fn check_space(&self) -> anyhow::Result<()> {
        let free = free_bytes(&self.scratch)?;
        if free < FREE_BYTES_MIN {
            let gib = free >> 30;
            bail!(
                "{} has {gib} GiB left: too little to go on",
                self.scratch.display()
            );
        }
        Ok(())
    }
}

/// What makes a comparison fail: copies that are missing, or that nobody can have asked for.
fn wrong(outcome: &Outcome, copies: Option<u64>) -> Option<String> {
    let server = outcome.server.as_deref().unwrap_or("the server");
    if outcome
        .audit
        .as_ref()
        .is_some_and(|audit| !audit.is_clean())
    {
        return Some(format!(
            "{server}: the audit of the pilot found messages lost or changed"
        ));
    }
    let (copies, arrived) = (copies?, outcome.delivered?.count);
    // A message whose answer was lost may have arrived or not.
    let is_doubled = arrived > copies && outcome.counts.unanswered == 0;
    let is_wrong = arrived < copies || is_doubled;
    is_wrong.then(|| format!("{server}: {copies} were to arrive, {arrived} did"))
}

fn free_bytes(folder: &Path) -> anyhow::Result<u64> {
    let stat = rustix::fs::statvfs(folder).with_context(|| folder.display().to_string())?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// A run writes some gigabytes at most; a full disk helps nobody.
const FREE_BYTES_MIN: u64 = 4 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Counts;
    use crate::peer::Counting;

    fn target(name: &str) -> Target {
        Target {
            name: name.to_string(),
            server: name.to_uppercase(),
            counting: Counting::Acknowledged,
            ..Target::default()
        }
    }

    fn loaded(acknowledged: u64) -> Loaded {
        let outcome = Outcome {
            scenario: "smtp".to_string(),
            elapsed_micros: 1_000_000,
            counts: Counts {
                attempted: acknowledged,
                acknowledged,
                ..Counts::default()
            },
            ..Outcome::default()
        };
        Loaded {
            outcome,
            copies: Some(acknowledged),
        }
    }

    fn take(runs: u32, targets: &[&Target], generator: &mut Generator) -> (Taken, Vec<usize>) {
        let mut kept = Vec::new();
        let mut turns = Turns {
            runs,
            scratch: PathBuf::from("/"),
            command: vec!["compare".to_string()],
            kept: &mut |outcomes| {
                kept.push(outcomes.len());
                Ok(())
            },
            is_stopped: &|| false,
        };
        let taken = turns.take(targets, generator).unwrap();
        (taken, kept)
    }

    #[test]
    fn servers_take_turns_and_each_round_begins_with_another() {
        let (a, b, c) = (target("a"), target("b"), target("c"));
        let mut order = String::new();
        let mut generator = |target: &Target, extent: Extent| {
            order.push_str(if extent == Extent::Pilot { "-" } else { "" });
            order.push_str(&target.name);
            Ok(loaded(5))
        };
        let (taken, kept) = take(3, &[&a, &b, &c], &mut generator);
        assert_eq!(order, "-a-b-cabcbcacab");
        assert_eq!(kept, (1..=9).collect::<Vec<_>>());
        let of_b = taken
            .outcomes
            .iter()
            .filter(|outcome| outcome.server.as_deref() == Some("B"));
        let rounds: Vec<_> = of_b.map(|outcome| outcome.round).collect();
        assert_eq!(rounds, [Some(0), Some(1), Some(2)]);
        let first = &taken.outcomes[0];
        assert_eq!(first.delivered.unwrap().count, 5);
        assert!(first.delivered.unwrap().elapsed_micros >= first.elapsed_micros);
        assert!(!first.machine.kernel.is_empty() && first.command == ["compare"]);
        assert!(taken.failures.is_empty());
    }

    #[test]
    fn a_server_that_fails_is_left_out_and_named_and_the_other_goes_on() {
        let (a, b) = (target("a"), target("b"));
        let mut turns_of_b = 0;
        let mut generator = |target: &Target, _| {
            if target.name == "b" {
                turns_of_b += 1;
                if turns_of_b == 3 {
                    bail!("connection refused");
                }
            }
            Ok(loaded(5))
        };
        let (taken, _) = take(4, &[&a, &b], &mut generator);
        assert_eq!(turns_of_b, 3);
        assert_eq!(taken.outcomes.len(), 4 + 1);
        assert_eq!(taken.failures.len(), 1);
        assert!(taken.failures[0].contains("connection refused"));
    }

    #[test]
    fn what_is_missing_or_doubled_is_a_failure() {
        let mut outcome = loaded(5).outcome;
        let mut arrived = |count, unanswered| {
            outcome.delivered = Some(Delivered {
                count,
                elapsed_micros: 1,
            });
            outcome.counts.unanswered = unanswered;
            wrong(&outcome, Some(10))
        };
        assert_eq!(arrived(10, 0), None);
        assert_eq!(
            arrived(11, 1),
            None,
            "nobody knows what became of the unanswered"
        );
        assert!(arrived(9, 0).unwrap().contains("10 were to arrive, 9 did"));
        assert!(arrived(11, 0).unwrap().contains("11 did"));
    }

    #[test]
    fn a_stop_keeps_what_there_is() {
        let a = target("a");
        let loads = std::cell::Cell::new(0);
        let mut turns = Turns {
            runs: 5,
            scratch: PathBuf::from("/"),
            command: Vec::new(),
            kept: &mut |_| Ok(()),
            is_stopped: &|| loads.get() == 3,
        };
        let mut generator = |_: &Target, _| {
            loads.set(loads.get() + 1);
            Ok(loaded(1))
        };
        assert_eq!(turns.take(&[&a], &mut generator).unwrap().outcomes.len(), 2);
    }

    #[test]
    fn a_scratch_that_is_not_there_is_named() {
        let why = free_bytes(Path::new("/no/such/scratch")).unwrap_err();
        assert!(format!("{why:#}").contains("/no/such/scratch"));
    }
}
