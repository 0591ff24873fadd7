//! `ringpostctl dkim`: make a key that signs mail, and show the DNS record that goes with it.
//!
//! Neither needs a server: a key is a file, and the record is made of the key.

use crate::client::Client;
use crate::usage::Usage;
use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use engine::config::{Config, Dkim as Entry, DkimAlgorithm, record_name};
use engine::serve::check_secret;
use engine::sign::{PrivateKey, record_strings, zone_entry};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(crate) enum Dkim {
    /// Make a key, write it to a file that only you can read, and print its DNS record
    Generate(Generate),
    /// Print the DNS record of a key, or of every key of a configuration
    Show(Show),
}

#[derive(Args)]
pub(crate) struct Generate {
    /// The domain whose mail it signs, for example example.org
    domain: String,
    /// A name for the key that the domain has not used before, for example a2026
    selector: String,
    /// Receivers all know rsa; ed25519 signs beside it
    #[arg(long, value_enum, default_value_t = Algorithm::Rsa)]
    algorithm: Algorithm,
    /// Where to write the key; default: SELECTOR.DOMAIN.pem
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Show {
    #[arg(requires = "selector", required_unless_present = "config")]
    domain: Option<String>,
    selector: Option<String>,
    /// The key; default: SELECTOR.DOMAIN.pem
    #[arg(long, value_name = "FILE", requires = "domain")]
    key: Option<PathBuf>,
    /// Show every key of this configuration file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["domain", "key"])]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Algorithm {
    Rsa,
    Ed25519,
}

impl Dkim {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<()> {
        match self {
            Dkim::Generate(generate) => generate.run(client),
            Dkim::Show(show) => show.run(client),
        }
    }
}

impl Generate {
    fn run(self, client: &Client) -> anyhow::Result<()> {
        let place = Place::new(&self.selector, &self.domain, self.key)?;
        let key = PrivateKey::generate(self.algorithm.into()).context("making a key")?;
        let pem = key.to_pem().context("writing the key down")?;
        write_private(&place.file, pem.as_bytes())
            .with_context(|| format!("{}", place.file.display()))?;
        let file = place.file.display();
        client.say(&format!("{file} holds the key; only you can read it.\n"));
        client.say("Put this record into the DNS:\n");
        place.print(&key, client)?;
        client.say(&place.next_steps(&key));
        Ok(())
    }
}

impl Show {
    fn run(self, client: &Client) -> anyhow::Result<()> {
        let (Some(domain), Some(selector)) = (&self.domain, &self.selector) else {
            let file = self.config.unwrap_or_default();
            return of_config(&file, client);
        };
        let place = Place::new(selector, domain, self.key)?;
        place.print(&read_key(&place.file)?, client)?;
        client.say(&format!("\n{}", place.check()));
        Ok(())
    }
}

fn of_config(file: &Path, client: &Client) -> anyhow::Result<()> {
    let config = Config::read(file, &check_secret).map_err(Usage::of)?;
    if config.dkim.is_empty() {
        client.say("there is no [[dkim]] in this file: nothing is signed");
    }
    for entry in config.dkim {
        let place = Place {
            selector: entry.selector,
            domain: entry.domain,
            file: entry.key,
        };
        place.print(&read_key(&place.file)?, client)?;
    }
    Ok(())
}

/// A key's names and its file.
struct Place {
    selector: String,
    domain: String,
    file: PathBuf,
}

impl Place {
    fn new(selector: &str, domain: &str, file: Option<PathBuf>) -> anyhow::Result<Place> {
        let (selector, domain) = Entry::names(selector, domain).map_err(Usage::of)?;
        let file = file.unwrap_or_else(|| PathBuf::from(format!("{selector}.{domain}.pem")));
        Ok(Place {
            selector,
            domain,
            file,
        })
    }

    fn print(&self, key: &PrivateKey, client: &Client) -> anyhow::Result<()> {
        let text = key.record().context("reading the public key")?;
        if !client.is_json() {
            println!("{}", zone_entry(&self.selector, &self.domain, &text));
            return Ok(());
        }
        let strings: Vec<&str> = record_strings(&text).collect();
        let shown = serde_json::json!({
            "name": record_name(&self.selector, &self.domain),
            "type": "TXT",
            "text": text,
            "strings": strings,
            "algorithm": key.algorithm().name(),
            "key": self.file.display().to_string(),
        });
        println!("{shown}");
        Ok(())
    }

    fn check(&self) -> String {
        let name = record_name(&self.selector, &self.domain);
        format!(
            "To check what the DNS says; it must be the same text, the quotes aside:\n\
             \n    dig +short TXT {name}"
        )
    }

    fn next_steps(&self, key: &PrivateKey) -> String {
        let (check, algorithm) = (self.check(), key.algorithm().name());
        format!(
            "\n{check}\n\nWhen it is there, put this into the configuration, and reload:\n\n\
             [[dkim]]\ndomain = \"{}\"\nselector = \"{}\"\nkey = \"{}\"\n\
             algorithm = \"{algorithm}\"",
            self.domain,
            self.selector,
            self.file.display()
        )
    }
}

impl From<Algorithm> for DkimAlgorithm {
    fn from(algorithm: Algorithm) -> DkimAlgorithm {
        match algorithm {
            Algorithm::Rsa => DkimAlgorithm::Rsa,
            Algorithm::Ed25519 => DkimAlgorithm::Ed25519,
        }
    }
}

fn read_key(file: &Path) -> anyhow::Result<PrivateKey> {
    let shown = || format!("{}", file.display());
    let pem = std::fs::read(file).with_context(shown)?;
    PrivateKey::from_pem(&pem)
        .map_err(anyhow::Error::msg)
        .with_context(shown)
}

/// A file that is there already is never replaced: it may hold the only copy of a key in use.
fn write_private(file: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut made = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    made.write_all(octets)?;
    made.sync_all()
}
