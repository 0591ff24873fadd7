//! Metrics: what each shard counts, and the text that Prometheus reads.
//!
//! A shard holds its [`ShardMetrics`] and alone writes them; [`Metrics`] holds those of all and
//! renders them. The number of series is known at start: labels are enums, and nothing that a peer
//! sends becomes one. The only names are those of the [`SITES_MAX`] busiest sites that we send to,
//! of as many tenants and egress sources, and those of [`Series`], which are as few.

mod cell;
mod complaints;
mod hooks;
mod pop3;
mod render;
mod series;
mod shard;
mod sites;

pub use cell::{Counter, Gauge, Histogram, Label, Labelled};
pub use complaints::Complaints;
pub use hooks::{EventSample, EventSource, HookSample};
pub use pop3::{Pop3End, Pop3Verb};
pub use render::CONTENT_TYPE;
pub use series::{NAMES_MAX, Series, SeriesSource, Tally};
pub use shard::{
    Attempt, Blame, End, Login, Lost, Protocol, Refusal, ReplyClass, ShardMetrics, Verb,
};
pub use sites::{
    DELAY_BOUNDS_MILLIS, Delays, Flow, Kind, SITES_MAX, Sample, Showcase, SiteSource, Stock,
};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The metrics of one process.
pub struct Metrics {
    shards: Vec<Arc<ShardMetrics>>,
    process: Process,
    sites: OnceLock<Box<SiteSource>>,
    showcase: Mutex<Showcase>,
    events: OnceLock<Box<EventSource>>,
    series: OnceLock<Box<SeriesSource>>,
}

/// What is the same for all shards.
#[derive(Clone, Debug)]
pub struct Process {
    pub version: &'static str,
    /// `uring` or `epoll`.
    pub backend: &'static str,
    /// `telemetry::log::Logger::dropped`.
    pub log_lines_dropped: Arc<AtomicU64>,
}

impl Metrics {
    #[must_use]
    pub fn new(shards: u16, process: Process) -> Arc<Metrics> {
        Arc::new(Metrics {
            shards: (0..shards).map(|_| Arc::default()).collect(),
            process,
            sites: OnceLock::new(),
            showcase: Mutex::default(),
            events: OnceLock::new(),
            series: OnceLock::new(),
        })
    }

    /// From now on sites are shown too; the first source stays.
    pub fn show_sites(&self, source: Box<SiteSource>) {
        let _ = self.sites.set(source);
    }

    /// What is shown of sites, tenants and egress sources.
    fn named(&self) -> Vec<Sample> {
        let samples = self.sites.get().map(|source| source());
        let mut showcase = self
            .showcase
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        samples.map_or_else(Vec::new, |samples| showcase.look(samples))
    }

    /// From now on events are shown too; the first source stays.
    pub fn show_events(&self, source: Box<EventSource>) {
        let _ = self.events.set(source);
    }

    /// From now on these are shown too; the first source stays.
    pub fn show_series(&self, source: Box<SeriesSource>) {
        let _ = self.series.set(source);
    }

    /// The cells of one shard; `None` where there is no such shard.
    #[must_use]
    pub fn shard(&self, shard: u16) -> Option<&Arc<ShardMetrics>> {
        self.shards.get(usize::from(shard))
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metrics({} shards)", self.shards.len())
    }
}

impl Process {
    fn log_lines_dropped(&self) -> u64 {
        self.log_lines_dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    fn metrics() -> Arc<Metrics> {
        let process = Process {
            version: "1.2.3",
            backend: "uring",
            log_lines_dropped: Arc::new(AtomicU64::new(7)),
        };
        Metrics::new(2, process)
    }

    #[test]
    fn what_was_counted_is_shown() {
        let metrics = metrics();
        let shard = metrics.shard(1).unwrap();
        shard.connections.of(Protocol::Smtp).one();
        shard.connections_open.of(Protocol::Imap).up();
        shard.refusals.of(Refusal::OverQuota).add(3);
        shard.commits.add(2);
        shard.commit_seconds.record(1_000);
        shard.commit_seconds.record(70);
        shard.log_lsn.set(99);
        let text = metrics.render(Duration::from_secs(5));
        for line in [
            "# HELP ringpost_connections Connections accepted since the start.",
            "# TYPE ringpost_connections counter",
            "ringpost_connections_total{shard=\"1\",protocol=\"smtp\"} 1",
            "ringpost_connections_total{shard=\"0\",protocol=\"smtp\"} 0",
            "ringpost_connections_open{shard=\"1\",protocol=\"imap\"} 1",
            "ringpost_refusals_total{shard=\"1\",reason=\"over-quota\"} 3",
            "ringpost_commits_total{shard=\"1\"} 2",
            "ringpost_commit_seconds_sum{shard=\"1\"} 0.00107",
            "ringpost_commit_seconds_count{shard=\"1\"} 2",
            "ringpost_commit_seconds_bucket{le=\"0.001024\",shard=\"1\"} 2",
            "ringpost_commit_seconds_bucket{le=\"0.000128\",shard=\"1\"} 1",
            "ringpost_commit_seconds_bucket{le=\"+Inf\",shard=\"1\"} 2",
            "ringpost_log_lsn{shard=\"1\"} 99",
            "ringpost_uptime_seconds 5.0",
            "ringpost_log_lines_dropped_total 7",
            "ringpost_build_info{version=\"1.2.3\",backend=\"uring\"} 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn only_the_busiest_sites_are_shown() {
        let metrics = metrics();
        metrics.show_sites(Box::new(|| {
            let site = |n: u64| Sample {
                name: format!("s{n}"),
                flow: Flow {
                    sent: n,
                    ..Flow::default()
                },
                ..Sample::default()
            };
            (0..500).map(site).collect()
        }));
        let text = metrics.render(Duration::ZERO);
        let of = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(of("ringpost_site_connections{"), SITES_MAX + 1);
        assert_eq!(of("ringpost_site_recipients_total{"), (SITES_MAX + 1) * 4);
        assert!(text.contains("ringpost_site_recipients_total{site=\"s499\",result=\"sent\"} 499"));
        assert!(!text.contains("site=\"s0\""));
        let rest: u64 = (0..450).sum();
        let other =
            format!("ringpost_site_recipients_total{{site=\"other\",result=\"sent\"}} {rest}");
        assert!(text.contains(&other), "{other}");
    }

    #[test]
    fn named_series_are_bounded_and_show_the_largest() {
        let metrics = metrics();
        metrics.show_series(Box::new(|| {
            vec![Series {
                name: "ringpost_rule_held",
                help: "Rules that held.",
                label: "rule",
                values: (0..500).map(|n| (format!("r{n}"), n)).collect(),
            }]
        }));
        let text = metrics.render(Duration::ZERO);
        let shown = text
            .lines()
            .filter(|line| line.starts_with("ringpost_rule_held_total{"));
        assert_eq!(shown.count(), NAMES_MAX);
        assert!(text.contains("ringpost_rule_held_total{rule=\"r499\"} 499"));
        assert!(!text.contains("rule=\"r0\""));
    }

    #[test]
    fn every_series_is_shown_once() {
        let text = metrics().render(Duration::ZERO);
        let mut seen = HashSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, _) = line.rsplit_once(' ').unwrap();
            assert!(seen.insert(series.to_owned()), "{series} twice");
        }
        assert!(seen.len() < 2 * 300, "{} series", seen.len());
    }

    #[test]
    fn shards_do_not_share_cache_lines() {
        assert_eq!(align_of::<ShardMetrics>(), 128);
        assert!(metrics().shard(2).is_none());
    }
}
