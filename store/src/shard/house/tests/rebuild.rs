//! Archives and the log together say what the index says.
//!
//! What would break for a user if this failed: a damaged index that can only be rebuilt with
//! flags, mailboxes or whole messages missing.

use super::{DIRECTORY, Rig, append, inbox, other_mailbox};
use crate::compact::{Owner, Site};
use crate::disk::executor::Executor;
use crate::disk::fault::Seed;
use crate::disk::sim::SimDisk;
use crate::log::{Begin, Log, Options, Place, RecordRef};
use crate::mail::flags::Flags;
use crate::mail::id::{AccountId, MailboxId, ShardId};
use crate::mail::uidset::UidSet;
use crate::mailbox::Row;
use crate::mailbox::meta::AccountMeta;
use crate::mailbox::state::State;
use crate::pack::{Pack, PackHead};
use crate::record::{Fact, FlagOp};
use crate::shard::{FlagNames, StoreFlags, Transfer};
use crate::table::manifest::{ArchiveName, Manifest};
use crate::table::name;
use std::collections::BTreeMap;
use std::rc::Rc;

/// All that an account has.
type Whole = BTreeMap<String, (AccountMeta, BTreeMap<MailboxId, Vec<Row>>)>;

fn whole(state: &State, accounts: &[&str]) -> Whole {
    let mut whole = Whole::new();
    for address in accounts {
        let Some(id) = state.account_at(address) else {
            continue;
        };
        let account = state.account(id).unwrap();
        let meta = account.meta();
        let rows = meta.mailboxes.iter().map(|mailbox| {
            let contents = account.contents(mailbox.id).unwrap();
            (mailbox.id, contents.rows().iter().collect())
        });
        let rows = rows.collect();
        whole.insert((*address).to_owned(), (meta, rows));
    }
    whole
}

fn owner() -> Owner {
    Owner {
        store: [7; 16],
        shard: ShardId(0),
        directory: DIRECTORY.to_owned(),
    }
}

async fn manifest(disk: &SimDisk) -> Manifest {
    let owner = owner();
    let manifest = Manifest::read(disk, DIRECTORY, owner.store, owner.shard).await;
    manifest.unwrap().unwrap()
}

/// As a start does it.
async fn opened(disk: SimDisk) -> State {
    let manifest = manifest(&disk).await;
    let owner = owner();
    let (disk_at, owner_at) = (&disk, &owner);
    let site = Site {
        disk: disk_at,
        owner: owner_at,
    };
    let index = site.index(&manifest).await.unwrap();
    let shelf = site.shelf(&manifest.memos).await.unwrap();
    let mut state = State::from_index(Rc::new(index), Rc::new(shelf)).unwrap();
    replay_log(disk, manifest.begin(), &mut state).await;
    state
}

/// Replays the archives, then the log from its first segment that is left.
async fn replayed(disk: SimDisk) -> State {
    let manifest = manifest(&disk).await;
    let mut state = State::default();
    let mut last = 0;
    for archive in &manifest.archives {
        assert_eq!(archive.first_segment, last + 1, "no segment is left out");
        last = archive.last_segment;
        let path = name::archive(DIRECTORY, archive.number);
        let head = PackHead {
            store: owner().store,
            shard: owner().shard,
            number: archive.number,
        };
        let pack = Pack::open(&disk, &path, head).await.unwrap();
        pack.scan(|place: Place, record| apply(&mut state, place, &record.unwrap()))
            .await;
    }
    assert_eq!(manifest.first_segment, last + 1);
    let begin = Begin {
        first_segment: manifest.first_segment,
        from: None,
    };
    replay_log(disk, begin, &mut state).await;
    state
}

async fn replay_log(disk: SimDisk, begin: Begin, state: &mut State) {
    let mut options = Options::new(owner().store, 0);
    options.segment_bytes = 8 << 20;
    let log = format!("{DIRECTORY}/log");
    let mut replay = |place: Place, record: &RecordRef<'_>| {
        apply(state, place, record);
        Ok(())
    };
    let opened = Log::open(disk, &log, options, begin, &mut replay);
    opened.await.unwrap();
}

fn apply(state: &mut State, place: Place, record: &RecordRef<'_>) {
    let fact = Fact::decode(record.kind, record.payload).unwrap();
    state.apply(AccountId(record.account), place, fact);
}

#[test]
fn archives_and_log_give_what_the_index_has() {
    let mut merged = 0;
    for seed in 1..=6 {
        let mut rig = Rig::open(SimDisk::new(seed));
        let mut dice = Seed::new(seed);
        for _ in 0..14 {
            let mut seed = Seed::new(dice.next());
            rig.run(async move |shard, _| {
                for _ in 0..10 {
                    change(&shard, &mut seed).await;
                }
            });
            rig.roll();
            if dice.chance(700) {
                rig.keep_house();
            }
        }
        let archives = rig.shard.manifest().archives.into_iter();
        let of_many = |one: &ArchiveName| one.last_segment - one.first_segment >= 7;
        merged += archives.filter(of_many).count();
        let disk = rig.disk.crash(seed);
        let mut executor = Executor::new(disk.clone(), 1);
        let (of_index, of_log) = executor
            .finish(async move {
                let of_index = whole(&opened(disk.clone()).await, &ACCOUNTS);
                (of_index, whole(&replayed(disk).await, &ACCOUNTS))
            })
            .unwrap();
        assert_eq!(of_log, of_index, "seed {seed}");
        assert!(!of_index.is_empty());
    }
    assert!(merged > 0, "archives were merged");
}

async fn change(shard: &super::Sim, seed: &mut Seed) {
    let (account, source) = inbox(shard).await;
    let target = other_mailbox(shard, account).await;
    let first = 1 + seed.below(12) as u32;
    let uids = UidSet::from_ranges([(first, first + 3)]);
    match seed.below(7) {
        0 | 1 => drop(append(shard, 10 + seed.below(200_000) as usize).await),
        2 => store(shard, account, source, &uids, Flags::DELETED).await,
        3 => store(shard, account, target, &uids, Flags::SEEN).await,
        4 => drop(shard.expunge(account, source, &uids).await.unwrap()),
        5 => {
            let transfer = Transfer {
                source,
                uids: &uids,
                target,
                and_expunge: seed.chance(300),
            };
            shard.copy(account, transfer).await.unwrap();
        }
        _ => {
            let other = shard.open_account(ACCOUNTS[1]).await.unwrap();
            let secret = Some(seed.next().to_string());
            shard.set_secret(other, secret).await.unwrap();
        }
    }
}

async fn store(
    shard: &super::Sim,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    flags: Flags,
) {
    let names = FlagNames {
        flags,
        keywords: vec!["Key".to_owned()],
    };
    let store = StoreFlags {
        uids,
        op: FlagOp::Add,
        names: &names,
        unchanged_since: None,
    };
    shard.store_flags(account, mailbox, store).await.unwrap();
}

const ACCOUNTS: [&str; 2] = [super::ANNA, "bert@example.test"];
