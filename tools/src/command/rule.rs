//! `ringpostctl rule`: which rule holds for a reply, and all rules in their order.

use crate::client::{Client, table};
use anyhow::bail;
use clap::{Args, Subcommand};
use engine::admin::rules;
use engine::admin::wire::{Reply, Request, RuleAbout, RuleLine};
use engine::config::{Config, outbound::Rules};
use engine::serve::check_secret;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Rule {
    /// Say which rule holds for a reply of another host, and what it does
    Test {
        /// As a log has it, for example "421 4.7.28 Unusual rate"
        reply: String,
        /// As `queue top` names it, for example google
        #[arg(long, default_value = "")]
        site: String,
        /// The host that replied
        #[arg(long, default_value = "")]
        host: String,
        /// Of the recipient
        #[arg(long, default_value = "")]
        domain: String,
        /// connect hello tls login mail rcpt data; default: rcpt
        #[arg(long, default_value = "")]
        phase: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Show all rules in the order in which they are asked
    List {
        #[command(flatten)]
        whose: Whose,
    },
}

/// The running server's rules, unless something else is said.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct Whose {
    /// Those of a configuration that no server needs to have
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Those that came with this program
    #[arg(long)]
    shipped: bool,
}

impl Rule {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<bool> {
        match self {
            Rule::Test {
                reply,
                site,
                host,
                domain,
                phase,
                whose,
            } => {
                let about = RuleAbout {
                    site,
                    host,
                    domain,
                    phase,
                };
                let found = match whose.rules()? {
                    Some(rules) => {
                        rules::found(&rules, &reply, &about).map_err(anyhow::Error::msg)?
                    }
                    None => client.order(Request::RuleTest { reply, about })?,
                };
                test(client, found)
            }
            Rule::List { whose } => {
                let listed = match whose.rules()? {
                    Some(rules) => rules::listed(&rules),
                    None => client.order(Request::RuleList)?,
                };
                list(client, listed).map(|()| true)
            }
        }
    }
}

impl Whose {
    /// `None`: those of the running server.
    fn rules(&self) -> anyhow::Result<Option<Rules>> {
        if self.shipped {
            return Ok(Some(Rules::shipped()));
        }
        let Some(file) = &self.config else {
            return Ok(None);
        };
        let config = Config::read(file, &check_secret)?;
        Ok(Some(config.outbound.rules))
    }
}

/// `false`: none holds.
fn test(client: &Client, found: Reply) -> anyhow::Result<bool> {
    let Reply::RuleFound { rule, class } = &found else {
        bail!("the server answered something else")
    };
    if client.is_json() {
        println!("{}", serde_json::to_string(&found)?);
        return Ok(rule.is_some());
    }
    println!("class      {class}");
    let Some(rule) = rule else {
        println!("rule       none holds");
        return Ok(false);
    };
    println!("rule       {} ({})", rule.name, origin(rule));
    println!("when       {}", rule.when);
    if !rule.message.is_empty() {
        println!("message    {}", rule.message.join(", "));
    }
    if !rule.site.is_empty() {
        println!("site       {}{}", rule.site.join(", "), threshold(rule));
    }
    Ok(true)
}

fn list(client: &Client, listed: Reply) -> anyhow::Result<()> {
    let Reply::Rules(rules) = &listed else {
        bail!("the server answered something else")
    };
    if client.is_json() {
        println!("{}", serde_json::to_string(rules)?);
        return Ok(());
    }
    let rows = rules.iter().map(|rule| {
        let mut does = rule.message.join(", ");
        if !rule.site.is_empty() {
            let comma = if does.is_empty() { "" } else { "; " };
            does += &format!("{comma}{}{}", rule.site.join(", "), threshold(rule));
        }
        [rule.name.clone(), origin(rule), does]
    });
    print!("{}", table(["RULE", "FROM", "DOES"], rows));
    Ok(())
}

fn origin(rule: &RuleLine) -> String {
    match rule.line {
        0 => "shipped".to_owned(),
        line => format!("line {line}"),
    }
}

fn threshold(rule: &RuleLine) -> String {
    let threshold = rule.threshold.as_ref();
    threshold.map_or_else(String::new, |threshold| format!(", at {threshold}"))
}
