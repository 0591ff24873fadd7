//! CRC32C, bound to the place where the bytes lie.
//!
//! `stored = crc32c(bytes) ⊕ seat(salt, offset)`, `seat(salt, offset) = crc32c(salt ‖ offset)`.
//!
//! The salt is random for each segment, so bytes of an earlier life of the file, or bytes that
//! somebody mails to us, do not pass as ours. The offset makes a valid frame or record invalid at
//! every other offset of its segment: two seats of one salt differ in a burst of at most 64 bits,
//! of which only the lower 32 change in a segment below 4 GiB, and CRC32C tells all bursts of up
//! to 32 bits apart. Putting a seat on and taking it off is the same operation.

pub use crc32c::crc32c as plain;
pub use crc32c::crc32c_append as append;

/// What the place adds to a checksum.
pub fn seat(salt: u64, offset: u64) -> u32 {
    append(plain(&salt.to_le_bytes()), &offset.to_le_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn crc32c_is_castagnoli() {
        // RFC 3720 §B.4: 32 bytes of zeros.
        assert_eq!(plain(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn no_two_offsets_of_a_segment_share_a_seat() {
        let mut seats: Vec<u32> = (0..1 << 16).map(|n| seat(7, n * 8)).collect();
        seats.sort_unstable();
        seats.dedup();
        assert_eq!(seats.len(), 1 << 16);
    }

    #[test]
    fn another_salt_is_another_seat() {
        assert_ne!(seat(1, 4096), seat(2, 4096));
    }
}
