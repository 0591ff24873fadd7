//! The inner operations of the house: their time, and the instructions that they take.
//!
//! ```text
//! cargo bench -p bench                                       # times, by criterion
//! cargo bench -p bench -- --instructions                     # counts and compares, by valgrind
//! cargo bench -p bench -- --instructions --check             # ends with 1 where more is spent
//! cargo bench -p bench -- --instructions --write             # the counts become the table
//! ```

#![allow(clippy::indexing_slicing)]

mod instructions;
mod op;

use criterion::{BenchmarkId, Criterion};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, runs] = &arguments[..]
        && flag == instructions::RUN
    {
        instructions::run(name, runs.parse().expect("a number of runs"));
        return ExitCode::SUCCESS;
    }
    let wants = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if wants("--instructions") {
        return instructions::main(wants("--check"), wants("--write"));
    }
    times();
    ExitCode::SUCCESS
}

fn times() {
    let mut criterion = Criterion::default().configure_from_args();
    for operation in &op::ALL {
        let mut run = (operation.prepare)();
        let mut group = criterion.benchmark_group(operation.name);
        let id = BenchmarkId::from_parameter(operation.what);
        group.bench_function(id, |bencher| bencher.iter(&mut run));
        group.finish();
    }
    criterion.final_summary();
}
