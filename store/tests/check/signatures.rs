//! Files of signatures that are flipped and cut: the check names them, a search is right all the
//! same, and making them anew mends it.

use super::*;
use std::sync::Arc;
use store::shard::{Column, Field, FirstPass, InMemory, Needle, TextSink, Texts, Version};

/// The whole message is body, in hexadecimal digits; the column is its first octets.
struct Hex;

impl Texts for Hex {
    fn version(&self) -> Version {
        Version::from(9)
    }

    fn begin(&self) -> Box<dyn FirstPass> {
        Box::new(InMemory(|message: &[u8], each: TextSink<'_>| {
            each(Field::Body, &hex(start(message)));
        }))
    }

    fn column(&self, header: &[u8], column: Column, out: &mut Vec<u8>) {
        if column == Column::Facts {
            out.extend_from_slice(start(header));
        }
    }
}

/// What is known of a message: enough for some hundred trigrams.
fn start(message: &[u8]) -> &[u8] {
    message.get(..200).unwrap_or(message)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn signed() -> SimDisk {
    let disk = packed();
    sign(&disk, false);
    disk
}

/// As the server does, or `ringpostctl reindex`: then all of it is made anew.
fn sign(disk: &SimDisk, is_anew: bool) {
    let here = Here(disk.clone());
    with_shard(disk, 0, async move |shard| {
        shard.sign_by(Arc::new(Hex)).await.unwrap();
        shard.checkpoint(&here).await.unwrap();
        let mut step = shard.sign_step(&here, is_anew).await.unwrap();
        while step.has_more_to_sign {
            step = shard.sign_step(&here, false).await.unwrap();
        }
    })
    .unwrap();
}

fn files(disk: &SimDisk) -> Vec<String> {
    let paths = disk.paths().into_iter();
    paths.filter(|path| path.ends_with(".sign")).collect()
}

/// Asks for the beginning of each message; how many of all were left, in all questions.
fn assert_found(disk: &SimDisk) -> u64 {
    let seen = mail(disk, 0).unwrap();
    with_shard(disk, 0, async move |shard| {
        shard.sign_by(Arc::new(Hex)).await.unwrap();
        let mut left_in_all = 0;
        for ((address, mailbox, uid), (.., octets)) in &seen {
            let Ok(octets) = octets else { continue };
            let account = shard.account(address).unwrap().id;
            let mailbox = shard.mailbox(account, mailbox).unwrap().id;
            let text = hex(start(octets));
            let needle = Needle {
                field: Field::Body,
                text: text.get(..40).unwrap_or(&text),
            };
            let every = UidSet::from_ranges([(1, u32::MAX)]);
            let left = shard.may_hold(account, mailbox, &every, &needle).await;
            assert!(left.contains(Uid(*uid)), "{address} {uid}");
            left_in_all += left.len();
        }
        left_in_all
    })
    .unwrap()
}

#[test]
fn damage_of_signatures_is_told_costs_no_answer_and_is_mended() {
    let sound = signed();
    let whole = checked(&sound, 0);
    assert!(whole.summary.is_clean(), "{}", whole.told());
    assert!(whole.summary.signatures > 0);
    let narrow = assert_found(&sound);
    let mut seed = Seed::new(77);
    for file in files(&sound) {
        let length = sound.contents(&file).len();
        let anywhere = (0..10).map(|_| seed.below(length as u64) as usize);
        // Of the header and of the directory not only what chance finds.
        let places: Vec<usize> = anywhere.chain([0, 9, 40, 60, 97, 4093]).collect();
        for at in places {
            let bit = 1 << seed.below(8);
            let disk = sound.crash(1);
            disk.edit(&file, |bytes| bytes[at] ^= bit);
            let found = checked(&disk, 0);
            let is_padding = at >= length - 4096 && found.summary.is_clean();
            let is_named = found.has(Part::Signatures, &file);
            assert!(is_named || is_padding, "{file} at {at}:\n{}", found.told());
            assert!(found.unreadable().is_empty(), "no mail is lost");
            assert_found(&disk);
            sign(&disk, true);
            let mended = checked(&disk, 0);
            assert!(mended.summary.is_clean(), "{}", mended.told());
            assert_eq!(assert_found(&disk), narrow);
        }
        let disk = sound.crash(1);
        disk.edit(&file, |bytes| bytes.truncate(length / 2));
        assert!(checked(&disk, 0).has(Part::Signatures, &file));
        assert_found(&disk);
    }
}
