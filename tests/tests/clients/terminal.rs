//! Programs that a user sits before: typed into by `tests/clients/terminal.py`, or told by their
//! own words what keys are pressed.

use std::path::Path;
use tests::binary::workspace;
use tests::peer::{Peer, is_required, peer};

/// Types each text once what is awaited, a regular expression, is on the screen.
pub(crate) fn typed(steps: &[(&str, &str)], words: &[&str], home: &Path) {
    let Some(python) = python_with("pyte") else {
        return;
    };
    let steps = serde_json::to_string(steps).expect("pairs of texts are JSON");
    python
        .arg(workspace().join("tests/clients/terminal.py"))
        .arg(steps)
        .args(words)
        .env("HOME", home)
        .env("TERM", "xterm")
        .succeeds();
}

/// Runs a program on a terminal and types nothing.
pub(crate) fn alone(words: &[&str], home: &Path) {
    typed(&[], words, home);
}

/// The interpreter that has a module: another python3 may come first in PATH.
pub(crate) fn python_with(module: &str) -> Option<Peer> {
    let import = format!("import {module}");
    for name in ["python3", "/usr/bin/python3"] {
        let has = peer(name)?.args(["-c", &import]).run().status.success();
        if has {
            return peer(name);
        }
    }
    assert!(
        !is_required(),
        "Python has no {module}, and RINGPOST_PEERS=required"
    );
    eprintln!("SKIPPED: Python has no {module}");
    None
}
