//! Everything one shard counts while it runs; shards are added up at the end.

use super::answer::Answer;
use super::histogram::{Latencies, Step, empty};
use super::seconds::Seconds;
use crate::outcome::Counts;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// The sums of one shard.
pub(crate) struct Tally {
    pub(crate) latencies: Latencies,
    pub(crate) seconds: Seconds,
    pub(crate) counts: Counts,
    /// Of acknowledged messages.
    pub(crate) octets: u64,
    pub(crate) answers: BTreeMap<Answer, u64>,
    /// What ended since the live line looked last.
    pub(crate) recent: Histogram<u64>,
    /// When the measured part began, and when its last operation ended.
    pub(crate) began_micros: u64,
    pub(crate) ended_micros: u64,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) answer: Answer,
    /// What was acknowledged, if it was.
    pub(crate) octets: u64,
    /// When it should have begun.
    pub(crate) start_micros: u64,
    pub(crate) end_micros: u64,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally {
            latencies: Latencies::default(),
            seconds: Seconds::default(),
            counts: Counts::default(),
            octets: 0,
            answers: BTreeMap::new(),
            recent: empty(),
            began_micros: 0,
            ended_micros: 0,
        }
    }

    /// Forgets what was counted: the measured part begins here.
    pub(crate) fn begin(&mut self, began_micros: u64) {
        *self = Tally::new();
        self.began_micros = began_micros;
        self.ended_micros = began_micros;
        self.seconds.begin(began_micros);
    }

    /// Counts one operation.
    pub(crate) fn count(&mut self, end: End) {
        let took = end.end_micros.saturating_sub(end.start_micros);
        let is_done = end.answer.is_positive();
        self.counts.attempted += 1;
        match end.answer {
            Answer::Lost(_) => self.counts.unanswered += 1,
            answer if answer.is_positive() => self.counts.acknowledged += 1,
            answer if answer.is_deferral() => self.counts.deferred += 1,
            Answer::Reply(..) | Answer::Word(..) => self.counts.refused += 1,
        }
        self.octets += end.octets;
        // The enhanced status tells more of a refusal than of a success.
        self.hear(match is_done {
            true => end.answer.without_status(),
            false => end.answer,
        });
        self.seconds.count(end.end_micros, took, is_done);
        self.ended_micros = self.ended_micros.max(end.end_micros);
        if is_done {
            self.latencies.record(Step::Whole, took);
            self.recent.saturating_record(took.max(1));
        }
    }

    /// Counts an answer that is not the end of an operation.
    pub(crate) fn hear(&mut self, answer: Answer) {
        *self.answers.entry(answer).or_default() += 1;
    }

    /// Each answer and how often it came, as the report says it.
    pub(crate) fn told(&self) -> BTreeMap<String, u64> {
        let answers = self.answers.iter();
        answers
            .map(|(answer, count)| (answer.to_string(), *count))
            .collect()
    }

    pub(crate) fn merge(&mut self, other: &Tally) {
        self.latencies.merge(&other.latencies);
        self.seconds.merge(&other.seconds);
        self.counts.add(other.counts);
        self.octets += other.octets;
        for (answer, count) in &other.answers {
            *self.answers.entry(*answer).or_default() += count;
        }
        self.began_micros = match self.began_micros {
            0 => other.began_micros,
            began => began.min(other.began_micros),
        };
        self.ended_micros = self.ended_micros.max(other.ended_micros);
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::Loss;
    use super::*;

    #[test]
    fn each_operation_is_counted_once_more_by_its_end() {
        let (mut one, mut two) = (Tally::new(), Tally::new());
        one.begin(1_000);
        two.begin(1_000);
        let end = |answer| End {
            answer,
            octets: 7,
            start_micros: 1_000,
            end_micros: 3_000,
        };
        one.count(end(Answer::Reply(250, [0; 3])));
        one.count(end(Answer::Reply(452, [4, 3, 1])));
        two.count(end(Answer::Reply(550, [5, 1, 1])));
        two.count(end(Answer::Lost(Loss::TimedOut)));
        one.merge(&two);
        let Counts {
            attempted,
            acknowledged,
            deferred,
            refused,
            unanswered,
        } = one.counts;
        assert_eq!(attempted, 4);
        assert_eq!((acknowledged, deferred, refused, unanswered), (1, 1, 1, 1));
        let whole = one.latencies.of(Step::Whole).unwrap();
        assert_eq!((whole.len(), whole.max()), (1, 2_000));
        assert_eq!(one.ended_micros - one.began_micros, 2_000);
        assert_eq!(one.answers.len(), 4);
    }
}
