//! How every site, tenant and egress source fares: for the operator at once, for the metrics once
//! in a while.

use super::dispatch::Dispatcher;
use super::gauges::Gauge;
use super::site::Site;
use super::tally::{Part, Tally};
use crate::post::SiteLine;
use crate::telemetry::metric::{Kind, Stock};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use store::mail::id::ItemId;

impl Dispatcher {
    /// What this shard has for each site, those with most to do first.
    pub(super) fn top(&self) -> Vec<SiteLine> {
        let now = self.second();
        let mut parts = self.board.borrow_mut().parts(now);
        // Those that take mail as fast as it comes have nothing that waits.
        let has_part: HashSet<*const Site> = parts
            .iter()
            .filter_map(|part| part.site.as_ref().map(Arc::as_ptr))
            .collect();
        let busy = self.sites.busy(self.now().unix_secs()).into_iter();
        let busy = busy.filter(|site| !has_part.contains(&Arc::as_ptr(site)));
        parts.extend(busy.map(|site| Part {
            site: Some(site),
            connections_max: u32::MAX,
            ..Part::default()
        }));
        let mut lines: Vec<SiteLine> = parts.iter().map(|part| self.site_line(part)).collect();
        lines.sort_by(|a, b| b.load().cmp(&a.load()).then(a.site.cmp(&b.site)));
        lines.truncate(SITES_SHOWN_MAX);
        lines
    }

    fn site_line(&self, part: &Part) -> SiteLine {
        let tally = &part.tally;
        let line = SiteLine {
            ready: tally.ready.into(),
            waiting: tally.timed.into(),
            held: tally.held.into(),
            under_way: u64::from(tally.sending) + u64::from(tally.resolving),
            oldest_secs: self.enqueued(part.oldest),
            per_minute_max: part.per_minute_max,
            is_suspended: part.is_suspended,
            ..SiteLine::default()
        };
        let Some(site) = &part.site else {
            return line;
        };
        let now = self.now();
        let flow = site.counts.flow();
        let left = site.paused_until().saturating_sub(now.monotonic_millis);
        SiteLine {
            site: site.name().to_owned(),
            connections: site.open(),
            allowed: site.allowed(site.most(part.connections_max, self.second())),
            rules: site.effects.shown(self.second()),
            per_minute: site.counts.per_minute(now.unix_secs()),
            is_proven: site.is_proven(),
            paused_secs: left.div_ceil(1000),
            sent: flow.sent,
            deferred: flow.deferred,
            failed: flow.failed,
            unreached: flow.unreached,
            last: site.counts.last(),
            ..line
        }
    }

    /// When custody of an item began; `None` where it has ended.
    fn enqueued(&self, item: Option<u64>) -> Option<u32> {
        let item = self.store.queue_item(ItemId(item?))?;
        Some(item.enqueued_secs)
    }

    /// Publishes what the metrics show of this shard. With very many sites not every second.
    pub(super) fn publish(&self, now: u32) {
        let count = self.board.borrow().domain_count();
        let every = u32::try_from(count / DOMAINS_A_SECOND).unwrap_or(u32::MAX);
        if !now.is_multiple_of(every.saturating_add(1)) {
            return;
        }
        let parts = self.board.borrow_mut().parts(now);
        let mut gauges: Vec<Gauge> = parts.iter().map(|part| self.site_gauge(part)).collect();
        let board = self.board.borrow();
        let tenants = board.tenants();
        gauges.extend(tenants.map(|(name, tally)| gauge(Kind::Tenant, name, tally)));
        let mut sources: HashMap<&str, Stock> = HashMap::new();
        for (_, queue) in board.queues() {
            let stock = sources.entry(&queue.source.says.name).or_default();
            stock.ready += queue.ready() as u64;
            stock.connections += u64::from(queue.couriers);
        }
        for (name, stock) in sources {
            gauges.push(Gauge {
                kind: Kind::Source,
                name: name.into(),
                stock,
                oldest_secs: None,
            });
        }
        self.sites.gauges.publish(self.shard, gauges);
    }

    fn site_gauge(&self, part: &Part) -> Gauge {
        let name = part.site.as_ref().map_or(UNRESOLVED, |site| site.name());
        let mut gauge = gauge(Kind::Site, name, &part.tally);
        gauge.stock.suspended = u64::from(part.is_suspended);
        gauge.oldest_secs = self.enqueued(part.oldest);
        gauge
    }
}

impl SiteLine {
    /// How much there is to do.
    pub(crate) fn load(&self) -> u64 {
        self.ready + self.under_way + self.waiting + self.held
    }

    /// Adds what another shard has for the same site.
    pub(crate) fn join(&mut self, other: &SiteLine) {
        self.ready += other.ready;
        self.waiting += other.waiting;
        self.held += other.held;
        self.under_way += other.under_way;
        self.is_suspended |= other.is_suspended;
        // A shard with nothing for it does not know what its route allows.
        self.allowed = self.allowed.min(other.allowed);
        let oldest = self.oldest_secs.into_iter().chain(other.oldest_secs);
        self.oldest_secs = oldest.min();
    }
}

fn gauge(kind: Kind, name: &str, tally: &Tally) -> Gauge {
    Gauge {
        kind,
        name: name.into(),
        stock: Stock {
            ready: tally.ready.into(),
            deferred: tally.timed.into(),
            held: tally.held.into(),
            in_flight: u64::from(tally.sending) + u64::from(tally.resolving),
            ..Stock::default()
        },
        oldest_secs: None,
    }
}

/// The site, in metrics, of domains whose hosts were never known.
const UNRESOLVED: &str = "unresolved";

/// Sites that are shown of one shard.
const SITES_SHOWN_MAX: usize = 10_000;

/// Domains that are summed up in a second: some milliseconds.
const DOMAINS_A_SECOND: usize = 20_000;
