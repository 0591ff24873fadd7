//! Where it is measured: processor, memory, kernel, and what lies below a folder.
//!
//! A figure without these is worth nothing: a disk that keeps its write cache through a power cut,
//! or a mount without barriers, makes every durable server look faster than it is. What the kernel
//! does not tell is left out, never guessed.

use crate::outcome::Machine;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The machine, with the disk of the folder that the server writes to.
pub(crate) fn machine(folder: Option<&Path>) -> Machine {
    Machine {
        processor: processor(&text("/proc/cpuinfo")),
        cores: std::thread::available_parallelism().map_or(1, |count| count.get() as u32),
        memory_bytes: memory_bytes(&text("/proc/meminfo")),
        kernel: format!("Linux {}", text("/proc/sys/kernel/osrelease").trim()),
        disk: folder.map_or_else(String::new, disk),
    }
}

/// `ext4 on vda (write-back cache, no FUA), nobarrier`.
pub(crate) fn disk(folder: &Path) -> String {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    let Some(mount) = mount_of(&text("/proc/self/mountinfo"), &folder) else {
        return String::new();
    };
    let device = mount
        .device()
        .map(|number| Device::at(Path::new("/sys"), number));
    mount.told(device.flatten().as_ref())
}

/// Where the kernel counts what the device below a folder does; partitions count for themselves.
pub(crate) fn device_counters(folder: &Path) -> Option<PathBuf> {
    let folder = fs::canonicalize(folder).ok()?;
    let mount = mount_of(&text("/proc/self/mountinfo"), &folder)?;
    let path = PathBuf::from(format!("/sys/dev/block/{}/stat", mount.device()?));
    path.exists().then_some(path)
}

/// One line of mountinfo.
#[derive(PartialEq, Eq, Debug)]
struct Mount {
    /// Major and minor number of what is mounted; of no device for btrfs, overlay and tmpfs.
    number: String,
    kind: String,
    source: String,
    /// Those that matter for durability or speed.
    options: Vec<String>,
}

impl Mount {
    /// Number of the block device, also where the file system hides it behind one of its own.
    fn device(&self) -> Option<String> {
        if !self.number.starts_with("0:") {
            return Some(self.number.clone());
        }
        let number = fs::metadata(&self.source).ok()?.rdev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        (self.source.starts_with("/dev/")).then(|| format!("{major}:{minor}"))
    }

    fn told(&self, device: Option<&Device>) -> String {
        let mut told = match (device, self.kind.as_str()) {
            (Some(device), kind) => format!("{kind} on {}", device.told()),
            (None, "tmpfs" | "ramfs") => format!("{} (memory, nothing survives)", self.kind),
            (None, kind) => format!("{kind} on {}", self.source),
        };
        for option in &self.options {
            told.push_str(", ");
            told.push_str(option);
        }
        told
    }
}

/// What sysfs says of a block device.
#[derive(Default)]
struct Device {
    name: String,
    model: String,
    write_cache: String,
    has_fua: Option<bool>,
    is_rotational: bool,
}

impl Device {
    /// A partition is told as its disk.
    fn at(sys: &Path, number: String) -> Option<Device> {
        let mut folder = fs::canonicalize(sys.join("dev/block").join(number)).ok()?;
        if folder.join("partition").exists() {
            folder.pop();
        }
        let read = |name: &str| text(folder.join(name)).trim().to_string();
        Some(Device {
            name: folder.file_name()?.to_str()?.to_string(),
            model: read("device/model"),
            write_cache: read("queue/write_cache"),
            has_fua: read("queue/fua").parse().ok().map(|fua: u32| fua != 0),
            is_rotational: read("queue/rotational") == "1",
        })
    }

    fn told(&self) -> String {
        let cache = match self.write_cache.as_str() {
            "write back" => "write-back cache",
            "write through" => "write-through",
            _ => "",
        };
        let fua = match self.has_fua {
            Some(true) => "FUA",
            Some(false) => "no FUA",
            None => "",
        };
        // virtio says so of every disk, unless its host knows better.
        let is_known = !self.name.starts_with("vd");
        let turns = if self.is_rotational && is_known {
            "rotational"
        } else {
            ""
        };
        let facts = [self.model.as_str(), cache, fua, turns];
        let facts: Vec<&str> = facts.into_iter().filter(|fact| !fact.is_empty()).collect();
        if facts.is_empty() {
            return self.name.clone();
        }
        format!("{} ({})", self.name, facts.join(", "))
    }
}

/// The mount that holds the folder: the longest mount point, of equal ones the last.
fn mount_of(mountinfo: &str, folder: &Path) -> Option<Mount> {
    let holds = |line: &&str| {
        let point = line.split(' ').nth(4).map(unescaped);
        point.is_some_and(|point| folder.starts_with(point))
    };
    let length = |line: &&str| {
        line.split(' ')
            .nth(4)
            .map_or(0, |point| unescaped(point).len())
    };
    parsed(mountinfo.lines().filter(holds).max_by_key(length)?)
}

/// proc(5): `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`.
fn parsed(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let number = left.next()?.to_string();
    let own = left.nth(2)?;
    let mut right = right.split(' ');
    let (kind, source) = (right.next()?.to_string(), unescaped(right.next()?));
    let both = own.split(',').chain(right.next().unwrap_or("").split(','));
    let mut options: Vec<String> = Vec::new();
    for option in both.filter(|option| matters(option)) {
        if !options.iter().any(|known| known == option) {
            options.push(option.to_string());
        }
    }
    Some(Mount {
        number,
        kind,
        source,
        options,
    })
}

/// Whether a mount option changes what `fsync` promises or what it costs.
fn matters(option: &str) -> bool {
    let name = option.split_once('=').map_or(option, |(name, _)| name);
    WEIGHTY.contains(&name)
}

/// mountinfo writes blanks as octal.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t")
}

fn processor(cpuinfo: &str) -> String {
    let named = cpuinfo.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_string())
    });
    named.unwrap_or_else(|| std::env::consts::ARCH.to_string())
}

fn memory_bytes(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// What cannot be read says nothing.
fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

const WEIGHTY: [&str; 12] = [
    "nobarrier",
    "barrier",
    "data",
    "journal_async_commit",
    "commit",
    "sync",
    "dirsync",
    "discard",
    "compress",
    "nodatacow",
    "logbsize",
    "volatile",
];

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard,nobarrier,resuid=65534
23 22 0:21 / /dev/shm rw,nosuid shared:2 - tmpfs tmpfs rw,size=24684084k
24 22 8:17 / /srv/with\\040blank rw,noatime - xfs /dev/sdb1 rw,logbsize=256k
25 22 0:44 /@ /home rw,sync - btrfs /dev/sdc rw,compress=zstd:3,sync
";

    fn told(folder: &str) -> String {
        mount_of(MOUNTS, Path::new(folder)).unwrap().told(None)
    }

    #[test]
    fn the_deepest_mount_counts_and_options_that_matter_are_told() {
        assert_eq!(told("/var/mail"), "ext4 on /dev/vda, discard, nobarrier");
        assert_eq!(told("/dev/shm/a"), "tmpfs (memory, nothing survives)");
        assert_eq!(told("/srv/with blank"), "xfs on /dev/sdb1, logbsize=256k");
        assert_eq!(told("/home"), "btrfs on /dev/sdc, sync, compress=zstd:3");
        assert_eq!(told("/dev/shmx"), "ext4 on /dev/vda, discard, nobarrier");
        assert_eq!(mount_of("nonsense", Path::new("/")), None);
    }

    #[test]
    fn a_partition_is_told_as_its_disk() {
        let sys = tempfile::tempdir().unwrap();
        let disk = sys.path().join("devices/sdb");
        fs::create_dir_all(disk.join("queue")).unwrap();
        fs::create_dir_all(disk.join("sdb1")).unwrap();
        fs::create_dir_all(sys.path().join("dev/block")).unwrap();
        for (name, value) in [
            ("sdb1/partition", "1\n"),
            ("queue/write_cache", "write back\n"),
            ("queue/fua", "0\n"),
            ("queue/rotational", "1\n"),
        ] {
            fs::write(disk.join(name), value).unwrap();
        }
        let link = sys.path().join("dev/block/8:17");
        std::os::unix::fs::symlink(disk.join("sdb1"), link).unwrap();
        let device = Device::at(sys.path(), "8:17".to_string()).unwrap();
        assert_eq!(device.told(), "sdb (write-back cache, no FUA, rotational)");
        assert!(Device::at(sys.path(), "8:18".to_string()).is_none());
    }

    #[test]
    fn processor_and_memory_are_read_or_left_out() {
        let text = "processor\t: 0\nmodel name\t: Fast 9000\nprocessor\t: 1\n";
        assert_eq!(processor(text), "Fast 9000");
        assert_eq!(processor(""), std::env::consts::ARCH);
        assert_eq!(
            memory_bytes("MemTotal:     2048 kB\nMemFree: 1 kB\n"),
            2 << 20
        );
        assert_eq!(memory_bytes(""), 0);
    }

    #[test]
    fn this_machine_is_told() {
        let here = machine(Some(Path::new("/")));
        assert!(here.cores > 0 && here.memory_bytes > 0 && here.kernel.len() > "Linux ".len());
        assert!(!here.disk.is_empty());
    }
}
