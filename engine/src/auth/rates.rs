//! How much each client may do in a minute, over all shards.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// When each client has used up its share, in microseconds of the monotonic clock.
#[derive(Default)]
pub struct Rates(Mutex<HashMap<String, u64>>);

impl Rates {
    /// Takes `count` of what `name` may do a minute (GCRA, with a burst of one minute's share).
    /// `Err`: in so many seconds it may go on.
    pub fn take(
        &self,
        name: &str,
        count: usize,
        per_minute_max: u32,
        now_micros: u64,
    ) -> Result<(), u64> {
        // No code that can panic runs under it.
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= NAMES_MAX {
            rates.retain(|_, until| *until > now_micros);
        }
        let each = MINUTE_MICROS / u64::from(per_minute_max.max(1));
        let until = rates.get(name).copied().unwrap_or(0).max(now_micros);
        // One request may go beyond the burst: it would never be taken otherwise.
        if until >= now_micros + MINUTE_MICROS {
            return Err((until - now_micros - MINUTE_MICROS)
                .div_ceil(1_000_000)
                .max(1));
        }
        let after = until.saturating_add(each.saturating_mul(count as u64));
        rates.insert(name.to_owned(), after);
        Ok(())
    }
}

const MINUTE_MICROS: u64 = 60_000_000;

/// Clients that are remembered; those that may go on are forgotten first.
const NAMES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_holds_over_time() {
        let rates = Rates::default();
        let now = 5_000_000_000;
        assert_eq!(rates.take("a", 60, 60, now), Ok(()));
        assert_eq!(rates.take("a", 1, 60, now), Err(1));
        assert_eq!(rates.take("b", 1, 60, now), Ok(()));
        assert_eq!(rates.take("a", 1, 60, now + MINUTE_MICROS), Ok(()));
    }
}
