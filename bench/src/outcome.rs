//! What one run measured, as data: what scenarios give, and reports and comparisons are made of.
//!
//! Its JSON is the tool's machine-readable output: fields are added, never renamed. Durations are in
//! microseconds, sizes in octets, moments in seconds since 1970.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The subcommand.
    pub scenario: String,
    /// The whole command line, so that anybody can repeat it.
    pub command: Vec<String>,
    /// `host:port`, or several of them with what each is for: `smtp 127.0.0.1:25, imap …`.
    pub target: String,
    /// What was loaded, as its greeting or whoever started it says.
    pub server: Option<String>,
    /// What the server has on disk when it says 250, if known.
    pub durability: Option<String>,
    pub machine: Machine,
    pub began_secs: i64,
    /// Of the measured part, without warm-up and audit.
    pub elapsed_micros: u64,
    pub load: Load,
    pub counts: Counts,
    /// Of acknowledged messages.
    pub octets: u64,
    /// How often each answer came: `250`, `452 4.3.1`, `connection refused`, `timeout`.
    pub answers: BTreeMap<String, u64>,
    /// In the order in which they happen.
    pub phases: Vec<Phase>,
    /// How it went from second to second.
    pub seconds: Vec<Second>,
    pub usage: Option<Usage>,
    /// When all that was acknowledged had reached the mailboxes, if that was awaited.
    #[serde(default)]
    pub delivered: Option<Delivered>,
    /// Of a comparison: outcomes of the same round belong together.
    #[serde(default)]
    pub round: Option<u32>,
    pub audit: Option<Audit>,
    /// Of idle connections: the server's memory at each level, ascending.
    #[serde(default)]
    pub population: Vec<Held>,
    /// What a reader must know before he believes a figure: an unreached rate, a target that died.
    pub remarks: Vec<String>,
}

/// Where it was measured.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: u32,
    pub memory_bytes: u64,
    pub kernel: String,
    /// Kind of file system and of the device below it, of the folder that the server writes to.
    pub disk: String,
}

/// What was asked of the server.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Load {
    pub connections: u32,
    /// Operations a second that were to begin; `None` in a closed loop.
    pub rate: Option<f64>,
    /// `4k`, `classic`, …
    pub sizes: String,
    pub messages_per_connection: Option<u32>,
    /// Further settings, as they would be told: `pipelining`, `BDAT`, `TLS resumed`, `3 recipients`.
    pub with: Vec<String>,
}

/// Each attempted operation is counted once more below.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    pub attempted: u64,
    pub acknowledged: u64,
    /// 4yz, NO.
    pub deferred: u64,
    /// 5yz, BAD.
    pub refused: u64,
    /// No answer came: nobody knows what became of it.
    pub unanswered: u64,
}

/// How long one step took, over all that did it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Phase {
    /// `connect`, `tls`, `mail`, `rcpt`, `data`, `ack`, `inbox`, `fetch`, …
    pub name: String,
    pub count: u64,
    pub mean: f64,
    pub max: u64,
    /// Percentile and microseconds, ascending: 50, 90, 99, 99.9 and those that draw a curve.
    pub percentiles: Vec<(f64, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Second {
    pub done: u64,
    pub failed: u64,
    /// The slowest that ended in this second.
    pub micros_max: u64,
}

/// What it cost the server, from the first to the last measured operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    pub cpu_micros: u64,
    /// The most that was seen.
    pub resident_bytes: u64,
    /// Handed to the disk.
    pub written_bytes: u64,
    /// Of the device below the server's folder, whoever made it write.
    #[serde(default)]
    pub device: Option<DeviceUse>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DeviceUse {
    pub written_bytes: u64,
    pub writes: u64,
    pub flushes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Delivered {
    pub count: u64,
    /// From the begin of the measured part.
    pub elapsed_micros: u64,
}

/// The server's memory while it held so many connections that did nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Held {
    pub connections: u32,
    pub resident_bytes: u64,
}

/// What became of the messages that were acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Audit {
    pub acknowledged: u64,
    pub found: u64,
    /// Ids, at most [`Audit::NAMED_MAX`] of each kind; the counts are whole.
    pub missing: Vec<String>,
    pub missing_count: u64,
    pub doubled: Vec<String>,
    pub doubled_count: u64,
    pub altered: Vec<String>,
    pub altered_count: u64,
}

impl Audit {
    pub const NAMED_MAX: usize = 100;

    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.missing_count == 0 && self.doubled_count == 0 && self.altered_count == 0
    }
}

impl Outcome {
    /// Acknowledged operations a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.counts.acknowledged as f64 * 1e6 / self.elapsed_micros.max(1) as f64
    }

    /// Octets of the server's memory that each idle connection takes, from the first to the last
    /// level; the first one has none, or holds what a server needs for its very first.
    #[must_use]
    pub fn bytes_per_connection(&self) -> Option<f64> {
        let (first, last) = (self.population.first()?, self.population.last()?);
        let connections = last.connections.checked_sub(first.connections)?;
        let grown = last.resident_bytes as f64 - first.resident_bytes as f64;
        (connections > 0).then(|| grown / f64::from(connections))
    }

    /// Messages that reached their mailboxes, a second.
    #[must_use]
    pub fn delivered_rate(&self) -> Option<f64> {
        let delivered = self.delivered?;
        Some(delivered.count as f64 * 1e6 / delivered.elapsed_micros.max(1) as f64)
    }
}
