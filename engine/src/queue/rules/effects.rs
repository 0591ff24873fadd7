//! What rules have ordered of one site, shared by all shards: pure, with the second given.
//!
//! Every order ends by itself. A site of which nothing is ordered costs one atomic load a question;
//! all lists have a bound, and where one is full, what ends first makes room. Times are seconds
//! since 1970, as the queue counts them.

mod kept;

use crate::config::outbound::rule::{Threshold, Whose};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// All orders for a site.
#[derive(Debug, Default)]
pub struct Effects {
    /// None of them holds from this second on.
    until: AtomicU32,
    state: Mutex<State>,
    /// Something was ordered, or counted, since it was written down.
    is_new: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    suspended: Vec<Suspended>,
    slow: Option<Slow>,
    switched: Option<Switched>,
    /// When rules held lately, by rule and by whose mail it was.
    held: HashMap<(Arc<str>, Mail), VecDeque<u32>>,
}

/// Whose mail to the site is meant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Mail {
    All,
    /// Of the egress source of this name.
    Source(Arc<str>),
    Tenant(Arc<str>),
    Campaign(Arc<str>),
}

/// Mail that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suspended {
    pub mail: Mail,
    pub until: u32,
    /// The rule that wants it.
    pub by: Arc<str>,
}

/// How fast mail may be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slow {
    pub connections: u32,
    pub per_minute: Option<u32>,
    pub until: u32,
    pub by: Arc<str>,
}

/// By which egress sources mail leaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Switched {
    pub pool: Arc<str>,
    pub until: u32,
    pub by: Arc<str>,
}

impl Effects {
    /// Whether anything is ordered now.
    #[must_use]
    pub fn are_any(&self, now: u32) -> bool {
        now < self.until.load(Ordering::Relaxed)
    }

    /// Until when mail of any of these waits, and by which rule.
    #[must_use]
    pub fn suspended(&self, mail: &[Mail], now: u32) -> Option<Suspended> {
        if !self.are_any(now) {
            return None;
        }
        let state = self.state();
        let holds = |one: &&Suspended| now < one.until && mail.contains(&one.mail);
        let held = state.suspended.iter().filter(holds);
        held.max_by_key(|one| one.until).cloned()
    }

    #[must_use]
    pub fn slow(&self, now: u32) -> Option<Slow> {
        if !self.are_any(now) {
            return None;
        }
        self.state().slow.clone().filter(|slow| now < slow.until)
    }

    #[must_use]
    pub fn switched(&self, now: u32) -> Option<Switched> {
        if !self.are_any(now) {
            return None;
        }
        let switched = self.state().switched.clone();
        switched.filter(|switched| now < switched.until)
    }

    /// Whether there is something to write down; whoever asks does it.
    #[must_use]
    pub fn take_new(&self) -> bool {
        self.is_new.swap(false, Ordering::Relaxed)
    }

    /// Mail waits; what waits longer already goes on to.
    pub fn suspend(&self, suspended: Suspended, now: u32) {
        self.is_new.store(true, Ordering::Relaxed);
        let mut state = self.state();
        self.lasts_until(suspended.until);
        state.suspended.retain(|one| now < one.until);
        let known = state.suspended.iter_mut();
        if let Some(known) = known.into_iter().find(|one| one.mail == suspended.mail) {
            if known.until < suspended.until {
                *known = suspended;
            }
            return;
        }
        if state.suspended.len() >= SUSPENDED_MAX {
            let ends = state.suspended.iter().enumerate();
            let first = ends.min_by_key(|(_, one)| one.until).map(|(at, _)| at);
            first.map(|at| state.suspended.swap_remove(at));
        }
        state.suspended.push(suspended);
    }

    /// Mail is sent more slowly; the slower of two orders holds.
    pub fn slow_down(&self, slow: Slow, now: u32) {
        self.is_new.store(true, Ordering::Relaxed);
        let mut state = self.state();
        self.lasts_until(slow.until);
        let before = state.slow.take().filter(|before| now < before.until);
        state.slow = Some(match before {
            None => slow,
            Some(before) => Slow {
                connections: before.connections.min(slow.connections),
                per_minute: [before.per_minute, slow.per_minute]
                    .into_iter()
                    .flatten()
                    .min(),
                until: before.until.max(slow.until),
                by: slow.by,
            },
        });
    }

    /// Mail leaves by other sources; the last order holds.
    pub fn switch(&self, switched: Switched) {
        self.is_new.store(true, Ordering::Relaxed);
        self.lasts_until(switched.until);
        self.state().switched = Some(switched);
    }

    /// A rule held once more; `true`: as often as it takes, and it begins to count anew.
    #[must_use]
    pub fn is_reached(&self, rule: &str, mail: &Mail, threshold: Threshold, now: u32) -> bool {
        if threshold.count <= 1 {
            return true;
        }
        self.is_new.store(true, Ordering::Relaxed);
        let mut state = self.state();
        let key = (Arc::from(rule), mail.clone());
        if !state.held.contains_key(&key) {
            make_room(&mut state.held);
        }
        let held = state.held.entry(key).or_default();
        held.push_back(now);
        let from = now.saturating_sub(threshold.within_secs);
        while held.len() > threshold.count as usize || held.front().is_some_and(|at| *at < from) {
            held.pop_front();
        }
        let is_reached = held.len() >= threshold.count as usize;
        if is_reached {
            held.clear();
        }
        is_reached
    }

    /// All that is ordered now, a sentence each.
    #[must_use]
    pub fn shown(&self, now: u32) -> Vec<String> {
        if !self.are_any(now) {
            return Vec::new();
        }
        let state = self.state();
        let mut shown = Vec::new();
        for one in state.suspended.iter().filter(|one| now < one.until) {
            let left = one.until - now;
            shown.push(format!("{}: {} suspended for {left} s", one.by, one.mail));
        }
        if let Some(slow) = state.slow.as_ref().filter(|slow| now < slow.until) {
            let rate = slow
                .per_minute
                .map(|rate| format!(", {rate} messages a minute"));
            shown.push(format!(
                "{}: at most {} connections{} for {} s",
                slow.by,
                slow.connections,
                rate.unwrap_or_default(),
                slow.until - now
            ));
        }
        if let Some(one) = state.switched.as_ref().filter(|one| now < one.until) {
            let (pool, left) = (&one.pool, one.until - now);
            shown.push(format!("{}: leaves by {pool} for {left} s", one.by));
        }
        shown
    }

    /// The operator takes back what rules ordered; `false`: there was nothing.
    pub fn forget(&self, now: u32) -> bool {
        let had_any = self.are_any(now);
        *self.state() = State::default();
        self.until.store(0, Ordering::Relaxed);
        had_any
    }

    fn lasts_until(&self, until: u32) {
        self.until.fetch_max(until, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}

/// Where rules are counted for too many, the count that rests longest goes.
fn make_room(held: &mut HashMap<(Arc<str>, Mail), VecDeque<u32>>) {
    if held.len() < COUNTED_MAX {
        return;
    }
    let last = |(key, times): (&(Arc<str>, Mail), &VecDeque<u32>)| {
        (times.back().copied().unwrap_or(0), key.clone())
    };
    let oldest = held.iter().map(last).min_by_key(|(at, _)| *at);
    if let Some((_, key)) = oldest {
        held.remove(&key);
    }
}

impl Mail {
    #[must_use]
    pub fn of(whose: Whose, source: &str, tenant: &str, campaign: &str) -> Option<Mail> {
        Some(match whose {
            Whose::Site => Mail::All,
            Whose::Source => Mail::Source(source.into()),
            Whose::Tenant => Mail::Tenant(tenant.into()),
            Whose::Campaign if campaign.is_empty() => return None,
            Whose::Campaign => Mail::Campaign(campaign.into()),
        })
    }
}

/// As in `source main`.
impl std::fmt::Display for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Mail::All => f.write_str("all mail"),
            Mail::Source(name) => write!(f, "source {name}"),
            Mail::Tenant(name) => write!(f, "tenant {name}"),
            Mail::Campaign(name) => write!(f, "campaign {name}"),
        }
    }
}

/// Suspensions of one site.
const SUSPENDED_MAX: usize = 256;

/// Rules, and those whose mail it was, that are counted at one site.
const COUNTED_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by(rule: &str) -> Arc<str> {
        rule.into()
    }

    fn suspended(mail: Mail, until: u32) -> Suspended {
        Suspended {
            mail,
            until,
            by: by("r"),
        }
    }

    fn three_a_minute() -> Threshold {
        Threshold {
            count: 3,
            within_secs: 60,
        }
    }

    #[test]
    fn mail_waits_until_the_longest_suspension_ends() {
        let effects = Effects::default();
        let tenant = Mail::Tenant("alice@example.test".into());
        assert_eq!(effects.suspended(&[Mail::All], 0), None);
        effects.suspend(suspended(tenant.clone(), 200), 100);
        assert_eq!(effects.suspended(&[Mail::All], 100), None);
        effects.suspend(suspended(Mail::All, 150), 100);
        let of = |now| effects.suspended(&[Mail::All, tenant.clone()], now);
        assert_eq!(of(100).unwrap().until, 200);
        assert_eq!(effects.suspended(&[Mail::All], 149).unwrap().until, 150);
        assert_eq!(effects.suspended(&[Mail::All], 150), None);
        effects.suspend(suspended(tenant.clone(), 180), 100);
        assert_eq!(of(199).unwrap().until, 200, "a shorter one changes nothing");
        assert!(of(200).is_none() && !effects.are_any(200));
    }

    #[test]
    fn the_slower_order_holds_as_long_as_either() {
        let effects = Effects::default();
        let slow = |connections, per_minute, until| Slow {
            connections,
            per_minute,
            until,
            by: by("r"),
        };
        effects.slow_down(slow(4, Some(60), 100), 0);
        effects.slow_down(slow(8, None, 200), 50);
        let now = effects.slow(150).unwrap();
        assert_eq!((now.connections, now.per_minute), (4, Some(60)));
        assert_eq!(effects.slow(200), None);
        effects.slow_down(slow(8, None, 300), 200);
        assert_eq!(effects.slow(250).unwrap().connections, 8, "it recovers");
    }

    #[test]
    fn a_rule_acts_when_it_held_often_enough_within_its_time() {
        let effects = Effects::default();
        let hold = |now| effects.is_reached("r", &Mail::All, three_a_minute(), now);
        assert_eq!([100, 130, 170].map(hold), [false, false, false]);
        assert!(hold(185), "130 is within the minute, and 170, and this");
        assert_eq!([186, 187].map(hold), [false, false], "it counts anew");
        let other = Mail::Tenant("t".into());
        assert!(!effects.is_reached("r", &other, three_a_minute(), 188));
        assert!(hold(188));
        assert!(effects.is_reached("once", &Mail::All, Threshold::default(), 0));
    }

    #[test]
    fn the_operator_takes_everything_back() {
        let effects = Effects::default();
        effects.suspend(suspended(Mail::All, 200), 100);
        effects.switch(Switched {
            pool: by("second"),
            until: 300,
            by: by("r"),
        });
        assert_eq!(effects.shown(100).len(), 2);
        assert!(effects.switched(250).is_some());
        assert!(effects.forget(100) && !effects.forget(100));
        assert!(effects.shown(100).is_empty() && effects.switched(250).is_none());
    }

    proptest! {
        /// However many tenants are refused, what is kept of them stays bounded, and the one that
        /// was suspended last is.
        #[test]
        fn what_is_kept_is_bounded(tenants in prop::collection::vec(0u32..2_000, 1..1_500)) {
            let effects = Effects::default();
            for (now, tenant) in tenants.iter().enumerate() {
                let (now, mail) = (now as u32, Mail::Tenant(tenant.to_string().into()));
                let _ = effects.is_reached("r", &mail, three_a_minute(), now);
                effects.suspend(suspended(mail.clone(), now + 10_000), now);
                prop_assert!(effects.suspended(&[mail], now).is_some());
            }
            let state = effects.state();
            prop_assert!(state.suspended.len() <= SUSPENDED_MAX);
            prop_assert!(state.held.len() <= COUNTED_MAX);
            prop_assert!(state.held.values().all(|times| times.len() <= 3));
        }

        /// As often as a window of the whole history says.
        #[test]
        fn counting_forgets_nothing_that_matters(
            steps in prop::collection::vec(0u32..50, 1..200),
            count in 2u32..6,
        ) {
            let effects = Effects::default();
            let threshold = Threshold { count, within_secs: 60 };
            let (mut now, mut since) = (1_000u32, Vec::new());
            for step in steps {
                now += step;
                since.push(now);
                let within = since.iter().filter(|at| **at >= now - 60).count();
                let is_reached = effects.is_reached("r", &Mail::All, threshold, now);
                prop_assert_eq!(is_reached, within >= count as usize);
                if is_reached {
                    since.clear();
                }
            }
        }
    }
}
