//! What can go wrong with a simulated disk, and the dice that decide when.

use std::io;
use std::ops::Range;

/// Reproducible dice (SplitMix64): the same seed throws the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Seed(u64);

impl Seed {
    pub fn new(seed: u64) -> Seed {
        Seed(seed)
    }

    #[expect(clippy::should_implement_trait, reason = "a seed has no end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    pub fn chance(&mut self, per_thousand: u64) -> bool {
        self.below(1000) < per_thousand
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len() as u64) as usize).copied()
    }
}

/// Faults of a simulated disk; rates are per thousand operations.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The write fails with EIO, and any part of it may have reached the disk.
    pub write_error: u64,
    /// Zeroing ahead fails with EIO.
    pub zero_error: u64,
    /// The rename reports ENOSPC, as when its directory cannot be synced; it may have happened.
    pub rename_error: u64,
    /// A file cannot be made (ENOSPC) or removed (EIO); that may have happened.
    pub name_error: u64,
    /// The read fails with EIO.
    pub read_error: u64,
    /// A page of a file that is being mapped cannot be read: it is zeros.
    pub lost_page: u64,
    /// The write reports success and does nothing: a lying device.
    pub lost_write: u64,
    /// The write reports success and lands on another block of the file.
    pub misdirected_write: u64,
    /// An operation that is due is passed over, so that others overtake it.
    pub slow: u64,
    /// Bytes that all files together may have; beyond it ENOSPC.
    pub space: Option<u64>,
    /// The read gives less than there is, at least one byte; whoever wants more asks again.
    pub short_read: u64,
    /// A block that is being read dies: it cannot be read until it is written again.
    pub dying_block: u64,
    /// The control: `Ok` of a write does not mean durable, in files whose path contains this.
    pub no_sync: Option<&'static str>,
    /// The control: new names are durable some time later, in order.
    pub no_name_sync: bool,
    /// Writes, counted from 1 at the start of the disk, that fail: number and error.
    pub failing_writes: Vec<(u64, WriteFault)>,
}

impl Faults {
    /// Whether a write to this file is durable when it returns.
    #[must_use]
    pub fn is_synced(&self, path: &str) -> bool {
        self.no_sync.is_none_or(|part| !path.contains(part))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteFault {
    /// EIO; any part of the data may have reached the disk.
    Io,
    /// ENOSPC; any part of the data may have reached the disk.
    Full,
}

impl WriteFault {
    pub fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            WriteFault::Io => libc::EIO,
            WriteFault::Full => libc::ENOSPC,
        })
    }
}

/// Atomic unit of a device, in bytes: a torn write is cut between these.
const SECTOR_BYTES: usize = 512;

/// What part of an unfinished write of `len` bytes reaches the disk: nothing, all, some of its
/// 4 KiB blocks, or some of its sectors.
pub fn torn(seed: &mut Seed, len: usize) -> Vec<Range<usize>> {
    let (unit, share) = match seed.below(5) {
        0 => return Vec::new(),
        1 => (len.max(1), 1000),
        2 | 3 => (crate::limit::BLOCK_BYTES, 500),
        _ => (SECTOR_BYTES, 800),
    };
    let pieces = (0..len).step_by(unit);
    let pieces = pieces.filter(|_| seed.chance(share));
    pieces.map(|from| from..len.min(from + unit)).collect()
}
