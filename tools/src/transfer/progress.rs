//! How far it is, on a terminal: messages, octets, rate, time left.

use indicatif::{ProgressBar, ProgressStyle};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Shared by the threads of an export.
pub(crate) struct Progress {
    bar: ProgressBar,
    messages: AtomicU64,
}

impl Progress {
    /// Of so many octets. Nothing is shown where standard error is no terminal.
    pub(crate) fn of(octets: u64) -> Progress {
        let bar = ProgressBar::new(octets);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress {
            bar,
            messages: AtomicU64::new(0),
        }
    }

    /// There is more to do than was known.
    pub(crate) fn grow(&self, octets: u64) {
        self.bar.inc_length(octets);
    }

    pub(crate) fn octets(&self, octets: u64) {
        self.bar.inc(octets);
    }

    pub(crate) fn message(&self) {
        let messages = self.messages.fetch_add(1, Ordering::Relaxed) + 1;
        // Each text is a heap's worth of work; a sum of a hundred is shown as well.
        if messages.is_multiple_of(TOLD_MESSAGES) {
            self.bar.set_message(rate(messages, self.bar.elapsed()));
        }
    }

    /// Prints something while the bar is out of the way.
    pub(crate) fn aside(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }
}

fn rate(messages: u64, elapsed: Duration) -> String {
    let per_second = messages as f64 / elapsed.as_secs_f64().max(0.001);
    format!("{messages} messages, {per_second:.0}/s")
}

const TEMPLATE: &str =
    "{bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left  {msg}";

/// Messages after which the count is shown anew.
const TOLD_MESSAGES: u64 = 100;
