//! The highest rate that a server holds under a bound of latency, step by step.

use super::live::{LiveLine, duration};
use super::options::{Inject, misused};
use super::run::{self, Plan, Sums};
use super::submit::{Ending, Kind, outcome};
use crate::load::arrivals::{Rate, Spacing, Tempo};
use crate::load::steps::Search;
use crate::measure::histogram::Step;
use engine::reactor::Now;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Searches from `first` on; the outcome is that of the best step, and the remarks tell of all.
pub(crate) fn search(
    kind: Kind,
    inject: &Inject,
    plan: &Plan,
    first: f64,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Ending> {
    if first.is_nan() || first < 1.0 {
        return misused("--steps begins with a rate of at least one a second");
    }
    let began = Now::read();
    let line = LiveLine::new();
    let mut search = Search::new(first);
    let mut steps = Vec::new();
    let mut best: Option<(Arc<Plan>, Sums)> = None;
    while let Some(rate) = search.next().filter(|_| !stop.load(Ordering::Relaxed)) {
        let step = Arc::new(at_rate(plan, rate, inject.load.poisson));
        let sums = run::run(step.clone(), stop.clone(), &line)?;
        if stop.load(Ordering::Relaxed) && !sums.gave_up {
            // Half a step proves nothing.
            break;
        }
        let held = holds(&sums, inject.load.bound);
        steps.push(told(rate, &sums, held));
        search.tell(held);
        // A server that does not answer at all may answer a slower rate.
        stop.fetch_and(!sums.gave_up, Ordering::Relaxed);
        if held || best.is_none() {
            best = Some((step, sums));
        }
    }
    let Some((step, sums)) = best else {
        anyhow::bail!("interrupted before the first step was over");
    };
    let mut outcome = outcome(kind, inject, &step, sums, began);
    outcome.load.rate = step.tempo.map(|tempo| tempo.rate.peak());
    outcome.remarks.extend(steps);
    let bound = inject.load.bound;
    outcome.remarks.push(match search.best() {
        Some(rate) => format!("{rate:.0}/s is the highest rate held with p99 up to {bound} ms"),
        None => format!("No rate was held with p99 up to {bound} ms; the figures are of the first"),
    });
    Ok(Ending {
        outcome,
        failed: search.best().is_none(),
    })
}

fn at_rate(plan: &Plan, rate: f64, poisson: bool) -> Plan {
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
