//! Listings over a simulated disk: what was kept is found by place, and damage is never mistaken
//! for it.

use super::*;
use crate::disk::executor::Executor;
use crate::disk::fault::Seed;
use crate::disk::sim::SimDisk;
use crate::limit::BLOCK_BYTES;
use crate::mail::id::{Lsn, ShardId};
use crate::pack::{Dictionary, Pack, PackHead, PackWriter, name};
use proptest::prelude::*;

const DIRECTORY: &str = "shard-00/packs";

fn head(number: u32) -> PackHead {
    PackHead {
        store: [7; 16],
        shard: ShardId(3),
        number,
    }
}

fn path(number: u32) -> String {
    format!("{DIRECTORY}/{}", name(number))
}

fn run<T: 'static>(disk: &SimDisk, future: impl Future<Output = T> + 'static) -> T {
    let finished = Executor::new(disk.clone(), 1).finish(future);
    finished.expect("a pack waits for the disk only")
}

type Kept = Vec<(Place, Listed)>;

/// A pack of small records, of which those with `Some` are listed with so many octets.
fn written(disk: &SimDisk, number: u32, lister: Lister, sizes: &[Option<usize>]) -> (Lister, Kept) {
    let (on, sizes) = (disk.clone(), sizes.to_vec());
    run(disk, async move {
        let (mut lister, mut kept) = (lister, Vec::new());
        let (path, head) = (path(number), head(number));
        let writer = PackWriter::create_with(on, &path, head, Dictionary::Without).await;
        let mut writer = writer.unwrap();
        for (object, octets) in (1..).zip(&sizes) {
            let place = writer.add(3, 1, Lsn(object), &[&[0; 2000]]).await.unwrap();
            if let Some(octets) = octets {
                let listed = made(object, *octets);
                lister.add(place, &listed);
                kept.push((place, listed));
            }
        }
        writer.finish_with(&lister.take()).await.unwrap();
        (lister, kept)
    })
}

/// Octets that zstd shortens only where it has met them before: runs of one of two hundred.
fn made(object: u64, octets: usize) -> Listed {
    let mut dice = Seed::new(object);
    let mut fields = Vec::with_capacity(octets + 64);
    while fields.len() < octets {
        let mut run = Seed::new(1_000_000 + dice.below(200));
        (0..8).for_each(|_| fields.extend_from_slice(&run.next().to_le_bytes()));
    }
    fields.truncate(octets);
    Listed {
        object: ObjectId(object),
        message: object.is_multiple_of(2).then_some(ObjectId(object - 1)),
        fields,
    }
}

fn listings(disk: &SimDisk) -> std::rc::Rc<Listings<SimDisk>> {
    let head = head(0);
    std::rc::Rc::new(Listings::new(
        disk.clone(),
        DIRECTORY,
        head.store,
        head.shard,
    ))
}

/// What a listing says of each of these.
fn found(disk: &SimDisk, of: &[(Place, ObjectId)]) -> Vec<Option<Listed>> {
    let (listings, of) = (listings(disk), of.to_vec());
    run(disk, async move {
        let mut all = Vec::new();
        for (place, object) in of {
            all.push(listings.find(place, object).await.ok().flatten());
        }
        all
    })
}

fn asked(kept: &Kept) -> Vec<(Place, ObjectId)> {
    let asked = kept.iter().map(|(place, listed)| (*place, listed.object));
    asked.collect()
}

fn scanned(disk: &SimDisk, number: u32) -> Result<Kept, String> {
    let on = disk.clone();
    run(disk, async move {
        let opened = ListingFile::open(&on, &path(number), head(number)).await;
        let Some(listing) = opened.map_err(|error| error.to_string())? else {
            return Ok(Vec::new());
        };
        let mut outcome = Ok(Vec::new());
        listing
            .scan(|entry| match (entry, &mut outcome) {
                (Ok(entry), Ok(all)) => all.push(entry),
                (Err(error), _) => outcome = Err(error.to_string()),
                _ => {}
            })
            .await;
        outcome
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_was_kept_is_found(
        sizes in prop::collection::vec(prop::option::of(0..=fields::KEPT_BYTES_MAX), 0..200)
    ) {
        let disk = SimDisk::new(1);
        let (_, kept) = written(&disk, 7, Lister::default(), &sizes);
        let disk = disk.crash(1);
        let all: Vec<_> = found(&disk, &asked(&kept)).into_iter().map(Option::unwrap).collect();
        prop_assert!(all.iter().eq(kept.iter().map(|(_, listed)| listed)));
        prop_assert_eq!(scanned(&disk, 7), Ok(kept));
    }
}

#[test]
fn nobody_gets_what_is_kept_of_another() {
    let disk = SimDisk::new(1);
    let sizes: Vec<_> = (0..300).map(|at| (at % 3 == 1).then_some(at)).collect();
    let (_, kept) = written(&disk, 7, Lister::default(), &sizes);
    let every: Vec<_> = (0..20)
        .flat_map(|block| (0..20).map(move |record| Place::in_pack(7, block, record)))
        .collect();
    for object in [ObjectId(2), ObjectId(5), ObjectId(299), ObjectId(300)] {
        let asked: Vec<_> = every.iter().map(|place| (*place, object)).collect();
        let answers = found(&disk, &asked);
        let right: Vec<_> = kept.iter().filter(|(_, l)| l.object == object).collect();
        for (place, answer) in every.iter().zip(answers) {
            let here = right.iter().find(|(there, _)| there == place);
            assert_eq!(answer.as_ref(), here.map(|(_, listed)| listed), "{place:?}");
        }
    }
}

#[test]
fn a_dictionary_serves_pack_after_pack() {
    let disk = SimDisk::new(1);
    let sizes = vec![Some(600); 2000];
    let (lister, first) = written(&disk, 7, Lister::default(), &sizes);
    let (lister, second) = written(&disk, 8, lister, &sizes);
    // Too little for a sample.
    let (lister, third) = written(&disk, 9, lister, &sizes[..100]);
    let (_, fourth) = written(&disk, 10, lister, &sizes);
    let dictionary = |number| {
        let bytes = disk.contents(&path(number));
        let span = bytes[104..].to_vec();
        let table = u64::from_le_bytes(span[8..16].try_into().unwrap()) as usize;
        let octets = u32::from_le_bytes(span[24..28].try_into().unwrap()) as usize;
        bytes[table - octets..table].to_vec()
    };
    assert!(!dictionary(7).is_empty());
    assert_eq!(dictionary(7), dictionary(8));
    assert!(dictionary(9).is_empty());
    assert_eq!(dictionary(7), dictionary(10));
    for (number, kept) in [(7, first), (8, second), (9, third), (10, fourth)] {
        assert_eq!(scanned(&disk, number), Ok(kept.clone()));
        assert!(found(&disk, &asked(&kept)).iter().all(Option::is_some));
    }
}

#[test]
fn damage_is_noticed_and_costs_no_record() {
    let disk = SimDisk::new(1);
    let sizes = vec![Some(700); 40];
    let (_, kept) = written(&disk, 7, Lister::default(), &sizes);
    let whole = disk.contents(&path(7));
    let begin = u64::from_le_bytes(whole[104..112].try_into().unwrap()) as usize;
    let table = u64::from_le_bytes(whole[112..120].try_into().unwrap()) as usize;
    let end = table + 2 * ROW_BYTES;
    assert!(begin > BLOCK_BYTES && table > begin && end <= whole.len());
    for at in (begin..table).step_by(37).chain(table..end) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        disk.edit(&path(7), |file| file.clone_from(&bytes));
        assert!(scanned(&disk, 7).unwrap_err().contains("damaged"), "{at}");
        for (answer, (_, listed)) in found(&disk, &asked(&kept)).iter().zip(&kept) {
            assert!(answer.as_ref().is_none_or(|answer| answer == listed));
        }
    }
    let on = disk.clone();
    let records = run(&disk, async move {
        let pack = Pack::open(&on, &path(7), head(7)).await.unwrap();
        let mut records = 0;
        pack.scan(|_, record| records += u32::from(record.is_ok()))
            .await;
        records
    });
    assert_eq!(records, 40);
    // Cut off behind the records.
    disk.edit(&path(7), |file| file.truncate(begin));
    assert!(scanned(&disk, 7).is_err());
    assert!(found(&disk, &asked(&kept)).iter().all(Option::is_none));
}

#[test]
fn a_pack_without_a_listing_or_with_one_of_other_names_lists_nothing() {
    let disk = SimDisk::new(1);
    let (_, kept) = written(&disk, 7, Lister::default(), &[Some(9), Some(8)]);
    let (_, none) = written(&disk, 8, Lister::default(), &[None, None]);
    assert_eq!((scanned(&disk, 8), none), (Ok(vec![]), vec![]));
    let mut bytes = disk.contents(&path(7));
    bytes[136] = 2;
    let crc = crate::codec::checksum::plain(&bytes[..BLOCK_BYTES - 4]);
    bytes[BLOCK_BYTES - 4..BLOCK_BYTES].copy_from_slice(&crc.to_le_bytes());
    disk.edit(&path(7), |file| file.clone_from(&bytes));
    assert_eq!(scanned(&disk, 7), Ok(vec![]));
    assert!(found(&disk, &asked(&kept)).iter().all(Option::is_none));
    let beyond = (Place::in_pack(8, 0, 0), ObjectId(1));
    assert_eq!(
        found(&disk, &[beyond, (Place::new(3, 4096), ObjectId(1))]),
        [None, None]
    );
}
