//! Counts whose labels are names of the configuration or of tenants: few, and bounded here.

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

/// Names that one series shows, the largest counts first.
pub const NAMES_MAX: usize = 100;

/// Tells of every series that is known.
pub type SeriesSource = dyn Fn() -> Vec<Series> + Send + Sync;

/// One family of counters with one label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Series {
    pub name: &'static str,
    pub help: &'static str,
    pub label: &'static str,
    /// What was counted under each name, since the start.
    pub values: Vec<(String, u64)>,
}

/// Counts by name, of what comes rarely: a lock is no burden. Beyond [`TALLIED_MAX`] names no new
/// one is counted.
#[derive(Debug, Default)]
pub struct Tally {
    by_name: Mutex<BTreeMap<Box<str>, u64>>,
}

impl Tally {
    pub fn one(&self, name: &str) {
        let mut by_name = self.by_name();
        if let Some(count) = by_name.get_mut(name) {
            *count += 1;
        } else if by_name.len() < TALLIED_MAX {
            by_name.insert(name.into(), 1);
        }
    }

    #[must_use]
    pub fn series(&self, name: &'static str, help: &'static str, label: &'static str) -> Series {
        let by_name = self.by_name();
        let values = by_name
            .iter()
            .map(|(name, count)| (name.to_string(), *count));
        Series {
            name,
            help,
            label,
            values: values.collect(),
        }
    }

    fn by_name(&self) -> MutexGuard<'_, BTreeMap<Box<str>, u64>> {
        self.by_name
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}

pub(super) fn encode(series: Vec<Series>, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for mut one in series {
        one.values
            .sort_unstable_by_key(|(_, count)| std::cmp::Reverse(*count));
        one.values.truncate(NAMES_MAX);
        let mut family =
            encoder.encode_descriptor(one.name, one.help, None, MetricType::Counter)?;
        for (name, count) in &one.values {
            let labels = [(one.label, name.as_str())];
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, f64>(count, None)?;
        }
    }
    Ok(())
}

/// Names that one tally counts.
const TALLIED_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_known_ones_go_on_counting() {
        let tally = Tally::default();
        for n in 0..TALLIED_MAX + 10 {
            tally.one(&format!("r{n}"));
        }
        tally.one("r0");
        tally.one("late");
        let series = tally.series("x", "X.", "name");
        assert_eq!(series.values.len(), TALLIED_MAX);
        let first = series.values.iter().find(|(name, _)| name == "r0");
        assert_eq!(first.unwrap().1, 2);
    }
}
