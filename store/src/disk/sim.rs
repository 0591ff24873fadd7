//! A disk in memory that loses, tears and fails by a seed.
//!
//! Every operation waits until [`SimDisk::step`] finishes it, in an order that the seed decides. A
//! file has two images: *live*, what reads see, and *durable*, what a power cut leaves.
//! [`SimDisk::crash`] is the disk after a power cut now, [`SimDisk::kill`] the disk after the
//! process was killed now: the page cache survives, but nobody has synced it yet.

use super::fault::{Faults, Seed, WriteFault, torn};
use super::{Block, Disk, File, Map, Mode};
use crate::limit::BLOCK_BYTES;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
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
}

type Names = BTreeMap<String, Rc<RefCell<Image>>>;

#[derive(Clone, Default)]
struct Image {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// In `live` and not in `durable`, in the order of writing.
    unsynced: Vec<(u64, Vec<u8>)>,
}

struct Operation {
    work: Work,
    slot: Rc<RefCell<Slot>>,
}

enum Work {
    Open(String, Mode),
    Rename(String, String),
    Remove(String),
    Map(String),
    Write(Rc<RefCell<Image>>, u64, Vec<u8>),
    Zero(Rc<RefCell<Image>>, u64, u64),
    Read(Rc<RefCell<Image>>, u64, usize),
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
        SimDisk::holding(Names::new(), Seed::new(seed), Faults::default())
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

    /// The disk after a power cut at this moment: each write that is not durable reaches it whole,
    /// in part or not at all. Faults are gone.
    pub fn crash(&self, seed: u64) -> SimDisk {
        self.cut(seed, |image, seed, unfinished| {
            let mut bytes = image.durable.clone();
            for (offset, data) in image.unsynced.iter().chain(unfinished) {
                for (at, piece) in torn(seed, data) {
                    overwrite(&mut bytes, *offset + at as u64, piece);
                }
            }
            Image {
                live: bytes.clone(),
                durable: bytes,
                unsynced: Vec::new(),
            }
        })
    }

    /// The disk after the process was killed at this moment: unfinished writes as in `crash`, but
    /// what reached the disk lies in its cache only, until a sync.
    pub fn kill(&self, seed: u64) -> SimDisk {
        self.cut(seed, |image, seed, unfinished| {
            let mut image = image.clone();
            for (offset, data) in unfinished {
                for (at, piece) in torn(seed, data) {
                    let offset = *offset + at as u64;
                    overwrite(&mut image.live, offset, piece);
                    image.unsynced.push((offset, piece.to_vec()));
                }
            }
            image
        })
    }

    /// Paths of all files.
    pub fn paths(&self) -> Vec<String> {
        self.state.borrow().names.keys().cloned().collect()
    }

    /// What a read of the whole file gives; empty when it is not there.
    pub fn contents(&self, path: &str) -> Vec<u8> {
        let state = self.state.borrow();
        let image = state.names.get(path).map(|image| image.borrow());
        image.map_or_else(Vec::new, |image| image.live.clone())
    }

    /// Rots, swaps, truncates: changes the bytes of a file behind everybody's back.
    pub fn edit(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(image) = self.state.borrow().names.get(path) {
            let mut image = image.borrow_mut();
            change(&mut image.live);
            image.durable = image.live.clone();
            image.unsynced.clear();
        }
    }

    /// Takes a file away behind everybody's back.
    pub fn lose(&self, path: &str) {
        self.state.borrow_mut().names.remove(path);
    }

    fn holding(names: Names, seed: Seed, faults: Faults) -> SimDisk {
        SimDisk {
            state: Rc::new(RefCell::new(State {
                seed,
                faults,
                names,
                queue: Vec::new(),
                writes: 0,
            })),
        }
    }

    fn cut(
        &self,
        seed: u64,
        image_after: impl Fn(&Image, &mut Seed, &[(u64, Vec<u8>)]) -> Image,
    ) -> SimDisk {
        let state = self.state.borrow();
        let mut seed = Seed::new(seed);
        let mut names = Names::new();
        for (path, image) in &state.names {
            let unfinished = state.unfinished(image);
            let after = image_after(&image.borrow(), &mut seed, &unfinished);
            names.insert(path.clone(), Rc::new(RefCell::new(after)));
        }
        for operation in &state.queue {
            if seed.chance(500) {
                change_names(&mut names, &operation.work);
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

impl State {
    fn finish(&mut self, work: Work) -> io::Result<Reply> {
        match work {
            Work::Open(path, mode) => self.open(path, mode),
            Work::Rename(..) => self.rename(&work),
            Work::Remove(..) => self.change_name(&work),
            Work::Map(path) => self.map(&path),
            Work::Write(image, offset, data) => self.write(&image, offset, &data),
            Work::Zero(image, from, to) => self.zero(&image, from, to),
            Work::Read(image, offset, bytes) => self.read(&image, offset, bytes),
        }
    }

    fn open(&mut self, path: String, mode: Mode) -> io::Result<Reply> {
        let image = match (self.names.get(&path), mode) {
            (Some(_), Mode::Create) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, Mode::Read | Mode::Write) => return Err(io::ErrorKind::NotFound.into()),
            (Some(image), _) => image.clone(),
            (None, Mode::Create) => self.names.entry(path).or_default().clone(),
        };
        if mode == Mode::Write && !self.faults.no_sync {
            let mut image = image.borrow_mut();
            image.durable = image.live.clone();
            image.unsynced.clear();
        }
        Ok(Reply::Opened(image))
    }

    fn rename(&mut self, work: &Work) -> io::Result<Reply> {
        let rate = self.faults.rename_error;
        if !self.seed.chance(rate) {
            return self.change_name(work);
        }
        if self.seed.chance(500) {
            change_names(&mut self.names, work);
        }
        Err(WriteFault::Full.error())
    }

    fn change_name(&mut self, work: &Work) -> io::Result<Reply> {
        match change_names(&mut self.names, work) {
            true => Ok(Reply::Done),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn write(&mut self, image: &RefCell<Image>, offset: u64, data: &[u8]) -> io::Result<Reply> {
        self.writes += 1;
        self.reserve(image, offset + data.len() as u64)?;
        if let Some(fault) = self.write_fault() {
            for (at, piece) in torn(&mut self.seed, data) {
                self.store(image, offset + at as u64, piece);
            }
            return Err(fault.error());
        }
        let (lost, astray) = (self.faults.lost_write, self.faults.misdirected_write);
        if self.seed.chance(lost) {
            return Ok(Reply::Done);
        }
        let blocks = image.borrow().live.len() as u64 / 4096;
        let offset = match self.seed.chance(astray) {
            true => self.seed.below(blocks) * 4096,
            false => offset,
        };
        self.store(image, offset, data);
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

    fn zero(&mut self, image: &RefCell<Image>, from: u64, to: u64) -> io::Result<Reply> {
        self.reserve(image, to)?;
        let rate = self.faults.zero_error;
        if self.seed.chance(rate) {
            return Err(WriteFault::Io.error());
        }
        self.store(image, from, &vec![0; (to - from) as usize]);
        Ok(Reply::Done)
    }

    fn read(&mut self, image: &RefCell<Image>, offset: u64, bytes: usize) -> io::Result<Reply> {
        let rate = self.faults.read_error;
        if self.seed.chance(rate) {
            return Err(WriteFault::Io.error());
        }
        let image = image.borrow();
        let rest = image.live.get(offset as usize..).unwrap_or_default();
        let found = rest.get(..bytes).unwrap_or(rest);
        Ok(Reply::Bytes(Block::copy_of(found)))
    }

    fn map(&mut self, path: &str) -> io::Result<Reply> {
        let image = self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = image.borrow().live.clone();
        let rate = self.faults.read_error;
        if self.seed.chance(rate) {
            return Err(WriteFault::Io.error());
        }
        let rate = self.faults.lost_page;
        for page in bytes.chunks_mut(BLOCK_BYTES) {
            if self.seed.chance(rate) {
                page.fill(0);
            }
        }
        Ok(Reply::Mapped(Map::of_memory(bytes.into_boxed_slice())))
    }

    /// ENOSPC when the file would grow over the space of the disk.
    fn reserve(&self, image: &RefCell<Image>, len: u64) -> io::Result<()> {
        let growth = len.saturating_sub(image.borrow().live.len() as u64);
        let images = self.names.values();
        let used: u64 = images.map(|image| image.borrow().live.len() as u64).sum();
        match self.faults.space {
            Some(space) if growth > 0 && used + growth > space => Err(WriteFault::Full.error()),
            _ => Ok(()),
        }
    }

    fn store(&self, image: &RefCell<Image>, offset: u64, data: &[u8]) {
        let mut image = image.borrow_mut();
        overwrite(&mut image.live, offset, data);
        if self.faults.no_sync {
            image.unsynced.push((offset, data.to_vec()));
        } else {
            overwrite(&mut image.durable, offset, data);
        }
    }

    fn unfinished(&self, of: &Rc<RefCell<Image>>) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        for operation in &self.queue {
            match &operation.work {
                Work::Write(image, offset, data) if Rc::ptr_eq(image, of) => {
                    found.push((*offset, data.clone()));
                }
                Work::Zero(image, from, to) if Rc::ptr_eq(image, of) => {
                    found.push((*from, vec![0; (to - from) as usize]));
                }
                _ => {}
            }
        }
        found
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
        let below = state
            .names
            .keys()
            .filter_map(|path| path.strip_prefix(&above));
        Ok(below.map(str::to_owned).collect())
    }

    /// Directories are only prefixes of names here.
    async fn create_directory(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let work = Work::Rename(from.to_owned(), to.to_owned());
        self.submit(work).await.map(drop)
    }

    async fn remove(&self, path: &str) -> io::Result<()> {
        self.submit(Work::Remove(path.to_owned())).await.map(drop)
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

impl File for SimFile {
    async fn write_at(&self, block: Rc<Block>, bytes: usize, offset: u64) -> io::Result<()> {
        let data = block
            .as_slice()
            .get(..bytes)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let aligned = offset.is_multiple_of(4096) && bytes.is_multiple_of(4096);
        assert!(aligned, "the log writes whole blocks");
        let work = Work::Write(self.image.clone(), offset, data.to_vec());
        self.disk.submit(work).await.map(drop)
    }

    async fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Block> {
        let work = Work::Read(self.image.clone(), offset, bytes);
        match self.disk.submit(work).await? {
            Reply::Bytes(block) => Ok(block),
            _ => unreachable!("a read is answered by bytes"),
        }
    }

    async fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        let aligned = from.is_multiple_of(4096) && to.is_multiple_of(4096);
        assert!(aligned, "the log zeroes whole blocks");
        let work = Work::Zero(self.image.clone(), from, to);
        self.disk.submit(work).await.map(drop)
    }

    async fn len(&self) -> io::Result<u64> {
        Ok(self.image.borrow().live.len() as u64)
    }
}

/// Applies an operation on names; `false` when its file is not there or it has none.
fn change_names(names: &mut Names, work: &Work) -> bool {
    match work {
        Work::Open(path, Mode::Create) => {
            names.entry(path.clone()).or_default();
            true
        }
        Work::Rename(from, to) => match names.remove(from) {
            Some(image) => {
                names.insert(to.clone(), image);
                true
            }
            None => false,
        },
        Work::Remove(path) => names.remove(path).is_some(),
        _ => false,
    }
}

fn overwrite(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + data.len());
    if bytes.len() < to {
        bytes.resize(to, 0);
    }
    if let Some(target) = bytes.get_mut(from..to) {
        target.copy_from_slice(data);
    }
}
