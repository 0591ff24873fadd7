//! A password that was just verified is known again for some minutes, so that Argon2 is paid once
//! by a client that logs in every minute.
//!
//! Kept is an HMAC-SHA-256 of account, stored secret and password under a key of this process,
//! never the password. The stored secret is part of what is hashed: with a changed password nothing
//! fits any more. The table is bounded; the entry that ends first gives way.

use super::secret::{Random, Secrets};
use super::table::Table;
use aws_lc_rs::hmac;
use std::hash::RandomState;
use std::time::{Duration, Instant};

/// How long a verified password is known.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(300);

/// Passwords known at one time.
pub const REMEMBERED_MAX: usize = 16_384;

pub struct Remember {
    known: Table<[u8; 32], Instant>,
}

/// The key under which passwords are remembered; of this process and of no other.
pub struct MemoryKey(hmac::Key);

/// What is kept of one password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Trace([u8; 32]);

impl MemoryKey {
    #[must_use]
    pub fn new(random: Random<'_>) -> MemoryKey {
        let mut key = [0; 32];
        random(&mut key);
        MemoryKey(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    #[must_use]
    pub fn trace(&self, account: &str, secrets: &Secrets, password: &[u8]) -> Trace {
        let mut tag = hmac::Context::with_key(&self.0);
        for part in [account.as_bytes(), secrets.as_str().as_bytes(), password] {
            tag.update(&(part.len() as u64).to_le_bytes());
            tag.update(part);
        }
        Trace(octets(&tag.sign()))
    }
}

impl Remember {
    #[must_use]
    pub fn new(entries: usize) -> Remember {
        Remember {
            known: Table::new(entries, RandomState::new()),
        }
    }

    #[must_use]
    pub fn knows(&self, trace: Trace, now: Instant) -> bool {
        self.known.find(trace.0).is_some_and(|end| now < end)
    }

    pub fn learn(&mut self, trace: Trace, now: Instant) {
        self.known.put(trace.0, now + REMEMBERED_FOR, |end| *end);
    }
}

fn octets(tag: &hmac::Tag) -> [u8; 32] {
    let tag: &[u8] = tag.as_ref();
    tag.try_into().expect("HMAC-SHA-256 has 32 octets")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(seed: u8) -> MemoryKey {
        MemoryKey::new(&mut |octets| octets.fill(seed))
    }

    #[test]
    fn a_password_is_known_for_a_while_and_until_it_changes() {
        let now = Instant::now();
        let key = key(7);
        let old = Secrets::parse("{PLAIN}old").unwrap();
        let new = Secrets::parse("{PLAIN}new").unwrap();
        let mut remember = Remember::new(64);
        let trace = key.trace("alice", &old, b"old");
        assert!(!remember.knows(trace, now));
        remember.learn(trace, now);
        assert!(remember.knows(trace, now + REMEMBERED_FOR - Duration::from_secs(1)));
        assert!(!remember.knows(trace, now + REMEMBERED_FOR));
        assert!(!remember.knows(key.trace("alice", &new, b"old"), now));
        assert!(!remember.knows(key.trace("bob", &old, b"old"), now));
        assert!(!remember.knows(key.trace("alice", &old, b"OLD"), now));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let secrets = Secrets::parse("{PLAIN}x").unwrap();
        let one = key(1).trace("ab", &secrets, b"c");
        let other = key(1).trace("a", &secrets, b"bc");
        assert!(one != other);
        assert!(one != key(2).trace("ab", &secrets, b"c"));
    }
}
