//! How far long work is, on a terminal: amount, rate, time left. Elsewhere nothing is shown.

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A bar of so many octets; it clears itself when it is dropped.
pub(crate) fn octets(length: u64) -> ProgressBar {
    bar(
        length,
        "{bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left  \
         {msg}",
    )
}

/// A bar of so many messages; it clears itself when it is dropped.
pub(crate) fn messages(length: u64) -> ProgressBar {
    bar(
        length,
        "{wide_bar} {human_pos} of {human_len} messages, {per_sec}, {eta} left",
    )
}

/// A bar of so many entries of a list; it clears itself when it is dropped.
pub(crate) fn entries(length: u64) -> ProgressBar {
    bar(
        length,
        "{wide_bar} {human_pos} of {human_len} entries, {per_sec}, {eta} left",
    )
}

/// A bar of so many files; it clears itself when it is dropped.
pub(crate) fn files(length: u64) -> ProgressBar {
    bar(
        length,
        "{wide_bar} {human_pos} of {human_len} files, {eta} left",
    )
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is ours");
    let bar = ProgressBar::new(length)
        .with_style(style)
        .with_finish(ProgressFinish::AndClear);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Octets and messages of several threads.
pub(crate) struct Progress {
    bar: ProgressBar,
    messages: AtomicU64,
}

impl Progress {
    pub(crate) fn of(length: u64) -> Progress {
        Progress {
            bar: octets(length),
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

/// Messages after which the count is shown anew.
const TOLD_MESSAGES: u64 = 100;
