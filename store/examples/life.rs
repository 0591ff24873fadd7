//! What a message costs the disk over its life, and how small mail becomes:
//! `cargo run --release -p store --example life -- DIRECTORY [--mix turnover] [--sizes classic]
//! [--megabytes N] [--text FOLDER] [--keep-megabytes N] [--dead-percent N] [--small-megabytes N]`.
//!
//! Mail comes in for a hundred accounts, is answered, moved and expunged; house is kept every 64
//! MiB, as the server does it. Every write to the disk is counted by the kind of its file, for the
//! whole life and for its second half, in which the store has come to rest.
//!
//! - mix `day`: half of the mail is answered, 5 % moved, 5 % deleted soon; the store grows.
//! - mix `turnover`: all of it is deleted, too, half of it while it lies in the log yet, the other
//!   half at any time until half of all that comes has come behind it. The hard case.
//! - sizes `4k`: bodies of 4,096 octets; `classic`: those of a public list, up to 4 MiB, and above
//!   32 KiB all but a tenth is an attachment in base64.
//!
//! The text is made of lines of the messages in `--text` where that is given, else of made-up
//! words, which shrink less.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod turns;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use store::compact::{Here, Policy};
use store::disk::blocking::{BlockingDisk, BlockingFile};
use store::disk::fault::Seed;
use store::disk::{Block, Disk, File, Map, Mode};
use store::log::Options;
use store::mail::date::InternalDate;
use store::mail::flags::Flags;
use store::mail::id::{AccountId, MailboxId, ShardId, Uid};
use store::mail::uidset::UidSet;
use store::mailbox::SpecialUse;
use store::shard::{BodyWriter, FlagNames, FlagOp, Shard, StoreFlags, Transfer};
use turns::{drive, together};

fn main() {
    let plan = Plan::from_arguments();
    std::fs::create_dir_all(&plan.directory).unwrap();
    let disk = Counted {
        disk: BlockingDisk::new(&plan.directory).around_cache(),
        tally: Rc::default(),
    };
    let options = Options::new([7; 16], 0);
    let opened = Shard::open(disk.clone(), "shard-00", ShardId(0), options, || 0);
    let opened = store::disk::blocking::run(opened).map_err(|error| error.to_string());
    let (shard, _) = opened.unwrap();
    drive(&shard, live(&shard, &disk, &plan));
}

struct Plan {
    directory: String,
    turns_over: bool,
    is_classic: bool,
    octets: u64,
    /// Of real messages.
    lines: Vec<Vec<u8>>,
    policy: Policy,
}

impl Plan {
    fn from_arguments() -> Plan {
        let mut arguments = std::env::args().skip(1);
        let mut plan = Plan {
            directory: arguments.next().expect("a directory that can be filled"),
            turns_over: false,
            is_classic: false,
            octets: 4_000_000_000,
            lines: Vec::new(),
            policy: Policy::default(),
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().expect("a value");
            let number = || value.parse::<u64>().unwrap();
            match name.as_str() {
                "--mix" => plan.turns_over = value == "turnover",
                "--sizes" => plan.is_classic = value == "classic",
                "--megabytes" => plan.octets = number() * 1_000_000,
                "--text" => plan.lines = lines_of(&value),
                "--keep-megabytes" => plan.policy.keep_log_bytes = number() << 20,
                "--dead-percent" => plan.policy.dead_percent = number(),
                "--small-megabytes" => plan.policy.small_bytes = number() << 20,
                other => panic!("{other}: see the head of this file"),
            }
        }
        plan
    }

    /// How many octets come in before a message is deleted, if it is.
    fn lifetime(&self, seed: &mut Seed) -> Option<u64> {
        let is_young = match self.turns_over {
            true => seed.chance(500),
            false => seed.chance(50),
        };
        match (is_young, self.turns_over) {
            (true, _) => Some(seed.below(self.policy.keep_log_bytes)),
            (false, true) => Some(seed.below(self.octets / 2)),
            (false, false) => None,
        }
    }
}

async fn live(shard: &Rc<Shard<Counted>>, disk: &Counted, plan: &Plan) {
    let mut seed = Seed::new(1);
    let deck: Vec<Vec<u8>> = (0..DECK).map(|_| letter(plan, &mut seed)).collect();
    let here = Here(disk.clone());
    let accounts = accounts(shard).await;
    let (mut came, mut kept) = (0, 0);
    let (mut moved, mut packed, mut copied, mut worked) = (0, 0, 0, 0.0);
    let mut doomed: BTreeMap<u64, Vec<Row>> = BTreeMap::new();
    let mut half = None;
    while came < plan.octets {
        let mut bundle = Vec::new();
        for _ in 0..BUNDLE {
            let account = accounts[seed.below(ACCOUNTS) as usize];
            let letter = stamped(&deck[seed.below(DECK) as usize], &mut seed);
            came += letter.len() as u64;
            bundle.push(append(Rc::clone(shard), account, letter));
        }
        for row in handled(shard, &mut seed, together(bundle).await).await {
            if let Some(after) = plan.lifetime(&mut seed) {
                doomed.entry(came + after).or_default().push(row);
            }
        }
        let later = doomed.split_off(&(came + 1));
        let due = std::mem::replace(&mut doomed, later);
        expunge(shard, due.into_values().flatten().collect()).await;
        if came - kept >= store::limit::CHECKPOINT_LOG_BYTES {
            kept = came;
            let began = cpu_secs();
            let report = shard.keep_house(&here, &plan.policy).await.unwrap();
            worked += cpu_secs() - began;
            moved += report.moved_bytes;
            packed += report.bytes_after;
            copied += report.blocks_copied;
        }
        if came >= plan.octets / 2 && half.is_none() {
            half = Some((came, disk.tally.borrow().clone()));
        }
    }
    let (before, earlier) = half.unwrap();
    let tally = disk.tally.borrow().clone();
    println!("all of it, {came} octets: {}", told(&tally, came));
    let later = tally.iter().map(|(kind, bytes)| {
        let before = earlier.get(kind).copied().unwrap_or(0);
        (*kind, bytes - before)
    });
    println!("second half: {}", told(&later.collect(), came - before));
    println!(
        "{} MB of survivors, {:.0} MB a CPU second; {copied} blocks copied",
        moved / 1_000_000,
        moved as f64 / 1e6 / worked,
    );
    let occupancy = shard.occupancy();
    // Only looks.
    let look = Policy {
        dead_percent: 1000,
        dead_percent_in_all: 1000,
        small_packs: usize::MAX,
        ..plan.policy
    };
    let report = shard.repack(&here, &look).await.unwrap();
    println!(
        "packed to {:.3} of the raw; {} MB of packs, {:.1} % of them dead; archives {} MB, index \
         {} MB",
        packed as f64 / moved as f64,
        occupancy.pack_bytes / 1_000_000,
        report.dead_bytes as f64 * 100.0 / report.packed_bytes as f64,
        occupancy.archive_bytes / 1_000_000,
        occupancy.run_bytes / 1_000_000,
    );
}

/// What this thread has had of the processor.
fn cpu_secs() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos: f64 = told.split(' ').next().unwrap().parse().unwrap();
    nanos / 1e9
}

type Tally = BTreeMap<&'static str, u64>;

/// Octets written for each that came in.
fn told(tally: &Tally, came: u64) -> String {
    let each = |bytes: u64| bytes as f64 / came as f64;
    let kinds = tally
        .iter()
        .map(|(kind, bytes)| format!("{kind} {:.3}", each(*bytes)));
    let kinds: Vec<String> = kinds.collect();
    format!(
        "{:.3} written ({})",
        each(tally.values().sum()),
        kinds.join(", ")
    )
}

#[derive(Clone, Copy)]
struct Row {
    account: AccountId,
    mailbox: MailboxId,
    uid: Uid,
}

const ACCOUNTS: u64 = 100;
const BUNDLE: u64 = 64;
const DECK: u64 = 4096;

async fn accounts(shard: &Rc<Shard<Counted>>) -> Vec<AccountId> {
    let mut accounts = Vec::new();
    for user in 0..ACCOUNTS {
        let address = format!("user{user}@example.test");
        let account = shard.open_account(&address).await.unwrap();
        let made = shard
            .create_mailbox(account, "Kept", SpecialUse::NONE)
            .await;
        made.unwrap();
        accounts.push(account);
    }
    accounts
}

async fn append(shard: Rc<Shard<Counted>>, account: AccountId, letter: Vec<u8>) -> Row {
    let mailbox = shard.mailbox(account, "INBOX").unwrap().id;
    let mut body = BodyWriter::with(letter);
    shard.body_settle(&mut body).await.unwrap();
    let date = InternalDate::utc(1);
    let names = FlagNames::default();
    let appended = shard.append(account, mailbox, body, &names, date).await;
    Row {
        account,
        mailbox,
        uid: appended.unwrap().uid,
    }
}

/// Half of the mail is answered, a twentieth moved. Where it lies now.
async fn handled(shard: &Rc<Shard<Counted>>, seed: &mut Seed, rows: Vec<Row>) -> Vec<Row> {
    let mut bundle = Vec::new();
    for row in rows {
        let (is_answered, is_moved) = (seed.chance(500), seed.chance(50));
        let shard = Rc::clone(shard);
        bundle.push(async move {
            if is_answered {
                flag(&shard, &row, Flags::ANSWERED).await;
            }
            match is_moved {
                true => put_away(&shard, row).await,
                false => row,
            }
        });
    }
    together(bundle).await
}

async fn put_away(shard: &Rc<Shard<Counted>>, row: Row) -> Row {
    let target = shard.mailbox(row.account, "Kept").unwrap().id;
    let transfer = Transfer {
        source: row.mailbox,
        uids: &UidSet::from_ascending([row.uid]),
        target,
        and_expunge: true,
    };
    let copied = shard.copy(row.account, transfer).await.unwrap();
    Row {
        mailbox: target,
        uid: copied.pairs[0].1,
        ..row
    }
}

async fn flag(shard: &Rc<Shard<Counted>>, row: &Row, flags: Flags) {
    let names = FlagNames {
        flags,
        ..FlagNames::default()
    };
    let store = StoreFlags {
        uids: &UidSet::from_ascending([row.uid]),
        op: FlagOp::Add,
        names: &names,
        unchanged_since: None,
    };
    let stored = shard.store_flags(row.account, row.mailbox, store).await;
    stored.unwrap();
}

/// Rows that share commits.
async fn expunge(shard: &Rc<Shard<Counted>>, rows: Vec<Row>) {
    let mut bundle = Vec::new();
    for row in rows {
        let shard = Rc::clone(shard);
        bundle.push(async move {
            flag(&shard, &row, Flags::DELETED).await;
            let uids = UidSet::from_ascending([row.uid]);
            let gone = shard.expunge(row.account, row.mailbox, &uids).await;
            assert_eq!(gone.unwrap().iter().count(), 1);
            row
        });
    }
    together(bundle).await;
}

/// A letter of the deck with a name of its own.
fn stamped(letter: &[u8], seed: &mut Seed) -> Vec<u8> {
    let mut letter = letter.to_vec();
    let id = format!("Message-ID: <{:016x}.{:016x}@", seed.next(), seed.next());
    letter[..id.len()].copy_from_slice(id.as_bytes());
    letter
}

fn letter(plan: &Plan, seed: &mut Seed) -> Vec<u8> {
    let octets = match plan.is_classic {
        true => classic(seed),
        false => 4096,
    };
    let sender = word(seed);
    let mut text = format!(
        "Message-ID: <{:016x}.{:016x}@{sender}.example>\r\n\
         Received: from mail.{sender}.example (mail.{sender}.example [192.0.2.{}])\r\n\
         \tby mx.example.test with ESMTPS id {:016x}\r\n\
         From: {sender} <{sender}@{sender}.example>\r\nTo: <user@example.test>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Subject: {} {}\r\n\r\n",
        0,
        0,
        seed.below(256),
        seed.next(),
        word(seed),
        word(seed),
    )
    .into_bytes();
    let prose = match octets > 32 << 10 {
        true => octets / 10,
        false => octets,
    };
    while text.len() < prose {
        match plan.lines.is_empty() {
            true => (0..8 + seed.below(5)).for_each(|_| {
                text.extend(word(seed).bytes().chain([b' ']));
            }),
            false => text.extend(&plan.lines[seed.below(plan.lines.len() as u64) as usize]),
        }
        text.extend(b"\r\n");
    }
    while text.len() < octets {
        text.extend((0..76).map(|_| BASE64[seed.below(64) as usize]));
        text.extend(b"\r\n");
    }
    text.truncate(octets.max(500));
    text
}

/// Shares of a public list, in ten-thousandths, up to so many octets.
const CLASSIC: [(u64, u32); 12] = [
    (2_350, 11),
    (4_920, 12),
    (6_760, 13),
    (7_960, 14),
    (8_540, 15),
    (9_050, 16),
    (9_330, 17),
    (9_570, 18),
    (9_720, 19),
    (9_850, 20),
    (9_996, 21),
    (10_000, 22),
];

fn classic(seed: &mut Seed) -> usize {
    let share = seed.below(10_000);
    let (_, exponent) = CLASSIC.iter().find(|(below, _)| share < *below).unwrap();
    // Evenly on a logarithmic scale between two powers of two; nothing is below 900.
    let octets = 2f64.powf(f64::from(*exponent) - seed.below(1000) as f64 / 1000.0);
    octets.max(900.0) as usize
}

/// One of 4,096 words; the first ones come more often.
fn word(seed: &mut Seed) -> String {
    let rank = seed.below(4096) * seed.below(4096) / 4096;
    let mut dice = Seed::new(rank);
    let letters = 2 + dice.below(8);
    (0..letters)
        .map(|_| b"etaoinshrdlucmfwypvbgk"[(dice.below(22) * dice.below(22) / 22) as usize] as char)
        .collect()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Lines of text of all messages in a folder.
fn lines_of(folder: &str) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        let text = octets.split(|octet| *octet == b'\n');
        let text = text.map(|line| line.trim_ascii_end().to_vec());
        lines.extend(text.filter(|line| line.len() < 200));
    }
    lines
}

/// Counts what is written, by the kind of the file.
#[derive(Clone)]
struct Counted {
    disk: BlockingDisk,
    tally: Rc<RefCell<Tally>>,
}

struct CountedFile {
    file: BlockingFile,
    kind: &'static str,
    tally: Rc<RefCell<Tally>>,
}

impl CountedFile {
    fn count(&self, kind: &'static str, bytes: u64) {
        *self.tally.borrow_mut().entry(kind).or_default() += bytes;
    }
}

fn kind_of(path: &str) -> &'static str {
    let kinds = [
        ("/log/", "log"),
        ("/packs/", "packs"),
        ("/archive/", "archives"),
        (".loc", "locations"),
        (".run", "runs"),
    ];
    let kind = kinds.iter().find(|(part, _)| path.contains(part));
    kind.map_or("manifests", |(_, kind)| kind)
}

impl Disk for Counted {
    type File = CountedFile;

    async fn open(&self, path: &str, mode: Mode) -> io::Result<CountedFile> {
        Ok(CountedFile {
            file: self.disk.open(path, mode).await?,
            kind: kind_of(path),
            tally: Rc::clone(&self.tally),
        })
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        self.disk.list(directory).await
    }

    async fn create_directory(&self, path: &str) -> io::Result<()> {
        self.disk.create_directory(path).await
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to).await
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path).await
    }

    async fn map(&self, path: &str) -> io::Result<Map> {
        self.disk.map(path).await
    }

    fn is_direct(&self) -> bool {
        self.disk.is_direct()
    }
}

impl File for CountedFile {
    async fn write_at(&self, block: Rc<Block>, bytes: usize, offset: u64) -> io::Result<()> {
        self.count(self.kind, bytes as u64);
        self.file.write_at(block, bytes, offset).await
    }

    async fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Block> {
        self.file.read_at(offset, bytes).await
    }

    async fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        self.count("zeros", to - from);
        self.file.zero(from, to).await
    }

    async fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        self.file.reserve(from, to).await
    }

    async fn len(&self) -> io::Result<u64> {
        self.file.len().await
    }
}
