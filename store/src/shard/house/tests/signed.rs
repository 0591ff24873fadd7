//! Searches by signatures while house is kept: what holds a text is always left, whatever was
//! signed, lost, damaged or moved; what was signed is narrowed down; columns come back.

use super::{ANNA, DIRECTORY, EAGER, Rig, Sim, append, inbox, other_mailbox, rows};
use crate::disk::create::Creator;
use crate::disk::fault::WriteFault;
use crate::disk::sim::SimDisk;
use crate::mail::date::InternalDate;
use crate::mail::flags::Flags;
use crate::mail::id::{AccountId, MailboxId, Uid};
use crate::mail::uidset::UidSet;
use crate::search::{
    Anchor, Column, Cover, Field, FirstPass, HEADER_BYTES_MAX, InMemory, Needle, SEARCH, TextSink,
    Texts, Version,
};
use crate::shard::{BodyWriter, FlagNames, FlagOp, StoreFlags, Transfer};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The whole message is body; both columns are its first line.
struct Whole(u16);

impl Texts for Whole {
    fn version(&self) -> Version {
        Version::from(self.0)
    }

    fn begin(&self) -> Box<dyn FirstPass> {
        Box::new(InMemory(|message: &[u8], each: TextSink<'_>| {
            each(Field::Body, &String::from_utf8_lossy(message));
        }))
    }

    fn column(&self, header: &[u8], column: Column, out: &mut Vec<u8>) {
        if column == Column::Facts {
            let line = header.split(|octet| *octet == b'\r').next();
            out.extend_from_slice(line.unwrap_or_default());
        }
    }
}

/// Words that messages have: the one with this number has `WORDS[number % 4]`.
const WORDS: [&str; 4] = ["zebra", "giraffe", "elephant", "okapi"];

fn letter(number: usize) -> String {
    let word = WORDS[number % WORDS.len()];
    let filler = "nothing else. ".repeat(number % 7 * 300);
    format!("Subject: letter {number}\r\n\r\nhere is a {word}. {filler}")
}

async fn add(shard: &Sim, mailbox: MailboxId, octets: &[u8]) -> Uid {
    let (account, _) = inbox(shard).await;
    let body = BodyWriter::with(octets.to_vec());
    let (names, date) = (FlagNames::default(), InternalDate::utc(5));
    let appended = shard.append(account, mailbox, body, &names, date).await;
    appended.unwrap().uid
}

/// The same of a message that arrives in pieces.
async fn add_large(shard: &Sim, mailbox: MailboxId, octets: &[u8]) {
    let (account, _) = inbox(shard).await;
    let mut body = shard.body();
    for piece in octets.chunks(100_000) {
        shard.body_write(&mut body, piece).await.unwrap();
    }
    let (names, date) = (FlagNames::default(), InternalDate::utc(5));
    let appended = shard.append(account, mailbox, body, &names, date).await;
    appended.unwrap();
}

impl Rig {
    fn signing(disk: SimDisk, version: u16) -> Rig {
        let mut rig = Rig::open(disk);
        rig.run(async move |shard, _| shard.sign_by(Arc::new(Whole(version))).await.unwrap());
        rig
    }

    fn add_letters(&mut self, numbers: std::ops::Range<usize>) {
        self.run(async move |shard, _| {
            let (_, mailbox) = inbox(&shard).await;
            for number in numbers {
                add(&shard, mailbox, letter(number).as_bytes()).await;
            }
        });
    }

    /// UIDs of INBOX that may hold a word, and how many there are at all.
    fn may_hold(&mut self, word: &'static str) -> (BTreeSet<u32>, u64) {
        self.run(async move |shard, _| {
            let (account, mailbox) = inbox(&shard).await;
            let left = may_hold(&shard, account, mailbox, word).await;
            (left, rows(&shard, account, mailbox).len() as u64)
        })
    }

    /// Nothing that holds a word may be taken out.
    fn assert_superset(&mut self) {
        let (read, _) = self.read_all();
        for word in WORDS.into_iter().chain(["here is a ", "letter 1"]) {
            let (left, _) = self.may_hold(word);
            for (uid, octets) in &read {
                let holds = String::from_utf8_lossy(octets).contains(word);
                assert!(!holds || left.contains(uid), "{uid} holds {word}");
            }
        }
    }

    fn assert_signed(&mut self) {
        self.assert_superset();
        let (left, all) = self.may_hold("no such words");
        assert_eq!((left.len(), all > 0), (0, true));
        let (left, all) = self.may_hold(WORDS[0]);
        assert!(left.len() as u64 <= all / 2);
    }

    /// Puts a file there that nobody of ours has made.
    fn plant(&mut self, path: &str, bytes: Vec<u8>) {
        let (disk, path) = (self.disk.clone(), path.to_owned());
        self.run(async move |_, _| {
            let mut creator = Creator::new(disk, &path).await.unwrap();
            creator.append(&bytes).await.unwrap();
            creator.finish().await.unwrap();
        });
    }

    /// Messages that are signed, by the headers of all files.
    fn members(&mut self) -> u64 {
        let disk = self.disk.clone();
        self.run(async move |shard, _| {
            let anchor = Anchor::of(shard.manifest().replay);
            let cover = Cover::look(&disk, &shard.owner, anchor, Some(Version::from(1))).await;
            cover.unwrap().files.iter().map(|head| head.members).sum()
        })
    }

    fn files(&self) -> Vec<String> {
        let paths = self.disk.paths().into_iter();
        paths
            .filter(|path| path.contains(&format!("/{SEARCH}/")))
            .collect()
    }
}

async fn may_hold(
    shard: &Sim,
    account: AccountId,
    mailbox: MailboxId,
    text: &str,
) -> BTreeSet<u32> {
    let every = UidSet::from_ranges([(1, u32::MAX)]);
    let field = Field::Body;
    let left = shard
        .may_hold(account, mailbox, &every, &Needle { field, text })
        .await;
    let there: BTreeSet<u32> = rows(shard, account, mailbox)
        .iter()
        .map(|row| row.0)
        .collect();
    left.ranges()
        .iter()
        .flat_map(|(first, last)| there.range(*first..=*last).copied())
        .collect()
}

#[test]
fn what_is_signed_is_narrowed_down_and_the_fresh_tail_is_not() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    rig.add_letters(0..30);
    assert_eq!(rig.may_hold(WORDS[0]).0.len(), 30);
    rig.keep_house();
    rig.assert_signed();
    assert_eq!(rig.may_hold(WORDS[1]).0.len(), 8);
    rig.add_letters(30..33);
    assert_eq!(rig.may_hold(WORDS[1]).0.len(), 11);
    rig.assert_superset();
    assert_eq!(rig.may_hold("ze").0.len(), 33);
    // Messages move to packs; their signatures need not.
    rig.roll();
    rig.keep_house();
    rig.keep_house();
    rig.assert_signed();
    assert_eq!(rig.may_hold(WORDS[1]).0.len(), 8);
    let mut rig = Rig::signing(rig.disk.crash(1), 1);
    rig.assert_signed();
}

#[test]
fn a_large_message_in_pieces_is_signed() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    let octets = rig.run(async |shard, _| {
        let (_, mailbox) = inbox(&shard).await;
        let mut octets = letter(0).into_bytes();
        octets.resize(600_000, b'.');
        octets.extend_from_slice(b"the end is an armadillo");
        add(&shard, mailbox, &octets).await;
        octets.len()
    });
    rig.add_letters(1..9);
    rig.keep_house();
    assert!(octets > 600_000);
    assert_eq!(rig.may_hold("armadillo").0, BTreeSet::from([1]));
    rig.assert_signed();
}

/// A message of some MiB passes in pieces: no part of it is left out.
#[test]
fn all_of_a_very_large_message_is_signed() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    rig.run(async |shard, _| {
        let (_, mailbox) = inbox(&shard).await;
        let mut octets = letter(0).into_bytes();
        for word in ["armadillo", "bandicoot", "capybara", "dugong"] {
            octets.extend_from_slice(&b"................................".repeat(25_000));
            octets.extend_from_slice(word.as_bytes());
        }
        add_large(&shard, mailbox, &octets).await;
    });
    rig.add_letters(1..9);
    rig.keep_house();
    for word in ["zebra", "armadillo", "bandicoot", "capybara", "dugong"] {
        assert!(rig.may_hold(word).0.contains(&1), "{word}");
    }
    rig.assert_signed();
    assert_eq!(rig.members(), 9);
    rig.roll();
    rig.keep_house();
    rig.run(async |shard, here| shard.sign_step(&here, true).await.unwrap());
    rig.run(sign_all);
    rig.assert_signed();
    assert_eq!((rig.may_hold("dugong").0.len(), rig.members()), (1, 9));
}

/// Of a header that cannot lie in memory nothing is said, and so the message stays a candidate.
#[test]
fn a_message_whose_header_is_too_long_is_left() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    rig.run(async |shard, _| {
        let (_, mailbox) = inbox(&shard).await;
        let line = "X-Filler: nothing else at all\r\n";
        for (octets, end) in [
            (HEADER_BYTES_MAX + 1, "\r\n"),
            (3 << 20, "\r\n"),
            (2 << 20, ""),
        ] {
            let mut long = line.repeat(octets / line.len() + 1);
            long.push_str(end);
            long.push_str("a zebra");
            add_large(&shard, mailbox, long.as_bytes()).await;
        }
        let mut fitting = line.repeat((HEADER_BYTES_MAX - 2) / line.len());
        fitting.push_str("\r\na giraffe");
        fitting.push_str(&"................................".repeat(50_000));
        add_large(&shard, mailbox, fitting.as_bytes()).await;
    });
    rig.add_letters(0..9);
    rig.keep_house();
    rig.assert_superset();
    assert_eq!(rig.members(), 10);
    assert_eq!(rig.may_hold("no such words").0, BTreeSet::from([1, 2, 3]));
    assert!(rig.may_hold("giraffe").0.contains(&4));
}

/// Large messages are signed a few at a time.
#[test]
fn a_task_ends_after_so_many_octets() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    rig.run(async |shard, here| {
        let (_, mailbox) = inbox(&shard).await;
        let mut octets = letter(0).into_bytes();
        octets.resize(9_000_000, b'.');
        for _ in 0..9 {
            add_large(&shard, mailbox, &octets).await;
        }
        shard.checkpoint(&here).await.unwrap();
        let step = shard.sign_step(&here, false).await.unwrap();
        assert_eq!(step.signed, 7, "of 9");
        sign_all(shard, here).await;
    });
    assert_eq!(rig.members(), 9);
}

/// Space goes before signatures: they must not keep the disk full.
#[test]
fn segments_are_emptied_before_all_is_signed() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    rig.add_letters(0..40);
    rig.roll();
    let report = rig.run(async |shard, here| {
        let before = shard.sign_step(&here, false).await.unwrap();
        assert_eq!(before.signed, 0, "nothing is written down yet");
        shard.make_room(&here, || EAGER).await.unwrap()
    });
    assert!(report.segments_emptied > 0);
    assert_eq!(report.signed, 40, "and a step was taken beside that");
    rig.assert_signed();
}

#[test]
fn columns_come_back_also_of_copies() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    rig.add_letters(0..6);
    rig.keep_house();
    rig.add_letters(6..7);
    rig.run(async |shard, _| {
        let (account, mailbox) = inbox(&shard).await;
        let other = other_mailbox(&shard, account).await;
        // The copies lie the other way round.
        for uid in (1..=6).rev() {
            let transfer = Transfer {
                source: mailbox,
                uids: &UidSet::from_ascending([Uid(uid)]),
                target: other,
                and_expunge: uid == 3,
            };
            shard.copy(account, transfer).await.unwrap();
        }
        let every = UidSet::from_ranges([(1, u32::MAX)]);
        for (mailbox, order, fresh) in [
            (mailbox, vec![0, 1, 3, 4, 5], vec![7]),
            (other, vec![5, 4, 3, 2, 1, 0], vec![]),
        ] {
            let mut shown = Vec::new();
            let mut each = |_, kept: &[u8]| shown.push(String::from_utf8(kept.to_vec()).unwrap());
            let column = Column::Facts;
            let without = shard
                .columns(account, mailbox, &every, column, &mut each)
                .await;
            assert_eq!(without.iter().map(|uid| uid.0).collect::<Vec<_>>(), fresh);
            let expected = order
                .iter()
                .map(|number| format!("Subject: letter {number}"));
            assert_eq!(shown, expected.collect::<Vec<_>>());
        }
        let left = may_hold(&shard, account, other, WORDS[2]).await;
        assert_eq!(left, BTreeSet::from([4]));
    });
}

#[test]
fn another_version_is_not_believed_and_all_is_made_anew() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    rig.add_letters(0..12);
    rig.keep_house();
    let before = rig.files();
    let mut rig = Rig::signing(rig.disk.crash(1), 2);
    assert_eq!(rig.may_hold("no such words").0.len(), 12);
    rig.keep_house();
    rig.assert_signed();
    assert!(rig.files().iter().all(|file| !before.contains(file)));
}

#[test]
fn without_a_reader_everything_is_left() {
    let mut rig = Rig::open(SimDisk::new(1));
    rig.add_letters(0..5);
    rig.keep_house();
    assert_eq!(rig.may_hold("no such words").0.len(), 5);
    assert!(rig.files().is_empty());
}

#[test]
fn small_files_become_one_without_those_that_are_gone() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    for round in 0..9 {
        rig.add_letters(round * 3..round * 3 + 3);
        rig.run(async |shard, here| {
            shard.checkpoint(&here).await.unwrap();
            while shard
                .sign_step(&here, false)
                .await
                .unwrap()
                .has_more_to_sign
            {}
        });
        rig.assert_signed();
    }
    assert_eq!(rig.files().len(), 2);
    rig.run(async |shard, _| {
        let (account, mailbox) = inbox(&shard).await;
        let uids = UidSet::from_ranges([(1, 20)]);
        let names = FlagNames {
            flags: Flags::DELETED,
            ..FlagNames::default()
        };
        let change = StoreFlags {
            uids: &uids,
            op: FlagOp::Add,
            names: &names,
            unchanged_since: None,
        };
        shard.store_flags(account, mailbox, change).await.unwrap();
        shard.expunge(account, mailbox, &uids).await.unwrap();
    });
    rig.roll();
    rig.keep_house();
    rig.keep_house();
    assert_eq!(
        rig.members(),
        27,
        "nothing is written for those that are gone alone"
    );
    for number in 40..48 {
        rig.add_letters(number..number + 1);
        rig.keep_house();
    }
    rig.assert_signed();
    assert_eq!(rig.members(), 15);
}

#[test]
fn a_damaged_file_takes_nothing_out_and_is_made_anew() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    rig.add_letters(0..10);
    rig.keep_house();
    let file = rig.files().pop().unwrap();
    let length = rig.disk.contents(&file).len();
    for at in (0..length).step_by(97) {
        let disk = rig.disk.crash(1);
        disk.edit(&file, |bytes| bytes[at] ^= 4);
        let mut rotten = Rig::signing(disk, 1);
        rotten.assert_superset();
        rotten.add_letters(10..11);
        rotten.keep_house();
        rotten.assert_signed();
    }
    let disk = rig.disk.crash(1);
    disk.lose(&file);
    let mut lost = Rig::signing(disk, 1);
    assert_eq!(lost.may_hold("no such words").0.len(), 10);
    lost.add_letters(10..11);
    lost.keep_house();
    lost.assert_signed();
}

#[test]
fn a_store_that_is_back_at_an_earlier_moment_believes_nothing_later() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    rig.add_letters(0..4);
    rig.keep_house();
    let earlier = rig.disk.crash(1);
    rig.add_letters(4..8);
    rig.keep_house();
    let mut back = Rig::signing(earlier, 1);
    // The same numbers go to other messages.
    back.add_letters(20..30);
    let here = back.files();
    for file in rig.files().iter().filter(|file| !here.contains(file)) {
        back.plant(file, rig.disk.contents(file));
    }
    let mut back = Rig::signing(back.disk.crash(1), 1);
    back.assert_superset();
    back.keep_house();
    back.assert_signed();
}

#[test]
fn after_a_power_cut_at_every_write_nothing_is_taken_out() {
    let filled = || {
        let mut rig = Rig::signing(SimDisk::new(1), 1);
        for round in 0..7 {
            rig.add_letters(round..round + 1);
            rig.run(async |shard, here| {
                shard.checkpoint(&here).await.unwrap();
                shard.sign_step(&here, false).await.unwrap();
            });
        }
        rig.add_letters(7..12);
        rig
    };
    let mut whole = filled();
    let before = whole.disk.changes();
    whole.run(sign_all);
    let changes = whole.disk.changes() - before;
    assert!(changes > 16, "eight files become one: {changes}");
    for cut in 0..=changes {
        let Rig {
            disk,
            mut executor,
            shard,
        } = filled();
        let here = super::Here(disk.clone());
        executor.spawn(async move { sign_all(shard, here).await });
        while disk.changes() - before < cut && executor.turn() {}
        let mut rig = Rig::signing(disk.crash(cut), 1);
        rig.assert_superset();
        rig.run(sign_all);
        rig.assert_signed();
        assert!(
            rig.files().len() <= 2,
            "nothing is left over: {:?}",
            rig.files()
        );
    }
}

#[test]
fn a_write_that_fails_leaves_what_was_there() {
    for failing in 1..30 {
        let mut rig = Rig::signing(SimDisk::new(1), 1);
        rig.add_letters(0..6);
        rig.keep_house();
        rig.add_letters(6..9);
        rig.run(async |shard, here| shard.checkpoint(&here).await.unwrap());
        let next = rig.disk.writes() + failing;
        rig.disk
            .faults(|faults| faults.failing_writes = vec![(next, WriteFault::Full)]);
        let signed = rig.run(async |shard, here| shard.sign(&here, u64::MAX).await);
        let has_failed = signed.is_err();
        rig.disk.faults(|faults| faults.failing_writes.clear());
        rig.assert_superset();
        rig.run(sign_all);
        rig.assert_signed();
        if !has_failed {
            return assert!(failing > 2, "a file and its header are written");
        }
    }
    panic!("signing has an end");
}

async fn sign_all(shard: Sim, here: super::Here<SimDisk>) {
    shard.checkpoint(&here).await.unwrap();
    while shard
        .sign_step(&here, false)
        .await
        .unwrap()
        .has_more_to_sign
    {}
}

#[test]
fn files_of_others_are_not_touched() {
    let mut rig = Rig::signing(SimDisk::new(1), 1);
    let strange = format!("{DIRECTORY}/{SEARCH}/notes.txt");
    rig.add_letters(0..3);
    rig.keep_house();
    rig.plant(&strange, b"mine".to_vec());
    rig.add_letters(3..6);
    rig.keep_house();
    rig.run(async |shard, here| shard.sign_step(&here, true).await.unwrap());
    assert!(rig.disk.contents(&strange).starts_with(b"mine"));
    rig.run(async |shard, _| {
        assert!(shard.account(ANNA).is_some());
        append(&shard, 10).await;
    });
    assert!(
        rig.run(async |shard, here| shard.keep_house(&here, &EAGER).await)
            .is_ok()
    );
}
