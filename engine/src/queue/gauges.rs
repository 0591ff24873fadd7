//! What the shards have for each site, tenant and egress source: published by each once a second
//! or less often, so that the metrics are rendered without asking a shard.

use crate::telemetry::metric::{Kind, Stock};
use std::collections::HashMap;
use std::sync::Mutex;

/// One entry of what a shard publishes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Gauge {
    pub(super) kind: Kind,
    pub(super) name: Box<str>,
    pub(super) stock: Stock,
    /// When custody of the oldest recipient began, in seconds since 1970.
    pub(super) oldest_secs: Option<u32>,
}

/// By shard, what it published last.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    by_shard: Mutex<HashMap<usize, Vec<Gauge>>>,
}

impl Gauges {
    pub(super) fn publish(&self, shard: usize, gauges: Vec<Gauge>) {
        let mut by_shard = self
            .by_shard
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        by_shard.insert(shard, gauges);
    }

    /// Those of all shards together.
    pub(super) fn stocks(&self, now_secs: u64) -> HashMap<(Kind, Box<str>), Stock> {
        let by_shard = self
            .by_shard
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let mut stocks: HashMap<(Kind, Box<str>), Stock> = HashMap::new();
        for gauge in by_shard.values().flatten() {
            let stock = stocks.entry((gauge.kind, gauge.name.clone())).or_default();
            let more = &gauge.stock;
            stock.ready += more.ready;
            stock.deferred += more.deferred;
            stock.held += more.held;
            stock.in_flight += more.in_flight;
            stock.connections += more.connections;
            stock.suspended = stock.suspended.max(more.suspended);
            let age = |since: u32| now_secs.saturating_sub(u64::from(since));
            let age = gauge.oldest_secs.map_or(0, age);
            stock.oldest_age_secs = stock.oldest_age_secs.max(age);
        }
        stocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_put_together_and_each_replaces_its_own() {
        let gauges = Gauges::default();
        let gauge = |ready, oldest_secs| Gauge {
            kind: Kind::Site,
            name: "mx.test".into(),
            stock: Stock {
                ready,
                ..Stock::default()
            },
            oldest_secs,
        };
        gauges.publish(0, vec![gauge(1, Some(900))]);
        gauges.publish(1, vec![gauge(2, None)]);
        gauges.publish(0, vec![gauge(5, Some(950))]);
        let stocks = gauges.stocks(1_000);
        let stock = &stocks[&(Kind::Site, "mx.test".into())];
        assert_eq!((stock.ready, stock.oldest_age_secs), (7, 50));
    }
}
