//! Real clients: found, or skipped with a clear word, or missed when they are required.
//!
//! `RINGPOST_PEERS=required` turns a missing client into a failure; without it a line that begins
//! with `SKIPPED:` says what was not tried.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A program and what it is given.
pub struct Peer {
    command: Command,
    input: Vec<u8>,
}

/// The program's file, in `PATH` or where Debian keeps those of the administrator.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// The program, ready for its arguments; `None` when it is missing and may be.
pub fn peer(program: &str) -> Option<Peer> {
    let Some(file) = find(program) else {
        assert!(
            !is_required(),
            "{program} is not installed, and RINGPOST_PEERS=required"
        );
        eprintln!("SKIPPED: {program} is not installed");
        return None;
    };
    Some(Peer {
        command: Command::new(file),
        input: Vec::new(),
    })
}

/// Whether a client that is missing is a failure.
pub fn is_required() -> bool {
    std::env::var("RINGPOST_PEERS").is_ok_and(|value| value == "required")
}

impl Peer {
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Peer {
        self.command.args(arguments);
        self
    }

    pub fn arg(self, argument: impl AsRef<OsStr>) -> Peer {
        self.args([argument])
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Peer {
        self.command.env(name, value);
        self
    }

    /// What it reads on standard input.
    pub fn input(mut self, octets: &[u8]) -> Peer {
        self.input = octets.to_vec();
        self
    }

    /// Runs it to its end, whatever that is.
    pub fn run(mut self) -> Output {
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let shown = format!("{:?}", self.command);
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|why| panic!("{shown}: {why}"));
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let input = self.input;
        let writer = std::thread::spawn(move || {
            // A program that ends early need not read all of it.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("our child can be awaited");
        writer.join().expect("the writer does not panic");
        output
    }

    /// Runs it and gives its standard output; panics with all it said when it fails.
    pub fn succeeds(self) -> String {
        let shown = format!("{:?}", self.command);
        let output = self.run();
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "{shown}: {}\n{said}\n{complained}",
            output.status
        );
        said
    }

    /// Runs it and gives all it said; panics when it succeeds.
    pub fn fails(self) -> String {
        let shown = format!("{:?}", self.command);
        let output = self.run();
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        assert!(
            !output.status.success(),
            "{shown} succeeded:\n{said}\n{complained}"
        );
        said + &complained
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_run_and_judged() {
        assert_eq!(peer("cat").unwrap().input(b"hello").succeeds(), "hello");
        assert!(
            peer("cat")
                .unwrap()
                .args(["/nowhere"])
                .fails()
                .contains("nowhere")
        );
        assert!(find("no-such-program-here").is_none());
    }
}
