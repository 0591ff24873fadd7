//! What came of mail to the busiest sites: the one place where names from outside become labels,
//! so their number is bounded.

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;

/// Sites that are shown, the busiest first.
pub const SITES_MAX: usize = 50;

/// Tells of every site that is known.
pub type SiteSource = dyn Fn() -> Vec<SiteSample> + Send + Sync;

/// One site at this moment; counts are of recipients, since the start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SiteSample {
    pub site: String,
    pub connections: u64,
    pub sent: u64,
    pub deferred: u64,
    pub failed: u64,
    /// Connections that did not come to be.
    pub unreached: u64,
}

pub(super) fn encode(
    mut sites: Vec<SiteSample>,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    sites.sort_unstable_by_key(|site| std::cmp::Reverse(site.all()));
    sites.truncate(SITES_MAX);
    let mut connections = encoder.encode_descriptor(
        "ringpost_site_connections",
        "Connections to one of the busiest sites.",
        None,
        MetricType::Gauge,
    )?;
    for site in &sites {
        let labels = [("site", site.site.as_str())];
        connections
            .encode_family(&labels)?
            .encode_gauge(&site.connections)?;
    }
    let mut recipients = encoder.encode_descriptor(
        "ringpost_site_recipients",
        "What came of recipients at one of the busiest sites.",
        None,
        MetricType::Counter,
    )?;
    for site in &sites {
        for (result, count) in site.results() {
            let labels = [("site", site.site.as_str()), ("result", result)];
            recipients
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, f64>(&count, None)?;
        }
    }
    Ok(())
}

impl SiteSample {
    fn results(&self) -> [(&'static str, u64); 4] {
        [
            ("sent", self.sent),
            ("deferred", self.deferred),
            ("failed", self.failed),
            ("unreached", self.unreached),
        ]
    }

    fn all(&self) -> u64 {
        self.results().iter().map(|(_, count)| count).sum()
    }
}
