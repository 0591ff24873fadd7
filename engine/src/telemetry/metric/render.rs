//! Metrics as text: OpenMetrics 1.0, which Prometheus reads, written by prometheus-client.

use super::cell::{Counter, Gauge, Histogram, Label, Labelled};
use super::shard::FAMILIES;
use super::{Metrics, hooks, series, sites};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One name with its help, and where a shard keeps its cells.
pub(super) struct Family<S> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricType,
    pub(super) samples: fn(&S) -> &dyn Samples,
}

/// Cells that can be shown under one name.
pub(super) trait Samples {
    fn encode(&self, encoder: &mut MetricEncoder<'_>, shard: &str) -> fmt::Result;
}

/// What of the whole process is shown beside the shards.
#[derive(Debug)]
struct Scrape {
    metrics: Arc<Metrics>,
    uptime: Duration,
}

impl Metrics {
    /// All metrics of all shards. Reads only; may run on any thread.
    #[must_use]
    pub fn render(self: &Arc<Self>, uptime: Duration) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Scrape {
            metrics: Arc::clone(self),
            uptime,
        }));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a String takes every text");
        text
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let process = &self.metrics.process;
        let build = [("version", process.version), ("backend", process.backend)];
        encoder
            .encode_descriptor("ringpost_build", "What runs here.", None, MetricType::Info)?
            .encode_info(&build.as_slice())?;
        encoder
            .encode_descriptor(
                "ringpost_uptime_seconds",
                "Seconds since the start.",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&self.uptime.as_secs_f64())?;
        encoder
            .encode_descriptor(
                "ringpost_log_lines_dropped",
                "Log lines that nobody could write fast enough.",
                None,
                MetricType::Counter,
            )?
            .encode_counter::<NoLabelSet, _, f64>(&process.log_lines_dropped(), None)?;
        for family in FAMILIES {
            self.family(family, &mut encoder)?;
        }
        if let Some(source) = self.metrics.events.get() {
            hooks::encode(&source(), &mut encoder)?;
        }
        let shown = self.metrics.named();
        if !shown.is_empty() {
            sites::encode(&shown, &mut encoder)?;
        }
        match self.metrics.series.get() {
            Some(source) => series::encode(source(), &mut encoder),
            None => Ok(()),
        }
    }
}

impl Scrape {
    fn family(
        &self,
        family: &Family<super::ShardMetrics>,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> fmt::Result {
        let mut metric =
            encoder.encode_descriptor(family.name, family.help.trim(), None, family.kind)?;
        for (index, shard) in self.metrics.shards.iter().enumerate() {
            (family.samples)(shard).encode(&mut metric, &index.to_string())?;
        }
        Ok(())
    }
}

impl Samples for Counter {
    fn encode(&self, encoder: &mut MetricEncoder<'_>, shard: &str) -> fmt::Result {
        let labels = [("shard", shard)];
        encoder
            .encode_family(&labels)?
            .encode_counter::<NoLabelSet, _, f64>(&self.read(), None)
    }
}

impl Samples for Gauge {
    fn encode(&self, encoder: &mut MetricEncoder<'_>, shard: &str) -> fmt::Result {
        let labels = [("shard", shard)];
        encoder.encode_family(&labels)?.encode_gauge(&self.read())
    }
}

impl<const PER_UNIT: u64> Samples for Histogram<PER_UNIT> {
    fn encode(&self, encoder: &mut MetricEncoder<'_>, shard: &str) -> fmt::Result {
        let labels = [("shard", shard)];
        let (sum, count, buckets) = self.shown();
        encoder
            .encode_family(&labels)?
            .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

impl<L: Label> Samples for Labelled<L, Counter> {
    fn encode(&self, encoder: &mut MetricEncoder<'_>, shard: &str) -> fmt::Result {
        for (name, cell) in self.each() {
            let labels = [("shard", shard), (L::NAME, name)];
            encoder
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, f64>(&cell.read(), None)?;
        }
        Ok(())
    }
}

impl<L: Label> Samples for Labelled<L, Gauge> {
    fn encode(&self, encoder: &mut MetricEncoder<'_>, shard: &str) -> fmt::Result {
        for (name, cell) in self.each() {
            let labels = [("shard", shard), (L::NAME, name)];
            encoder.encode_family(&labels)?.encode_gauge(&cell.read())?;
        }
        Ok(())
    }
}
