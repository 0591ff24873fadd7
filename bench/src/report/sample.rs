//! Outcomes that were never measured, for tests of what is said about them.

use crate::outcome::{
    Audit, Counts, Delivered, DeviceUse, Load, Machine, Outcome, Phase, Second, Usage,
};
use std::collections::BTreeMap;

/// Rounds of two servers, `A` and `B`, with their rates.
pub(super) fn comparison(rates: &[(f64, f64)]) -> Vec<Outcome> {
    let rounds = rates.iter().zip(0..);
    rounds
        .flat_map(|(&(a, b), round)| [outcome("A", a, round), outcome("B", b, round)])
        .collect()
}

pub(super) fn outcome(server: &str, rate: f64, round: u32) -> Outcome {
    let acknowledged = 10_000;
    let elapsed_micros = (acknowledged as f64 * 1e6 / rate) as u64;
    Outcome {
        scenario: "smtp".to_string(),
        command: ["ringpost-bench", "smtp", "<127.0.0.1:25>"]
            .map(str::to_string)
            .to_vec(),
        target: "127.0.0.1:25".to_string(),
        server: Some(server.to_string()),
        durability: Some("on the disk before 250".to_string()),
        machine: machine(),
        began_secs: 1_795_344_000,
        elapsed_micros,
        load: Load {
            connections: 10,
            sizes: "4k".to_string(),
            with: vec!["pipelining".to_string()],
            ..Load::default()
        },
        counts: Counts {
            attempted: acknowledged,
            acknowledged,
            ..Counts::default()
        },
        octets: acknowledged * 4096,
        answers: BTreeMap::from([("250".to_string(), acknowledged)]),
        phases: phases(rate),
        seconds: seconds(rate),
        usage: Some(usage(acknowledged)),
        delivered: Some(Delivered {
            count: acknowledged,
            elapsed_micros: elapsed_micros + elapsed_micros / 10,
        }),
        round: Some(round),
        audit: Some(Audit {
            acknowledged,
            found: acknowledged,
            ..Audit::default()
        }),
        ..Outcome::default()
    }
}

fn machine() -> Machine {
    Machine {
        processor: "Fast 9000".to_string(),
        cores: 2,
        memory_bytes: 24 << 30,
        kernel: "Linux 6.18".to_string(),
        disk: "ext4 on vda (write-back cache, no FUA)".to_string(),
    }
}

fn phases(rate: f64) -> Vec<Phase> {
    let curve = [0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];
    let phase = |name: &str, scale: f64| Phase {
        name: name.to_string(),
        count: 10_000,
        mean: 1e6 / rate * scale,
        max: (3e8 / rate * scale) as u64,
        percentiles: curve
            .map(|p| {
                (
                    p,
                    (1e6 / rate * scale * (1.0 + 2.0 * p / (100.01 - p))) as u64,
                )
            })
            .to_vec(),
    };
    vec![phase("connect", 0.2), phase("mail", 0.5), phase("ack", 1.0)]
}

fn seconds(rate: f64) -> Vec<Second> {
    let second = |at: u64| Second {
        done: rate as u64 + at * 37 % 100,
        failed: 0,
        micros_max: 1000 + at,
    };
    (0..20).map(second).collect()
}

fn usage(messages: u64) -> Usage {
    Usage {
        cpu_micros: messages * 100,
        resident_bytes: 61_000_000,
        written_bytes: messages * 5000,
        device: Some(DeviceUse {
            written_bytes: messages * 6000,
            writes: messages / 10,
            flushes: messages / 20,
        }),
    }
}
