//! Blocks that frames have left, for frames to come: a few of each size.
//!
//! Whatever sizes came before, the next frame finds a block that was used before: fresh memory is
//! zeroed, and a frame of some megabytes would pay as much for that as for its octets.

use crate::disk::Block;
use crate::limit::{BLOCK_BYTES, FRAME_BYTES_MAX};

/// Spare blocks by size: each is four times the one before, so that few are made.
#[derive(Default)]
pub(super) struct Spare {
    by_size: [Vec<Block>; SIZES],
}

impl Spare {
    /// A block of at least `bytes`, which are no more than a frame has. What is in it is left from
    /// another frame.
    pub(super) fn take(&mut self, bytes: usize) -> Block {
        let class = class_of(bytes);
        let kept = self.by_size.get_mut(class).and_then(Vec::pop);
        kept.unwrap_or_else(|| Block::zeroed(bytes_of(class)))
    }

    /// Keeps a block that [`take`](Self::take) gave, unless there are enough of its size.
    pub(super) fn keep(&mut self, block: Block) {
        let class = class_of(block.len());
        if let Some(blocks) = self.by_size.get_mut(class)
            && blocks.len() < KEPT_OF_EACH_MAX
            && block.len() == bytes_of(class)
        {
            blocks.push(block);
        }
    }
}

fn class_of(bytes: usize) -> usize {
    let classes = 0..SIZES - 1;
    let fits = |class: &usize| bytes <= bytes_of(*class);
    classes.into_iter().find(fits).unwrap_or(SIZES - 1)
}

const fn bytes_of(class: usize) -> usize {
    SMALLEST_BYTES << (2 * class)
}

const SMALLEST_BYTES: usize = 4 * BLOCK_BYTES;

const SIZES: usize = 5;

/// One is gathered, one written, and what the hot tail gives back comes as often as one is taken.
const KEPT_OF_EACH_MAX: usize = 4;

const _: () = assert!(bytes_of(SIZES - 1) == FRAME_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_fits_and_comes_back() {
        let mut spare = Spare::default();
        for bytes in [1, SMALLEST_BYTES, SMALLEST_BYTES + 1, FRAME_BYTES_MAX] {
            let block = spare.take(bytes);
            assert!(block.len() >= bytes && block.len() < 4 * bytes.max(SMALLEST_BYTES));
            let address = block.as_ptr();
            spare.keep(block);
            assert_eq!(spare.take(bytes).as_ptr(), address);
        }
    }

    #[test]
    fn many_small_blocks_leave_room_for_a_large_one() {
        let mut spare = Spare::default();
        let small: Vec<Block> = (0..100).map(|_| spare.take(1)).collect();
        let large = spare.take(FRAME_BYTES_MAX);
        let address = large.as_ptr();
        small.into_iter().for_each(|block| spare.keep(block));
        spare.keep(large);
        assert_eq!(spare.take(FRAME_BYTES_MAX - 1).as_ptr(), address);
        assert_eq!(spare.by_size.iter().map(Vec::len).sum::<usize>(), 4);
    }
}
