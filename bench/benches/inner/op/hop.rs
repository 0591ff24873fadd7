//! What a letter to another shard costs, both ends on one thread: no wake-up, no cache line moved.

use super::{Operation, Run};
use engine::reactor::inbox::{Limit, inbox};
use std::hint::black_box;

pub(crate) const HOP: Operation = Operation {
    name: "inbox_hop",
    what: "a letter put into an inbox and taken out",
    runs: 50_000,
    prepare: hop,
};

fn hop() -> Run {
    let limit = Limit {
        items_max: 1024,
        bytes_max: 1 << 20,
    };
    let (senders, mut receiver) = inbox::<[u64; 8]>(2, limit);
    let mut number = 0;
    Box::new(move || {
        number += 1;
        for sender in &senders {
            assert!(sender.try_send(black_box([number; 8]), 64).is_ok());
        }
        for _ in &senders {
            assert!(black_box(receiver.try_recv()).is_some());
        }
    })
}
