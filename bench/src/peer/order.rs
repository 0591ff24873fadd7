//! What the tool says to the keeper of a yard, and what it answers: a line of JSON each.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Start a program that runs until the yard is cleared; what it says goes to a file.
    Start { argv: Vec<String>, log: PathBuf },
    /// How many of the started programs run?
    Count,
    /// Go on when the tool has ended, until a signal comes.
    Detach,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The folder is made; all programs will run in the cgroup, if there is one.
    Ready {
        cgroup: Option<PathBuf>,
    },
    Done,
    Running {
        programs: usize,
    },
    Failed {
        why: String,
    },
}
