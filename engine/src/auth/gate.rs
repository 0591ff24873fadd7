//! The gate of all logins: throttle, memory and check in the order that costs least.
//!
//! ```text
//! shard:   admit ─ Refused → temporary refusal
//!            │ After(delay): wait
//!          recall ─ known → in
//!            │
//! worker:  verify ─ Accepted → in;  Wrong → refusal;  Throttled → temporary refusal
//! shard:   SCRAM: admit, scram_keys, dialogue, settle
//! ```
//!
//! One gate serves all shards: its two tables stand behind mutexes that are held for some hundred
//! nanoseconds. Only [`Gate::verify`] and the first [`Gate::scram_keys`] of an account whose
//! password is kept in clear are slow; both belong on a worker thread.

use super::rates::Rates;
use super::remember::{MemoryKey, REMEMBERED_MAX, Remember};
use super::seats::Seats;
use super::secret::{Random, Secrets, verify_nobody};
use super::throttle::{Admission, Throttle, ThrottleLimits};
use crate::wire::sasl::scram::{Hash, Keys, SALT_BYTES};
use aws_lc_rs::hmac;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub struct Gate {
    key: MemoryKey,
    salt_key: hmac::Key,
    throttle: Mutex<Throttle>,
    remember: Mutex<Remember>,
    /// What who has logged in may do in a minute.
    pub rates: Rates,
    /// How many connections each account has.
    pub seats: Seats,
}

/// Who tries to log in: the peer, and the account that the login name leads to, or the name itself
/// where it leads to none.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub now: Instant,
    pub peer: IpAddr,
    pub account: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Accepted,
    /// Wrong password, or nobody of that name: never say which.
    Wrong,
    /// Failures from there came in while this one waited; nothing was checked.
    Throttled,
}

impl Gate {
    /// `salt_secret` makes the SCRAM salts of passwords kept in clear; it should outlive a restart
    /// like the secret of the exchange's `Decoy`.
    #[must_use]
    pub fn new(limits: ThrottleLimits, salt_secret: &[u8], random: Random<'_>) -> Gate {
        Gate {
            key: MemoryKey::new(random),
            salt_key: hmac::Key::new(hmac::HMAC_SHA256, salt_secret),
            throttle: Mutex::new(Throttle::new(limits)),
            remember: Mutex::new(Remember::new(REMEMBERED_MAX)),
            rates: Rates::default(),
            seats: Seats::default(),
        }
    }

    /// May the attempt go on, and when?
    #[must_use]
    pub fn admit(&self, attempt: Attempt<'_>) -> Admission {
        self.throttle()
            .admit(attempt.now, attempt.peer, attempt.account)
    }

    /// Was this password verified a moment ago? Then this is a success, and settled.
    #[must_use]
    pub fn recall(&self, attempt: Attempt<'_>, secrets: &Secrets, password: &[u8]) -> bool {
        let trace = self.key.trace(attempt.account, secrets, password);
        let known = self.remember().knows(trace, attempt.now);
        if known {
            self.settle(attempt, true);
        }
        known
    }

    /// Checks a password and settles the attempt. Slow; for a worker thread.
    ///
    /// `secrets` is `None` where there is no such account: the time does not tell.
    pub fn verify(
        &self,
        attempt: Attempt<'_>,
        secrets: Option<&Secrets>,
        password: &[u8],
    ) -> Verdict {
        if let Admission::Refused { .. } = self.admit(attempt) {
            return Verdict::Throttled;
        }
        let fits = secrets.is_some_and(|secrets| secrets.verify(password));
        if !fits && secrets.is_none_or(Secrets::cheap) {
            verify_nobody(password);
        }
        if let Some(secrets) = secrets.filter(|_| fits) {
            let trace = self.key.trace(attempt.account, secrets, password);
            self.remember().learn(trace, attempt.now);
        }
        self.settle(attempt, fits);
        match fits {
            true => Verdict::Accepted,
            false => Verdict::Wrong,
        }
    }

    /// The keys for a SCRAM exchange; `None` for nobody and for secrets without such keys, and the
    /// exchange puts its decoy in their place.
    #[must_use]
    pub fn scram_keys(&self, hash: Hash, account: &str, secrets: Option<&Secrets>) -> Option<Keys> {
        let salt = || {
            let tag = hmac::sign(&self.salt_key, account.as_bytes());
            let first = tag.as_ref().first_chunk::<SALT_BYTES>();
            *first.expect("HMAC-SHA-256 is longer than a salt")
        };
        secrets?.scram(hash, salt).cloned()
    }

    /// Counts an attempt that was decided elsewhere: a SCRAM dialogue.
    pub fn settle(&self, attempt: Attempt<'_>, ok: bool) {
        let mut throttle = self.throttle();
        match ok {
            true => throttle.succeeded(attempt.now, attempt.peer, attempt.account),
            false => throttle.failed(attempt.now, attempt.peer, attempt.account),
        }
    }

    /// Counts may be lost with a panicking thread, the gate must not: a poisoned table is used on.
    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self) -> MutexGuard<'_, Remember> {
        self.remember.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn gate() -> Gate {
        let limits = ThrottleLimits {
            address_failures_max: 5,
            network_failures_max: 100,
        };
        Gate::new(limits, b"salt secret", &mut |octets| octets.fill(3))
    }

    fn attempt(account: &str) -> Attempt<'_> {
        Attempt {
            now: Instant::now(),
            peer: IpAddr::from([192, 0, 2, 1]),
            account,
        }
    }

    #[test]
    fn a_good_password_is_checked_once_and_then_known() {
        let gate = gate();
        let secrets = Secrets::parse("{PLAIN}right").unwrap();
        let alice = attempt("alice");
        assert!(!gate.recall(alice, &secrets, b"right"));
        assert_eq!(
            gate.verify(alice, Some(&secrets), b"right"),
            Verdict::Accepted
        );
        assert!(gate.recall(alice, &secrets, b"right"));
        assert!(!gate.recall(alice, &secrets, b"wrong"));
        let changed = Secrets::parse("{PLAIN}other").unwrap();
        assert!(!gate.recall(alice, &changed, b"right"));
    }

    #[test]
    fn failures_end_in_a_refusal_even_for_those_who_wait_already() {
        let gate = gate();
        let secrets = Secrets::parse("{PLAIN}right").unwrap();
        assert_eq!(
            gate.verify(attempt("alice"), Some(&secrets), b"no"),
            Verdict::Wrong
        );
        assert_eq!(
            gate.verify(attempt("nobody"), None, b"right"),
            Verdict::Wrong
        );
        for _ in 0..4 {
            gate.settle(attempt("alice"), false);
        }
        let throttled = gate.verify(attempt("alice"), Some(&secrets), b"right");
        assert_eq!(throttled, Verdict::Throttled);
    }

    #[test]
    fn scram_keys_of_a_password_in_clear_are_steady() {
        let gate = gate();
        let plain = Secrets::parse("{PLAIN}right").unwrap();
        let keys = gate
            .scram_keys(Hash::Sha256, "alice", Some(&plain))
            .unwrap();
        assert!(crate::auth::scram::fit(&keys, "right"));
        let again = Secrets::parse("{PLAIN}right").unwrap();
        assert_eq!(
            gate.scram_keys(Hash::Sha256, "alice", Some(&again)),
            Some(keys.clone())
        );
        let same = Secrets::parse("{PLAIN}right").unwrap();
        let bob = gate.scram_keys(Hash::Sha256, "bob", Some(&same));
        assert!(bob.unwrap().salt != keys.salt);
        let hashed = Secrets::parse("{SHA}Oxr4unudPMw4aFJlLRhtiCrQFW8=").unwrap();
        assert_eq!(gate.scram_keys(Hash::Sha256, "bob", Some(&hashed)), None);
        assert_eq!(gate.scram_keys(Hash::Sha256, "ghost", None), None);
    }
}
