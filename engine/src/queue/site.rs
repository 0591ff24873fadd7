//! Sites and what they bear: permits, a rate and a pause, shared by all shards as atomics.
//!
//! A site is a set of mail exchangers, which many domains may share. It is looked up once for each
//! ready queue; after that every question is a few atomic operations. Concurrency adapts as in
//! Postfix: a connection that is refused, or 421, halves what is allowed, a message that is taken
//! adds one.

pub(super) use super::counts::Counts;
use super::gauges::Gauges;
use super::rules::{self, Effects};
use crate::telemetry::metric::{Kind, Sample, Stock};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// All sites that any shard sends to.
#[derive(Default)]
pub struct Sites {
    known: Mutex<HashMap<Box<str>, Arc<Site>>>,
    /// Tenants and egress sources, what came of their mail.
    totals: Mutex<Totals>,
    /// What the shards have for them.
    pub(super) gauges: Gauges,
    /// How often rules held, at whatever site.
    pub rules: rules::Counts,
}

/// By kind and name.
type Totals = HashMap<(Kind, Box<str>), Arc<Counts>>;

/// One set of mail exchangers.
#[derive(Debug)]
pub struct Site {
    name: Box<str>,
    /// Connections that are open, or opening.
    open: AtomicU32,
    /// Connections that it bears, as far as we have learnt.
    allowed: AtomicU32,
    pub(super) rate: Rate,
    /// Milliseconds of the monotonic clock.
    paused_until: AtomicU64,
    /// Connections that failed one after the other.
    failures: AtomicU32,
    /// Messages that were put off one after the other.
    deferrals: AtomicU32,
    /// The last connection came to be.
    is_proven: AtomicBool,
    /// What rules have ordered.
    pub effects: Effects,
    pub counts: Counts,
}

/// Messages a minute, by GCRA: the moment up to which the past has used them.
#[derive(Default, Debug)]
pub(super) struct Rate {
    /// Microseconds of the monotonic clock.
    used_until: AtomicU64,
}

/// Leave to have one connection to a site; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    site: Arc<Site>,
}

/// What the last connections to a site say of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repute {
    /// It took the last connection.
    Good,
    /// It has taken none yet, or not the last one: it may be dead.
    Unknown,
    /// It answers, and has put off one message after the other.
    Sulking,
}

/// Why there is no permit now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// As many connections are open as it bears.
    Crowded { allowed: u32 },
    /// Its connections failed; until this moment, in milliseconds of the monotonic clock.
    Paused { until_millis: u64 },
}

impl Sites {
    /// The site of this name, made if it is new.
    pub fn site(&self, name: &str) -> Arc<Site> {
        let mut known = self
            .known
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        if let Some(site) = known.get(name) {
            return Arc::clone(site);
        }
        if known.len() >= SITES_KEPT_MAX {
            known.retain(|_, site| Arc::strong_count(site) > 1);
        }
        let site = Arc::new(Site::new(name));
        known.insert(name.into(), Arc::clone(&site));
        site
    }

    /// What is counted of a tenant or an egress source. Beyond [`TOTALS_MAX`] names, new ones share
    /// one.
    pub(super) fn total(&self, kind: Kind, name: &str) -> Arc<Counts> {
        let mut totals = self
            .totals
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let name = match totals.len() < TOTALS_MAX || totals.contains_key(&(kind, name.into())) {
            true => name,
            false => "other",
        };
        Arc::clone(totals.entry((kind, name.into())).or_default())
    }

    /// Sites that took something in the last minute.
    pub(super) fn busy(&self, now_secs: u64) -> Vec<Arc<Site>> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let is_busy = |site: &&Arc<Site>| site.counts.per_minute(now_secs) > 0;
        known.values().filter(is_busy).cloned().collect()
    }

    /// Every site, tenant and source that is known now, for the metrics.
    pub fn samples(&self, now_secs: u64, now_millis: u64) -> Vec<Sample> {
        let mut stocks = self.gauges.stocks(now_secs);
        let mut samples = Vec::new();
        {
            let known = self
                .known
                .lock()
                .unwrap_or_else(|broken| broken.into_inner());
            for site in known.values() {
                let stock = stocks.remove(&(Kind::Site, site.name.clone()));
                samples.push(Sample {
                    kind: Kind::Site,
                    name: label(&site.name),
                    stock: site.stock(stock.unwrap_or_default(), now_secs, now_millis),
                    flow: site.counts.flow(),
                });
            }
        }
        let totals = self
            .totals
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        for ((kind, name), counts) in totals.iter() {
            let stock = stocks.remove(&(*kind, name.clone())).unwrap_or_default();
            samples.push(Sample {
                kind: *kind,
                name: label(name),
                stock: Stock {
                    per_minute: counts.per_minute(now_secs),
                    ..stock
                },
                flow: counts.flow(),
            });
        }
        // Those of whom nothing was tried yet.
        samples.extend(stocks.into_iter().map(|((kind, name), stock)| Sample {
            kind,
            name: label(&name),
            stock,
            ..Sample::default()
        }));
        samples
    }
}

/// A name as a label: nothing in it ends the label or the line.
fn label(name: &str) -> String {
    let plain = |c: char| {
        if c.is_control() || c == '"' || c == '\\' {
            '?'
        } else {
            c
        }
    };
    name.chars().take(LABEL_CHARS_MAX).map(plain).collect()
}

impl Site {
    fn new(name: &str) -> Site {
        Site {
            name: name.into(),
            open: AtomicU32::new(0),
            allowed: AtomicU32::new(ALLOWED_FIRST),
            rate: Rate::default(),
            paused_until: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            deferrals: AtomicU32::new(SULKS_AFTER - SULKS_AFTER_AT_FIRST),
            is_proven: AtomicBool::new(false),
            effects: Effects::default(),
            counts: Counts::default(),
        }
    }

    /// What the shards have for it, with what the site itself knows.
    fn stock(&self, stock: Stock, now_secs: u64, now_millis: u64) -> Stock {
        Stock {
            connections: self.open().into(),
            allowed: self.allowed(u32::MAX).into(),
            per_minute: self.counts.per_minute(now_secs),
            paused: u64::from(now_millis < self.paused_until()),
            ..stock
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections that it bears, within what the configuration allows.
    #[must_use]
    pub fn allowed(&self, most: u32) -> u32 {
        self.allowed.load(Ordering::Relaxed).clamp(1, most.max(1))
    }

    /// Whether it took the last connection: one that did not may be dead, and is probed.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Relaxed)
    }

    /// What it may expect of us.
    #[must_use]
    pub fn repute(&self) -> Repute {
        let deferrals = self.deferrals.load(Ordering::Relaxed);
        match self.is_proven() {
            false => Repute::Unknown,
            true if deferrals >= SULKS_AFTER => Repute::Sulking,
            true => Repute::Good,
        }
    }

    /// Connections that may be open: what the configuration allows, or less where a rule wants it.
    #[must_use]
    pub fn most(&self, most: u32, now: u32) -> u32 {
        let slow = self.effects.slow(now);
        slow.map_or(most, |slow| slow.connections.min(most))
    }

    /// Leave to connect. A site of which nothing is known, or that was paused, gets one connection
    /// to show that it is there; one that puts off everything, to show that it takes mail again.
    pub fn permit(self: &Arc<Site>, most: u32, now_millis: u64) -> Result<Permit, Refused> {
        let until_millis = self.paused_until.load(Ordering::Relaxed);
        if now_millis < until_millis {
            return Err(Refused::Paused { until_millis });
        }
        let allowed = match self.repute() {
            Repute::Good => self.allowed(most),
            Repute::Unknown | Repute::Sulking => 1,
        };
        let one_more = |open: u32| (open < allowed).then_some(open + 1);
        let taken = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        match taken {
            Ok(_) => Ok(Permit {
                site: Arc::clone(self),
            }),
            Err(_) => Err(Refused::Crowded { allowed }),
        }
    }

    /// Until when the site is left alone, in milliseconds of the monotonic clock; 0: it is not.
    #[must_use]
    pub fn paused_until(&self) -> u64 {
        self.paused_until.load(Ordering::Relaxed)
    }

    /// A host of it took a connection, up to the first command of mail.
    pub fn answered(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.is_proven.store(true, Ordering::Relaxed);
    }

    /// A message was taken.
    pub fn took(&self, most: u32) {
        self.deferrals.store(0, Ordering::Relaxed);
        let more = |allowed: u32| Some(allowed.saturating_add(1).min(most.max(1)));
        let _ = self
            .allowed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// A message was put off. A site that takes nothing at all gets no more than one connection
    /// after a while: its answers cost as much work as those of one that takes mail.
    pub fn put_off(&self) {
        let before = self.deferrals.fetch_add(1, Ordering::Relaxed);
        if before >= DEFERRALS_MAX {
            self.crowded();
        }
    }

    /// It said 421, or closed on us: fewer connections, no pause.
    pub fn crowded(&self) {
        let half = |allowed: u32| Some((allowed / 2).max(1));
        let _ = self
            .allowed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, half);
    }

    /// It cannot be reached: fewer connections, and none for a while. `pause_secs` is asked with
    /// the number of failures in a row.
    pub fn unreached(&self, now_millis: u64, pause_secs: impl Fn(u32) -> u32) {
        self.crowded();
        self.is_proven.store(false, Ordering::Relaxed);
        self.counts.unreached.fetch_add(1, Ordering::Relaxed);
        // Several connections that fail together are one failure.
        if now_millis < self.paused_until.load(Ordering::Relaxed) {
            return;
        }
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        let pause = u64::from(pause_secs(before + 1)) * 1000;
        self.paused_until
            .store(now_millis + pause, Ordering::Relaxed);
    }

    /// The operator wants it tried now.
    pub fn resume(&self) {
        self.paused_until.store(0, Ordering::Relaxed);
    }
}

impl Rate {
    /// Takes one message's share of the rate; `Err`: the microsecond at which there is one.
    pub(super) fn take(&self, per_minute: u32, now_micros: u64) -> Result<(), u64> {
        let share = MINUTE_MICROS / u64::from(per_minute.max(1));
        let burst = share * u64::from((per_minute / BURSTS_A_MINUTE).max(1));
        let next = |used: u64| {
            let used = used.max(now_micros);
            (used + share <= now_micros + burst).then_some(used + share)
        };
        let taken = self
            .used_until
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.map(drop).map_err(|used| used + share - burst)
    }

    /// The message that it was taken for did not leave.
    pub(super) fn give_back(&self, per_minute: u32) {
        let share = MINUTE_MICROS / u64::from(per_minute.max(1));
        self.used_until.fetch_sub(share, Ordering::Relaxed);
    }
}

impl Permit {
    #[must_use]
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.site.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections to a site of which nothing is known.
const ALLOWED_FIRST: u32 = 5;

/// Messages that a site may put off one after the other at full concurrency: greylisting is usual.
const DEFERRALS_MAX: u32 = 10;

/// Messages that a site has put off one after the other when its couriers become few; and those of
/// one that has taken none yet.
const SULKS_AFTER: u32 = 5;
const SULKS_AFTER_AT_FIRST: u32 = 2;

/// Tenants and egress sources that are counted each by itself.
const TOTALS_MAX: usize = 20_000;

/// Longest label, in characters.
const LABEL_CHARS_MAX: usize = 255;

/// Beyond this, sites that no ready queue holds are forgotten before a new one is made.
const SITES_KEPT_MAX: usize = 100_000;

const MINUTE_MICROS: u64 = 60_000_000;

/// Messages that may leave at once are those of two seconds.
const BURSTS_A_MINUTE: u32 = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn permits_follow_what_the_site_bears() {
        let sites = Sites::default();
        let site = sites.site("mx.example");
        assert!(Arc::ptr_eq(&site, &sites.site("mx.example")));
        let probe = site.permit(20, 0).unwrap();
        let alone = Refused::Crowded { allowed: 1 };
        assert_eq!(site.permit(20, 0).unwrap_err(), alone, "it may be dead");
        drop(probe);
        site.answered();
        let held: Vec<_> = (0..5).map(|_| site.permit(20, 0).unwrap()).collect();
        assert_eq!(
            site.permit(20, 0).unwrap_err(),
            Refused::Crowded { allowed: 5 }
        );
        site.took(20);
        let one_more = site.permit(20, 0).unwrap();
        site.crowded();
        assert_eq!(site.allowed(20), 3);
        drop((held, one_more));
        assert_eq!(site.open(), 0);
        for _ in 0..100 {
            site.took(20);
        }
        assert_eq!((site.allowed(20), site.allowed(7)), (20, 7));
        for _ in 0..10 {
            site.crowded();
        }
        assert_eq!(site.allowed(20), 1);
    }

    #[test]
    fn a_site_that_takes_nothing_gets_one_connection() {
        let site = Sites::default().site("later.example");
        site.answered();
        site.put_off();
        assert_eq!(site.repute(), Repute::Good);
        site.put_off();
        assert_eq!(site.repute(), Repute::Sulking, "it has taken nothing yet");
        site.took(ALLOWED_FIRST);
        for _ in 0..DEFERRALS_MAX {
            site.put_off();
        }
        assert_eq!(site.allowed(20), ALLOWED_FIRST);
        for _ in 0..5 {
            site.put_off();
        }
        assert_eq!(site.allowed(20), 1);
        assert_eq!(site.repute(), Repute::Sulking);
        site.took(20);
        site.put_off();
        assert_eq!(site.allowed(20), 2, "it takes mail again");
        assert_eq!(site.repute(), Repute::Good);
    }

    #[test]
    fn a_share_that_was_not_used_is_there_again() {
        let rate = Rate::default();
        assert!(rate.take(1, MINUTE_MICROS).is_ok() && rate.take(1, MINUTE_MICROS).is_err());
        rate.give_back(1);
        assert!(rate.take(1, MINUTE_MICROS).is_ok() && rate.take(1, MINUTE_MICROS).is_err());
    }

    #[test]
    fn a_dead_site_is_left_alone_longer_and_longer() {
        let site = Sites::default().site("dead.example");
        let pause = |failures: u32| failures * 10;
        site.unreached(1_000, pause);
        site.unreached(1_001, pause);
        assert_eq!(site.paused_until(), 11_000, "failures at one time are one");
        let paused = Refused::Paused {
            until_millis: 11_000,
        };
        assert_eq!(site.permit(20, 10_999).unwrap_err(), paused);
        let probe = site.permit(20, 11_000).unwrap();
        let crowded = Refused::Crowded { allowed: 1 };
        assert_eq!(site.permit(20, 11_000).unwrap_err(), crowded);
        site.unreached(11_000, pause);
        assert_eq!(site.paused_until(), 31_000);
        drop(probe);
        site.resume();
        let back = site.permit(20, 12_000).unwrap();
        site.answered();
        site.took(20);
        assert!(site.permit(20, 12_000).is_ok());
        drop(back);
    }

    proptest! {
        /// Never more than the rate and one burst, and no share is lost while somebody asks.
        #[test]
        fn the_rate_holds(
            per_minute in 1u32..10_000,
            steps in prop::collection::vec(0u64..3_000_000, 1..300),
        ) {
            let site = Sites::default().site("x");
            let start = 1_000_000_000;
            let (mut now, mut taken) = (start, 0u64);
            for step in steps {
                now += step;
                match site.rate.take(per_minute, now) {
                    Ok(()) => taken += 1,
                    Err(at) => {
                        prop_assert!(at > now);
                        prop_assert!(site.rate.take(per_minute, at).is_ok());
                        (now, taken) = (at, taken + 1);
                    }
                }
            }
            let share = MINUTE_MICROS / u64::from(per_minute);
            let burst = u64::from((per_minute / BURSTS_A_MINUTE).max(1));
            prop_assert!(taken <= (now - start) / share + burst + 1, "{taken}");
        }
    }
}
