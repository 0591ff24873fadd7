//! `ringpostctl import`: mail of other servers and of our own exports.

use crate::client::Client;
use crate::transfer::Format;
use crate::transfer::import::{Order, run};
use crate::transfer::landing::Terms;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// A message that is in the mailbox already, with the same date and octets, is not taken twice: an
/// import that was interrupted can simply be run again. UIDs and UIDVALIDITY are kept where the
/// mailbox is new or empty. Exits with 1 if something was left out.
#[derive(Args)]
pub(crate) struct Import {
    /// Who gets the mail
    #[arg(long, value_name = "ADDRESS")]
    account: String,
    /// The mailbox, if not the one that the source names; of a tree, the one above it
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// How the mail lies there
    #[arg(long, value_enum, default_value = "auto")]
    format: Given,
    /// Leave out what is beyond the quota of the account; without this it is not asked
    #[arg(long)]
    quota: bool,
    /// Take X-UIDL headers for unique ids of POP3; those of an mbox and of a dovecot-uidlist are
    /// taken in any case
    #[arg(long)]
    x_uidl: bool,
    /// Write what was left out or odd to a file: kind, file, offset, reason, between tabs
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Files or folders
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Given {
    Auto,
    Mbox,
    Maildir,
    Eml,
}

impl Import {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<bool> {
        let order = Order {
            address: self.account,
            mailbox: self.mailbox,
            format: match self.format {
                Given::Auto => None,
                Given::Mbox => Some(Format::Mbox),
                Given::Maildir => Some(Format::Maildir),
                Given::Eml => Some(Format::Eml),
            },
            sources: self.sources,
            terms: Terms {
                obeys_quota: self.quota,
                reads_x_uidl: self.x_uidl,
            },
            report: self.report,
        };
        run(client, order)
    }
}
