//! One value from any thread to one waiting task: replies to the service thread and from workers.
//!
//! Rare beside the inboxes, so it is a mutex and no protocol of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Makes both ends.
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Arc::new(Mutex::new(Slot::Empty(None)));
    (Sender { slot: slot.clone() }, Receiver { slot })
}

/// Sends the value, or tells the receiver when dropped without it.
#[derive(Debug)]
pub struct Sender<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

/// Waits for the value on any runtime. Cancel-safe.
#[derive(Debug)]
pub struct Receiver<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

/// The sender went away without a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

#[derive(Debug)]
enum Slot<T> {
    Empty(Option<Waker>),
    Full(T),
    Closed,
}

impl<T> Sender<T> {
    /// Delivers the value, or gives it back when nobody waits any more.
    pub fn send(self, value: T) -> Result<(), T> {
        let mut slot = lock(&self.slot);
        let waker = match &mut *slot {
            Slot::Empty(waker) => waker.take(),
            Slot::Full(_) | Slot::Closed => return Err(value),
        };
        *slot = Slot::Full(value);
        drop(slot);
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Whether the receiver is gone: the work need not be done.
    pub fn is_closed(&self) -> bool {
        matches!(*lock(&self.slot), Slot::Closed)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        if let Slot::Empty(waker) = &mut *slot {
            let waker = waker.take();
            *slot = Slot::Closed;
            drop(slot);
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

impl<T> Receiver<T> {
    fn poll_value(&mut self, cx: &Context<'_>) -> Poll<Result<T, Closed>> {
        let mut slot = lock(&self.slot);
        match std::mem::replace(&mut *slot, Slot::Closed) {
            Slot::Empty(_) => {
                *slot = Slot::Empty(Some(cx.waker().clone()));
                Poll::Pending
            }
            Slot::Full(value) => Poll::Ready(Ok(value)),
            Slot::Closed => Poll::Ready(Err(Closed)),
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Closed>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_value(cx)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = std::mem::replace(&mut *lock(&self.slot), Slot::Closed);
        // A value nobody took is dropped outside the lock.
        drop(left);
    }
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the other side went away without an answer")
    }
}

impl std::error::Error for Closed {}

/// No code that can panic runs under the lock, so a poisoned one is as good as any.
fn lock<T>(slot: &Mutex<Slot<T>>) -> MutexGuard<'_, Slot<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::pin::pin;

    #[test]
    fn a_value_a_lost_sender_and_a_lost_receiver() {
        let mut cx = Context::from_waker(Waker::noop());
        let (sender, receiver) = oneshot();
        let mut receiver = pin!(receiver);
        assert!(receiver.as_mut().poll(&mut cx).is_pending());
        sender.send(5).unwrap();
        assert_eq!(receiver.as_mut().poll(&mut cx), Poll::Ready(Ok(5)));

        let (sender, receiver) = oneshot::<u8>();
        drop(sender);
        assert_eq!(pin!(receiver).poll(&mut cx), Poll::Ready(Err(Closed)));

        let (sender, receiver) = oneshot();
        drop(receiver);
        assert!(sender.is_closed());
        assert_eq!(sender.send(6), Err(6));
    }
}
