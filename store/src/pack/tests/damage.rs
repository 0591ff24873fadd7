//! Damage is noticed, named, and costs its block; what no pack may do is refused.

use super::*;
use crate::codec::checksum::plain;
use crate::error::Container;
use crate::limit::BLOCK_BYTES;
use crate::pack::table::ENTRY_BYTES;

/// Four compressed blocks of one record and one stored as it is with two, all of them short.
fn small_items() -> Vec<Item> {
    let mut items: Vec<Item> = (1..=4).map(|number| made(number, 20_000, true)).collect();
    for item in &mut items {
        item.payload = item.payload[..50].repeat(400);
    }
    items.push(made(5, 16_000, false));
    items.push(made(6, 70, false));
    items
}

fn small_pack() -> (SimDisk, Vec<Place>) {
    let disk = SimDisk::new(1);
    let (places, summary) = written(&disk, &small_items()).unwrap();
    assert_eq!(summary.blocks, 5);
    (disk, places)
}

/// Offset and length of a part of the file, as its header and table tell.
fn number_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn table_at(bytes: &[u8]) -> usize {
    number_at(bytes, 56)
}

/// Where block number `block` lies, and how long it is.
fn block_at(bytes: &[u8], block: usize) -> (usize, usize) {
    let entry = table_at(bytes) + block * ENTRY_BYTES;
    (number_at(bytes, entry), number_at(bytes, entry + 8))
}

/// Makes the checksums of blocks, table and header fit again after a change, as far as the changed
/// numbers name parts of the file.
fn seal(bytes: &mut [u8]) {
    let (table, blocks) = (table_at(bytes), number_at(bytes, 64));
    for entry in (0..blocks.min(5)).map(|block| table + block * ENTRY_BYTES) {
        if bytes.len() < entry + ENTRY_BYTES {
            break;
        }
        let (from, len) = (number_at(bytes, entry), number_at(bytes, entry + 8));
        seal_part(bytes, from, len, entry + 20);
    }
    seal_part(bytes, table, blocks.saturating_mul(ENTRY_BYTES), 68);
    seal_part(bytes, 0, BLOCK_BYTES - 4, BLOCK_BYTES - 4);
}

fn seal_part(bytes: &mut [u8], from: usize, len: usize, crc_at: usize) {
    if let Some(part) = bytes.get(from..from.saturating_add(len)) {
        let crc = plain(part).to_le_bytes();
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc);
    }
}

/// Blocks whose records a scan does not find; all others are as they were written.
fn lost_blocks(disk: &SimDisk, places: &[Place]) -> Option<Vec<u32>> {
    let found = scanned(disk).ok()?;
    let mut lost = Vec::new();
    for (place, item) in places.iter().zip(small_items()) {
        let whole = found.contains(&(*place, Ok(item)));
        let block = place.packed().unwrap().1;
        if !whole && !lost.contains(&block) {
            lost.push(block);
        }
    }
    let errors = found.iter().filter(|(_, item)| item.is_err()).count();
    assert_eq!(
        errors,
        lost.len(),
        "every loss is reported, and nothing else"
    );
    Some(lost)
}

#[test]
fn every_flipped_bit_is_noticed_or_harmless_and_costs_its_block() {
    let (disk, places) = small_pack();
    let whole = disk.contents(&path());
    let end = table_at(&whole) + 5 * ENTRY_BYTES;
    let ends: Vec<usize> = (0..5)
        .map(|block| block_at(&whole, block))
        .map(|(at, len)| at + len)
        .collect();
    let every = std::env::var("RINGPOST_SEEDS").is_ok();
    let mut dice = Seed::new(9);
    for at in 0..whole.len() {
        // All of the compressed blocks and the table; of the header, tried elsewhere, of zeros and
        // of noise a sample.
        let is_dull = at < BLOCK_BYTES || at >= end;
        let is_noise = at >= ends[3] && at < ends[4];
        for bit in 0..8 {
            if (is_dull || is_noise) && !every && dice.below(128) > 0 {
                continue;
            }
            disk.edit(&path(), |bytes| bytes[at] ^= 1 << bit);
            let lost = lost_blocks(&disk, &places);
            let block = ends.iter().position(|end| at < *end);
            match (at < BLOCK_BYTES || (at >= ends[4] && at < end), block) {
                (true, _) => assert!(lost.is_none(), "byte {at} of header or table"),
                (false, Some(block)) => assert_eq!(lost.unwrap(), [block as u32], "byte {at}"),
                (false, None) => assert!(lost.unwrap().is_empty(), "byte {at} of the zeros"),
            }
            disk.edit(&path(), |bytes| bytes[at] ^= 1 << bit);
        }
    }
}

#[test]
fn a_damaged_dictionary_is_named() {
    let disk = SimDisk::new(1);
    let form = made(0, 4000, false).payload;
    let letters: Vec<Item> = (1..1000)
        .map(|number| Item {
            payload: [form.clone(), made(number, 1000, true).payload].concat(),
            ..made(number, 0, true)
        })
        .collect();
    written(&disk, &letters).unwrap();
    assert!(opened(&disk).is_ok());
    let dictionary = BLOCK_BYTES..BLOCK_BYTES + number_at(&disk.contents(&path()), 72);
    for at in [
        dictionary.start,
        dictionary.start + 5000,
        dictionary.end - 1,
    ] {
        disk.edit(&path(), |bytes| bytes[at] ^= 4);
        let error = opened(&disk).map(drop).unwrap_err();
        let offset = BLOCK_BYTES as u64;
        assert!(matches!(error, PackError::Damaged { offset: at, .. } if at == offset));
        disk.edit(&path(), |bytes| bytes[at] ^= 4);
    }
}

#[test]
fn a_file_cut_short_anywhere_is_damaged() {
    let (disk, _) = small_pack();
    let whole = disk.contents(&path());
    let end = table_at(&whole) + 5 * ENTRY_BYTES;
    let near = (end - 300..end).chain((0..end).step_by(101));
    for len in near {
        disk.edit(&path(), |bytes| bytes.truncate(len));
        let error = opened(&disk).map(drop).unwrap_err();
        assert!(
            matches!(error, PackError::Damaged { pack: NUMBER, .. }),
            "{len}: {error}"
        );
        disk.edit(&path(), |bytes| *bytes = whole.clone());
    }
    // The zeros at the end are nothing that is missed.
    disk.edit(&path(), |bytes| bytes.truncate(end));
    assert_eq!(scanned(&disk).unwrap().len(), 6);
}

#[test]
fn the_pack_of_another_place_and_a_missing_one_are_named() {
    let (disk, places) = small_pack();
    let (_, block, record) = places[0].packed().unwrap();
    let elsewhere = Place::in_pack(8, block, record);
    let missing = read(&disk, &packs(&disk), elsewhere).unwrap_err();
    let container = Container::Pack(8);
    let offset = 0;
    let kind = io::ErrorKind::NotFound;
    assert_eq!(
        missing,
        ReadError::Io {
            container,
            offset,
            kind
        }
    );
    let on = disk.clone();
    let moved = async move {
        use crate::disk::Disk;
        on.rename(&path(), &format!("{DIRECTORY}/{}", name(8)))
            .await
    };
    run(&disk, moved).unwrap();
    let wrong = read(&disk, &packs(&disk), elsewhere).unwrap_err();
    let what = "the pack of another place";
    assert_eq!(
        wrong,
        ReadError::Damaged {
            container,
            offset,
            what
        }
    );
}

#[test]
fn places_that_no_record_has_are_refused() {
    let (disk, places) = small_pack();
    let packs = packs(&disk);
    let refused = [
        Place::in_pack(NUMBER, 5, 0),
        Place::in_pack(NUMBER, 4, 2),
        Place::in_pack(NUMBER, 0, 4095),
        Place::new(NUMBER, 4096),
    ];
    for place in refused {
        let error = read(&disk, &packs, place).unwrap_err();
        assert!(matches!(error, ReadError::Damaged { .. }), "{error}");
    }
    assert!(read(&disk, &packs, places[0]).is_ok());
}

#[test]
fn an_error_of_the_device_costs_the_record_that_was_asked_for() {
    let (disk, places) = small_pack();
    let packs = packs(&disk);
    assert!(read(&disk, &packs, places[0]).is_ok());
    disk.faults(|faults| faults.read_error = 1000);
    let error = read(&disk, &packs, places[1]).unwrap_err();
    let container = Container::Pack(NUMBER);
    assert!(
        matches!(error, ReadError::Io { container: at, .. } if at == container),
        "{error}"
    );
    // What is unpacked already needs no disk.
    assert!(read(&disk, &packs, places[0]).is_ok());
    packs.forget(NUMBER);
    assert!(read(&disk, &packs, places[0]).is_err());
    disk.faults(|faults| faults.read_error = 0);
    for (place, item) in places.iter().zip(small_items()) {
        assert_eq!(read(&disk, &packs, *place).unwrap(), item);
    }
}

#[test]
fn a_changed_record_under_good_checksums_is_not_served() {
    let (disk, places) = small_pack();
    disk.edit(&path(), |bytes| {
        let (noise, _) = block_at(bytes, 4);
        bytes[noise + 1000] ^= 1;
        seal(bytes);
    });
    let packs = packs(&disk);
    let error = read(&disk, &packs, places[4]).unwrap_err().to_string();
    assert!(error.contains("not the one that was packed"), "{error}");
    assert!(
        read(&disk, &packs, places[5]).is_ok(),
        "its neighbour is whole"
    );
    let found = scanned(&disk).unwrap();
    let lost: Vec<Place> = found
        .iter()
        .filter(|(_, item)| item.is_err())
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(lost, [places[4]]);
}

#[test]
fn a_block_unpacks_to_what_the_table_says_or_not_at_all() {
    for raw in [48u32, 19_000, 30_000] {
        let (disk, places) = small_pack();
        disk.edit(&path(), |bytes| {
            let entry = table_at(bytes);
            let was = number_at(bytes, entry + 12) as u64;
            bytes[entry + 12..entry + 16].copy_from_slice(&raw.to_le_bytes());
            let all = number_at(bytes, 48) as u64 - was + u64::from(raw);
            bytes[48..56].copy_from_slice(&all.to_le_bytes());
            seal(bytes);
        });
        match opened(&disk) {
            Ok(_) => assert_eq!(lost_blocks(&disk, &places).unwrap(), [0], "{raw}"),
            Err(error) => assert!(error.to_string().contains("contradicts"), "{error}"),
        }
    }
}

#[test]
fn tables_that_contradict_themselves_are_refused() {
    // Offset, length in the file, length before, records, coding.
    for (at, change) in [
        (0, 8),
        (8, 1),
        (12, 0x7f),
        (14, 0x7f),
        (16, 1),
        (17, 0x7f),
        (18, 2),
    ] {
        let (disk, _) = small_pack();
        disk.edit(&path(), |bytes| {
            let entry = table_at(bytes) + ENTRY_BYTES;
            bytes[entry + at] ^= change;
            seal(bytes);
        });
        let error = opened(&disk).map(drop).unwrap_err();
        assert!(matches!(error, PackError::Damaged { .. }), "{at}: {error}");
    }
}

#[test]
fn nothing_but_what_was_packed_comes_out_of_bytes_with_good_checksums() {
    let (disk, places) = small_pack();
    let whole = disk.contents(&path());
    let end = table_at(&whole) as u64 + 5 * ENTRY_BYTES as u64;
    let (mut opened, mut refused) = (0, 0);
    for seed in 0..3000 {
        let mut dice = Seed::new(seed);
        disk.edit(&path(), |bytes| {
            for _ in 0..=dice.below(3) {
                // Of the header its fields, then all of the file.
                let from = dice.pick(&[0, BLOCK_BYTES as u64]).unwrap();
                let to = if from == 0 { 104 } else { end };
                let at = (from + dice.below(to - from)) as usize;
                bytes[at] = dice
                    .pick(&[0, 1, 0x7f, 0xff, dice.clone().next() as u8])
                    .unwrap();
            }
            seal(bytes);
        });
        match scanned(&disk) {
            Ok(found) => {
                opened += 1;
                let items = small_items();
                for (place, item) in found {
                    let at = places.iter().position(|known| *known == place);
                    assert!(item.is_err() || item.ok() == at.map(|at| items[at].clone()));
                }
            }
            Err(_) => refused += 1,
        }
        disk.edit(&path(), |bytes| *bytes = whole.clone());
    }
    assert!(opened > 100 && refused > 100, "{opened} {refused}");
}
