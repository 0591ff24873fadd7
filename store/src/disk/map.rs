//! A whole immutable file as memory, whose unreadable pages read as zeros instead of killing us.
//!
//! Nothing that is mapped is ever truncated or written by us. What others do to the file, and
//! sectors that have died, the kernel reports as SIGBUS at the touch of the page. The handler here
//! puts a page of zeros there and counts it, so that the checksum above finds the damage like any
//! other; a SIGBUS elsewhere ends the process as if there were no handler. System calls that are
//! given such memory answer `EFAULT` and need none of this.
//!
//! Bytes may change between two looks: a page is dropped from memory, rots, and is read again. So
//! whoever parses them checks first, and must not panic even then.

#![allow(unsafe_code)]

use memmap2::{Advice, Mmap, UncheckedAdvice};
use std::fmt;
use std::fs::File;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::ops::{Deref, Range};
use std::path::Path;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};

/// Files that may be mapped at one time, in the whole process.
pub const MAPS_MAX: usize = 16_384;

/// The content of a file; clones are cheap and share it.
#[derive(Clone)]
pub struct Map(Arc<Content>);

enum Content {
    File(Mapped),
    Memory(Box<[u8]>),
}

struct Mapped {
    /// Dropped first: the handler never knows of memory that is no longer mapped.
    _known: Known,
    memory: Mmap,
}

impl Map {
    /// Maps the file at `path`. Blocks for as long as opening it takes, not for its content.
    pub fn of_file(path: &Path) -> io::Result<Map> {
        install_handler()?;
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Map::of_memory(Box::default()));
        }
        // SAFETY: the file is one that nobody writes or truncates while it has its name: the
        // caller's promise, kept by the rooms that make such files. If it is broken all the same,
        // the handler stands in for pages that are gone.
        let memory = unsafe { Mmap::map(&file)? };
        let from = memory.as_ptr().expose_provenance();
        let known = Known::new(from, from + memory.len())?;
        Ok(Map(Arc::new(Content::File(Mapped {
            _known: known,
            memory,
        }))))
    }

    /// For disks that have no files.
    #[must_use]
    pub fn of_memory(bytes: Box<[u8]>) -> Map {
        Map(Arc::new(Content::Memory(bytes)))
    }

    /// Reads `range` from the device in large pieces before it is used; blocks. What cannot be read
    /// is found at its first use.
    pub fn populate(&self, range: Range<usize>) {
        let advise = |mapped: &Mapped, from, len| {
            let populated = mapped.memory.advise_range(Advice::PopulateRead, from, len);
            populated.or_else(|_| mapped.memory.advise_range(Advice::WillNeed, from, len))
        };
        self.advise(range, advise);
    }

    /// Takes `range` out of this process's memory; the kernel's cache keeps it as long as it likes.
    pub fn forget(&self, range: Range<usize>) {
        let advise = |mapped: &Mapped, from, len| {
            let advice = UncheckedAdvice::DontNeed;
            // SAFETY: the mapping is shared and read-only, so the next look finds the bytes of the
            // file again, or zeros where the handler had put them.
            unsafe { mapped.memory.unchecked_advise_range(advice, from, len) }
        };
        self.advise(range, advise);
    }

    /// Advice is not obedience: a kernel that does not know it changes nothing.
    fn advise(
        &self,
        range: Range<usize>,
        advise: impl FnOnce(&Mapped, usize, usize) -> io::Result<()>,
    ) {
        let end = range.end.min(self.len());
        if let (Content::File(mapped), Some(len)) = (&*self.0, end.checked_sub(range.start)) {
            drop(advise(mapped, range.start, len));
        }
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &*self.0 {
            Content::File(mapped) => &mapped.memory,
            Content::Memory(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({} bytes)", self.len())
    }
}

/// Pages of mapped files that could not be read since the process began.
#[must_use]
pub fn lost_pages() -> u64 {
    LOST_PAGES.load(Relaxed)
}

/// A range of addresses that the handler knows.
struct Known(&'static Slot);

/// `from` is 0 while the slot is free, `end` 0 while it is not filled.
struct Slot {
    from: AtomicUsize,
    end: AtomicUsize,
}

impl Known {
    fn new(from: usize, end: usize) -> io::Result<Known> {
        let slot = SLOTS
            .iter()
            .find(|slot| slot.claim(from))
            .ok_or_else(|| io::Error::other("too many files are mapped (MAPS_MAX)"))?;
        slot.end.store(end, Release);
        Ok(Known(slot))
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        self.0.end.store(0, Release);
        self.0.from.store(0, Release);
    }
}

impl Slot {
    fn claim(&self, from: usize) -> bool {
        self.from.load(Relaxed) == 0 && self.from.compare_exchange(0, from, AcqRel, Relaxed).is_ok()
    }

    /// The second look at `from` sees a slot that changed hands between the two loads. The slot of
    /// the address that faults cannot: whoever reads there holds the map.
    fn holds(&self, address: usize) -> bool {
        let from = self.from.load(Acquire);
        let end = self.end.load(Acquire);
        (from..end).contains(&address) && self.from.load(Acquire) == from
    }
}

/// A signal handler can be given nothing, so what it needs is global: the maps of the process, the
/// size of a page, and what it counts.
static SLOTS: [Slot; MAPS_MAX] = [const {
    Slot {
        from: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
    }
}; MAPS_MAX];
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(0);
static LOST_PAGES: AtomicU64 = AtomicU64::new(0);
static IS_INSTALLED: Mutex<bool> = Mutex::new(false);

fn install_handler() -> io::Result<()> {
    let mut is_installed = IS_INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *is_installed {
        return Ok(());
    }
    // SAFETY: a plain question.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(page).map_err(|_| io::Error::last_os_error())?;
    PAGE_BYTES.store(page, Release);
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_bus_error;
    // SAFETY: all zero is a valid `sigaction`: no flags, an empty mask, the default action.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: `action` is initialised, and its handler calls async-signal-safe functions only.
    if unsafe { libc::sigaction(libc::SIGBUS, &raw const action, null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    *is_installed = true;
    Ok(())
}

extern "C" fn on_bus_error(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `info` (SA_SIGINFO). A fault has a positive code, and with
    // it an address; a signal that a process sent has not.
    let address = unsafe {
        let info = &*info;
        (info.si_code > 0).then(|| info.si_addr().addr())
    };
    let is_ours = address.filter(|address| SLOTS.iter().any(|slot| slot.holds(*address)));
    if !is_ours.is_some_and(put_zeros) {
        die_of(signal);
    }
}

/// Puts a page of zeros over the page at `address`, which lies in a map; the read goes on there.
fn put_zeros(address: usize) -> bool {
    let bytes = PAGE_BYTES.load(Acquire);
    let page = with_exposed_provenance_mut(address & !(bytes - 1));
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the page belongs to a live read-only map of ours, and reading it has just failed, so
    // nobody loses bytes that were there. `mmap` and `errno` are bare system calls on Linux; the
    // interrupted code must find its own `errno` again.
    let placed = unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        let placed = libc::mmap(page, bytes, libc::PROT_READ, flags, -1, 0);
        *errno = before;
        placed
    };
    LOST_PAGES.fetch_add(1, Relaxed);
    placed != libc::MAP_FAILED
}

/// Leaves the signal to its default action: the process ends as soon as the handler returns.
fn die_of(signal: libc::c_int) {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zero is valid and means the default action; both calls are async-signal-safe.
    unsafe {
        (*action.as_mut_ptr()).sa_sigaction = libc::SIG_DFL;
        libc::sigaction(signal, action.as_ptr(), null_mut());
        libc::raise(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const PAGE: usize = 4096;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn a_map_is_the_file_and_outlives_its_name() {
        let bytes: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        let file = file(&bytes);
        let map = Map::of_file(file.path()).unwrap();
        drop(file);
        let clone = map.clone();
        drop(map);
        clone.populate(0..clone.len());
        clone.forget(4000..usize::MAX);
        assert_eq!(&clone[..], bytes);
        assert!(Map::of_file(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn an_empty_file_is_an_empty_map() {
        assert!(Map::of_file(file(b"").path()).unwrap().is_empty());
    }

    #[test]
    fn pages_that_are_gone_read_as_zeros() {
        let file = file(&[7; 3 * PAGE]);
        let map = Map::of_file(file.path()).unwrap();
        file.as_file().set_len(PAGE as u64).unwrap();
        let before = lost_pages();
        assert_eq!(&map[..PAGE], [7; PAGE]);
        assert_eq!(&map[PAGE..], [0; 2 * PAGE]);
        assert!(lost_pages() >= before + 2);
        map.populate(0..3 * PAGE);
        map.forget(0..3 * PAGE);
        assert_eq!(&map[PAGE..], [0; 2 * PAGE]);
    }

    #[test]
    fn a_slot_is_free_again_when_its_map_is_dropped() {
        let file = file(&[7; PAGE]);
        for _ in 0..=MAPS_MAX {
            drop(Map::of_file(file.path()).unwrap());
        }
    }

    #[test]
    fn a_bus_error_that_is_not_ours_still_kills() {
        const CHILD: &str = "RINGPOST_TEST_BUS_ERROR";
        if let Some(path) = std::env::var_os(CHILD) {
            let _ours = Map::of_file(Path::new(&path)).unwrap();
            let file = File::options().read(true).write(true).open(path).unwrap();
            // SAFETY: the truncation below is what the test is about.
            let stranger = unsafe { Mmap::map(&file).unwrap() };
            file.set_len(0).unwrap();
            std::process::exit(i32::from(stranger[PAGE]));
        }
        let test = "disk::map::tests::a_bus_error_that_is_not_ours_still_kills";
        let file = file(&[7; 2 * PAGE]);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(CHILD, file.path())
            .output()
            .unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
    }
}
