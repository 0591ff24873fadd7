//! `ringpostctl`: what an operator does with a Ringpost server or its store.
//!
//! A command speaks to the running server over its control socket; where none runs, it opens the
//! store itself.

mod client;
mod command;
mod offline;
mod synthetic;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Looks after a Ringpost server: accounts and domains.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    /// The data directory of the server
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "ringpost-data"
    )]
    data: PathBuf,
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Accounts that the store keeps, beside those of the configuration file
    #[command(subcommand)]
    Account(command::account::Account),
    /// Domains that the store keeps, beside those of the configuration file
    #[command(subcommand)]
    Domain(command::domain::Domain),
    /// Copy the store, running or not, into a backup
    Backup(command::backup::Backup),
    /// Make a store of a backup again, or take mail of one account out of it
    Restore(command::restore::Restore),
    Synthetic(synthetic::Synthetic),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let client = client::Client::new(arguments.data.clone(), arguments.json);
    let outcome = match arguments.command {
        Command::Account(account) => account.run(&client),
        Command::Domain(domain) => domain.run(&client),
        Command::Backup(backup) => backup.run(&arguments.data, &client),
        Command::Restore(restore) => restore.run(&arguments.data, &client),
        Command::Synthetic(synthetic) => synthetic.run(&arguments.data, &client),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringpostctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}
