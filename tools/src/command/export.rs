//! `ringpostctl export`: mail as files that any other program reads.

use crate::client::Client;
use crate::transfer::Format;
use crate::transfer::export::{Order, run};
use clap::Args;
use std::path::PathBuf;

/// Each account becomes a folder DIR/ADDRESS, which must not be there yet. `ringpostctl import`
/// takes it back octet for octet, with flags, keywords, dates and UIDs. Exits with 1 if something
/// was left out.
#[derive(Args)]
pub(crate) struct Export {
    /// Whose mail; several times for several accounts, all if never
    #[arg(long = "account", value_name = "ADDRESS")]
    accounts: Vec<String>,
    /// A mailbox; several times for several, all if never
    #[arg(long = "mailbox", value_name = "NAME")]
    mailboxes: Vec<String>,
    /// How the mail is to lie there
    #[arg(long, value_enum)]
    format: Format,
    /// Write what was left out or odd to a file: kind, file, offset, reason, between tabs
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Where to
    #[arg(value_name = "DIR")]
    target: PathBuf,
}

impl Export {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<bool> {
        let order = Order {
            accounts: self.accounts,
            mailboxes: self.mailboxes,
            format: self.format,
            target: self.target,
            report: self.report,
        };
        run(client, order)
    }
}
