//! The rules of the house as a program: floors, sizes, names, unsafe code, citations.
//!
//! Each rule is a function from sources to offences and is tried on a bad sample beside it. What
//! is law and why stands in the README; here it is only held.

pub mod clients;
pub mod floors;
pub mod repository;
pub mod rooms;
pub mod shape;
pub mod source;
pub mod spec;

use source::Source;
use std::fmt;
use std::path::{Path, PathBuf};

/// Something that breaks a rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Offence {
    /// Below the root of the workspace.
    pub path: PathBuf,
    pub line: usize,
    pub why: String,
}

impl Offence {
    pub fn new(path: impl Into<PathBuf>, line: usize, why: impl Into<String>) -> Offence {
        Offence {
            path: path.into(),
            line,
            why: why.into(),
        }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.why)
    }
}

/// Every Rust file of the workspace, sorted by path.
pub fn sources(root: &Path) -> Vec<Source> {
    let files = repository::files(root).into_iter();
    let rust = files.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let mut sources: Vec<Source> = rust
        .map(|path| {
            let text = std::fs::read_to_string(root.join(&path)).expect("sources are UTF-8");
            Source::new(path, &text)
        })
        .collect();
    let tests: Vec<PathBuf> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        let own = source.path.with_extension("");
        source.declared_test = tests.iter().any(|test| own.starts_with(test));
    }
    sources
}
