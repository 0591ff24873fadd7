//! How many couriers a shard keeps up with: fewer when a turn of its loop takes long.
//!
//! A turn runs every task that is ready, and only then is the ring asked what has come. Thousands
//! of connections that all have something to do make turns of a second, in which no commit is
//! heard of and no client is answered, and nothing is sent faster by it. So while many couriers are
//! at work the turn is measured, and as many may be at work as keep it short. Whoever has rested
//! begins with few, so that a queue that is let go does not do at once what it can do in a second.

use super::dispatch::Dispatcher;
use crate::reactor::{clock, sleep, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// What is learnt of the length of turns.
pub(super) struct Pulse {
    /// Couriers that may be at work.
    most: Cell<u64>,
    /// Turns in a row that took long: one alone may be chance.
    slow: Cell<u32>,
    /// Couriers that were told to leave, and still say goodbye.
    leaving: Cell<u64>,
    is_felt: Cell<bool>,
}

impl Pulse {
    #[must_use]
    pub(super) fn new() -> Pulse {
        Pulse {
            most: Cell::new(AT_WORK_FIRST),
            slow: Cell::new(0),
            leaving: Cell::new(0),
            is_felt: Cell::new(false),
        }
    }

    /// Couriers that may be at work.
    #[must_use]
    pub(super) fn most(&self) -> u64 {
        self.most.get()
    }

    /// Couriers, of these, for sites that put off everything: few where others have work.
    #[must_use]
    pub(super) fn sulkers(&self, connections_max: u64) -> u64 {
        let sulkers = match self.is_felt.get() {
            true => self.most.get() / SULKERS_PART,
            false => (connections_max / SULKERS_PART_AT_REST).min(SULKERS_AT_REST_MAX),
        };
        sulkers.max(SULKERS_MIN)
    }

    /// Learns from one turn, in which so many were at work. `true`: more may be than before.
    fn beat(&self, turn_micros: u64, at_work: u64, ceiling: u64) -> bool {
        let before = self.most.get().min(ceiling);
        let is_slow = turn_micros > SLOW_MICROS;
        self.slow.set(if is_slow { self.slow.get() + 1 } else { 0 });
        let next = match turn_micros {
            _ if self.slow.get() >= SLOW_TURNS => {
                self.slow.set(0);
                before.min(at_work) / 4 * 3
            }
            // What nobody makes use of tells nothing.
            ..SWIFT_MICROS if at_work + at_work / 4 >= before => before + before / 8 + 1,
            _ => before,
        };
        let next = next.clamp(AT_WORK_MIN.min(ceiling), ceiling);
        self.most.set(next);
        next > before
    }

    /// Few are at work: those who come next begin with as many as any.
    fn rest(&self) {
        self.most.set(AT_WORK_FIRST);
        self.is_felt.set(false);
    }
}

impl Dispatcher {
    /// Couriers that are at work for hosts that answer.
    pub(super) fn at_work(&self) -> u64 {
        let not_at_work = self.probes.used() + self.pulse.leaving.get();
        self.connections.used().saturating_sub(not_at_work)
    }

    pub(super) fn set_sulkers(&self) {
        self.sulks.set(self.pulse.sulkers(self.connections.most()));
    }

    /// Whether one more may be at work.
    pub(super) fn has_breath(&self) -> bool {
        self.at_work() < self.pulse.most()
    }

    /// Whether there are more than the shard keeps up with, so that who asks has to leave.
    pub(super) fn is_to_leave(&self) -> bool {
        // Those that were probes a moment ago are let in beyond it.
        let most = self.pulse.most();
        let is_too_many = self.at_work() > most + most / 4;
        if is_too_many {
            self.pulse.leaving.set(self.pulse.leaving.get() + 1);
        }
        is_too_many
    }

    /// One that was told to leave has left.
    pub(super) fn has_left(&self) {
        let leaving = self.pulse.leaving.get().saturating_sub(1);
        self.pulse.leaving.set(leaving);
    }

    /// Measures turns as long as many are at work: a shard that rests is left asleep.
    pub(super) fn feel_pulse(self: &Rc<Self>) {
        if self.at_work() <= AT_WORK_MIN || self.pulse.is_felt.replace(true) {
            return;
        }
        let this = Rc::clone(self);
        spawn(async move {
            while this.at_work() > AT_WORK_MIN / 2 {
                // By its CPU time: a turn that others made long is no shorter with fewer couriers.
                let begun = clock::thread_micros();
                yield_now().await;
                let turn = clock::thread_micros().saturating_sub(begun);
                let may_more = this
                    .pulse
                    .beat(turn, this.at_work(), this.connections.most());
                this.set_sulkers();
                if may_more {
                    this.call_next();
                }
                sleep(BEAT).await;
            }
            this.pulse.rest();
            this.set_sulkers();
        });
    }
}

/// A turn that takes longer is felt by those who wait for a commit.
const SLOW_MICROS: u64 = 20_000;

/// So many such turns in a row, and fewer couriers are at work.
const SLOW_TURNS: u32 = 2;

/// While turns are shorter, more couriers may be at work.
const SWIFT_MICROS: u64 = 8_000;

/// Couriers that are always let to work.
const AT_WORK_MIN: u64 = 64;

/// Couriers that are let to work before anything was learnt.
const AT_WORK_FIRST: u64 = 128;

/// Whoever may have no more is measured already, and so may get more.
const _: () = assert!(AT_WORK_FIRST > AT_WORK_MIN);

/// Sites that put off everything have one part of the couriers, and so many at least: each of their
/// messages is as much work as one that is delivered.
const SULKERS_PART: u64 = 64;
const SULKERS_MIN: u64 = 2;

/// Where few are at work they have more, so that who is greylisted by many sites comes along.
const SULKERS_PART_AT_REST: u64 = 16;
const SULKERS_AT_REST_MAX: u64 = 16;

/// Between two measurements.
const BEAT: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const CEILING: u64 = 2_000;

    #[test]
    fn long_turns_take_couriers_away_and_short_ones_give_them_back() {
        let pulse = Pulse::new();
        assert_eq!(
            (pulse.sulkers(CEILING), pulse.sulkers(20)),
            (16, SULKERS_MIN)
        );
        pulse.is_felt.set(true);
        assert!(!pulse.beat(1_000_000, AT_WORK_FIRST, CEILING));
        assert_eq!(pulse.most(), AT_WORK_FIRST, "one long turn may be chance");
        for _ in 0..100 {
            pulse.beat(1_000_000, pulse.most(), CEILING);
        }
        assert_eq!(
            (pulse.most(), pulse.sulkers(CEILING)),
            (AT_WORK_MIN, SULKERS_MIN)
        );
        assert!(pulse.beat(1_000, AT_WORK_MIN, CEILING));
        for _ in 0..100 {
            pulse.beat(1_000, pulse.most(), CEILING);
        }
        assert_eq!(
            (pulse.most(), pulse.sulkers(CEILING)),
            (CEILING, CEILING / SULKERS_PART)
        );
        pulse.rest();
        assert_eq!(pulse.most(), AT_WORK_FIRST);
    }

    #[test]
    fn what_is_not_made_use_of_is_not_raised() {
        let pulse = Pulse::new();
        for _ in 0..4 {
            pulse.beat(1_000_000, 120, CEILING);
        }
        let most = pulse.most();
        assert!(most < 120, "{most}");
        assert!(!pulse.beat(1_000, most / 2, CEILING));
        assert_eq!(pulse.most(), most);
        pulse.beat(1_000, most, 10);
        assert_eq!(pulse.most(), 10, "the configuration was exchanged");
    }
}
