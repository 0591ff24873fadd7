//! What goes in comes out: of any sizes, in any number, with a dictionary and without.

use super::*;
use crate::limit::{BLOCK_BYTES, RECORD_BYTES_MAX};
use crate::log::RECORD_HEADER_BYTES;
use crate::pack::verify;
use proptest::prelude::*;

const PAYLOAD_MAX: usize = RECORD_BYTES_MAX - RECORD_HEADER_BYTES;

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0usize..200,
        4 => 200usize..20_000,
        2 => 20_000usize..140_000,
        1 => PAYLOAD_MAX - 1000..=PAYLOAD_MAX,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_goes_in_comes_out(sizes in prop::collection::vec((sizes(), any::<bool>()), 0..40)) {
        let numbered = (1..).zip(&sizes);
        let items: Vec<Item> = numbered
            .map(|(number, (octets, is_text))| made(number, *octets, *is_text))
            .collect();
        comes_back(&items);
    }
}

/// Writes a pack and finds all of it again, by place, by scan and by verifying, after a power cut.
fn comes_back(items: &[Item]) -> (SimDisk, Summary) {
    let disk = SimDisk::new(1);
    let (places, summary) = written(&disk, items).unwrap();
    let disk = disk.crash(1);
    assert_eq!(summary.records, items.len() as u64);
    assert_eq!(summary.bytes, disk.contents(&path()).len() as u64);
    assert_eq!(summary.bytes % BLOCK_BYTES as u64, 0);
    let packs = packs(&disk);
    for (place, item) in places.iter().zip(items) {
        assert_eq!(&read(&disk, &packs, *place).unwrap(), item);
    }
    let found = scanned(&disk).unwrap();
    let expected = places.iter().zip(items);
    assert!(
        found
            .into_iter()
            .eq(expected.map(|(place, item)| (*place, Ok(item.clone()))))
    );
    let on = disk.clone();
    let verified = run(&disk, async move { verify(&on, &path(), HEAD).await });
    assert_eq!(verified.unwrap(), summary);
    (disk, summary)
}

#[test]
fn a_pack_may_be_empty() {
    let (_, summary) = comes_back(&[]);
    assert_eq!((summary.blocks, summary.bytes), (0, BLOCK_BYTES as u64));
}

#[test]
fn the_shortest_records_fill_blocks() {
    let items: Vec<Item> = (0..3000).map(|number| made(number, 0, true)).collect();
    assert_eq!(comes_back(&items).1.blocks, 3);
}

#[test]
fn small_mail_gets_a_dictionary_and_noise_does_not() {
    // Every letter repeats a form that zstd cannot shorten by itself.
    let form = made(0, 4000, false).payload;
    let letter = |number| {
        let mut item = made(number, 1000, true);
        item.payload.splice(0..0, form.iter().copied());
        item
    };
    let items: Vec<Item> = (1..1000).map(letter).collect();
    let (disk, summary) = comes_back(&items);
    let dictionary = &disk.contents(&path())[72..76];
    assert_ne!(dictionary, [0; 4]);
    assert!(summary.bytes * 8 < summary.raw_bytes, "{summary:?}");

    let items: Vec<Item> = (1..1000).map(|number| made(number, 5000, false)).collect();
    let (disk, summary) = comes_back(&items);
    assert_eq!(disk.contents(&path())[72..76], [0; 4]);
    // Header, table and padding only: noise is stored as it is.
    assert!(summary.bytes < summary.raw_bytes + 5 * BLOCK_BYTES as u64);
}

#[test]
fn a_record_that_is_too_long_is_refused_and_harms_nothing() {
    let disk = SimDisk::new(1);
    let on = disk.clone();
    let summary = run(&disk, async move {
        let mut writer = PackWriter::create(on, &path(), HEAD).await.unwrap();
        let long = vec![0; PAYLOAD_MAX];
        let refused = writer.add(1, 1, Lsn(1), &[&long, b"x"]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        writer.add(1, 1, Lsn(1), &[&long]).await.unwrap();
        writer.finish().await.unwrap()
    });
    assert_eq!(summary.records, 1);
    assert_eq!(scanned(&disk).unwrap().len(), 1);
}
