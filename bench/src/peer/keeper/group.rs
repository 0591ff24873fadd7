//! A cgroup (version 2) for one yard, where we may make one: exact sums, and an end for everything.

use std::fs;
use std::path::{Path, PathBuf};

pub(super) struct Group {
    folder: PathBuf,
    /// Where the keeper goes back to: a group is removed empty.
    above: PathBuf,
}

impl Group {
    /// Makes a group and moves this process there; what it starts is born there.
    pub(super) fn enter(pid: u32) -> Option<Group> {
        let mount = mount_point(&fs::read_to_string("/proc/self/mountinfo").ok()?)?;
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let above = mount.join(own_path(&groups)?.trim_start_matches('/'));
        // Directly below the root more controllers are switched on; elsewhere we may be allowed.
        let places = [&mount, &above].map(|place| place.join(format!("ringpost-bench-{pid}")));
        places
            .into_iter()
            .find_map(|folder| Group::made(folder, &above, pid))
    }

    fn made(folder: PathBuf, above: &Path, pid: u32) -> Option<Group> {
        fs::create_dir(&folder).ok()?;
        let is_in = fs::write(folder.join("cgroup.procs"), pid.to_string()).is_ok();
        if !is_in {
            let _ = fs::remove_dir(&folder);
            return None;
        }
        let above = above.to_path_buf();
        Some(Group { folder, above })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills whatever is in the group but the keeper itself, which steps out for that.
    pub(super) fn kill_others(&self) {
        if self.step_out() {
            let _ = fs::write(self.folder.join("cgroup.kill"), "1");
        }
    }

    /// What is still in it keeps it: then it is left, and named by the caller's `keeper` file.
    pub(super) fn leave(self) {
        self.step_out();
        let _ = fs::remove_dir(&self.folder);
    }

    fn step_out(&self) -> bool {
        let pid = std::process::id().to_string();
        fs::write(self.above.join("cgroup.procs"), pid).is_ok()
    }
}

/// Where version 2 is mounted, alone or beside version 1.
fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    let line = mountinfo
        .lines()
        .find(|line| line.contains(" - cgroup2 "))?;
    line.split(' ').nth(4).map(PathBuf::from)
}

/// `0::/user.slice/…`.
fn own_path(cgroup: &str) -> Option<&str> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_is_found_beside_version_1() {
        let mounts = "30 29 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      42 29 0:39 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let expected = PathBuf::from("/sys/fs/cgroup/unified");
        assert_eq!(mount_point(mounts), Some(expected));
        assert_eq!(mount_point(""), None);
        assert_eq!(
            own_path("1:cpu:/a\n0::/user.slice/x\n"),
            Some("/user.slice/x")
        );
    }
}
