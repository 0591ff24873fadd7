//! What lies in the repository: the top level, sizes, machine paths, reasons of dependencies.

use super::Offence;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every file that is or would be tracked, below the root, sorted.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(root.join(&folder)).expect("the workspace is readable");
        for entry in entries.map(|entry| entry.expect("the workspace is readable")) {
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().expect("the kind of a file is known");
            if IGNORED.iter().any(|ignored| path == Path::new(ignored)) {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Breaches that need no parsing: names at the top, sizes, paths of somebody's machine.
pub fn repository(root: &Path) -> Vec<Offence> {
    let files = files(root);
    let mut offences = top_level(&files);
    for path in files {
        let octets = std::fs::read(root.join(&path)).expect("the workspace is readable");
        if octets.len() > FILE_BYTES_MAX {
            let why = format!("{} octets: more than 1 MiB", octets.len());
            offences.push(Offence::new(&path, 1, why));
        }
        if let Ok(text) = std::str::from_utf8(&octets) {
            offences.extend(machine_paths(&path, text));
        }
    }
    offences
}

/// The reasons in the workspace's manifest.
pub fn manifest(root: &Path) -> Vec<Offence> {
    let text = std::fs::read_to_string(root.join("Cargo.toml")).expect("there is a manifest");
    reasons(&text)
}

/// Crates that must not be linked: one cryptography, and that is rustls with aws-lc.
pub fn forbidden_crates(root: &Path) -> Result<Vec<Offence>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = Command::new(cargo)
        .args([
            "tree",
            "--offline",
            "--workspace",
            "-e",
            "normal,build",
            "--prefix",
            "none",
        ])
        .current_dir(root)
        .output()
        .map_err(|error| error.to_string())?;
    if !tree.status.success() {
        return Err(String::from_utf8_lossy(&tree.stderr).into_owned());
    }
    Ok(forbidden(&String::from_utf8_lossy(&tree.stdout)))
}

fn top_level(files: &[PathBuf]) -> Vec<Offence> {
    let mut tops: Vec<&str> = files
        .iter()
        .filter_map(|p| p.iter().next()?.to_str())
        .collect();
    tops.dedup();
    let strange = tops
        .into_iter()
        .filter(|top| !TOP.contains(top) && !top.starts_with('.'));
    strange
        .map(|top| Offence::new(top, 1, "the top level is the user's: no new name"))
        .collect()
}

fn machine_paths(path: &Path, text: &str) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let found = MACHINE_PATHS.iter().find(|[start, end]| {
            let needle = [*start, *end].concat();
            line.contains(&needle)
        });
        if found.is_some() {
            offences.push(Offence::new(path, at + 1, "a path of somebody's machine"));
        }
    }
    offences
}

fn reasons(manifest: &str) -> Vec<Offence> {
    let mut inside = false;
    let mut offences = Vec::new();
    for (at, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        }
        let ours = line.contains("path =");
        let dependency = inside && line.contains('=') && !line.starts_with('#');
        if dependency && !ours && !line.contains(" # ") {
            let why = "a dependency without its reason on its line";
            offences.push(Offence::new("Cargo.toml", at + 1, why));
        }
    }
    offences
}

fn forbidden(tree: &str) -> Vec<Offence> {
    let named = tree.lines().filter(|line| {
        let name = line.split(' ').next().unwrap_or("");
        matches!(name, "ring" | "openssl" | "openssl-sys" | "native-tls")
    });
    let mut lines: Vec<&str> = named.collect();
    lines.sort_unstable();
    lines.dedup();
    let offence = |line| Offence::new("Cargo.lock", 1, format!("{line} must not be linked"));
    lines.into_iter().map(offence).collect()
}

/// Not ours, or not tracked.
const IGNORED: [&str; 4] = ["target", ".git", "ringpost-data", "fuzz"];

const TOP: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "engine",
    "store",
    "bench",
    "tools",
    "tests",
];

/// In halves, so that this file does not accuse itself.
const MACHINE_PATHS: [[&str; 2]; 4] = [
    ["/ro", "ot/"],
    ["/ho", "me/"],
    ["/wo", "rk/"],
    ["/Us", "ers/"],
];

const FILE_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_tops_and_paths_are_found() {
        let files = ["engine/src/lib.rs", "notes/a.md", ".gitignore"].map(PathBuf::from);
        assert_eq!(top_level(&files).len(), 1);
        let text = ["cd /ho", "me/me/ringpost\nfine\n"].concat();
        assert_eq!(
            machine_paths(Path::new("a"), &text),
            [Offence::new("a", 1, "a path of somebody's machine")]
        );
    }

    #[test]
    fn a_dependency_without_reason_is_found() {
        let text = "[workspace.dependencies]\na = \"1\" # why\nb = \"1\"\nc = { path = \"c\" }\n";
        assert_eq!(reasons(text).len(), 1);
        assert_eq!(reasons("[package]\na = \"1\"\n").len(), 0);
    }

    #[test]
    fn forbidden_crates_are_found() {
        assert_eq!(
            forbidden("ring v0.17\nstringprep v1\nring v0.17\n").len(),
            1
        );
    }
}
