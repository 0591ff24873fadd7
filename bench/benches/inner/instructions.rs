//! Instructions of the operations, counted by valgrind: unlike times they are the same on a busy
//! machine, so that a change that costs more is seen at once.
//!
//! Each operation is run so and so often in one process and twice as often in another; the
//! difference is free of what start and preparation cost.

use super::op;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// More than that above the table is a regression, in hundredths.
const MORE_PERCENT_MAX: f64 = 5.0;

/// The same where the table was counted on another processor: valgrind shows programs one of its
/// own, with what the real one has, so that counts differ by little.
const ELSEWHERE_PERCENT_MAX: f64 = 10.0;

/// Has an operation run: what valgrind looks at.
pub(crate) const RUN: &str = "--run";

/// Counts and compares; fails where `checks` and something costs more.
pub(crate) fn main(checks: bool, writes: bool) -> ExitCode {
    match measure(writes) {
        Ok(more) if more.is_empty() => ExitCode::SUCCESS,
        Ok(more) => {
            eprintln!(
                "more instructions than bench/RESULTS.md allows: {}\n\
                 find out why; if it is worth it, say so in the commit and run \
                 `cargo bench -p bench -- --instructions --write`",
                more.join(", ")
            );
            ExitCode::from(u8::from(checks))
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn run(name: &str, runs: u32) {
    let operation = op::ALL.iter().find(|operation| operation.name == name);
    let mut run = (operation.expect("one of ours").prepare)();
    (0..runs).for_each(|_| run());
}

/// Counts everything; which operations cost more than the table says.
fn measure(writes: bool) -> Result<Vec<&'static str>, String> {
    let text = std::fs::read_to_string(table()).map_err(|error| error.to_string())?;
    let known = read(&text);
    let percent_max = match text.contains(&counted_on()) {
        true => MORE_PERCENT_MAX,
        false => ELSEWHERE_PERCENT_MAX,
    };
    let mut counted = BTreeMap::new();
    let mut more = Vec::new();
    println!(
        "{:18} {:>12} {:>12}",
        "operation", "instructions", "the table"
    );
    for operation in &op::ALL {
        let base = count(operation.name, operation.runs)?;
        let twice = count(operation.name, 2 * operation.runs)?;
        let each = (twice.saturating_sub(base) as f64 / f64::from(operation.runs)).round() as u64;
        counted.insert(operation.name, each);
        let change = known
            .get(operation.name)
            .map(|known| 100.0 * (each as f64 - *known as f64) / (*known).max(1) as f64);
        let shown = change.map_or("new".to_owned(), |change| format!("{change:+.1} %"));
        println!("{:18} {each:>12} {shown:>12}", operation.name);
        if change.is_none_or(|change| change > percent_max) {
            more.push(operation.name);
        }
    }
    println!("up to {percent_max} % more is fine here");
    if writes {
        let text = renewed(&text, &counted)?;
        std::fs::write(table(), text).map_err(|error| error.to_string())?;
        more.clear();
    }
    Ok(more)
}

/// Instructions of a process that runs an operation so often.
fn count(name: &str, runs: u32) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(own).args([RUN, name, &runs.to_string()]);
    let output = valgrind.output().map_err(|error| {
        format!("valgrind: {error}; install it, on Debian: apt-get install valgrind")
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let collected = collected.and_then(|(_, count)| count.trim().parse().ok());
    collected
        .filter(|_| output.status.success())
        .ok_or_else(|| format!("{name}: valgrind did not count:\n{said}"))
}

fn table() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md"))
}

/// Operation and instructions of each row `| name | what | instructions | commit |`.
fn read(text: &str) -> BTreeMap<&str, u64> {
    let row = |line: &'_ str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
        let count = cells.nth(1)?.replace(',', "").parse().ok()?;
        // The borrow of the name outlives the closure's argument only by way of the text.
        let start = text.find(name)?;
        Some((text.get(start..start + name.len())?, count))
    };
    text.lines().filter_map(row).collect()
}

/// The page with a new table between its marks.
fn renewed(text: &str, counted: &BTreeMap<&str, u64>) -> Result<String, String> {
    let (head, rest) = text
        .split_once(BEGIN)
        .ok_or("RESULTS.md has lost its mark")?;
    let (_, tail) = rest.split_once(END).ok_or("RESULTS.md has lost its mark")?;
    let commit = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .output();
    let commit = commit.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    });
    let mut rows =
        String::from("| operation | one run | instructions | at |\n|---|---|---:|---|\n");
    for operation in &op::ALL {
        let count = grouped(counted[operation.name]);
        let _ = writeln!(
            rows,
            "| `{}` | {} | {count} | {commit} |",
            operation.name, operation.what
        );
    }
    let on = counted_on();
    Ok(format!("{head}{BEGIN}\n{rows}\n{on}\n{END}{tail}"))
}

/// C libraries choose their loops by the processor.
fn counted_on() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("an unknown processor", |model| {
        model.trim_matches([' ', '\t', ':'])
    });
    format!("Counted on {model}.")
}

fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

const BEGIN: &str = "<!-- instructions -->";
const END: &str = "<!-- end -->";
