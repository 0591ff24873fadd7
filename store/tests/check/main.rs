//! Checks and repairs of a shard on a simulated disk: what is damaged is named, what can be saved
//! is saved, and nothing else is changed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod backup;
#[path = "../shards/below.rs"]
mod below;
mod damage;
mod dump;
mod moment;
mod repair;
mod rescue;
mod signatures;
mod unopened;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use store::check::{self, Damage, Event, Owner, Part, Summary};
use store::compact::{Here, Task};
use store::disk::executor::Executor;
use store::disk::fault::Seed;
use store::disk::sim::SimDisk;
use store::log::Options;
use store::mail::date::InternalDate;
use store::mail::flags::Flags;
use store::mail::id::{AccountId, MailboxId, ObjectId, ShardId, Uid};
use store::mail::uidset::UidSet;
use store::mailbox::SpecialUse;
use store::shard::{FlagNames, FlagOp, Shard, StoreFlags, Transfer};

pub const STORE: [u8; 16] = [7; 16];
pub const ANNA: &str = "anna@example.test";
pub const BERT: &str = "bert@example.test";

pub fn owner(shard: u16) -> Owner {
    Owner {
        store: STORE,
        shard: ShardId(shard),
        directory: format!("shard-{shard:02}"),
    }
}

fn options(shard: u16) -> Options {
    let mut options = Options::new(STORE, shard);
    options.segment_bytes = 8 << 20;
    options.hot_tail_bytes = 0;
    options
}

/// Opens a shard, works on it and closes it.
pub fn with_shard<T: 'static>(
    disk: &SimDisk,
    shard: u16,
    work: impl AsyncFnOnce(Rc<Shard<SimDisk>>) -> T + 'static,
) -> Result<T, String> {
    with_shard_at(disk, shard, 1_700_000_000, work)
}

/// The same at some time, in seconds since 1970.
pub fn with_shard_at<T: 'static>(
    disk: &SimDisk,
    shard: u16,
    now_secs: i64,
    work: impl AsyncFnOnce(Rc<Shard<SimDisk>>) -> T + 'static,
) -> Result<T, String> {
    let mut executor = Executor::new(disk.clone(), 1);
    let at = disk.clone();
    let opened = executor.finish(async move {
        let directory = format!("shard-{shard:02}");
        let now = move || now_secs;
        Shard::open(at, &directory, ShardId(shard), options(shard), now).await
    });
    let (shard, _) = opened.unwrap().map_err(|error| error.to_string())?;
    let running = Rc::clone(&shard);
    executor.spawn(async move { running.run(|_| {}).await });
    let worked = executor.finish(async move {
        let worked = work(Rc::clone(&shard)).await;
        shard.close();
        worked
    });
    executor.run(usize::MAX);
    Ok(worked.expect("the work ends"))
}

/// A store with mail of two accounts: inline and in pieces, flagged, expunged, copied; in runs, in
/// the location table and behind the last checkpoint, over several segments.
pub fn furnished() -> SimDisk {
    let disk = SimDisk::new(5);
    furnish(&disk, 0);
    disk
}

pub fn furnish(disk: &SimDisk, shard: u16) {
    let here = Here(disk.clone());
    with_shard(disk, shard, async move |shard| {
        let mut seed = Seed::new(9);
        for round in 0..4 {
            for address in [ANNA, BERT] {
                let account = shard.open_account(address).await.unwrap();
                let inbox = shard.mailbox(account, "INBOX").unwrap().id;
                for number in 0..20 {
                    let octets = if number == 7 { 900_000 } else { 700 * number };
                    append(&shard, account, inbox, &mut seed, octets).await;
                }
                let _ = shard
                    .create_mailbox(account, "Other", SpecialUse::NONE)
                    .await;
                let other = shard.mailbox(account, "Other").unwrap().id;
                let some = UidSet::from_ranges([(20 * round + 1, 20 * round + 3)]);
                let transfer = Transfer {
                    source: inbox,
                    uids: &some,
                    target: other,
                    and_expunge: false,
                };
                shard.copy(account, transfer).await.unwrap();
                let some = UidSet::from_ranges([(20 * round + 2, 20 * round + 9)]);
                let names = FlagNames {
                    flags: Flags::SEEN,
                    keywords: vec!["Key".into()],
                };
                flag(&shard, account, inbox, &some, names).await;
                let some = UidSet::from_ascending([Uid(20 * round + 5)]);
                let names = FlagNames {
                    flags: Flags::DELETED,
                    ..FlagNames::default()
                };
                flag(&shard, account, inbox, &some, names).await;
                shard.expunge(account, inbox, &some).await.unwrap();
            }
            if round < 3 {
                shard.checkpoint(&here).await.unwrap();
                shard.compact(&here, Task::Merge).await.unwrap();
            }
        }
        shard.sweep(&here).await.unwrap();
    })
    .unwrap();
}

async fn flag(
    shard: &Shard<SimDisk>,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    names: FlagNames,
) {
    let change = StoreFlags {
        uids,
        op: FlagOp::Add,
        names: &names,
        unchanged_since: None,
    };
    shard.store_flags(account, mailbox, change).await.unwrap();
}

/// The same mail with its older segments emptied into packs.
pub fn packed() -> SimDisk {
    let disk = furnished();
    let here = Here(disk.clone());
    with_shard(&disk, 0, async move |shard| {
        shard.checkpoint(&here).await.unwrap();
        let through = shard.emptiable();
        assert!(through > 0, "something is old enough");
        shard
            .empty(&here, through, store::compact::Stories::NONE)
            .await
            .unwrap();
        shard.sweep(&here).await.unwrap();
        let account = shard.open_account(ANNA).await.unwrap();
        let inbox = shard.mailbox(account, "INBOX").unwrap().id;
        append(&shard, account, inbox, &mut Seed::new(77), 5000).await;
    })
    .unwrap();
    disk
}

async fn append(
    shard: &Shard<SimDisk>,
    account: AccountId,
    mailbox: MailboxId,
    seed: &mut Seed,
    octets: usize,
) {
    let mut text = b"Subject: hello\r\n\r\n".to_vec();
    text.extend((0..octets / 8).flat_map(|_| seed.next().to_le_bytes()));
    let mut body = shard.body();
    shard.body_write(&mut body, &text).await.unwrap();
    let names = FlagNames::default();
    let date = InternalDate::utc(1_600_000_000);
    shard
        .append(account, mailbox, body, &names, date)
        .await
        .unwrap();
}

/// Account, mailbox, UID → flags, keywords, octets of the message or why it cannot be read.
pub type Mail = BTreeMap<(String, String, u32), (u16, u64, Result<Vec<u8>, String>)>;

/// Everything that a client could see.
pub fn mail(disk: &SimDisk, shard: u16) -> Result<Mail, String> {
    with_shard(disk, shard, async move |shard| {
        let mut mail = Mail::new();
        for account in shard.accounts() {
            for info in shard.mailboxes(account.id) {
                let view = shard.view(account.id, info.id, false).unwrap();
                let mut rows = Vec::new();
                let every = UidSet::from_ranges([(1, u32::MAX)]);
                shard.rows(&view, &every, &mut |row| rows.push(row));
                for row in rows {
                    let octets = read(&shard, row.delivery).await;
                    let key = (account.address.clone(), info.name.clone(), row.uid.0);
                    mail.insert(key, (row.flags.0, row.keywords.0, octets));
                }
            }
        }
        mail
    })
}

async fn read(shard: &Shard<SimDisk>, delivery: ObjectId) -> Result<Vec<u8>, String> {
    let message = shard.message(delivery).await.map_err(|e| e.to_string())?;
    let octets = shard.read(&message, 0, u64::MAX).await;
    octets.map_err(|error| error.to_string())
}

/// What a check tells.
pub struct Checked {
    pub summary: Summary,
    pub damages: Vec<Damage>,
    pub notes: Vec<String>,
}

/// What a check finds, in one pass and in many.
pub fn checked(disk: &SimDisk, shard: u16) -> Checked {
    let told = checked_within(disk, shard, u64::MAX);
    let again = checked_within(disk, shard, 50);
    assert_eq!(told.summary, again.summary);
    let lines = |told: &Checked| {
        let damages = told.damages.iter().map(|damage| damage.to_string());
        damages.collect::<BTreeSet<String>>()
    };
    assert_eq!(lines(&told), lines(&again));
    told
}

fn checked_within(disk: &SimDisk, shard: u16, objects: u64) -> Checked {
    let before = contents(disk);
    let at = disk.clone();
    let told = Executor::new(disk.clone(), 3).finish(async move {
        let (mut damages, mut notes) = (Vec::new(), Vec::new());
        let mut listener = |event| match event {
            Event::Damage(damage) => damages.push(damage),
            Event::Note(note) => notes.push(note),
            Event::Bytes(_) => {}
        };
        let owner = owner(shard);
        let summary = check::check_within(&at, &owner, objects, &mut listener).await;
        Checked {
            summary,
            damages,
            notes,
        }
    });
    assert!(before == contents(disk), "a check changes nothing");
    let told = told.expect("a check ends");
    assert_eq!(told.summary.damage_count(), told.damages.len() as u64);
    told
}

impl Checked {
    pub fn has(&self, part: Part, file: &str) -> bool {
        self.damages
            .iter()
            .any(|damage| damage.part == part && damage.file == file)
    }

    /// Rows that are said to be unreadable.
    pub fn unreadable(&self) -> Vec<(String, String, u32)> {
        let messages = self.damages.iter().filter(|d| d.part == Part::Message);
        let mut rows: Vec<_> = messages
            .map(|damage| {
                let whose = damage.whose.clone().expect("mail is somebody's");
                let mailbox = whose.mailbox.expect("mail is in a mailbox");
                (whose.address, mailbox, whose.uid.expect("and has a UID").0)
            })
            .collect();
        rows.sort_unstable();
        rows
    }

    pub fn told(&self) -> String {
        let damages = self.damages.iter().map(|damage| damage.to_string());
        damages
            .chain(self.notes.iter().cloned())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

pub fn contents(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    let paths = disk.paths().into_iter();
    paths
        .map(|path| {
            let contents = disk.contents(&path);
            (path, contents)
        })
        .collect()
}

#[test]
fn a_sound_store_is_clean() {
    let disk = furnished();
    let found = checked(&disk, 0);
    assert!(found.summary.is_clean(), "{}", found.told());
    assert!(!found.summary.is_partial);
    let rows = mail(&disk, 0).unwrap();
    assert!(rows.values().all(|(_, _, octets)| octets.is_ok()));
    assert_eq!(found.summary.messages, rows.len() as u64);
    assert_eq!(found.summary.accounts, 2);
    assert!(found.summary.segments > 1 && found.summary.runs > 0 && found.summary.chunks > 0);
    let again = checked(&disk.crash(1), 0);
    assert!(again.summary.is_clean(), "{}", again.told());
}
