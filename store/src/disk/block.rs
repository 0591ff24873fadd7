//! An owned, aligned run of bytes that the kernel may read or fill.
//!
//! Aligned to `BLOCK_BYTES`, zero when made, allocated in whole blocks; the address stays the same
//! for the life of the block, so that a reactor may hand it to the kernel.

#![allow(unsafe_code)]

use crate::limit::BLOCK_BYTES;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;

pub struct Block {
    start: NonNull<u8>,
    len: usize,
    layout: Layout,
}

impl Block {
    /// A block of `len` zero bytes.
    pub fn zeroed(len: usize) -> Block {
        let layout = layout_of(len);
        // SAFETY: `layout` has a size of at least one block, never zero.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout)
        };
        Block { start, len, layout }
    }

    /// A block with these bytes, and zeros up to the end of the last one.
    pub fn copy_of(bytes: &[u8]) -> Block {
        let (len, layout) = (bytes.len(), layout_of(bytes.len()));
        // SAFETY: `layout` has a size of at least one block, never zero.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout)
        };
        // SAFETY: `start` is valid for `layout.size() >= len` bytes that nobody else knows of, and
        // both writes together fill all of them.
        unsafe {
            start.copy_from_nonoverlapping(NonNull::from(bytes).cast(), len);
            start.add(len).write_bytes(0, layout.size() - len);
        }
        Block { start, len, layout }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets the bytes behind `len`, e.g. what a read did not fill.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `start` is valid for `layout.size() >= len` initialised bytes, owned by `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `&mut self` makes the borrow the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// For a reactor: the kernel may read `len` bytes from here while the block lives.
    pub fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// For a reactor: the kernel may fill `len` bytes from here while it owns the block.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `start` came from `alloc_zeroed` with this very layout, and is dropped once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// Whole blocks, at least one.
fn layout_of(len: usize) -> Layout {
    let size = len.max(1).next_multiple_of(BLOCK_BYTES);
    Layout::from_size_align(size, BLOCK_BYTES)
        .expect("no caller asks for more than half of the address space")
}

// SAFETY: a block owns its bytes alone, and nothing of it belongs to a thread.
unsafe impl Send for Block {}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_aligned_zero_and_of_its_length() {
        for len in [0, 1, 4095, 4096, 4097, 1 << 20] {
            let block = Block::zeroed(len);
            assert_eq!(block.as_ptr() as usize % BLOCK_BYTES, 0);
            assert_eq!(block.len(), len);
            assert!(block.as_slice().iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_copy_holds_the_bytes_and_truncate_only_shortens() {
        let mut block = Block::copy_of(b"ringpost");
        block.truncate(4);
        block.truncate(6);
        assert_eq!(block.as_slice(), b"ring");
    }
}
