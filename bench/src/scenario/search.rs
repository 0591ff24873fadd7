//! The highest rate that a server holds under a bound of latency, step by step.

use super::live::{LiveLine, duration};
use super::options::{LoadArgs, misused};
use super::run::{self, Plan, Sums};
use super::submit::Ending;
use crate::client::Client;
use crate::load::arrivals::{Rate, Spacing, Tempo};
use crate::load::steps::Search;
use crate::measure::histogram::Step;
use crate::outcome::Outcome;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What was tried, in remarks, and the rate of the step whose sums are told.
pub(crate) struct Steps {
    rate: f64,
    remarks: Vec<String>,
    has_held: bool,
}

/// Searches from `first` on; gives the sums of the best step, and what is to be told of all.
pub(crate) fn search<C: Client>(
    load: &LoadArgs,
    plan: &Plan<C::Settings>,
    first: f64,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<(Sums, Steps)> {
    if first.is_nan() || first < 1.0 {
        return misused("--steps begins with a rate of at least one a second");
    }
    let line = LiveLine::new();
    let mut search = Search::new(first);
    let mut remarks = Vec::new();
    let mut best: Option<(f64, Sums)> = None;
    while let Some(rate) = search.next().filter(|_| !stop.load(Ordering::Relaxed)) {
        let step = Arc::new(at_rate(plan, rate, load.poisson));
        let sums = run::run::<C>(step, stop.clone(), &line)?;
        if stop.load(Ordering::Relaxed) && !sums.gave_up {
            // Half a step proves nothing.
            break;
        }
        let held = holds(&sums, load.bound);
        remarks.push(told(rate, &sums, held));
        search.tell(held);
        // A server that does not answer at all may answer a slower rate.
        stop.fetch_and(!sums.gave_up, Ordering::Relaxed);
        if held || best.is_none() {
            best = Some((rate, sums));
        }
    }
    let Some((rate, sums)) = best else {
        anyhow::bail!("interrupted before the first step was over");
    };
    let bound = load.bound;
    remarks.push(match search.best() {
        Some(rate) => format!("{rate:.0}/s is the highest rate held with p99 up to {bound} ms"),
        None => format!("No rate was held with p99 up to {bound} ms; the figures are of the first"),
    });
    let steps = Steps {
        rate,
        remarks,
        has_held: search.best().is_some(),
    };
    Ok((sums, steps))
}

impl Steps {
    /// With the steps told; a search that finds no rate has failed.
    pub(crate) fn ending(self, mut outcome: Outcome) -> Ending {
        outcome.load.rate = Some(self.rate);
        outcome.remarks.extend(self.remarks);
        Ending {
            outcome,
            failed: !self.has_held,
        }
    }
}

fn at_rate<S: Clone>(plan: &Plan<S>, rate: f64, poisson: bool) -> Plan<S> {
    let spacing = match poisson {
        true => Spacing::Poisson,
        false => Spacing::Constant,
    };
    Plan {
        tempo: Some(Tempo {
            rate: Rate::Even(rate),
            spacing,
        }),
        ..plan.clone()
    }
}

/// All that was due was acknowledged, within the bound.
fn holds(sums: &Sums, bound_millis: f64) -> bool {
    let counts = sums.tally.counts;
    let all = counts.acknowledged == counts.attempted && sums.late == 0 && !sums.gave_up;
    all && p99(sums) as f64 <= bound_millis * 1e3
}

fn p99(sums: &Sums) -> u64 {
    let whole = sums.tally.latencies.of(Step::Whole);
    whole.map_or(u64::MAX, |whole| whole.value_at_quantile(0.99))
}

fn told(rate: f64, sums: &Sums, held: bool) -> String {
    let counts = sums.tally.counts;
    let how = if held { "held" } else { "not held" };
    let late = counts.attempted - counts.acknowledged + sums.late;
    match sums.tally.latencies.of(Step::Whole) {
        Some(_) => format!(
            "step {rate:.0}/s {how}: p99 {}, {late} not acknowledged",
            duration(p99(sums))
        ),
        None => format!("step {rate:.0}/s {how}: nothing was acknowledged"),
    }
}
