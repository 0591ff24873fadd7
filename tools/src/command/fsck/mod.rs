//! `ringpostctl fsck`: looks at every byte of a store that no server has open, and says what is
//! wrong with whose mail.
//!
//! Exit codes: 0 clean, 1 damage was found, 2 the store cannot be looked at.

mod repair;

use crate::client::{Client, table};
use crate::progress::Progress;
use crate::usage::Usage;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use store::check::{self, Damage, Event, Owner, Summary};
use store::disk::blocking::{BlockingDisk, run};
use store::disk::home::{HomeError, Identity, Seen, has_begun, shard_directory};
use store::mail::id::ShardId;

/// Reads every file of the store and names each damage: file, offset, account, mailbox, UID. Exits
/// with 0 when all is well, 1 when something is damaged, 2 when the store cannot be looked at.
/// Without --repair nothing is changed, and the directory may be read-only. Shards are looked at
/// one after the other, with some 70 octets of memory a message: 7 GB where one shard has 100
/// million. With less --memory log and packs are read several times. A repair that makes an index
/// anew needs some 250 octets a message whatever --memory says: 25 GB for 100 million; do it on a
/// machine that has them, or restore a backup.
#[derive(Args)]
pub(crate) struct Fsck {
    /// Make the store whole again from what can still be read; keeps what it replaces in
    /// DATA/repair-DATE with a report
    #[arg(long)]
    repair: bool,
    /// Expunge messages that cannot be read any more, after the repair; otherwise they stay where
    /// they are, and are listed
    #[arg(long, requires = "repair")]
    drop_unreadable: bool,
    /// What a look at a shard may take of the memory
    #[arg(long, value_name = "SIZE", default_value = "8 GiB")]
    memory: String,
}

impl Fsck {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<bool> {
        let memory = engine::config::size(&self.memory).ok_or_else(|| {
            let said = &self.memory;
            Usage::of(format!("--memory {said}: write it as \"8 GiB\""))
        });
        let objects = memory? / OBJECT_BYTES;
        if self.repair {
            return repair::run(client, objects, self.drop_unreadable);
        }
        let seen = look(client.data())?;
        let store = Store::of(&seen.path, seen.identity, objects);
        let total = look_through(client, &store, &mut |_| {});
        say_summary(client, &total.all);
        match total.all.damage_count() {
            0 => client.say("The store is clean."),
            count => client.say(&advice(count)),
        }
        Ok(total.all.is_clean())
    }
}

/// A store that this process has to itself.
pub(crate) struct Store {
    path: PathBuf,
    identity: Identity,
    /// Of which so many are looked at in one pass.
    objects: u64,
}

/// What was found in all shards, and in each.
pub(crate) struct Found {
    pub(crate) all: Summary,
    shards: Vec<(Owner, Summary)>,
}

impl Store {
    pub(crate) fn of(path: &Path, identity: Identity, objects: u64) -> Store {
        Store {
            path: path.to_owned(),
            identity,
            objects,
        }
    }

    fn owners(&self) -> Vec<Owner> {
        let shards = 0..self.identity.shards;
        shards.map(|shard| owner(&self.identity, shard)).collect()
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

/// Checks all shards and tells what is found; `each` is shown every damage too.
pub(crate) fn look_through(client: &Client, store: &Store, each: &mut dyn FnMut(&Damage)) -> Found {
    let disk = BlockingDisk::new(&store.path);
    let owners = store.owners();
    let bytes = owners.iter().map(|owner| run(check::bytes(&disk, owner)));
    let progress = Progress::of(bytes.sum());
    let mut found = Found {
        all: Summary::default(),
        shards: Vec::new(),
    };
    for owner in owners {
        let mut listener = |event| {
            if let Event::Damage(damage) = &event {
                each(damage);
            }
            tell(client, &progress, event);
        };
        let summary = run(check::check_within(
            &disk,
            &owner,
            store.objects,
            &mut listener,
        ));
        found.all.add(&summary);
        found.shards.push((owner, summary));
    }
    // Where there is nothing at all, the server has never run. Older builds did not note it.
    let has_begun = has_begun(&store.path).ok().flatten();
    let absent = found.shards.iter().filter(|(_, summary)| summary.is_absent);
    let absent: Vec<String> = absent.map(|(owner, _)| owner.directory.clone()).collect();
    if has_begun.unwrap_or(absent.len() < found.shards.len()) {
        for directory in absent {
            let damage = Damage::missing_shard(&directory);
            *found.all.damages.entry(damage.part).or_default() += 1;
            each(&damage);
            tell(client, &progress, Event::Damage(damage));
        }
    }
    progress.end();
    found
}

pub(crate) fn owner(identity: &Identity, shard: u16) -> Owner {
    Owner {
        store: identity.uuid,
        shard: ShardId(shard),
        directory: shard_directory(shard),
    }
}

pub(crate) fn say_summary(client: &Client, total: &Summary) {
    client.say(&summary(total));
    if client.is_json() {
        println!("{}", json_summary(total));
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
        "queued": total.queued, "memos": total.memos, "signatures": total.signatures,
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
        ("listings in packs", String::new(), check::Part::Listing),
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
        ("memos", count(total.memos), check::Part::Memos),
        (
            "files of signatures",
            count(u64::from(total.signatures)),
            check::Part::Signatures,
        ),
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

/// Memory for an object, of which a message has two, measured.
const OBJECT_BYTES: u64 = 35;

/// Of a look for which nobody has said what it may take: 8 GiB.
pub(crate) const OBJECTS_AT_ONCE: u64 = (8 << 30) / OBJECT_BYTES;

fn advice(count: u64) -> String {
    format!(
        "{count} damages. Nothing was changed. What to do: keep the server stopped, copy the whole \
         directory away, then `ringpostctl fsck --repair`; or restore a backup."
    )
}
