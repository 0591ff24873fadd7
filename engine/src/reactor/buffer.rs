//! Receive buffers lent by a shard to whoever has octets to read at this moment.

use super::local;
use std::cell::RefCell;

/// Capacity of a lent buffer, in bytes: one TLS record with its header fits.
pub const BUFFER_BYTES: usize = 18 << 10;

/// Capacity of a buffer for whoever has filled one of those.
const LONG_BYTES: usize = 64 << 10;

/// Buffers that a shard keeps while nobody uses them.
const BUFFERS_KEPT_MAX: usize = 64;
const LONG_KEPT_MAX: usize = 4;

/// Takes an empty buffer with [`BUFFER_BYTES`] of capacity.
pub fn lend() -> Vec<u8> {
    local::with(|local| local.buffers.lend())
}

/// As [`lend`], for a peer of whom more is there than one takes: with fewer calls, each of which
/// would tell him that there is room again.
pub(super) fn lend_long() -> Vec<u8> {
    local::with(|local| local.buffers.lend_long())
}

/// Gives a lent buffer back; its content is forgotten. Any other vector may be given too.
pub fn give_back(buffer: Vec<u8>) {
    local::try_with(|local| local.buffers.give_back(buffer));
}

pub(super) struct Buffers {
    free: RefCell<Vec<Vec<u8>>>,
    long: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    pub(super) fn new() -> Buffers {
        Buffers {
            free: RefCell::default(),
            long: RefCell::default(),
        }
    }

    fn lend(&self) -> Vec<u8> {
        let kept = self.free.borrow_mut().pop();
        kept.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
    }

    fn lend_long(&self) -> Vec<u8> {
        let kept = self.long.borrow_mut().pop();
        kept.unwrap_or_else(|| Vec::with_capacity(LONG_BYTES))
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        let (kept, most) = match buffer.capacity() {
            BUFFER_BYTES => (&self.free, BUFFERS_KEPT_MAX),
            LONG_BYTES => (&self.long, LONG_KEPT_MAX),
            _ => return,
        };
        let mut kept = kept.borrow_mut();
        if kept.len() < most {
            buffer.clear();
            kept.push(buffer);
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
        let lent: Vec<_> = (0..LONG_KEPT_MAX + 1)
            .map(|_| buffers.lend_long())
            .collect();
        lent.into_iter()
            .for_each(|buffer| buffers.give_back(buffer));
        assert_eq!(buffers.long.borrow().len(), LONG_KEPT_MAX);
        assert_eq!(buffers.lend_long().capacity(), LONG_BYTES);
    }
}
