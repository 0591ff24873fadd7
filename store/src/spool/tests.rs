//! Items against a model: whatever is enqueued, tried and ended, and wherever a life ends, a start
//! finds what the facts say.

use super::Items;
use super::chunk::{CHUNK_ITEMS, Part, seat_of};
use super::items::Item;
use crate::mail::address::Address;
use crate::mail::envelope::Notify;
use crate::mail::id::{ItemId, ObjectId};
use crate::record::{Attempt, Fact, Hold, HostReply, Leaving, Queue};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// What may happen; items are picked by their place among those that are live.
#[derive(Clone, Debug)]
enum Step {
    Enqueue { recipients: usize, tenant: u8 },
    Attempt { at: usize, attempts: u16 },
    Hold { at: usize, is_held: bool },
    End { at: usize, count: usize },
    Freeze,
    Start,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..129usize, 0..5u8)
            .prop_map(|(recipients, tenant)| Step::Enqueue { recipients, tenant }),
        2 => (any::<usize>(), any::<u16>())
            .prop_map(|(at, attempts)| Step::Attempt { at, attempts }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(at, is_held)| Step::Hold { at, is_held }),
        3 => (any::<usize>(), 1..200usize).prop_map(|(at, count)| Step::End { at, count }),
        1 => Just(Step::Freeze),
        1 => Just(Step::Start),
    ]
}

/// What a checkpoint has written down, and the facts behind it.
#[derive(Default)]
struct Kept {
    parts: BTreeMap<u32, Vec<u8>>,
    last: ItemId,
    facts: Vec<Fact>,
}

impl Kept {
    fn apply(&mut self, items: &mut Items, fact: Fact) {
        apply(items, &fact);
        self.facts.push(fact);
    }

    fn freeze(&mut self, items: &mut Items) {
        self.facts.clear();
        self.last = items.last();
        self.parts.extend(items.freeze().parts());
    }

    fn started(&self) -> Items {
        let mut items = Items::default();
        items.resume(self.last);
        for (chunk, octets) in &self.parts {
            items.load(*chunk, octets).unwrap();
        }
        self.facts.iter().for_each(|fact| apply(&mut items, fact));
        items
    }
}

fn apply(items: &mut Items, fact: &Fact) {
    match fact {
        Fact::Queue(queue) => items.enqueued(queue),
        Fact::Attempt { object, attempt } => items.attempted(*object, attempt),
        Fact::Hold(hold) => items.held(hold),
        Fact::End(end) => items.ended(end.item),
        other => panic!("no fact of the queue: {other:?}"),
    }
}

fn queue(first: ItemId, object: ObjectId, recipients: usize, tenant: u8) -> Queue {
    let recipient = |at: usize| Leaving {
        address: Address::new("x", format!("d{}.test", at % 7)),
        notify: Notify::UNSET,
        orcpt: None,
        expiry_secs: i64::MAX,
        not_before_secs: at as i64,
        priority: 0,
        marks: 0,
        by_secs: 0,
    };
    Queue {
        object,
        message: ObjectId(object.0 - 1),
        first_item: first,
        enqueued_secs: 10,
        octets: 5000,
        tenant: tenant.to_string(),
        prefix: [].into(),
        recipients: (0..recipients).map(recipient).collect(),
    }
}

fn end(item: ItemId) -> Fact {
    Fact::End(Box::new(crate::record::End {
        item,
        at_secs: 5,
        ending: crate::record::Ending::Delivered,
        reply: HostReply::default(),
    }))
}

fn all(items: &Items) -> Vec<Item> {
    let mut all = Vec::new();
    items.walk(ItemId(0), |item| {
        all.push(item);
        ControlFlow::Continue(())
    });
    all
}

proptest! {
    #[test]
    fn a_start_finds_what_the_facts_say(steps in proptest::collection::vec(steps(), 1..80)) {
        let (mut items, mut kept) = (Items::default(), Kept::default());
        // The first chunk is nearly given out.
        items.resume(ItemId(u64::from(CHUNK_ITEMS) - 150));
        let (mut object, mut live, mut given) = (1000, BTreeMap::new(), 0);
        for step in steps {
            object += 2;
            let pick = |live: &BTreeMap<u64, u16>, at: usize| {
                live.keys().nth(at % live.len().max(1)).copied().map(ItemId)
            };
            match step {
                Step::Enqueue { recipients, tenant } => {
                    let first = items.next(recipients);
                    prop_assert!(first.0 > given, "numbers rise");
                    given = first.0 + recipients as u64 - 1;
                    live.extend((first.0..=given).map(|item| (item, 0u16)));
                    let queue = queue(first, ObjectId(object), recipients, tenant);
                    kept.apply(&mut items, Fact::Queue(Box::new(queue)));
                }
                Step::Attempt { at, attempts } => if let Some(item) = pick(&live, at) {
                    live.insert(item.0, attempts);
                    let attempt = Attempt {
                        item, at_secs: 1, attempts, due_secs: 99, reply: HostReply::default(),
                    };
                    let fact = Fact::Attempt { object: ObjectId(object), attempt: attempt.into() };
                    kept.apply(&mut items, fact);
                    prop_assert_eq!(items.last_attempt(item), Some(ObjectId(object)));
                },
                Step::Hold { at, is_held } => if let Some(item) = pick(&live, at) {
                    kept.apply(&mut items, Fact::Hold(Hold { item, is_held, due_secs: 3 }));
                    prop_assert_eq!(items.item(item).unwrap().is_held, is_held);
                },
                Step::End { at, count } => if let Some(first) = pick(&live, at) {
                    let ended = live.range(first.0..).take(count).map(|it| *it.0);
                    let ended: Vec<u64> = ended.collect();
                    for item in ended {
                        live.remove(&item);
                        kept.apply(&mut items, end(ItemId(item)));
                        // Said again, it says nothing.
                        kept.apply(&mut items, end(ItemId(item)));
                    }
                },
                Step::Freeze => kept.freeze(&mut items),
                Step::Start => {
                    let started = kept.started();
                    prop_assert_eq!(all(&started), all(&items));
                    items = started;
                }
            }
            prop_assert_eq!(items.len(), live.len());
            let found = all(&items);
            let found = found.iter().map(|item| (item.id.0, item.attempts));
            let told = live.iter().map(|(item, attempts)| (*item, (*attempts).min(255) as u8));
            prop_assert!(found.eq(told));
        }
        kept.freeze(&mut items);
        let written = kept.parts.values().map(|part| Part::decode(part).unwrap().slots.len());
        prop_assert_eq!(written.sum::<usize>(), live.len());
    }

    #[test]
    fn parts_are_read_or_refused(
        octets: Vec<u8>,
        flips in proptest::collection::vec(any::<(usize, u8)>(), 0..4),
    ) {
        let _ = Part::decode(&octets);
        let mut items = Items::default();
        let first = items.next(40);
        items.enqueued(&queue(first, ObjectId(9), 40, 1));
        let mut part = Vec::new();
        items.freeze().parts().for_each(|(_, octets)| part = octets);
        for (at, flip) in flips {
            let length = part.len();
            part[at % length] ^= flip;
        }
        let _ = Items::default().load(0, &part);
    }
}

#[test]
fn a_queue_that_is_worked_off_gives_its_memory_back() {
    let mut items = Items::default();
    let mut kept = Kept::default();
    for round in 0..100 {
        let first = items.next(128);
        let fact = Fact::Queue(Box::new(queue(first, ObjectId(10 + round), 128, 1)));
        kept.apply(&mut items, fact);
    }
    let last = items.last();
    kept.freeze(&mut items);
    assert_eq!(kept.parts.len() as u32, seat_of(last).unwrap().0 + 1);
    (1..last.0).for_each(|item| items.ended(ItemId(item)));
    assert_eq!(all(&items).len(), 1);
    kept.freeze(&mut items);
    let filled = kept.parts.values().filter(|part| !part.is_empty());
    assert_eq!(filled.count(), 1, "chunks without items say so");
}
