//! `ringpostctl fsck --repair`: shard by shard from what can still be read, then a check of all.
//!
//! ```text
//!  check ─→ report ─→ repair of each damaged shard ─→ open, close ─→ drop, if asked ─→ check
//! ```

use super::{Found, Store, look_through, say_summary};
use crate::client::Client;
use crate::offline::{claim, now_secs, with_shard};
use crate::transfer::date::date_time;
use crate::usage::Usage;
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use store::check::repair::{Order, Repaired, repair};
use store::check::{Damage, Event, Owner, Part, Summary};
use store::disk::blocking::{BlockingDisk, run as run_on};
use store::disk::home::Home;
use store::log::Options;
use store::mail::date::InternalDate;
use store::mail::flags::Flags;
use store::mail::id::{AccountId, Uid};
use store::mail::uidset::UidSet;
use store::shard::{FlagNames, FlagOp, StoreFlags};

/// With so many objects in memory at one time, but where an index is made anew.
pub(super) fn run(client: &Client, objects: u64, drop_unreadable: bool) -> anyhow::Result<bool> {
    let home = claim(client.data()).map_err(Usage::of)?;
    let store = Store::of(&home.path, home.identity, objects);
    let mut lines = Vec::new();
    let before = look_through(client, &store, &mut |damage| lines.push(damage.to_string()));
    if before.all.is_clean() {
        say_summary(client, &before.all);
        client.say("The store is clean: there is nothing to repair, and nothing was changed.");
        return Ok(true);
    }
    let aside = aside(&home.path);
    let mut report = Report::begin(&home.path, &aside)?;
    report.say("Damage that was found:")?;
    for line in &lines {
        report.say(line)?;
    }
    let work = mend(client, &home, &before, &aside, &mut report);
    work.context("the repair came to nothing; what it replaced is in the directory of the report")?;
    if drop_unreadable {
        drop_lost(client, &home, &store, &mut report)?;
    }
    let after = conclude(client, &store, &mut report)?;
    client.say(&format!("The report and all that was replaced: {aside}"));
    Ok(after.is_clean())
}

/// Repairs each shard that needs it, and opens it as the server would.
fn mend(
    client: &Client,
    home: &Home,
    found: &Found,
    aside: &str,
    report: &mut Report,
) -> anyhow::Result<()> {
    for (owner, summary) in &found.shards {
        if summary.is_clean() || summary.is_absent {
            continue;
        }
        let done = mend_one(home, owner, summary, aside, report)?;
        let told = told(owner, &done);
        report.say(&told)?;
        client.say(&told);
        if done != Repaired::default() {
            with_shard(home, owner.shard.0, async |_| Ok(()))?;
        }
    }
    Ok(())
}

fn mend_one(
    home: &Home,
    owner: &Owner,
    summary: &Summary,
    aside: &str,
    report: &mut Report,
) -> anyhow::Result<Repaired> {
    let order = Order {
        aside: aside.to_owned(),
        options: Options::new(home.identity.uuid, owner.shard.0),
    };
    let mut notes = Vec::new();
    let mut listener = |event| {
        if let Event::Note(note) = event {
            notes.push(note);
        }
    };
    let disk = BlockingDisk::new(&home.path);
    let done = run_on(repair(&disk, owner, &order, summary, &mut listener));
    for note in &notes {
        report.say(&format!("could not be used: {note}"))?;
        eprintln!("{}: {note}", owner.directory);
    }
    let done = done?;
    for lost in &done.lost {
        report.say(&format!("not saved: {lost}"))?;
    }
    Ok(done)
}

fn told(owner: &Owner, done: &Repaired) -> String {
    let directory = &owner.directory;
    if *done == Repaired::default() {
        return format!("{directory}: nothing had to be made anew");
    }
    if !done.is_rebuilt && done.emptied.is_none() && !done.rewritten.is_empty() {
        return format!("{directory}: the index stays{}", rewritten(done));
    }
    let from = match done.is_rebuilt {
        true => "the index was made anew from the log",
        false => "the index stays, and what the log has behind it was added",
    };
    let emptied = match done.emptied {
        Some(through) => format!(
            "; damaged segments up to {through:016x} were emptied, {} records of them moved",
            done.moved_records
        ),
        None => String::new(),
    };
    format!(
        "{directory}: {from}: {} facts, {} could not be used{emptied}{}; {} files were moved aside",
        done.facts,
        done.refused,
        rewritten(done),
        done.moved.len()
    )
}

fn rewritten(done: &Repaired) -> String {
    match done.rewritten.len() {
        0 => String::new(),
        count => format!(
            "; {count} packs and archives were written anew without {} damages",
            done.lost.len()
        ),
    }
}

/// What the store is like now.
fn conclude(client: &Client, store: &Store, report: &mut Report) -> anyhow::Result<Summary> {
    client.say("What is left:");
    let mut lines = Vec::new();
    let after = look_through(client, store, &mut |damage| lines.push(damage.to_string()));
    report.say("Damage that is left:")?;
    for line in &lines {
        report.say(line)?;
    }
    say_summary(client, &after.all);
    let messages = after.all.damages.get(&Part::Message).copied().unwrap_or(0);
    match after.all.damage_count() {
        0 => client.say("The store is whole again."),
        all if all == messages => client.say(&format!(
            "The store can be opened. {messages} messages are listed above that cannot be read any \
             more: put them back from a backup, or expunge them with --drop-unreadable."
        )),
        _ => client.say(
            "What is listed above could not be repaired: restore those files from a backup, or \
             serve the rest: mail that is not listed is whole.",
        ),
    }
    report.end()?;
    Ok(after.all)
}

/// Expunges rows whose message cannot be read, as a client would.
fn drop_lost(
    client: &Client,
    home: &Home,
    store: &Store,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut lost = Lost::default();
    look_through(client, store, &mut |damage| lost.note(damage));
    for ((shard, account, mailbox), uids) in lost.0 {
        let count = uids.len();
        let set = UidSet::from_ascending(uids);
        with_shard(home, shard, async |shard| {
            let Some(info) = shard.mailbox(account, &mailbox) else {
                bail!("mailbox {mailbox} is not there any more");
            };
            let names = FlagNames {
                flags: Flags::DELETED,
                keywords: Vec::new(),
            };
            let change = StoreFlags {
                uids: &set,
                op: FlagOp::Add,
                names: &names,
                unchanged_since: None,
            };
            shard.store_flags(account, info.id, change).await?;
            shard.expunge(account, info.id, &set).await?;
            Ok(())
        })?;
        let dropped = format!("expunged {count} messages of account {account}, {mailbox:?}");
        report.say(&dropped)?;
        client.say(&dropped);
    }
    Ok(())
}

/// Rows that cannot be read: shard, account, name of the mailbox → UIDs, ascending.
#[derive(Default)]
struct Lost(BTreeMap<(u16, AccountId, String), Vec<Uid>>);

impl Lost {
    fn note(&mut self, damage: &Damage) {
        let Some(whose) = damage
            .whose
            .as_ref()
            .filter(|_| damage.part == Part::Message)
        else {
            return;
        };
        let shard = damage.file.split('/').next();
        let shard = shard.and_then(|directory| directory.strip_prefix("shard-")?.parse().ok());
        if let (Some(shard), Some(mailbox), Some(uid)) = (shard, &whose.mailbox, whose.uid) {
            let key = (shard, whose.account, mailbox.clone());
            self.0.entry(key).or_default().push(uid);
        }
    }
}

/// `repair-22-Nov-2026-083000`, in UTC; with a number behind it where that is taken.
fn aside(data: &Path) -> String {
    let now = date_time(InternalDate::utc(now_secs()));
    let mut words = now.split(' ');
    let mut word = || words.next().unwrap_or_default();
    let (date, time) = (word().to_owned(), word().replace(':', ""));
    let first = format!("repair-{date}-{time}");
    let mut name = first.clone();
    for number in 2u32.. {
        if !data.join(&name).exists() {
            break;
        }
        name = format!("{first}-{number}");
    }
    name
}

/// What was found and done, for those who come later.
struct Report(BufWriter<File>);

impl Report {
    fn begin(data: &Path, aside: &str) -> anyhow::Result<Report> {
        let directory = data.join(aside);
        std::fs::create_dir(&directory).with_context(|| format!("{}", directory.display()))?;
        let file = File::create_new(directory.join("report.txt"))?;
        Ok(Report(BufWriter::new(file)))
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.0, "{line}")?)
    }

    fn end(&mut self) -> anyhow::Result<()> {
        self.0.flush()?;
        Ok(self.0.get_ref().sync_all()?)
    }
}
