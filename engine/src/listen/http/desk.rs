//! What all injections of one shard share: memory, keys that are under way, the queue.

use crate::intake::Claims;
use crate::queue::Dispatcher;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;

/// One for each shard.
pub struct Desk {
    /// Keys whose home this shard is.
    pub(super) claims: Rc<Claims>,
    pub(super) room: Room,
    /// The queue, to ask it about messages; none where no mail leaves this host.
    queue: OnceCell<Rc<Dispatcher>>,
}

/// Octets of requests in memory.
#[derive(Default)]
pub(super) struct Room(Rc<Cell<u64>>);

/// The octets of one request, given back when it is over.
pub(super) struct Held {
    pub(super) octets: Vec<u8>,
    accounted: u64,
    held: Rc<Cell<u64>>,
    most: u64,
}

impl Desk {
    #[must_use]
    pub fn new(claims: Rc<Claims>) -> Desk {
        Desk {
            claims,
            room: Room::default(),
            queue: OnceCell::new(),
        }
    }

    /// The queue of this shard.
    pub fn know(&self, queue: &Rc<Dispatcher>) {
        let _ = self.queue.set(Rc::clone(queue));
    }

    pub(super) fn queue(&self) -> Option<&Rc<Dispatcher>> {
        self.queue.get()
    }
}

impl Room {
    pub(super) fn hold(&self, most: u64) -> Held {
        Held {
            octets: Vec::new(),
            accounted: 0,
            held: Rc::clone(&self.0),
            most,
        }
    }
}

impl Held {
    /// Counts what `octets` takes now; `false`: it is too much.
    pub(super) fn account(&mut self) -> bool {
        let now = (self.octets.capacity() as u64).saturating_mul(COPIES);
        let others = self.held.get().saturating_sub(self.accounted);
        self.held.set(others + now);
        self.accounted = now;
        others + now <= self.most
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let rest = self.held.get().saturating_sub(self.accounted);
        self.held.set(rest);
    }
}

/// What a request takes beside its octets: decoded, encoded again, as a message.
const COPIES: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back() {
        let room = Room::default();
        let mut one = room.hold(1_000 * COPIES);
        one.octets = Vec::with_capacity(600);
        assert!(one.account());
        let mut two = room.hold(1_000 * COPIES);
        two.octets = Vec::with_capacity(600);
        assert!(!two.account());
        drop(one);
        assert!(two.account());
        drop(two);
        assert_eq!(room.0.get(), 0);
    }
}
