//! Orders that cannot be understood: exit code 2, as for a wrong command line.

use std::fmt;
use std::process::ExitCode;

/// What is wrong with the order; nothing was done.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    pub(crate) fn of(why: impl fmt::Display) -> anyhow::Error {
        anyhow::Error::new(Usage(why.to_string()))
    }
}

/// 2 for an order that cannot be understood, 1 for what failed.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    match error.is::<Usage>() {
        true => ExitCode::from(2),
        false => ExitCode::FAILURE,
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
