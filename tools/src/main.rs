//! `ringpostctl`: what an operator does with a Ringpost server or its store.
//!
//! A command speaks to the running server over its control socket; where none runs, it opens the
//! store itself.

// Tests stop at the first surprise.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

mod client;
mod command;
mod offline;
mod progress;
mod synthetic;
mod transfer;
mod usage;

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
    /// Mail for other hosts: what waits, for what, until when
    #[command(subcommand)]
    Queue(command::queue::Queue),
    /// The whole story of a message: who brought it, where it went or what it waits for
    Trace(command::trace::Trace),
    /// What came of TLS to other hosts, as RFC 8460 writes it down
    TlsReport(command::tls_report::TlsReport),
    /// Where mail to an address goes now: maps, aliases, routes, hosts and their TLS
    Route(command::route::Route),
    /// What is done about replies of other hosts
    #[command(subcommand)]
    Rule(command::rule::Rule),
    /// Who may do what with the mailboxes of an account
    #[command(subcommand)]
    Acl(command::mailbox::Acl),
    /// What an account uses, and what it may
    #[command(subcommand)]
    Quota(command::mailbox::Quota),
    /// What is noted of mailboxes and of the server (RFC 5464)
    #[command(subcommand)]
    Metadata(command::mailbox::Metadata),
    /// Addresses that no mail is sent to any more
    #[command(subcommand)]
    Suppress(command::suppress::Suppress),
    /// Keys that sign outgoing mail, and their DNS records
    #[command(subcommand)]
    Dkim(command::dkim::Dkim),
    /// Secrets that may send mail by HTTP
    #[command(subcommand)]
    Token(command::token::Token),
    /// Copy the store, running or not, into a backup; verify or prune one
    Backup(command::backup::Backup),
    /// Make a store of a backup again, or take mail of one account out of it
    Restore(command::restore::Restore),
    /// Write mail to files: mbox, Maildir, .eml; no server may have the store open
    Export(command::export::Export),
    /// Take mail in from files: mbox, Maildir, .eml; no server may have the store open
    Import(command::import::Import),
    /// Unique ids of POP3; no server may have the store open
    #[command(subcommand)]
    Uidl(command::uidl::Uidl),
    Synthetic(synthetic::Synthetic),
    /// Look at every byte of a store, and say what is damaged
    Fsck(command::fsck::Fsck),
    /// Print a file of a store, or one record, readably
    Dump(command::dump::Dump),
    /// Give back the space of what nobody needs any more; no server may have the store open
    Compact(command::compact::Compact),
    /// Sign all messages anew for searches; no server may have the store open
    Reindex(command::reindex::Reindex),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let client = client::Client::new(arguments.data.clone(), arguments.json);
    let outcome = match arguments.command {
        Command::Backup(backup) => backup.run(&arguments.data, &client),
        Command::Restore(restore) => restore.run(&arguments.data, &client).map(|()| true),
        Command::Account(account) => account.run(&client).map(|()| true),
        Command::Domain(domain) => domain.run(&client).map(|()| true),
        Command::Queue(queue) => queue.run(&client).map(|()| true),
        Command::Trace(trace) => trace.run(&client),
        Command::TlsReport(report) => report.run(&client).map(|()| true),
        Command::Route(route) => route.run(&client).map(|()| true),
        Command::Rule(rule) => rule.run(&client),
        Command::Acl(acl) => acl.run(&client).map(|()| true),
        Command::Quota(quota) => quota.run(&client).map(|()| true),
        Command::Metadata(metadata) => metadata.run(&client).map(|()| true),
        Command::Suppress(suppress) => suppress.run(&client),
        Command::Dkim(dkim) => dkim.run(&client).map(|()| true),
        Command::Token(token) => token.run(&client).map(|()| true),
        Command::Export(export) => export.run(&client),
        Command::Import(import) => import.run(&client),
        Command::Uidl(uidl) => uidl.run(&client),
        Command::Synthetic(synthetic) => synthetic.run(&arguments.data, &client).map(|()| true),
        Command::Fsck(fsck) => fsck.run(&client),
        Command::Dump(dump) => dump.run(&client),
        Command::Compact(compact) => compact.run(&client),
        Command::Reindex(reindex) => reindex.run(&client),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ringpostctl: {error:#}");
            usage::exit_code(&error)
        }
    }
}
