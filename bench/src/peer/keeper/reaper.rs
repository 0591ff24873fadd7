//! The children of the keeper: those it started, and orphans of theirs that fell to it.
//!
//! As subreaper it is the parent of whatever detaches itself, so "no child left" means that nothing
//! of the server runs.

use rustix::process::{Pid, Signal, WaitOptions};
use std::fs;

pub(super) struct Reaper {
    /// Those that were started, in order.
    programs: Vec<Pid>,
    has_children: bool,
    /// To end.
    asked: Vec<Pid>,
}

impl Reaper {
    pub(super) fn begin() -> anyhow::Result<Reaper> {
        rustix::process::set_child_subreaper(Some(Pid::INIT))?;
        Ok(Reaper {
            programs: Vec::new(),
            has_children: false,
            asked: Vec::new(),
        })
    }

    pub(super) fn adopt(&mut self, pid: u32) {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        self.programs.extend(pid);
        self.has_children = true;
    }

    /// How many of those that were started run.
    pub(super) fn programs(&self) -> usize {
        self.programs.len()
    }

    /// Takes leave of all that have ended.
    pub(super) fn reap(&mut self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, _))) => {
                    self.programs.retain(|program| *program != pid);
                    self.asked.retain(|asked| *asked != pid);
                }
                Ok(None) => {
                    self.has_children = true;
                    return;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => {
                    self.has_children = false;
                    return;
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.has_children
    }

    /// Asks everyone once: the last one started first, and what falls to us when its parent ends.
    pub(super) fn ask_to_end(&mut self) {
        let orphans = children()
            .into_iter()
            .filter(|pid| !self.programs.contains(pid));
        let all: Vec<Pid> = self.programs.iter().rev().copied().chain(orphans).collect();
        for pid in all {
            if !self.asked.contains(&pid) {
                send(pid, Signal::TERM);
                self.asked.push(pid);
            }
        }
    }

    /// All direct children; what they leave falls to us and is killed the next time.
    pub(super) fn kill(&self) {
        for pid in children() {
            send(pid, Signal::KILL);
        }
    }
}

fn send(pid: Pid, signal: Signal) {
    // It may have ended by itself; a pid of ours is not given away before we have waited for it.
    let _ = rustix::process::kill_process(pid, signal);
}

/// Direct children, of all threads.
fn children() -> Vec<Pid> {
    let tasks = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let text: Vec<String> = lists.collect();
    let numbers = text.iter().flat_map(|list| list.split_whitespace());
    numbers
        .filter_map(|number| Pid::from_raw(number.parse().ok()?))
        .collect()
}
