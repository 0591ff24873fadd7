//! `ringpostctl acl`, `quota`, `metadata`: what an owner's IMAP client could say of its mailboxes.

use crate::client::Client;
use anyhow::{Context, bail};
use clap::Subcommand;
use engine::admin::wire::{Reply, Request};

#[derive(Subcommand)]
pub(crate) enum Acl {
    /// Show who may do what with a mailbox
    Show { owner: String, mailbox: String },
    /// Give rights, in the letters of RFC 4314 (lrswipkxtea); +lr adds, -lr takes away
    Set {
        owner: String,
        mailbox: String,
        /// An address, or anyone
        who: String,
        #[arg(allow_hyphen_values = true)]
        rights: String,
    },
    /// Take all rights away from somebody
    Delete {
        owner: String,
        mailbox: String,
        who: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum Quota {
    /// Show what an account uses, and what it may
    Show { owner: String },
    /// Set the limits of an account; what is not named has none
    Set {
        owner: String,
        /// What its mail may take, for example "10 GiB"
        #[arg(long)]
        storage: Option<String>,
        #[arg(long)]
        messages: Option<u64>,
        #[arg(long)]
        mailboxes: Option<u64>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Metadata {
    /// Show what is noted of a mailbox, or with "" of the server
    Show {
        owner: String,
        mailbox: String,
        /// An entry with all below it
        #[arg(default_value = "/shared")]
        entry: String,
    },
    /// Note something
    Set {
        owner: String,
        mailbox: String,
        entry: String,
        /// Without one the entry is taken away
        value: Option<String>,
    },
}

impl Acl {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Acl::Show { owner, mailbox } => {
                say(client, owner, format!("GETACL {}", quoted(&mailbox)?))
            }
            Acl::Set {
                owner,
                mailbox,
                who,
                rights,
            } => {
                let (mailbox, who, rights) = (quoted(&mailbox)?, quoted(&who)?, quoted(&rights)?);
                say(client, owner, format!("SETACL {mailbox} {who} {rights}"))
            }
            Acl::Delete {
                owner,
                mailbox,
                who,
            } => {
                let (mailbox, who) = (quoted(&mailbox)?, quoted(&who)?);
                say(client, owner, format!("DELETEACL {mailbox} {who}"))
            }
        }
    }
}

impl Quota {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Quota::Show { owner } => {
                let command = format!("GETQUOTA {}", quoted(&owner)?);
                say(client, owner, command)
            }
            Quota::Set {
                owner,
                storage,
                messages,
                mailboxes,
            } => {
                let octets = storage.as_deref().map(octets).transpose()?;
                let limits = [
                    ("STORAGE", octets.map(|octets| octets.div_ceil(1024))),
                    ("MESSAGE", messages),
                    ("MAILBOX", mailboxes),
                ];
                let named = limits
                    .iter()
                    .filter_map(|(name, limit)| Some((name, (*limit)?)));
                let named: Vec<String> = named
                    .map(|(name, limit)| format!("{name} {limit}"))
                    .collect();
                let command = format!("SETQUOTA {} ({})", quoted(&owner)?, named.join(" "));
                say(client, owner, command)
            }
        }
    }
}

impl Metadata {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Metadata::Show {
                owner,
                mailbox,
                entry,
            } => {
                let (mailbox, entry) = (quoted(&mailbox)?, quoted(&entry)?);
                let command = format!("GETMETADATA (DEPTH infinity) {mailbox} {entry}");
                say(client, owner, command)
            }
            Metadata::Set {
                owner,
                mailbox,
                entry,
                value,
            } => {
                let (mailbox, entry) = (quoted(&mailbox)?, quoted(&entry)?);
                let value = value.map_or("NIL".to_owned(), |value| {
                    format!("{{{}+}}\r\n{value}", value.len())
                });
                say(
                    client,
                    owner,
                    format!("SETMETADATA {mailbox} ({entry} {value})"),
                )
            }
        }
    }
}

fn say(client: &Client, owner: String, command: String) -> anyhow::Result<()> {
    let Reply::Text(text) = client.order(Request::AsOwner { owner, command })? else {
        bail!("the server answered something else");
    };
    for line in text.lines() {
        client.say(line.strip_prefix("* ").unwrap_or(line));
    }
    Ok(())
}

/// A quoted string of IMAP (RFC 9051 §4.3).
fn quoted(text: &str) -> anyhow::Result<String> {
    if text.contains(char::is_control) {
        bail!("a name cannot hold control characters");
    }
    Ok(format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"")
    ))
}

fn octets(text: &str) -> anyhow::Result<u64> {
    engine::config::size(text).with_context(|| format!("{text} is no size, such as \"10 GiB\""))
}
