//! `ringpostctl fsck`: looks at every byte of a store that no server has open, and says what is
//! wrong with whose mail.
//!
//! Exit codes: 0 clean, 1 damage was found, 2 the store cannot be looked at.

use crate::client::{Client, table};
use crate::transfer::progress::Progress;
use crate::usage::Usage;
use clap::Args;
use serde_json::json;
use std::path::Path;
use store::check::{self, Damage, Event, Owner, Summary};
use store::disk::blocking::{BlockingDisk, run};
use store::disk::home::{HomeError, Seen, shard_directory};
use store::mail::id::ShardId;

/// Reads every file of the store and names each damage: file, offset, account, mailbox, UID. Changes
/// nothing, so the directory may be read-only. Exits with 0 when all is well, 1 when something is
/// damaged, 2 when the store cannot be looked at.
#[derive(Args)]
pub(crate) struct Fsck {}

impl Fsck {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<bool> {
        let seen = look(client.data())?;
        let total = look_through(client, &seen);
        client.say(&summary(&total));
        if client.is_json() {
            println!("{}", json_summary(&total));
        }
        match total.damage_count() {
            0 => client.say("The store is clean."),
            count => client.say(&advice(count)),
        }
        Ok(total.is_clean())
    }
}

/// Opens a store to look at it.
pub(crate) fn look(data: &Path) -> anyhow::Result<Seen> {
    Seen::open(data).map_err(|error| match error {
        HomeError::InUse(path) => Usage::of(format!(
            "{} is in use: stop the server (systemctl stop ringpost, or SIGTERM) and run this \
             again, or look at a copy that `ringpostctl backup` made; nothing was changed",
            path.display()
        )),
        other => Usage::of(other),
    })
}

/// Checks all shards and tells what is found.
pub(crate) fn look_through(client: &Client, seen: &Seen) -> Summary {
    let disk = BlockingDisk::new(&seen.path);
    let owners: Vec<Owner> = (0..seen.identity.shards)
        .map(|shard| owner(seen, shard))
        .collect();
    let bytes = owners.iter().map(|owner| run(check::bytes(&disk, owner)));
    let progress = Progress::of(bytes.sum());
    let mut total = Summary::default();
    let mut absent = Vec::new();
    for owner in &owners {
        let mut listener = |event| tell(client, &progress, event);
        let found = run(check::check(&disk, owner, &mut listener));
        if found.is_absent {
            absent.push(owner.directory.clone());
        }
        total.add(&found);
    }
    // Where there is nothing at all, the server has never run.
    if absent.len() < owners.len() {
        for directory in absent {
            let damage = Damage::missing_shard(&directory);
            *total.damages.entry(damage.part).or_default() += 1;
            tell(client, &progress, Event::Damage(damage));
        }
    }
    progress.end();
    total
}

pub(crate) fn owner(seen: &Seen, shard: u16) -> Owner {
    Owner {
        store: seen.identity.uuid,
        shard: ShardId(shard),
        directory: shard_directory(shard),
    }
}

fn tell(client: &Client, progress: &Progress, event: Event) {
    match event {
        Event::Bytes(bytes) => progress.octets(bytes),
        Event::Damage(damage) if client.is_json() => {
            progress.aside(|| println!("{}", json_damage(&damage)));
        }
        Event::Damage(damage) => progress.aside(|| println!("{damage}")),
        Event::Note(note) => progress.aside(|| client.note(&note)),
    }
}

fn json_damage(damage: &Damage) -> serde_json::Value {
    let whose = damage.whose.as_ref();
    json!({
        "part": damage.part.to_string(),
        "file": damage.file,
        "offset": damage.offset,
        "what": damage.what,
        "account": whose.map(|whose| whose.address.as_str()),
        "mailbox": whose.and_then(|whose| whose.mailbox.as_deref()),
        "uid": whose.and_then(|whose| whose.uid).map(|uid| uid.0),
    })
}

fn json_summary(total: &Summary) -> serde_json::Value {
    let damages = total.damages.iter();
    let damages: serde_json::Map<String, serde_json::Value> = damages
        .map(|(part, count)| (part.to_string(), json!(count)))
        .collect();
    json!({ "summary": {
        "segments": total.segments, "frames": total.frames, "records": total.records,
        "packs": total.packs, "archives": total.archives,
        "packed_records": total.packed_records, "runs": total.runs, "chunks": total.chunks,
        "accounts": total.accounts, "mailboxes": total.mailboxes, "messages": total.messages,
        "bytes": total.bytes, "damages": damages,
    }})
}

fn summary(total: &Summary) -> String {
    let damages = |part| {
        let count = total.damages.get(&part);
        count.copied().unwrap_or(0).to_string()
    };
    let count = |count: u64| count.to_string();
    let rows = [
        (
            "segments of the log",
            count(u64::from(total.segments)),
            check::Part::Log,
        ),
        ("packs", count(u64::from(total.packs)), check::Part::Pack),
        (
            "archives",
            count(u64::from(total.archives)),
            check::Part::Archive,
        ),
        (
            "runs of the index",
            count(u64::from(total.runs)),
            check::Part::Run,
        ),
        (
            "chunks of locations",
            count(u64::from(total.chunks)),
            check::Part::Locations,
        ),
        ("manifests", String::new(), check::Part::Manifest),
        ("mailboxes", count(total.mailboxes), check::Part::Mailbox),
        ("messages", count(total.messages), check::Part::Message),
    ];
    let rows = rows.map(|(name, count, part)| [name.to_owned(), count, damages(part)]);
    let looked = format!(
        "{} frames and {} records of {} accounts, {} MiB\n\n",
        total.frames,
        total.records + total.packed_records,
        total.accounts,
        total.bytes >> 20
    );
    looked + &table(["", "LOOKED AT", "DAMAGED"], rows.into_iter())
}

fn advice(count: u64) -> String {
    format!(
        "{count} damages. Nothing was changed. What to do: keep the server stopped, copy the whole \
         directory away, then `ringpostctl fsck --repair`; or restore a backup."
    )
}
