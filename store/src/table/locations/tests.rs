//! Every object is found where it was put, or its damage is named.

use super::*;
use crate::disk::create::Creator;
use crate::disk::executor::Executor;
use crate::disk::fault::Seed;
use crate::disk::sim::SimDisk;
use crate::limit::BLOCK_BYTES;
use crate::log::Place;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn owner() -> Owner {
    Owner {
        store: [7; 16],
        shard: ShardId(3),
        directory: "shard-03".to_owned(),
    }
}

fn run<T: 'static>(disk: &SimDisk, future: impl Future<Output = T> + 'static) -> T {
    Executor::new(disk.clone(), 1).finish(future).unwrap()
}

fn at(place: u64) -> Option<Location> {
    let kind = if place.is_multiple_of(3) {
        Kind::Message
    } else {
        Kind::Deliver
    };
    let place = Place(place);
    (place.0 != 0).then_some(Location { place, kind })
}

async fn write(disk: SimDisk, chunk: u32, places: Vec<u64>) -> io::Result<ChunkName> {
    let mut writer = ChunkWriter::create(disk, &owner(), chunk, 4).await?;
    for place in places {
        writer.append(at(place)).await?;
    }
    writer.finish().await
}

async fn whole(locations: &Locations<SimDisk>, name: &ChunkName) -> Vec<Option<Location>> {
    let mut reader = locations.reader(name).await.unwrap();
    let mut found = Vec::new();
    while let Some(entries) = reader.next().await {
        let entries = entries.unwrap();
        let first = u64::from(name.chunk) << 18 | found.len() as u64;
        assert_eq!(entries.first, ObjectId(first));
        found.extend(entries.entries);
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn entries_come_back(
        chunk in 0u32..1 << 30,
        places in proptest::collection::vec(
            prop_oneof![Just(0), any::<u64>(), Just(1 << 63)], 0..1700,
        ),
        asked in proptest::collection::vec(0u64..2000, 0..20),
    ) {
        let disk = SimDisk::new(1);
        let name = run(&disk, write(disk.clone(), chunk, places.clone())).unwrap();
        prop_assert_eq!(name, ChunkName { chunk, generation: 4, entries: places.len() as u32 });
        let expected: Vec<_> = places.iter().map(|place| at(*place)).collect();
        let on = disk.crash(1);
        let locations = Locations::new(on.clone(), owner(), &[name]);
        let (found, answers) = run(&on, async move {
            locations.verify(&name).await.unwrap();
            let mut answers = Vec::new();
            for index in asked {
                let object = ObjectId(u64::from(chunk) << 18 | index);
                answers.push((index, locations.find(object).await.unwrap()));
            }
            (whole(&locations, &name).await, answers)
        });
        prop_assert_eq!(&found, &expected);
        for (index, answer) in answers {
            prop_assert_eq!(answer, expected.get(index as usize).copied().flatten());
        }
    }

    #[test]
    fn the_next_generation_is_the_old_one_with_the_changes(
        old in proptest::option::of(proptest::collection::vec(any::<u64>(), 0..1700)),
        changes in proptest::collection::btree_map(0u64..2500, any::<u16>(), 0..60),
    ) {
        let disk = SimDisk::new(1);
        let mut names = Vec::new();
        let mut model: BTreeMap<u64, Option<Location>> = BTreeMap::new();
        if let Some(places) = old {
            model.extend((0..).zip(places.iter().map(|place| at(*place))));
            names.push(run(&disk, write(disk.clone(), 5, places)).unwrap());
        }
        let changes: Vec<Change> = changes.into_iter()
            .map(|(index, place)| (ObjectId(5 << 18 | index), at(u64::from(place % 50))))
            .collect();
        model.extend(changes.iter().map(|(object, to)| (object.0 & 0x3ffff, *to)));
        let entries = model.keys().last().map_or(0, |last| last + 1);
        let locations = Locations::new(disk.clone(), owner(), &names);
        let (name, found) = run(&disk, async move {
            let name = locations.rewritten(5, 9, &changes).await.unwrap();
            (name, whole(&locations, &name).await)
        });
        prop_assert_eq!(name, ChunkName { chunk: 5, generation: 9, entries: entries as u32 });
        let expected: Vec<_> =
            (0..entries).map(|index| model.get(&index).copied().flatten()).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_full_chunk_and_its_neighbours_are_found_with_few_pages_in_memory() {
    let disk = SimDisk::new(1);
    let places: Vec<u64> = (1..=u64::from(CHUNK_ENTRIES)).collect();
    let mut names = Vec::new();
    for chunk in [8, 2] {
        names.push(run(&disk, write(disk.clone(), chunk, places.clone())).unwrap());
    }
    let locations = Locations::new(disk.clone(), owner(), &names);
    run(&disk, async move {
        for object in (0..9 << 18).step_by(1009) {
            let found = locations.find(ObjectId(object)).await.unwrap();
            let is_there = matches!(object >> 18, 2 | 8);
            assert_eq!(
                found,
                if is_there {
                    at((object & 0x3ffff) + 1)
                } else {
                    None
                }
            );
        }
        assert_eq!(locations.find(ObjectId(u64::MAX)).await, Ok(None));
        let kept = locations.pages.borrow().0.iter().flatten().count();
        assert!(kept > 100 && kept <= PAGES_KEPT);
    });
}

#[test]
#[should_panic(expected = "the chunk is full")]
fn a_chunk_takes_no_more_than_its_objects() {
    let disk = SimDisk::new(1);
    let places = vec![1; CHUNK_ENTRIES as usize + 1];
    drop(run(&disk, write(disk.clone(), 0, places)));
}

#[test]
fn no_flipped_bit_is_served() {
    let disk = SimDisk::new(1);
    let places: Vec<u64> = (0..700).map(|n| n * 8).collect();
    let name = run(&disk, write(disk.clone(), 1, places.clone())).unwrap();
    let path = name::chunk("shard-03", 1, 4);
    let every = std::env::var("RINGPOST_SEEDS").is_ok();
    let mut dice = Seed::new(7);
    for bit in 0..disk.contents(&path).len() * 8 {
        if !every && dice.below(8) > 0 {
            continue;
        }
        disk.edit(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let locations = Locations::new(disk.clone(), owner(), &[name]);
        let places = places.clone();
        run(&disk, async move {
            assert!(locations.verify(&name).await.is_err(), "bit {bit}");
            for index in [0, 499, 500, 699] {
                let found = locations.find(ObjectId(1 << 18 | index)).await;
                assert!(
                    found.is_err() || found == Ok(at(places[index as usize])),
                    "bit {bit}"
                );
            }
        });
        disk.edit(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
    }
}

#[test]
fn one_bad_page_costs_its_objects_only() {
    let disk = SimDisk::new(1);
    let name = run(&disk, write(disk.clone(), 0, vec![8; 1400])).unwrap();
    let path = name::chunk("shard-03", 0, 4);
    disk.edit(&path, |bytes| {
        bytes[2 * BLOCK_BYTES..3 * BLOCK_BYTES].fill(0)
    });
    let locations = Locations::new(disk.clone(), owner(), &[name]);
    run(&disk, async move {
        assert_eq!(locations.find(ObjectId(499)).await, Ok(at(8)));
        let error = locations.find(ObjectId(500)).await.unwrap_err();
        let ReadError::Damaged {
            container, offset, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((container, offset), (Container::Locations(0), 8192));
        assert_eq!(locations.find(ObjectId(1000)).await, Ok(at(8)));
        let mut reader = locations.reader(&name).await.unwrap();
        let mut pages = Vec::new();
        while let Some(page) = reader.next().await {
            pages.push(page.map(|page| page.entries.len()).ok());
        }
        assert_eq!(pages, [Some(500), None, Some(400)]);
        // Nothing is made of a damaged chunk, and nothing is left of the attempt.
        locations.rewritten(0, 5, &[]).await.unwrap_err();
    });
    assert_eq!(disk.paths(), [path]);
}

#[test]
fn an_unreadable_device_is_no_missing_object() {
    let disk = SimDisk::new(1);
    let name = run(&disk, write(disk.clone(), 0, vec![8; 700])).unwrap();
    let locations = Rc::new(Locations::new(disk.clone(), owner(), &[name]));
    disk.faults(|faults| faults.read_error = 1000);
    let asked = Rc::clone(&locations);
    let error = run(&disk, async move { asked.find(ObjectId(1)).await });
    assert!(matches!(error, Err(ReadError::Io { .. })));
    disk.faults(|faults| faults.read_error = 0);
    let asked = Rc::clone(&locations);
    assert_eq!(
        run(&disk, async move { asked.find(ObjectId(1)).await }),
        Ok(at(8))
    );
    disk.lose(&name::chunk("shard-03", 0, 4));
    let locations = Locations::new(disk.clone(), owner(), &[name]);
    let error = run(&disk, async move { locations.find(ObjectId(1)).await });
    assert!(matches!(
        error,
        Err(ReadError::Io {
            kind: io::ErrorKind::NotFound,
            ..
        })
    ));
}

#[test]
fn a_chunk_of_another_place_or_length_is_refused() {
    let disk = SimDisk::new(1);
    let name = run(&disk, write(disk.clone(), 1, vec![8; 700])).unwrap();
    let good = disk.contents(&name::chunk("shard-03", 1, 4));
    let refused = |name: ChunkName, owner: Owner| {
        let path = name::chunk(&owner.directory, name.chunk, name.generation);
        let (on, bytes) = (disk.clone(), good.clone());
        run(&disk, async move {
            let new = Creator::new(on.clone(), &path).await;
            if let Ok(mut new) = new {
                new.append(&bytes).await.unwrap();
                new.finish().await.unwrap();
            }
            let locations = Locations::new(on, owner, &[name]);
            locations
                .reader(&name)
                .await
                .map(drop)
                .unwrap_err()
                .to_string()
        })
    };
    let other_store = Owner {
        store: [8; 16],
        ..owner()
    };
    let other_shard = Owner {
        shard: ShardId(2),
        ..owner()
    };
    assert!(refused(ChunkName { chunk: 2, ..name }, owner()).contains("another number"));
    assert!(
        refused(
            ChunkName {
                generation: 5,
                ..name
            },
            owner()
        )
        .contains("another generation")
    );
    assert!(refused(name, other_store).contains("another store"));
    assert!(refused(name, other_shard).contains("another shard"));
    assert!(
        refused(
            ChunkName {
                entries: 701,
                ..name
            },
            owner()
        )
        .contains("as many entries")
    );
}
