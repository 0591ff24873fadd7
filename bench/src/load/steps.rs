//! The search for the highest rate that a server holds: up by half until it fails, then halves of
//! what is left between held and failed.

/// One search; rates in operations a second.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    next: f64,
    held: Option<f64>,
    failed: Option<f64>,
    steps: u32,
}

impl Search {
    pub(crate) fn new(first: f64) -> Search {
        Search {
            next: first,
            held: None,
            failed: None,
            steps: 0,
        }
    }

    /// The rate to try next; `None`: the search is over.
    pub(crate) fn next(&self) -> Option<f64> {
        let is_narrow = match (self.held, self.failed) {
            (Some(held), Some(failed)) => failed / held < 1.0 + NARROW,
            (None, Some(failed)) => failed < RATE_MIN * 2.0,
            _ => false,
        };
        (!is_narrow && self.steps < STEPS_MAX).then_some(self.next)
    }

    /// Tells how the rate that was asked for last went.
    pub(crate) fn tell(&mut self, held: bool) {
        self.steps += 1;
        match held {
            true => self.held = Some(self.next),
            false => self.failed = Some(self.next),
        }
        self.next = match (self.held, self.failed) {
            (Some(held), None) => held * GROWTH,
            (None, Some(failed)) => failed / 2.0,
            (Some(held), Some(failed)) => (held * failed).sqrt(),
            (None, None) => self.next,
        };
    }

    /// The highest rate that was held.
    pub(crate) fn best(&self) -> Option<f64> {
        self.held
    }
}

const GROWTH: f64 = 1.5;

/// Held and failed are near enough to each other.
const NARROW: f64 = 0.05;

const STEPS_MAX: u32 = 24;

/// Slower than this is not searched.
const RATE_MIN: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn search(first: f64, limit: f64) -> (Option<f64>, u32) {
        let mut search = Search::new(first);
        while let Some(rate) = search.next() {
            search.tell(rate <= limit);
        }
        (search.best(), search.steps)
    }

    #[test]
    fn the_limit_is_found_from_below_and_from_above() {
        for (first, limit) in [(100.0, 7_777.0), (50_000.0, 1_234.0), (10.0, 10.0)] {
            let (best, steps) = search(first, limit);
            let best = best.unwrap();
            assert!(best <= limit && best > limit * 0.94, "{best} of {limit}");
            assert!(steps < 20, "{steps}");
        }
    }

    #[test]
    fn a_server_that_holds_nothing_or_everything_ends_the_search() {
        assert_eq!(search(1_000.0, 0.0).0, None);
        assert!(search(1_000.0, f64::INFINITY).0.is_some());
    }
}
