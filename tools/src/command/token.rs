//! `ringpostctl token`: secrets that may send mail by HTTP.

use crate::client::Client;
use anyhow::{Context, bail};
use clap::Subcommand;
use engine::config::inject::is_owner_name;
use engine::inject::{show_hash, token, token_hash};

#[derive(Subcommand)]
pub(crate) enum Token {
    /// Make a token: print the secret, and what goes into the configuration
    Make {
        /// How logs and events call it
        name: String,
    },
}

impl Token {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        let Token::Make { name } = self;
        if !is_owner_name(&name) || name.contains(['"', '\\']) {
            bail!("a name has 1 to 64 printable characters, without quotes");
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).context("the kernel gives no randomness")?;
        let secret = token(random);
        let hash = show_hash(&token_hash(&secret));
        if client.is_json() {
            let made = serde_json::json!({ "name": name, "token": secret, "hash": hash });
            println!("{made}");
            return Ok(());
        }
        println!("{secret}\n");
        println!("The token above is shown once: keep it where mail is sent from.");
        println!("Add to the configuration, and say as whom it may send:\n");
        println!("[[token]]\nname = \"{name}\"\nhash = \"{hash}\"");
        println!("senders = [\"@example.org\"]      # or account = \"alice@example.org\"");
        Ok(())
    }
}
