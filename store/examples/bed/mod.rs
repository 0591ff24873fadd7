//! A new shard that the examples fill with mail: opened, driven, loaded in bundles.

use crate::turns::{drive, together};
use std::error::Error;
use std::rc::Rc;
use store::disk::blocking::{BlockingDisk, run};
use store::disk::fault::Seed;
use store::error::ChangeError;
use store::log::Options;
use store::mail::date::InternalDate;
use store::mail::id::ShardId;
use store::shard::{BodyWriter, FlagNames, Shard};

pub(crate) type Disk = BlockingDisk;

/// An example ends at the first thing that goes wrong.
pub(crate) type Done<T = ()> = Result<T, Box<dyn Error>>;

/// Identity of the store, made up.
pub(crate) const STORE: [u8; 16] = [7; 16];

/// Opens a shard in the first argument, `DIRECTORY`, and lets `work` have it to the end, with the
/// second one, `[MESSAGES]`.
pub(crate) fn with_shard(work: impl AsyncFnOnce(&Rc<Shard<Disk>>, &Disk, u64) -> Done) -> Done {
    let mut words = std::env::args().skip(1);
    let directory = words.next().ok_or("say a directory that can be filled")?;
    let messages = words.next().map_or(Ok(100_000), |word| word.parse())?;
    std::fs::create_dir_all(&directory)?;
    let disk = BlockingDisk::new(&directory);
    let options = Options::new(STORE, 0);
    let opened = Shard::open(disk.clone(), "shard-00", ShardId(0), options, || 0);
    let (shard, _) = run(opened)?;
    drive(&shard, work(&shard, &disk, messages))
}

/// Appends messages 0, 1, … to INBOXes, those of [`BUNDLE`] at the same time, so that they share
/// commits: `make` says whose each is, and what. Returns the octets of all bodies.
pub(crate) async fn fill(
    shard: &Rc<Shard<Disk>>,
    messages: u64,
    mut make: impl FnMut(u64) -> (String, Vec<u8>),
) -> Done<u64> {
    let (mut octets, mut number) = (0, 0);
    while number < messages {
        let mut bundle = Vec::new();
        for _ in 0..BUNDLE.min(messages - number) {
            let (address, letter) = make(number);
            octets += letter.len() as u64;
            bundle.push(append(shard, address, letter, number));
            number += 1;
        }
        for appended in together(bundle).await {
            appended?;
        }
    }
    Ok(octets)
}

async fn append(
    shard: &Rc<Shard<Disk>>,
    address: String,
    letter: Vec<u8>,
    number: u64,
) -> Result<(), ChangeError> {
    let account = shard.open_account(&address).await?;
    let inbox = shard.mailbox(account, "INBOX");
    let inbox = inbox.expect("every account has one").id;
    let date = InternalDate::utc(number as i64);
    let (body, names) = (BodyWriter::with(letter), FlagNames::default());
    let appended = shard.append(account, inbox, body, &names, date).await;
    appended.map(drop)
}

const BUNDLE: u64 = 64;

/// Appends a line of eight to twelve words.
pub(crate) fn line_of_words(seed: &mut Seed, text: &mut String) {
    for _ in 0..8 + seed.below(5) {
        text.push_str(&word(seed));
        text.push(' ');
    }
    text.push_str("\r\n");
}

/// One of 4,096 words; the first ones come more often.
pub(crate) fn word(seed: &mut Seed) -> String {
    let rank = seed.below(4096) * seed.below(4096) / 4096;
    let mut dice = Seed::new(rank);
    let letters = 2 + dice.below(8);
    let often = |dice: &mut Seed| dice.below(22) * dice.below(22) / 22;
    let letter = |_| one_of(b"etaoinshrdlucmfwypvbgk", often(&mut dice));
    (0..letters).map(letter).collect()
}

/// Appends so many letters of base64.
pub(crate) fn base64(seed: &mut Seed, letters: usize, text: &mut String) {
    text.extend((0..letters).map(|_| one_of(BASE64, seed.below(64))));
}

fn one_of(letters: &[u8], at: u64) -> char {
    let letter = letters.get(at as usize);
    char::from(*letter.expect("dice have no more sides than there are letters"))
}

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
