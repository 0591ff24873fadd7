//! `ringpost-bench peers`: sets servers up, shows them, ends them.

use super::{Kind, Peer, Place, roster};
use anyhow::bail;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Set up other mail servers on loopback, in a scratch directory, and remove them
#[derive(Args, Debug)]
pub(crate) struct Peers {
    /// Where their folders are made; it decides which disk is measured
    #[arg(long, global = true, value_name = "DIR", default_value = SCRATCH)]
    scratch: PathBuf,
    #[command(subcommand)]
    order: Order,
}

#[derive(Subcommand, Debug)]
enum Order {
    /// Set up and start servers that run on until `down`
    Up {
        /// Which; `list` names them
        #[arg(required = true)]
        servers: Vec<Kind>,
        /// Mailboxes: user0@example.test and so on, password "secret"
        #[arg(long, default_value_t = USERS)]
        users: usize,
    },
    /// End servers and remove all they left
    Down {
        /// Which; all that `up` started if none is named
        servers: Vec<String>,
    },
    /// Show what runs, and what could be set up
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Peers {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.order {
            Order::Up { servers, users } => self.up(servers, *users),
            Order::Down { servers } => self.down(servers),
            Order::List { json: true } => self.list_json(),
            Order::List { json: false } => self.list(),
        }
    }

    fn up(&self, servers: &[Kind], users: usize) -> anyhow::Result<()> {
        let place = Place {
            scratch: self.scratch.clone(),
            users,
            next_hop: None,
        };
        let raised = servers.iter().map(|kind| Peer::raise(kind, &place));
        // If one fails, those that were raised before are dropped, and cleared with that.
        let peers = raised.collect::<anyhow::Result<Vec<Peer>>>()?;
        for peer in peers {
            let target = peer.detach()?;
            println!("{}: {}", target.name, target.doors.told());
        }
        Ok(())
    }

    fn down(&self, servers: &[String]) -> anyhow::Result<()> {
        let entries = roster::list(&self.scratch)?;
        for name in servers {
            if !entries.iter().any(|entry| entry.name() == name) {
                bail!("{name} is not up in {}", self.scratch.display());
            }
        }
        let named = |name: &str| servers.is_empty() || servers.iter().any(|wish| wish == name);
        for entry in entries.iter().filter(|entry| named(entry.name())) {
            entry.clear()?;
            println!("{}: ended and removed", entry.name());
        }
        Ok(())
    }

    fn list(&self) -> anyhow::Result<()> {
        for entry in roster::list(&self.scratch)? {
            let doors = entry
                .target
                .as_ref()
                .map_or_else(String::new, |target| target.doors.told());
            let state = match entry.keeper {
                Some(pid) => format!("pid {pid}"),
                None => "abandoned, `peers down` clears it".to_string(),
            };
            println!(
                "up  {:<16} {state}; {doors}; {}",
                entry.name(),
                entry.folder.display()
            );
        }
        for (name, what) in Kind::KNOWN {
            println!("    {name:<16} {what}");
        }
        Ok(())
    }

    fn list_json(&self) -> anyhow::Result<()> {
        let entries = roster::list(&self.scratch)?;
        let targets: Vec<_> = entries
            .into_iter()
            .filter_map(|entry| entry.target)
            .collect();
        println!("{}", serde_json::to_string_pretty(&targets)?);
        Ok(())
    }
}

/// On a disk: /tmp is memory on many machines.
pub(crate) const SCRATCH: &str = "/var/tmp";
pub(crate) const USERS: usize = 20;
