//! Cells of metrics: counters, gauges and histograms with one writer each.
//!
//! A cell belongs to one thread, which alone writes it: a load and a store, both relaxed, no locked
//! instruction. Others read at any time and see a value that was true a moment ago. A cell that two
//! threads write loses counts, and nothing worse.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

/// Only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// Rises and falls; never below zero.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// How often values of which size came; `PER_UNIT` of the recorded values make one unit shown.
///
/// Log-linear: eight steps to each power of two, so a quantile is at most an eighth too high.
/// Values above the last step count in it.
#[derive(Debug)]
pub struct Histogram<const PER_UNIT: u64> {
    steps: Box<[AtomicU64; STEPS]>,
    sum: AtomicU64,
}

/// One cell for each value of a small enum.
#[derive(Debug)]
pub struct Labelled<L, C> {
    cells: Vec<C>,
    label: PhantomData<fn(L)>,
}

/// The values of a label: few, known beforehand, so that no peer makes new series.
pub trait Label: Copy + 'static {
    /// The name of the label.
    const NAME: &'static str;
    /// Every value, in the order of [`Label::place`].
    const ALL: &'static [Self];
    fn place(self) -> usize;
    fn name(self) -> &'static str;
}

/// Gives names to the values of an enum and makes it a [`Label`].
macro_rules! label {
    (
        $(#[$doc:meta])*
        $label:literal $name:ident { $($(#[$of:meta])* $value:ident = $text:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name {
            $($(#[$of])* $value,)*
        }

        impl $crate::telemetry::metric::Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$($name::$value,)*];

            fn place(self) -> usize {
                self as usize
            }

            fn name(self) -> &'static str {
                match self {
                    $($name::$value => $text,)*
                }
            }
        }
    };
}
pub(super) use label;

const STEPS_PER_POWER_LOG2: u32 = 3;
const STEPS_PER_POWER: u64 = 1 << STEPS_PER_POWER_LOG2;
/// Values from 2⁴⁰ on are one step: twelve days in microseconds.
const POWER_MAX: u32 = 40;
/// Zero, the powers of two in steps, and one without end.
const STEPS: usize = ((POWER_MAX - STEPS_PER_POWER_LOG2 + 1) as u64 * STEPS_PER_POWER) as usize + 2;

/// The powers of two that are shown as bounds: each is a series.
const SHOWN_POWERS: std::ops::RangeInclusive<u32> = 0..=26;

impl Counter {
    pub fn add(&self, n: u64) {
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.wrapping_add(n), Ordering::Relaxed);
    }

    pub fn one(&self) {
        self.add(1);
    }

    /// Takes over a count that is kept elsewhere.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub fn up(&self) {
        self.set(self.read().saturating_add(1));
    }

    pub fn down(&self) {
        self.set(self.read().saturating_sub(1));
    }

    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<L: Label, C: Default> Default for Labelled<L, C> {
    fn default() -> Self {
        Labelled {
            cells: L::ALL.iter().map(|_| C::default()).collect(),
            label: PhantomData,
        }
    }
}

impl<L: Label, C> Labelled<L, C> {
    #[must_use]
    pub fn of(&self, label: L) -> &C {
        let cell = self.cells.get(label.place());
        cell.expect("there is a cell for each value of the enum")
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, &C)> {
        L::ALL.iter().map(|label| label.name()).zip(&self.cells)
    }
}

impl<const PER_UNIT: u64> Default for Histogram<PER_UNIT> {
    fn default() -> Self {
        Histogram {
            steps: Box::new([const { AtomicU64::new(0) }; STEPS]),
            sum: AtomicU64::new(0),
        }
    }
}

impl<const PER_UNIT: u64> Histogram<PER_UNIT> {
    pub fn record(&self, value: u64) {
        if let Some(count) = self.steps.get(step(value)) {
            let before = count.load(Ordering::Relaxed);
            count.store(before.wrapping_add(1), Ordering::Relaxed);
        }
        let sum = self.sum.load(Ordering::Relaxed);
        self.sum.store(sum.wrapping_add(value), Ordering::Relaxed);
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.steps.iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }

    /// The value that a share of all values (0.5: half) does not exceed, rounded up by at most an
    /// eighth, in units as recorded; 0 where nothing was recorded.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = (self.count() as f64 * share.clamp(0.0, 1.0)).ceil() as u64;
        let mut seen = 0;
        for (step, count) in self.steps.iter().enumerate() {
            seen += count.load(Ordering::Relaxed);
            if seen >= rank.max(1) {
                return last_of(step);
            }
        }
        0
    }

    /// Sum, count, and (upper bound, values in the bucket): the last bound is infinite.
    pub(super) fn shown(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let mut buckets: Vec<(f64, u64)> = SHOWN_POWERS
            .map(|power| ((1u64 << power) as f64 / PER_UNIT as f64, 0))
            .chain([(f64::INFINITY, 0)])
            .collect();
        let mut count = 0;
        for (step, of_step) in self.steps.iter().enumerate() {
            let of_step = of_step.load(Ordering::Relaxed);
            count += of_step;
            let bound = last_of(step) as f64 / PER_UNIT as f64;
            if let Some((_, n)) = buckets.iter_mut().find(|(upper, _)| bound <= *upper) {
                *n += of_step;
            }
        }
        let sum = self.sum.load(Ordering::Relaxed) as f64 / PER_UNIT as f64;
        (sum, count, buckets)
    }
}

/// The step of a value: itself below eight, then eight to a power of two, each step closed above,
/// so that a power of two is the last value of its step.
fn step(value: u64) -> usize {
    let below = value.saturating_sub(1);
    if below < STEPS_PER_POWER {
        return value.min(STEPS_PER_POWER) as usize;
    }
    let power = below.ilog2();
    if power >= POWER_MAX {
        return STEPS - 1;
    }
    let shift = power - STEPS_PER_POWER_LOG2;
    let within = (below >> shift) - STEPS_PER_POWER;
    (u64::from(shift + 1) * STEPS_PER_POWER + within + 1) as usize
}

/// The largest value of a step; without end for the last.
fn last_of(step: usize) -> u64 {
    let step = step as u64;
    if step <= STEPS_PER_POWER {
        return step;
    }
    if step as usize >= STEPS - 1 {
        return u64::MAX;
    }
    let shift = (step - 1) / STEPS_PER_POWER - 1;
    let within = (step - 1) % STEPS_PER_POWER;
    (within + 1 + STEPS_PER_POWER) << shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steps_follow_each_other_without_gaps() {
        let mut before = 0;
        for s in 1..STEPS - 1 {
            let last = last_of(s);
            assert!(last > before);
            assert_eq!((step(before + 1), step(last)), (s, s), "{s}");
            before = last;
        }
        assert_eq!(before, 1 << POWER_MAX);
        assert_eq!(step(before + 1), STEPS - 1);
        assert_eq!(step(u64::MAX), STEPS - 1);
    }

    #[test]
    fn gauges_do_not_fall_below_zero() {
        let gauge = Gauge::default();
        gauge.down();
        gauge.up();
        assert_eq!(gauge.read(), 1);
    }

    proptest! {
        #[test]
        fn quantiles_are_an_eighth_too_high_at_most(
            mut values in prop::collection::vec(0u64..1 << 36, 1..200),
            share in 0.0f64..=1.0,
        ) {
            let histogram: Histogram<1> = Histogram::default();
            values.iter().for_each(|value| histogram.record(*value));
            values.sort_unstable();
            let rank = (values.len() as f64 * share).ceil().max(1.0) as usize;
            let exact = values.get(rank - 1).copied().unwrap_or(0);
            let told = histogram.quantile(share);
            prop_assert!(told >= exact && told <= exact + exact / 8 + 1, "{told} for {exact}");
        }

        #[test]
        fn buckets_hold_what_fits_them(values in prop::collection::vec(0u64..1 << 30, 0..100)) {
            let histogram: Histogram<1> = Histogram::default();
            values.iter().for_each(|value| histogram.record(*value));
            let (sum, count, buckets) = histogram.shown();
            prop_assert_eq!(count, values.len() as u64);
            prop_assert_eq!(sum, values.iter().sum::<u64>() as f64);
            let mut cumulative = 0;
            for (bound, n) in buckets {
                cumulative += n;
                let fitting = values.iter().filter(|value| **value as f64 <= bound).count();
                prop_assert_eq!(cumulative, fitting as u64);
            }
        }
    }
}
