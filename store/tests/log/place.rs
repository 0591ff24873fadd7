//! A record is read back from the place that was told for it, from memory and from the disk.

use crate::world::{World, fact};
use store::disk::fault::Seed;
use store::disk::sim::SimDisk;
use store::log::Place;

#[test]
fn every_record_is_at_its_place_in_memory_and_on_disk() {
    let mut seed = Seed::new(8);
    let mut world = World::open(&SimDisk::new(8), 8).unwrap();
    for number in 0..60 {
        world.append(vec![
            fact(&mut seed, number),
            fact(&mut seed, 1000 + number),
        ]);
        world.executor.run(seed.below(40) as usize);
    }
    world.settle();
    let placed = world.book.placed();
    assert_eq!(placed.len(), 120);
    read_all(&mut world, &placed);
    let counters = world.log.counters();
    assert!(
        counters.hot_reads > 0 && counters.disk_reads > 0,
        "{counters:?}"
    );
    let mut world = World::open(&world.close(), 9).unwrap();
    assert_eq!(world.replayed, placed);
    read_all(&mut world, &placed);
    assert_eq!(world.log.counters().hot_reads, 0);
}

fn read_all(world: &mut World, placed: &[(Place, crate::world::Fact)]) {
    for (place, (kind, account, body)) in placed {
        for expecting in [0, 100, body.len(), 20_000] {
            let (log, place) = (world.log.clone(), *place);
            let read = world
                .executor
                .finish(async move { log.read_expecting(place, expecting).await });
            let record = read.unwrap().unwrap();
            assert_eq!((record.kind(), record.account()), (*kind, *account));
            assert_eq!(record.payload(), body);
        }
    }
}

#[test]
fn places_where_no_record_begins_are_damage() {
    let mut world = World::open(&SimDisk::new(1), 1).unwrap();
    world.append(vec![(1, 1, vec![5; 500])]);
    let mut world = World::open(&world.close(), 1).unwrap();
    let place = world.replayed[0].0;
    let beside = [
        place.plus(8),
        Place::new(0, 1 << 20),
        Place::new(7, 4096),
        Place::new(0, 0),
    ];
    for place in beside {
        let log = world.log.clone();
        let read = world.executor.finish(async move { log.read(place).await });
        assert!(read.unwrap().is_err(), "{place:?}");
    }
}

#[test]
fn a_place_is_packed_and_unpacked() {
    for (segment, offset) in [(0, 0), (1, 8), (u32::MAX, (1 << 35) - 8)] {
        let place = Place::new(segment, offset);
        assert_eq!((place.segment(), place.offset()), (segment, offset));
    }
    assert!(Place::new(1, 0) > Place::new(0, 1 << 30));
}
