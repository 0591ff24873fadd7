//! A control group with little memory, v2 or v1; needs the right to make one.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Processes in it have so much memory together; removed when dropped.
pub struct Cage {
    folder: PathBuf,
    is_v2: bool,
}

impl Cage {
    /// `None`, with a word, where control groups cannot be made.
    pub fn new(octets: u64) -> Option<Cage> {
        let made = Cage::make(octets);
        if let Err(why) = &made {
            eprintln!("SKIPPED: no control group for memory here: {why}");
        }
        made.ok()
    }

    fn make(octets: u64) -> io::Result<Cage> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let is_v2 = std::fs::read_to_string(Path::new(ROOT).join("cgroup.controllers"))
            .is_ok_and(|controllers| controllers.contains("memory"));
        let root = match is_v2 {
            true => PathBuf::from(ROOT),
            false => Path::new(ROOT).join("memory"),
        };
        if !root.join("cgroup.procs").exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringpost-test-{}-{number}", std::process::id());
        let cage = Cage {
            folder: root.join(name),
            is_v2,
        };
        std::fs::create_dir(&cage.folder)?;
        let limits: &[&str] = match is_v2 {
            true => &["memory.max"],
            // With swap it is no limit; the second file is not there without swap.
            false => &["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
        };
        for limit in limits {
            let written = std::fs::write(cage.folder.join(limit), octets.to_string());
            if limit.starts_with("memory.memsw") {
                continue;
            }
            written?;
        }
        if is_v2 {
            let _ = std::fs::write(cage.folder.join("memory.swap.max"), "0");
        }
        Ok(cage)
    }

    /// A command that runs `program` inside, as the first to be killed when memory is short.
    pub fn victim(&self, program: impl AsRef<OsStr>) -> Command {
        self.enter("echo 1000 >/proc/self/oom_score_adj", program)
    }

    /// A command that runs `program` inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.enter("true", program)
    }

    /// A command that takes so much memory inside and then ends.
    pub fn hog(&self, octets: u64) -> Command {
        let mut hog = self.command("dd");
        let block = format!("bs={octets}");
        hog.args(["if=/dev/zero", "of=/dev/null", "count=1", &block]);
        hog.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        hog
    }

    /// The most memory that was ever used inside, page cache included.
    pub fn octets_peak(&self) -> u64 {
        let file = match self.is_v2 {
            true => "memory.peak",
            false => "memory.max_usage_in_bytes",
        };
        let text = std::fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    fn enter(&self, first: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("sh");
        let script = format!("echo $$ >\"$0/cgroup.procs\" && {first} && exec \"$@\"");
        command.arg("-c").arg(script).arg(&self.folder).arg(program);
        command
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        // The last process may be gone a moment before its group knows.
        for _ in 0..1_000 {
            if std::fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::yield_now();
        }
    }
}

const ROOT: &str = "/sys/fs/cgroup";

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn who_takes_too_much_is_killed() {
        let Some(cage) = Cage::new(16 << 20) else {
            return;
        };
        let small = cage.command("sh").args(["-c", "exit 7"]).status().unwrap();
        assert_eq!(small.code(), Some(7));
        let hog = cage.hog(64 << 20).status().unwrap();
        assert_eq!(hog.signal(), Some(9));
        assert!(cage.octets_peak() > 8 << 20);
    }
}
