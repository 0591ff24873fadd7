//! What the block device below a folder did: journal, metadata and neighbours included.

use crate::measure::machine;
use crate::outcome::DeviceUse;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) struct Device {
    counters: PathBuf,
    before: DeviceUse,
}

impl Device {
    pub(super) fn below(folder: &Path) -> Option<Device> {
        let counters = machine::device_counters(folder)?;
        let before = counted(&fs::read_to_string(&counters).ok()?)?;
        Some(Device { counters, before })
    }

    pub(super) fn since(self) -> Option<DeviceUse> {
        let after = counted(&fs::read_to_string(&self.counters).ok()?)?;
        Some(DeviceUse {
            written_bytes: after
                .written_bytes
                .saturating_sub(self.before.written_bytes),
            writes: after.writes.saturating_sub(self.before.writes),
            flushes: after.flushes.saturating_sub(self.before.flushes),
        })
    }
}

/// Documentation/block/stat.rst: field 5 counts writes, 7 sectors of 512 octets, 16 flushes.
fn counted(stat: &str) -> Option<DeviceUse> {
    let fields: Vec<u64> = stat
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    Some(DeviceUse {
        written_bytes: fields.get(6)? * 512,
        writes: *fields.get(4)?,
        flushes: fields.get(15).copied().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_where_the_kernel_writes_them() {
        let text = "1 2 3 4 50 6 70 8 9 10 11 12 13 14 15 160 17\n";
        let used = counted(text).unwrap();
        let expected = DeviceUse {
            written_bytes: 70 * 512,
            writes: 50,
            flushes: 160,
        };
        assert_eq!(used, expected);
        assert_eq!(counted("1 2 3"), None);
    }
}
