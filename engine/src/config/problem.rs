//! What is wrong with a configuration: every fault, each with its line and what was expected.

use std::fmt;

/// One fault, with the line where it stands, counted from 1; line 0 is the file as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub line: usize,
    pub what: String,
}

impl Problem {
    pub fn new(line: usize, what: impl Into<String>) -> Problem {
        Problem {
            line,
            what: what.into(),
        }
    }
}

/// All faults of one file, in the order of their lines; never empty as an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problems {
    pub file: String,
    pub list: Vec<Problem>,
}

impl Problems {
    /// The faults of `file`, sorted by line; those of one line keep the order in which they were
    /// found.
    pub fn new(file: impl Into<String>, mut list: Vec<Problem>) -> Problems {
        list.sort_by_key(|problem| problem.line);
        list.dedup();
        Problems {
            file: file.into(),
            list,
        }
    }
}

/// One `file:line: what was expected` a line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match problem.line {
                0 => write!(f, "{}: {}", self.file, problem.what)?,
                line => write!(f, "{}:{}: {}", self.file, line, problem.what)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
