//! How many recipients a message has, and which: decided by its number.

use super::chance;
use std::str::FromStr;

/// Recipients of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fanout {
    Fixed(u32),
    /// One: 85 %, two to five: 12 %, six to fifty: 2.9 %, two hundred: 0.1 %.
    Mix,
}

/// RFC 5321 §4.5.3.1.8: a server takes at least 100; more is asked of some.
pub(crate) const RECIPIENTS_MAX: u32 = 1_000;

impl Fanout {
    /// The numbers of the accounts that message `number` is for: different ones, as long as there
    /// are enough.
    pub(crate) fn of(self, seed: u64, number: u64, accounts: u32) -> Recipients {
        let draw = chance(seed ^ SALT, number);
        let count = match self {
            Fanout::Fixed(count) => count,
            Fanout::Mix => mix(draw),
        };
        let accounts = accounts.max(1);
        let first = u64::from(accounts) * (draw >> 32);
        Recipients {
            next: (first >> 32) as u32,
            left: count.min(accounts),
            accounts,
        }
    }
}

/// Numbers of accounts, one after the other from a random one on.
#[derive(Clone, Debug)]
pub(crate) struct Recipients {
    next: u32,
    left: u32,
    accounts: u32,
}

impl Iterator for Recipients {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let account = self.next % self.accounts;
        self.next = account + 1;
        Some(account)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Recipients {}

fn mix(draw: u64) -> u32 {
    // The lower half decides how many, the upper one which.
    let (share, way) = ((draw & 0xffff) % 1_000, (draw >> 16) & 0xffff);
    match share {
        0..850 => 1,
        850..970 => 2 + (way % 4) as u32,
        970..999 => 6 + (way % 45) as u32,
        _ => 200,
    }
}

/// Recipients and sizes are drawn apart.
const SALT: u64 = 0x7265_6370;

impl FromStr for Fanout {
    type Err = String;

    fn from_str(text: &str) -> Result<Fanout, String> {
        if text == "mix" {
            return Ok(Fanout::Mix);
        }
        let count = text.parse().ok();
        let count = count.filter(|count| (1..=RECIPIENTS_MAX).contains(count));
        count
            .map(Fanout::Fixed)
            .ok_or_else(|| format!("a number from 1 to {RECIPIENTS_MAX}, or mix"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_has_the_asked_shares() {
        let mut counts = [0u32; 4];
        let all = 200_000;
        for number in 0..all {
            let count = Fanout::Mix.of(1, number, 1_000).count();
            let class = match count {
                1 => 0,
                2..=5 => 1,
                6..=50 => 2,
                _ => 3,
            };
            counts[class] += 1;
        }
        let share = |class: usize| f64::from(counts[class]) * 100.0 / all as f64;
        for (class, percent, within) in [(0, 85.0, 0.5), (1, 12.0, 0.5), (2, 2.9, 0.2)] {
            assert!(
                (share(class) - percent).abs() < within,
                "{class}: {}",
                share(class)
            );
        }
        assert!((share(3) - 0.1).abs() < 0.05, "{}", share(3));
    }

    #[test]
    fn recipients_differ_and_are_spread_over_all_accounts() {
        let three: Vec<u32> = Fanout::Fixed(3).of(5, 77, 10).collect();
        assert_eq!(three.len(), 3);
        assert!(three.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 10));
        assert_eq!(Fanout::Fixed(3).of(5, 77, 2).count(), 2);
        assert_eq!(three, Fanout::Fixed(3).of(5, 77, 10).collect::<Vec<_>>());
        let mut hits = [0u32; 10];
        for number in 0..10_000 {
            hits[Fanout::Fixed(1).of(9, number, 10).next().unwrap() as usize] += 1;
        }
        assert!(hits.iter().all(|hit| (850..1150).contains(hit)), "{hits:?}");
    }
}
