//! Mail in and out by `ringpostctl import` and `export`, held against other programs.

mod broken;
mod dovecot;
mod readers;
mod resume;
mod round;
mod uidls;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tests::binary;

/// A store that no server has open, and room for files beside it.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        // Not through `Home`: a child that another test forks would hold its lock for a moment.
        let identity = format!("ringpost store\nformat 1\nuuid {:032x}\nshards 2\n", 7);
        write(&folder.path().join("data/store"), identity);
        Scene { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the tool on the store.
    fn run(&self, order: &[&str]) -> Output {
        let mut command = Command::new(binary::ringpostctl());
        command.arg("--data").arg(self.path("data")).args(order);
        command.current_dir(self.folder.path());
        command.output().expect("the tool is built")
    }

    /// Runs the tool, which must exit with this code, and gives all it said.
    fn exits(&self, code: i32, order: &[&str]) -> String {
        let output = self.run(order);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        let all = said + &complained;
        assert_eq!(output.status.code(), Some(code), "{order:?}\n{all}");
        all
    }

    fn import(&self, account: &str, source: &str) -> String {
        self.exits(0, &["import", "--account", account, source])
    }

    fn export(&self, account: &str, format: &str, target: &str) -> PathBuf {
        let order = ["export", "--account", account, "--format", format, target];
        self.exits(0, &order);
        self.path(target).join(account)
    }

    /// All that an account has: tables and messages by file, as `.eml` export gives them.
    fn picture(&self, account: &str, target: &str) -> BTreeMap<String, Vec<u8>> {
        let folder = self.export(account, "eml", target);
        let mut picture = BTreeMap::new();
        collect(&folder, &folder, &mut picture);
        picture
    }
}

fn collect(root: &Path, folder: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, into);
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            into.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// Writes a file and what lies above it.
fn write(path: &Path, octets: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, octets).unwrap();
}

/// The lines of a table below its head.
fn table(picture: &BTreeMap<String, Vec<u8>>, mailbox: &str) -> Vec<String> {
    let octets = &picture[&format!("{mailbox}/mailbox.tsv")];
    let text = String::from_utf8(octets.clone()).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with("# "));
    rows.skip(1).map(str::to_owned).collect()
}

/// A number of the head of a table.
fn number(picture: &BTreeMap<String, Vec<u8>>, mailbox: &str, field: &str) -> u32 {
    let octets = &picture[&format!("{mailbox}/mailbox.tsv")];
    let text = String::from_utf8(octets.clone()).unwrap();
    let start = format!("# {field}\t");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap().parse().unwrap()
}
