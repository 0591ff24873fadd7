//! One run of a program of the operator, on a worker thread: octets in, UTF-8 out.
//!
//! What it is given lies in a file in memory, so that a program that does not read cannot hold us
//! up; its output is awaited until the deadline. Whatever is left of its process group then is
//! killed.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process_group, pidfd_open, prlimit,
};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the program wrote, octets that are no UTF-8 replaced, cut at [`TEXT_BYTES_MAX`].
///
/// # Errors
/// It cannot be started, says that it failed, or is not done in time.
pub fn run(command: &[String], input: &[u8], timeout: Duration) -> io::Result<String> {
    let deadline = Instant::now() + timeout;
    let mut running = Running::start(command, input)?;
    running.limit(timeout);
    let text = running.read(deadline)?;
    if text.len() < TEXT_BYTES_MAX {
        running.wait(deadline)?;
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Why a program cannot be started, if that can be seen.
#[must_use]
pub fn why_not(path: &str) -> Option<&'static str> {
    match is_program(path) {
        Ok(true) => None,
        Ok(false) => Some("is no program"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("is not there"),
        Err(_) => Some("cannot be looked at"),
    }
}

fn is_program(path: &str) -> io::Result<bool> {
    let about = std::fs::metadata(path)?;
    Ok(about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// Killed, with what it started, when it is dropped.
struct Running {
    child: Child,
    pid: Pid,
}

impl Running {
    fn start(command: &[String], input: &[u8]) -> io::Result<Running> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .process_group(0)
            .stdin(in_memory(input)?)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pid = Pid::from_child(&child);
        Ok(Running { child, pid })
    }

    /// From here on; what it did before was little.
    fn limit(&self, timeout: Duration) {
        for (resource, most) in [
            (Resource::As, MEMORY_BYTES_MAX),
            (Resource::Cpu, timeout.as_secs().max(1)),
            (Resource::Fsize, MEMORY_BYTES_MAX),
            (Resource::Core, 0),
        ] {
            let limit = Rlimit {
                current: Some(most),
                maximum: Some(most),
            };
            // It may be over already.
            let _ = prlimit(Some(self.pid), resource, limit);
        }
    }

    fn read(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
        let mut output = self.child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut text = Vec::new();
        let mut piece = vec![0; PIECE_BYTES];
        while text.len() < TEXT_BYTES_MAX {
            await_readable(&output, deadline)?;
            let most = piece.len().min(TEXT_BYTES_MAX - text.len());
            let room = piece.get_mut(..most).unwrap_or_default();
            match output.read(room)? {
                0 => break,
                octets => text.extend_from_slice(room.get(..octets).unwrap_or_default()),
            }
        }
        Ok(text)
    }

    fn wait(&mut self, deadline: Instant) -> io::Result<()> {
        let ended = pidfd_open(self.pid, PidfdFlags::empty())?;
        await_readable(&ended, deadline)?;
        let status = self.child.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("the program failed: {status}"))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing is left of it, mostly.
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = self.child.wait();
    }
}

fn in_memory(octets: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("input", MemfdFlags::CLOEXEC)?);
    file.write_all(octets)?;
    file.rewind()?;
    Ok(file)
}

fn await_readable(file: &impl AsFd, deadline: Instant) -> io::Result<()> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the program is not done in time");
    let left = deadline.checked_duration_since(Instant::now());
    let left = Timespec::try_from(left.ok_or_else(late)?).map_err(|_| late())?;
    let mut awaited = [PollFd::new(file, PollFlags::IN)];
    match poll(&mut awaited, Some(&left)) {
        Ok(0) => Err(late()),
        Ok(_) => Ok(()),
        // A signal: whoever reads next finds the deadline nearer.
        Err(rustix::io::Errno::INTR) => await_readable(file, deadline),
        Err(error) => Err(error.into()),
    }
}

/// What is taken of a text, in bytes.
pub const TEXT_BYTES_MAX: usize = 8 << 20;

/// Memory of a program, and a file that it writes, in bytes.
const MEMORY_BYTES_MAX: u64 = 1 << 30;

const PIECE_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, input: &[u8], timeout: Duration) -> io::Result<String> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        run(&command, input, timeout)
    }

    const PATIENT: Duration = Duration::from_secs(60);

    #[test]
    fn a_program_makes_text_of_what_it_is_given() {
        let long = "0123456789".repeat(100_000);
        let text = sh("tr 0-9 a-j", long.as_bytes(), PATIENT).unwrap();
        assert_eq!(text, "abcdefghij".repeat(100_000));
        assert_eq!(sh("printf 'a\\377b'", b"", PATIENT).unwrap(), "a\u{fffd}b");
    }

    #[test]
    fn it_knows_nothing_of_the_server() {
        let text = sh("env; pwd", b"", PATIENT).unwrap();
        for line in text.lines() {
            let known = [
                "PATH=/usr/local/bin:/usr/bin:/bin",
                "LC_ALL=C.UTF-8",
                "PWD=/",
                "/",
            ];
            assert!(known.contains(&line) || line.starts_with("_="), "{line}");
        }
    }

    #[test]
    fn a_program_that_fails_or_is_not_there_has_no_text() {
        let failed = sh("echo half; exit 3", b"", PATIENT).unwrap_err();
        assert!(failed.to_string().contains("exit status: 3"), "{failed}");
        assert!(run(&["/nowhere/at/all".to_owned()], b"", PATIENT).is_err());
        assert_eq!(why_not("/nowhere/at/all"), Some("is not there"));
        assert_eq!(why_not("/"), Some("is no program"));
        assert_eq!(why_not("/bin/sh"), None);
    }

    #[test]
    fn one_that_is_silent_forever_is_killed_with_what_it_started() {
        let script = "sleep 1000 & echo $$; exec 1>&-; sleep 1000";
        let error = sh(script, b"", Duration::from_millis(300)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = sh("sleep 1000 & wait", b"", Duration::from_millis(300)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn one_that_writes_forever_is_cut() {
        let text = sh("while :; do echo 0123456789abcdef; done", b"", PATIENT).unwrap();
        assert_eq!(text.len(), TEXT_BYTES_MAX);
    }

    #[test]
    fn one_that_wants_all_memory_gets_none() {
        let script = "x=0123456789abcdef; while :; do x=$x$x; done";
        assert!(sh(script, b"", PATIENT).is_err());
    }
}
