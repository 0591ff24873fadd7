//! Events that were told, and how far each webhook is behind. Names of webhooks stand in the
//! configuration, so their number is bounded.

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;

/// Tells how it is now.
pub type EventSource = dyn Fn() -> EventSample + Send + Sync;

/// What became of events since the start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventSample {
    pub written: u64,
    pub dropped: u64,
    /// The file cannot be written just now.
    pub is_stuck: bool,
    pub hooks: Vec<HookSample>,
}

/// One webhook.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HookSample {
    pub name: String,
    pub lag_bytes: u64,
    pub delivered: u64,
    pub failures: u64,
    pub skipped: u64,
}

type Count = fn(&HookSample) -> u64;

pub(super) fn encode(sample: &EventSample, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let counts = [
        (
            "ringpost_events_written",
            "Events written to the file.",
            sample.written,
        ),
        (
            "ringpost_events_dropped",
            "Events that a slow or full disk did not take.",
            sample.dropped,
        ),
    ];
    for (name, help, count) in counts {
        encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, f64>(&count, None)?;
    }
    let help = "1 where events cannot be written just now.";
    encoder
        .encode_descriptor("ringpost_events_stuck", help, None, MetricType::Gauge)?
        .encode_gauge(&u64::from(sample.is_stuck))?;
    let help = "Octets of events that a webhook has not got yet.";
    let mut lag =
        encoder.encode_descriptor("ringpost_webhook_lag_bytes", help, None, MetricType::Gauge)?;
    for hook in &sample.hooks {
        let labels = [("webhook", hook.name.as_str())];
        lag.encode_family(&labels)?.encode_gauge(&hook.lag_bytes)?;
    }
    let each: [(&str, &str, Count); 3] = [
        (
            "ringpost_webhook_events",
            "Events that a webhook has got.",
            |hook| hook.delivered,
        ),
        (
            "ringpost_webhook_failures",
            "Requests to a webhook that failed.",
            |hook| hook.failures,
        ),
        (
            "ringpost_webhook_skipped_files",
            "Files of events that were removed before a webhook had them.",
            |hook| hook.skipped,
        ),
    ];
    for (name, help, count) in each {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for hook in &sample.hooks {
            let labels = [("webhook", hook.name.as_str())];
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, f64>(&count(hook), None)?;
        }
    }
    Ok(())
}
