//! What the examples measure with: time by the clock, and what this thread has of the processor.
//!
//! Linux only, from proc(5): others may be busy on the machine, too, so both are told.

use std::fmt;

/// A moment.
pub(crate) struct Clock {
    began_secs: f64,
    cpu_secs: f64,
}

/// What has passed since.
pub(crate) struct Spent {
    pub(crate) wall_secs: f64,
    pub(crate) cpu_secs: f64,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock {
            began_secs: wall_secs(),
            cpu_secs: cpu_secs(),
        }
    }

    pub(crate) fn spent(&self) -> Spent {
        Spent {
            wall_secs: wall_secs() - self.began_secs,
            cpu_secs: cpu_secs() - self.cpu_secs,
        }
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spent {
            wall_secs,
            cpu_secs,
        } = self;
        write!(f, "{wall_secs:.2} s, {cpu_secs:.2} s of CPU")
    }
}

/// Since the machine began.
fn wall_secs() -> f64 {
    first_number("/proc/uptime")
}

fn cpu_secs() -> f64 {
    first_number("/proc/thread-self/schedstat") / 1e9
}

fn first_number(file: &str) -> f64 {
    let told = std::fs::read_to_string(file).unwrap_or_default();
    let number = told.split(' ').next().and_then(|word| word.parse().ok());
    number.expect("Linux has this file, and it begins with a number")
}
