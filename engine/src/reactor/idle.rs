//! A thread that everything else goes before: the lowest CPU priority and the idle class of the
//! disk scheduler. Where the kernel or the scheduler does not know them, nothing changes.

#![allow(unsafe_code)]

use std::time::Duration;

/// Lets a worker's thread sleep.
pub fn rest(duration: Duration) {
    std::thread::sleep(duration);
}

/// Lowers this thread's priorities, for good.
pub(super) fn step_back() {
    // SAFETY: both calls take numbers only and concern the calling thread.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE_LOWEST);
        libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
    }
}

const NICE_LOWEST: i32 = 19;

/// `linux/ioprio.h`: of one thread, 0 for the caller's own.
const IOPRIO_WHO_PROCESS: i32 = 1;

/// `linux/ioprio.h`: class 3 in the upper three of sixteen bits.
const IOPRIO_IDLE: i32 = 3 << 13;
