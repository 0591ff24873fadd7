//! Mail of one account, out of a backup into new mailboxes of a store that stands still.
//!
//! The account's shard is restored into a scratch directory of the store, opened there, and read
//! message by message. What the store has already is never touched.

use super::restore::fill;
use crate::client::{Client, table};
use crate::offline::{Offline, with_shard};
use anyhow::{Context, anyhow, bail};
use engine::{config, route};
use std::fs;
use std::path::Path;
use store::backup::{Backup, Plan};
use store::disk::blocking::BlockingDisk;
use store::disk::home::{Home, HomeError};
use store::mail::address::Address;
use store::mail::id::{AccountId, MailboxId};
use store::mail::uidset::UidSet;
use store::mailbox::{MailboxInfo, Row, SpecialUse};
use store::shard::{BodyWriter, FlagNames, Message};

/// What of the backup is wanted.
pub(super) struct Wish {
    pub(super) account: String,
    /// All, if none is named.
    pub(super) mailbox: Option<String>,
}

/// A mailbox of the backup and what became of it.
struct Restored {
    from: String,
    to: String,
    messages: u64,
    octets: u64,
}

pub(super) fn run(
    backup: &Backup<BlockingDisk>,
    plan: Plan,
    wish: &Wish,
    into: &Path,
    client: &Client,
) -> anyhow::Result<()> {
    let home = standing_still(into)?;
    let address = config::address(&wish.account).map_err(anyhow::Error::msg)?;
    let shard = route::shard(&address, backup.identity.shards).0;
    let scratch = into.join(SCRATCH);
    // Of a restore that was killed; the lock of the store is ours.
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let restored = fill(backup, &plan.of_shard(shard), &scratch)
        .and_then(|_| carry(&scratch, shard, &home, &address, wish));
    fs::remove_dir_all(&scratch).with_context(|| format!("remove {}", scratch.display()))?;
    show(&restored?, client);
    Ok(())
}

/// The store that takes the mail, to ourselves.
fn standing_still(into: &Path) -> anyhow::Result<Home> {
    match Home::existing(into) {
        Err(HomeError::InUse(path)) => bail!(
            "{} is in use, and mail is restored into a store that stands still: stop the server \
             (systemctl stop ringpost, or SIGTERM) and run this again. Where it must not stop, \
             restore the whole backup into an empty directory (ringpostctl --data DIR restore \
             BACKUP), start a second server on it, and copy the mail over IMAP; nothing was \
             changed",
            path.display()
        ),
        other => Ok(other?),
    }
}

fn carry(
    scratch: &Path,
    shard: u16,
    home: &Home,
    address: &Address,
    wish: &Wish,
) -> anyhow::Result<Vec<Restored>> {
    let name = address.to_string();
    let old = Home::existing(scratch)?;
    let mut restored = Vec::new();
    with_shard(&old, shard, async |source| {
        let account = source.account(&name);
        let account = account
            .with_context(|| format!("the backup has no account {name}"))?
            .id;
        let mailboxes = wanted(&source, account, wish)?;
        let owner = route::shard(address, home.identity.shards).0;
        let source = &source;
        let restored = &mut restored;
        let name = &name;
        with_shard(home, owner, async move |target| {
            let into = target.open_account(name).await?;
            let prefix = free_prefix(&target, into, &mailboxes);
            for mailbox in mailboxes {
                let to = format!("{prefix}/{}", mailbox.name);
                let made = target
                    .create_mailbox(into, &to, SpecialUse::default())
                    .await;
                let made = made.with_context(|| format!("cannot make the mailbox {to}"))?;
                let done = refill(source, account, &mailbox, &target, into, made.id).await?;
                let (messages, octets) = done;
                restored.push(Restored {
                    from: mailbox.name,
                    to,
                    messages,
                    octets,
                });
            }
            Ok(())
        })
    })?;
    Ok(restored)
}

fn wanted(source: &Offline, account: AccountId, wish: &Wish) -> anyhow::Result<Vec<MailboxInfo>> {
    match &wish.mailbox {
        Some(name) => match source.mailbox(account, name) {
            Some(mailbox) => Ok(vec![mailbox]),
            None => bail!("the account has no mailbox {name} in the backup"),
        },
        None => Ok(source.mailboxes(account)),
    }
}

/// `Restored`, or with a number where mailboxes of an earlier restore are there.
fn free_prefix(target: &Offline, account: AccountId, mailboxes: &[MailboxInfo]) -> String {
    let is_free = |prefix: &String| {
        mailboxes.iter().all(|one| {
            target
                .mailbox(account, &format!("{prefix}/{}", one.name))
                .is_none()
        })
    };
    let numbered = (2..).map(|number| format!("Restored {number}"));
    let mut prefixes = std::iter::once("Restored".to_owned()).chain(numbered);
    prefixes.find(is_free).unwrap_or_default()
}

/// Appends every message of a mailbox; returns how many, and their octets.
async fn refill(
    source: &Offline,
    account: AccountId,
    mailbox: &MailboxInfo,
    target: &Offline,
    into: AccountId,
    made: MailboxId,
) -> anyhow::Result<(u64, u64)> {
    let view = source.view(account, mailbox.id, false);
    let view = view.with_context(|| format!("{} cannot be read", mailbox.name))?;
    let keywords = source.keywords(account, mailbox.id);
    let mut rows = Vec::new();
    let uids = UidSet::from_ranges([(1, u32::MAX)]);
    source.rows(&view, &uids, &mut |row| rows.push(row));
    let (mut messages, mut octets) = (0, 0);
    for row in rows {
        let message = source.message(row.delivery).await;
        let message =
            message.map_err(|error| anyhow!("{}, UID {}: {error}", mailbox.name, row.uid))?;
        let body = body(source, &message, target).await?;
        let names = names(&row, &keywords);
        target
            .append(into, made, body, &names, row.internal_date)
            .await?;
        messages += 1;
        octets += message.octets;
    }
    Ok((messages, octets))
}

async fn body(source: &Offline, message: &Message, target: &Offline) -> anyhow::Result<BodyWriter> {
    let mut body = target.body();
    let mut from = 0;
    while from < message.octets {
        let piece = source.read(message, from, from + PIECE_OCTETS).await?;
        if piece.is_empty() {
            bail!("a message ends early");
        }
        from += piece.len() as u64;
        target.body_write(&mut body, &piece).await?;
    }
    Ok(body)
}

fn names(row: &Row, keywords: &[String]) -> FlagNames {
    let is_set = |bit: usize| row.keywords.0 >> bit & 1 == 1;
    let named = keywords.iter().take(u64::BITS as usize).enumerate();
    FlagNames {
        flags: row.flags,
        keywords: named
            .filter(|(bit, _)| is_set(*bit))
            .map(|(_, name)| name.clone())
            .collect(),
    }
}

fn show(restored: &[Restored], client: &Client) {
    if client.is_json() {
        let line = |one: &Restored| {
            serde_json::json!({
                "from": one.from,
                "to": one.to,
                "messages": one.messages,
                "bytes": one.octets,
            })
        };
        println!(
            "{}",
            serde_json::Value::from_iter(restored.iter().map(line))
        );
        return;
    }
    let rows = restored.iter().map(|one| {
        [
            one.from.clone(),
            one.to.clone(),
            one.messages.to_string(),
            indicatif::HumanBytes(one.octets).to_string(),
        ]
    });
    print!(
        "{}",
        table(["MAILBOX", "RESTORED AS", "MESSAGES", "SIZE"], rows)
    );
}

/// Below the data directory, while mail is carried over.
const SCRATCH: &str = "restore-scratch";

/// Read and written at a time.
const PIECE_OCTETS: u64 = 1 << 20;
