//! Exim and OpenSMTPD, which `ringpost-bench peers` fetches, unpacks and starts beside Postfix.

use crate::binary;
use crate::peer::is_required;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server that delivers mail for user0@example.test and so on into Maildirs; ended when dropped.
pub struct Raised {
    pub smtp: SocketAddr,
    scratch: PathBuf,
    name: String,
}

impl Raised {
    /// `None`, with a word, where it cannot be had: no root, no network.
    pub fn up(name: &str, scratch: &Path) -> Option<Raised> {
        let bench = binary::bench();
        if !bench.is_file() {
            let why = format!("{} is missing: cargo build -p bench", bench.display());
            assert!(!is_required(), "{why}");
            eprintln!("SKIPPED: {name}: {why}");
            return None;
        }
        let output = Command::new(bench)
            .args(["peers", "--scratch"])
            .arg(scratch)
            .args(["up", name])
            .output()
            .expect("our own tool starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let words = said.split([' ', ';', ',', '\n']);
        let smtp = words.filter_map(|word| word.trim().parse().ok()).next();
        let Some(smtp) = smtp.filter(|_| output.status.success()) else {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!is_required(), "{name}: {why}");
            eprintln!("SKIPPED: {name}: {why}");
            return None;
        };
        Some(Raised {
            smtp,
            scratch: scratch.to_path_buf(),
            name: name.to_owned(),
        })
    }

    /// The messages that lie in its Maildirs.
    pub fn delivered(&self) -> Vec<String> {
        let mut found = Vec::new();
        gather(&self.scratch, false, &mut found);
        found
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        let ended = Command::new(binary::bench())
            .args(["peers", "--scratch"])
            .arg(&self.scratch)
            .args(["down", &self.name])
            .status();
        assert!(ended.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Files in folders named `new`.
fn gather(folder: &Path, is_new: bool, found: &mut Vec<String>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            let is_new = path.file_name().is_some_and(|name| name == "new");
            gather(&path, is_new, found);
        } else if is_new {
            let text = std::fs::read(&path).unwrap_or_default();
            found.push(String::from_utf8_lossy(&text).into_owned());
        }
    }
}
