//! The manifest is the old or the new one, and everything in it is there.

use super::*;
use crate::codec::checksum::plain;
use crate::disk::executor::Executor;
use crate::disk::fault::{Seed, WriteFault};
use crate::disk::sim::SimDisk;
use crate::limit::BLOCK_BYTES;
use crate::log::Place;
use crate::mail::id::{FrameSeq, Lsn, ObjectId};
use crate::table::locations::{Kind, Location, Locations, Owner};
use crate::table::run::{Run, RunHead, RunWriter};
use proptest::prelude::*;

const STORE: [u8; 16] = *b"0123456789abcdef";
const SHARD: ShardId = ShardId(3);
const DIRECTORY: &str = "shard-03";
const PATH: &str = "shard-03/MANIFEST";

fn run<T: 'static>(disk: &SimDisk, future: impl Future<Output = T> + 'static) -> T {
    Executor::new(disk.clone(), 1).finish(future).unwrap()
}

fn write(disk: &SimDisk, manifest: &Manifest) -> Result<(), TableError> {
    let (on, manifest) = (disk.clone(), manifest.clone());
    run(disk, async move {
        manifest.write(&on, DIRECTORY, STORE, SHARD).await
    })
}

fn read(disk: &SimDisk) -> Result<Option<Manifest>, TableError> {
    read_as(disk, STORE, SHARD)
}

fn read_as(
    disk: &SimDisk,
    store: [u8; 16],
    shard: ShardId,
) -> Result<Option<Manifest>, TableError> {
    let on = disk.clone();
    run(disk, async move {
        Manifest::read(&on, DIRECTORY, store, shard).await
    })
}

fn example() -> Manifest {
    Manifest {
        has_queue: false,
        has_memos: false,
        generation: 12,
        first_segment: 3,
        next_number: 17,
        replay: Some(Position {
            segment: 3,
            offset: 4096,
            chain: 0x1a2b,
            frame: FrameSeq(17),
            lsn: Lsn(99),
        }),
        runs: vec![RunName {
            number: 5,
            tier: 0,
            bytes: 8192,
        }],
        memos: Vec::new(),
        locations: vec![ChunkName {
            chunk: 0,
            generation: 3,
            entries: 1 << 18,
        }],
        packs: vec![PackName {
            number: 7,
            bytes: 1 << 20,
            records: 300,
        }],
        archives: vec![ArchiveName {
            number: 8,
            first_segment: 1,
            last_segment: 2,
            bytes: 40_960,
        }],
    }
}

prop_compose! {
    fn manifests()(
        has_queue: bool,
        has_memos: bool,
        generation: u64,
        first_segment in 1..u32::MAX,
        replay in proptest::option::of((any::<u64>(), any::<u32>(), any::<u64>(), any::<u64>())),
        runs in proptest::collection::vec((0..u32::MAX, any::<u16>(), any::<u64>()), 0..9),
        memos in proptest::collection::vec((0..u32::MAX, any::<u16>(), any::<u64>()), 0..9),
        chunks in proptest::collection::btree_map(
            any::<u32>(), (0..u32::MAX, 0..=CHUNK_ENTRIES), 0..300,
        ),
        packs in proptest::collection::vec((0..u32::MAX, any::<u64>(), any::<u64>()), 0..9),
        archives in proptest::collection::vec((0..u32::MAX, any::<u32>(), any::<u64>()), 0..9),
    ) -> Manifest {
        Manifest {
            has_queue,
            has_memos,
            generation,
            first_segment,
            next_number: u32::MAX,
            replay: replay.map(|(offset, chain, frame, lsn)| Position {
                segment: first_segment,
                offset,
                chain,
                frame: FrameSeq(frame),
                lsn: Lsn(lsn),
            }),
            runs: runs.into_iter()
                .map(|(number, tier, bytes)| RunName { number, tier, bytes })
                .collect(),
            memos: memos.into_iter()
                .map(|(number, tier, bytes)| RunName { number, tier, bytes })
                .collect(),
            locations: chunks.into_iter()
                .map(|(chunk, (generation, entries))| ChunkName { chunk, generation, entries })
                .collect(),
            packs: packs.into_iter()
                .map(|(number, bytes, records)| PackName { number, bytes, records })
                .collect(),
            archives: archives.into_iter()
                .map(|(number, first, bytes)| ArchiveName {
                    number,
                    first_segment: first,
                    last_segment: first_segment - 1,
                    bytes,
                })
                .collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_manifest_comes_back_and_replaces_the_one_before(manifest in manifests()) {
        let disk = SimDisk::new(1);
        write(&disk, &example()).unwrap();
        write(&disk, &manifest).unwrap();
        prop_assert_eq!(read(&disk.crash(1)).unwrap(), Some(manifest));
        prop_assert_eq!(disk.paths(), [PATH]);
    }
}

#[test]
fn the_text_is_the_documented_one() {
    let disk = SimDisk::new(1);
    write(&disk, &example()).unwrap();
    let bytes = disk.contents(PATH);
    assert_eq!(bytes.len(), BLOCK_BYTES);
    let text = String::from_utf8(bytes).unwrap();
    let lines = "ringpost manifest\nformat 1\nfeatures\nuuid 30313233343536373839616263646566\n\
        shard 3\ngeneration 12\nfirst-segment 3\nnext-number 17\nreplay 3 4096 00001a2b 17 99\n\
        run 5 0 8192\nlocations 0 3 262144\npack 7 1048576 300\narchive 8 1 2 40960\ncrc32c ";
    assert!(text.starts_with(lines), "{text}");
}

#[test]
fn no_flipped_bit_passes() {
    let disk = SimDisk::new(1);
    write(&disk, &example()).unwrap();
    for bit in 0..disk.contents(PATH).len() * 8 {
        disk.edit(PATH, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let error = read(&disk).unwrap_err();
        assert!(
            matches!(error, TableError::Damaged { .. }),
            "bit {bit}: {error}"
        );
        disk.edit(PATH, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
    }
    assert_eq!(read(&disk), Ok(Some(example())));
}

#[test]
fn what_is_wrong_with_a_manifest_is_said() {
    let disk = SimDisk::new(1);
    write(&disk, &example()).unwrap();
    let said = |from: &str, to: &str| {
        let disk = disk.crash(1);
        disk.edit(PATH, |bytes| *bytes = replaced(bytes, from, to));
        read(&disk).unwrap_err().to_string()
    };
    assert!(said("format 1", "format 2").contains("later version (format 2)"));
    assert!(said("features", "features sieve").contains("later version (features sieve)"));
    assert!(said("ringpost manifest", "hello").contains("does not describe a shard"));
    assert!(said("next-number 17", "next-number 8").contains("a number was not given yet"));
    assert!(said("next-number 17\n", "").contains("a line is missing"));
    assert!(said("first-segment 3", "first-segment x").contains("a number is wrong"));
    assert!(said("00001a2b", "01a2b").contains("not written as we write it"));
    assert!(said("run 5 0 8192", "walk 5 0 8192").contains("a line is not understood"));
    assert!(said("run 5 0 8192", "run 5 0 8192 7").contains("a line is not understood"));
    assert!(said("locations 0 3 262144", "locations 0 3 262145").contains("too many entries"));
    assert!(said("archive 8 1 2", "archive 8 1 3").contains("archived and in the log"));
    assert!(said("replay 3", "replay 2").contains("in a segment that is gone"));
    let foreign = |store, shard| read_as(&disk, store, shard).unwrap_err().to_string();
    assert!(foreign([0; 16], SHARD).contains("another store"));
    assert!(foreign(STORE, ShardId(4)).contains("another shard"));
    for cut in [0, 10, 300] {
        let disk = disk.crash(1);
        disk.edit(PATH, |bytes| bytes.truncate(cut));
        assert!(
            matches!(read(&disk), Err(TableError::Damaged { .. })),
            "{cut}"
        );
    }
}

/// Changes the text and gives it its checksum again.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = str::from_utf8(bytes).unwrap().replace(from, to);
    let (covered, _) = text.split_once("crc32c").unwrap();
    let mut bytes = format!("{covered}crc32c {:08x}\n", plain(covered.as_bytes())).into_bytes();
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), b'\n');
    bytes
}

#[test]
fn a_shard_without_a_manifest_has_no_files_of_it() {
    let disk = SimDisk::new(1);
    assert_eq!(read(&disk), Ok(None));
    create(&disk, "shard-03/packs/notes.txt");
    assert_eq!(read(&disk), Ok(None));
    create(&disk, "shard-03/packs/00000007.pack");
    let missing = TableError::Missing {
        path: PATH.to_owned(),
    };
    assert_eq!(read(&disk), Err(missing));
}

fn create(disk: &SimDisk, path: &str) {
    let (on, path) = (disk.clone(), path.to_owned());
    run(
        disk,
        async move { on.open(&path, Mode::Create).await.map(drop) },
    )
    .unwrap();
}

#[test]
fn leftovers_are_ours_and_not_named() {
    let disk = SimDisk::new(1);
    let ours = [
        "shard-03/archive/00000009.pack",
        "shard-03/index/00000000.00000002.loc",
        "shard-03/index/00000006.run",
        "shard-03/packs/0000000a.pack",
        "shard-03/MANIFEST.draft",
    ];
    let others = [
        "shard-03/index/00000005.run",
        "shard-03/index/00000000.00000003.loc",
        "shard-03/packs/00000007.pack",
        "shard-03/archive/00000008.pack",
        "shard-03/index/00000006.run.bak",
        "shard-03/packs/7.pack",
        "shard-03/log/0000000000000001.log",
        "shard-03/MANIFEST",
        "shard-04/index/00000006.run",
    ];
    for path in ours.iter().chain(&others) {
        create(&disk, path);
    }
    let on = disk.clone();
    let found = run(
        &disk,
        async move { leftovers(&on, DIRECTORY, &example()).await },
    );
    assert_eq!(found.unwrap(), ours);
}

#[test]
fn a_draft_that_the_device_did_not_keep_never_becomes_the_manifest() {
    let mut refused = 0;
    for seed in 1..40 {
        let disk = SimDisk::new(seed);
        write(&disk, &example()).unwrap();
        disk.faults(|faults| faults.lost_write = 500);
        let next = Manifest {
            generation: 13,
            ..example()
        };
        let written = write(&disk, &next);
        disk.faults(|faults| faults.lost_write = 0);
        let expected = if written.is_ok() { next } else { example() };
        refused += u32::from(written.is_err());
        assert_eq!(read(&disk), Ok(Some(expected)));
    }
    assert!(refused > 5, "the faults did nothing");
}

#[test]
fn a_failed_write_leaves_the_old_manifest_and_the_next_one_succeeds() {
    let disk = SimDisk::new(1);
    write(&disk, &example()).unwrap();
    let next = Manifest {
        generation: 13,
        ..example()
    };
    disk.faults(|faults| faults.failing_writes = vec![(2, WriteFault::Full)]);
    let error = write(&disk, &next).unwrap_err();
    assert!(matches!(
        error,
        TableError::Io {
            kind: io::ErrorKind::StorageFull,
            ..
        }
    ));
    assert_eq!(read(&disk), Ok(Some(example())));
    write(&disk, &next).unwrap();
    assert_eq!(read(&disk), Ok(Some(next)));
}

#[test]
#[should_panic(expected = "a number was not given yet")]
fn a_manifest_that_contradicts_itself_is_our_own_mistake() {
    drop(write(
        &SimDisk::new(1),
        &Manifest {
            next_number: 7,
            ..example()
        },
    ));
}

/// One round of what a compactor does: new files, verified, then named, then the old ones removed.
async fn publish(disk: SimDisk, before: Manifest) -> Result<Manifest, TableError> {
    let number = before.next_number;
    let name = write_run(&disk, number).await?;
    let owner = Owner {
        store: STORE,
        shard: SHARD,
        directory: DIRECTORY.to_owned(),
    };
    let locations = Locations::new(disk.clone(), owner, &before.locations);
    let location = Location {
        place: Place::new(1, u64::from(number) * 8),
        kind: Kind::Deliver,
    };
    let changes = [(ObjectId(u64::from(number) * 300), Some(location))];
    let chunk = locations.rewritten(0, number + 1, &changes).await?;
    locations.verify(&chunk).await?;
    let after = Manifest {
        generation: before.generation + 1,
        next_number: number + 2,
        runs: vec![name],
        locations: vec![chunk],
        ..before.clone()
    };
    after.write(&disk, DIRECTORY, STORE, SHARD).await?;
    for path in before.names(DIRECTORY) {
        disk.remove(&path).await.map_err(at(&path))?;
    }
    Ok(after)
}

async fn write_run(disk: &SimDisk, number: u32) -> Result<RunName, TableError> {
    let head = RunHead {
        store: STORE,
        shard: SHARD,
        number,
        tier: 0,
    };
    let path = name::run(DIRECTORY, number);
    let writing = async {
        let mut run = RunWriter::create(disk.clone(), DIRECTORY, head).await?;
        for account in 0..300 {
            run.part(account, number, &number.to_le_bytes()).await?;
        }
        run.card(number, b"card").await?;
        run.finish().await
    };
    let bytes = writing.await.map_err(at(&path))?;
    Run::load(disk, DIRECTORY, head).await?.verify()?;
    Ok(RunName {
        number,
        tier: 0,
        bytes,
    })
}

/// Opens what a crash left: the manifest, all that it names, and nothing else after the cleaning.
async fn recover(disk: SimDisk) -> Result<Manifest, TableError> {
    let manifest = Manifest::read(&disk, DIRECTORY, STORE, SHARD).await?;
    let manifest = manifest.expect("the first manifest was durable before all else");
    for path in leftovers(&disk, DIRECTORY, &manifest).await? {
        disk.remove(&path).await.map_err(at(&path))?;
    }
    for name in &manifest.runs {
        let RunName {
            number,
            tier,
            bytes,
        } = *name;
        let head = RunHead {
            store: STORE,
            shard: SHARD,
            number,
            tier,
        };
        let run = Run::load(&disk, DIRECTORY, head).await?;
        run.verify()?;
        assert_eq!(run.bytes(), bytes);
        assert_eq!(run.part(7, number).unwrap()?, number.to_le_bytes());
    }
    let owner = Owner {
        store: STORE,
        shard: SHARD,
        directory: DIRECTORY.to_owned(),
    };
    let locations = Locations::new(disk.clone(), owner, &manifest.locations);
    for name in &manifest.locations {
        locations.verify(name).await?;
        // Every generation so far put one object there.
        for number in (1..name.generation).step_by(2) {
            let found = locations
                .find(ObjectId(u64::from(number) * 300))
                .await
                .unwrap();
            assert_eq!(found.unwrap().place.offset(), u64::from(number) * 8);
        }
    }
    let mut named = manifest.names(DIRECTORY);
    named.push(PATH.to_owned());
    named.sort();
    assert_eq!(disk.paths(), named);
    Ok(manifest)
}

/// Publishes, with a power cut or a kill after so many turns; then recovers and goes on.
fn lives(seed: u64, no_sync: bool) -> Result<u64, TableError> {
    let mut dice = Seed::new(seed);
    let mut disk = SimDisk::new(seed);
    write(&disk, &Manifest::default())?;
    let mut manifest = Manifest::default();
    for _ in 0..6 {
        disk.faults(|faults| faults.no_sync = no_sync.then_some(""));
        let mut executor = Executor::new(disk.clone(), dice.next());
        let (on, before) = (disk.clone(), manifest.clone());
        executor.spawn(async move { drop(publish(on, before).await) });
        executor.run(dice.below(80) as usize);
        disk = if dice.chance(500) {
            disk.crash(dice.next())
        } else {
            disk.kill(dice.next())
        };
        let found = run(&disk, recover(disk.clone()))?;
        let is_old = found == manifest;
        assert!(
            is_old || found.generation == manifest.generation + 1,
            "seed {seed}"
        );
        manifest = found;
    }
    Ok(manifest.generation)
}

#[test]
fn after_any_crash_the_manifest_is_the_old_or_the_new_one_and_whole() {
    let seeds = std::env::var("RINGPOST_SEEDS").ok();
    let seeds = seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(60);
    let mut published = 0;
    for seed in 1..=seeds {
        let generation = lives(seed, false);
        published += generation.unwrap_or_else(|error| panic!("seed {seed}: {error}")) - 1;
    }
    assert!(
        published > seeds,
        "the crashes came too early to mean anything"
    );
}

#[test]
fn without_syncs_crashes_are_noticed() {
    let is_noticed = |seed| lives(seed, true).is_err();
    assert!((1..40).any(is_noticed));
}
