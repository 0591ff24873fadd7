//! The result as people read it on a terminal.

use super::live::duration;
use crate::outcome::{Audit, Outcome};
use indicatif::{HumanBytes, HumanCount};
use std::fmt::Write;

/// The whole summary.
pub(crate) fn summary(outcome: &Outcome) -> String {
    let mut text = String::new();
    let counts = outcome.counts;
    let secs = outcome.elapsed_micros as f64 / 1e6;
    // Into memory: it cannot fail.
    let _ = writeln!(
        text,
        "{}   {}",
        outcome.target,
        outcome.server.as_deref().unwrap_or("")
    );
    let _ = writeln!(
        text,
        "{:.0} messages/s: {} acknowledged in {secs:.2} s, {}/s",
        outcome.rate(),
        HumanCount(counts.acknowledged),
        HumanBytes((outcome.octets as f64 / secs.max(1e-6)) as u64),
    );
    let failed = counts.deferred + counts.refused + counts.unanswered;
    if failed > 0 {
        let _ = writeln!(
            text,
            "{} not acknowledged: {} deferred, {} refused, {} without an answer",
            HumanCount(failed),
            counts.deferred,
            counts.refused,
            counts.unanswered
        );
    }
    let answers: Vec<String> = outcome
        .answers
        .iter()
        .map(|(answer, count)| format!("{answer} × {}", HumanCount(*count)))
        .collect();
    let _ = writeln!(text, "answers: {}", answers.join(", "));
    if let Some(usage) = outcome.usage {
        let per = 1_000.0 / counts.acknowledged.max(1) as f64;
        let _ = writeln!(
            text,
            "server: {:.3} CPU s per 1,000 messages, {} resident, {} written a message",
            usage.cpu_micros as f64 / 1e6 * per,
            HumanBytes(usage.resident_bytes),
            HumanBytes(usage.written_bytes / counts.acknowledged.max(1)),
        );
    }
    phases(outcome, &mut text);
    if let Some(audit) = &outcome.audit {
        self::audit(audit, &mut text);
    }
    for remark in &outcome.remarks {
        let _ = writeln!(text, "note: {remark}");
    }
    text
}

fn audit(audit: &Audit, text: &mut String) {
    let _ = writeln!(
        text,
        "audit: {} acknowledged, {} found, {} missing, {} doubled, {} altered",
        HumanCount(audit.acknowledged),
        HumanCount(audit.found),
        audit.missing_count,
        audit.doubled_count,
        audit.altered_count,
    );
    for (what, ids) in [
        ("missing", &audit.missing),
        ("doubled", &audit.doubled),
        ("altered", &audit.altered),
    ] {
        for id in ids {
            let _ = writeln!(text, "  {what}: {id}");
        }
    }
}

fn phases(outcome: &Outcome, text: &mut String) {
    let columns = [50.0, 90.0, 99.0, 99.9];
    let _ = writeln!(
        text,
        "\n{:<10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "phase", "count", "p50", "p90", "p99", "p99.9", "max"
    );
    for phase in &outcome.phases {
        let _ = write!(text, "{:<10} {:>10}", phase.name, phase.count);
        for column in columns {
            let found = phase.percentiles.iter().find(|(at, _)| *at == column);
            let micros = found.map_or(0, |(_, micros)| *micros);
            let _ = write!(text, " {:>10}", duration(micros));
        }
        let _ = writeln!(text, " {:>10}", duration(phase.max));
    }
}
