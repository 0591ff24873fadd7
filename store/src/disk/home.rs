//! The directory of a store: who it is, how many shards it has, and that one process has it open.
//!
//! ```text
//! DATA/store      identity, text: format, uuid, shards, and whether all of these have begun
//! DATA/secret     32 random octets, for salts that strangers must not foresee
//! DATA/lock       locked by the process that has the store open
//! DATA/shard-00/  the first shard; its log lies in log/
//! ```

use crate::limit::SHARDS_MAX;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The format of the directory that this build writes.
pub const FORMAT: u32 = 1;

/// A store that this process has open.
#[derive(Debug)]
pub struct Home {
    pub path: PathBuf,
    pub identity: Identity,
    _lock: File,
}

/// What is written once, when the store is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    pub uuid: [u8; 16],
    /// Logs that the store has. It stays, whatever number of cores there is later.
    pub shards: u16,
}

/// Why a directory cannot be opened as a store; each says what to do.
#[derive(Debug)]
pub enum HomeError {
    /// Another process has it open.
    InUse(PathBuf),
    /// It holds something else, or a store of another format.
    Unknown(PathBuf, String),
    /// Shards that had begun, and of which no log is there: their disk is not mounted, or lost.
    Missing(PathBuf, Vec<u16>),
    Io(PathBuf, io::Error),
}

impl Home {
    /// Opens the store in `path`; where nothing is there yet, makes one with `shards` shards.
    pub fn open(path: &Path, shards: u16) -> Result<Home, HomeError> {
        assert!(
            shards > 0 && usize::from(shards) <= SHARDS_MAX,
            "the caller knows SHARDS_MAX"
        );
        let io = |error| HomeError::Io(path.to_owned(), error);
        fs::create_dir_all(path).map_err(io)?;
        let lock = lock(path)?;
        let file = path.join(IDENTITY);
        if !file.exists() {
            refuse_strangers(path)?;
            let mut uuid = [0; 16];
            random(&mut uuid).map_err(io)?;
            write_identity(path, &Identity { uuid, shards }, false).map_err(io)?;
        }
        let identity = read_identity(&file)?;
        let missing = missing_shards(path)?;
        if !missing.is_empty() {
            return Err(HomeError::Missing(path.to_owned(), missing));
        }
        Ok(Home {
            path: path.to_owned(),
            identity,
            _lock: lock,
        })
    }

    /// Makes a store of shards that were put into `path`: from now on it can be opened.
    pub fn found(path: &Path, identity: &Identity) -> Result<(), HomeError> {
        write_identity(path, identity, false).map_err(|e| HomeError::Io(path.to_owned(), e))
    }

    /// All shards have a log: from now on one without is missed.
    pub fn note_begun(&self) -> Result<(), HomeError> {
        if begun(&self.path.join(IDENTITY))? == Some(true) {
            return Ok(());
        }
        write_identity(&self.path, &self.identity, true)
            .map_err(|error| HomeError::Io(self.path.clone(), error))
    }

    /// Who the store in `path` is, whether it is open elsewhere or not.
    pub fn identify(path: &Path) -> Result<Identity, HomeError> {
        match path.join(IDENTITY) {
            file if file.exists() => read_identity(&file),
            _ => Err(HomeError::Unknown(path.to_owned(), NO_STORE.to_owned())),
        }
    }

    /// 32 random octets that only this store has, made once; they outlive restarts.
    pub fn secret(&self) -> Result<[u8; 32], HomeError> {
        let file = self.path.join(SECRET);
        let io = |error| HomeError::Io(file.clone(), error);
        match fs::read(&file) {
            Ok(octets) => octets.try_into().map_err(|_| {
                let why = "it is not 32 octets long; remove it, and a new one is made".to_owned();
                HomeError::Unknown(file.clone(), why)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut secret = [0; 32];
                random(&mut secret)
                    .and_then(|()| write_secret(&file, &secret))
                    .map_err(io)?;
                Ok(secret)
            }
            Err(error) => Err(io(error)),
        }
    }

    /// Opens a store that must be there.
    pub fn existing(path: &Path) -> Result<Home, HomeError> {
        if !path.join(IDENTITY).exists() {
            return Err(HomeError::Unknown(path.to_owned(), NO_STORE.to_owned()));
        }
        Home::open(path, 1)
    }
}

/// A store that is only looked at: it may lie in a directory that cannot be written to.
#[derive(Debug)]
pub struct Seen {
    pub path: PathBuf,
    pub identity: Identity,
    /// Keeps servers out where the lock is there.
    _lock: Option<File>,
}

impl Seen {
    /// Looks at a store that must be there, and that no other process has open. Changes nothing.
    pub fn open(path: &Path) -> Result<Seen, HomeError> {
        let io = |error| HomeError::Io(path.to_owned(), error);
        if !path.join(IDENTITY).exists() {
            fs::read_dir(path).map_err(io)?;
            refuse_strangers(path)?;
            let why = "there is no store here; is it the right directory?".to_owned();
            return Err(HomeError::Unknown(path.to_owned(), why));
        }
        let lock = match File::open(path.join(LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.map_err(io)?),
        };
        match lock.as_ref().map(File::try_lock) {
            Some(Err(TryLockError::WouldBlock)) => return Err(HomeError::InUse(path.to_owned())),
            Some(Err(TryLockError::Error(error))) => return Err(io(error)),
            None | Some(Ok(())) => {}
        }
        Ok(Seen {
            path: path.to_owned(),
            identity: read_identity(&path.join(IDENTITY))?,
            _lock: lock,
        })
    }
}

/// The directory of a shard below the store's directory.
#[must_use]
pub fn shard_directory(shard: u16) -> String {
    format!("shard-{shard:02}")
}

fn lock(path: &Path) -> Result<File, HomeError> {
    let io = |error| HomeError::Io(path.to_owned(), error);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK))
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HomeError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// A directory with other things in it was hardly meant.
fn refuse_strangers(path: &Path) -> Result<(), HomeError> {
    let entries = fs::read_dir(path).map_err(|error| HomeError::Io(path.to_owned(), error))?;
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if name.to_str().is_none_or(|name| name.starts_with("shard-")) {
            let why = "it has shards, but its file `store` is missing; restore it from a backup";
            return Err(HomeError::Unknown(path.to_owned(), why.to_owned()));
        }
    }
    Ok(())
}

fn write_identity(path: &Path, identity: &Identity, has_begun: bool) -> io::Result<()> {
    let Identity { uuid, shards } = identity;
    let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = path.join("store.draft");
    let mut file = File::create(&draft)?;
    write!(
        file,
        "ringpost store\nformat {FORMAT}\nuuid {hex}\nshards {shards}\nbegun {}\n",
        if has_begun { YES } else { NO }
    )?;
    file.sync_all()?;
    fs::rename(&draft, path.join(IDENTITY))?;
    File::open(path)?.sync_all()
}

fn write_secret(file: &Path, secret: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    let mut file = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(secret)?;
    file.sync_all()
}

fn random(octets: &mut [u8]) -> io::Result<()> {
    getrandom::fill(octets).map_err(|_| io::Error::other("the kernel gives no randomness"))
}

/// Reads the identity of a store, without a look at anything else.
pub fn read_identity(file: &Path) -> Result<Identity, HomeError> {
    let text = fs::read_to_string(file).map_err(|e| HomeError::Io(file.to_owned(), e))?;
    let unknown = |why: &str| HomeError::Unknown(file.to_owned(), why.to_owned());
    let mut lines = text.lines();
    if lines.next() != Some("ringpost store") {
        return Err(unknown("the file does not describe a Ringpost store"));
    }
    let mut field = |name: &str| {
        let line = lines
            .next()
            .and_then(|line| line.strip_prefix(name))
            .map(str::trim);
        line.ok_or_else(|| unknown(&format!("the line \"{name} …\" is missing")))
    };
    let format = field("format")?;
    if format != FORMAT.to_string() {
        let why = format!(
            "the store has format {format}, this build reads {FORMAT}; use the build that made it"
        );
        return Err(unknown(&why));
    }
    let uuid =
        parse_uuid(field("uuid")?).ok_or_else(|| unknown("the uuid is not 32 hex digits"))?;
    let shards = field("shards")?
        .parse()
        .ok()
        .filter(|n| (1..=SHARDS_MAX).contains(n));
    let shards = shards.ok_or_else(|| unknown("the number of shards makes no sense"))?;
    Ok(Identity {
        uuid,
        shards: shards as u16,
    })
}

/// Whether all shards have begun; `None` for a store of which an older build has not said so.
pub fn has_begun(data: &Path) -> Result<Option<bool>, HomeError> {
    begun(&data.join(IDENTITY))
}

fn begun(file: &Path) -> Result<Option<bool>, HomeError> {
    let text = fs::read_to_string(file).map_err(|e| HomeError::Io(file.to_owned(), e))?;
    let answer = text.lines().find_map(|line| line.strip_prefix("begun "));
    match answer.map(str::trim) {
        None => Ok(None),
        Some(YES) => Ok(Some(true)),
        Some(NO) => Ok(Some(false)),
        Some(_) => {
            let why = "the line \"begun …\" says neither yes nor no".to_owned();
            Err(HomeError::Unknown(file.to_owned(), why))
        }
    }
}

/// Shards of the store in `data` that had begun, and of which no segment of the log is there.
pub fn missing_shards(data: &Path) -> Result<Vec<u16>, HomeError> {
    let file = data.join(IDENTITY);
    if begun(&file)? != Some(true) {
        return Ok(Vec::new());
    }
    let has_log = |shard: u16| {
        let log = data.join(shard_directory(shard)).join("log");
        fs::read_dir(log).is_ok_and(|entries| entries.flatten().any(|entry| is_segment(&entry)))
    };
    let shards = 0..read_identity(&file)?.shards;
    Ok(shards.filter(|shard| !has_log(*shard)).collect())
}

fn is_segment(entry: &fs::DirEntry) -> bool {
    Path::new(&entry.file_name())
        .extension()
        .is_some_and(|extension| extension == "log")
}

fn parse_uuid(hex: &str) -> Option<[u8; 16]> {
    let mut uuid = [0; 16];
    if hex.len() != 32 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in uuid.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(uuid)
}

impl fmt::Display for HomeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HomeError::InUse(path) => write!(
                f,
                "{} is in use by another process; stop that one, or give --data another directory",
                path.display()
            ),
            HomeError::Unknown(path, why) => write!(f, "{}: {why}", path.display()),
            HomeError::Missing(path, shards) => {
                let names: Vec<String> = shards.iter().map(|one| shard_directory(*one)).collect();
                write!(
                    f,
                    "{}: the log of {} is not there, though the store had it; mount its disk, or \
                     restore a backup. To begin it anew without its mail, remove the line \"begun \
                     yes\" from {}",
                    path.display(),
                    names.join(", "),
                    path.join(IDENTITY).display()
                )
            }
            HomeError::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for HomeError {}

const IDENTITY: &str = "store";
const YES: &str = "yes";
const NO: &str = "no";
const LOCK: &str = "lock";
const SECRET: &str = "secret";
const NO_STORE: &str = "there is no store; start ringpost once to make one";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_identity_and_lets_one_in() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path(), 3).unwrap();
        assert!(matches!(
            Home::open(directory.path(), 3),
            Err(HomeError::InUse(_))
        ));
        let identity = home.identity;
        drop(home);
        // The number of shards is decided once.
        assert_eq!(Home::open(directory.path(), 5).unwrap().identity, identity);
    }

    #[test]
    fn a_shard_that_had_begun_is_missed() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Home::open(directory.path(), 2);
        let log = |shard| directory.path().join(shard_directory(shard)).join("log");
        drop(open().unwrap());
        assert_eq!(has_begun(directory.path()).unwrap(), Some(false));
        for shard in 0..2 {
            fs::create_dir_all(log(shard)).unwrap();
            fs::write(log(shard).join("0000000000000001.log"), []).unwrap();
        }
        open().unwrap().note_begun().unwrap();
        drop(open().unwrap());
        // A mount point without its disk.
        fs::remove_dir_all(log(1)).unwrap();
        let refused = open().unwrap_err();
        assert!(matches!(&refused, HomeError::Missing(_, shards) if *shards == [1]));
        assert!(refused.to_string().contains("the log of shard-01"));
        // An older build wrote nothing of it.
        let file = directory.path().join(IDENTITY);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("begun yes\n", "")).unwrap();
        assert_eq!(has_begun(directory.path()).unwrap(), None);
        open().unwrap();
    }

    #[test]
    fn a_look_leaves_no_trace() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Seen::open(directory.path()).is_err());
        assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
        let home = Home::open(directory.path(), 3).unwrap();
        let identity = home.identity;
        assert!(matches!(
            Seen::open(directory.path()),
            Err(HomeError::InUse(_))
        ));
        drop(home);
        fs::remove_file(directory.path().join(LOCK)).unwrap();
        assert_eq!(Seen::open(directory.path()).unwrap().identity, identity);
        assert!(!directory.path().join(LOCK).exists());
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(IDENTITY);
        let unknown = |text: &str| {
            fs::write(&file, text).unwrap();
            Home::open(directory.path(), 1).unwrap_err().to_string()
        };
        assert!(unknown("hello\n").contains("does not describe"));
        assert!(unknown("ringpost store\nformat 9\n").contains("has format 9"));
        assert!(unknown("ringpost store\nformat 1\nuuid 12\n").contains("32 hex digits"));
        fs::remove_file(&file).unwrap();
        fs::create_dir(directory.path().join("shard-00")).unwrap();
        assert!(Home::open(directory.path(), 1).is_err());
    }
}
