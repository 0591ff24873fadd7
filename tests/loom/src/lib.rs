//! Every interleaving of an inbox, up to a bound of preemptions, by loom: no wake-up is lost, no
//! item is lost or reordered, no credit leaks.
//!
//! The inbox is compiled from its own source, against loom's primitives instead of those in
//! `engine::reactor::sync`; nothing else of the engine is built.
#![cfg(test)]
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

#[path = "../../../engine/src/reactor/inbox.rs"]
mod inbox;
mod ring;
mod sync;

use inbox::{Limit, SendError, inbox};
use loom::future::block_on;
use loom::thread;

/// Preemptions a thread suffers in one run; two find every bug that was planted here.
const PREEMPTIONS_MAX: usize = 2;

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(model);
}

fn limit(items_max: usize, bytes_max: usize) -> Limit {
    Limit {
        items_max,
        bytes_max,
    }
}

#[test]
fn a_parked_receiver_wakes_for_an_item_and_for_the_end() {
    explore(|| {
        let (mut senders, mut receiver) = inbox(1, limit(2, 10));
        let sender = senders.pop().unwrap();
        let sending = thread::spawn(move || {
            sender.try_send(1, 1).unwrap();
            sender.try_send(2, 1).unwrap();
        });
        block_on(async {
            assert_eq!(receiver.recv().await, Some(1));
            assert_eq!(receiver.recv().await, Some(2));
            assert_eq!(receiver.recv().await, None);
        });
        sending.join().unwrap();
    });
}

#[test]
fn a_sender_without_room_wakes_when_there_is_some() {
    explore(|| {
        let (mut senders, mut receiver) = inbox(1, limit(1, 10));
        let sender = senders.pop().unwrap();
        let sending = thread::spawn(move || {
            block_on(async {
                for item in 0..3 {
                    sender.send(item, 1).await.unwrap();
                }
            });
        });
        block_on(async {
            for item in 0..3 {
                assert_eq!(receiver.recv().await, Some(item));
            }
        });
        sending.join().unwrap();
    });
}

#[test]
fn a_sender_without_byte_credit_wakes_when_there_is_some() {
    explore(|| {
        let (mut senders, mut receiver) = inbox(1, limit(4, 10));
        let sender = senders.pop().unwrap();
        let sending = thread::spawn(move || {
            block_on(async {
                sender.send(0, 4).await.unwrap();
                sender.send(1, 9).await.unwrap();
                sender.send(2, 99).await.unwrap();
            });
        });
        block_on(async {
            for item in 0..3 {
                assert_eq!(receiver.recv().await, Some(item));
            }
            assert_eq!(receiver.recv().await, None);
        });
        sending.join().unwrap();
    });
}

#[test]
fn two_threads_send_to_one_receiver() {
    explore(|| {
        let (senders, mut receiver) = inbox(2, limit(1, 10));
        let threads: Vec<_> = senders
            .into_iter()
            .enumerate()
            .map(|(me, sender)| thread::spawn(move || sender.try_send(me, 1).unwrap()))
            .collect();
        let mut got = block_on(async {
            let mut got = Vec::new();
            while let Some(item) = receiver.recv().await {
                got.push(item);
            }
            got
        });
        got.sort_unstable();
        assert_eq!(got, [0, 1]);
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_waiting_sender_learns_that_the_receiver_went_away() {
    explore(|| {
        let (mut senders, receiver) = inbox(1, limit(1, 10));
        let sender = senders.pop().unwrap();
        let leaving = thread::spawn(move || drop(receiver));
        block_on(async {
            let mut item = 0;
            while sender.send(item, 1).await.is_ok() {
                item += 1;
            }
            assert!(item <= 1);
        });
        assert_eq!(sender.try_send(9, 0), Err(SendError::Closed(9)));
        leaving.join().unwrap();
    });
}
