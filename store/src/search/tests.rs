//! Files of signatures as a whole: nothing that holds a text is ever left out, whatever was put
//! together how, and damage is never taken for an answer.

use super::*;
use crate::disk::executor::Executor;
use crate::disk::sim::SimDisk;
use crate::mail::id::{AccountId, ObjectId, ShardId, Uid};
use crate::table::locations::Owner;
use proptest::prelude::*;

/// The first line is the subject, all is the body; columns are the subject, and the first octets.
struct Lines;

impl Texts for Lines {
    fn version(&self) -> Version {
        Version::from(7)
    }

    fn begin(&self) -> Box<dyn FirstPass> {
        Box::new(InMemory(|message: &[u8], each: TextSink<'_>| {
            let text = std::str::from_utf8(message).unwrap();
            each(Field::Subject, subject(text));
            each(Field::Body, text);
        }))
    }

    fn column(&self, header: &[u8], column: Column, out: &mut Vec<u8>) {
        let text = std::str::from_utf8(header).unwrap();
        match column {
            Column::Facts => out.extend_from_slice(subject(text).as_bytes()),
            Column::Envelope => out.extend_from_slice(text.get(..1).unwrap_or("").as_bytes()),
        }
    }
}

fn subject(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

/// Account, object, text.
type Letter = (u32, u64, String);

fn owner() -> Owner {
    Owner {
        store: [7; 16],
        shard: ShardId(0),
        directory: "shard-00".to_owned(),
    }
}

fn run<T: 'static>(disk: &SimDisk, work: impl Future<Output = T> + 'static) -> T {
    let done = Executor::new(disk.clone(), 1).finish(work);
    done.expect("the work ends")
}

fn title(number: u32) -> Title {
    Title {
        number,
        version: Version::from(7),
        anchor: Anchor::default(),
    }
}

/// Writes a file of these letters, a block after each run of so many.
async fn write(disk: &SimDisk, number: u32, letters: &[Letter], block: usize) {
    let search = format!("shard-00/{SEARCH}");
    crate::disk::Disk::create_directory(disk, &search)
        .await
        .unwrap();
    let mut writer = SignWriter::create(disk, &owner(), number).await.unwrap();
    let mut gathering = Gathering::default();
    for letters in letters.chunks(block) {
        for (account, object, text) in letters {
            let whose = (AccountId(*account), ObjectId(*object));
            let mut each = |field, text: &str| gathering.add(field, text);
            let mut second = Lines.begin().texts(text.as_bytes(), &mut each);
            second.feed(text.as_bytes());
            second.finish();
            gathering.sign(&Lines, whose, text.as_bytes());
        }
        writer.block(&mut gathering).await.unwrap();
    }
    let objects = letters.iter().map(|letter| letter.1);
    let range = objects.clone().min().unwrap_or(0)..objects.max().unwrap_or(0) + 1;
    let range = ObjectId(range.start)..ObjectId(range.end);
    writer
        .finish(&owner(), &title(number), range)
        .await
        .unwrap();
}

/// Makes one file of all of these, without what is gone.
async fn united(disk: &SimDisk, numbers: &[u32], to: u32, gone: &[ObjectId]) {
    let mut files = Vec::new();
    for number in numbers {
        files.push(SignFile::open(disk, &owner(), *number).await.unwrap());
    }
    let mut writer = SignWriter::create(disk, &owner(), to).await.unwrap();
    let done = unite(&files, gone, &mut writer).await;
    done.unwrap_or_else(|_| panic!("sound files are united"));
    let start = files
        .iter()
        .map(|file| file.head().objects.start)
        .min()
        .unwrap();
    let end = files
        .iter()
        .map(|file| file.head().objects.end)
        .max()
        .unwrap();
    writer
        .finish(&owner(), &title(to), start..end)
        .await
        .unwrap();
    let made = SignFile::open(disk, &owner(), to).await.unwrap();
    made.verify().await.unwrap();
}

async fn shelf(disk: &SimDisk) -> Shelf<SimDisk> {
    let shelf = Shelf::new(disk.clone(), owner());
    shelf
        .look(Anchor::default(), Version::from(7))
        .await
        .unwrap();
    shelf
}

/// What is asked of an account: all of its letters, and one that is not signed.
fn wanted(letters: &[Letter], account: u32) -> Wanted {
    let of = letters.iter().filter(|letter| letter.0 == account);
    let rows = of.map(|letter| (ObjectId(letter.1), Uid(letter.1 as u32)));
    Wanted::of(rows.chain([(ObjectId(999), Uid(999))]).collect())
}

async fn left(
    shelf: &Shelf<SimDisk>,
    letters: &[Letter],
    account: u32,
    (field, text): (Field, &str),
) -> Vec<u64> {
    let mut wanted = wanted(letters, account);
    let keys = keys_of(text);
    shelf
        .narrow(AccountId(account), (field, &keys), &mut wanted)
        .await;
    wanted
        .left()
        .into_iter()
        .map(|uid| u64::from(uid.0))
        .collect()
}

/// Whether everything that holds the text is left, and the letter that is not signed.
async fn assert_superset(shelf: &Shelf<SimDisk>, letters: &[Letter], (field, text): (Field, &str)) {
    for account in 1..=3 {
        let left = left(shelf, letters, account, (field, text)).await;
        let holds = |letter: &&Letter| {
            letter.0 == account
                && match field {
                    Field::Subject => subject(&letter.2).contains(text),
                    _ => letter.2.contains(text),
                }
        };
        for letter in letters.iter().filter(holds) {
            assert!(left.contains(&letter.1), "{text:?} is in {letter:?}");
        }
        assert!(left.contains(&999));
    }
}

async fn assert_columns(shelf: &Shelf<SimDisk>, letters: &[Letter]) {
    for account in 1..=3 {
        let found = shelf
            .locate(AccountId(account), &wanted(letters, account))
            .await;
        for column in Column::ALL {
            let mut shown = Vec::new();
            let mut each = |uid: Uid, kept: &[u8]| shown.push((u64::from(uid.0), kept.to_vec()));
            let without = shelf.columns(&found, column, &mut each).await;
            assert!(shown.is_sorted());
            let mut expected: Vec<(u64, Vec<u8>)> = Vec::new();
            for letter in letters.iter().filter(|letter| letter.0 == account) {
                let mut kept = Vec::new();
                Lines.column(letter.2.as_bytes(), column, &mut kept);
                expected.push((letter.1, kept));
            }
            expected.retain(|(_, kept)| !kept.is_empty());
            expected.sort_unstable();
            let of_account = letters.iter().filter(|letter| letter.0 == account).count();
            assert_eq!(without.len() + shown.len(), of_account + 1);
            assert_eq!(shown, expected);
        }
    }
}

fn letters() -> impl Strategy<Value = Vec<Letter>> {
    let text = prop_oneof![
        "[abc]{0,12}\n?[abc ]{0,40}",
        "\\PC{0,20}",
        Just("the same again and again".to_owned()),
    ];
    prop::collection::vec((1u32..=3, text), 1..40).prop_map(|letters| {
        let all = letters.into_iter().zip(1u64..);
        all.map(|((account, text), object)| (account, object, text))
            .collect()
    })
}

fn asked() -> impl Strategy<Value = String> {
    prop_oneof!["[abc]{3,6}", "\\PC{1,4}", Just("again and".to_owned())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_holds_a_text_is_left(
        letters in letters(), asked in prop::collection::vec(asked(), 1..5),
        block in 1usize..20, cut in 0usize..40, gone in 0u64..40,
    ) {
        let disk = SimDisk::new(1);
        let on = disk.clone();
        run(&disk, async move {
            let (first, second) = letters.split_at(cut.min(letters.len() - 1));
            if !first.is_empty() {
                write(&on, 1, first, block).await;
            }
            write(&on, 2, second, block).await;
            let parts: Vec<String> = letters
                .iter()
                .filter_map(|letter| letter.2.get(2..9).map(str::to_owned))
                .collect();
            let apart = shelf(&on).await;
            for text in asked.iter().chain(&parts) {
                assert_superset(&apart, &letters, (Field::Body, text)).await;
                assert_superset(&apart, &letters, (Field::Subject, text)).await;
            }
            assert_columns(&apart, &letters).await;
            // As one file, without a message that is gone.
            let numbers: &[u32] = if first.is_empty() { &[2] } else { &[1, 2] };
            united(&on, numbers, 3, &[ObjectId(gone)]).await;
            for number in numbers {
                on.lose(&path("shard-00", *number));
            }
            let one = shelf(&on).await;
            let rest: Vec<Letter> = letters
                .iter()
                .filter(|letter| letter.1 != gone)
                .cloned()
                .collect();
            for text in asked.iter().chain(&parts) {
                assert_superset(&one, &letters, (Field::Body, text)).await;
            }
            assert_columns(&one, &rest).await;
        });
    }
}

/// Forty letters of two accounts; some words are rare, some common.
fn forty() -> Vec<Letter> {
    let text = |n: u64| match n {
        7 => "a rare zebra\nand more".to_owned(),
        _ => format!("number {n}\nof forty letters and more and more {n}"),
    };
    (1..=40).map(|n| (1 + n as u32 % 2, n, text(n))).collect()
}

#[test]
fn what_lacks_a_text_is_taken_out() {
    let disk = SimDisk::new(1);
    let on = disk.clone();
    run(&disk, async move {
        let letters = forty();
        write(&on, 1, &letters, 12).await;
        let shelf = shelf(&on).await;
        let none: [u64; 0] = [];
        for field in [Field::Body, Field::Subject] {
            assert_eq!(left(&shelf, &letters, 2, (field, "zebra")).await, [7, 999]);
            assert_eq!(left(&shelf, &letters, 1, (field, "zebra")).await, [999]);
            assert_eq!(left(&shelf, &letters, 2, (field, "giraffe")).await, [999]);
        }
        assert_eq!(
            left(&shelf, &letters, 2, (Field::From, "zebra")).await,
            [999]
        );
        assert_eq!(
            left(&shelf, &letters, 1, (Field::Body, "forty"))
                .await
                .len(),
            21
        );
        assert_eq!(shelf.take_damaged(), none.map(|n| n as u32));
    });
}

#[test]
fn no_changed_octet_takes_anything_out() {
    let disk = SimDisk::new(1);
    let on = disk.clone();
    run(&disk, async move {
        let letters = forty();
        write(&on, 1, &letters, 12).await;
        let file = path("shard-00", 1);
        let bytes = on.contents(&file);
        let opened = SignFile::open(&on, &owner(), 1).await.unwrap();
        assert!(opened.bytes() > 4096);
        for at in 0..opened.bytes() as usize {
            on.edit(&file, |bytes| bytes[at] ^= 0x10);
            let is_zero_of_the_header = (96..4092).contains(&at);
            let sound = match SignFile::open(&on, &owner(), 1).await {
                Ok(opened) => opened.verify().await.is_ok(),
                Err(_) => false,
            };
            assert!(!sound, "{at} is covered, {is_zero_of_the_header}");
            let shelf = shelf(&on).await;
            assert_superset(&shelf, &letters, (Field::Body, "zebra")).await;
            assert_superset(&shelf, &letters, (Field::Subject, "number 1")).await;
            on.edit(&file, |bytes| bytes[at] ^= 0x10);
        }
        for keep in [0, 100, 4096, 5000, bytes.len() - 4096] {
            on.edit(&file, |bytes| bytes.truncate(keep));
            let shelf = shelf(&on).await;
            assert_superset(&shelf, &letters, (Field::Body, "zebra")).await;
            on.edit(&file, |live| live.clone_from(&bytes));
        }
    });
}

#[test]
fn files_of_another_place_version_or_moment_are_not_believed() {
    let disk = SimDisk::new(1);
    let on = disk.clone();
    run(&disk, async move {
        let letters = forty();
        write(&on, 1, &letters, 12).await;
        let all = left(&shelf(&on).await, &letters, 2, (Field::Body, "giraffe")).await;
        assert_eq!(all, [999]);
        let helped = Version {
            reader: 7,
            helpers: 1,
        };
        for version in [Version::from(8), helped] {
            let other = Shelf::new(on.clone(), owner());
            other.look(Anchor::default(), version).await.unwrap();
            let left = left(&other, &letters, 2, (Field::Body, "giraffe")).await;
            assert_eq!(left.len(), 21, "{version:?}");
        }
        let stranger = Owner {
            store: [8; 16],
            ..owner()
        };
        let cover = Cover::look(&on, &stranger, Anchor::default(), Some(Version::from(7)))
            .await
            .unwrap();
        assert_eq!((cover.files.len(), cover.stale), (0, vec![1]));
    });
}

#[test]
fn a_message_with_very_many_trigrams_and_members_up_to_the_bound_fit() {
    let disk = SimDisk::new(1);
    let on = disk.clone();
    run(&disk, async move {
        let mut seed = crate::disk::fault::Seed::new(3);
        let mut large = String::new();
        for _ in 0..60_000 {
            large.extend(char::from_u32(0x4e00 + seed.below(20_000) as u32));
        }
        let mut letters: Vec<Letter> = vec![(1, 1, large)];
        letters.extend((2..MEMBERS_MAX as u64 + 1).map(|n| (1, n, format!("letter {n}"))));
        write(&on, 1, &letters, MEMBERS_MAX).await;
        let shelf = shelf(&on).await;
        assert_eq!(
            left(&shelf, &letters, 1, (Field::Body, "letter 9998")).await,
            [9998]
        );
        let part: String = letters[0].2.chars().skip(500).take(4).collect();
        assert_eq!(left(&shelf, &letters, 1, (Field::Body, &part)).await, [1]);
    });
}
