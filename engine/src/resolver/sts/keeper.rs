//! The policies that are known: when one is asked for, fetched anew, kept, and given up
//! (RFC 8461 §5.1).
//!
//! ```text
//! kept   live record      then
//! no     none or unknown  no policy
//! no     id               fetch; if that fails no policy, and no new try for RETRY_SECS
//! yes    none or unknown  the kept one: whoever hides the record must not win by it
//! yes    same id          the kept one; fetched again once it is REFRESH_SECS old
//! yes    other id         fetch; if that fails the kept one
//! ```
//!
//! "Unknown" is a name server that fails or is silent; it is asked again after RETRY_SECS.

use super::fetch::{FetchError, Fetcher, StsFault};
use super::policy::{Mode, Policy};
use super::record::Record;
use crate::event;
use crate::resolver::dns::{Dns, Lack};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds that never go back.
pub(crate) type Millis = Arc<dyn Fn() -> u64 + Send + Sync>;

pub(crate) struct Keeper {
    dns: Arc<Dns>,
    /// `None`: policies are not asked for.
    fetcher: Option<Fetcher>,
    millis: Millis,
    kept: RefCell<HashMap<Arc<str>, Entry>>,
}

/// How it stands with the policy of a domain.
#[derive(Clone, Default, Debug)]
pub(crate) struct Standing {
    /// The one that holds, if any; one of mode none is none.
    pub(crate) policy: Option<Arc<Policy>>,
    /// What was wrong with the last one that was announced.
    pub(crate) fault: Option<StsFault>,
}

/// What is known of one domain.
#[derive(Default)]
struct Entry {
    /// The policy that holds until a time, in milliseconds.
    policy: Option<(Arc<Policy>, u64)>,
    /// The id that the last fetch was for, and when it was tried.
    id: Box<str>,
    tried_millis: u64,
    failed: Option<StsFault>,
    /// When nobody could tell us of the record.
    silent_millis: Option<u64>,
}

impl Keeper {
    pub(crate) fn new(dns: Arc<Dns>, fetcher: Option<Fetcher>, millis: Millis) -> Keeper {
        Keeper {
            dns,
            fetcher,
            millis,
            kept: RefCell::default(),
        }
    }

    pub(crate) async fn policy(&self, domain: &Arc<str>) -> Standing {
        let Some(fetcher) = &self.fetcher else {
            return Standing::default();
        };
        if self.is_resting(domain) {
            return self.holding(domain);
        }
        let name = format!("_mta-sts.{domain}");
        let found = tokio::time::timeout(RECORD_TIME_MAX, self.dns.texts(&name)).await;
        let texts = match found {
            Ok(Ok(found)) => found.records,
            Ok(Err(Lack::NoName | Lack::NoRecord)) => Vec::new(),
            Ok(Err(Lack::Failed(_))) | Err(_) => {
                self.note_silence(domain);
                return self.holding(domain);
            }
        };
        if let Some(record) = Record::find(texts.iter().map(Vec::as_slice))
            && self.is_due(domain, &record)
        {
            let fetched = fetcher.fetch(&self.dns, domain).await;
            if let Err(error) = &fetched {
                event!(
                    Info,
                    "no MTA-STS policy",
                    domain = &**domain,
                    what = error.to_string()
                );
            }
            self.note(domain, record, fetched);
        }
        self.holding(domain)
    }

    /// Nobody could tell us of the record: the mail does not wait for that at every try.
    fn is_resting(&self, domain: &str) -> bool {
        let now = (self.millis)();
        let kept = self.kept.borrow();
        let silent = kept.get(domain).and_then(|entry| entry.silent_millis);
        silent.is_some_and(|since| now.saturating_sub(since) / 1000 < RETRY_SECS)
    }

    fn note_silence(&self, domain: &Arc<str>) {
        let now = (self.millis)();
        let mut kept = self.kept.borrow_mut();
        if !kept.contains_key(domain) {
            make_room(&mut kept, now);
        }
        let entry = kept.entry(Arc::clone(domain)).or_default();
        entry.silent_millis = Some(now);
    }

    fn is_due(&self, domain: &str, record: &Record) -> bool {
        let now = (self.millis)();
        let kept = self.kept.borrow();
        let Some(entry) = kept.get(domain) else {
            return true;
        };
        let age_secs = now.saturating_sub(entry.tried_millis) / 1000;
        if entry.id != record.id {
            // A domain that changes its record with every answer makes us ask no more for it.
            return entry.failed.is_none() || age_secs >= RETRY_SECS;
        }
        let lifetime = entry.policy.as_ref();
        let lifetime_secs = lifetime.map_or(0, |(policy, _)| u64::from(policy.max_age_secs));
        let fresh_secs = match entry.failed {
            Some(_) => RETRY_SECS,
            None => REFRESH_SECS.min(lifetime_secs / 2),
        };
        age_secs >= fresh_secs
    }

    fn note(&self, domain: &Arc<str>, record: Record, fetched: Result<Policy, FetchError>) {
        let now = (self.millis)();
        let mut kept = self.kept.borrow_mut();
        if !kept.contains_key(domain) {
            make_room(&mut kept, now);
        }
        let failed = fetched.as_ref().err().map(FetchError::fault);
        let fresh = fetched.ok().map(|policy| {
            let until = now.saturating_add(u64::from(policy.max_age_secs) * 1000);
            (Arc::new(policy), until)
        });
        let before = kept.remove(domain).and_then(|entry| entry.policy);
        let entry = Entry {
            policy: fresh.or(before),
            id: record.id,
            tried_millis: now,
            failed,
            silent_millis: None,
        };
        kept.insert(Arc::clone(domain), entry);
    }

    fn holding(&self, domain: &str) -> Standing {
        let now = (self.millis)();
        let kept = self.kept.borrow();
        let Some(entry) = kept.get(domain) else {
            return Standing::default();
        };
        let policy = entry.policy.as_ref();
        let holds = policy.filter(|(policy, until)| *until > now && policy.mode != Mode::None);
        Standing {
            policy: holds.map(|(policy, _)| Arc::clone(policy)),
            fault: entry.failed,
        }
    }
}

/// Gives up what has run out; if that is nothing, what was fetched longest ago.
fn make_room(kept: &mut HashMap<Arc<str>, Entry>, now: u64) {
    if kept.len() < POLICIES_MAX {
        return;
    }
    kept.retain(|_, entry| entry.policy.as_ref().is_some_and(|(_, until)| *until > now));
    if kept.len() >= POLICIES_MAX {
        let oldest = kept.iter().min_by_key(|(_, entry)| entry.tried_millis);
        let oldest = oldest.map(|(domain, _)| Arc::clone(domain));
        oldest.and_then(|domain| kept.remove(&domain));
    }
}

/// RFC 8461 §3.3: at least five minutes between failed tries.
const RETRY_SECS: u64 = 300;

/// RFC 8461 §10.2 proposes once a day.
const REFRESH_SECS: u64 = 86_400;

/// The mail waits for it.
const RECORD_TIME_MAX: Duration = Duration::from_secs(15);

const POLICIES_MAX: usize = 10_000;
