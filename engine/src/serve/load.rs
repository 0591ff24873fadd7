//! How busy a shard is, and what is to be done beside it.
//!
//! Busy is a shard whose thread takes more than an eighth of its core. Beside one a step of signing
//! begins at most twice a minute, so that what is signed falls behind under a lasting load, but
//! never stops; and several times the usual mail may stay in the log before any of it is moved.

use crate::reactor::{Now, clock};

/// Of the shard on whose thread it is asked.
pub(super) struct Load {
    /// By the clock of the machine and by that of the thread.
    looked: (u64, u64),
    is_busy: bool,
    /// When the last step of signing ended.
    signed_millis: u64,
}

impl Load {
    pub(super) fn now() -> Load {
        let looked = look();
        Load {
            looked,
            is_busy: false,
            signed_millis: looked.0,
        }
    }

    /// Whether a step of signing may begin.
    pub(super) fn lets_sign(&mut self) -> bool {
        self.judge(look())
    }

    /// Whether the shard is busy.
    pub(super) fn is_busy(&mut self) -> bool {
        self.judge(look());
        self.is_busy
    }

    /// A step of signing has ended.
    pub(super) fn has_signed(&mut self) {
        self.signed_millis = look().0;
    }

    fn judge(&mut self, (millis, micros): (u64, u64)) -> bool {
        let passed = millis.saturating_sub(self.looked.0);
        if passed >= LOOK_MILLIS_LEAST {
            let worked = micros.saturating_sub(self.looked.1);
            self.is_busy = worked > passed * 1000 / BUSY_PART;
            self.looked = (millis, micros);
        }
        !self.is_busy || millis.saturating_sub(self.signed_millis) >= PUT_OFF_MILLIS_MAX
    }
}

/// Milliseconds that have passed, and microseconds that this thread has worked.
fn look() -> (u64, u64) {
    (Now::read().monotonic_millis, clock::thread_micros())
}

/// A shard that takes more than this part of its core is busy.
const BUSY_PART: u64 = 8;

/// A shorter time says little of how busy a shard is.
const LOOK_MILLIS_LEAST: u64 = 200;

/// A step of signing takes up to a second of a core, so a busy shard pays a thirtieth of one.
const PUT_OFF_MILLIS_MAX: u64 = 30_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        Load {
            looked: (0, 0),
            is_busy: false,
            signed_millis: 0,
        }
    }

    #[test]
    fn beside_a_busy_shard_little_is_signed_but_something() {
        let mut load = load();
        let mut steps = 0;
        // Four tenths of the core, for three minutes.
        for millis in (0..180_000).step_by(250).skip(1) {
            if load.judge((millis, millis * 400)) {
                steps += 1;
                load.signed_millis = millis;
            }
        }
        assert_eq!(steps, 5);
    }

    #[test]
    fn a_shard_that_has_time_signs_at_once() {
        let mut load = load();
        assert!(load.judge((1000, 100_000)));
        assert!(!load.judge((2000, 900_000)));
        // Too soon to say that it is over.
        assert!(!load.judge((2100, 900_000)));
        assert!(load.judge((3000, 950_000)));
    }
}
