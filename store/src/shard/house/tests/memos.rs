//! Memos of a shard: over starts, checkpoints, merged runs and emptied segments; ridden with mail;
//! damaged, and made anew.

use super::{ANNA, DIRECTORY, Rig, Sim, both, inbox, rows, text};
use crate::check::repair::{Order, Repaired, repair};
use crate::check::{Event, Owner, Part, Summary, check};
use crate::codec::checksum::plain;
use crate::disk::Disk;
use crate::disk::executor::Executor;
use crate::disk::sim::SimDisk;
use crate::error::{ChangeError, Container, ReadError};
use crate::limit::{BLOCK_BYTES, MEMOS_TOGETHER_MAX};
use crate::log::Options;
use crate::mail::address::Address;
use crate::mail::envelope::Notify;
use crate::mail::id::ShardId;
use crate::shard::{BodyWriter, Custody, IS_CLAIMED, Memo, MemoChange, Share, Space, Task};
use std::collections::BTreeMap;

type Told = BTreeMap<(Space, Vec<u8>), Memo>;

/// The clock of the rig.
const NOW: i64 = 1_700_000_000;

fn memo(space: Space, key: &str, value: &str, expiry_secs: i64) -> Memo {
    Memo {
        space,
        key: key.as_bytes().to_vec(),
        value: value.as_bytes().to_vec(),
        expiry_secs,
    }
}

fn suppressed(number: u32, value: &str) -> Memo {
    let key = format!("user{number}@d{}.test", number % 7);
    memo(Space::SUPPRESSION, &key, value, 0)
}

fn puts(memos: &[Memo]) -> Vec<MemoChange> {
    memos.iter().cloned().map(MemoChange::Put).collect()
}

/// All memos, by the shard's own lists.
fn all(shard: &Sim) -> Told {
    let mut told = Told::new();
    for space in [Space::SUPPRESSION, Space::IDEMPOTENCY, Space::COUNTER] {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = shard.memos(space, b"", after.as_deref(), 50).unwrap();
            after = page.last().map(|memo| memo.key.clone()).or(after);
            let is_last = page.len() < 50;
            told.extend(
                page.into_iter()
                    .map(|memo| ((space, memo.key.clone()), memo)),
            );
            if is_last {
                break;
            }
        }
    }
    for ((space, key), memo) in &told {
        let found = shard.memo(*space, key).unwrap();
        assert_eq!(found.as_ref(), Some(memo), "list and look-up agree");
    }
    told
}

impl Rig {
    fn write(&mut self, changes: Vec<MemoChange>) {
        self.run(async move |shard, _| shard.write_memos(changes).await.unwrap());
    }

    fn memos(&mut self) -> Told {
        self.run(async |shard, _| all(&shard))
    }

    fn merge_all(&mut self) {
        let merged = self.run(async |shard, here| shard.compact(&here, Task::MergeAll).await);
        merged.unwrap();
    }
}

/// 500 suppressed, every third of them changed and every seventh removed later, 200 keys that will
/// be over, and a counter that is changed all the time; over several segments and runs.
fn furnished() -> Rig {
    let mut rig = Rig::open(SimDisk::new(1));
    for round in 0..5u32 {
        let hundred = 100 * round..100 * (round + 1);
        let some: Vec<Memo> = hundred.clone().map(|n| suppressed(n, "first")).collect();
        rig.write(puts(&some));
        let keys = (40 * round..40 * (round + 1)).map(|n| {
            let key = format!("tenant:{n}");
            memo(Space::IDEMPOTENCY, &key, "accepted", NOW + 1000)
        });
        rig.write(puts(&keys.collect::<Vec<_>>()));
        for count in 0..3 {
            let value = format!("{round}.{count}");
            rig.write(puts(&[memo(Space::COUNTER, "sent", &value, 0)]));
        }
        if round == 2 {
            rig.roll();
            rig.keep_house();
        }
        let changed = hundred.clone().filter(|n| n % 3 == 0);
        rig.write(puts(
            &changed.map(|n| suppressed(n, "again")).collect::<Vec<_>>(),
        ));
        rig.roll();
        if round % 2 == 0 {
            rig.keep_house();
        }
        let removed = hundred.filter(|n| n % 7 == 0).map(|n| suppressed(n, ""));
        let removed = removed.map(|memo| MemoChange::Remove(memo.space, memo.key));
        rig.write(removed.collect());
    }
    rig
}

fn expected() -> Told {
    let kept = (0..500).filter(|n| n % 7 != 0).map(|n| match n % 3 {
        0 => suppressed(n, "again"),
        _ => suppressed(n, "first"),
    });
    let keys = (0..200).map(|n| {
        let key = format!("tenant:{n}");
        memo(Space::IDEMPOTENCY, &key, "accepted", NOW + 1000)
    });
    let counter = memo(Space::COUNTER, "sent", "4.2", 0);
    let all = kept.chain(keys).chain([counter]);
    all.map(|memo| ((memo.space, memo.key.clone()), memo))
        .collect()
}

#[test]
fn memos_are_there_after_each_kind_of_start() {
    let mut rig = furnished();
    assert_eq!(rig.memos(), expected());
    for round in 0..3 {
        rig = rig.crash();
        assert_eq!(rig.memos(), expected(), "round {round}");
        rig.roll();
        rig.keep_house();
        assert_eq!(rig.memos(), expected(), "round {round}");
        if round == 1 {
            rig.merge_all();
            assert_eq!(rig.memos(), expected(), "merged");
        }
    }
    let manifest = rig.shard.manifest();
    assert_eq!(manifest.memos.len(), 1, "what did not change has no run");
    assert!(manifest.has_memos);
    let found = rig.run(async |shard, _| {
        let with_prefix = shard.memos(Space::SUPPRESSION, b"user12", None, 4).unwrap();
        let keys = with_prefix.iter().map(|memo| memo.key.clone());
        let keys: Vec<String> = keys.map(|key| String::from_utf8(key).unwrap()).collect();
        let behind = shard
            .memos(Space::SUPPRESSION, b"user", Some(b"user497"), 9)
            .unwrap();
        let nobody = shard.memo(Space::SUPPRESSION, b"nobody@d1.test").unwrap();
        (keys, behind.len(), nobody)
    });
    let first = [
        "user120@d1.test",
        "user121@d2.test",
        "user122@d3.test",
        "user123@d4.test",
    ];
    assert_eq!(found, (first.map(str::to_owned).to_vec(), 9, None));
}

#[test]
fn what_is_removed_or_over_leaves_nothing_behind() {
    let mut rig = Rig::open(SimDisk::new(2));
    let over = |n: u32| memo(Space::IDEMPOTENCY, &format!("k{n}"), "x", NOW - 1);
    let stays = memo(Space::COUNTER, "stays", "y", NOW + 1);
    rig.write(puts(&(0..400).map(over).collect::<Vec<_>>()));
    rig.write(puts(&[stays.clone(), suppressed(1, "x")]));
    rig.keep_house();
    let runs = |rig: &Rig| {
        rig.shard
            .manifest()
            .memos
            .iter()
            .map(|run| run.bytes)
            .collect()
    };
    let first: Vec<u64> = runs(&rig);
    assert_eq!(first.len(), 1);
    assert_eq!(rig.memos().len(), 2, "what is over is not seen");
    let gone = suppressed(1, "");
    rig.write(vec![MemoChange::Remove(gone.space, gone.key)]);
    rig.keep_house();
    rig.merge_all();
    let mut rig = rig.crash();
    assert_eq!(rig.memos().into_values().collect::<Vec<_>>(), [stays]);
    rig.write(vec![MemoChange::Remove(Space::COUNTER, b"stays".to_vec())]);
    rig.keep_house();
    rig.merge_all();
    assert_eq!(runs(&rig), [0u64; 0], "nothing is left to be written down");
    assert!(rig.shard.manifest().has_memos, "an older build stays out");
}

fn claiming(key: &str, value: &str) -> Custody {
    Custody {
        body: BodyWriter::with(text(60)),
        shares: vec![Share {
            account: ANNA.to_owned(),
            recipient: Address::split(ANNA).unwrap(),
            notify: Notify::UNSET,
            orcpt: None,
            prefix: Vec::new(),
        }],
        memos: vec![memo(Space::IDEMPOTENCY, key, value, NOW + 10)],
        claims: true,
        ..Custody::default()
    }
}

#[test]
fn a_memo_rides_with_its_message_and_is_claimed_once() {
    let mut rig = Rig::open(SimDisk::new(3));
    let count = rig.run(async |shard, _| {
        let (account, mailbox) = inbox(&shard).await;
        // Neither is durable when the other is judged.
        let (first, second) = (
            shard.take(claiming("a", "1")),
            shard.take(claiming("a", "2")),
        );
        let outcomes = both(first, second).await;
        let refused = Some(ChangeError::Cannot(IS_CLAIMED));
        assert!(outcomes.0.is_ok());
        assert_eq!(outcomes.1.err(), refused);
        assert_eq!(shard.take(claiming("a", "3")).await.err(), refused);
        shard.take(claiming("b", "4")).await.unwrap();
        let twice = Custody {
            memos: vec![memo(Space::IDEMPOTENCY, "c", "5", NOW + 10); 2],
            ..claiming("c", "5")
        };
        assert_eq!(shard.take(twice).await.err(), refused);
        // Where nothing is kept, nothing is claimed.
        shard.set_quota(account, Some(1)).await.unwrap();
        let full = shard.take(claiming("d", "6")).await.unwrap();
        assert_eq!(full.shares, [Err(ChangeError::OverQuota)]);
        shard.set_quota(account, None).await.unwrap();
        let over = Custody {
            memos: vec![memo(Space::IDEMPOTENCY, "e", "7", NOW)],
            ..claiming("e", "7")
        };
        shard.take(over).await.unwrap();
        shard.take(claiming("e", "8")).await.unwrap();
        let replacing = Custody {
            claims: false,
            ..claiming("e", "9")
        };
        shard.take(replacing).await.unwrap();
        rows(&shard, account, mailbox).len()
    });
    assert_eq!(count, 5);
    let told = rig.crash().memos();
    let values: Vec<&[u8]> = told.values().map(|memo| &*memo.value).collect();
    assert_eq!(values, [b"1", b"4", b"9"]);
}

#[test]
fn what_is_too_long_or_too_much_is_refused() {
    let mut rig = Rig::open(SimDisk::new(4));
    rig.run(async |shard, _| {
        let write = async |memos: &[Memo]| shard.write_memos(puts(memos)).await;
        let good = memo(
            Space::COUNTER,
            &"k".repeat(512),
            &"v".repeat(4096),
            i64::MAX,
        );
        write(std::slice::from_ref(&good)).await.unwrap();
        let long_key = memo(Space::COUNTER, &"k".repeat(513), "", 0);
        let long_value = memo(Space::COUNTER, "k", &"v".repeat(4097), 0);
        let early = memo(Space::COUNTER, "k", "", -1);
        for (bad, word) in [(long_key, "key"), (long_value, "value"), (early, "expiry")] {
            let refused = write(&[good.clone(), bad.clone()]).await;
            assert!(
                matches!(refused, Err(ChangeError::Cannot(why)) if why.contains(word)),
                "{refused:?}"
            );
            let riding = Custody {
                memos: vec![bad],
                ..claiming("x", "y")
            };
            assert!(matches!(
                shard.take(riding).await,
                Err(ChangeError::Cannot(_))
            ));
        }
        let many = vec![memo(Space::COUNTER, "a", "", 0); MEMOS_TOGETHER_MAX + 1];
        assert!(matches!(write(&many).await, Err(ChangeError::Limit(_))));
        let much = vec![good.clone(); 600];
        assert!(matches!(write(&much).await, Err(ChangeError::Limit(_))));
        write(&[]).await.unwrap();
        assert_eq!(all(&shard).into_values().collect::<Vec<_>>(), [good]);
    });
}

fn owner() -> Owner {
    Owner {
        directory: DIRECTORY.to_owned(),
        store: [7; 16],
        shard: ShardId(0),
    }
}

fn run<T: 'static>(disk: &SimDisk, work: impl Future<Output = T> + 'static) -> T {
    Executor::new(disk.clone(), 3)
        .finish(work)
        .expect("work ends")
}

fn checked(disk: &SimDisk) -> (Summary, String) {
    let at = disk.clone();
    run(disk, async move {
        let mut told = String::new();
        let mut listener = |event| {
            if let Event::Damage(damage) = event {
                told = format!("{told}{damage}\n");
            }
        };
        let found = check(&at, &owner(), &mut listener).await;
        (found, told)
    })
}

fn repaired(disk: &SimDisk) -> Repaired {
    let at = disk.clone();
    run(disk, async move {
        let found = check(&at, &owner(), &mut |_| {}).await;
        assert!(!found.is_clean(), "there is something to repair");
        let mut options = Options::new([7; 16], 0);
        options.segment_bytes = 8 << 20;
        let order = Order {
            aside: "aside".to_owned(),
            options,
        };
        let done = repair(&at, &owner(), &order, &found, &mut |_| {}).await;
        done.map_err(|error| error.to_string()).unwrap()
    })
}

/// The files of runs of memos.
fn files(rig: &Rig) -> Vec<String> {
    let runs = rig.shard.manifest().memos;
    let runs = runs
        .iter()
        .map(|run| format!("{DIRECTORY}/index/{:08x}.run", run.number));
    runs.collect()
}

#[test]
fn a_check_counts_memos_and_names_their_damage() {
    let mut rig = furnished();
    rig.keep_house();
    let files = files(&rig);
    let disk = rig.crash().disk.crash(1);
    let (found, told) = checked(&disk);
    assert!(found.is_clean(), "{told}");
    assert_eq!(found.memos, expected().len() as u64);
    // The first block of the oldest run.
    disk.edit(&files[0], |octets| octets[BLOCK_BYTES + 100] ^= 1);
    let (found, told) = checked(&disk);
    assert!(found.damages.contains_key(&Part::Memos), "{told}");
    assert!(
        told.contains(&files[0]) && told.contains("checksum of a part"),
        "{told}"
    );
    // Whoever asks for what was in it is told, and nobody else.
    let mut rig = Rig::open(disk);
    let (mut lost, mut found) = (0, 0);
    for memo in expected().into_values() {
        let (space, key) = (memo.space, memo.key.clone());
        match rig.run(async move |shard, _| shard.memo(space, &key)) {
            Ok(told) => {
                assert_eq!(told, Some(memo));
                found += 1;
            }
            Err(error) => {
                let is_run = |container| matches!(container, Container::Run(_));
                assert!(
                    matches!(error, ReadError::Damaged { container, .. } if is_run(container)),
                    "{error}"
                );
                lost += 1;
            }
        }
    }
    assert!(lost > 20 && found > 20, "{lost} lost, {found} found");
}

#[test]
fn a_damaged_run_is_made_anew_from_archives_log_and_what_is_left_of_it() {
    let mut rig = furnished();
    rig.keep_house();
    let files = files(&rig);
    let disk = rig.crash().disk.crash(1);
    for file in &files {
        let blocks = disk.contents(file).len() / BLOCK_BYTES;
        for block in 1..blocks {
            let disk = disk.crash(1);
            disk.edit(file, |octets| octets[block * BLOCK_BYTES + 50] ^= 1);
            if checked(&disk).0.is_clean() {
                // Padding.
                continue;
            }
            let done = repaired(&disk);
            assert!(!done.is_rebuilt, "mailboxes are not touched");
            assert!(done.moved.contains(file), "{:?}", done.moved);
            let (found, told) = checked(&disk);
            assert!(found.is_clean(), "{told}");
            let told = Rig::open(disk).memos();
            for (key, memo) in expected() {
                let is_there = told.get(&key) == Some(&memo);
                // Of those that will be over, what was in the block is lost.
                assert!(is_there || key.0 == Space::IDEMPOTENCY, "{memo:?}");
            }
            let known = expected();
            assert!(
                told.keys().all(|key| known.contains_key(key)),
                "nothing is back"
            );
        }
    }
}

#[test]
fn memos_stay_when_the_rest_of_the_index_is_made_anew() {
    let mut rig = furnished();
    rig.keep_house();
    let memos = files(&rig);
    let manifest = format!("{DIRECTORY}/MANIFEST");
    let disk = rig.crash().disk.crash(1);
    for loses_manifest in [false, true] {
        let disk = disk.crash(1);
        run(&disk, {
            let (disk, memos) = (disk.clone(), memos.clone());
            async move {
                let index = format!("{DIRECTORY}/index");
                for file in disk.list(&index).await.unwrap() {
                    let path = format!("{index}/{file}");
                    if path.ends_with(".run") && !memos.contains(&path) {
                        disk.remove(&path).await.unwrap();
                    }
                }
            }
        });
        if loses_manifest {
            disk.edit(&manifest, |octets| octets[40] ^= 1);
        }
        let done = repaired(&disk);
        assert!(done.is_rebuilt);
        let (found, told) = checked(&disk);
        assert!(found.is_clean(), "{told}");
        assert_eq!(Rig::open(disk).memos(), expected());
    }
}

#[test]
fn the_facts_of_memos_do_not_pile_up_in_archives() {
    let mut rig = Rig::open(SimDisk::new(5));
    for round in 0..40u32 {
        let keys = (0..200).map(|n| {
            let key = format!("tenant:{round}:{n}");
            memo(Space::IDEMPOTENCY, &key, &"v".repeat(40), NOW + 1000)
        });
        let counter = memo(Space::COUNTER, "sent", &round.to_string(), 0);
        rig.write(puts(&keys.chain([counter]).collect::<Vec<_>>()));
    }
    rig.roll();
    rig.keep_house();
    let emptied = rig.shard.manifest().first_segment;
    assert!(emptied > 1, "memos keep no segment");
    let archived = rig.shard.occupancy().archive_bytes;
    assert!(archived < 50_000, "{archived} octets");
}

#[test]
fn a_segment_of_an_earlier_build_gets_no_memos() {
    let disk = SimDisk::new(6);
    drop(Rig::open(disk.clone()));
    let path = format!("{DIRECTORY}/log/{:016x}.log", 1);
    disk.edit(&path, |octets| {
        let (header, crc) = octets[..BLOCK_BYTES].split_at_mut(BLOCK_BYTES - 4);
        header[FEATURES_AT] = 2 | 4 | 16;
        crc.copy_from_slice(&plain(header).to_le_bytes());
    });
    let mut rig = Rig::open(disk);
    rig.fill(&[100]);
    assert_eq!(rig.shard.log().end().segment, 1);
    rig.write(puts(&[suppressed(1, "x")]));
    assert_eq!(
        rig.shard.log().end().segment,
        2,
        "the first that may have memos"
    );
    let mut rig = rig.crash();
    assert_eq!(rig.memos().len(), 1);
    rig.assert_whole(&[100]);
}

/// Of a segment header (FORMAT.md, "Segment").
const FEATURES_AT: usize = 96;
