//! An owned, aligned run of bytes that the kernel may read or fill.

use crate::limit::BLOCK_BYTES;
use std::ops::{Deref, DerefMut};

/// Bytes at an address that is a multiple of [`BLOCK_BYTES`], as direct I/O demands. They stay at
/// their address until the block is dropped.
pub struct Block {
    pages: Box<[Page]>,
    len: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Page([u8; BLOCK_BYTES]);

impl Block {
    /// A block of `bytes` zeros.
    pub fn zeroed(bytes: usize) -> Block {
        Block {
            pages: vec![Page([0; BLOCK_BYTES]); bytes.div_ceil(BLOCK_BYTES)].into_boxed_slice(),
            len: bytes,
        }
    }

    /// Forgets all bytes from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Deref for Block {
    type Target = [u8];

    #[expect(unsafe_code, reason = "pages seen as bytes")]
    fn deref(&self) -> &[u8] {
        // SAFETY: a `Page` is `BLOCK_BYTES` initialised bytes without padding, and `len` is at most
        // the bytes of all pages.
        unsafe { std::slice::from_raw_parts(self.pages.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Block {
    #[expect(unsafe_code, reason = "pages seen as bytes")]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.pages.as_mut_ptr().cast(), self.len) }
    }
}
