//! What one run measured, as data: what scenarios give, and reports and comparisons are made of.
//!
//! Its JSON is the tool's machine-readable output: fields are added, never renamed. Durations are
//! in microseconds, sizes in octets, moments in seconds since 1970.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The subcommand.
    pub(crate) scenario: String,
    /// The whole command line, so that anybody can repeat it.
    pub(crate) command: Vec<String>,
    /// `host:port`, or several of them with what each is for: `smtp 127.0.0.1:25, imap …`.
    pub(crate) target: String,
    /// What was loaded, as its greeting or whoever started it says.
    pub(crate) server: Option<String>,
    /// What the server has on disk when it says 250, if known.
    pub(crate) durability: Option<String>,
    pub(crate) machine: Machine,
    pub(crate) began_secs: i64,
    /// Of the measured part, without warm-up and audit.
    pub(crate) elapsed_micros: u64,
    pub(crate) load: Load,
    pub(crate) counts: Counts,
    /// Of acknowledged messages.
    pub(crate) octets: u64,
    /// How often each answer came: `250`, `452 4.3.1`, `connection refused`, `timeout`.
    pub(crate) answers: BTreeMap<String, u64>,
    /// In the order in which they happen.
    pub(crate) phases: Vec<Phase>,
    /// How it went from second to second.
    pub(crate) seconds: Vec<Second>,
    pub(crate) usage: Option<Usage>,
    /// When all that was acknowledged had reached the mailboxes, if that was awaited.
    #[serde(default)]
    pub(crate) delivered: Option<Delivered>,
    /// Of a comparison: outcomes of the same round belong together.
    #[serde(default)]
    pub(crate) round: Option<u32>,
    pub(crate) audit: Option<Audit>,
    /// Of idle connections: the server's memory at each level, ascending.
    #[serde(default)]
    pub(crate) population: Vec<Held>,
    /// What a reader must know before he believes a figure: an unreached rate, a target that died.
    pub(crate) remarks: Vec<String>,
}

/// Where it was measured.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: u32,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// Kind of file system and of the device below it, of the folder that the server writes to.
    pub(crate) disk: String,
}

/// What was asked of the server.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) connections: u32,
    /// Operations a second that were to begin; `None` in a closed loop.
    pub(crate) rate: Option<f64>,
    /// `4k`, `classic`, …
    pub(crate) sizes: String,
    pub(crate) messages_per_connection: Option<u32>,
    /// Further settings, as they would be told: `pipelining`, `BDAT`, `TLS resumed`.
    pub(crate) with: Vec<String>,
}

/// Each attempted operation is counted once more below.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) attempted: u64,
    pub(crate) acknowledged: u64,
    /// 4yz, NO.
    pub(crate) deferred: u64,
    /// 5yz, BAD.
    pub(crate) refused: u64,
    /// No answer came: nobody knows what became of it.
    pub(crate) unanswered: u64,
}

/// How long one step took, over all that did it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Phase {
    /// `connect`, `tls`, `mail`, `rcpt`, `data`, `ack`, `inbox`, `fetch`, …
    pub(crate) name: String,
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) max: u64,
    /// Percentile and microseconds, ascending: 50, 90, 99, 99.9 and those that draw a curve.
    pub(crate) percentiles: Vec<(f64, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Second {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// The slowest that ended in this second.
    pub(crate) micros_max: u64,
}

/// What it cost the server, from the first to the last measured operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) cpu_micros: u64,
    /// The most that was seen.
    pub(crate) resident_bytes: u64,
    /// Handed to the disk.
    pub(crate) written_bytes: u64,
    /// Of the device below the server's folder, whoever made it write.
    #[serde(default)]
    pub(crate) device: Option<DeviceUse>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DeviceUse {
    pub(crate) written_bytes: u64,
    pub(crate) writes: u64,
    pub(crate) flushes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Delivered {
    pub(crate) count: u64,
    /// From the begin of the measured part.
    pub(crate) elapsed_micros: u64,
}

/// The server's memory while it held so many connections that did nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) connections: u32,
    pub(crate) resident_bytes: u64,
}

/// What became of the messages that were acknowledged.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Audit {
    pub(crate) acknowledged: u64,
    pub(crate) found: u64,
    /// Ids, at most [`Audit::NAMED_MAX`] of each kind; the counts are whole.
    pub(crate) missing: Vec<String>,
    pub(crate) missing_count: u64,
    pub(crate) doubled: Vec<String>,
    pub(crate) doubled_count: u64,
    pub(crate) altered: Vec<String>,
    pub(crate) altered_count: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Counts) {
        self.attempted += other.attempted;
        self.acknowledged += other.acknowledged;
        self.deferred += other.deferred;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
    }
}

impl Audit {
    pub(crate) const NAMED_MAX: usize = 100;

    #[must_use]
    pub(crate) fn is_clean(&self) -> bool {
        self.missing_count == 0 && self.doubled_count == 0 && self.altered_count == 0
    }
}

impl Outcome {
    /// Acknowledged operations a second.
    #[must_use]
    pub(crate) fn rate(&self) -> f64 {
        self.counts.acknowledged as f64 * 1e6 / self.elapsed_micros.max(1) as f64
    }

    /// Octets of the server's memory that each idle connection takes, from the first to the last
    /// level; the first one has none, or holds what a server needs for its very first.
    #[must_use]
    pub(crate) fn bytes_per_connection(&self) -> Option<f64> {
        let (first, last) = (self.population.first()?, self.population.last()?);
        let connections = last.connections.checked_sub(first.connections)?;
        let grown = last.resident_bytes as f64 - first.resident_bytes as f64;
        (connections > 0).then(|| grown / f64::from(connections))
    }

    /// Messages that reached their mailboxes, a second.
    #[must_use]
    pub(crate) fn delivered_rate(&self) -> Option<f64> {
        let delivered = self.delivered?;
        Some(delivered.count as f64 * 1e6 / delivered.elapsed_micros.max(1) as f64)
    }
}
