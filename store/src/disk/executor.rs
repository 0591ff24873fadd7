//! Tasks and a simulated disk on one thread, in an order that a seed decides.
//!
//! A turn polls one woken task; when none is awake, the disk finishes one of its operations. With
//! neither left, everything waits for ever, and `run` returns: no test sleeps.

use super::fault::Seed;
use super::sim::SimDisk;
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

pub struct Executor {
    disk: SimDisk,
    seed: Seed,
    tasks: Vec<Task>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    awake: Arc<Awake>,
}

struct Awake(AtomicBool);

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl Executor {
    pub fn new(disk: SimDisk, seed: u64) -> Executor {
        Executor {
            disk,
            seed: Seed::new(seed),
            tasks: Vec::new(),
        }
    }

    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        self.tasks.push(Task {
            future: Box::pin(future),
            awake: Arc::new(Awake(AtomicBool::new(true))),
        });
    }

    /// One turn; `false` when there is nothing left to do.
    pub fn turn(&mut self) -> bool {
        let awake: Vec<usize> = self.awake().collect();
        // Now and then the disk is faster than the tasks.
        let disk_first = self.seed.chance(300) && self.disk.step();
        if disk_first {
            return true;
        }
        match self.seed.pick(&awake) {
            Some(index) => self.poll(index),
            None => return self.disk.step(),
        }
        true
    }

    /// Turns until nothing is left to do, or `turns_max` are done.
    pub fn run(&mut self, turns_max: usize) {
        for _ in 0..turns_max {
            if !self.turn() {
                return;
            }
        }
    }

    /// Tasks that have not ended.
    pub fn left(&self) -> usize {
        self.tasks.len()
    }

    /// Runs one future to its end beside the spawned tasks; `None` when it waits for ever.
    pub fn finish<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> Option<T> {
        let output = Rc::new(RefCell::new(None));
        let filled = output.clone();
        self.spawn(async move {
            let value = future.await;
            filled.replace(Some(value));
        });
        while output.borrow().is_none() && self.turn() {}
        output.take()
    }

    fn awake(&self) -> impl Iterator<Item = usize> + '_ {
        let tasks = self.tasks.iter().enumerate();
        tasks
            .filter(|(_, task)| task.awake.0.load(Relaxed))
            .map(|(index, _)| index)
    }

    fn poll(&mut self, index: usize) {
        let Some(task) = self.tasks.get_mut(index) else {
            return;
        };
        task.awake.0.store(false, Relaxed);
        let waker = Waker::from(task.awake.clone());
        if let Poll::Ready(()) = task.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            drop(self.tasks.swap_remove(index));
        }
    }
}
