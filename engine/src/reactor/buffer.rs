//! Receive buffers lent by a shard to whoever has octets to read at this moment.

use super::local;
use std::cell::RefCell;

/// Capacity of a lent buffer, in bytes: one TLS record with its header fits.
pub const BUFFER_BYTES: usize = 18 << 10;

/// Buffers that a shard keeps while nobody uses them.
const BUFFERS_KEPT_MAX: usize = 64;

/// Takes an empty buffer with [`BUFFER_BYTES`] of capacity.
pub fn lend() -> Vec<u8> {
    local::with(|local| local.buffers.lend())
}

/// Gives a lent buffer back; its content is forgotten. Any other vector may be given too.
pub fn give_back(buffer: Vec<u8>) {
    local::try_with(|local| local.buffers.give_back(buffer));
}

pub(super) struct Buffers {
    free: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    pub(super) fn new() -> Buffers {
        Buffers {
            free: RefCell::new(Vec::new()),
        }
    }

    fn lend(&self) -> Vec<u8> {
        let kept = self.free.borrow_mut().pop();
        kept.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        let mut free = self.free.borrow_mut();
        if buffer.capacity() == BUFFER_BYTES && free.len() < BUFFERS_KEPT_MAX {
            buffer.clear();
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_and_the_pool_stays_bounded() {
        let buffers = Buffers::new();
        let lent: Vec<_> = (0..BUFFERS_KEPT_MAX + 5).map(|_| buffers.lend()).collect();
        for mut buffer in lent {
            buffer.push(1);
            buffers.give_back(buffer);
        }
        buffers.give_back(Vec::with_capacity(10));
        assert_eq!(buffers.free.borrow().len(), BUFFERS_KEPT_MAX);
        let buffer = buffers.lend();
        assert!(buffer.is_empty() && buffer.capacity() == BUFFER_BYTES);
    }
}
