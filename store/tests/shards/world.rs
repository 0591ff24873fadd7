//! A world: two shards on one disk, lives that end in a crash, and the ledger between them.

use crate::clerk::Clerk;
use crate::client::Client;
use crate::copied;
use crate::feeder::start_feeding;
use crate::fsck;
use crate::keeper::{EAGER, Keeper, Kept, Mortal};
use crate::ledger::{Ledger, content, is_damage_told};
use crate::queue::Sender;
use crate::signs;
use crate::weather::{self, Climate};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;
use store::compact::Here;
use store::disk::executor::Executor;
use store::disk::fault::Seed;
use store::disk::sim::SimDisk;
use store::error::{ChangeError, LogError};
use store::log::Options;
use store::mail::address::Address;
use store::mail::date::InternalDate;
use store::mail::envelope::Notify;
use store::mail::id::ShardId;
use store::shard::{FlagNames, Shard, Share};

pub(crate) type Sim = Rc<Shard<SimDisk>>;

/// Those with an even number belong to shard 0, the others to shard 1.
pub(crate) const ACCOUNTS: [&str; 4] = [
    "anna@example.test",
    "bert@example.test",
    "carl@example.test",
    "dora@example.test",
];
pub(crate) const STORE: [u8; 16] = [7; 16];
pub(crate) const MAILBOXES: [&str; 2] = ["INBOX", "Other"];

pub(crate) struct World {
    pub(crate) disk: SimDisk,
    /// Where the shards lie, with a slash behind.
    root: String,
    pub(crate) seed: Seed,
    pub(crate) climate: Climate,
    pub(crate) clients: u32,
    /// Whether somebody writes memos.
    pub(crate) has_clerk: bool,
    /// Whether messages are signed.
    has_signs: bool,
    pub(crate) ledger: Rc<RefCell<Ledger>>,
    pub(crate) backs_up: bool,
    /// What was told before the last whole backup was begun.
    before_backup: Rc<RefCell<Option<Ledger>>>,
    pub(crate) kept: Rc<RefCell<Kept>>,
    pub(crate) met: Met,
}

/// What a world went through.
#[derive(Clone, Default, Debug)]
pub(crate) struct Met {
    /// Reads that were answered with an error.
    pub(crate) unread: Rc<Cell<u32>>,
    /// Starts that a device refused which does not read.
    pub(crate) refused_starts: u32,
    /// Lives at whose end the device was well again, and so was every shard that was not read-only.
    pub(crate) healed: u32,
}

impl World {
    pub(crate) fn new(seed: u64, climate: Climate) -> World {
        SALTS.set(Some(Seed::new(seed)));
        World {
            disk: SimDisk::new(seed),
            root: String::new(),
            seed: Seed::new(seed ^ 0x5eed),
            climate,
            clients: 4,
            has_clerk: true,
            // Signing leaves the compactor less time for all else in so short a life.
            has_signs: seed.is_multiple_of(3),
            ledger: Rc::default(),
            backs_up: false,
            before_backup: Rc::default(),
            kept: Rc::default(),
            met: Met::default(),
        }
    }

    pub(crate) fn work_until_crash(&mut self) {
        let mut life = self.begin();
        for _ in 0..=self.seed.below(4) {
            weather::change(&self.disk, self.climate, &mut self.seed);
            life.tend();
            life.executor.run(20 + self.seed.below(600) as usize);
        }
        if self.backs_up {
            life.executor
                .run(self.seed.below(BACKUP_TURNS_MAX) as usize);
        }
        if self.seed.chance(300) {
            self.heal(&mut life);
        }
        self.crash();
    }

    /// Shards that are open, with everybody at work.
    pub(crate) fn begin(&mut self) -> Life {
        let mut life = self.begin_without_keeper();
        let keeper = Keeper {
            shards: life.shards.clone(),
            aside: Mortal::new(&self.disk),
            seed: RefCell::new(Seed::new(self.seed.next())),
            kept: Rc::clone(&self.kept),
            may_find_damage: self.climate != Climate::Fair,
        };
        life.executor.spawn(async move { keeper.run().await });
        life
    }

    /// The same, and nobody keeps house.
    pub(crate) fn begin_without_keeper(&mut self) -> Life {
        let mut executor = Executor::new(self.disk.clone(), self.seed.next());
        let shards = self.start(&mut executor);
        runs(&mut executor, &shards);
        self.sign(&mut executor, &shards);
        if self.backs_up {
            let (ledger, before) = (Rc::clone(&self.ledger), Rc::clone(&self.before_backup));
            executor.spawn(copied::back_up(self.disk.clone(), ledger, before));
        }
        start_feeding(&mut executor, &shards, self);
        for _ in 0..self.clients {
            let client = Client {
                shards: shards.clone(),
                ledger: Rc::clone(&self.ledger),
                seed: RefCell::new(Seed::new(self.seed.next())),
                climate: self.climate,
                unread: Rc::clone(&self.met.unread),
            };
            executor.spawn(async move { client.run().await });
        }
        let sender = Sender {
            shards: shards.clone(),
            ledger: Rc::clone(&self.ledger),
            seed: RefCell::new(Seed::new(self.seed.next())),
            is_rough: self.climate != Climate::Fair,
        };
        executor.spawn(async move { sender.run().await });
        let clerk = Clerk {
            shards: shards.clone(),
            ledger: Rc::clone(&self.ledger),
            seed: RefCell::new(Seed::new(self.seed.next())),
            is_rough: self.climate != Climate::Fair,
        };
        if self.has_clerk {
            executor.spawn(async move { clerk.run().await });
        }
        Life { executor, shards }
    }

    /// Opens both shards. Where the device does not give what a start needs, that is said, and
    /// nothing is decided.
    fn start(&mut self, executor: &mut Executor) -> Vec<Sim> {
        if self.climate == Climate::Stormy && self.seed.chance(400) {
            weather::hide(&self.disk, &mut self.seed);
            let opened = open(executor, &self.disk, &self.root);
            weather::clear_up(&self.disk);
            match opened {
                Ok(shards) => return shards,
                Err(_) => self.met.refused_starts += 1,
            }
        }
        open(executor, &self.disk, &self.root).unwrap()
    }

    /// On a device that is well again every shard takes mail that is not read-only.
    fn heal(&mut self, life: &mut Life) {
        weather::clear_up(&self.disk);
        life.tend();
        for (owner, shard) in life.shards.clone().into_iter().enumerate() {
            let fate = Rc::new(Cell::new(None));
            let told = Rc::clone(&fate);
            let id = self.ledger.borrow().next + 1;
            self.ledger.borrow_mut().next = id;
            life.executor.spawn(async move {
                told.set(Some(append_in_time(&shard, ACCOUNTS[owner], id).await));
            });
            let mut turns = 0;
            while fate.get().is_none() && turns < HEALING_TURNS_MAX && life.executor.turn() {
                turns += 1;
            }
            let is_kept = fate
                .get()
                .expect("a device that is well again heals a shard");
            if is_kept {
                let mut ledger = self.ledger.borrow_mut();
                ledger.acknowledged.insert(id, [owner].into());
            }
            self.met.healed += u32::from(is_kept);
        }
    }

    pub(crate) fn crash(&mut self) {
        let image_seed = self.seed.next();
        self.disk = match self.seed.chance(500) {
            true => self.disk.crash(image_seed),
            false => self.disk.kill(image_seed),
        };
    }

    fn sign(&self, executor: &mut Executor, shards: &[Sim]) {
        for shard in shards.iter().filter(|_| self.has_signs) {
            let shard = Rc::clone(shard);
            executor.finish(async move { signs::begin(&shard).await });
        }
    }

    /// Opens the store again, lets the offers arrive, and compares with the ledger, before and
    /// after everything is emptied that can be.
    pub(crate) fn check(&mut self) {
        let mut executor = Executor::new(self.disk.clone(), self.seed.next());
        let shards = open(&mut executor, &self.disk, &self.root).unwrap();
        runs(&mut executor, &shards);
        self.sign(&mut executor, &shards);
        start_feeding(&mut executor, &shards, self);
        // The feeder waits for ever once everything is handed over, so this ends by itself.
        executor.run(usize::MAX);
        let is_all_there = shards.iter().all(|shard| shard.offers_waiting() == 0);
        assert!(is_all_there, "offers arrive");
        let ledger = Rc::clone(&self.ledger);
        let kept = Rc::clone(&self.kept);
        let disk = self.disk.clone();
        let checked = executor.finish(async move {
            // Nobody else is left to ask the ledger.
            let mut taken = ledger.take();
            taken.compare(&shards, &disk).await;
            signs::compare(&shards).await;
            for shard in &shards {
                let report = shard.keep_house(&Here(disk.clone()), &EAGER).await;
                assert_eq!(report.as_ref().unwrap().damage, []);
                kept.borrow_mut().note(&report);
            }
            taken.compare(&shards, &disk).await;
            signs::compare(&shards).await;
            ledger.replace(taken);
        });
        assert!(checked.is_some(), "reading ends");
        self.disk = self.disk.crash(self.seed.next());
        if self.seed.chance(100) && !is_damage_told(&self.disk) {
            let damages = fsck::damages(&self.disk, &self.root);
            assert!(damages.is_empty(), "{damages:?}");
        }
    }

    /// A world of its own that goes on with this disk and what was told so far.
    pub(crate) fn branch(&self, disk: SimDisk, seed: u64) -> World {
        World {
            disk,
            root: self.root.clone(),
            seed: Seed::new(seed),
            climate: self.climate,
            clients: self.clients,
            has_clerk: self.has_clerk,
            has_signs: self.has_signs,
            ledger: Rc::new(RefCell::new(self.ledger.borrow().clone())),
            backs_up: false,
            before_backup: Rc::default(),
            kept: Rc::default(),
            met: Met::default(),
        }
    }

    /// A world of its own that begins with the last whole backup of this one.
    pub(crate) fn restored(&mut self, number: usize) -> Option<World> {
        let mut ledger = self.before_backup.borrow().clone()?;
        // It may have been tried while the backup was taken.
        let tried = self.ledger.borrow().clone();
        (ledger.next, ledger.removing, ledger.copies) = (tried.next, tried.removing, tried.copies);
        ledger.queue.tried_meanwhile(&tried.queue);
        ledger.memos.tried_meanwhile(&tried.memos);
        let directory = format!("restored-{number}");
        let mut executor = Executor::new(self.disk.clone(), self.seed.next());
        let restoring = copied::restore_last(self.disk.clone(), directory.clone());
        executor.finish(restoring).expect("restoring ends");
        let seed = self.seed.next();
        Some(World {
            root: format!("{directory}/"),
            ledger: Rc::new(RefCell::new(ledger)),
            ..self.branch(self.disk.clone(), seed)
        })
    }
}

/// Shards that are open, and whoever works on them.
pub(crate) struct Life {
    pub(crate) executor: Executor,
    pub(crate) shards: Vec<Sim>,
}

impl Life {
    /// Whoever tends a shard asks a full disk again.
    fn tend(&self) {
        for shard in &self.shards {
            shard.log().retry();
        }
    }
}

pub(crate) fn open(
    executor: &mut Executor,
    disk: &SimDisk,
    root: &str,
) -> Result<Vec<Sim>, String> {
    let mut shards = Vec::new();
    for shard in 0..2 {
        let options = options(shard);
        let disk = disk.clone();
        let directory = format!("{root}shard-{shard:02}");
        let opened = executor.finish(async move {
            Shard::open(disk, &directory, ShardId(shard), options, || 1_700_000_000).await
        });
        let opened = opened.expect("opening ends");
        shards.push(opened.map_err(|error| error.to_string())?.0);
    }
    Ok(shards)
}

/// The writers of these shards run.
pub(crate) fn runs(executor: &mut Executor, shards: &[Sim]) {
    for shard in shards {
        let shard = Rc::clone(shard);
        executor.spawn(async move { shard.run(|_| {}).await });
    }
}

/// `false`: a second error before the device was well again has made the shard read-only.
async fn append_in_time(shard: &Sim, address: &str, id: u64) -> bool {
    while let Err(error) = append(shard, address, id).await {
        match error {
            // What was on its way to a full disk is given up first.
            ChangeError::Log(LogError::Full) => shard.log().retry(),
            ChangeError::Log(LogError::ReadOnly) => return false,
            error => panic!("{error}"),
        }
        pass_turn().await;
    }
    true
}

async fn append(shard: &Sim, address: &str, id: u64) -> Result<(), ChangeError> {
    let account = shard.open_account(address).await?;
    let inbox = shard.mailbox(account, MAILBOXES[0]).unwrap().id;
    let mut body = shard.body();
    shard.body_write(&mut body, &content(id, 3000)).await?;
    let (names, date) = (FlagNames::default(), InternalDate::utc(5));
    let appended = shard.append(account, inbox, body, &names, date);
    appended.await.map(drop)
}

pub(crate) fn options(shard: u16) -> Options {
    let mut options = Options::new(STORE, shard);
    options.segment_bytes = 8 << 20;
    // Reads go to the disk.
    options.hot_tail_bytes = 0;
    options.random = salt;
    options
}

/// Lets others have a turn.
pub(crate) async fn pass_turn() {
    let mut is_passed = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut is_passed, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

pub(crate) fn share(owner: usize) -> Share {
    Share {
        account: ACCOUNTS[owner].to_owned(),
        recipient: Address::split(ACCOUNTS[owner]).unwrap(),
        notify: Notify::UNSET,
        orcpt: None,
        prefix: format!("Delivered-To: {}\r\n", ACCOUNTS[owner]).into_bytes(),
    }
}

thread_local! {
    /// Where the salts of the world of this thread come from, so that its seed decides everything.
    static SALTS: Cell<Option<Seed>> = const { Cell::new(None) };
}

fn salt() -> u64 {
    let mut salts = SALTS.take().expect("there is a world");
    let salt = salts.next();
    SALTS.set(Some(salts));
    salt
}

/// Some backups are whole within so many turns, some go down half-done.
const BACKUP_TURNS_MAX: u64 = 6000;

/// Within so many turns a device that is well again has been found to be so.
const HEALING_TURNS_MAX: usize = 20_000;
