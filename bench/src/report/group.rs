//! Outcomes that belong together: repeats of one server under one load, and servers side by side.
//!
//! A figure of repeats is their median with the smallest and the largest. Servers are compared
//! round by round, because a machine drifts: the ratio is the median of the ratios of pairs,
//! never the ratio of medians.

use crate::outcome::{Load, Outcome, Phase};

/// Everything that was asked the same: one load, several servers.
pub(super) struct Question<'a> {
    pub(super) scenario: &'a str,
    pub(super) load: &'a Load,
    /// In the order in which they came; the first is what the others are compared with.
    pub(super) groups: Vec<Group<'a>>,
}

/// Repeats of one server.
pub(super) struct Group<'a> {
    pub(super) server: &'a str,
    pub(super) runs: Vec<&'a Outcome>,
}

/// Median, smallest and largest of repeats.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) count: usize,
}

/// What can be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Figure {
    /// Acknowledged a second.
    Accepted,
    /// In the mailboxes, a second.
    Delivered,
    /// CPU seconds of the server per 1,000 messages.
    Cpu,
    /// Octets a message that the server wrote.
    Written,
    /// Octets a message that its disk wrote.
    DeviceWritten,
    /// The most memory.
    Resident,
}

impl Figure {
    pub(super) fn of(self, outcome: &Outcome) -> Option<f64> {
        let messages = outcome
            .delivered
            .map_or(outcome.counts.acknowledged, |d| d.count);
        let messages = messages as f64;
        let each = |sum: u64| (messages > 0.0).then(|| sum as f64 / messages);
        let usage = outcome.usage;
        match self {
            Figure::Accepted => Some(outcome.rate()),
            Figure::Delivered => outcome.delivered_rate(),
            Figure::Cpu => each(usage?.cpu_micros).map(|micros| micros / 1e3),
            Figure::Written => each(usage?.written_bytes),
            Figure::DeviceWritten => each(usage?.device?.written_bytes),
            Figure::Resident => Some(usage?.resident_bytes as f64),
        }
    }
}

/// Sorted into questions and groups, in the order of their first appearance.
pub(super) fn questions(outcomes: &[Outcome]) -> Vec<Question<'_>> {
    let mut questions: Vec<Question> = Vec::new();
    for outcome in outcomes {
        let same = |q: &&mut Question| q.scenario == outcome.scenario && *q.load == outcome.load;
        let question = match questions.iter_mut().find(same) {
            Some(question) => question,
            None => {
                questions.push(Question {
                    scenario: &outcome.scenario,
                    load: &outcome.load,
                    groups: Vec::new(),
                });
                questions.last_mut().expect("one was pushed")
            }
        };
        question.add(outcome);
    }
    questions
}

impl<'a> Question<'a> {
    fn add(&mut self, outcome: &'a Outcome) {
        let server = outcome.server.as_deref().unwrap_or(&outcome.target);
        match self.groups.iter_mut().find(|group| group.server == server) {
            Some(group) => group.runs.push(outcome),
            None => self.groups.push(Group {
                server,
                runs: vec![outcome],
            }),
        }
    }

    /// Whether any of them knows the figure.
    pub(super) fn knows(&self, figure: Figure) -> bool {
        self.groups
            .iter()
            .any(|group| group.spread(figure).is_some_and(|s| s.max > 0.0))
    }

    /// Delivered where that was awaited, accepted otherwise.
    pub(super) fn rate(&self) -> Figure {
        if self.knows(Figure::Delivered) {
            Figure::Delivered
        } else {
            Figure::Accepted
        }
    }

    /// `smtp, 10 connections, 4k, closed loop, pipelining`.
    pub(super) fn told(&self) -> String {
        let load = self.load;
        let mut told = format!("{}, {} connections", self.scenario, load.connections);
        if let Some(messages) = load.messages_per_connection {
            told.push_str(&format!(", {messages} a connection"));
        }
        if !load.sizes.is_empty() {
            told.push_str(&format!(", {}", load.sizes));
        }
        match load.rate {
            Some(rate) => told.push_str(&format!(", {} a second", super::figure::number(rate))),
            None => told.push_str(", as fast as it goes"),
        }
        for with in &load.with {
            told.push_str(&format!(", {with}"));
        }
        told
    }
}

impl Group<'_> {
    pub(super) fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(|run| figure.of(run)).collect())
    }

    /// How many times this server's figure is the other's, pair by pair.
    pub(super) fn ratio(&self, other: &Group, figure: Figure) -> Option<Spread> {
        let pairs = self.runs.iter().enumerate().filter_map(|(at, run)| {
            let partner = match run.round {
                Some(round) => other.runs.iter().find(|run| run.round == Some(round)),
                None => other.runs.get(at),
            };
            let (own, others) = (figure.of(run)?, figure.of(partner?)?);
            (others > 0.0).then_some(own / others)
        });
        Spread::of(pairs.collect())
    }

    /// Phases over all repeats: the median of each percentile, the maximum of all.
    pub(super) fn phases(&self) -> Vec<Phase> {
        let Some(first) = self.runs.first() else {
            return Vec::new();
        };
        let merged = first.phases.iter().map(|phase| {
            let same = |run: &&Outcome| run.phases.iter().find(|p| p.name == phase.name).cloned();
            merged(
                phase,
                &self
                    .runs
                    .iter()
                    .copied()
                    .filter_map(|run| same(&run))
                    .collect::<Vec<_>>(),
            )
        });
        merged.collect()
    }
}

fn merged(first: &Phase, repeats: &[Phase]) -> Phase {
    let at = |percentile: f64| {
        let found = repeats.iter().filter_map(|phase| {
            let mut known = phase.percentiles.iter();
            known
                .find(|(p, _)| *p == percentile)
                .map(|(_, micros)| *micros as f64)
        });
        Spread::of(found.collect()).map_or(0, |spread| spread.median as u64)
    };
    let means = Spread::of(repeats.iter().map(|phase| phase.mean).collect());
    Phase {
        name: first.name.clone(),
        count: repeats.iter().map(|phase| phase.count).sum(),
        mean: means.map_or(first.mean, |spread| spread.median),
        max: repeats
            .iter()
            .map(|phase| phase.max)
            .max()
            .unwrap_or(first.max),
        percentiles: first
            .percentiles
            .iter()
            .map(|(p, _)| (*p, at(*p)))
            .collect(),
    }
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Spread {
            median: (lower + upper) / 2.0,
            min,
            max,
            count: values.len(),
        })
    }

    /// Half of the distance from the smallest to the largest, in per cent of the median.
    pub(super) fn percent(self) -> f64 {
        if self.median == 0.0 {
            0.0
        } else {
            (self.max - self.min) / self.median * 50.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_median_of_even_count_lies_between() {
        let spread = Spread::of(vec![4.0, 1.0, f64::NAN, 3.0, 2.0]).unwrap();
        assert_eq!(
            (spread.median, spread.min, spread.max, spread.count),
            (2.5, 1.0, 4.0, 4)
        );
        assert_eq!(spread.percent(), 60.0);
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn the_ratio_is_taken_pair_by_pair_also_where_a_round_is_missing() {
        let mut outcomes = sample::comparison(&[(1000.0, 100.0), (3000.0, 100.0), (800.0, 40.0)]);
        // The other server failed in round 1.
        outcomes
            .retain(|outcome| outcome.round != Some(1) || outcome.server.as_deref() == Some("A"));
        let questions = questions(&outcomes);
        assert_eq!(questions.len(), 1);
        let groups = &questions[0].groups;
        assert_eq!((groups[0].runs.len(), groups[1].runs.len()), (3, 2));
        let ratio = groups[0].ratio(&groups[1], Figure::Accepted).unwrap();
        assert_eq!(
            (ratio.median.round(), ratio.min.round(), ratio.max.round()),
            (15.0, 10.0, 20.0)
        );
    }

    #[test]
    fn another_load_is_another_question() {
        let mut outcomes = sample::comparison(&[(10.0, 1.0)]);
        outcomes[1].load.connections += 1;
        assert_eq!(questions(&outcomes).len(), 2);
    }

    #[test]
    fn percentiles_of_repeats_are_medians_and_the_maximum_is_of_all() {
        let mut outcomes = sample::comparison(&[(10.0, 1.0), (10.0, 1.0), (10.0, 1.0)]);
        for (at, outcome) in outcomes.iter_mut().enumerate() {
            outcome.phases[0].percentiles = vec![(50.0, 100 + at as u64), (99.0, 1000)];
            outcome.phases[0].max = 5000 + at as u64;
        }
        let questions = questions(&outcomes);
        let phases = questions[0].groups[0].phases();
        // Runs 0, 2 and 4 are the first server's.
        assert_eq!(phases[0].percentiles, [(50.0, 102), (99.0, 1000)]);
        assert_eq!(phases[0].max, 5004);
    }

    #[test]
    fn costs_are_per_delivered_message() {
        let outcome = &sample::comparison(&[(1000.0, 1.0)])[0];
        assert_eq!(Figure::Cpu.of(outcome), Some(0.1));
        assert_eq!(Figure::Written.of(outcome), Some(5000.0));
        assert_eq!(Figure::DeviceWritten.of(outcome), Some(6000.0));
    }
}
