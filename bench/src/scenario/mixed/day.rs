//! A user's day, compressed: when mail comes, how long sessions are, what is done with a message.
//!
//! | | in a day | share |
//! |---|---|---|
//! | a message arrives | every 5 minutes | half of them are answers of other users |
//! | a session | 20 minutes, then 20 minutes without one on average | 1 to 5 connections |
//! | a message that was read | is answered, deleted or moved | 50 %, 5 %, 5 % |

use crate::load::chance;
use std::time::Duration;

/// The pace and the seed of all users' days.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Day {
    pub(crate) speed_up: f64,
    pub(crate) seed: u64,
}

/// What is done with a message that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Care {
    Keep,
    Answer,
    Delete,
    Move,
}

/// When a user is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stay {
    /// From the begin of the run.
    pub(crate) from: Duration,
    pub(crate) until: Duration,
    pub(crate) connections: u32,
}

const ARRIVAL_SECS: f64 = 300.0;
const SESSION_SECS: f64 = 1_200.0;
const PAUSE_SECS: f64 = 1_200.0;

/// More connections than this no user has.
pub(crate) const CONNECTIONS_MAX: u32 = 5;

/// Each answer is an arrival to somebody, and half of all arrivals are answered: what comes from
/// outside is the other half.
const OUTSIDE: f64 = 0.5;

impl Day {
    /// Arrivals from outside a second, of all users.
    pub(crate) fn arrivals(&self, users: u32) -> f64 {
        f64::from(users) * OUTSIDE * self.speed_up / ARRIVAL_SECS
    }

    /// Every stay of a user that begins before `end`. At the begin half of all users are there,
    /// each somewhere in his session.
    pub(crate) fn stays(&self, user: u32, end: Duration) -> impl Iterator<Item = Stay> {
        let mut rng = fastrand::Rng::with_seed(chance(self.seed ^ STAY_SALT, u64::from(user)));
        let session = SESSION_SECS / self.speed_up;
        let pause = PAUSE_SECS / self.speed_up;
        // A phase below the length of a session is the part of it that is over.
        let phase = rng.f64() * (session + pause);
        let mut from = match phase < session {
            true => 0.0,
            false => session + pause - phase,
        };
        let mut until = match phase < session {
            true => session - phase,
            false => from + session,
        };
        std::iter::from_fn(move || {
            let stay = Stay {
                from: Duration::from_secs_f64(from),
                until: Duration::from_secs_f64(until).min(end),
                connections: rng.u32(1..=CONNECTIONS_MAX),
            };
            // Half to one and a half of the mean, so that users drift apart.
            from = until + pause * (0.5 + rng.f64());
            until = from + session;
            (stay.from < end).then_some(stay)
        })
    }

    /// What a user does with a message.
    pub(crate) fn care(&self, user: u32, number: u64) -> Care {
        let seed = chance(self.seed ^ CARE_SALT, u64::from(user));
        match chance(seed, number) % 100 {
            0..50 => Care::Answer,
            50..55 => Care::Delete,
            55..60 => Care::Move,
            _ => Care::Keep,
        }
    }
}

/// So that stays, cares and sizes are drawn apart.
const STAY_SALT: u64 = 0x7374_6179;
const CARE_SALT: u64 = 0x6361_7265;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Day = Day {
        speed_up: 60.0,
        seed: 3,
    };

    #[test]
    fn half_of_the_users_are_there_at_any_moment() {
        let end = Duration::from_secs(600);
        for moment in [0.001, 100.0, 300.0, 599.0].map(Duration::from_secs_f64) {
            let there = (0..2_000).filter(|user| {
                let mut stays = DAY.stays(*user, end);
                stays.any(|stay| stay.from <= moment && moment < stay.until)
            });
            let there = there.count();
            assert!((880..1_120).contains(&there), "{moment:?}: {there}");
        }
    }

    #[test]
    fn stays_follow_each_other_and_end_with_the_run() {
        let end = Duration::from_secs(100);
        let stays: Vec<Stay> = DAY.stays(7, end).collect();
        assert_eq!(stays, DAY.stays(7, end).collect::<Vec<_>>());
        assert!(!stays.is_empty() && stays.iter().all(|stay| stay.until <= end));
        assert!(stays.windows(2).all(|pair| pair[0].until < pair[1].from));
        assert!(stays.iter().all(|stay| (1..=5).contains(&stay.connections)));
    }

    #[test]
    fn messages_are_cared_for_in_the_asked_shares() {
        let mut counts = [0u32; 4];
        for number in 0..20_000 {
            counts[DAY.care(number as u32 % 50, number) as usize] += 1;
        }
        let percent = counts.map(|count| f64::from(count) / 200.0);
        for (at, expected) in [(0, 40.0), (1, 50.0), (2, 5.0), (3, 5.0)] {
            assert!((percent[at] - expected).abs() < 1.0, "{percent:?}");
        }
    }

    #[test]
    fn a_user_gets_a_message_every_five_minutes_answers_included() {
        let outside = DAY.arrivals(1_000);
        assert!(
            (outside * 2.0 - 1_000.0 / 5.0).abs() < 1e-9,
            "a minute is a second"
        );
    }
}
