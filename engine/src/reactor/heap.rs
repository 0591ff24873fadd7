//! Gives memory back: what a thread has freed the allocator keeps for that thread, and a worker
//! that sleeps after a large task would hold it until the next one.

#![allow(unsafe_code)]

use mimalloc as _;

/// Gives what this thread has freed back to the system. Takes some microseconds a megabyte.
pub fn give_back() {
    // SAFETY: the call takes a flag, may be made by any thread at any time, and touches nothing but
    // memory that is free.
    unsafe { mi_collect(true) }
}

// SAFETY: this is how mimalloc declares it, in a library that is always linked with this one.
unsafe extern "C" {
    /// Of mimalloc, which is linked by the dependency named above.
    fn mi_collect(force: bool);
}
