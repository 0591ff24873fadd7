//! Runs come back as written, and nothing else is ever taken for one.

use super::*;
use crate::codec::checksum::plain;
use crate::disk::blocking::{self, BlockingDisk};
use crate::disk::executor::Executor;
use crate::disk::fault::Seed;
use crate::disk::sim::SimDisk;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io;

type Parts = BTreeMap<(u32, u32), Vec<u8>>;
type AllCards = BTreeMap<u32, Vec<u8>>;

const HEAD: RunHead = RunHead {
    store: [7; 16],
    shard: ShardId(3),
    number: 9,
    tier: 2,
};

async fn write<D: Disk>(disk: D, parts: &Parts, cards: &AllCards) -> io::Result<u64> {
    let mut run = RunWriter::create(disk, "shard-03", HEAD).await?;
    for ((account, mailbox), bytes) in parts {
        run.part(*account, *mailbox, bytes).await?;
    }
    for (account, bytes) in cards {
        run.card(*account, bytes).await?;
    }
    run.finish().await
}

fn on_sim(disk: &SimDisk, parts: Parts, cards: AllCards) -> io::Result<u64> {
    let on = disk.clone();
    let writing = async move { write(on, &parts, &cards).await };
    Executor::new(disk.clone(), 1).finish(writing).unwrap()
}

fn load(disk: &SimDisk, head: RunHead) -> Result<Run, TableError> {
    let on = disk.clone();
    let loading = async move { Run::load(&on, "shard-03", head).await };
    Executor::new(disk.clone(), 1).finish(loading).unwrap()
}

fn small() -> (SimDisk, Parts, AllCards) {
    let parts = (0..200u32).map(|n| ((n / 3, n % 3), vec![n as u8; n as usize % 40]));
    let cards = (0..20u32).map(|n| (n * 3, format!("card {n}").into_bytes()));
    let (disk, parts, cards): (_, Parts, AllCards) =
        (SimDisk::new(1), parts.collect(), cards.collect());
    on_sim(&disk, parts.clone(), cards.clone()).unwrap();
    (disk.crash(1), parts, cards)
}

/// Whether all that the run serves is what was written; errors are fine.
fn serves_only(run: &Run, parts: &Parts, cards: &AllCards) -> bool {
    let parts_fit =
        parts.iter().all(
            |((account, mailbox), bytes)| match run.part(*account, *mailbox) {
                Some(Ok(found)) => found == bytes,
                Some(Err(_)) => true,
                None => false,
            },
        );
    let cards_fit = run
        .cards()
        .is_ok_and(|found| found.eq(cards.iter().map(|(account, bytes)| (*account, &bytes[..]))));
    parts_fit && (cards_fit || run.cards().is_err()) && run.part(u32::MAX, 1).is_none()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_run_comes_back(
        parts in proptest::collection::btree_map(
            (0u32..90, 0u32..9), proptest::collection::vec(any::<u8>(), 0..300), 0..600,
        ),
        cards in proptest::collection::btree_map(
            any::<u32>(), proptest::collection::vec(any::<u8>(), 0..300), 0..50,
        ),
    ) {
        let disk = SimDisk::new(1);
        let bytes = on_sim(&disk, parts.clone(), cards.clone()).unwrap();
        let run = load(&disk.crash(1), HEAD).unwrap();
        run.verify().unwrap();
        prop_assert_eq!((run.bytes(), run.number(), run.tier()), (bytes, 9, 2));
        let keys: Result<Vec<_>, _> = run.keys().collect();
        prop_assert_eq!(keys.unwrap(), parts.keys().copied().collect::<Vec<_>>());
        prop_assert!(serves_only(&run, &parts, &cards));
        for account in 0..90 {
            for mailbox in 0..9 {
                let is_there = parts.contains_key(&(account, mailbox));
                prop_assert_eq!(run.part(account, mailbox).is_some(), is_there);
                prop_assert_eq!(run.range(account, mailbox).is_some(), is_there);
            }
        }
    }
}

#[test]
fn no_flipped_bit_is_served() {
    let (disk, parts, cards) = small();
    let parts: Parts = parts.into_iter().step_by(7).collect();
    let path = name::run("shard-03", 9);
    let good = disk.contents(&path);
    let every = std::env::var("RINGPOST_SEEDS").is_ok();
    let mut dice = Seed::new(5);
    for bit in 0..good.len() * 8 {
        if !every && dice.below(20) > 0 {
            continue;
        }
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let map = Map::of_memory(bytes.into_boxed_slice());
        let Ok(run) = Run::open(&path, map, HEAD) else {
            continue;
        };
        let is_noticed = run.verify().is_err();
        assert!(serves_only(&run, &parts, &cards), "bit {bit}");
        let ends = run.sections.cards_range().end..run.sections.directory;
        let padding = ends.contains(&(bit as u64 / 8));
        assert!(
            is_noticed || padding,
            "bit {bit} is neither noticed nor harmless"
        );
    }
}

#[test]
fn rot_after_the_opening_is_noticed_by_the_next_look() {
    let (disk, parts, _) = small();
    let parts: Parts = parts.into_iter().step_by(7).collect();
    let path = name::run("shard-03", 9);
    let good = load(&disk, HEAD).unwrap();
    for at in (BLOCK_BYTES..good.len_in_memory()).step_by(5) {
        disk.edit(&path, |bytes| bytes[at] ^= 1);
        // The header was read before the page rotted.
        let map = Map::of_memory(disk.contents(&path).into_boxed_slice());
        let run = Run {
            map,
            ..good.clone()
        };
        for ((account, mailbox), bytes) in &parts {
            let found = run.part(*account, *mailbox).unwrap();
            assert!(found.is_err() || found == Ok(bytes), "byte {at}");
        }
        disk.edit(&path, |bytes| bytes[at] ^= 1);
    }
}

#[test]
fn a_short_foreign_or_newer_file_says_what_it_is() {
    let (disk, ..) = small();
    let path = name::run("shard-03", 9);
    let good = disk.contents(&path);
    let why = |change: &dyn Fn(&mut Vec<u8>), head| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let map = Map::of_memory(bytes.into_boxed_slice());
        Run::open(&path, map, head)
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    let same = |_: &mut Vec<u8>| {};
    let said = [
        (
            why(&|bytes| bytes.truncate(100), HEAD),
            "shorter than its header",
        ),
        (why(&|bytes| bytes.truncate(8192), HEAD), "not as long as"),
        (
            why(&|bytes| bytes.extend([0; 4096]), HEAD),
            "not as long as",
        ),
        (why(&|bytes| bytes.fill(0), HEAD), "does not begin with"),
        (
            why(&|bytes| bytes[1000] = 1, HEAD),
            "checksum of the header",
        ),
        (
            why(&|bytes| resealed(bytes, 40), HEAD),
            "later version (format 3)",
        ),
        (
            why(&|bytes| resealed(bytes, 96), HEAD),
            "later version (features 0x2)",
        ),
        (
            why(
                &same,
                RunHead {
                    store: [8; 16],
                    ..HEAD
                },
            ),
            "another store",
        ),
        (
            why(
                &same,
                RunHead {
                    shard: ShardId(4),
                    ..HEAD
                },
            ),
            "another shard",
        ),
        (why(&same, RunHead { number: 8, ..HEAD }), "another number"),
        (why(&same, RunHead { tier: 0, ..HEAD }), "another tier"),
    ];
    for (text, part) in said {
        assert!(
            text.contains(part) && text.contains(&path),
            "{text}: {part}"
        );
    }
    disk.lose(&path);
    let missing = load(&disk, HEAD).map(drop).unwrap_err();
    assert!(matches!(missing, TableError::Missing { path: lost } if lost == path));
}

/// Changes a byte of the header and gives it its checksum again.
fn resealed(bytes: &mut [u8], at: usize) {
    bytes[at] ^= 2;
    let crc = plain(&bytes[..BLOCK_BYTES - 4]);
    bytes[BLOCK_BYTES - 4..BLOCK_BYTES].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn lost_and_misdirected_writes_and_dead_pages_do_not_pass_verification() {
    let (_, parts, cards) = small();
    let mut refused = 0;
    for seed in 1..60 {
        let disk = SimDisk::new(seed);
        disk.faults(|faults| {
            (
                faults.lost_write,
                faults.misdirected_write,
                faults.lost_page,
            ) = (200, 200, 100);
        });
        on_sim(&disk, parts.clone(), cards.clone()).unwrap();
        match load(&disk, HEAD).and_then(|run| run.verify().map(|()| run)) {
            Ok(run) => assert!(serves_only(&run, &parts, &cards)),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 20, "the faults did nothing");
}

#[test]
fn a_run_that_cannot_be_written_leaves_nothing() {
    let (_, parts, cards) = small();
    let disk = SimDisk::new(1);
    disk.faults(|faults| faults.space = Some(4096));
    let error = on_sim(&disk, parts, cards).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(disk.paths().is_empty());
}

#[test]
#[should_panic(expected = "parts rise")]
fn parts_out_of_order_are_our_own_mistake() {
    let disk = SimDisk::new(1);
    Executor::new(disk.clone(), 1).finish(async move {
        let mut run = RunWriter::create(disk, "shard-03", HEAD).await.unwrap();
        run.part(2, 1, b"").await.unwrap();
        run.part(2, 1, b"").await.unwrap();
    });
}

#[test]
fn a_truncated_file_under_a_map_is_damage_and_not_death() {
    let root = tempfile::tempdir().unwrap();
    let disk = BlockingDisk::new(root.path());
    let large: Parts = (0..50).map(|n| ((n, 1), vec![n as u8; 10_000])).collect();
    let run = blocking::run(async {
        disk.create_directory("shard-03/index").await.unwrap();
        write(disk.clone(), &large, &AllCards::new()).await.unwrap();
        Run::load(&disk, "shard-03", HEAD).await.unwrap()
    });
    run.verify().unwrap();
    let file = std::fs::File::options()
        .write(true)
        .open(root.path().join(run.path()));
    file.unwrap().set_len(20 * 4096).unwrap();
    let found = large
        .keys()
        .map(|(account, mailbox)| run.part(*account, *mailbox));
    assert!(found.flatten().any(|part| part.is_err()));
    assert!(run.verify().is_err());
}

impl Run {
    fn len_in_memory(&self) -> usize {
        self.map.len()
    }
}
