//! Tasks: panics, fairness, offloaded work, sleep.

use super::super::offload::{OffloadError, Pool};
use super::super::runtime::run_shard;
use super::super::{Clock, Seat, sleep as timer, spawn, yield_now};
use super::{backends, on_each_backend};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

#[test]
fn a_panicking_task_is_told_about_and_its_shard_lives() {
    for backend in backends() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = told.clone();
        let seat = Seat {
            backend,
            core: None,
            on_panic: Arc::new(move |text| sink.lock().unwrap().push(text.to_owned())),
            clock: Clock::Kernel,
        };
        std::thread::spawn(move || {
            run_shard(seat, || async {
                let dropped = Rc::new(Cell::new(0));
                for round in 0..50 {
                    let witness = Witness(dropped.clone());
                    spawn(async move {
                        yield_now().await;
                        let _witness = witness;
                        assert!(round > 100, "round {round}");
                    });
                }
                while dropped.get() < 50 {
                    yield_now().await;
                }
            })
            .unwrap();
        })
        .join()
        .unwrap();
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 50);
        assert_eq!(told[7], "round 7");
    }
}

struct Witness(Rc<Cell<u32>>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn tasks_that_yield_in_a_loop_starve_neither_timers_nor_each_other() {
    on_each_backend(|_| async {
        let turns = Rc::new([const { Cell::new(0u64) }; 3]);
        for index in 0..3 {
            let turns = turns.clone();
            spawn(async move {
                loop {
                    turns[index].set(turns[index].get() + 1);
                    yield_now().await;
                }
            });
        }
        timer(Duration::from_millis(300)).await;
        let counts: Vec<_> = turns.iter().map(Cell::get).collect();
        assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "{counts:?}");
    });
}

#[test]
fn sleep_is_never_early() {
    on_each_backend(|_| async {
        let begun = Instant::now();
        let long = Duration::from_millis(250);
        timer(long).await;
        assert!(begun.elapsed() >= long);
    });
}

#[test]
fn offloaded_work_comes_back_and_a_full_queue_says_busy() {
    on_each_backend(|_| async {
        let pool = Pool::start("test", 2, 1).unwrap();
        assert_eq!(pool.offload(|| 6 * 7).await, Ok(42));
        let panicked = pool.offload(|| assert_eq!(1, 2)).await;
        assert_eq!(panicked, Err(OffloadError::Panicked));

        let (release, gate) = crossbeam_channel::bounded::<()>(0);
        let (busy_sender, busy) = crossbeam_channel::unbounded();
        let ended = Rc::new(Cell::new(0));
        for running in 1..=2 {
            let (pool, gate, busy_sender) = (pool.clone(), gate.clone(), busy_sender.clone());
            let ended = ended.clone();
            spawn(async move {
                let work = move || {
                    busy_sender.send(()).unwrap();
                    gate.recv().unwrap_err();
                };
                pool.offload(work).await.unwrap();
                ended.set(ended.get() + 1);
            });
            while busy.len() < running {
                yield_now().await;
            }
        }
        let mut queued = Box::pin(pool.offload(|| 1));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(queued.as_mut().poll(&mut cx).is_pending());
        assert_eq!(pool.offload(|| 2).await, Err(OffloadError::Busy));
        drop(release);
        assert_eq!(queued.await, Ok(1));
        while ended.get() < 2 {
            yield_now().await;
        }
    });
}
