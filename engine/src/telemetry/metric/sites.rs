//! Mail to other hosts by site, by tenant and by egress source: the one place where names from
//! outside become labels, so their number is bounded.
//!
//! The busiest have a name, all others are `other`. A counter must not fall, so what is shown is
//! made of what came since the last look: it goes to the name if that is shown, else to `other`,
//! and stays there.

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// Names of one kind that are shown, beside `other`.
pub const SITES_MAX: usize = 50;

/// Tells of everything that is known, by kind.
pub type SiteSource = dyn Fn() -> Vec<Sample> + Send + Sync;

/// What has a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub enum Kind {
    #[default]
    Site,
    Tenant,
    Source,
}

/// One name at this moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sample {
    pub kind: Kind,
    pub name: String,
    pub stock: Stock,
    pub flow: Flow,
}

/// What there is now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stock {
    pub ready: u64,
    pub deferred: u64,
    pub held: u64,
    pub in_flight: u64,
    pub connections: u64,
    /// Connections that it bears.
    pub allowed: u64,
    /// Recipients taken in the last minute.
    pub per_minute: u64,
    pub oldest_age_secs: u64,
    pub suspended: u64,
    pub paused: u64,
}

/// What came of recipients since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flow {
    pub sent: u64,
    pub deferred: u64,
    pub failed: u64,
    /// Connections that did not come to be.
    pub unreached: u64,
    /// By the first digit: 2, 4, 5, and none at all.
    pub replies: [u64; 4],
    pub first: Delays,
    pub delivery: Delays,
}

/// How often which delay came: in the bounds, the last without one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delays {
    pub counts: [u64; DELAY_BOUNDS_MILLIS.len() + 1],
    pub millis: u64,
}

/// Upper bounds of delays; 50 ms is what 99 of 100 first attempts are to stay below.
pub const DELAY_BOUNDS_MILLIS: [u64; 16] = [
    2,
    5,
    20,
    50,
    100,
    250,
    1_000,
    5_000,
    15_000,
    60_000,
    300_000,
    900_000,
    3_600_000,
    14_400_000,
    86_400_000,
    432_000_000,
];

/// What was shown so far: kept from look to look.
#[derive(Debug, Default)]
pub struct Showcase {
    known: HashMap<(Kind, String), Known>,
    named: BTreeSet<(Kind, String)>,
    other: BTreeMap<Kind, Flow>,
}

#[derive(Debug, Default)]
struct Known {
    /// As it was at the last look.
    seen: Flow,
    /// What came while it had a name.
    shown: Flow,
    is_there: bool,
}

impl Showcase {
    /// What is to be shown of these: the named ones, and `other` of each kind.
    pub fn look(&mut self, samples: Vec<Sample>) -> Vec<Sample> {
        self.choose(&samples);
        let mut shown = Vec::new();
        let mut rest: BTreeMap<Kind, Stock> = BTreeMap::new();
        for mut sample in samples {
            let key = (sample.kind, sample.name.clone());
            let known = self.known.entry(key.clone()).or_default();
            let more = sample.flow.since(&known.seen);
            (known.seen, known.is_there) = (sample.flow, true);
            if self.named.contains(&key) {
                known.shown.add(&more);
                sample.flow = known.shown;
                shown.push(sample);
                continue;
            }
            self.other.entry(sample.kind).or_default().add(&more);
            rest.entry(sample.kind).or_default().add(&sample.stock);
        }
        self.known
            .retain(|_, known| std::mem::take(&mut known.is_there));
        shown.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        for (kind, flow) in &self.other {
            shown.push(Sample {
                kind: *kind,
                name: "other".to_owned(),
                stock: rest.remove(kind).unwrap_or_default(),
                flow: *flow,
            });
        }
        shown
    }

    /// Who has a name keeps it until somebody is twice as busy: names that change at every look
    /// would be no series.
    fn choose(&mut self, samples: &[Sample]) {
        for kind in [Kind::Site, Kind::Tenant, Kind::Source] {
            let of_kind = samples.iter().filter(|sample| sample.kind == kind);
            let mut by_rank: Vec<(u64, &str)> = of_kind
                .map(|sample| {
                    let is_named = self.named.contains(&(kind, sample.name.clone()));
                    let factor = if is_named { 2 } else { 1 };
                    (sample.rank().saturating_mul(factor), sample.name.as_str())
                })
                .collect();
            by_rank.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
            self.named.retain(|(named, _)| *named != kind);
            let chosen = by_rank.into_iter().take(SITES_MAX);
            let chosen = chosen.map(|(_, name)| (kind, name.to_owned()));
            self.named.extend(chosen);
        }
    }
}

impl Sample {
    /// How busy it is: what was tried, and what waits.
    fn rank(&self) -> u64 {
        let (flow, stock) = (&self.flow, &self.stock);
        let done = flow.sent + flow.deferred + flow.failed + flow.unreached;
        done + stock.ready + stock.deferred + stock.held + stock.in_flight
    }
}

impl Stock {
    fn add(&mut self, other: &Stock) {
        self.ready += other.ready;
        self.deferred += other.deferred;
        self.held += other.held;
        self.in_flight += other.in_flight;
        self.connections += other.connections;
        self.allowed += other.allowed;
        self.per_minute += other.per_minute;
        self.oldest_age_secs = self.oldest_age_secs.max(other.oldest_age_secs);
        self.suspended += other.suspended;
        self.paused += other.paused;
    }
}

impl Flow {
    /// What came since `before`. Where that is more, whatever counts began anew.
    fn since(&self, before: &Flow) -> Flow {
        let mut more = *self;
        let has_begun_anew = self
            .cells()
            .iter()
            .zip(before.cells())
            .any(|(now, then)| *now < then);
        if has_begun_anew {
            return more;
        }
        for (cell, then) in more.cells_mut().into_iter().zip(before.cells()) {
            *cell -= then;
        }
        more
    }

    fn add(&mut self, more: &Flow) {
        for (cell, more) in self.cells_mut().into_iter().zip(more.cells()) {
            *cell += more;
        }
    }

    fn cells(&self) -> Vec<u64> {
        let heads = [self.sent, self.deferred, self.failed, self.unreached];
        let delays = [&self.first, &self.delivery];
        let delays = delays
            .into_iter()
            .flat_map(|one| one.counts.into_iter().chain([one.millis]));
        heads
            .into_iter()
            .chain(self.replies)
            .chain(delays)
            .collect()
    }

    fn cells_mut(&mut self) -> Vec<&mut u64> {
        let Flow {
            sent,
            deferred,
            failed,
            unreached,
            replies,
            first,
            delivery,
        } = self;
        let mut cells = vec![sent, deferred, failed, unreached];
        cells.extend(replies);
        for delays in [first, delivery] {
            cells.extend(&mut delays.counts);
            cells.push(&mut delays.millis);
        }
        cells
    }
}

/// Writes everything that is shown.
pub(super) fn encode(shown: &[Sample], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    for kind in [Kind::Site, Kind::Tenant, Kind::Source] {
        let of_kind: Vec<&Sample> = shown.iter().filter(|one| one.kind == kind).collect();
        for gauge in GAUGES.iter().filter(|gauge| gauge.kinds.contains(&kind)) {
            let name = format!("ringpost_{}_{}", kind.label(), gauge.name);
            let mut family =
                encoder.encode_descriptor(&name, gauge.help, None, MetricType::Gauge)?;
            for sample in &of_kind {
                let labels = [(kind.label(), sample.name.as_str())];
                family
                    .encode_family(&labels)?
                    .encode_gauge(&(gauge.value)(&sample.stock))?;
            }
        }
        counters(kind, &of_kind, encoder)?;
        if kind == Kind::Site {
            histograms(&of_kind, encoder)?;
        }
    }
    Ok(())
}

fn counters(kind: Kind, samples: &[&Sample], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    type Values = fn(&Flow) -> [(&'static str, u64); 4];
    let results: Values = |flow| {
        [
            ("sent", flow.sent),
            ("deferred", flow.deferred),
            ("failed", flow.failed),
            ("unreached", flow.unreached),
        ]
    };
    let replies: Values = |flow| {
        let [yes, later, never, none] = flow.replies;
        [("2yz", yes), ("4yz", later), ("5yz", never), ("none", none)]
    };
    for (name, label, help, values) in [
        (
            "recipients",
            "result",
            "What came of recipients that were tried.",
            results,
        ),
        (
            "replies",
            "reply",
            "Replies to recipients, by their first digit.",
            replies,
        ),
    ] {
        let name = format!("ringpost_{}_{name}", kind.label());
        let mut family = encoder.encode_descriptor(&name, help, None, MetricType::Counter)?;
        for sample in samples {
            for (value, count) in values(&sample.flow) {
                let labels = [(kind.label(), sample.name.as_str()), (label, value)];
                family
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, f64>(&count, None)?;
            }
        }
    }
    Ok(())
}

fn histograms(samples: &[&Sample], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    type Of = fn(&Flow) -> &Delays;
    let first: Of = |flow| &flow.first;
    let delivery: Of = |flow| &flow.delivery;
    for (name, help, of) in [
        (
            "ringpost_site_first_attempt_seconds",
            "From the transaction that brought a message to its first attempt.",
            first,
        ),
        (
            "ringpost_site_delivery_seconds",
            "From the transaction that brought a message until another host had it.",
            delivery,
        ),
    ] {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for sample in samples {
            let labels = [("site", sample.name.as_str())];
            let delays = of(&sample.flow);
            let bounds = DELAY_BOUNDS_MILLIS
                .iter()
                .map(|millis| *millis as f64 / 1000.0);
            let bounds = bounds.chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(delays.counts).collect();
            let count = delays.counts.iter().sum();
            family
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(
                    delays.millis as f64 / 1000.0,
                    count,
                    &buckets,
                    None,
                )?;
        }
    }
    Ok(())
}

struct GaugeOf {
    name: &'static str,
    help: &'static str,
    kinds: &'static [Kind],
    value: fn(&Stock) -> u64,
}

const ALL: &[Kind] = &[Kind::Site, Kind::Tenant, Kind::Source];
const SITE: &[Kind] = &[Kind::Site];
const NOT_TENANT: &[Kind] = &[Kind::Site, Kind::Source];
const NOT_SOURCE: &[Kind] = &[Kind::Site, Kind::Tenant];

const GAUGES: &[GaugeOf] = &[
    GaugeOf {
        name: "ready",
        help: "Recipients that wait for a connection only.",
        kinds: ALL,
        value: |stock| stock.ready,
    },
    GaugeOf {
        name: "deferred",
        help: "Recipients that wait for a time.",
        kinds: NOT_SOURCE,
        value: |stock| stock.deferred,
    },
    GaugeOf {
        name: "held",
        help: "Recipients that the operator holds.",
        kinds: NOT_SOURCE,
        value: |stock| stock.held,
    },
    GaugeOf {
        name: "in_flight",
        help: "Recipients that are being sent, or whose hosts are asked for.",
        kinds: NOT_SOURCE,
        value: |stock| stock.in_flight,
    },
    GaugeOf {
        name: "connections",
        help: "Connections that are open or opening.",
        kinds: NOT_TENANT,
        value: |stock| stock.connections,
    },
    GaugeOf {
        name: "connections_allowed",
        help: "Connections that it bears, as far as we have learnt.",
        kinds: SITE,
        value: |stock| stock.allowed,
    },
    GaugeOf {
        name: "recipients_per_minute",
        help: "Recipients that were taken in the last minute.",
        kinds: ALL,
        value: |stock| stock.per_minute,
    },
    GaugeOf {
        name: "oldest_seconds",
        help: "How long the oldest recipient has waited.",
        kinds: SITE,
        value: |stock| stock.oldest_age_secs,
    },
    GaugeOf {
        name: "suspended",
        help: "1 where the operator keeps mail from being sent.",
        kinds: SITE,
        value: |stock| stock.suspended,
    },
    GaugeOf {
        name: "paused",
        help: "1 where it could not be reached and is left alone for a while.",
        kinds: SITE,
        value: |stock| stock.paused,
    },
];

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Kind::Site => "site",
            Kind::Tenant => "tenant",
            Kind::Source => "source",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, sent: u64) -> Sample {
        Sample {
            name: name.to_owned(),
            flow: Flow {
                sent,
                ..Flow::default()
            },
            stock: Stock {
                ready: 1,
                ..Stock::default()
            },
            ..Sample::default()
        }
    }

    fn sent(shown: &[Sample], name: &str) -> Option<u64> {
        let found = shown.iter().find(|sample| sample.name == name);
        found.map(|sample| sample.flow.sent)
    }

    #[test]
    fn no_counter_falls_when_names_change() {
        let mut case = Showcase::default();
        let all = |busy: u64| -> Vec<Sample> {
            let count = SITES_MAX as u64 + 10;
            let one = |n: u64| sample(&format!("s{n:03}"), if n == 0 { busy } else { 100 + n });
            (0..count).map(one).collect()
        };
        let first = case.look(all(1));
        assert_eq!(first.len(), SITES_MAX + 1);
        assert_eq!(sent(&first, "s000"), None);
        let other = sent(&first, "other").unwrap();
        let second = case.look(all(10_000));
        assert_eq!(
            sent(&second, "s000"),
            Some(9_999),
            "what was `other` stays there"
        );
        assert!(sent(&second, "other").unwrap() >= other);
        let third = case.look(all(10_005));
        assert_eq!(sent(&third, "s000"), Some(10_004));
        let total: u64 = third.iter().map(|one| one.flow.sent).sum();
        let truth: u64 = all(10_005).iter().map(|one| one.flow.sent).sum();
        let gone = truth - total;
        assert!(
            gone <= 200,
            "only the name that was displaced took its count along: {gone}"
        );
        // The process forgot a site and met it again.
        let anew = case.look(vec![sample("s000", 3)]);
        assert_eq!(sent(&anew, "s000"), Some(10_007));
        let stock = anew.iter().find(|one| one.name == "other").unwrap().stock;
        assert_eq!(stock, Stock::default());
    }

    #[test]
    fn a_name_is_kept_until_another_is_twice_as_busy() {
        let mut case = Showcase::default();
        let crowd = |last: u64| -> Vec<Sample> {
            let mut all: Vec<Sample> = (0..SITES_MAX)
                .map(|n| sample(&format!("s{n}"), 100))
                .collect();
            all.push(sample("zz", last));
            all
        };
        assert_eq!(sent(&case.look(crowd(50)), "zz"), None);
        assert_eq!(sent(&case.look(crowd(150)), "zz"), None);
        assert!(sent(&case.look(crowd(250)), "zz").is_some());
    }
}
