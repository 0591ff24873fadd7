//! `ringpost-bench`: what a mail server holds, how long a message takes, and whether any was lost.

#![forbid(unsafe_code)]
// Tests stop at the first surprise.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod client;
mod load;
mod measure;
mod outcome;
mod scenario;

use clap::{Parser, Subcommand};
use engine::reactor::signal::{Signal, start_signals};
use scenario::options::Inject;
use scenario::submit::{Kind, submit};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Loads a mail server from outside and tells what it held, how long messages took, and whether
/// any was lost.
///
/// Exit code: 0 all went well; 1 the target refused, stopped answering, or a report could not be
/// written; 2 the command line is wrong; 3 the audit found messages lost, doubled or altered.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Mail into a server by SMTP
    Smtp(Inject),
    /// Mail into a server with a login: --password, --tls
    Submission(Inject),
    /// Mail into a server by LMTP
    Lmtp(Inject),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    engine::reactor::runtime::raise_descriptor_limit();
    match load(&arguments.scenario) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ringpost-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn load(scenario: &Scenario) -> anyhow::Result<ExitCode> {
    let stop = interruption()?;
    let (kind, inject) = match scenario {
        Scenario::Smtp(inject) => (Kind::Smtp, inject),
        Scenario::Submission(inject) => (Kind::Submission, inject),
        Scenario::Lmtp(inject) => (Kind::Lmtp, inject),
    };
    let ending = submit(kind, inject, stop)?;
    print!("{}", scenario::summary::summary(&ending.outcome));
    if let Some(file) = &inject.report.json {
        let text = serde_json::to_string_pretty(&ending.outcome)?;
        std::fs::write(file, text + "\n")
            .map_err(|error| anyhow::anyhow!("cannot write {}: {error}", file.display()))?;
    }
    Ok(match ending.failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// The first signal ends the run early, the second one ends the process.
fn interruption() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = stop.clone();
    start_signals(move |signal| {
        if signal == Signal::Stop && set.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })?;
    Ok(stop)
}
