//! `ringpost-bench`: what a mail server holds, how long a message takes, and whether any was lost.

#![forbid(unsafe_code)]
// Tests stop at the first surprise.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod measure;
mod outcome;
mod peer;
mod report;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// What a mail server holds, how long a message takes, and whether any was lost.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Report(report::command::Report),
    Peers(peer::command::Peers),
    /// Keeps a yard; started by the tool itself
    #[command(hide = true)]
    Keep {
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Report(report) => report.run(),
        Command::Peers(peers) => peers.run(),
        Command::Keep { folder } => peer::keeper::keep(&folder),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("ringpost-bench: {why:#}");
            ExitCode::FAILURE
        }
    }
}
