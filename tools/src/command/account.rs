//! `ringpostctl account`: add, passwd, list, remove.

use crate::client::{Client, table};
use anyhow::{Context, bail};
use clap::Subcommand;
use engine::admin::wire::{Reply, Request};
use std::io::{BufRead, IsTerminal, Write};

#[derive(Subcommand)]
pub(crate) enum Account {
    /// Make an account; its password is asked for, or read as a line of standard input
    Add {
        /// The address, for example alice@example.org
        address: String,
        /// The most that its mail may take, for example "10 GiB"
        #[arg(long)]
        quota: Option<String>,
        /// The password, visible to everybody who sees the list of processes
        #[arg(long)]
        password: Option<String>,
    },
    /// Give an account another password
    Passwd {
        address: String,
        /// The password, visible to everybody who sees the list of processes
        #[arg(long)]
        password: Option<String>,
    },
    /// Show all accounts
    List,
    /// Remove an account with all its mail
    Remove {
        address: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl Account {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Account::Add {
                address,
                quota,
                password,
            } => {
                let quota_bytes = quota.as_deref().map(read_quota).transpose()?;
                let password = password.map_or_else(ask_password, Ok)?;
                client.order(Request::AccountAdd {
                    address: address.clone(),
                    password,
                    quota_bytes,
                })?;
                client.say(&format!("{address} can receive mail and log in"));
            }
            Account::Passwd { address, password } => {
                let password = password.map_or_else(ask_password, Ok)?;
                client.order(Request::AccountPasswd {
                    address: address.clone(),
                    password,
                })?;
                client.say(&format!("{address} has a new password"));
            }
            Account::List => list(client)?,
            Account::Remove { address, yes } => {
                if !yes {
                    confirm(&format!("Remove {address} with all its mail, for ever?"))?;
                }
                client.order(Request::AccountRemove {
                    address: address.clone(),
                })?;
                client.say(&format!("{address} is removed"));
            }
        }
        Ok(())
    }
}

fn read_quota(text: &str) -> anyhow::Result<u64> {
    engine::config::size(text).with_context(|| format!("--quota {text}: write it as \"10 GiB\""))
}

fn list(client: &Client) -> anyhow::Result<()> {
    let reply = client.order(Request::AccountList)?;
    let Reply::Accounts(accounts) = &reply else {
        bail!("the server answered something else")
    };
    if client.is_json() {
        println!("{}", serde_json::to_string(accounts)?);
        return Ok(());
    }
    let size = |bytes: u64| engine::config::show_size(bytes);
    let rows = accounts.iter().map(|account| {
        let quota = account.quota_bytes.map_or("-".to_owned(), size);
        let origin = format!("{:?}", account.origin).to_lowercase();
        [
            account.address.clone(),
            size(account.used_bytes),
            quota,
            origin,
        ]
    });
    print!("{}", table(["ADDRESS", "USED", "QUOTA", "FROM"], rows));
    Ok(())
}

/// Asks twice on a terminal, without showing it; otherwise the first line of standard input.
fn ask_password() -> anyhow::Result<String> {
    let first = read_secret("Password: ")?;
    if std::io::stdin().is_terminal() && read_secret("Once more: ")? != first {
        bail!("the two passwords are not the same");
    }
    if first.is_empty() {
        bail!("the password is empty");
    }
    Ok(first)
}

fn read_secret(prompt: &str) -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    let hidden = stdin.is_terminal().then(crate::client::HiddenInput::start);
    if hidden.is_some() {
        eprint!("{prompt}");
        std::io::stderr().flush()?;
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    if hidden.is_some() {
        eprintln!();
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn confirm(question: &str) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("{question} Say --yes.");
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if !line.trim().eq_ignore_ascii_case("y") {
        bail!("nothing was changed");
    }
    Ok(())
}
