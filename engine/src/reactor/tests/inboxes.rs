//! Inboxes between real shards: order, bounds, sleep and wake.

use super::super::inbox::{Limit, SendError, inbox};
use super::super::mesh::Mesh;
use super::super::net::{BACKLOG, Listener, connect};
use super::super::{spawn, yield_now};
use super::{backends, shard};
use std::rc::Rc;
use std::task::{Context, Waker};

#[test]
fn a_lane_is_bounded_in_items_and_bytes_and_gives_items_back() {
    let limit = Limit {
        items_max: 3,
        bytes_max: 100,
    };
    let (senders, mut receiver) = inbox(1, limit);
    let sender = &senders[0];
    assert_eq!(sender.try_send(1, 60), Ok(()));
    assert_eq!(sender.try_send(2, 41), Err(SendError::Full(2)));
    assert_eq!(sender.try_send(3, 40), Ok(()));
    assert_eq!(receiver.try_recv(), Some(1));
    assert_eq!(sender.try_send(4, 0), Ok(()));
    assert_eq!(sender.try_send(5, 0), Ok(()));
    assert_eq!(sender.try_send(6, 0), Err(SendError::Full(6)));
    while receiver.try_recv().is_some() {}
    assert_eq!(sender.try_send(7, 1_000_000), Ok(()), "alone it passes");
    assert_eq!(sender.try_send(8, 1), Err(SendError::Full(8)));
    drop(receiver);
    assert_eq!(sender.try_send(9, 0), Err(SendError::Closed(9)));
}

#[test]
fn waiting_sends_keep_their_order_and_a_dropped_one_leaves_the_queue() {
    let limit = Limit {
        items_max: 1,
        bytes_max: 10,
    };
    let (senders, mut receiver) = inbox(1, limit);
    let sender = &senders[0];
    let mut cx = Context::from_waker(Waker::noop());
    sender.try_send(0, 0).unwrap();
    let mut first = Box::pin(sender.send(1, 0));
    let mut second = Box::pin(sender.send(2, 0));
    let mut third = Box::pin(sender.send(3, 0));
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(receiver.try_recv(), Some(0));
    assert_eq!(
        sender.try_send(9, 0),
        Err(SendError::Full(9)),
        "no overtaking"
    );
    drop(first);
    assert!(third.as_mut().poll(&mut cx).is_pending(), "2 is first now");
    assert!(second.as_mut().poll(&mut cx).is_ready());
    drop(second);
    assert!(
        third.as_mut().poll(&mut cx).is_pending(),
        "the lane is full"
    );
    assert_eq!(receiver.try_recv(), Some(2));
    assert!(third.as_mut().poll(&mut cx).is_ready());
    assert_eq!(receiver.try_recv(), Some(3));
}

#[test]
fn every_item_of_a_mesh_arrives_once_and_in_order() {
    const ITEMS: u64 = 20_000;
    let limit = Limit {
        items_max: 64,
        bytes_max: 4096,
    };
    for backend in backends() {
        let ends = Mesh::new(3, limit).into_endpoints();
        let threads: Vec<_> = ends
            .into_iter()
            .map(|end| {
                shard(backend, move || async move {
                    let me = end.me;
                    let (senders, mut inbox) = end.split();
                    let sending = Rc::new(());
                    for lane in senders.into_iter().flatten() {
                        let sending = sending.clone();
                        spawn(async move {
                            for item in 0..ITEMS {
                                let bytes = (item % 300) as usize;
                                lane.send((me, item), bytes).await.unwrap();
                            }
                            drop(sending);
                        });
                    }
                    let mut expected = [0u64; 3];
                    let mut batch = Vec::new();
                    while inbox.recv_batch(&mut batch, 32).await {
                        for (from, item) in batch.drain(..) {
                            assert_eq!(item, expected[from]);
                            expected[from] += 1;
                        }
                        if expected.iter().sum::<u64>() % 3 == 0 {
                            yield_now().await;
                        }
                    }
                    while Rc::strong_count(&sending) > 1 {
                        yield_now().await;
                    }
                    expected
                })
            })
            .collect();
        for (me, thread) in threads.into_iter().enumerate() {
            let mut want = [ITEMS; 3];
            want[me] = 0;
            assert_eq!(thread.join().unwrap(), want);
        }
    }
}

#[test]
fn sleeping_threads_wake_each_other() {
    for backend in backends() {
        let limit = Limit {
            items_max: 1,
            bytes_max: 1,
        };
        let mut ends = Mesh::new(2, limit).into_endpoints();
        let mut pong = ends.pop().unwrap();
        let mut ping = ends.pop().unwrap();
        let answering = shard(backend, || async move {
            while let Some(item) = pong.inbox.recv().await {
                pong.to(0).unwrap().send(item + 1u64, 1).await.unwrap();
            }
        });
        let asking = shard(backend, || async move {
            let mut value = 0;
            for _ in 0..5_000 {
                ping.to(1).unwrap().send(value, 1).await.unwrap();
                value = ping.inbox.recv().await.unwrap();
            }
            value
        });
        assert_eq!(asking.join().unwrap(), 5_000);
        answering.join().unwrap();
    }
}

#[test]
fn many_tasks_share_one_lane() {
    let limit = Limit {
        items_max: 2,
        bytes_max: 2,
    };
    let (mut senders, mut receiver) = inbox(1, limit);
    let sender = senders.pop().unwrap();
    let backend = backends()[0];
    let sending = shard(backend, || async move {
        let sender = Rc::new(sender);
        for task in 0..200u64 {
            let sender = sender.clone();
            spawn(async move {
                for item in 0..20 {
                    sender.send(task * 1000 + item, 1).await.unwrap();
                }
            });
        }
        while Rc::strong_count(&sender) > 1 {
            yield_now().await;
        }
    });
    let receiving = shard(backend, || async move {
        let mut sum = 0u64;
        let mut count = 0u32;
        while count < 4000 {
            sum += receiver.recv().await.unwrap();
            count += 1;
        }
        sum
    });
    let want = (0..200u64).map(|task| (0..20).map(|item| task * 1000 + item).sum::<u64>());
    assert_eq!(receiving.join().unwrap(), want.sum::<u64>());
    sending.join().unwrap();
}

#[test]
fn a_flooded_inbox_starves_no_socket() {
    for backend in backends() {
        let limit = Limit {
            items_max: 256,
            bytes_max: 1 << 20,
        };
        let mut ends = Mesh::new(2, limit).into_endpoints();
        let flooded = ends.pop().unwrap();
        let flooding = ends.pop().unwrap();
        let flood = shard(backend, || async move {
            let lane = flooding.to(1).unwrap();
            let mut sent = 0u64;
            while lane.send(sent, 1).await.is_ok() {
                sent += 1;
            }
            sent
        });
        let served = shard(backend, || async move {
            let mut inbox = flooded.inbox;
            spawn(async move {
                let mut batch = Vec::new();
                while inbox.recv_batch(&mut batch, 64).await {
                    batch.clear();
                    yield_now().await;
                }
            });
            let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), BACKLOG).unwrap();
            let time = std::time::Duration::from_secs(20);
            let client = connect(None, listener.local_addr(), time).await.unwrap();
            let server = listener.accept(|_| {}).await.unwrap();
            for round in 0..500u32 {
                client.send(round.to_le_bytes().to_vec()).await.0.unwrap();
                assert_eq!(server.recv_lent().await.unwrap(), round.to_le_bytes());
            }
        });
        served.join().unwrap();
        // The shard is gone and its inbox with it, or full for ever.
        drop(flood);
    }
}
