//! Timers of a shard: one wheel, one timerfd that ticks while the wheel is not empty.

use super::clock::Clock;
use super::local;
use super::watched::Watched;
use super::wheel::{Key, TICK_MILLIS, Wheel};
use rustix::net::Shutdown;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// Waits at least `duration` and at most two ticks longer. For deadlines of a socket use
/// [`super::Socket::set_deadline`].
pub async fn sleep(duration: Duration) {
    let timer = Timer::new(duration, Action::Wake(None));
    std::future::poll_fn(|cx| {
        if timer.has_fired() {
            return Poll::Ready(());
        }
        timer.wake_by(cx.waker());
        Poll::Pending
    })
    .await;
}

/// What happens when a timer is due.
pub(super) enum Action {
    Wake(Option<Waker>),
    /// Ends every operation on the socket. The timer is dropped before the descriptor is closed.
    ShutDown(RawFd, Shutdown),
}

/// An entry of the wheel, removed when dropped.
pub(super) struct Timer {
    key: Key,
    /// The wheel is the thread's.
    _not_send: std::marker::PhantomData<Rc<()>>,
}

impl Timer {
    pub(super) fn new(after: Duration, action: Action) -> Timer {
        let key = local::with(|local| local.timers.arm(after, action));
        Timer {
            key,
            _not_send: std::marker::PhantomData,
        }
    }

    /// To `after` from `since_millis` on the shard's clock.
    pub(super) fn rearm(&self, since_millis: u64, after: Duration) {
        local::with(|local| {
            local
                .timers
                .rearm(self.key, due_millis(since_millis, after))
        });
    }

    pub(super) fn has_fired(&self) -> bool {
        local::with(|local| local.timers.wheel.borrow().has_fired(self.key))
    }

    fn wake_by(&self, waker: &Waker) {
        local::with(|local| {
            let mut wheel = local.timers.wheel.borrow_mut();
            *wheel.action(self.key) = Action::Wake(Some(waker.clone()));
        });
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // While the thread ends the wheel may be gone before its timers.
        let action = local::try_with(|local| local.timers.wheel.borrow_mut().cancel(self.key));
        drop(action);
    }
}

pub(super) struct Timers {
    wheel: RefCell<Wheel<Action>>,
    clock: Clock,
    /// The timerfd.
    ticks: Rc<Watched>,
    ticking: Cell<bool>,
}

impl Timers {
    pub(super) fn new(clock: Clock) -> io::Result<Timers> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Timers {
            wheel: RefCell::new(Wheel::new(clock.millis())),
            clock,
            ticks: Rc::new(Watched::new(fd)?),
            ticking: Cell::new(false),
        })
    }

    pub(super) fn millis(&self) -> u64 {
        self.clock.millis()
    }

    fn arm(&self, after: Duration, action: Action) -> Key {
        let due = due_millis(self.millis(), after);
        let key = self.wheel.borrow_mut().arm(due, action);
        self.tick(true);
        key
    }

    fn rearm(&self, key: Key, due: u64) {
        self.wheel.borrow_mut().rearm(key, due);
        self.tick(true);
    }

    /// Starts or stops the ticks.
    fn tick(&self, on: bool) {
        if self.ticking.replace(on) == on {
            return;
        }
        let period = Timespec {
            tv_sec: 0,
            tv_nsec: if on { TICK_NANOS } else { 0 },
        };
        let every = Itimerspec {
            it_interval: period,
            it_value: period,
        };
        // Cannot fail: the descriptor is a timerfd and the period is in range.
        let _ = timerfd_settime(&*self.ticks, TimerfdTimerFlags::empty(), &every);
    }

    /// Shuts down what is late and returns the tasks to wake.
    fn advance(&self) -> Vec<Waker> {
        let _ = rustix::io::read(&*self.ticks, &mut [0u8; 8]);
        let mut wakers = Vec::new();
        let mut wheel = self.wheel.borrow_mut();
        wheel.advance(self.millis(), |action| match action {
            Action::Wake(waker) => wakers.extend(waker.take()),
            Action::ShutDown(fd, how) => shut_down(*fd, *how),
        });
        if wheel.armed() == 0 {
            self.tick(false);
        }
        wakers
    }
}

fn due_millis(since_millis: u64, after: Duration) -> u64 {
    let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    since_millis.saturating_add(after.min(AFTER_MILLIS_MAX))
}

/// Turns the wheel, as long as the shard lives.
pub(super) async fn run_timers() {
    let ticks = local::with(|local| local.timers.ticks.clone());
    loop {
        let ticked = ticks.readable().await;
        ticked.expect("a timerfd can be polled, and without one no deadline would hold");
        let wakers = local::with(|local| local.timers.advance());
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[expect(
    unsafe_code,
    reason = "the wheel keeps descriptors that it does not own"
)]
fn shut_down(fd: RawFd, how: Shutdown) {
    // SAFETY: a `Socket` drops its timers before its descriptor, so `fd` is open and is that
    // socket.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    // An error means that the peer was faster.
    let _ = rustix::net::shutdown(fd, how);
}

/// A deadline further away is as good as none: 100 years.
const AFTER_MILLIS_MAX: u64 = 100 * 365 * 86_400_000;
const TICK_NANOS: i64 = TICK_MILLIS as i64 * 1_000_000;
