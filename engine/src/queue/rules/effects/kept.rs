//! What of a site's orders outlives a restart: what holds still, and how often rules held of late.
//!
//! It is one memo a site, and so it has a bound: where it is full, counts go first, then what ends
//! soonest.

use super::{COUNTED_MAX, Effects, Mail, Slow, State, Suspended, Switched};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use store::limit::MEMO_VALUE_BYTES_MAX;

/// As JSON, in the order of importance.
#[derive(Serialize, Deserialize, Default)]
struct Kept {
    #[serde(rename = "s")]
    suspended: Vec<(Whom, u32, String)>,
    /// Connections, messages a minute, until, rule.
    #[serde(rename = "l")]
    slow: Option<(u32, Option<u32>, u32, String)>,
    /// Pool, until, rule.
    #[serde(rename = "w")]
    switched: Option<(String, u32, String)>,
    /// When a rule held.
    #[serde(rename = "h")]
    held: Vec<(String, Whom, Vec<u32>)>,
}

#[derive(Serialize, Deserialize)]
enum Whom {
    #[serde(rename = "a")]
    All,
    #[serde(rename = "s")]
    Source(String),
    #[serde(rename = "t")]
    Tenant(String),
    #[serde(rename = "c")]
    Campaign(String),
}

impl Effects {
    /// What a restart is to know at `now`, and from which second on it says nothing any more;
    /// `None`: there is nothing.
    #[must_use]
    pub fn kept(&self, now: u32) -> Option<(Vec<u8>, u32)> {
        let mut kept = Kept::of(&self.state(), now);
        let until = kept.until(now)?;
        loop {
            let value = serde_json::to_vec(&kept).ok()?;
            if value.len() <= MEMO_VALUE_BYTES_MAX {
                return Some((value, until));
            }
            // What is least is last in each list.
            if kept.held.pop().is_none() && kept.suspended.pop().is_none() {
                return None;
            }
        }
    }

    /// Takes up what an earlier life wrote down. What a later build wrote is passed over.
    pub fn restore(&self, value: &[u8], now: u32) {
        let Ok(kept) = serde_json::from_slice::<Kept>(value) else {
            return;
        };
        for (whom, until, by) in kept.suspended {
            let (mail, by) = (whom.into(), by.into());
            self.suspend(Suspended { mail, until, by }, now);
        }
        if let Some((connections, per_minute, until, by)) = kept.slow.filter(|it| now < it.2) {
            let slow = Slow {
                connections,
                per_minute,
                until,
                by: by.into(),
            };
            self.slow_down(slow, now);
        }
        let before = self.switched(now).map_or(now, |before| before.until);
        if let Some((pool, until, by)) = kept.switched.filter(|it| before < it.1) {
            let (pool, by) = (pool.into(), by.into());
            self.switch(Switched { pool, until, by });
        }
        let mut state = self.state();
        for (rule, whom, times) in kept.held.into_iter().take(COUNTED_MAX) {
            let known = state.held.entry((rule.into(), whom.into())).or_default();
            let mut all: Vec<u32> = known.iter().copied().chain(times).collect();
            all.sort_unstable();
            *known = VecDeque::from(all);
        }
        drop(state);
        // It is written down already.
        let _ = self.take_new();
    }
}

impl Kept {
    fn of(state: &State, now: u32) -> Kept {
        let suspended = state.suspended.iter().filter(|one| now < one.until);
        let mut suspended: Vec<_> = suspended
            .map(|one| (Whom::of(&one.mail), one.until, one.by.to_string()))
            .collect();
        suspended.sort_by_key(|(_, until, _)| std::cmp::Reverse(*until));
        let slow = state.slow.as_ref().filter(|slow| now < slow.until);
        let switched = state.switched.as_ref().filter(|one| now < one.until);
        let mut held: Vec<_> = state
            .held
            .iter()
            .filter(|(_, times)| times.back().is_some_and(|last| now < last + COUNT_SECS))
            .map(|((rule, mail), times)| {
                let times = times.iter().copied().collect();
                (rule.to_string(), Whom::of(mail), times)
            })
            .collect();
        let last = |times: &Vec<u32>| times.last().copied();
        held.sort_by_key(|(_, _, times)| std::cmp::Reverse(last(times)));
        Kept {
            suspended,
            slow: slow.map(|it| (it.connections, it.per_minute, it.until, it.by.to_string())),
            switched: switched.map(|it| (it.pool.to_string(), it.until, it.by.to_string())),
            held,
        }
    }

    /// When the last of it is over.
    fn until(&self, now: u32) -> Option<u32> {
        let suspended = self.suspended.iter().map(|(_, until, _)| *until);
        let slow = self.slow.iter().map(|slow| slow.2);
        let switched = self.switched.iter().map(|switched| switched.1);
        let counts = (!self.held.is_empty()).then_some(now.saturating_add(COUNT_SECS));
        suspended.chain(slow).chain(switched).chain(counts).max()
    }
}

impl Whom {
    fn of(mail: &Mail) -> Whom {
        match mail {
            Mail::All => Whom::All,
            Mail::Source(name) => Whom::Source(name.to_string()),
            Mail::Tenant(name) => Whom::Tenant(name.to_string()),
            Mail::Campaign(name) => Whom::Campaign(name.to_string()),
        }
    }
}

impl From<Whom> for Mail {
    fn from(whom: Whom) -> Mail {
        let shared = |name: String| Arc::<str>::from(name);
        match whom {
            Whom::All => Mail::All,
            Whom::Source(name) => Mail::Source(shared(name)),
            Whom::Tenant(name) => Mail::Tenant(shared(name)),
            Whom::Campaign(name) => Mail::Campaign(shared(name)),
        }
    }
}

/// Counts that rest for so long are not kept: thresholds are of minutes.
const COUNT_SECS: u32 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::outbound::rule::Threshold;

    fn suspended(mail: Mail, until: u32) -> Suspended {
        let by = "r".into();
        Suspended { mail, until, by }
    }

    #[test]
    fn orders_and_counts_come_back() {
        let (before, after) = (Effects::default(), Effects::default());
        let tenant = Mail::Tenant("alice@example.test".into());
        before.suspend(suspended(tenant.clone(), 500), 100);
        before.suspend(suspended(Mail::Source("main".into()), 120), 100);
        before.slow_down(
            Slow {
                connections: 2,
                per_minute: Some(30),
                until: 400,
                by: "r".into(),
            },
            100,
        );
        before.switch(Switched {
            pool: "second".into(),
            until: 900,
            by: "r".into(),
        });
        let twice = Threshold {
            count: 2,
            within_secs: 600,
        };
        assert!(!before.is_reached("often", &Mail::All, twice, 130));
        let (value, until) = before.kept(150).unwrap();
        assert_eq!(until, 150 + COUNT_SECS);
        after.restore(&value, 150);
        assert_eq!(after.shown(150), before.shown(150));
        assert!(
            after
                .suspended(&[Mail::Source("main".into())], 110)
                .is_none()
        );
        assert!(
            after.is_reached("often", &Mail::All, twice, 160),
            "the second time"
        );
        after.restore(b"{\"s\":7}", 160);
        assert!(Effects::default().kept(0).is_none());
    }

    #[test]
    fn what_is_kept_fits_into_a_memo() {
        let effects = Effects::default();
        for number in 0..256u32 {
            let mail = Mail::Tenant(format!("{number}-{}", "x".repeat(100)).into());
            effects.suspend(suspended(mail, 1_000 + number), 100);
        }
        let (value, until) = effects.kept(100).unwrap();
        assert!(value.len() <= MEMO_VALUE_BYTES_MAX);
        assert_eq!(until, 1_255);
        let after = Effects::default();
        after.restore(&value, 100);
        let longest = Mail::Tenant(format!("255-{}", "x".repeat(100)).into());
        assert_eq!(after.suspended(&[longest], 100).unwrap().until, 1_255);
    }
}
