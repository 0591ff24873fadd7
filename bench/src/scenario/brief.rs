//! What a run was asked for; with its sums it makes the outcome, alike for all scenarios.

use super::options::ServerArgs;
use super::run::Sums;
use crate::measure::machine::machine;
use crate::measure::tally::Tally;
use crate::outcome::{Load, Outcome};
use engine::reactor::Now;

/// Everything of an outcome that is known before the load begins.
pub(crate) struct Brief<'a> {
    pub(crate) scenario: &'static str,
    pub(crate) target: String,
    pub(crate) server: &'a ServerArgs,
    pub(crate) load: Load,
    pub(crate) began: Now,
}

impl Brief<'_> {
    /// Of everything that was counted.
    pub(crate) fn outcome(self, tally: Tally) -> Outcome {
        Outcome {
            scenario: self.scenario.to_owned(),
            command: std::env::args().collect(),
            target: self.target,
            durability: self.server.durability.clone(),
            machine: machine(self.server.folder.as_deref()),
            began_secs: self.began.unix_secs() as i64,
            elapsed_micros: tally.ended_micros.saturating_sub(tally.began_micros),
            load: self.load,
            counts: tally.counts,
            octets: tally.octets,
            answers: tally.told(),
            phases: tally.latencies.phases(),
            seconds: tally.seconds.into_vec(),
            ..Outcome::default()
        }
    }

    /// Of a load of these `operations`, with what is to be known about it.
    pub(crate) fn of_load(self, sums: Sums, operations: &str) -> Outcome {
        let mut outcome = self.outcome(sums.tally);
        outcome.usage = sums.usage;
        outcome.remarks = sums.remarks;
        if sums.late > 0 {
            outcome.remarks.push(format!(
                "{} {operations} were due and never begun: the server, or --connections, did not \
                 keep up with the rate",
                sums.late
            ));
        }
        outcome
    }
}
