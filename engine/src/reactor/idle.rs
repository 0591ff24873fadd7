//! A thread that everything else goes before: the lowest CPU priority, the longest time slice and
//! the idle class of the disk scheduler. Where the kernel does not know them, nothing changes.
//!
//! The slice matters most. A commit that is done with its write waits for a worker of the kernel to
//! flush the disk, on whatever core the disk interrupted. The scheduler lets whoever runs there go
//! on to the end of its slice, up to the next tick, 4 ms: a low priority does not help, because it
//! counts only between threads of one session or control group, and the kernel's are in another.
//! But since Linux 6.12 a thread with a shorter slice takes the core at once.

#![allow(unsafe_code)]

use std::time::Duration;

/// Lets a worker's thread sleep.
pub fn rest(duration: Duration) {
    std::thread::sleep(duration);
}

/// Lowers this thread's priorities, for good.
pub(super) fn step_back() {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: NICE_LOWEST,
        sched_priority: 0,
        sched_runtime: SLICE_LONGEST.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the calls concern the calling thread and take numbers, and one a structure that they
    // only read, whose size it says itself.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE_LOWEST);
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
        libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
    }
}

const NICE_LOWEST: i32 = 19;

/// The kernel takes 0.1 to 100 ms.
const SLICE_LONGEST: Duration = Duration::from_millis(100);

/// `linux/ioprio.h`: of one thread, 0 for the caller's own.
const IOPRIO_WHO_PROCESS: i32 = 1;

/// `linux/ioprio.h`: class 3 in the upper three of sixteen bits.
const IOPRIO_IDLE: i32 = 3 << 13;
