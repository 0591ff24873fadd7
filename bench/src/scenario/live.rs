//! The line that is rewritten while a run goes on, on a terminal only.

use super::board::Live;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use std::cell::Cell;

/// One line: rate, acknowledged, errors, percentiles.
pub(crate) struct LiveLine {
    bar: ProgressBar,
    /// Acknowledged and microseconds when it was shown last.
    before: Cell<(u64, u64)>,
    rate: Cell<f64>,
}

impl LiveLine {
    /// Draws to standard error, where it is a terminal.
    pub(crate) fn new() -> LiveLine {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        LiveLine {
            bar,
            before: Cell::new((0, 0)),
            rate: Cell::new(0.0),
        }
    }

    pub(crate) fn connecting(&self, live: &Live, connections: u32) {
        self.before.set((0, 0));
        self.say(format!("connecting: {} of {connections}", live.connected));
    }

    pub(crate) fn show(&self, live: &Live, micros: u64) {
        let (acknowledged, before) = self.before.replace((live.acknowledged, micros));
        // At the end of a warm-up counting begins anew.
        if let Some(fresh) = live.acknowledged.checked_sub(acknowledged)
            && micros > before
        {
            self.rate.set(fresh as f64 * 1e6 / (micros - before) as f64);
        }
        self.say(format!(
            "{:>4} s  {:>9}/s  acknowledged {}  errors {}  connected {}  p50 {}  p99 {}",
            micros / 1_000_000,
            HumanCount(self.rate.get() as u64).to_string(),
            HumanCount(live.acknowledged),
            HumanCount(live.failed),
            live.connected,
            duration(live.p50_micros),
            duration(live.p99_micros),
        ));
    }

    pub(crate) fn say(&self, what: String) {
        self.bar.set_message(what);
        self.bar.tick();
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
        self.bar.reset();
    }
}

/// Microseconds as people read them.
pub(crate) fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.2} ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_fits() {
        let texts = [999, 1_500, 12_345, 2_500_000].map(duration);
        assert_eq!(texts, ["999 µs", "1.50 ms", "12.3 ms", "2.50 s"]);
    }
}
