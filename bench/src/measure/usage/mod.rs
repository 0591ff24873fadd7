//! What a server costs between two moments: CPU, memory, bytes written; of a pid or of a cgroup.
//!
//! How exact it is. A cgroup (version 2) counts every process that was ever in it: exact. A pid
//! stands for its tree: the living are read, and the dead are in their parent's sums once it has
//! waited for them; a server that lets the kernel reap its children (Exim's deliveries) loses
//! those, and what ends while the tree is read may be missed for that moment. Both ends are taken
//! while the server stands still, so that the difference is right. Memory is sampled
//! [`SAMPLE_MILLIS`] apart: a peak between two samples is not seen; shared pages are counted once
//! (PSS) where there are several processes. The device's own counters hold what file system and
//! neighbours wrote as well.

mod cgroup;
mod device;
mod tree;

use crate::outcome::Usage;
use anyhow::{Context, bail};
use cgroup::Cgroup;
use device::Device;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tree::Tree;

/// Who is measured. Where both are known, each counts what it counts best.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Subject {
    /// The root of a tree of processes.
    pub(crate) pid: Option<u32>,
    /// A directory below the mount of cgroup v2.
    pub(crate) cgroup: Option<PathBuf>,
}

/// Runs from [`Meter::begin`] to [`Meter::end`].
pub(crate) struct Meter {
    gauges: Gauges,
    before: Reading,
    device: Option<Device>,
    sampler: Sampler,
}

/// Counters at one moment; `None` where nobody counts.
#[derive(Clone, Copy, Default, Debug)]
struct Reading {
    cpu_micros: u64,
    written_bytes: Option<u64>,
}

impl Subject {
    /// Its memory at this moment.
    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let gauges = Gauges::of(self)?;
        gauges.reading()?;
        Ok(gauges.resident_bytes())
    }
}

impl Meter {
    /// `folder` is where the server writes: the counters of the device below it are taken too.
    pub(crate) fn begin(subject: &Subject, folder: Option<&Path>) -> anyhow::Result<Meter> {
        let gauges = Gauges::of(subject)?;
        let before = gauges.reading()?;
        Ok(Meter {
            sampler: Sampler::begin(gauges.clone()),
            device: folder.and_then(Device::below),
            before,
            gauges,
        })
    }

    /// The usage since the begin, and what a reader must know before he believes it.
    pub(crate) fn end(self) -> anyhow::Result<(Usage, Vec<String>)> {
        let after = self.gauges.reading()?;
        let device = self.device.and_then(Device::since);
        let resident_bytes = self.sampler.end().max(self.gauges.resident_bytes());
        let cpu_micros = after.cpu_micros.saturating_sub(self.before.cpu_micros);
        let (before, after) = (self.before.written_bytes, after.written_bytes);
        let written = before
            .zip(after)
            .map(|(before, after)| after.saturating_sub(before));
        let usage = Usage {
            cpu_micros,
            resident_bytes,
            written_bytes: written.unwrap_or(0),
            device,
        };
        Ok((usage, self.gauges.remarks(written.is_some())))
    }
}

/// Where the counters are.
#[derive(Clone)]
struct Gauges {
    tree: Option<Tree>,
    cgroup: Option<Cgroup>,
}

impl Gauges {
    fn of(subject: &Subject) -> anyhow::Result<Gauges> {
        let tree = subject.pid.map(Tree::of).transpose()?;
        let cgroup = subject.cgroup.as_deref().map(Cgroup::of).transpose()?;
        if tree.is_none() && cgroup.is_none() {
            bail!("neither pid nor cgroup of the server is known: its cost is not measured");
        }
        Ok(Gauges { tree, cgroup })
    }

    fn reading(&self) -> anyhow::Result<Reading> {
        let tree = self.tree.as_ref().map(Tree::reading).transpose();
        let cgroup = self.cgroup.as_ref().map(Cgroup::reading).transpose();
        let tree = tree.context("the server is gone")?;
        let cgroup = cgroup.context("the server's cgroup is gone")?;
        let cpu = cgroup
            .as_ref()
            .or(tree.as_ref())
            .map(|reading| reading.cpu_micros);
        let written = [cgroup, tree].into_iter().flatten();
        Ok(Reading {
            cpu_micros: cpu.unwrap_or(0),
            written_bytes: written.filter_map(|reading| reading.written_bytes).next(),
        })
    }

    fn resident_bytes(&self) -> u64 {
        let pids = match (&self.cgroup, &self.tree) {
            (Some(cgroup), _) => cgroup.pids(),
            (None, Some(tree)) => tree.pids(),
            (None, None) => Vec::new(),
        };
        tree::resident_bytes(&pids)
    }

    fn remarks(&self, has_written: bool) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.cgroup.is_none() {
            remarks.push("CPU of a process tree: children that nobody awaited are missing".into());
        }
        if !has_written {
            remarks.push("bytes written by the server: not measured".into());
        } else if self
            .cgroup
            .as_ref()
            .is_none_or(|cgroup| !cgroup.counts_writes())
        {
            let why = "bytes written of a process tree: children that nobody awaited are missing";
            remarks.push(why.into());
        }
        remarks
    }
}

/// A thread that keeps the most memory it has seen.
struct Sampler {
    stop: Sender<()>,
    thread: JoinHandle<u64>,
}

impl Sampler {
    fn begin(gauges: Gauges) -> Sampler {
        let (stop, stopped) = channel();
        let pause = Duration::from_millis(SAMPLE_MILLIS);
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                most = gauges.resident_bytes().max(most);
            }
            most
        });
        Sampler { stop, thread }
    }

    fn end(self) -> u64 {
        drop(self.stop);
        self.thread.join().unwrap_or(0)
    }
}

/// Reading the memory of hundreds of processes takes milliseconds: not more often than this.
const SAMPLE_MILLIS: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn of_pid(pid: u32) -> Subject {
        Subject {
            pid: Some(pid),
            cgroup: None,
        }
    }

    #[test]
    fn children_that_ended_are_counted_too() {
        let meter = Meter::begin(&of_pid(std::process::id()), None).unwrap();
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; \
                      dd if=/dev/zero of=zeros bs=64k count=16 conv=fsync 2>/dev/null";
        let ended = Command::new("sh")
            .args(["-c", script])
            .current_dir(folder.path())
            .status();
        assert!(ended.unwrap().success());
        let (usage, remarks) = meter.end().unwrap();
        assert!(usage.cpu_micros >= 10_000, "{usage:?}");
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert_eq!(remarks.len(), 2);
    }

    #[test]
    fn nobody_and_the_dead_are_refused() {
        assert!(Meter::begin(&Subject::default(), None).is_err());
        assert!(Meter::begin(&of_pid(u32::MAX), None).is_err());
        let no_group = Subject {
            pid: None,
            cgroup: Some(PathBuf::from("/proc")),
        };
        assert!(Meter::begin(&no_group, None).is_err());
    }
}
