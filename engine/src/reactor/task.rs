//! Tasks of a shard: guarded against panics, and a yield that is fair.

use super::local;
use super::watched::Watched;
use rustix::event::{EventfdFlags, eventfd};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Runs a future on this shard beside the others. If it panics, the panic sink is told and the
/// future is dropped; the shard lives. Its result travels by channels, never by a join.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    drop(monoio::spawn(Guarded(future)));
}

/// Lets the other tasks and the ring have a turn.
///
/// Monoio 0.2.4 starves everything when a task wakes itself, so the wake-up comes from a poll in
/// the ring: one turn of the loop, a few microseconds.
pub async fn yield_now() {
    let mut waited = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        local::with(|local| local.yielded.push(cx.waker().clone()));
        Poll::Pending
    })
    .await;
}

/// A future that ends where it would panic.
struct Guarded<F>(F);

impl<F: Future<Output = ()>> Future for Guarded<F> {
    type Output = ();

    #[expect(unsafe_code, reason = "pin projection to the only field")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the field is pinned whenever `self` is: it is never moved out and there is no
        // `Drop` of our own.
        let inner = unsafe { self.map_unchecked_mut(|guarded| &mut guarded.0) };
        match catch_unwind(AssertUnwindSafe(|| inner.poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => {
                local::with(|local| (local.on_panic)(message(&*panic)));
                Poll::Ready(())
            }
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// Tasks that gave up their turn, and the event that gives it back.
pub(super) struct Yielded {
    waiting: RefCell<Vec<Waker>>,
    event: std::rc::Rc<Watched>,
    rung: Cell<bool>,
}

impl Yielded {
    pub(super) fn new() -> io::Result<Yielded> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Yielded {
            waiting: RefCell::new(Vec::new()),
            event: std::rc::Rc::new(Watched::new(fd)?),
            rung: Cell::new(false),
        })
    }

    fn push(&self, waker: Waker) {
        self.waiting.borrow_mut().push(waker);
        if !self.rung.replace(true) {
            // Cannot fail: the counter is far from its end and the descriptor is ours.
            let _ = rustix::io::write(&*self.event, &1u64.to_ne_bytes());
        }
    }

    fn release(&self) -> Vec<Waker> {
        let _ = rustix::io::read(&*self.event, &mut [0u8; 8]);
        self.rung.set(false);
        self.waiting.take()
    }
}

/// Gives yielded tasks their turn, as long as the shard lives.
pub(super) async fn run_yielded() {
    let event = local::with(|local| local.yielded.event.clone());
    loop {
        let rung = event.readable().await;
        rung.expect("an eventfd can be polled, and without it no task would wake again");
        let woken = local::with(|local| local.yielded.release());
        woken.into_iter().for_each(Waker::wake);
    }
}
