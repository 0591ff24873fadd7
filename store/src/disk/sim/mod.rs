//! A disk in memory that loses, tears and fails by a seed.
//!
//! Every operation waits until [`SimDisk::step`] finishes it, in an order that the seed decides. A
//! file has two images: *live*, what reads see, and *durable*, what a power cut leaves.
//! [`SimDisk::crash`] is the disk after a power cut now, [`SimDisk::kill`] the disk after the
//! process was killed now: the page cache survives, but nobody has synced it yet. Both share with
//! this disk what they have in common.

mod image;
mod names;
mod pages;

use super::fault::{Faults, Seed, WriteFault};
use super::{Block, Disk, File, Map, Mode};
use crate::limit::BLOCK_BYTES;
use image::{Change, Image};
use names::{NameChange, Names};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::task::{Poll, Waker};

#[derive(Clone)]
pub struct SimDisk {
    state: Rc<RefCell<State>>,
}

pub struct SimFile {
    disk: SimDisk,
    image: Rc<RefCell<Image>>,
}

struct State {
    seed: Seed,
    faults: Faults,
    names: Names,
    queue: Vec<Operation>,
    writes: u64,
    changes: u64,
}

struct Operation {
    work: Work,
    slot: Rc<RefCell<Slot>>,
}

enum Work {
    Open(String, Mode),
    Name(NameChange),
    Map(String),
    Write(Rc<RefCell<Image>>, Change),
    Zero(Rc<RefCell<Image>>, Change),
    Reserve(Rc<RefCell<Image>>, Change),
    Read(Rc<RefCell<Image>>, usize, usize),
}

enum Reply {
    Done,
    Opened(Rc<RefCell<Image>>),
    Bytes(Block),
    Mapped(Map),
}

#[derive(Default)]
struct Slot {
    reply: Option<io::Result<Reply>>,
    waker: Option<Waker>,
}

impl SimDisk {
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::holding(Names::default(), Seed::new(seed), Faults::default())
    }

    /// Changes the faults from now on.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state.borrow_mut().faults);
    }

    /// Finishes one waiting operation; `false` when none waits.
    pub fn step(&self) -> bool {
        let operation = {
            let mut state = self.state.borrow_mut();
            let waiting = state.queue.len() as u64;
            if waiting == 0 {
                return false;
            }
            let slow = state.faults.slow;
            if state.seed.chance(slow) {
                return true;
            }
            let index = state.seed.below(waiting) as usize;
            state.queue.swap_remove(index)
        };
        let reply = self.state.borrow_mut().finish(operation.work);
        let waker = {
            let mut slot = operation.slot.borrow_mut();
            slot.reply = Some(reply);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Operations that wait for [`SimDisk::step`].
    pub fn waiting(&self) -> usize {
        self.state.borrow().queue.len()
    }

    /// Writes that were finished, well or not.
    pub fn writes(&self) -> u64 {
        self.state.borrow().writes
    }

    /// Operations that were finished and may have changed what is on the disk.
    pub fn changes(&self) -> u64 {
        self.state.borrow().changes
    }

    /// The disk after a power cut at this moment: each write that is not durable reaches it whole,
    /// in part or not at all. Faults are gone.
    pub fn crash(&self, seed: u64) -> SimDisk {
        let mut seed = Seed::new(seed);
        let names = self.state.borrow().names.crashed(&mut seed);
        self.cut(names, seed, (Image::crashed, true))
    }

    /// The disk after the process was killed at this moment: unfinished operations as in `crash`,
    /// but what reached the disk lies in its cache only, until a sync.
    pub fn kill(&self, seed: u64) -> SimDisk {
        let names = self.state.borrow().names.clone();
        self.cut(names, Seed::new(seed), (Image::killed, false))
    }

    /// Paths of all files.
    pub fn paths(&self) -> Vec<String> {
        let state = self.state.borrow();
        state.names.paths().map(str::to_owned).collect()
    }

    /// What a read of the whole file gives; empty when it is not there.
    pub fn contents(&self, path: &str) -> Vec<u8> {
        let image = self.state.borrow().names.image(path);
        image.map_or_else(Vec::new, |image| image.borrow().live.to_vec())
    }

    /// Rots, swaps, truncates: changes the bytes of a file behind everybody's back.
    pub fn edit(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(image) = self.state.borrow().names.image(path) {
            let mut image = image.borrow_mut();
            let mut bytes = image.live.to_vec();
            change(&mut bytes);
            image.replace(&bytes);
        }
    }

    /// Takes a file away behind everybody's back.
    pub fn lose(&self, path: &str) {
        self.state.borrow_mut().names.lose(path);
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        self.state.borrow().used()
    }

    /// Every block can be read again.
    pub fn revive(&self) {
        for image in self.state.borrow().names.images() {
            image.borrow_mut().revive();
        }
    }

    fn holding(names: Names, seed: Seed, faults: Faults) -> SimDisk {
        SimDisk {
            state: Rc::new(RefCell::new(State {
                seed,
                faults,
                names,
                queue: Vec::new(),
                writes: 0,
                changes: 0,
            })),
        }
    }

    /// A disk with these names, on which operations under way are cut short.
    fn cut(
        &self,
        mut names: Names,
        mut seed: Seed,
        (image_after, is_synced): (impl Fn(&Image, &mut Seed, &[Change]) -> Image, bool),
    ) -> SimDisk {
        let state = self.state.borrow();
        names.replace_images(|image| {
            let unfinished = state.unfinished(image);
            image_after(&image.borrow(), &mut seed, &unfinished)
        });
        for operation in &state.queue {
            let change = operation.work.name_change();
            if let Some(change) = change.filter(|_| seed.chance(500)) {
                names.change(&change, is_synced);
            }
        }
        SimDisk::holding(names, seed, Faults::default())
    }

    async fn submit(&self, work: Work) -> io::Result<Reply> {
        let slot = Rc::new(RefCell::new(Slot::default()));
        self.state.borrow_mut().queue.push(Operation {
            work,
            slot: slot.clone(),
        });
        poll_fn(|context| {
            let mut slot = slot.borrow_mut();
            match slot.reply.take() {
                Some(reply) => Poll::Ready(reply),
                None => {
                    slot.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Work {
    fn name_change(&self) -> Option<NameChange> {
        match self {
            Work::Open(path, Mode::Create) => Some(NameChange::create(path)),
            Work::Name(change) => Some(change.clone()),
            _ => None,
        }
    }
}

impl State {
    fn finish(&mut self, work: Work) -> io::Result<Reply> {
        let is_change = match &work {
            Work::Write(..) | Work::Zero(..) | Work::Reserve(..) => true,
            other => other.name_change().is_some(),
        };
        self.changes += u64::from(is_change);
        match work {
            Work::Open(path, mode) => self.open(&path, mode),
            Work::Name(change) => self.change_name(&change),
            Work::Map(path) => self.map(&path),
            Work::Write(image, change) => self.write(&image, change),
            Work::Zero(image, change) => self.zero(&image, change),
            Work::Reserve(image, change) => self.grow(&image, &change),
            Work::Read(image, offset, bytes) => self.read(&image, offset, bytes),
        }
    }

    fn open(&mut self, path: &str, mode: Mode) -> io::Result<Reply> {
        let image = match (self.names.image(path), mode) {
            (Some(_), Mode::Create) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, Mode::Read | Mode::Write) => return Err(io::ErrorKind::NotFound.into()),
            (Some(image), _) => image,
            (None, Mode::Create) => {
                self.change_name(&NameChange::create(path))?;
                self.names.image(path).ok_or(io::ErrorKind::NotFound)?
            }
        };
        if mode == Mode::Write && self.faults.is_synced(path) {
            image.borrow_mut().sync();
        }
        Ok(Reply::Opened(image))
    }

    fn change_name(&mut self, change: &NameChange) -> io::Result<Reply> {
        let is_synced = !self.faults.no_name_sync;
        let (rate, fault) = match change {
            NameChange::Rename(..) => (self.faults.rename_error, WriteFault::Full),
            NameChange::Create(..) => (self.faults.name_error, WriteFault::Full),
            NameChange::Remove(_) => (self.faults.name_error, WriteFault::Io),
        };
        if self.seed.chance(rate) {
            if self.seed.chance(500) {
                self.names.change(change, is_synced);
            }
            return Err(fault.error());
        }
        match self.names.change(change, is_synced) {
            true => Ok(Reply::Done),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn write(&mut self, image: &RefCell<Image>, change: Change) -> io::Result<Reply> {
        self.writes += 1;
        self.reserve(image, &change)?;
        if let Some(fault) = self.write_fault() {
            for piece in change.torn(&mut self.seed) {
                self.store(image, piece);
            }
            return Err(fault.error());
        }
        let (lost, astray) = (self.faults.lost_write, self.faults.misdirected_write);
        if self.seed.chance(lost) {
            return Ok(Reply::Done);
        }
        let blocks = image.borrow().blocks() as u64;
        let change = match self.seed.chance(astray) {
            true => change.astray(self.seed.below(blocks) as usize),
            false => change,
        };
        self.store(image, change);
        Ok(Reply::Done)
    }

    fn write_fault(&mut self) -> Option<WriteFault> {
        let failing = &self.faults.failing_writes;
        let named = failing.iter().find(|(number, _)| *number == self.writes);
        let rate = self.faults.write_error;
        match named {
            Some((_, fault)) => Some(*fault),
            None => self.seed.chance(rate).then_some(WriteFault::Io),
        }
    }

    fn zero(&mut self, image: &RefCell<Image>, change: Change) -> io::Result<Reply> {
        self.reserve(image, &change)?;
        let rate = self.faults.zero_error;
        if self.seed.chance(rate) {
            return Err(WriteFault::Io.error());
        }
        self.store(image, change);
        Ok(Reply::Done)
    }

    fn grow(&mut self, image: &RefCell<Image>, change: &Change) -> io::Result<Reply> {
        self.reserve(image, change)?;
        let rate = self.faults.zero_error;
        if self.seed.chance(rate) {
            return Err(WriteFault::Io.error());
        }
        image.borrow_mut().grow(change.end());
        Ok(Reply::Done)
    }

    fn read(&mut self, image: &RefCell<Image>, offset: usize, bytes: usize) -> io::Result<Reply> {
        let (failing, dying) = (self.faults.read_error, self.faults.dying_block);
        let found = image.borrow().live.read(offset, bytes);
        let range = offset..offset + found.len();
        if self.seed.chance(dying) {
            let at = offset + self.seed.below(found.len() as u64) as usize;
            image.borrow_mut().kill_block(at / BLOCK_BYTES);
        }
        if self.seed.chance(failing) || !image.borrow().is_readable(&range) {
            return Err(WriteFault::Io.error());
        }
        let short = self.faults.short_read;
        let mut found = found;
        if self.seed.chance(short) && !found.is_empty() {
            let left = 1 + self.seed.below(found.len() as u64 - 1);
            found.truncate(left as usize);
        }
        Ok(Reply::Bytes(found))
    }

    fn map(&mut self, path: &str) -> io::Result<Reply> {
        let image = self.names.image(path).ok_or(io::ErrorKind::NotFound)?;
        let image = image.borrow();
        let mut bytes = image.live.to_vec();
        let rate = self.faults.read_error;
        if self.seed.chance(rate) {
            return Err(WriteFault::Io.error());
        }
        let rate = self.faults.lost_page;
        for (number, page) in bytes.chunks_mut(BLOCK_BYTES).enumerate() {
            let at = number * BLOCK_BYTES;
            if self.seed.chance(rate) || !image.is_readable(&(at..at + 1)) {
                page.fill(0);
            }
        }
        Ok(Reply::Mapped(Map::of_memory(bytes.into_boxed_slice())))
    }

    /// ENOSPC when the file would grow over the space of the disk.
    fn reserve(&self, image: &RefCell<Image>, change: &Change) -> io::Result<()> {
        let Some(space) = self.faults.space else {
            return Ok(());
        };
        let bytes = image.borrow().live.len() as u64;
        let growth = change.end().saturating_sub(bytes);
        match growth > 0 && self.used() + growth > space {
            true => Err(WriteFault::Full.error()),
            false => Ok(()),
        }
    }

    fn used(&self) -> u64 {
        let images = self.names.images();
        images.map(|image| image.borrow().live.len() as u64).sum()
    }

    fn store(&self, image: &RefCell<Image>, change: Change) {
        let mut image = image.borrow_mut();
        let is_durable = self.faults.is_synced(&image.path);
        image.store(change, is_durable);
    }

    fn unfinished(&self, of: &Rc<RefCell<Image>>) -> Vec<Change> {
        let changes = self
            .queue
            .iter()
            .filter_map(|operation| match &operation.work {
                Work::Write(image, change) | Work::Zero(image, change) if Rc::ptr_eq(image, of) => {
                    Some(change.clone())
                }
                _ => None,
            });
        changes.collect()
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    async fn open(&self, path: &str, mode: Mode) -> io::Result<SimFile> {
        match self.submit(Work::Open(path.to_owned(), mode)).await? {
            Reply::Opened(image) => Ok(SimFile {
                disk: self.clone(),
                image,
            }),
            _ => unreachable!("an open is answered by a file"),
        }
    }

    async fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let above = format!("{directory}/");
        let state = self.state.borrow();
        let below = state.names.paths();
        let below = below.filter_map(|path| path.strip_prefix(&above));
        Ok(below.map(str::to_owned).collect())
    }

    /// Directories are only prefixes of names here; those that a killed process has left are
    /// durable from now on.
    async fn create_directory(&self, path: &str) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        if !state.faults.no_name_sync {
            let is_above = |directory: &str| Path::new(path).starts_with(directory);
            state.names.sync(is_above);
        }
        Ok(())
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let change = NameChange::Rename(from.to_owned(), to.to_owned());
        self.submit(Work::Name(change)).await.map(drop)
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        let change = NameChange::Remove(path.to_owned());
        self.submit(Work::Name(change)).await.map(drop)
    }

    async fn map(&self, path: &str) -> io::Result<Map> {
        match self.submit(Work::Map(path.to_owned())).await? {
            Reply::Mapped(map) => Ok(map),
            _ => unreachable!("a map is answered by one"),
        }
    }

    fn is_direct(&self) -> bool {
        true
    }
}

impl SimFile {
    async fn read_some(&self, offset: usize, bytes: usize) -> io::Result<Block> {
        let work = Work::Read(self.image.clone(), offset, bytes);
        match self.disk.submit(work).await? {
            Reply::Bytes(block) => Ok(block),
            _ => unreachable!("a read is answered by bytes"),
        }
    }

    fn has_more(&self, offset: usize, bytes: usize) -> bool {
        bytes > 0 && offset < self.image.borrow().live.len()
    }
}

impl File for SimFile {
    async fn write_at(&self, block: Rc<Block>, bytes: usize, offset: u64) -> io::Result<()> {
        if bytes > block.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let aligned = offset.is_multiple_of(4096) && bytes.is_multiple_of(4096);
        assert!(aligned, "the log writes whole blocks");
        let work = Work::Write(self.image.clone(), Change::write(offset, block, bytes));
        self.disk.submit(work).await.map(drop)
    }

    /// A device may give less than there is; the rest is asked for then, and what lies there may
    /// have changed meanwhile.
    async fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Block> {
        let block = self.read_some(offset as usize, bytes).await?;
        if !self.has_more(offset as usize + block.len(), bytes - block.len()) {
            return Ok(block);
        }
        let mut whole = block.as_slice().to_vec();
        while self.has_more(offset as usize + whole.len(), bytes - whole.len()) {
            let at = offset as usize + whole.len();
            let rest = self.read_some(at, bytes - whole.len()).await?;
            whole.extend_from_slice(rest.as_slice());
        }
        Ok(Block::copy_of(&whole))
    }

    async fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        let aligned = from.is_multiple_of(4096) && to.is_multiple_of(4096);
        assert!(aligned, "the log zeroes whole blocks");
        let work = Work::Zero(self.image.clone(), Change::zero(from, to));
        self.disk.submit(work).await.map(drop)
    }

    async fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        let work = Work::Reserve(self.image.clone(), Change::zero(from, to));
        self.disk.submit(work).await.map(drop)
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.image.borrow().live.len() as u64)
    }
}
