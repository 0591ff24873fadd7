//! One precise alarm: a timerfd of its own, for what must begin at its microsecond.
//!
//! Deadlines belong to the wheel ([`super::timer`]), which is cheap and coarse. An alarm costs a
//! descriptor and three system calls a ring; it is for the one place of a thread that keeps time,
//! such as a load that arrives at a set rate.

use super::watched::Watched;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;

/// Rings once at a moment of `CLOCK_MONOTONIC`.
pub struct Alarm {
    timer: Watched,
}

impl Alarm {
    pub fn new() -> io::Result<Alarm> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Alarm {
            timer: Watched::new(fd)?,
        })
    }

    /// Waits until `micros` of the clock that [`super::clock::monotonic_micros`] reads; a moment
    /// that has passed rings at once. May be dropped and called again with another moment.
    pub async fn at(&self, micros: u64) -> io::Result<()> {
        // Zero would stop the timer.
        let micros = micros.max(1);
        let once = Itimerspec {
            it_interval: spec(0),
            it_value: spec(micros),
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
        self.timer.readable().await?;
        // Nothing to read: it was set anew meanwhile.
        let _ = rustix::io::read(&self.timer, &mut [0u8; 8]);
        Ok(())
    }
}

fn spec(micros: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::from((micros % 1_000_000) as u32) * 1_000,
    }
}
