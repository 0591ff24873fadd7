//! `ringpostctl uidl`: the unique ids of POP3 of an account, shown, and taken over from a list.
//!
//! ```text
//! whqtswO00WBw418f9t5JxYwZ<TAB>42                    unique id, UID in INBOX
//! whqtswO00WBw418f9t5JxYwZ<TAB><1@example.org>       unique id, Message-ID
//! ```
//!
//! A list is what a POP3 client can get of the other server: UIDL, and TOP of each message. A
//! Message-ID that several messages have is given to the first that has no such id yet.

use crate::client::{Client, table};
use crate::offline::{self, Offline};
use crate::transfer::uidls::{Uidls, field};
use crate::usage::Usage;
use anyhow::{Context, anyhow, bail};
use clap::Subcommand;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use store::mail::id::Uid;
use store::mail::uidset::UidSet;
use store::mailbox::{Row, View};

#[derive(Subcommand)]
pub(crate) enum Uidl {
    /// Show number, UID and unique id of each message
    List {
        /// The address of the account
        account: String,
    },
    /// Give messages the unique ids that they had elsewhere: a line each, the id, a tab, and the
    /// UID in INBOX or the Message-ID. Exits with 1 if a line was left out
    Import {
        /// The address of the account
        account: String,
        list: PathBuf,
    },
}

impl Uidl {
    pub(crate) fn run(self, client: &Client) -> anyhow::Result<bool> {
        match self {
            Uidl::List { account } => {
                open(client, &account, async |inbox| show(client, &inbox)).map(|()| true)
            }
            Uidl::Import { account, list } => {
                let mut left_out = 0;
                open(client, &account, async |inbox| {
                    left_out = take(client, inbox, &list).await?;
                    Ok(())
                })?;
                Ok(left_out == 0)
            }
        }
    }
}

/// The INBOX of an account, while nobody else has the store.
struct Inbox {
    shard: Offline,
    view: View,
    uidls: Uidls,
}

fn open(
    client: &Client,
    account: &str,
    work: impl AsyncFnOnce(Inbox) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let address = offline::canonical(account).map_err(Usage::of)?;
    let home = offline::claim(client.data())?;
    offline::with_owner(&home, &address, async |shard| {
        let stored = shard.account(&address);
        let id = stored
            .context(format!("the store has no account {address}"))?
            .id;
        let inbox = shard.mailbox(id, "INBOX").context("there is no INBOX")?;
        let view = shard.view(id, inbox.id, false);
        let view = view.context("the index of INBOX is damaged")?;
        let uidls = Uidls::read(&shard, id, view.uid_validity)?;
        work(Inbox { shard, view, uidls }).await
    })
}

fn show(client: &Client, inbox: &Inbox) -> anyhow::Result<()> {
    let uids = inbox.view.uids().iter().copied().map(Uid);
    let lines = uids.zip(1u64..).map(|(uid, number)| {
        let text = inbox.uidls.of(uid);
        (number, uid, String::from_utf8_lossy(&text).into_owned())
    });
    if client.is_json() {
        for (number, uid, uidl) in lines {
            println!(
                "{}",
                json!({ "number": number, "uid": uid.0, "uidl": uidl })
            );
        }
        return Ok(());
    }
    let rows = lines.map(|(number, uid, uidl)| [number.to_string(), uid.to_string(), uidl]);
    print!("{}", table(["NUMBER", "UID", "UNIQUE ID"], rows));
    Ok(())
}

/// Takes a list over; how many lines were left out.
async fn take(client: &Client, mut inbox: Inbox, list: &Path) -> anyhow::Result<u64> {
    let file =
        File::open(list).map_err(|error| Usage::of(anyhow!("{}: {error}", list.display())))?;
    let mut ids = None;
    let (mut given, mut left_out) = (0, 0);
    for (line, number) in BufReader::new(file).lines().zip(1u64..) {
        let line = line.with_context(|| format!("{}:{number}", list.display()))?;
        if line.trim().is_empty() {
            continue;
        }
        if let Err(why) = take_line(&mut inbox, &mut ids, &line).await {
            left_out += 1;
            eprintln!("{}:{number}: {why}", list.display());
        }
        // A list of any length is written in parts.
        if number.is_multiple_of(LINES_TOGETHER) {
            given += inbox.uidls.write(&inbox.shard).await?;
        }
    }
    given += inbox.uidls.write(&inbox.shard).await?;
    match client.is_json() {
        true => println!("{}", json!({ "uidls": given, "left_out": left_out })),
        false => println!("{given} unique ids taken over, {left_out} left out"),
    }
    Ok(left_out)
}

type Ids = BTreeMap<String, VecDeque<Uid>>;

async fn take_line(inbox: &mut Inbox, ids: &mut Option<Ids>, line: &str) -> anyhow::Result<()> {
    let parted = line.trim().split_once(['\t', ' ']);
    let (text, message) = parted.context("expected an id, a tab, and a UID or a Message-ID")?;
    let message = message.trim();
    let uid = match message.parse() {
        Ok(uid) => Uid(uid),
        Err(_) => {
            let known = match ids {
                Some(known) => known,
                None => ids.insert(message_ids(inbox).await?),
            };
            let named = known.get_mut(message).and_then(VecDeque::pop_front);
            named.with_context(|| format!("no message (more) has the Message-ID {message}"))?
        }
    };
    if inbox.view.sequence(uid).is_none() {
        bail!("there is no message {uid} in INBOX");
    }
    let given = inbox.uidls.give(uid, text.as_bytes());
    given.map_err(anyhow::Error::msg)
}

/// The messages of each Message-ID, by rising UIDs.
async fn message_ids(inbox: &Inbox) -> anyhow::Result<Ids> {
    let mut rows: Vec<Row> = Vec::with_capacity(inbox.view.uids().len());
    let every = UidSet::from_ranges([(1, u32::MAX)]);
    inbox
        .shard
        .rows(&inbox.view, &every, &mut |row| rows.push(row));
    let mut ids = Ids::new();
    for row in rows {
        let header = match inbox.shard.listing(row.delivery).await {
            Some(fields) => fields,
            None => {
                // One that cannot be read has no id.
                let Ok(message) = inbox.shard.message(row.delivery).await else {
                    continue;
                };
                let read = inbox.shard.read(&message, 0, HEADER_BYTES).await;
                read.unwrap_or_default()
            }
        };
        if let Some(id) = field(&header, b"message-id:") {
            ids.entry(id).or_default().push_back(row.uid);
        }
    }
    Ok(ids)
}

/// Where a Message-ID must have come.
const HEADER_BYTES: u64 = 64 << 10;

/// Lines whose ids are written at a time.
const LINES_TOGETHER: u64 = 10_000;
