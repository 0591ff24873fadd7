//! A ring with the interface and the memory orders of `rtrb`, no stronger: release on the own
//! index, acquire on the other's.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(super) struct RingBuffer;

impl RingBuffer {
    #[allow(clippy::new_ret_no_self)]
    pub(super) fn new<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
        let ring = Arc::new(Ring {
            slots: (0..capacity).map(|_| UnsafeCell::new(None)).collect(),
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
        });
        (Producer(ring.clone()), Consumer(ring))
    }
}

pub(super) struct Producer<T>(Arc<Ring<T>>);
pub(super) struct Consumer<T>(Arc<Ring<T>>);

struct Ring<T> {
    slots: Vec<UnsafeCell<Option<T>>>,
    /// Items taken and put since the beginning.
    head: AtomicUsize,
    tail: AtomicUsize,
    abandoned: AtomicBool,
}

// SAFETY: a slot is touched by the producer between `head + capacity` and `tail`, by the consumer
// between `head` and `tail`; loom's cells check it.
#[expect(unsafe_code, reason = "the ring under test")]
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "the ring under test")]
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    fn swap(&self, position: usize, item: Option<T>) -> Option<T> {
        let slot = self.slots.get(position % self.slots.len()).unwrap();
        #[expect(unsafe_code, reason = "the ring under test")]
        // SAFETY: the caller owns the slot at this moment, see above.
        slot.with_mut(|slot| unsafe { std::mem::replace(&mut *slot, item) })
    }
}

impl<T> Producer<T> {
    pub(super) fn is_full(&self) -> bool {
        let tail = self.0.tail.load(Ordering::Relaxed);
        tail - self.0.head.load(Ordering::Acquire) == self.0.slots.len()
    }

    pub(super) fn push(&mut self, item: T) -> Result<(), T> {
        if self.is_full() {
            return Err(item);
        }
        let tail = self.0.tail.load(Ordering::Relaxed);
        self.0.swap(tail, Some(item));
        self.0.tail.store(tail + 1, Ordering::Release);
        Ok(())
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.0.abandoned.load(Ordering::Acquire)
    }
}

impl<T> Consumer<T> {
    pub(super) fn slots(&self) -> usize {
        let head = self.0.head.load(Ordering::Relaxed);
        self.0.tail.load(Ordering::Acquire) - head
    }

    pub(super) fn pop(&mut self) -> Result<T, ()> {
        if self.slots() == 0 {
            return Err(());
        }
        let head = self.0.head.load(Ordering::Relaxed);
        let item = self.0.swap(head, None).unwrap();
        self.0.head.store(head + 1, Ordering::Release);
        Ok(item)
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.0.abandoned.load(Ordering::Acquire)
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Release);
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Release);
    }
}
