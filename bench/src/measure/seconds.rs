//! How a run went from second to second.

use crate::outcome::Second;

/// Seconds since the measured part began.
#[derive(Clone, Default)]
pub(crate) struct Seconds {
    began_micros: u64,
    seconds: Vec<Second>,
}

/// A day; what comes later is counted into the last one.
const SECONDS_MAX: usize = 86_400;

impl Seconds {
    pub(crate) fn begin(&mut self, began_micros: u64) {
        self.began_micros = began_micros;
        self.seconds.clear();
    }

    /// Counts an operation that ended at `ended_micros` after `took_micros`.
    pub(crate) fn count(&mut self, ended_micros: u64, took_micros: u64, is_done: bool) {
        let since = ended_micros.saturating_sub(self.began_micros) / 1_000_000;
        let at = usize::try_from(since)
            .unwrap_or(SECONDS_MAX)
            .min(SECONDS_MAX - 1);
        if at >= self.seconds.len() {
            self.seconds.resize(at + 1, Second::default());
        }
        if let Some(second) = self.seconds.get_mut(at) {
            match is_done {
                true => second.done += 1,
                false => second.failed += 1,
            }
            second.micros_max = second.micros_max.max(took_micros);
        }
    }

    pub(crate) fn merge(&mut self, other: &Seconds) {
        if other.seconds.len() > self.seconds.len() {
            self.seconds.resize(other.seconds.len(), Second::default());
        }
        for (own, other) in self.seconds.iter_mut().zip(&other.seconds) {
            own.done += other.done;
            own.failed += other.failed;
            own.micros_max = own.micros_max.max(other.micros_max);
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Second> {
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted_in_the_second_in_which_they_end() {
        let (mut one, mut two) = (Seconds::default(), Seconds::default());
        one.begin(5_000_000);
        two.begin(5_000_000);
        one.count(5_999_999, 10, true);
        one.count(4_000_000, 10, true);
        two.count(8_000_000, 70, false);
        one.merge(&two);
        let seconds = one.into_vec();
        let done: Vec<_> = seconds
            .iter()
            .map(|s| (s.done, s.failed, s.micros_max))
            .collect();
        assert_eq!(done, [(2, 0, 10), (0, 0, 0), (0, 0, 0), (0, 1, 70)]);
    }
}
