//! What the cross-thread queues are made of. `tests/loom` compiles them against loom's instead.

pub(super) use atomic_waker::AtomicWaker;
pub(super) use rtrb::{Consumer, Producer, RingBuffer};
pub(super) use std::sync::Arc;
pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
