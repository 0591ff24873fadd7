//! What a sink does to a message: by shares of all messages, drawn from a seed.

/// Shares in percent; what is left is accepted.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Plan {
    /// 452 after the message.
    pub(crate) defer: f64,
    /// 550 after the message.
    pub(crate) reject: f64,
    /// 250, one octet at a time.
    pub(crate) drip: f64,
    /// The connection is reset instead of an answer.
    pub(crate) reset: f64,
    /// No answer ever.
    pub(crate) stall: f64,
    /// 250, and forgotten: what an audit must find.
    pub(crate) lose: f64,
    /// 250, and there twice.
    pub(crate) double: f64,
    /// 250, and there with another octet.
    pub(crate) alter: f64,
}

/// What becomes of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Accept,
    Defer,
    Reject,
    Drip,
    Reset,
    Stall,
    Lose,
    Double,
    Alter,
}

/// Draws one verdict after the other.
pub(crate) struct Judge {
    /// Upper ends of the shares, ascending.
    shares: [(f64, Verdict); 8],
    chance: fastrand::Rng,
}

impl Plan {
    /// Whether the shares are shares.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let shares = self.shares().map(|(share, _)| share);
        let sum: f64 = shares.iter().sum();
        let fine = shares.iter().all(|share| *share >= 0.0) && sum <= 100.0;
        anyhow::ensure!(
            fine,
            "the shares of a sink are percents, 100 together at most"
        );
        Ok(())
    }

    fn shares(&self) -> [(f64, Verdict); 8] {
        [
            (self.defer, Verdict::Defer),
            (self.reject, Verdict::Reject),
            (self.drip, Verdict::Drip),
            (self.reset, Verdict::Reset),
            (self.stall, Verdict::Stall),
            (self.lose, Verdict::Lose),
            (self.double, Verdict::Double),
            (self.alter, Verdict::Alter),
        ]
    }
}

impl Judge {
    pub(crate) fn new(plan: Plan, seed: u64) -> Judge {
        let mut shares = plan.shares();
        let mut end = 0.0;
        for (share, _) in &mut shares {
            end += *share / 100.0;
            *share = end;
        }
        let chance = fastrand::Rng::with_seed(seed);
        Judge { shares, chance }
    }

    pub(crate) fn next(&mut self) -> Verdict {
        let draw = self.chance.f64();
        let drawn = self.shares.iter().find(|(end, _)| draw < *end);
        drawn.map_or(Verdict::Accept, |(_, verdict)| *verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_have_their_shares_and_repeat() {
        let plan = Plan {
            defer: 10.0,
            stall: 1.0,
            alter: 50.0,
            ..Plan::default()
        };
        let draw = || {
            let mut judge = Judge::new(plan, 5);
            (0..100_000).map(|_| judge.next()).collect::<Vec<_>>()
        };
        let drawn = draw();
        assert_eq!(drawn, draw());
        for (verdict, percent) in [
            (Verdict::Accept, 39.0),
            (Verdict::Defer, 10.0),
            (Verdict::Stall, 1.0),
            (Verdict::Alter, 50.0),
            (Verdict::Reset, 0.0),
        ] {
            let hits = drawn.iter().filter(|one| **one == verdict).count();
            assert!(
                (hits as f64 / 1_000.0 - percent).abs() < 0.5,
                "{verdict:?}: {hits}"
            );
        }
    }

    #[test]
    fn more_than_all_is_refused() {
        let plan = |defer, reject| Plan {
            defer,
            reject,
            ..Plan::default()
        };
        assert!(plan(60.0, 40.0).check().is_ok());
        assert!(plan(60.0, 41.0).check().is_err());
        assert!(plan(-1.0, 0.0).check().is_err());
    }
}
