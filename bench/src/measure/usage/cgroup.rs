//! A cgroup of version 2: exact sums over all that ever ran in it.
//!
//! `cpu.stat` is always there; `io.stat` only where the controller is switched on for it.

use super::Reading;
use anyhow::{Context, bail};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone)]
pub(super) struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    pub(super) fn of(folder: &Path) -> anyhow::Result<Cgroup> {
        if !folder.join("cgroup.procs").exists() || !folder.join("cpu.stat").exists() {
            bail!("{} is no cgroup of version 2", folder.display());
        }
        Ok(Cgroup {
            folder: folder.to_path_buf(),
        })
    }

    pub(super) fn reading(&self) -> anyhow::Result<Reading> {
        let text = fs::read_to_string(self.folder.join("cpu.stat"))?;
        let cpu_micros = micros_in(&text).context("cpu.stat has no usage_usec")?;
        let io = fs::read_to_string(self.folder.join("io.stat")).ok();
        Ok(Reading {
            cpu_micros,
            written_bytes: io.map(|text| written_in(&text)),
        })
    }

    pub(super) fn counts_writes(&self) -> bool {
        self.folder.join("io.stat").exists()
    }

    /// Those that live now, of the groups below too.
    pub(super) fn pids(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            folders.extend(
                entries
                    .map(|entry| entry.path())
                    .filter(|path| path.is_dir()),
            );
        }
        pids
    }
}

fn micros_in(cpu_stat: &str) -> Option<u64> {
    let line = cpu_stat
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "))?;
    line.trim().parse().ok()
}

/// `254:0 rbytes=1 wbytes=2 rios=3 wios=4 …`, a line for each device.
fn written_in(io_stat: &str) -> u64 {
    let fields = io_stat.split_whitespace();
    let written = fields.filter_map(|field| field.strip_prefix("wbytes=")?.parse::<u64>().ok());
    written.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_taken_over_devices() {
        let io =
            "254:0 rbytes=1 wbytes=4096 rios=1 wios=1\n8:0 rbytes=0 wbytes=512 rios=0 wios=1\n";
        assert_eq!(written_in(io), 4608);
        assert_eq!(written_in(""), 0);
        assert_eq!(micros_in("usage_usec 77\nuser_usec 1\n"), Some(77));
        assert_eq!(micros_in("user_usec 1\n"), None);
    }
}
