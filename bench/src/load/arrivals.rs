//! When operations are due in an open loop: constant, Poisson, or a rate that climbs.
//!
//! Moments are made one after the other and never wait for the server. Who takes a late one takes
//! it with its intended moment, so latencies hold the time that a slow server made others wait: no
//! coordinated omission.

/// How operations follow each other.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Tempo {
    pub(crate) rate: Rate,
    pub(crate) spacing: Spacing,
}

/// Operations a second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Rate {
    Even(f64),
    /// From the first rate to the second one in so many seconds, and then on.
    Climbing(f64, f64, f64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spacing {
    Constant,
    Poisson,
}

/// The moments of one shard, in microseconds.
pub(crate) struct Arrivals {
    tempo: Tempo,
    chance: fastrand::Rng,
    began: f64,
    next: f64,
}

impl Arrivals {
    /// The share of shard `index` of `count` in `tempo`.
    pub(crate) fn new(
        tempo: Tempo,
        seed: u64,
        index: u32,
        count: u32,
        began_micros: u64,
    ) -> Arrivals {
        let tempo = Tempo {
            rate: tempo.rate.share(f64::from(count)),
            ..tempo
        };
        let chance = fastrand::Rng::with_seed(super::chance(seed, u64::from(index)));
        let began = began_micros as f64;
        let mut arrivals = Arrivals {
            tempo,
            chance,
            began,
            next: began,
        };
        // Shards take turns instead of all beginning at once.
        arrivals.next += arrivals.gap() * f64::from(index) / f64::from(count);
        arrivals
    }

    /// When the next operation is due.
    pub(crate) fn due_micros(&self) -> u64 {
        self.next as u64
    }

    /// Goes on to the one after it.
    pub(crate) fn advance(&mut self) {
        self.next += self.gap();
    }

    fn gap(&mut self) -> f64 {
        let mean = 1e6
            / self
                .tempo
                .rate
                .at((self.next - self.began) / 1e6)
                .max(RATE_MIN);
        match self.tempo.spacing {
            Spacing::Constant => mean,
            // The inverse of the exponential distribution; the draw is never 1.
            Spacing::Poisson => -mean * (1.0 - self.chance.f64()).ln(),
        }
    }
}

impl Rate {
    fn at(self, secs: f64) -> f64 {
        match self {
            Rate::Even(rate) => rate,
            Rate::Climbing(from, to, within) => from + (to - from) * (secs / within).min(1.0),
        }
    }

    fn share(self, of: f64) -> Rate {
        match self {
            Rate::Even(rate) => Rate::Even(rate / of),
            Rate::Climbing(from, to, within) => Rate::Climbing(from / of, to / of, within),
        }
    }
}

/// Slower than one an hour is not a load.
const RATE_MIN: f64 = 1.0 / 3600.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Gaps between the first `count` moments of one shard, in microseconds.
    fn gaps(tempo: Tempo, count: usize) -> Vec<f64> {
        let mut arrivals = Arrivals::new(tempo, 7, 0, 1, 1_000);
        assert_eq!(arrivals.due_micros(), 1_000);
        let mut gaps = Vec::new();
        for _ in 0..count {
            let before = arrivals.next;
            arrivals.advance();
            gaps.push(arrivals.next - before);
        }
        gaps
    }

    fn even(rate: f64, spacing: Spacing) -> Tempo {
        let rate = Rate::Even(rate);
        Tempo { rate, spacing }
    }

    #[test]
    fn constant_moments_keep_their_distance_without_drift() {
        let tempo = even(3_000.0, Spacing::Constant);
        let mut arrivals = Arrivals::new(tempo, 1, 0, 1, 0);
        for _ in 0..3_000_000 {
            arrivals.advance();
        }
        let secs = arrivals.next / 1e6;
        assert!((secs - 1_000.0).abs() < 0.001, "{secs}");
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_their_law() {
        let gaps = gaps(even(1_000.0, Spacing::Poisson), 100_000);
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        assert!((mean - 1_000.0).abs() < 20.0, "{mean}");
        let spread = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
        let deviation = (spread / gaps.len() as f64).sqrt();
        assert!((deviation - mean).abs() < 30.0, "{deviation}");
        // e⁻¹ of them are longer than the mean.
        let longer = gaps.iter().filter(|gap| **gap > mean).count() as f64;
        assert!((longer / gaps.len() as f64 - 0.3679).abs() < 0.01);
    }

    #[test]
    fn a_climbing_rate_reaches_its_end_and_stays_there() {
        let rate = Rate::Climbing(100.0, 1_000.0, 10.0);
        let spacing = Spacing::Constant;
        let gaps = gaps(Tempo { rate, spacing }, 7_000);
        // (100 + 1,000) / 2 a second for ten seconds, then 1,000 a second.
        let after = |count: usize| gaps.iter().take(count).sum::<f64>() / 1e6;
        assert!((after(5_500) - 10.0).abs() < 0.1, "{}", after(5_500));
        assert!((after(6_500) - 11.0).abs() < 0.1, "{}", after(6_500));
    }

    #[test]
    fn shards_share_a_rate_and_take_turns() {
        let tempo = even(100.0, Spacing::Constant);
        let shards = (0..4).map(|index| Arrivals::new(tempo, 1, index, 4, 0));
        let mut moments: Vec<u64> = shards
            .flat_map(|mut shard| {
                std::iter::repeat_with(move || {
                    let due = shard.due_micros();
                    shard.advance();
                    due
                })
                .take(5)
            })
            .collect();
        moments.sort_unstable();
        let expected: Vec<u64> = (0..20).map(|n| n * 10_000).collect();
        assert_eq!(moments, expected);
    }
}
