//! How often rules held and acted since the start, by name: read by the metrics.

use crate::telemetry::metric::{Series, Tally};

/// Shared by all shards. Names come from the configuration, so that their number is bounded.
#[derive(Debug, Default)]
pub struct Counts {
    held: Tally,
    acted: Tally,
}

impl Counts {
    /// A rule held; and did something to the site, or not.
    pub fn count(&self, rule: &str, has_acted: bool) {
        self.held.one(rule);
        if has_acted {
            self.acted.one(rule);
        }
    }

    /// For the metrics.
    #[must_use]
    pub fn series(&self) -> Vec<Series> {
        vec![
            self.held.series(
                "ringpost_rule_held",
                "Replies of other hosts for which a rule held.",
                "rule",
            ),
            self.acted.series(
                "ringpost_rule_acted",
                "Of these, those upon which it did something to the site.",
                "rule",
            ),
        ]
    }
}
