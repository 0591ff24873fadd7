//! The processes below one, as /proc tells them.

use super::Reading;
use anyhow::Context;
use std::collections::BTreeMap;
use std::fs;

/// A process and all that it has started, also indirectly.
#[derive(Clone, Copy)]
pub(super) struct Tree {
    root: u32,
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stat {
    parent: u32,
    /// Its own, and of the children it has waited for.
    ticks: u64,
}

impl Tree {
    pub(super) fn of(root: u32) -> anyhow::Result<Tree> {
        stat(root).with_context(|| format!("there is no process {root}"))?;
        Ok(Tree { root })
    }

    pub(super) fn reading(&self) -> anyhow::Result<Reading> {
        let stats = all();
        let root = stats.get(&self.root);
        root.with_context(|| format!("process {} has ended", self.root))?;
        let pids = below(&stats, self.root);
        let ticks: u64 = pids
            .iter()
            .filter_map(|pid| Some(stats.get(pid)?.ticks))
            .sum();
        let written: Option<u64> = pids
            .iter()
            .filter_map(|&pid| written_bytes(pid))
            .reduce(u64::wrapping_add);
        Ok(Reading {
            cpu_micros: ticks * 1_000_000 / rustix::param::clock_ticks_per_second(),
            written_bytes: written,
        })
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        below(&all(), self.root)
    }
}

/// Memory of all of them, shared pages once: PSS, or RSS where it is a single process.
///
/// PSS makes the kernel walk every page table with the process held up, which a busy server of one
/// process need not suffer.
pub(super) fn resident_bytes(pids: &[u32]) -> u64 {
    match pids {
        [one] => kib(&format!("/proc/{one}/status"), "VmRSS:").unwrap_or(0) * 1024,
        many => {
            let each = many
                .iter()
                .filter_map(|pid| kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:"));
            each.sum::<u64>() * 1024
        }
    }
}

/// Given to the disk and not taken back: `write_bytes` less `cancelled_write_bytes` (proc(5)).
pub(super) fn written_bytes(pid: u32) -> Option<u64> {
    written_in(&fs::read_to_string(format!("/proc/{pid}/io")).ok()?)
}

fn written_in(io: &str) -> Option<u64> {
    let field = |name: &str| {
        let line = io.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u64>().ok()
    };
    let cancelled = field("cancelled_write_bytes:").unwrap_or(0);
    Some(field("write_bytes:")?.saturating_sub(cancelled))
}

/// The root and everything below it.
fn below(stats: &BTreeMap<u32, Stat>, root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        let children = stats.iter().filter(|(_, stat)| stat.parent == parent);
        found.extend(children.map(|(pid, _)| *pid).filter(|pid| *pid != root));
        next += 1;
    }
    found
}

fn all() -> BTreeMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?))).collect()
}

fn stat(pid: u32) -> Option<Stat> {
    parsed(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// proc(5): the name stands in parentheses and may hold anything; then come state, parent, and from
/// field 14 on utime, stime, cutime and cstime.
fn parsed(stat: &str) -> Option<Stat> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields
        .get(11..15)?
        .iter()
        .map(|field| field.parse::<u64>().unwrap_or(0));
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: ticks.sum(),
    })
}

fn kib(path: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_hides_no_field() {
        let text = "7 (a ) b) S 3 7 7 0 -1 0 1 2 3 4 10 20 30 40 20 0 1 0 5 6";
        let stat = parsed(text).unwrap();
        assert_eq!(
            stat,
            Stat {
                parent: 3,
                ticks: 100
            }
        );
        assert_eq!(parsed("7 (a) S 3"), None);
    }

    #[test]
    fn what_was_cancelled_is_not_written() {
        let io = "wchar: 9\nwrite_bytes: 4096\ncancelled_write_bytes: 1024\n";
        assert_eq!(written_in(io), Some(3072));
        assert_eq!(written_in("rchar: 1\n"), None);
    }

    #[test]
    fn grandchildren_belong_to_the_tree_and_neighbours_do_not() {
        let stat = |parent| Stat { parent, ticks: 0 };
        let stats = BTreeMap::from([
            (1, stat(0)),
            (2, stat(1)),
            (5, stat(2)),
            (6, stat(5)),
            (7, stat(1)),
        ]);
        assert_eq!(below(&stats, 2), [2, 5, 6]);
    }
}
