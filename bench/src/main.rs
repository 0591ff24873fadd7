//! `ringpost-bench`: what a mail server holds, how long a message takes, and whether any was lost.

#![forbid(unsafe_code)]
// Tests stop at the first surprise.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod client;
mod compare;
mod load;
mod measure;
mod outcome;
mod peer;
mod report;
mod scenario;

use clap::{Parser, Subcommand};
use engine::reactor::signal::{Signal, start_signals};
use outcome::Audit;
use scenario::imap::ImapArgs;
use scenario::mixed::MixedArgs;
use scenario::options::{Inject, ReportArgs, Usage};
use scenario::submit::{Ending, Kind};
use std::path::PathBuf;
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
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Mail into a server by SMTP
    Smtp(Box<Inject>),
    /// Mail into a server with a login: --password, --tls
    Submission(Box<Inject>),
    /// Mail into a server by LMTP
    Lmtp(Box<Inject>),
    Relay(Box<scenario::relay::RelayArgs>),
    /// Sessions that append, fetch, flag and search, or thousands of them in IDLE
    Imap(Box<ImapArgs>),
    /// Polls of mailboxes, a connection each
    Pop3(Box<scenario::pop3::Pop3Args>),
    /// Days of many users, compressed: arrivals, sessions with IDLE, answers, an audit at the end
    Mixed(Box<MixedArgs>),
    Sink(scenario::sink::SinkArgs),
    /// Synced writes without a server: what the disk below it takes, and its pauses
    Disk(scenario::disk::DiskArgs),
    Compare(Box<compare::command::Compare>),
    Report(report::command::Report),
    Peers(peer::command::Peers),
    /// Keeps a yard; started by the tool itself
    #[command(hide = true)]
    Keep {
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    engine::reactor::runtime::raise_descriptor_limit();
    let done = match arguments.command {
        Command::Smtp(inject) => submit(Kind::Smtp, &inject),
        Command::Submission(inject) => submit(Kind::Submission, &inject),
        Command::Lmtp(inject) => submit(Kind::Lmtp, &inject),
        Command::Imap(args) => interruption().and_then(|stop| {
            let ending = scenario::imap::imap(&args, stop)?;
            report(ending, &args.report)
        }),
        Command::Pop3(args) => interruption().and_then(|stop| {
            let ending = scenario::pop3::pop3(&args, stop)?;
            report(ending, &args.report)
        }),
        Command::Mixed(args) => interruption().and_then(|stop| {
            let ending = scenario::mixed::mixed(&args, stop)?;
            report(ending, &args.report)
        }),
        Command::Relay(relay) => interruption().and_then(|stop| {
            let ending = scenario::relay::relay(&relay, stop)?;
            report(ending, &relay.inject.report)
        }),
        Command::Sink(sink) => interruption()
            .and_then(|stop| report(scenario::sink::sink(&sink, &stop)?, &sink.report)),
        Command::Disk(args) => interruption()
            .and_then(|stop| report(scenario::disk::disk(&args, &stop)?, &args.report)),
        Command::Compare(compare) => interruption().and_then(|stop| compare.run(&stop)),
        Command::Report(report) => report.run().map(|()| ExitCode::SUCCESS),
        Command::Peers(peers) => peers.run().map(|()| ExitCode::SUCCESS),
        Command::Keep { folder } => peer::keeper::keep(&folder).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|why| {
        eprintln!("ringpost-bench: {why:#}");
        match why.is::<Usage>() {
            true => ExitCode::from(EXIT_USAGE),
            false => ExitCode::FAILURE,
        }
    })
}

fn submit(kind: Kind, inject: &Inject) -> anyhow::Result<ExitCode> {
    let ending = scenario::submit::submit(kind, inject, interruption()?)?;
    report(ending, &inject.report)
}

/// Prints and writes what was measured, and says by the exit code how it went.
fn report(ending: Ending, wanted: &ReportArgs) -> anyhow::Result<ExitCode> {
    let outcomes = std::slice::from_ref(&ending.outcome);
    print!("{}", report::summary(outcomes));
    let json = wanted
        .json
        .as_ref()
        .map(|file| report::write(file, outcomes));
    let page = wanted
        .html
        .as_ref()
        .map(|file| report::write_page(file, outcomes));
    // The one is written where the other cannot be.
    json.transpose().and(page.transpose())?;
    let is_clean = ending.outcome.audit.as_ref().is_none_or(Audit::is_clean);
    Ok(match (is_clean, ending.failed) {
        (false, _) => ExitCode::from(EXIT_AUDIT),
        (true, true) => ExitCode::FAILURE,
        (true, false) => ExitCode::SUCCESS,
    })
}

/// As clap says it, too.
const EXIT_USAGE: u8 = 2;

/// Messages were lost, doubled or altered.
const EXIT_AUDIT: u8 = 3;

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
