//! `ringpostctl domain`: add, list, remove.

use crate::client::{Client, table};
use anyhow::bail;
use clap::Subcommand;
use engine::admin::wire::{Reply, Request};

#[derive(Subcommand)]
pub(crate) enum Domain {
    /// Receive mail for a domain
    Add {
        /// The name, for example example.org
        name: String,
        /// The account that gets mail for unknown recipients
        #[arg(long, value_name = "ADDRESS")]
        catch_all: Option<String>,
    },
    /// Show all domains
    List,
    /// Receive no more mail for a domain; its accounts keep what they have
    Remove { name: String },
}

impl Domain {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Domain::Add { name, catch_all } => {
                client.order(Request::DomainAdd {
                    name: name.clone(),
                    catch_all,
                })?;
                client.say(&format!("{name} is ours"));
            }
            Domain::List => list(client)?,
            Domain::Remove { name } => {
                client.order(Request::DomainRemove { name: name.clone() })?;
                client.say(&format!("{name} is not ours any more"));
            }
        }
        Ok(())
    }
}

fn list(client: &Client) -> anyhow::Result<()> {
    let reply = client.order(Request::DomainList)?;
    let Reply::Domains(domains) = &reply else {
        bail!("the server answered something else")
    };
    if client.is_json() {
        println!("{}", serde_json::to_string(domains)?);
        return Ok(());
    }
    let rows = domains.iter().map(|domain| {
        let catch_all = domain.catch_all.clone().unwrap_or_else(|| "-".to_owned());
        let origin = format!("{:?}", domain.origin).to_lowercase();
        [domain.name.clone(), catch_all, origin]
    });
    print!("{}", table(["DOMAIN", "CATCH-ALL", "FROM"], rows));
    Ok(())
}
