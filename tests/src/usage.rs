//! What a process uses, as the kernel tells it: resident memory, processor time, descriptors.

use std::time::Duration;

/// Resident octets now.
pub fn resident_bytes(pid: u32) -> u64 {
    kib_of(pid, "VmRSS:") * 1024
}

/// The most that was ever resident.
pub fn resident_bytes_peak(pid: u32) -> u64 {
    kib_of(pid, "VmHWM:") * 1024
}

/// Processor time of all threads so far, user and system.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    cpu_of(&stat)
}

/// The same of those of its threads whose names begin so.
pub fn cpu_of_threads(pid: u32, name: &str) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let stats =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let is_meant = |stat: &String| {
        stat.split_once('(')
            .is_some_and(|(_, it)| it.starts_with(name))
    };
    stats.filter(is_meant).map(|stat| cpu_of(&stat)).sum()
}

fn cpu_of(stat: &str) -> Duration {
    // The name stands in parentheses and may hold anything; utime and stime are fields 14 and 15.
    let behind_name = stat.rsplit_once(')').expect("stat has a name").1;
    let ticks: u64 = behind_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("ticks are a number"))
        .sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// Open descriptors.
pub fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn kib_of(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|n| n.parse().ok())
        .expect("the kernel tells the size in KiB")
}

/// `sysconf(_SC_CLK_TCK)` of Linux on every architecture Ringpost runs on.
const TICKS_PER_SECOND: u64 = 100;
