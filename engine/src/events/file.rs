//! The files: one that is written, older ones with their numbers, compressed when all have read
//! them.
//!
//! ```text
//! events.jsonl                  written; its number is one above the highest below
//! events.jsonl.00000041         older, whole lines
//! events.jsonl.00000040.zst     the same, compressed
//! ```

use super::place::Place;
use crate::config::Events;
use crate::event;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub(super) struct Files {
    path: PathBuf,
    out: File,
    place: Place,
    /// When the present file began.
    began: SystemTime,
    rotate_bytes: u64,
    rotate_after: Duration,
    keep: usize,
    compresses: bool,
    clock: fn() -> SystemTime,
}

impl Files {
    pub(super) fn open(settings: &Events, clock: fn() -> SystemTime) -> io::Result<Files> {
        let path = settings.file.clone();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let last = numbers(&path).into_iter().max().unwrap_or(0);
        let mut out = append(&path)?;
        let at = whole_lines(&mut out)?;
        let began = out.metadata().and_then(|meta| meta.modified());
        Ok(Files {
            place: Place { file: last + 1, at },
            began: match at {
                0 => clock(),
                _ => began.unwrap_or_else(|_| clock()),
            },
            path,
            out,
            rotate_bytes: settings.rotate_bytes,
            rotate_after: Duration::from_secs(settings.rotate_secs.into()),
            keep: settings.keep as usize,
            compresses: settings.compresses,
            clock,
        })
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Appends whole lines, or nothing.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<Place> {
        if self.is_over() {
            self.rotate()?;
        }
        if let Err(error) = self.out.write_all(lines) {
            // Half a line would be glued to the next one.
            let _ = self.out.set_len(self.place.at);
            return Err(error);
        }
        self.place.at += lines.len() as u64;
        Ok(self.place)
    }

    fn is_over(&self) -> bool {
        let age = (self.clock)()
            .duration_since(self.began)
            .unwrap_or_default();
        self.place.at >= self.rotate_bytes || self.place.at > 0 && age >= self.rotate_after
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.out.sync_data()?;
        std::fs::rename(&self.path, numbered(&self.path, self.place.file))?;
        self.out = append(&self.path)?;
        self.place = Place {
            file: self.place.file + 1,
            at: 0,
        };
        self.began = (self.clock)();
        Ok(())
    }

    /// Removes what is too old, and compresses one file that nobody reads any more: those before
    /// `read`.
    pub(super) fn tend(&mut self, read: u64) {
        let mut numbers = numbers(&self.path);
        numbers.sort_unstable();
        let excess = numbers.len().saturating_sub(self.keep);
        for number in numbers.drain(..excess) {
            let _ = std::fs::remove_file(numbered(&self.path, number));
            let _ = std::fs::remove_file(compressed(&self.path, number));
        }
        if !self.compresses {
            return;
        }
        let plain = |number: &u64| *number < read && numbered(&self.path, *number).exists();
        if let Some(number) = numbers.into_iter().find(plain)
            && let Err(error) = compress(&self.path, number)
        {
            let why = error.to_string();
            event!(Debug, "events not compressed", file = number, why = why);
        }
    }
}

/// Octets from a place on, up to the last whole line of a piece; empty: there are none now.
/// `Err(NotFound)`: the file is gone.
pub(super) fn read(path: &Path, place: Place, written: u64) -> io::Result<Vec<u8>> {
    let file = match place.file == written {
        true => path.to_owned(),
        false => numbered(path, place.file),
    };
    let mut octets = vec![0; PIECE_BYTES];
    let read = match File::open(&file) {
        Ok(file) => file.read_at(&mut octets, place.at)?,
        Err(error) => {
            let old = compressed(path, place.file);
            if error.kind() != io::ErrorKind::NotFound || !old.exists() {
                return Err(error);
            }
            unpack(&old, place.at, &mut octets)?
        }
    };
    octets.truncate(read);
    let end = octets.iter().rposition(|octet| *octet == b'\n');
    octets.truncate(end.map_or(0, |at| at + 1));
    Ok(octets)
}

/// The lowest number above `file` that is there; `None`: only the one that is written.
pub(super) fn next_of(path: &Path, file: u64) -> Option<u64> {
    numbers(path)
        .into_iter()
        .filter(|number| *number > file)
        .min()
}

fn unpack(path: &Path, at: u64, octets: &mut [u8]) -> io::Result<usize> {
    let mut decoder = zstd::Decoder::new(File::open(path)?)?;
    io::copy(&mut decoder.by_ref().take(at), &mut io::sink())?;
    let mut read = 0;
    while let Some(rest) = octets.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match decoder.read(rest)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

fn compress(path: &Path, number: u64) -> io::Result<()> {
    let plain = numbered(path, number);
    let aside = plain.with_extension("new");
    let mut input = File::open(&plain)?;
    let output = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(&aside)?;
    let mut encoder = zstd::Encoder::new(output, LEVEL)?;
    io::copy(&mut input, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    std::fs::rename(&aside, compressed(path, number))?;
    std::fs::remove_file(&plain)
}

/// Cuts what a kill left of a line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut octets = vec![0; 4_096];
    while end > 0 {
        let from = end.saturating_sub(octets.len() as u64);
        let piece = octets.get_mut(..(end - from) as usize).unwrap_or_default();
        file.read_exact_at(piece, from)?;
        if let Some(at) = piece.iter().rposition(|octet| *octet == b'\n') {
            end = from + at as u64 + 1;
            break;
        }
        end = from;
    }
    if end < length {
        file.set_len(end)?;
    }
    file.seek(SeekFrom::End(0))?;
    Ok(end)
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

/// Numbers of the older files, each once.
fn numbers(path: &Path) -> Vec<u64> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Vec::new();
    };
    let begin = format!("{}.", name.to_string_lossy());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<u64> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = name.strip_prefix(&begin)?;
            number.strip_suffix(".zst").unwrap_or(number).parse().ok()
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number:08}"));
    PathBuf::from(name)
}

fn compressed(path: &Path, number: u64) -> PathBuf {
    let mut name = numbered(path, number).into_os_string();
    name.push(".zst");
    PathBuf::from(name)
}

/// What a webhook reads at a time; no line is longer.
const PIECE_BYTES: usize = 256 << 10;

/// Fast, and a tenth of the octets.
const LEVEL: i32 = 3;
