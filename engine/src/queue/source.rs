//! Egress sources at work, shared by all shards: permits, a rate, what keeps one from sending.
//!
//! A source that cannot be bound, or whose proxy is of no use, is left alone for a while, longer
//! each time; one that warms up has so many messages a day for each site. Meanwhile the others of
//! its pool take its share. Times are seconds since 1970.

use super::site::{Rate, Site};
use super::warmup::Days;
use crate::config::outbound::EgressSource;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All sources, by name.
#[derive(Default)]
pub struct Sources {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    sources: HashMap<String, Arc<Source>>,
    /// They outlive a source whose configuration changes.
    days: HashMap<String, Arc<Days>>,
    made: u32,
}

/// One source.
#[derive(Debug)]
pub(super) struct Source {
    /// Another one for each configuration of a name.
    pub(super) id: u32,
    pub(super) says: EgressSource,
    open: AtomicU32,
    pub(super) rate: Rate,
    pub(super) sent: AtomicU64,
    suspended_until: AtomicU32,
    trouble: Mutex<Trouble>,
    days: Arc<Days>,
}

#[derive(Default, Debug)]
struct Trouble {
    failures: u32,
    why: String,
}

/// Leave to have one connection from a source; given back when dropped.
#[derive(Debug)]
pub(super) struct Leave {
    source: Arc<Source>,
}

/// One message of today's where a source warms up; given back when dropped unless it was sent.
#[derive(Debug)]
pub(super) struct Ration {
    /// `None`: they are not counted.
    of: Option<(Arc<Source>, Arc<Site>)>,
    taken: u32,
}

/// What keeps a source from sending to a site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Obstacle {
    Suspended {
        why: String,
        until: u32,
    },
    /// It warms up, and had its messages of today.
    Rationed {
        most: u32,
        until: u32,
    },
}

impl Sources {
    /// The sources of a configuration, in its order.
    pub(super) fn of(&self, all: &[EgressSource]) -> Vec<Arc<Source>> {
        let mut known = held(&self.known);
        all.iter().map(|says| known.source(says)).collect()
    }

    /// Those that were asked for last, by name.
    pub(super) fn all(&self) -> Vec<Arc<Source>> {
        let known = held(&self.known);
        let mut all: Vec<Arc<Source>> = known.sources.values().map(Arc::clone).collect();
        all.sort_by(|a, b| a.says.name.cmp(&b.says.name));
        all
    }

    /// The days of a source, whether it is in the configuration or not.
    pub(super) fn days(&self, name: &str) -> Arc<Days> {
        held(&self.known).days(name)
    }
}

impl Known {
    fn source(&mut self, says: &EgressSource) -> Arc<Source> {
        if let Some(source) = self.sources.get(&says.name)
            && source.says == *says
        {
            return Arc::clone(source);
        }
        let source = Arc::new(Source {
            id: self.made,
            says: says.clone(),
            open: AtomicU32::new(0),
            rate: Rate::default(),
            sent: AtomicU64::new(0),
            suspended_until: AtomicU32::new(0),
            trouble: Mutex::default(),
            days: self.days(&says.name),
        });
        self.made = self.made.wrapping_add(1);
        self.sources.insert(says.name.clone(), Arc::clone(&source));
        source
    }

    fn days(&mut self, name: &str) -> Arc<Days> {
        Arc::clone(self.days.entry(name.to_owned()).or_default())
    }
}

impl Source {
    #[must_use]
    pub(super) fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// `None`: as many connections are open as it may have.
    pub(super) fn leave(self: &Arc<Source>) -> Option<Leave> {
        let most = self.says.connections_max.unwrap_or(u32::MAX);
        let one_more = |open: u32| (open < most).then_some(open + 1);
        let taken = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.ok().map(|_| Leave {
            source: Arc::clone(self),
        })
    }

    /// The address that connections to a host of this family come from. `Err`: it has addresses,
    /// and none of this family; `None`: somebody else chooses.
    pub(super) fn address_for(&self, host: IpAddr) -> Result<Option<IpAddr>, ()> {
        let mut own = self.says.addresses.iter();
        match own.find(|own| own.is_ipv4() == host.is_ipv4()) {
            Some(own) => Ok(Some(*own)),
            None if self.says.addresses.is_empty() => Ok(None),
            None => Err(()),
        }
    }

    #[must_use]
    pub(super) fn is_usable(&self, site: &str, now: u32) -> bool {
        now >= self.suspended_until.load(Ordering::Relaxed)
            && self
                .ration(site, now)
                .is_none_or(|most| self.days.used(site, day(now)) < most)
    }

    /// Messages that it may send to a site today; `None`: as many as come.
    #[must_use]
    pub(super) fn ration(&self, site: &str, now: u32) -> Option<u32> {
        let warmup = self.says.warmup.as_ref()?;
        warmup.allows(site, day(now))
    }

    /// What keeps it from sending now.
    pub(super) fn obstacle(&self, site: &str, now: u32) -> Option<Obstacle> {
        let until = self.suspended_until.load(Ordering::Relaxed);
        if now < until {
            let why = held(&self.trouble).why.clone();
            return Some(Obstacle::Suspended { why, until });
        }
        let most = self.ration(site, now)?;
        let is_spent = self.days.used(site, day(now)) >= most;
        is_spent.then(|| Obstacle::Rationed {
            most,
            until: (day(now) + 1).saturating_mul(DAY_SECS),
        })
    }

    /// Takes one message of today's; `false`: there is none left.
    pub(super) fn take_ration(&self, site: &str, now: u32) -> bool {
        match self.ration(site, now) {
            None => true,
            Some(most) => self.days.take(site, day(now), most),
        }
    }

    /// The message did not leave after all.
    pub(super) fn return_ration(&self, site: &str, now: u32) {
        if self.ration(site, now).is_some() {
            self.days.give_back(site, day(now));
        }
    }

    /// Sites that have had messages of today's, with how many.
    pub(super) fn today(&self, now: u32) -> Vec<(String, u32)> {
        self.days.of_day(day(now))
    }

    /// It could not be left from; for how many seconds nobody tries. Several connections that fail
    /// together are one failure.
    pub(super) fn suspend(&self, why: &str, now: u32) -> Option<u32> {
        if now < self.suspended_until.load(Ordering::Relaxed) {
            return None;
        }
        let mut trouble = held(&self.trouble);
        let doubled = PAUSE_SECS_MIN << trouble.failures.min(PAUSES_DOUBLED_MAX);
        trouble.failures = trouble.failures.saturating_add(1);
        why.clone_into(&mut trouble.why);
        self.suspended_until
            .store(now.saturating_add(doubled), Ordering::Relaxed);
        Some(doubled)
    }

    /// A connection came to be.
    pub(super) fn answered(&self) {
        if self.suspended_until.swap(0, Ordering::Relaxed) > 0 {
            *held(&self.trouble) = Trouble::default();
        }
    }
}

impl Leave {
    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }
}

impl Ration {
    /// `None`: there is none left.
    pub(super) fn take(source: &Arc<Source>, site: &Arc<Site>, now: u32) -> Option<Ration> {
        let is_counted = source.ration(site.name(), now).is_some();
        if is_counted && !source.take_ration(site.name(), now) {
            return None;
        }
        Some(Ration {
            of: is_counted.then(|| (Arc::clone(source), Arc::clone(site))),
            taken: now,
        })
    }

    pub(super) fn spend(mut self) {
        self.of = None;
    }
}

impl Drop for Ration {
    fn drop(&mut self) {
        if let Some((source, site)) = &self.of {
            source.return_ration(site.name(), self.taken);
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.source.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Days since 1970 in UTC.
pub(super) fn day(now: u32) -> u32 {
    now / DAY_SECS
}

/// Nothing here can be left half done by a thread that panics.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const DAY_SECS: u32 = 86_400;

/// A source that failed once.
const PAUSE_SECS_MIN: u32 = 5;

/// At last ten minutes and some.
const PAUSES_DOUBLED_MAX: u32 = 7;

#[cfg(test)]
mod tests {
    use super::super::site::Sites;
    use super::*;
    use crate::config::outbound::{Ramp, Warmup};

    const NOON: u32 = 20_000 * DAY_SECS + DAY_SECS / 2;

    fn source(change: impl FnOnce(&mut EgressSource)) -> Arc<Source> {
        let mut says = EgressSource::only("mx.test");
        change(&mut says);
        Sources::default().of(&[says]).remove(0)
    }

    #[test]
    fn a_source_that_fails_is_left_alone_longer_and_longer() {
        let source = source(|_| ());
        assert_eq!(source.suspend("cannot bind", NOON), Some(5));
        assert_eq!(source.suspend("again", NOON + 4), None, "one failure");
        assert!(!source.is_usable("s", NOON + 4) && source.is_usable("s", NOON + 5));
        let Some(Obstacle::Suspended { why, until }) = source.obstacle("s", NOON) else {
            panic!("it is suspended");
        };
        assert_eq!((why.as_str(), until), ("cannot bind", NOON + 5));
        assert_eq!(source.suspend("x", NOON + 5), Some(10));
        for n in 0..20 {
            source.suspend("x", NOON + 1_000 * (n + 1));
        }
        assert_eq!(source.suspend("x", NOON + 90_000), Some(640));
        source.answered();
        assert!(source.is_usable("s", NOON + 90_000));
        assert_eq!(source.suspend("x", NOON + 90_001), Some(5));
    }

    #[test]
    fn a_source_has_as_many_connections_as_it_may() {
        let source = source(|says| says.connections_max = Some(2));
        let (one, two) = (source.leave(), source.leave());
        assert!(one.is_some() && two.is_some() && source.leave().is_none());
        drop(one);
        assert_eq!(source.open(), 1);
        assert!(source.leave().is_some());
    }

    #[test]
    fn an_address_is_of_the_family_of_the_host() {
        let source = source(|says| says.addresses = vec!["192.0.2.1".parse().unwrap()]);
        let four: IpAddr = "198.51.100.1".parse().unwrap();
        assert_eq!(
            source.address_for(four),
            Ok(Some("192.0.2.1".parse().unwrap()))
        );
        assert_eq!(source.address_for("::1".parse().unwrap()), Err(()));
    }

    /// The schedule holds by the day in UTC, for each site of its own, and ends.
    #[test]
    fn a_warm_up_rations_each_day() {
        let first = day(NOON);
        let source = source(|says| {
            says.warmup = Some(Warmup {
                start_day: first,
                ramp: Ramp::Days(vec![2, 3]),
                sites: vec![("google".to_owned(), Ramp::Days(vec![1]))],
            });
        });
        assert!(!source.take_ration("s", NOON - DAY_SECS), "not begun");
        assert!(source.take_ration("s", NOON) && source.take_ration("s", NOON));
        assert!(!source.take_ration("s", NOON) && !source.is_usable("s", NOON));
        let until = (first + 1) * DAY_SECS;
        let rationed = Obstacle::Rationed { most: 2, until };
        assert_eq!(source.obstacle("s", NOON), Some(rationed));
        source.return_ration("s", NOON);
        assert!(source.take_ration("s", NOON), "one did not leave");
        assert!(source.take_ration("google", NOON) && !source.take_ration("google", NOON));
        assert!(source.is_usable("s", until) && source.obstacle("s", until).is_none());
        for _ in 0..3 {
            assert!(source.take_ration("s", until));
        }
        assert!(!source.take_ration("s", until));
        for _ in 0..1_000 {
            assert!(source.take_ration("s", until + DAY_SECS), "it is warm");
        }
        assert_eq!(source.today(NOON), [("google".to_owned(), 1)]);
    }

    /// Also what was to ride behind another message, and did not.
    #[test]
    fn what_did_not_leave_is_no_ration() {
        let source = source(|says| {
            says.warmup = Some(Warmup {
                start_day: day(NOON),
                ramp: Ramp::Days(vec![2]),
                sites: Vec::new(),
            });
        });
        let site = Sites::default().site("s");
        let take = |now| Ration::take(&source, &site, now);
        let (first, ahead) = (take(NOON).unwrap(), take(NOON).unwrap());
        assert!(take(NOON).is_none());
        first.spend();
        drop(ahead);
        assert_eq!(source.today(NOON), [("s".to_owned(), 1)]);
        take(NOON).unwrap().spend();
        assert!(take(NOON).is_none() && take(NOON + DAY_SECS).is_some());
    }

    #[test]
    fn counts_outlive_a_change_of_the_configuration() {
        let sources = Sources::default();
        let mut says = EgressSource::only("mx.test");
        says.warmup = Some(Warmup {
            start_day: day(NOON),
            ramp: Ramp::Days(vec![1]),
            sites: Vec::new(),
        });
        let before = sources.of(std::slice::from_ref(&says)).remove(0);
        assert!(before.take_ration("s", NOON));
        says.weight = 7;
        let after = sources.of(&[says]).remove(0);
        assert!(before.id != after.id && !after.is_usable("s", NOON));
    }
}
