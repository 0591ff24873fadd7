//! `ringpostctl dump`: any file of a store, or one record, in lines that a person can read.
//!
//! It looks beside a running server too: files that are written once are whole, and the end of the
//! log is where it was when it was looked at.

use crate::client::Client;
use crate::usage::Usage;
use clap::Args;
use std::io::{self, BufWriter, Write};
use store::check::Owner;
use store::check::dump::{Line, What, dump, files};
use store::disk::blocking::{BlockingDisk, run};
use store::disk::home::{Identity, read_identity, shard_directory};
use store::mail::id::ShardId;

/// Prints what is there, damage included, and goes on behind it. Changes nothing. Exits with 1 if
/// something is damaged.
#[derive(Args)]
pub(crate) struct Dump {
    /// The shard, from 0
    #[arg(long, default_value_t = 0)]
    shard: u16,
    /// MANIFEST, a file below the shard (log/0000000000000001.log), or a record: SEGMENT:OFFSET or
    /// PACK:BLOCK:RECORD, as fsck and dump name it; without it, all files are listed
    what: Option<String>,
}

impl Dump {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<bool> {
        let identity = identity(client)?;
        // The name of a file may say its shard.
        let named = self.what.as_deref().and_then(shard_of);
        let shard = named.unwrap_or(self.shard);
        if shard >= identity.shards {
            let shards = identity.shards;
            return Err(Usage::of(format!("the store has {shards} shards, from 0")));
        }
        let owner = Owner {
            store: identity.uuid,
            shard: ShardId(shard),
            directory: shard_directory(shard),
        };
        let what: Option<What> = match &self.what {
            Some(text) => Some(text.parse().map_err(Usage::of)?),
            None => None,
        };
        print(client, &owner, what)
    }
}

fn identity(client: &Client) -> anyhow::Result<Identity> {
    read_identity(&client.data().join("store")).map_err(Usage::of)
}

fn print(client: &Client, owner: &Owner, what: Option<What>) -> anyhow::Result<bool> {
    let disk = BlockingDisk::new(client.data());
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut is_sound, mut written) = (true, Ok(()));
    let mut sink = |line: Line| {
        let is_damage = line.kind == "damage" || line.fields.iter().any(|(n, _)| *n == "damage");
        is_sound &= !is_damage;
        if written.is_ok() {
            written = match client.is_json() {
                true => writeln!(out, "{}", json(&line)),
                false => writeln!(out, "{line}"),
            };
        }
    };
    match what {
        Some(what) => run(dump(&disk, owner, &what, &mut sink)),
        None => run(files(&disk, owner, &mut sink)),
    }
    match written.and_then(|()| out.flush()) {
        // Whoever reads has enough: `| head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    Ok(is_sound)
}

fn json(line: &Line) -> serde_json::Value {
    let fields = line.fields.iter();
    let fields = fields.map(|(name, value)| ((*name).to_owned(), value.as_str().into()));
    let mut object: serde_json::Map<String, serde_json::Value> = fields.collect();
    object.insert("line".to_owned(), line.kind.into());
    object.into()
}

/// `shard-03/log/…` is of shard 3.
fn shard_of(what: &str) -> Option<u16> {
    let directory = what.split('/').find_map(|part| part.strip_prefix("shard-"));
    directory?.parse().ok()
}
