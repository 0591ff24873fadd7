//! What a source that warms up has sent today, by site; kept as notes, so that a restart gives it
//! no second day.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The counts of one source.
#[derive(Default, Debug)]
pub(super) struct Days {
    by_site: Mutex<HashMap<Box<str>, Count>>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    /// Since 1970, in UTC.
    day: u32,
    used: u32,
    /// The note says something else.
    is_new: bool,
}

/// One count, as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    pub(super) site: String,
    pub(super) day: u32,
    pub(super) used: u32,
}

impl Days {
    #[must_use]
    pub(super) fn used(&self, site: &str, day: u32) -> u32 {
        let counts = self.counts();
        let count = counts.get(site).filter(|count| count.day == day);
        count.map_or(0, |count| count.used)
    }

    /// Takes one where there are fewer than `most`.
    pub(super) fn take(&self, site: &str, day: u32, most: u32) -> bool {
        let mut counts = self.counts();
        if !counts.contains_key(site) && counts.len() >= SITES_MAX {
            counts.retain(|_, count| count.day >= day);
            if counts.len() >= SITES_MAX {
                return false;
            }
        }
        let count = counts.entry(site.into()).or_insert(Count::none(day));
        // A clock that goes back gives no second day.
        if day > count.day {
            *count = Count::none(day);
        }
        let has_room = count.used < most;
        if has_room {
            count.used += 1;
            count.is_new = true;
        }
        has_room
    }

    pub(super) fn give_back(&self, site: &str, day: u32) {
        let mut counts = self.counts();
        if let Some(count) = counts.get_mut(site).filter(|count| count.day == day) {
            count.used = count.used.saturating_sub(1);
            count.is_new = true;
        }
    }

    #[must_use]
    pub(super) fn of_day(&self, day: u32) -> Vec<(String, u32)> {
        let counts = self.counts();
        let today = counts.iter().filter(|(_, count)| count.day == day);
        let mut today: Vec<_> = today
            .map(|(site, count)| (site.to_string(), count.used))
            .collect();
        today.sort();
        today
    }

    /// Up to `most` counts that no note says.
    pub(super) fn take_new(&self, most: usize) -> Vec<Kept> {
        let mut counts = self.counts();
        let new = counts.iter_mut().filter(|(_, count)| count.is_new);
        new.take(most)
            .map(|(site, count)| {
                count.is_new = false;
                Kept {
                    site: site.to_string(),
                    day: count.day,
                    used: count.used,
                }
            })
            .collect()
    }

    /// What a note says; at the start.
    pub(super) fn restore(&self, kept: &Kept) {
        let count = Count {
            day: kept.day,
            used: kept.used,
            is_new: false,
        };
        self.counts().insert(kept.site.as_str().into(), count);
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Box<str>, Count>> {
        // Nothing here can be left half done by a thread that panics.
        self.by_site.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn none(day: u32) -> Count {
        Count {
            day,
            used: 0,
            is_new: true,
        }
    }
}

/// Sites of one source in a day; further ones go by other sources, or wait.
const SITES_MAX: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_told_once_and_restored() {
        let days = Days::default();
        assert!(days.take("a", 7, 10) && days.take("a", 7, 10) && days.take("b", 7, 10));
        let mut new = days.take_new(10);
        new.sort_by(|x, y| x.site.cmp(&y.site));
        assert_eq!((new.len(), new[0].used, new[1].used), (2, 2, 1));
        assert_eq!(days.take_new(10), []);
        let again = Days::default();
        new.iter().for_each(|kept| again.restore(kept));
        assert_eq!((again.used("a", 7), again.used("a", 8)), (2, 0));
        assert!(again.take("a", 7, 3) && !again.take("a", 7, 3));
        assert!(!again.take("a", 6, 3), "the clock went back");
        assert!(again.take("a", 8, 1));
    }
}
