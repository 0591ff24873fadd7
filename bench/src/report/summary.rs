//! A readable summary for a terminal: what was asked, what came out, and what to know about it.

use super::figure;
use super::group::{Figure, Group, Question, Spread, questions};
use super::table::Table;
use crate::outcome::{Audit, Held, Outcome};
use std::fmt::Write;

/// Everything about all outcomes, ready to print.
pub(crate) fn summary(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for question in questions(outcomes) {
        let _ = writeln!(text, "{}\n", question.told());
        if question.groups.len() > 1 {
            let (servers, ratios) = (comparison(&question), ratios(&question));
            let _ = writeln!(text, "{}\n{}", servers.text(), ratios.text());
        }
        for group in &question.groups {
            describe(&mut text, group);
        }
    }
    if let Some(first) = outcomes.first() {
        surroundings(&mut text, first);
    }
    text
}

/// One run in one line, while others are still to come.
pub(crate) fn line(outcome: &Outcome) -> String {
    let server = outcome.server.as_deref().unwrap_or(&outcome.target);
    let round = outcome
        .round
        .map_or_else(String::new, |round| format!("round {}: ", round + 1));
    let told = COLUMNS.into_iter().filter_map(|(figure, name)| {
        let value = figure.of(outcome)?;
        Some(format!("{} {name}", told(figure, value)))
    });
    format!("{round}{server}: {}", told.collect::<Vec<_>>().join(", "))
}

/// Servers in lines, figures in columns.
pub(super) fn comparison(question: &Question) -> Table {
    let figures = known(question);
    let mut table = Table::new(head("server", &figures));
    for group in &question.groups {
        let told = figures.iter().map(|(figure, _)| value(group, *figure));
        let spread = group
            .spread(question.rate())
            .map_or_else(String::new, told_spread);
        table.line(
            [group.server.to_string()]
                .into_iter()
                .chain(told)
                .chain([spread]),
        );
    }
    table
}

/// How many times the first server's figures are those of each other one.
pub(super) fn ratios(question: &Question) -> Table {
    let figures = known(question);
    let Some((first, others)) = question.groups.split_first() else {
        return Table::bare();
    };
    let mut table = Table::new(head(&format!("{} ÷", first.server), &figures));
    for other in others {
        let ratios = figures.iter().map(|(figure, _)| {
            let ratio = first.ratio(other, *figure);
            ratio.map_or_else(String::new, |ratio| figure::ratio(ratio.median))
        });
        let spread = first
            .ratio(other, question.rate())
            .map_or_else(String::new, ratio_spread);
        table.line(
            [other.server.to_string()]
                .into_iter()
                .chain(ratios)
                .chain([spread]),
        );
    }
    table
}

fn known(question: &Question) -> Vec<(Figure, &'static str)> {
    let known = COLUMNS
        .into_iter()
        .filter(|(figure, _)| question.knows(*figure));
    known.collect()
}

fn head(first: &str, figures: &[(Figure, &str)]) -> Vec<String> {
    let names = figures.iter().map(|(_, name)| *name);
    [first]
        .into_iter()
        .chain(names)
        .chain(["spread"])
        .map(str::to_string)
        .collect()
}

fn ratio_spread(spread: Spread) -> String {
    if spread.count < 2 {
        return "1 pair".to_string();
    }
    format!(
        "{} … {}",
        figure::ratio(spread.min),
        figure::ratio(spread.max)
    )
}

fn value(group: &Group, figure: Figure) -> String {
    group
        .spread(figure)
        .map_or_else(|| "–".to_string(), |spread| told(figure, spread.median))
}

/// A figure with its unit, where its column does not say it.
pub(super) fn told(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Accepted | Figure::Delivered | Figure::Cpu => figure::number(value),
        Figure::Written | Figure::DeviceWritten | Figure::Resident => figure::bytes(value),
    }
}

/// `9,800 … 10,400 (± 3 %, 5 runs)`.
pub(super) fn told_spread(spread: Spread) -> String {
    if spread.count < 2 {
        return "1 run".to_string();
    }
    let (min, max) = (figure::number(spread.min), figure::number(spread.max));
    let percent = spread.percent();
    format!("{min} … {max} (± {percent:.0} %, {} runs)", spread.count)
}

fn describe(text: &mut String, group: &Group) {
    let Some(first) = group.runs.first() else {
        return;
    };
    let _ = writeln!(text, "{}", group.server);
    let mut facts = Table::bare();
    facts.line(["target".to_string(), first.target.clone()]);
    for (figure, name) in COLUMNS {
        if let Some(spread) = group.spread(figure) {
            let median = told(figure, spread.median);
            let told = format!("{median}{}", behind(figure, spread));
            facts.line([name.to_string(), told]);
        }
    }
    facts.line([operations(first).to_string(), messages(group)]);
    tell_answers(&mut facts, group);
    for run in &group.runs {
        for line in population(run) {
            facts.line(["memory".to_string(), line]);
        }
        if let Some(audit) = &run.audit {
            facts.line(["audit".to_string(), audit_told(audit)]);
        }
    }
    for remark in remarks(group) {
        facts.line(["remark".to_string(), remark]);
    }
    if let Some(durability) = &first.durability {
        facts.line(["durability".to_string(), durability.clone()]);
    }
    text.push_str(&facts.text());
    let phases = phases(group);
    if !phases.is_empty() {
        let _ = write!(text, "\n{}", phases.text());
    }
    text.push('\n');
}

/// What was counted.
pub(super) fn operations(outcome: &Outcome) -> &'static str {
    match outcome.scenario.as_str() {
        "imap" => "operations",
        "pop3" => "polls",
        "disk" => "writes",
        _ => "messages",
    }
}

/// What idle connections cost the server, level by level.
pub(super) fn population(run: &Outcome) -> Vec<String> {
    let level = |held: &Held| {
        let (connections, resident) = (held.connections, held.resident_bytes);
        let connections = figure::count(u64::from(connections));
        let resident = figure::bytes(resident as f64);
        format!("{resident} with {connections} connections in IDLE")
    };
    let each = run.bytes_per_connection().map(|bytes| {
        format!(
            "{} KiB a connection in IDLE",
            figure::number(bytes / 1024.0)
        )
    });
    run.population.iter().map(level).chain(each).collect()
}

fn behind(figure: Figure, spread: Spread) -> String {
    let is_rate = matches!(figure, Figure::Accepted | Figure::Delivered);
    let known = is_rate && spread.count > 1;
    if known {
        format!("   {}", told_spread(spread))
    } else {
        String::new()
    }
}

/// Steps of the dialogue in lines, percentiles in columns.
pub(super) fn phases(group: &Group) -> Table {
    let head = [
        "phase", "count", "mean", "p50", "p90", "p99", "p99.9", "max",
    ];
    let mut table = Table::new(head.map(str::to_string));
    for phase in group.phases() {
        let at = |percentile: f64| {
            let found = phase.percentiles.iter().find(|(p, _)| *p == percentile);
            found.map_or_else(|| "–".to_string(), |(_, micros)| figure::micros(*micros))
        };
        table.line([
            phase.name.clone(),
            figure::count(phase.count),
            figure::micros(phase.mean.max(0.0) as u64),
            at(50.0),
            at(90.0),
            at(99.0),
            at(99.9),
            figure::micros(phase.max),
        ]);
    }
    table
}

/// `20,000 acknowledged in 2.00 s, 41.5 MB a second; 3 deferred`, over all repeats.
pub(super) fn messages(group: &Group) -> String {
    let sum = |of: fn(&Outcome) -> u64| group.runs.iter().map(|run| of(run)).sum::<u64>();
    let micros = sum(|run| run.elapsed_micros);
    let octets = sum(|run| run.octets) as f64 * 1e6 / micros.max(1) as f64;
    let acknowledged = figure::count(sum(|run| run.counts.acknowledged));
    let (time, speed) = (figure::micros(micros), figure::bytes(octets));
    let mut told = format!("{acknowledged} acknowledged in {time}, {speed} a second");
    for (what, count) in [
        ("deferred", sum(|run| run.counts.deferred)),
        ("refused", sum(|run| run.counts.refused)),
        ("without an answer", sum(|run| run.counts.unanswered)),
    ] {
        if count > 0 {
            let _ = write!(told, ", {} {what}", figure::count(count));
        }
    }
    told
}

/// `250 × 20,000, 452 4.3.1 × 12`, over all repeats; where nobody answers, nothing.
pub(super) fn tell_answers(facts: &mut Table, group: &Group) {
    let mut sums = std::collections::BTreeMap::<&str, u64>::new();
    for (answer, count) in group.runs.iter().flat_map(|run| &run.answers) {
        *sums.entry(answer).or_default() += count;
    }
    let told = sums
        .iter()
        .map(|(answer, count)| format!("{answer} × {}", figure::count(*count)));
    let told = told.collect::<Vec<_>>().join(", ");
    if !told.is_empty() {
        facts.line(["answers".to_string(), told]);
    }
}

pub(super) fn audit_told(audit: &Audit) -> String {
    let mut told = format!(
        "{} acknowledged, {} found",
        figure::count(audit.acknowledged),
        figure::count(audit.found)
    );
    let kinds = [
        ("missing", audit.missing_count, &audit.missing),
        ("doubled", audit.doubled_count, &audit.doubled),
        ("altered", audit.altered_count, &audit.altered),
    ];
    for (what, count, ids) in kinds {
        if count == 0 {
            let _ = write!(told, ", none {what}");
        } else {
            let _ = write!(told, ", {} {what}: {}", figure::count(count), ids.join(" "));
        }
    }
    told
}

/// Each once.
pub(super) fn remarks(group: &Group) -> Vec<String> {
    let mut remarks: Vec<String> = Vec::new();
    for remark in group.runs.iter().flat_map(|run| &run.remarks) {
        if !remarks.contains(remark) {
            remarks.push(remark.clone());
        }
    }
    remarks
}

fn surroundings(text: &mut String, outcome: &Outcome) {
    let mut facts = Table::bare();
    for (name, value) in circumstances(outcome) {
        facts.line([name.to_string(), value]);
    }
    text.push_str(&facts.text());
}

/// Where and how it was measured.
pub(super) fn circumstances(outcome: &Outcome) -> [(&'static str, String); 4] {
    let machine = &outcome.machine;
    let memory = figure::bytes(machine.memory_bytes as f64);
    let processor = format!("{}, {} cores, {memory}", machine.processor, machine.cores);
    let disk = match machine.disk.as_str() {
        "" => "not known: --folder says where the server writes",
        known => known,
    };
    [
        ("machine", format!("{processor}, {}", machine.kernel)),
        ("disk", disk.to_owned()),
        (
            "began",
            format!("{} UTC", figure::moment(outcome.began_secs)),
        ),
        ("command", command(outcome)),
    ]
}

/// As a shell would take it.
fn command(outcome: &Outcome) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let words = outcome
        .command
        .iter()
        .map(|word| match word.chars().all(is_plain) {
            true if !word.is_empty() => word.clone(),
            _ => format!("'{}'", word.replace('\'', r"'\''")),
        });
    words.collect::<Vec<_>>().join(" ")
}

const COLUMNS: [(Figure, &str); 6] = [
    (Figure::Accepted, "accepted/s"),
    (Figure::Delivered, "delivered/s"),
    (Figure::Cpu, "CPU s/1,000"),
    (Figure::Written, "written each"),
    (Figure::DeviceWritten, "by the disk"),
    (Figure::Resident, "memory"),
];

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn a_comparison_says_rates_costs_ratios_and_spread() {
        let outcomes =
            sample::comparison(&[(10_000.0, 400.0), (11_000.0, 440.0), (9_000.0, 450.0)]);
        let text = summary(&outcomes);
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        assert!(line("A ÷ ").contains("CPU s/1,000"), "{text}");
        let ratio = text
            .lines()
            .find(|line| line.contains("20.0 × … 25.0 ×"))
            .unwrap();
        assert!(
            ratio.starts_with("B ") && ratio.contains("25.0 × "),
            "{text}"
        );
        assert!(line("A  ").contains("10,000"), "{text}");
        for wanted in [
            "smtp, 10 connections, 4k, as fast as it goes, pipelining",
            "none missing, none doubled, none altered",
            "250 × 30,000",
            "Fast 9000, 2 cores",
            "no FUA",
            "on the disk before 250",
            "'<127.0.0.1:25>'",
            "2026-11-22",
            "3 runs",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
    }

    #[test]
    fn what_was_lost_is_named() {
        let mut outcome = sample::outcome("A", 10.0, 0);
        outcome.audit = Some(Audit {
            acknowledged: 3,
            found: 2,
            missing: vec!["id-7".to_string()],
            missing_count: 1,
            ..Audit::default()
        });
        outcome.remarks = vec!["the target died".to_string()];
        let text = summary(&[outcome]);
        assert!(
            text.contains("1 missing: id-7") && text.contains("the target died"),
            "{text}"
        );
    }

    #[test]
    fn nothing_is_said_about_nothing() {
        assert_eq!(summary(&[]), "");
    }
}
