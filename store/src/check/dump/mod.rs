//! Any file of a shard, or one record, in lines that a person can read.
//!
//! What is damaged is said where it stands, and the dump goes on as far as anything can be read:
//! it never ends early and never panics, whatever the bytes are.

mod containers;
mod fact;
mod index;
mod line;
mod memos;
mod segments;

pub use line::Line;

use super::Owner;
use crate::disk::{Disk, File, Mode};
use crate::limit::{BLOCK_BYTES, MANIFEST_BYTES_MAX};
use crate::log::scan;
use crate::log::{BLOCK_RECORDS_MAX, CONTAINERS_MAX, PACK_BLOCKS_MAX, Place};
use crate::table::manifest::Manifest;
use crate::table::name;
use std::str::FromStr;

/// What is dumped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    Manifest,
    Segment(u32),
    Run(u32),
    /// Chunk and generation.
    Locations(u32, u32),
    Pack(u32),
    Archive(u32),
    Record(Place),
}

/// Where the lines go.
pub type Sink<'a> = &'a mut dyn FnMut(Line);

/// Dumps something of a shard.
pub async fn dump<D: Disk>(disk: &D, owner: &Owner, what: &What, sink: Sink<'_>) {
    let mut dump = Dump { disk, owner, sink };
    match what {
        What::Manifest => dump.manifest().await,
        What::Segment(number) => dump.segment(*number).await,
        What::Run(number) => dump.run(*number).await,
        What::Locations(chunk, generation) => dump.locations(*chunk, *generation).await,
        What::Pack(number) => {
            let path = name::pack(&owner.directory, *number);
            dump.container(&path, *number).await;
        }
        What::Archive(number) => {
            let path = name::archive(&owner.directory, *number);
            dump.container(&path, *number).await;
        }
        What::Record(place) => dump.record(*place).await,
    }
}

/// The files of a shard that can be dumped, by what they are.
pub async fn files<D: Disk>(disk: &D, owner: &Owner, sink: Sink<'_>) {
    for below in ["log", name::INDEX, name::PACKS, name::ARCHIVE] {
        let directory = format!("{}/{below}", owner.directory);
        let mut names = disk.list(&directory).await.unwrap_or_default();
        names.sort_unstable();
        for name in names {
            let path = format!("{directory}/{name}");
            let bytes = super::length(disk, &path).await;
            sink(Line::new("file").with("path", path).with("bytes", bytes));
        }
    }
}

struct Dump<'a, D> {
    disk: &'a D,
    owner: &'a Owner,
    sink: Sink<'a>,
}

impl<D: Disk> Dump<'_, D> {
    fn say(&mut self, line: Line) {
        (self.sink)(line);
    }

    fn damage(&mut self, file: &str, what: impl ToString) {
        let line = Line::new("damage").with("file", file);
        self.say(line.with("what", what.to_string()));
    }

    /// The text as it is, whether or not it is valid.
    async fn manifest(&mut self) {
        let path = format!("{}/MANIFEST", self.owner.directory);
        match self.bytes(&path, 0, MANIFEST_BYTES_MAX).await {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                for text in text.lines().filter(|line| !line.is_empty()) {
                    let printable = text.chars().flat_map(char::escape_debug);
                    self.say(Line::new("line").with("text", printable.collect::<String>()));
                }
            }
            Err(error) => return self.damage(&path, error),
        }
        let owner = self.owner;
        let read = Manifest::read(self.disk, &owner.directory, owner.store, owner.shard).await;
        if let Err(error) = read {
            self.damage(&path, error);
        }
    }

    async fn bytes(&self, path: &str, from: u64, bytes: usize) -> std::io::Result<Vec<u8>> {
        let file = self.disk.open(path, Mode::Read).await?;
        let length = file.len().await?.saturating_sub(from);
        let bytes = bytes.min(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(file.read_at(from, bytes).await?.as_slice().to_vec())
    }

    /// The first block of a file, shorter where that is.
    async fn head(&self, path: &str) -> std::io::Result<Vec<u8>> {
        self.bytes(path, 0, BLOCK_BYTES).await
    }

    fn log_directory(&self) -> String {
        format!("{}/log", self.owner.directory)
    }

    async fn record(&mut self, place: Place) {
        match place.packed() {
            Some((pack, block, record)) => self.packed(pack, block, record).await,
            None => self.logged(place).await,
        }
    }
}

impl FromStr for What {
    type Err = String;

    /// `manifest`, a file's name with or without directories, or a place.
    fn from_str(text: &str) -> Result<What, String> {
        let unknown = || {
            format!(
                "{text}: give MANIFEST, a file below the shard as log/{:016x}.log, \
                 SEGMENT:OFFSET or PACK:BLOCK:RECORD",
                1
            )
        };
        if text.eq_ignore_ascii_case("manifest") || text.ends_with("/MANIFEST") {
            return Ok(What::Manifest);
        }
        if text.contains(':') {
            return place(text).map(What::Record).ok_or_else(unknown);
        }
        file(text).ok_or_else(unknown)
    }
}

fn file(text: &str) -> Option<What> {
    let (directory, name) = text.rsplit_once('/').unwrap_or(("", text));
    let (stem, kind) = name.rsplit_once('.')?;
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    match kind {
        "log" => Some(What::Segment(hex(stem)?)).filter(|_| hex(stem) < Some(CONTAINERS_MAX)),
        "run" => Some(What::Run(hex(stem)?)),
        "loc" => {
            let (chunk, generation) = stem.split_once('.')?;
            Some(What::Locations(hex(chunk)?, hex(generation)?))
        }
        "pack" if hex(stem) >= Some(CONTAINERS_MAX) => None,
        "pack" if directory.ends_with(name::ARCHIVE) => Some(What::Archive(hex(stem)?)),
        "pack" => Some(What::Pack(hex(stem)?)),
        _ => None,
    }
}

/// `SEGMENT:OFFSET` or `PACK:BLOCK:RECORD`, decimal or with `0x`.
fn place(text: &str) -> Option<Place> {
    let numbers: Option<Vec<u64>> = text.split(':').map(number).collect();
    let small = |number: u64, below: u32| u32::try_from(number).ok().filter(|n| *n < below);
    match numbers?.as_slice() {
        [segment, offset] => {
            let is_place = offset.is_multiple_of(8) && offset >> 3 <= u64::from(u32::MAX);
            let segment = small(*segment, CONTAINERS_MAX)?;
            is_place.then(|| Place::new(segment, *offset))
        }
        [pack, block, record] => Some(Place::in_pack(
            small(*pack, CONTAINERS_MAX)?,
            small(*block, PACK_BLOCKS_MAX)?,
            small(*record, BLOCK_RECORDS_MAX)?,
        )),
        _ => None,
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A place as [`What`] takes it back.
fn name_of(place: Place) -> String {
    match place.packed() {
        Some((pack, block, record)) => format!("{pack}:{block}:{record}"),
        None => format!("{}:{}", place.segment(), place.offset()),
    }
}

/// The file of a segment.
fn segment_file(directory: &str, number: u32) -> String {
    scan::file(directory, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_are_understood_and_others_are_not() {
        let what = |text: &str| text.parse::<What>();
        assert_eq!(what("MANIFEST"), Ok(What::Manifest));
        assert_eq!(what("log/0000000000000010.log"), Ok(What::Segment(16)));
        assert_eq!(what("00000002.run"), Ok(What::Run(2)));
        let chunk = Ok(What::Locations(1, 10));
        assert_eq!(what("shard-00/index/00000001.0000000a.loc"), chunk);
        assert_eq!(what("packs/00000003.pack"), Ok(What::Pack(3)));
        assert_eq!(what("archive/00000003.pack"), Ok(What::Archive(3)));
        assert_eq!(what("1:4160"), Ok(What::Record(Place::new(1, 4160))));
        assert_eq!(what("0x1:0x1040"), Ok(What::Record(Place::new(1, 4160))));
        let packed = Ok(What::Record(Place::in_pack(7, 2, 3)));
        assert_eq!(what("7:2:3"), packed);
        for wrong in [
            "",
            "x",
            "1:4161",
            "1",
            "1:2:3:4",
            "ffffffff.pack",
            "ffffffff.log",
            ":",
            "-1:8",
            "99999999999:8",
            "1:99999999999999",
            "1:1048576:0",
            "x.y.loc",
            "../.log",
        ] {
            assert!(what(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_place_is_named_as_it_is_asked_for() {
        for place in [Place::new(3, 4160), Place::in_pack(3, 4, 5)] {
            assert_eq!(name_of(place).parse(), Ok(What::Record(place)));
        }
    }
}
