//! Failed logins slow down: by address, by network and by account (attack class 8).
//!
//! Each failure adds 1 to four scores: the address (IPv4 /32, IPv6 /64), its network (/24, /48),
//! the account, and the pair of account and address. Scores halve every [`HALF_LIFE`]. A score
//! becomes a delay before the answer; that of an address or network can grow into a refusal. An
//! account is **never refused** and never delayed by more than [`ACCOUNT_DELAY_MAX`], so nobody can
//! lock its owner out from elsewhere; an address from which the account logged in lately is not
//! delayed for the account at all.
//!
//! Loopback has no score as an address: behind it is our own machine, perhaps a webmail that logs
//! in for everybody.
//!
//! A success takes back what the same pair had failed, and nothing else: a mistyped password is
//! forgiven, but one account of their own does not wash an attacker's address clean.
//!
//! The table is bounded ([`ENTRIES_MAX`]) and shared by all shards behind one mutex (`Gate`):
//! logins are rare beside messages, and a count per shard would give an attacker as many tries as
//! there are shards.

use super::table::Table;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Scores that are kept; a failure needs four.
pub const ENTRIES_MAX: usize = 65_536;

/// A score is half of what it was after this time.
pub const HALF_LIFE: Duration = Duration::from_secs(600);

/// The most that one account's failures delay a login from elsewhere.
pub const ACCOUNT_DELAY_MAX: Duration = Duration::from_secs(4);

/// The most that an address' or network's failures delay, before they lead to a refusal.
pub const ADDRESS_DELAY_MAX: Duration = Duration::from_secs(8);

/// How long a success makes an address known to its account.
pub const KNOWN_FOR: Duration = Duration::from_secs(14 * 24 * 3600);

const DELAY_FIRST: Duration = Duration::from_millis(250);

/// Failures without consequence.
const ADDRESS_FREE: f32 = 3.0;
const NETWORK_FREE: f32 = 30.0;
const ACCOUNT_FREE: f32 = 5.0;

/// Scores from which an address is refused (`Limits::login_failures_per_address_max`, …).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ThrottleLimits {
    pub address_failures_max: u64,
    pub network_failures_max: u64,
}

/// What becomes of a login before its password is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Go on after this delay; most often zero.
    After(Duration),
    /// Too many failures from there: answer with a temporary refusal; it ends after this time.
    Refused { retry_after: Duration },
}

pub struct Throttle {
    limits: ThrottleLimits,
    scores: Table<u64, Score>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Score {
    failures: f32,
    at: Instant,
    /// Of a pair only: the last success.
    success: Option<Instant>,
}

/// The four keys of one login, hashed with a seed of this process.
struct Keys {
    address: u64,
    network: u64,
    account: u64,
    pair: u64,
}

impl Throttle {
    #[must_use]
    pub fn new(limits: ThrottleLimits) -> Throttle {
        Throttle {
            limits,
            scores: Table::new(ENTRIES_MAX, RandomState::new()),
            hasher: RandomState::new(),
        }
    }

    /// May this login go on, and when? Changes nothing.
    #[must_use]
    pub fn admit(&self, now: Instant, peer: IpAddr, account: &str) -> Admission {
        let keys = self.keys(peer, account);
        let address = self.failures(keys.address, now);
        let network = self.failures(keys.network, now);
        let known = self.known(keys.pair, now);
        let over = [
            retry_after(address, self.limits.address_failures_max),
            retry_after(network, self.limits.network_failures_max).filter(|_| !known),
        ];
        if let Some(retry_after) = over.into_iter().flatten().max() {
            return Admission::Refused { retry_after };
        }
        let of_account = match known {
            true => Duration::ZERO,
            false => delay(
                self.failures(keys.account, now),
                ACCOUNT_FREE,
                ACCOUNT_DELAY_MAX,
            ),
        };
        let of_address = delay(address, ADDRESS_FREE, ADDRESS_DELAY_MAX);
        let of_network = match known {
            true => Duration::ZERO,
            false => delay(network, NETWORK_FREE, ADDRESS_DELAY_MAX),
        };
        Admission::After(of_account.max(of_address).max(of_network))
    }

    pub fn failed(&mut self, now: Instant, peer: IpAddr, account: &str) {
        let keys = self.keys(peer, account);
        let outside = !peer.to_canonical().is_loopback();
        let of_place = [keys.address, keys.network].into_iter().filter(|_| outside);
        for key in of_place.chain([keys.account, keys.pair]) {
            self.add(key, now, 1.0);
        }
    }

    pub fn succeeded(&mut self, now: Instant, peer: IpAddr, account: &str) {
        let keys = self.keys(peer, account);
        let forgiven = self.failures(keys.pair, now);
        for key in [keys.address, keys.network, keys.account] {
            if forgiven > 0.0 {
                self.add(key, now, -forgiven);
            }
        }
        let known = Score {
            failures: 0.0,
            at: now,
            success: Some(now),
        };
        self.put(keys.pair, known, now);
    }

    fn add(&mut self, key: u64, now: Instant, change: f32) {
        let before = self.scores.find(key);
        let failures = (self.failures(key, now) + change).max(0.0);
        if failures == 0.0 && before.is_none_or(|score| score.success.is_none()) {
            self.scores.remove(key);
            return;
        }
        let score = Score {
            failures,
            at: now,
            success: before.and_then(|score| score.success),
        };
        self.put(key, score, now);
    }

    fn put(&mut self, key: u64, score: Score, now: Instant) {
        self.scores.put(key, score, |held| held.strength(now));
    }

    fn failures(&self, key: u64, now: Instant) -> f32 {
        let score = self.scores.find(key);
        score.map_or(0.0, |score| score.decayed(now))
    }

    fn known(&self, pair: u64, now: Instant) -> bool {
        let success = self.scores.find(pair).and_then(|score| score.success);
        success.is_some_and(|at| now.saturating_duration_since(at) < KNOWN_FOR)
    }

    fn keys(&self, peer: IpAddr, account: &str) -> Keys {
        let (address, network) = prefixes(peer);
        Keys {
            address: self.hasher.hash_one((0u8, address)),
            network: self.hasher.hash_one((1u8, network)),
            account: self.hasher.hash_one((2u8, account)),
            pair: self.hasher.hash_one((3u8, address, account)),
        }
    }
}

impl Score {
    fn decayed(&self, now: Instant) -> f32 {
        let age = now.saturating_duration_since(self.at).as_secs_f32();
        self.failures * (-age / HALF_LIFE.as_secs_f32()).exp2()
    }

    /// A known pair is worth a few failures: a flood of new addresses does not make us forget
    /// where our users log in from.
    fn strength(&self, now: Instant) -> f32 {
        self.decayed(now) + if self.success.is_some() { 4.0 } else { 0.0 }
    }
}

/// The octets that one party holds, and those of its neighbourhood. An IPv4 address within IPv6
/// counts as IPv4.
fn prefixes(peer: IpAddr) -> (u128, u128) {
    match peer.to_canonical() {
        IpAddr::V4(v4) => {
            let bits = v4.to_bits();
            (u128::from(bits) | 1 << 32, u128::from(bits >> 8) | 1 << 33)
        }
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            (bits >> 64 << 64, bits >> 80 << 80)
        }
    }
}

/// Doubles with each failure beyond the free ones.
fn delay(failures: f32, free: f32, max: Duration) -> Duration {
    let beyond = failures - free;
    if beyond < 0.5 {
        return Duration::ZERO;
    }
    // Beyond 16 doublings every maximum is passed long ago.
    DELAY_FIRST.mul_f32(beyond.min(16.0).exp2() / 2.0).min(max)
}

/// The time until a score has fallen below its maximum; `None` where it is below.
fn retry_after(failures: f32, max: u64) -> Option<Duration> {
    let times_over = failures / max as f32;
    (times_over >= 1.0).then(|| {
        let wait = HALF_LIFE.mul_f32(times_over.min(1e6).log2());
        wait + Duration::from_secs(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: ThrottleLimits = ThrottleLimits {
        address_failures_max: 30,
        network_failures_max: 500,
    };
    const FREE: Admission = Admission::After(Duration::ZERO);

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address of a test")
    }

    fn fail(throttle: &mut Throttle, now: Instant, peer: &str, account: &str, times: usize) {
        for _ in 0..times {
            throttle.failed(now, ip(peer), account);
        }
    }

    #[test]
    fn a_slip_costs_nothing_and_guessing_costs_more_and_more() {
        let now = Instant::now();
        let mut throttle = Throttle::new(LIMITS);
        let mut last = Duration::ZERO;
        for failures in 1..=30 {
            throttle.failed(now, ip("192.0.2.1"), &format!("user{failures}"));
            match throttle.admit(now, ip("192.0.2.1"), "x") {
                Admission::After(delay) => {
                    assert!(failures < 30 && delay >= last);
                    assert_eq!(delay.is_zero(), failures <= 3, "{failures}");
                    last = delay;
                }
                Admission::Refused { retry_after } => {
                    assert_eq!(failures, 30);
                    let later = now + retry_after;
                    let then = throttle.admit(later, ip("192.0.2.1"), "x");
                    assert!(matches!(then, Admission::After(_)));
                }
            }
        }
        assert_eq!(last, ADDRESS_DELAY_MAX);
        assert_eq!(
            throttle.admit(now + HALF_LIFE * 8, ip("192.0.2.1"), "x"),
            FREE
        );
    }

    #[test]
    fn the_owner_is_never_locked_out_from_elsewhere() {
        let now = Instant::now();
        let mut throttle = Throttle::new(LIMITS);
        for host in 0..200u32 {
            let peer = format!("10.{host}.0.1");
            fail(&mut throttle, now, &peer, "alice", 20);
        }
        let admission = throttle.admit(now, ip("198.51.100.7"), "alice");
        assert_eq!(admission, Admission::After(ACCOUNT_DELAY_MAX));
        throttle.succeeded(now, ip("198.51.100.7"), "alice");
        assert_eq!(throttle.admit(now, ip("198.51.100.7"), "alice"), FREE);
    }

    #[test]
    fn a_success_forgives_only_its_own_slips() {
        let now = Instant::now();
        let mut throttle = Throttle::new(LIMITS);
        fail(&mut throttle, now, "192.0.2.1", "mallory", 4);
        throttle.succeeded(now, ip("192.0.2.1"), "mallory");
        assert_eq!(throttle.admit(now, ip("192.0.2.1"), "other"), FREE);
        fail(&mut throttle, now, "192.0.2.1", "victim", 40);
        throttle.succeeded(now, ip("192.0.2.1"), "mallory");
        let admission = throttle.admit(now, ip("192.0.2.1"), "victim");
        assert!(matches!(admission, Admission::Refused { .. }));
    }

    #[test]
    fn one_ipv6_network_is_one_party() {
        let now = Instant::now();
        let mut throttle = Throttle::new(LIMITS);
        for host in 0..40 {
            fail(&mut throttle, now, &format!("2001:db8::{host:x}"), "x", 1);
        }
        let same = throttle.admit(now, ip("2001:db8::ffff"), "y");
        assert!(matches!(same, Admission::Refused { .. }));
        assert_eq!(throttle.admit(now, ip("2001:db8:1::1"), "y"), FREE);
        assert_eq!(prefixes(ip("::ffff:192.0.2.1")), prefixes(ip("192.0.2.1")));
    }

    #[test]
    fn a_network_of_guessers_is_refused_but_not_its_known_users() {
        let now = Instant::now();
        let mut throttle = Throttle::new(LIMITS);
        throttle.succeeded(now, ip("192.0.2.200"), "alice");
        for host in 1..=100 {
            fail(
                &mut throttle,
                now,
                &format!("192.0.2.{host}"),
                &format!("u{host}"),
                6,
            );
        }
        let stranger = throttle.admit(now, ip("192.0.2.250"), "alice");
        assert!(matches!(stranger, Admission::Refused { .. }));
        assert_eq!(throttle.admit(now, ip("192.0.2.200"), "alice"), FREE);
    }

    #[test]
    fn loopback_is_not_held_against_everybody() {
        let now = Instant::now();
        let mut throttle = Throttle::new(LIMITS);
        fail(&mut throttle, now, "127.0.0.1", "alice", 1000);
        assert_eq!(throttle.admit(now, ip("127.0.0.1"), "bob"), FREE);
        let alice = throttle.admit(now, ip("127.0.0.1"), "alice");
        assert_eq!(alice, Admission::After(ACCOUNT_DELAY_MAX));
    }

    #[test]
    fn a_flood_of_addresses_does_not_hide_an_offender() {
        let now = Instant::now();
        let mut throttle = Throttle::new(LIMITS);
        fail(&mut throttle, now, "192.0.2.1", "alice", 35);
        for n in 0..60_000u32 {
            let peer = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n * 256));
            throttle.failed(now, peer, "bob");
        }
        let admission = throttle.admit(now, ip("192.0.2.1"), "alice");
        assert!(matches!(admission, Admission::Refused { .. }));
    }

    proptest! {
        /// Whatever happened elsewhere, a known address waits for nobody's sake, and a fresh one no
        /// longer than the account's maximum.
        #[test]
        fn delays_are_bounded(
            steps in prop::collection::vec((0u8..6, 0u8..3, any::<bool>(), 0u64..900), 0..150)
        ) {
            let mut now = Instant::now();
            let mut throttle = Throttle::new(LIMITS);
            for (host, account, ok, secs) in steps {
                now += Duration::from_secs(secs);
                let peer = IpAddr::from([10, host, 0, 1]);
                let account = account.to_string();
                match ok {
                    true => throttle.succeeded(now, peer, &account),
                    false => throttle.failed(now, peer, &account),
                }
                let fresh = throttle.admit(now, ip("203.0.113.9"), &account);
                let Admission::After(delay) = fresh else {
                    return Err(TestCaseError::fail("a fresh address was refused"));
                };
                prop_assert!(delay <= ACCOUNT_DELAY_MAX);
            }
        }
    }
}
