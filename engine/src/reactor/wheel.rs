//! A timer wheel as a pure data structure: arm, re-arm and cancel in O(1), no clock of its own.
//!
//! Time is cut into ticks of [`TICK_MILLIS`]; slot `due % SLOTS` holds a doubly linked list of the
//! entries due at that tick, or later: a whole number of turns, or because they were put off. Who
//! is put off stays where it is, and is moved when the wheel comes by: deadlines of connections are
//! put off with every command and hardly ever reached. An entry never fires before its time and at
//! most one tick after the tick that [`Wheel::advance`] was given.
//!
//! ```text
//! arm ──► armed ──advance──► fired ──rearm──► armed
//!           │                  │
//!           └────── cancel ────┴──► gone
//! ```

use slab::Slab;

/// Length of a tick, in milliseconds: how late a timer may fire.
pub const TICK_MILLIS: u64 = 64;

/// Ticks in one turn of the wheel (131 s); longer times go round more than once.
const SLOTS: usize = 2048;

/// Entries one wheel can hold; `u32::MAX` is the end of a list.
const ENTRIES_MAX: usize = u32::MAX as usize;
const END: u32 = u32::MAX;

/// Timers of one shard, each with what to do (`A`) when it is due.
pub struct Wheel<A> {
    heads: Box<[u32]>,
    entries: Slab<Entry<A>>,
    /// The last tick that was advanced to.
    tick: u64,
    armed: usize,
}

/// Names one entry until it is cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(u32);

struct Entry<A> {
    due: u64,
    previous: u32,
    next: u32,
    /// Where it is linked.
    slot: u16,
    armed: bool,
    action: A,
}

impl<A> Wheel<A> {
    pub fn new(now_millis: u64) -> Wheel<A> {
        Wheel {
            heads: vec![END; SLOTS].into_boxed_slice(),
            entries: Slab::new(),
            tick: now_millis / TICK_MILLIS,
            armed: 0,
        }
    }

    /// Entries that have not fired yet.
    pub fn armed(&self) -> usize {
        self.armed
    }

    /// Adds an entry due at `due_millis`. The caller keeps the key and cancels it in the end.
    pub fn arm(&mut self, due_millis: u64, action: A) -> Key {
        assert!(self.entries.len() < ENTRIES_MAX, "more timers than keys");
        let key = self.entries.insert(Entry {
            due: 0,
            previous: END,
            next: END,
            slot: 0,
            armed: false,
            action,
        });
        let key = Key(u32::try_from(key).expect("fewer than ENTRIES_MAX entries"));
        self.link(key.0, self.tick_of(due_millis));
        key
    }

    /// Moves an entry, armed or fired, to another time.
    pub fn rearm(&mut self, key: Key, due_millis: u64) {
        let due = self.tick_of(due_millis);
        let visit_after = self.tick;
        let entry = self.entry(key.0);
        if entry.armed && next_visit(entry.slot, visit_after) <= due {
            entry.due = due;
            return;
        }
        self.unlink(key.0);
        self.link(key.0, due);
    }

    /// Removes an entry and gives its action back.
    pub fn cancel(&mut self, key: Key) -> A {
        self.unlink(key.0);
        self.entries.remove(key.0 as usize).action
    }

    /// Whether the entry was due and has not been armed again.
    pub fn has_fired(&self, key: Key) -> bool {
        !self.entry_ref(key.0).armed
    }

    pub fn action(&mut self, key: Key) -> &mut A {
        &mut self.entry(key.0).action
    }

    /// Fires everything due by `now_millis`, in the order of ticks.
    pub fn advance(&mut self, now_millis: u64, mut fire: impl FnMut(&mut A)) {
        let target = now_millis / TICK_MILLIS;
        // After a pause of more than one turn every slot is looked at once.
        let first = self.tick.saturating_add(1);
        let first = first.max(target.saturating_sub(SLOTS as u64 - 1));
        for tick in first..=target {
            self.fire_slot(tick, target, &mut fire);
        }
        self.tick = self.tick.max(target);
    }

    fn fire_slot(&mut self, tick: u64, target: u64, fire: &mut impl FnMut(&mut A)) {
        let mut next = *self.head(slot(tick));
        while next != END {
            let index = next;
            next = self.entry(index).next;
            let due = self.entry(index).due;
            if due <= target {
                self.unlink(index);
                fire(&mut self.entry(index).action);
            } else if slot(due) != slot(tick) {
                self.unlink(index);
                self.link(index, due);
            }
        }
    }

    /// Rounded up: never early. A time already past fires at the next tick.
    fn tick_of(&self, due_millis: u64) -> u64 {
        due_millis
            .div_ceil(TICK_MILLIS)
            .max(self.tick.saturating_add(1))
    }

    fn link(&mut self, index: u32, due: u64) {
        let next = std::mem::replace(self.head(slot(due)), index);
        if next != END {
            self.entry(next).previous = index;
        }
        let entry = self.entry(index);
        debug_assert!(!entry.armed);
        entry.due = due;
        entry.previous = END;
        entry.next = next;
        entry.slot = slot(due);
        entry.armed = true;
        self.armed += 1;
    }

    fn unlink(&mut self, index: u32) {
        let entry = self.entry(index);
        if !entry.armed {
            return;
        }
        entry.armed = false;
        let (slot, previous, next) = (entry.slot, entry.previous, entry.next);
        if previous == END {
            *self.head(slot) = next;
        } else {
            self.entry(previous).next = next;
        }
        if next != END {
            self.entry(next).previous = previous;
        }
        self.armed -= 1;
    }

    #[expect(clippy::indexing_slicing, reason = "slots are below SLOTS")]
    fn head(&mut self, slot: u16) -> &mut u32 {
        &mut self.heads[usize::from(slot)]
    }

    fn entry(&mut self, index: u32) -> &mut Entry<A> {
        let entry = self.entries.get_mut(index as usize);
        entry.expect("a key lives until it is cancelled")
    }

    fn entry_ref(&self, index: u32) -> &Entry<A> {
        let entry = self.entries.get(index as usize);
        entry.expect("a key lives until it is cancelled")
    }
}

fn slot(tick: u64) -> u16 {
    (tick % SLOTS as u64) as u16
}

/// The first tick behind `tick` at which the wheel looks into a slot.
fn next_visit(slot: u16, tick: u64) -> u64 {
    let first = tick.saturating_add(1);
    let slots = SLOTS as u64;
    first.saturating_add((u64::from(slot) + slots - first % slots) % slots)
}

const _: () = assert!(SLOTS <= u16::MAX as usize);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn fired(wheel: &mut Wheel<u32>, now: u64) -> Vec<u32> {
        let mut out = Vec::new();
        wheel.advance(now, |id| out.push(*id));
        out
    }

    #[test]
    fn fires_once_not_early_and_at_most_two_ticks_late() {
        let mut wheel = Wheel::new(1_000);
        let key = wheel.arm(1_500, 7);
        assert!(fired(&mut wheel, 1_499).is_empty());
        assert_eq!(fired(&mut wheel, 1_500 + 2 * TICK_MILLIS), [7]);
        assert!(wheel.has_fired(key));
        assert!(fired(&mut wheel, 1_000_000).is_empty());
        assert_eq!(wheel.cancel(key), 7);
    }

    #[test]
    fn a_cancelled_entry_does_not_fire_and_a_rearmed_one_fires_at_the_later_time() {
        let mut wheel = Wheel::new(0);
        let gone = wheel.arm(100, 1);
        let moved = wheel.arm(100, 2);
        wheel.cancel(gone);
        wheel.rearm(moved, 600_000);
        assert!(fired(&mut wheel, 599_000).is_empty());
        assert_eq!(fired(&mut wheel, 601_000), [2]);
        wheel.rearm(moved, 700_000);
        assert!(!wheel.has_fired(moved));
        assert_eq!(fired(&mut wheel, 701_000), [2]);
        assert_eq!(wheel.armed(), 0);
    }

    #[test]
    fn a_pause_longer_than_a_turn_fires_what_is_due_and_nothing_else() {
        let turn = SLOTS as u64 * TICK_MILLIS;
        let mut wheel = Wheel::new(0);
        wheel.arm(10, 1);
        wheel.arm(turn + 10, 2);
        wheel.arm(20 * turn, 3);
        let mut both = fired(&mut wheel, 5 * turn);
        both.sort_unstable();
        assert_eq!(both, [1, 2]);
        assert_eq!(wheel.armed(), 1);
    }

    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Entry<[u64; 2]>>() <= 48);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Arm(u64),
        Rearm(usize, u64),
        Cancel(usize),
        Advance(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..400_000u64).prop_map(Step::Arm),
            (any::<usize>(), 0..400_000u64).prop_map(|(i, d)| Step::Rearm(i, d)),
            any::<usize>().prop_map(Step::Cancel),
            prop_oneof![0..200u64, 0..300_000u64].prop_map(Step::Advance),
        ];
        proptest::collection::vec(step, 1..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// The wheel against a list that is searched: same timers fire, none early, none late.
        #[test]
        fn agrees_with_a_plain_list(steps in steps()) {
            let mut now = 5_000u64;
            let mut wheel = Wheel::new(now);
            let mut model: Vec<(Key, u32, Option<u64>)> = Vec::new();
            let mut id = 0;
            for step in steps {
                match step {
                    Step::Arm(after) => {
                        id += 1;
                        model.push((wheel.arm(now + after, id), id, Some(now + after)));
                    }
                    Step::Rearm(i, after) if !model.is_empty() => {
                        let i = i % model.len();
                        wheel.rearm(model[i].0, now + after);
                        model[i].2 = Some(now + after);
                    }
                    Step::Cancel(i) if !model.is_empty() => {
                        let (key, id, _) = model.swap_remove(i % model.len());
                        prop_assert_eq!(wheel.cancel(key), id);
                    }
                    Step::Advance(by) => {
                        now += by;
                        let out = fired(&mut wheel, now);
                        for (key, id, due) in &mut model {
                            let hit = out.contains(id);
                            if let Some(at) = *due {
                                prop_assert!(!(hit && at > now), "early");
                                prop_assert!(hit || at + 2 * TICK_MILLIS > now, "late");
                            } else {
                                prop_assert!(!hit, "fired twice");
                            }
                            if hit {
                                *due = None;
                            }
                            prop_assert_eq!(wheel.has_fired(*key), due.is_none());
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(wheel.armed(), model.iter().filter(|m| m.2.is_some()).count());
            }
        }
    }
}
