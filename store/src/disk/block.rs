//! An owned, aligned run of bytes that the kernel may read or fill.

pub struct Block {}
