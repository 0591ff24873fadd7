//! Where the binaries under test are; built once, on demand, in release mode.
//!
//! `RINGPOST_BIN_DIR` names a directory that holds them, and then nothing is built. Otherwise the
//! workspace is built with Cargo, which is quick when nothing changed and serialises by itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The server.
pub fn ringpost() -> PathBuf {
    directory().join("ringpost")
}

/// The operator's tool.
pub fn ringpostctl() -> PathBuf {
    directory().join("ringpostctl")
}

/// The load tool, which also sets other servers up.
pub fn bench() -> PathBuf {
    directory().join("ringpost-bench")
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the workspace")
}

/// Data that belongs to other projects and lies beside the repository, when it is there.
pub fn shared_data() -> Option<PathBuf> {
    let data = match std::env::var_os("RINGPOST_SHARED_DATA") {
        Some(path) => PathBuf::from(path),
        None => workspace().parent()?.join("shared/data"),
    };
    data.is_dir().then_some(data)
}

fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| match std::env::var_os("RINGPOST_BIN_DIR") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--quiet",
            "-p",
            "engine",
            "-p",
            "tools",
            "-p",
            "bench",
        ])
        .current_dir(workspace())
        .status()
        .expect("cargo can be started");
    assert!(built.success(), "the server does not build in release mode");
    target().join("release")
}

/// The target directory, from where this test binary itself runs: `TARGET/debug/deps/name`.
fn target() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its file");
    own.ancestors()
        .find(|path| path.file_name().is_some_and(|name| name == "deps"))
        .and_then(|deps| deps.parent()?.parent())
        .map_or_else(|| workspace().join("target"), Path::to_path_buf)
}
