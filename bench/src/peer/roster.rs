//! Which servers are up: found by their folders, ended by the pid of their keeper.

use super::keeper::KEEPER_FILE;
use super::target::Target;
use super::yard::FOLDER_START;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A folder of ours, and what stands in it.
pub(crate) struct Entry {
    pub(crate) folder: PathBuf,
    /// Missing when its making was interrupted.
    pub(crate) target: Option<Target>,
    /// Of the keeper, while it lives.
    pub(crate) keeper: Option<u32>,
    cgroup: Option<PathBuf>,
}

/// Writes down what was set up, for `list` and `down`.
pub(super) fn note(target: &Target) -> anyhow::Result<()> {
    let folder = target.folder.as_ref().context("the server has no folder")?;
    fs::write(folder.join(TARGET_FILE), serde_json::to_vec_pretty(target)?)?;
    Ok(())
}

/// Every yard below `scratch`, sorted by folder.
pub(crate) fn list(scratch: &Path) -> anyhow::Result<Vec<Entry>> {
    let folders = fs::read_dir(scratch).with_context(|| scratch.display().to_string())?;
    let mut entries = Vec::new();
    for entry in folders {
        let folder = entry?.path();
        let name = folder
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        if name.starts_with(FOLDER_START) && folder.join(KEEPER_FILE).is_file() {
            entries.push(Entry::read(folder));
        }
    }
    entries.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(entries)
}

impl Entry {
    fn read(folder: PathBuf) -> Entry {
        let told = fs::read_to_string(folder.join(KEEPER_FILE)).unwrap_or_default();
        let mut lines = told.lines();
        let keeper = lines.next().and_then(|pid| pid.parse().ok());
        let cgroup = lines
            .next()
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        let target = fs::read(folder.join(TARGET_FILE)).ok();
        Entry {
            target: target.and_then(|json| serde_json::from_slice(&json).ok()),
            keeper: keeper.filter(|&pid| keeps(pid, &folder)),
            cgroup,
            folder,
        }
    }

    /// `ringpost-bench peers up` gave it this name.
    pub(crate) fn name(&self) -> &str {
        self.target
            .as_ref()
            .map_or("?", |target| target.name.as_str())
    }

    /// Ends it and waits until its folder is gone; a yard without keeper is cleared from here.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        let Some(keeper) = self.keeper else {
            return self.clear_orphan();
        };
        let pid = i32::try_from(keeper).ok().and_then(Pid::from_raw);
        let pid = pid.context("the keeper's pid is none")?;
        rustix::process::kill_process(pid, Signal::TERM)?;
        let end = Instant::now() + CLEAR_MAX;
        while self.folder.exists() {
            if Instant::now() > end {
                bail!(
                    "{} is still there after {CLEAR_MAX:?}",
                    self.folder.display()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The keeper was killed: the group still knows what it started.
    fn clear_orphan(&self) -> anyhow::Result<()> {
        if let Some(group) = self.cgroup.as_ref().filter(|group| group.exists()) {
            let how = || format!("{} lives on", group.display());
            fs::write(group.join("cgroup.kill"), "1").with_context(how)?;
            let end = Instant::now() + CLEAR_MAX;
            while fs::remove_dir(group).is_err() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        fs::remove_dir_all(&self.folder).with_context(|| self.folder.display().to_string())
    }
}

/// Whether the process is the keeper of this folder, and not somebody who got its pid later.
fn keeps(pid: u32, folder: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = line.split(|&octet| octet == 0);
    words.any(|word| word == folder.as_os_str().as_encoded_bytes())
}

const TARGET_FILE: &str = "target.json";
const CLEAR_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn yard(scratch: &Path, name: &str, keeper: &str) -> PathBuf {
        let folder = scratch.join(format!("{FOLDER_START}{name}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(KEEPER_FILE), keeper).unwrap();
        folder
    }

    #[test]
    fn yards_are_found_and_strangers_are_not() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = yard(scratch.path(), "exim-7", "4294967295\n\n");
        let target = Target {
            name: "exim".to_string(),
            folder: Some(folder),
            ..Target::default()
        };
        note(&target).unwrap();
        fs::create_dir(scratch.path().join("ringpost-bench-x")).unwrap();
        fs::create_dir(scratch.path().join("other")).unwrap();
        let entries = list(scratch.path()).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].name(), entries[0].keeper), ("exim", None));
        assert_eq!(entries[0].target.as_ref(), Some(&target));
    }

    #[test]
    fn a_pid_that_keeps_something_else_is_not_asked_to_end() {
        let scratch = tempfile::tempdir().unwrap();
        let own = format!("{}\n/no/such/group\n", std::process::id());
        let folder = yard(scratch.path(), "exim-8", &own);
        let entries = list(scratch.path()).unwrap();
        assert_eq!(entries[0].keeper, None);
        entries[0].clear().unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn a_scratch_that_is_not_there_is_named() {
        let why = list(Path::new("/no/such/scratch")).err().unwrap();
        assert!(format!("{why:#}").contains("/no/such/scratch"));
    }
}
