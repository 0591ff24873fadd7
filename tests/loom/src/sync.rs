//! `engine::reactor::sync` made of loom's primitives.

pub(super) use super::ring::{Consumer, Producer, RingBuffer};
pub(super) use loom::sync::Arc;
pub(super) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

/// loom's waker under the name that the `atomic-waker` crate gives its method.
#[derive(Default)]
pub(super) struct AtomicWaker(loom::future::AtomicWaker);

impl AtomicWaker {
    pub(super) fn register(&self, waker: &std::task::Waker) {
        self.0.register_by_ref(waker);
    }

    pub(super) fn wake(&self) {
        self.0.wake();
    }
}
