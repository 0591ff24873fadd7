//! The text of a manifest, which has one form only (FORMAT.md, "Manifest").
//!
//! ```text
//! ringpost manifest
//! format 1
//! features
//! uuid 000102030405060708090a0b0c0d0e0f
//! shard 0
//! generation 12
//! first-segment 3
//! next-number 17
//! replay 3 4096 1a2b3c4d 17 99
//! run 5 0 123456
//! locations 0 3 262144
//! pack 7 1048576 300
//! archive 8 1 2 40960
//! crc32c 0a1b2c3d
//! ```

use super::{ArchiveName, ChunkName, Manifest, PackName, RunName};
use crate::codec::checksum::plain;
use crate::limit::BLOCK_BYTES;
use crate::log::Position;
use crate::mail::id::{FrameSeq, Lsn, ShardId};
use crate::table::TableError;
use std::fmt::Write;
use std::str::{FromStr, SplitWhitespace};

const FORMAT: &str = "1";

/// What a reader must know: that runs may have a queue, that there may be runs of memos.
fn features(manifest: &Manifest) -> &'static str {
    match (manifest.has_queue, manifest.has_memos) {
        (false, false) => "",
        (true, false) => "queue",
        (false, true) => "memos",
        (true, true) => "queue memos",
    }
}

/// The text, filled with line ends to whole blocks.
pub(super) fn encode(manifest: &Manifest, store: [u8; 16], shard: ShardId) -> Vec<u8> {
    let mut text = String::new();
    write(manifest, store, shard, &mut text).expect("a String takes everything");
    let crc = plain(text.as_bytes());
    writeln!(text, "crc32c {crc:08x}").expect("a String takes everything");
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), b'\n');
    bytes
}

fn write(
    manifest: &Manifest,
    store: [u8; 16],
    shard: ShardId,
    out: &mut String,
) -> std::fmt::Result {
    writeln!(out, "ringpost manifest\nformat {FORMAT}")?;
    match features(manifest) {
        "" => writeln!(out, "features")?,
        features => writeln!(out, "features {features}")?,
    }
    writeln!(
        out,
        "uuid {:032x}\nshard {shard}",
        u128::from_be_bytes(store)
    )?;
    writeln!(out, "generation {}", manifest.generation)?;
    writeln!(out, "first-segment {}", manifest.first_segment)?;
    writeln!(out, "next-number {}", manifest.next_number)?;
    match manifest.replay {
        Some(at) => writeln!(
            out,
            "replay {} {} {:08x} {} {}",
            at.segment, at.offset, at.chain, at.frame, at.lsn
        )?,
        None => writeln!(out, "replay all")?,
    }
    for run in &manifest.runs {
        writeln!(out, "run {} {} {}", run.number, run.tier, run.bytes)?;
    }
    for run in &manifest.memos {
        writeln!(out, "memos {} {} {}", run.number, run.tier, run.bytes)?;
    }
    for chunk in &manifest.locations {
        let ChunkName {
            chunk,
            generation,
            entries,
        } = chunk;
        writeln!(out, "locations {chunk} {generation} {entries}")?;
    }
    for pack in &manifest.packs {
        writeln!(out, "pack {} {} {}", pack.number, pack.bytes, pack.records)?;
    }
    for archive in &manifest.archives {
        let ArchiveName {
            number,
            first_segment,
            last_segment,
            bytes,
        } = archive;
        writeln!(
            out,
            "archive {number} {first_segment} {last_segment} {bytes}"
        )?;
    }
    Ok(())
}

/// Reads a manifest, holding every byte of it against what would be written.
pub(super) fn parse(
    path: &str,
    bytes: &[u8],
    store: [u8; 16],
    shard: ShardId,
) -> Result<Manifest, TableError> {
    let text = checked(path, bytes)?;
    let mut lines = Lines {
        path,
        rest: text,
        at: 0,
    };
    let magic = lines.next();
    if magic.map(|line| line.text) != Some("ringpost manifest") {
        return Err(lines.wrong("it does not describe a shard of Ringpost"));
    }
    let format = lines.field("format")?.rest();
    if format != FORMAT {
        return Err(TableError::newer(path, format!("format {format}")));
    }
    let known = lines.field("features")?.rest();
    let (has_queue, has_memos) = match known {
        "" => (false, false),
        "queue" => (true, false),
        "memos" => (false, true),
        "queue memos" => (true, true),
        newer => return Err(TableError::newer(path, format!("features {newer}"))),
    };
    if lines.field("uuid")?.rest() != format!("{:032x}", u128::from_be_bytes(store)) {
        return Err(TableError::foreign(path, "store"));
    }
    if lines.field("shard")?.rest() != shard.to_string() {
        return Err(TableError::foreign(path, "shard"));
    }
    let mut manifest = body(&mut lines)?;
    (manifest.has_queue, manifest.has_memos) = (has_queue, has_memos);
    if let Some(what) = manifest.contradiction() {
        return Err(TableError::damaged(path, 0, what));
    }
    if encode(&manifest, store, shard) != bytes {
        return Err(TableError::damaged(
            path,
            0,
            "it is not written as we write it",
        ));
    }
    Ok(manifest)
}

/// The text before its last line, whose checksum fits. Later versions keep this rule.
fn checked<'a>(path: &str, bytes: &'a [u8]) -> Result<&'a str, TableError> {
    let damaged = |what| TableError::damaged(path, 0, what);
    let text = str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
    let lines = text.trim_end_matches('\n');
    let at = lines.rfind('\n').map_or(0, |at| at + 1);
    let (text, last) = lines.split_at(at);
    let stored = last
        .strip_prefix("crc32c ")
        .ok_or_else(|| damaged("its last line is missing"))?;
    if stored != format!("{:08x}", plain(text.as_bytes())) {
        return Err(damaged("its checksum is wrong"));
    }
    Ok(text)
}

fn body(lines: &mut Lines<'_>) -> Result<Manifest, TableError> {
    let mut manifest = Manifest {
        generation: lines.number("generation")?,
        first_segment: lines.number("first-segment")?,
        next_number: lines.number("next-number")?,
        replay: lines.replay()?,
        ..Manifest::default()
    };
    while let Some(line) = lines.next() {
        let wrong = || TableError::damaged(lines.path, line.at, "a line is not understood");
        line.apply(&mut manifest).ok_or_else(wrong)?;
    }
    Ok(manifest)
}

struct Lines<'a> {
    path: &'a str,
    rest: &'a str,
    /// Bytes before `rest`.
    at: u64,
}

#[derive(Clone, Copy)]
struct Line<'a> {
    text: &'a str,
    at: u64,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<Line<'a>> {
        let (text, rest) = self.rest.split_once('\n')?;
        let line = Line { text, at: self.at };
        self.at += text.len() as u64 + 1;
        self.rest = rest;
        Some(line)
    }

    /// The next line, which must begin with this word.
    fn field(&mut self, name: &str) -> Result<Words<'a>, TableError> {
        let line = self.next().ok_or_else(|| self.wrong("it ends too early"))?;
        match line.text.strip_prefix(name) {
            Some(text) if text.is_empty() || text.starts_with(' ') => Ok(Words::new(text)),
            _ => Err(TableError::damaged(
                self.path,
                line.at,
                "a line is missing before",
            )),
        }
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Result<T, TableError> {
        let mut words = self.field(name)?;
        words
            .last()
            .ok_or_else(|| self.wrong("a number is wrong before"))
    }

    fn replay(&mut self) -> Result<Option<Position>, TableError> {
        let words = self.field("replay")?;
        if words.rest() == "all" {
            return Ok(None);
        }
        let position = words.position();
        position
            .map(Some)
            .ok_or_else(|| self.wrong("the replay is wrong before"))
    }

    fn wrong(&self, what: &'static str) -> TableError {
        TableError::damaged(self.path, self.at, what)
    }
}

impl Line<'_> {
    /// Adds the file that the line names; `None` when it is not understood.
    fn apply(self, manifest: &mut Manifest) -> Option<()> {
        let (kind, text) = self.text.split_once(' ')?;
        let mut words = Words::new(text);
        match kind {
            "run" => manifest.runs.push(words.run()?),
            "memos" => manifest.memos.push(words.run()?),
            "locations" => manifest.locations.push(ChunkName {
                chunk: words.next()?,
                generation: words.next()?,
                entries: words.last()?,
            }),
            "pack" => manifest.packs.push(PackName {
                number: words.next()?,
                bytes: words.next()?,
                records: words.last()?,
            }),
            "archive" => manifest.archives.push(ArchiveName {
                number: words.next()?,
                first_segment: words.next()?,
                last_segment: words.next()?,
                bytes: words.last()?,
            }),
            _ => return None,
        }
        Some(())
    }
}

struct Words<'a> {
    text: &'a str,
    words: SplitWhitespace<'a>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Words<'a> {
        Words {
            text,
            words: text.split_whitespace(),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.trim()
    }

    fn next<T: FromStr>(&mut self) -> Option<T> {
        self.words.next()?.parse().ok()
    }

    fn last<T: FromStr>(&mut self) -> Option<T> {
        let value = self.next()?;
        self.words.next().is_none().then_some(value)
    }

    fn run(&mut self) -> Option<RunName> {
        Some(RunName {
            number: self.next()?,
            tier: self.next()?,
            bytes: self.last()?,
        })
    }

    fn position(mut self) -> Option<Position> {
        Some(Position {
            segment: self.next()?,
            offset: self.next()?,
            chain: u32::from_str_radix(self.words.next()?, 16).ok()?,
            frame: FrameSeq(self.next()?),
            lsn: Lsn(self.last()?),
        })
    }
}
