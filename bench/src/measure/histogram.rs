//! Latencies by phase, in microseconds, with three digits from one microsecond to one hour.

use crate::outcome::Phase;
use hdrhistogram::Histogram;

/// The steps of a message, in the order in which they happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Connect,
    /// A full handshake.
    Tls,
    Resumed,
    Greeting,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// From the last octet sent to the answer.
    Ack,
    Login,
    Select,
    Append,
    Fetch,
    Store,
    Search,
    Sort,
    Thread,
    Move,
    Expunge,
    /// IDLE, from the command to the continuation.
    Idle,
    Stat,
    Uidl,
    List,
    Top,
    Retr,
    Dele,
    /// A reply of a user, from the decision to the server's answer.
    Submission,
    /// From the intended start of an arrival to `* n EXISTS` at a connection in IDLE.
    Exists,
    /// From the intended start to the answer.
    Whole,
    /// From the intended start to the moment it was seen in the mailbox or at the sink.
    Inbox,
    /// A synced write to the disk, without a server; from the intended start.
    Write,
}

const NAMES: [&str; 31] = [
    "connect",
    "tls",
    "tls resumed",
    "greeting",
    "auth",
    "mail",
    "rcpt",
    "data",
    "ack",
    "login",
    "select",
    "append",
    "fetch",
    "store",
    "search",
    "sort",
    "thread",
    "move",
    "expunge",
    "idle",
    "stat",
    "uidl",
    "list",
    "top",
    "retr",
    "dele",
    "submission",
    "exists",
    "whole",
    "inbox",
    "write",
];

/// One histogram a phase, made when the first value comes.
#[derive(Clone, Default)]
pub(crate) struct Latencies {
    steps: [Option<Box<Histogram<u64>>>; NAMES.len()],
}

impl Latencies {
    /// Values above an hour count as an hour.
    pub(crate) fn record(&mut self, step: Step, micros: u64) {
        if let Some(slot) = self.steps.get_mut(step as usize) {
            let histogram = slot.get_or_insert_with(|| Box::new(empty()));
            histogram.saturating_record(micros.max(1));
        }
    }

    pub(crate) fn merge(&mut self, other: &Latencies) {
        for (own, others) in self.steps.iter_mut().zip(&other.steps) {
            let Some(others) = others else { continue };
            let own = own.get_or_insert_with(|| Box::new(empty()));
            own.add(&**others).expect("all have the same bounds");
        }
    }

    pub(crate) fn of(&self, step: Step) -> Option<&Histogram<u64>> {
        self.steps.get(step as usize)?.as_deref()
    }

    /// The phases that happened.
    pub(crate) fn phases(&self) -> Vec<Phase> {
        let named = NAMES.iter().zip(&self.steps);
        named
            .filter_map(|(name, histogram)| Some(phase(name, histogram.as_deref()?)))
            .collect()
    }
}

/// A histogram with the bounds that all have.
pub(crate) fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HOUR_MICROS, 3).expect("the bounds are constants that fit")
}

fn phase(name: &str, histogram: &Histogram<u64>) -> Phase {
    let at = |percentile: f64| (percentile, histogram.value_at_percentile(percentile));
    Phase {
        name: name.to_owned(),
        count: histogram.len(),
        mean: histogram.mean(),
        max: histogram.max(),
        percentiles: PERCENTILES.map(at).to_vec(),
    }
}

const HOUR_MICROS: u64 = 3_600_000_000;

/// Those that people ask for, and enough between them to draw a curve.
const PERCENTILES: [f64; 18] = [
    1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.95, 99.99,
    99.999, 99.9999, 100.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_to_three_digits_and_merge() {
        let (mut one, mut two) = (Latencies::default(), Latencies::default());
        for micros in 1..=50_000 {
            one.record(Step::Ack, micros);
            two.record(Step::Ack, micros + 50_000);
        }
        two.record(Step::Whole, u64::MAX);
        one.merge(&two);
        let phases = one.phases();
        let ack = &phases[0];
        assert_eq!((ack.name.as_str(), ack.count), ("ack", 100_000));
        for (percentile, micros) in &ack.percentiles {
            let exact = percentile * 1_000.0;
            assert!(
                (*micros as f64 - exact).abs() <= exact / 1_000.0 + 1.0,
                "{percentile}"
            );
        }
        assert_eq!(phases[1].name, "whole");
        assert!(phases[1].max >= HOUR_MICROS && phases.len() == 2);
    }
}
