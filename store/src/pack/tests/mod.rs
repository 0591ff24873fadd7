//! Packs over a simulated disk: what goes in comes out, damage costs its block, errors are named.

mod damage;
mod faults;
mod round;

use super::{Pack, PackError, PackHead, PackWriter, Packs, Summary, name};
use crate::disk::executor::Executor;
use crate::disk::fault::Seed;
use crate::disk::sim::{SimDisk, SimFile};
use crate::error::ReadError;
use crate::log::{Place, Record};
use crate::mail::id::{Lsn, ShardId};
use std::io;
use std::rc::Rc;

const NUMBER: u32 = 7;
const DIRECTORY: &str = "shard-00/packs";
const HEAD: PackHead = PackHead {
    store: [7; 16],
    shard: ShardId(3),
    number: NUMBER,
};

/// A record as it was added or found.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Item {
    kind: u8,
    account: u32,
    lsn: u64,
    payload: Vec<u8>,
}

fn path() -> String {
    format!("{DIRECTORY}/{}", name(NUMBER))
}

fn run<T: 'static>(disk: &SimDisk, future: impl Future<Output = T> + 'static) -> T {
    Executor::new(disk.clone(), 1)
        .finish(future)
        .expect("a pack waits for the disk only")
}

fn written(disk: &SimDisk, items: &[Item]) -> io::Result<(Vec<Place>, Summary)> {
    let (on, items) = (disk.clone(), items.to_vec());
    run(disk, async move {
        let mut writer = PackWriter::create(on, &path(), HEAD).await?;
        let mut places = Vec::new();
        for item in &items {
            // In two parts, of which one may be empty.
            let (head, tail) = item.payload.split_at(item.payload.len() / 3);
            let (lsn, parts) = (Lsn(item.lsn), [head, tail]);
            let place = writer.add(item.kind, item.account, lsn, &parts);
            places.push(place.await?);
        }
        Ok((places, writer.finish().await?))
    })
}

fn opened(disk: &SimDisk) -> Result<Pack<SimFile>, PackError> {
    let on = disk.clone();
    run(disk, async move { Pack::open(&on, &path(), HEAD).await })
}

/// What a scan shows at a place.
type Shown = (Place, Result<Item, String>);

/// What a scan shows, in order.
fn scanned(disk: &SimDisk) -> Result<Vec<Shown>, PackError> {
    let pack = opened(disk)?;
    Ok(run(disk, async move {
        let mut found = Vec::new();
        pack.scan(|place, record| {
            let item = record.map(|record| Item {
                kind: record.kind,
                account: record.account,
                lsn: record.lsn.0,
                payload: record.payload.to_vec(),
            });
            found.push((place, item.map_err(|error| error.to_string())));
        })
        .await;
        found
    }))
}

fn packs(disk: &SimDisk) -> Rc<Packs<SimDisk>> {
    Rc::new(Packs::new(disk.clone(), DIRECTORY, HEAD.store, HEAD.shard))
}

fn read(disk: &SimDisk, packs: &Rc<Packs<SimDisk>>, place: Place) -> Result<Item, ReadError> {
    let packs = Rc::clone(packs);
    let record = run(disk, async move { packs.read(place).await });
    record.map(|record| item(&record))
}

fn item(record: &Record) -> Item {
    Item {
        kind: record.kind(),
        account: record.account(),
        lsn: record.lsn().0,
        payload: record.payload().to_vec(),
    }
}

/// A record that only this number has, of octets that zstd can shorten, or not.
fn made(number: u64, octets: usize, is_text: bool) -> Item {
    let mut dice = Seed::new(number);
    let mut payload = Vec::with_capacity(octets + 16);
    while payload.len() < octets {
        match (is_text, WORDS.get(dice.below(WORDS.len() as u64) as usize)) {
            (true, Some(word)) => payload.extend_from_slice(word.as_bytes()),
            _ => payload.extend_from_slice(&dice.next().to_le_bytes()),
        }
    }
    payload.truncate(octets);
    Item {
        kind: dice.next() as u8,
        account: dice.next() as u32,
        lsn: number,
        payload,
    }
}

const WORDS: [&str; 12] = [
    "Received: from ",
    "mx1.example.org ",
    "by mx.home.test ",
    "with ESMTPS ",
    "\r\n",
    "Subject: ",
    "the ",
    "quick ",
    "letter ",
    "of ",
    "alice ",
    "and bob ",
];
