//! Crashes and write errors leave a whole pack or none; memory is bounded.

use super::*;
use crate::disk::fault::WriteFault;
use crate::limit::RECORD_BYTES_MAX;

#[test]
fn a_crash_leaves_a_whole_pack_or_none() {
    let items: Vec<Item> = (1..=80).map(|number| made(number, 30_000, false)).collect();
    let disk = SimDisk::new(3);
    let mut executor = Executor::new(disk.clone(), 3);
    let (on, given) = (disk.clone(), items.clone());
    executor.spawn(async move {
        let mut writer = PackWriter::create(on, &path(), HEAD).await.unwrap();
        for item in &given {
            let parts = [item.payload.as_slice()];
            let added = writer.add(item.kind, item.account, Lsn(item.lsn), &parts);
            added.await.unwrap();
        }
        writer.finish().await.unwrap();
    });
    let (mut none, mut whole) = (0, 0);
    for turn in 0.. {
        match scanned(&disk.crash(turn)) {
            Ok(found) => {
                assert!(
                    found
                        .into_iter()
                        .map(|(_, item)| item.unwrap())
                        .eq(items.clone())
                );
                whole += 1;
            }
            Err(_) => none += 1,
        }
        if !executor.turn() {
            break;
        }
    }
    assert!(none > 3 && whole > 0, "{none} {whole}");
    assert!(scanned(&disk).is_ok());
}

#[test]
fn a_write_that_fails_leaves_no_file() {
    let items: Vec<Item> = (1..=80).map(|number| made(number, 30_000, false)).collect();
    let mut failures = 0;
    for failing in 1.. {
        let disk = SimDisk::new(failing);
        disk.faults(|faults| faults.failing_writes = vec![(failing, WriteFault::Full)]);
        match written(&disk, &items) {
            Ok(_) => break,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
        }
        assert!(disk.paths().is_empty());
        failures += 1;
    }
    assert_eq!(failures, 4, "three writes of blocks and one of the header");
}

#[test]
fn an_abandoned_pack_is_removed() {
    let disk = SimDisk::new(1);
    let on = disk.clone();
    run(&disk, async move {
        let writer = PackWriter::create(on, &path(), HEAD).await.unwrap();
        writer.abandon().await;
    });
    assert!(disk.paths().is_empty());
}

#[test]
fn the_writer_holds_back_no_more_than_its_sample() {
    let disk = SimDisk::new(1);
    let (on, seen) = (disk.clone(), disk.clone());
    run(&disk, async move {
        let mut writer = PackWriter::create(on, &path(), HEAD).await.unwrap();
        for number in 1..=100 {
            let item = made(number, 100_000, false);
            let parts = [item.payload.as_slice()];
            writer.add(1, 1, Lsn(number), &parts).await.unwrap();
            let held = writer.raw_bytes() as usize - seen.contents(&path()).len();
            assert!(
                held <= (4 << 20) + 2 * RECORD_BYTES_MAX,
                "{held} bytes are held"
            );
        }
        writer.abandon().await;
    });
}

#[test]
fn readers_keep_a_bounded_number_of_bytes() {
    let disk = SimDisk::new(1);
    let items: Vec<Item> = (1..=200)
        .map(|number| made(number, 60_000, false))
        .collect();
    let (places, summary) = written(&disk, &items).unwrap();
    assert!(summary.raw_bytes > 10 << 20);
    let packs = packs(&disk);
    let mut most = 0;
    for (place, item) in places.iter().zip(&items) {
        assert_eq!(&read(&disk, &packs, *place).unwrap(), item);
        most = most.max(packs.resident_bytes());
    }
    assert!((3 << 20..5 << 20).contains(&most), "{most} bytes were kept");
    packs.forget(NUMBER);
    assert_eq!(packs.resident_bytes(), 0);
}
