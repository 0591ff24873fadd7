//! The list of a generation: text with one form only (FORMAT.md, "Backup").
//!
//! ```text
//! ringpost generation
//! format 1
//! features tails
//! uuid 000102030405060708090a0b0c0d0e0f
//! taken 1795333261
//! shard 0
//! manifest 12
//! file index/00000005.run 123456 1a2b3c4d
//! segment 3 1048576 1a2b3c4d 5e6f7a8b
//! tail 1040384 0a1b2c3d
//! crc32c 0a1b2c3d
//! ```

use super::BackupError;
use super::segments::End;
use crate::codec::checksum::plain;
use crate::disk::home::Identity;
use std::fmt::Write;
use std::str::{FromStr, Lines, SplitWhitespace};

/// What belongs to one state of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generation {
    /// Counts from 1.
    pub number: u32,
    /// When it was begun, in seconds since 1970. Everything acknowledged before is in it.
    pub taken_secs: i64,
    pub shards: Vec<ShardCopy>,
}

/// What of a shard belongs to a generation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ShardCopy {
    /// The generation of its manifest; `None`: the shard had none yet.
    pub manifest: Option<u64>,
    /// What the manifest names.
    pub tables: Vec<TableCopy>,
    /// By rising number without a gap; only of the last one less than all may count. None: the
    /// shard was never opened, and has nothing else either.
    pub segments: Vec<SegmentCopy>,
    /// What of the last segment may not have been durable, and lies with the generation.
    pub tail: Option<Tail>,
}

/// Where the mirror of a segment ends, and the file of the generation begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tail {
    /// In the segment; 0: the mirror has nothing of it.
    pub offset: u64,
    /// Chain value of the frame that ends there; 0 at 0.
    pub chain: u32,
}

impl ShardCopy {
    /// Where the segments end that lie in the mirror: what is before is what it is for ever.
    pub(super) fn mirrored(&self) -> impl DoubleEndedIterator<Item = (&SegmentCopy, End)> {
        let last = self.segments.last().map(|last| last.number);
        let end = move |segment: &SegmentCopy| match self.tail {
            Some(tail) if Some(segment.number) == last => (tail.offset > 0).then_some(End {
                segment: segment.number,
                offset: tail.offset,
                chain: tail.chain,
            }),
            _ => Some(End::of(segment)),
        };
        let segments = self.segments.iter();
        segments.filter_map(move |segment| Some((segment, end(segment)?)))
    }
}

/// An immutable file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableCopy {
    /// Below the directory of the shard.
    pub path: String,
    pub bytes: u64,
    pub crc: u32,
}

/// What of a segment counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentCopy {
    pub number: u32,
    /// From the beginning of the file to the end of its last frame that counts.
    pub bytes: u64,
    /// Of these bytes.
    pub crc: u32,
    /// Chain value of the last frame, or of the header where there is none: it vouches for
    /// everything before.
    pub chain: u32,
}

impl Generation {
    /// Octets of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let of_shard = |shard: &ShardCopy| {
            let tables = shard.tables.iter().map(|table| table.bytes);
            let segments = shard.segments.iter().map(|segment| segment.bytes);
            tables.chain(segments).sum::<u64>()
        };
        self.shards.iter().map(of_shard).sum()
    }

    pub(super) fn encode(&self, identity: &Identity) -> String {
        let mut text = String::new();
        self.write(identity, &mut text)
            .expect("a String takes everything");
        let crc = plain(text.as_bytes());
        writeln!(text, "crc32c {crc:08x}").expect("a String takes everything");
        text
    }

    fn write(&self, identity: &Identity, out: &mut String) -> std::fmt::Result {
        writeln!(out, "ringpost generation\nformat {FORMAT}")?;
        writeln!(out, "{}", self.features())?;
        writeln!(out, "uuid {:032x}", u128::from_be_bytes(identity.uuid))?;
        writeln!(out, "taken {}", self.taken_secs)?;
        for (number, shard) in self.shards.iter().enumerate() {
            writeln!(out, "shard {number}")?;
            if let Some(generation) = shard.manifest {
                writeln!(out, "manifest {generation}")?;
            }
            for TableCopy { path, bytes, crc } in &shard.tables {
                writeln!(out, "file {path} {bytes} {crc:08x}")?;
            }
            for segment in &shard.segments {
                let SegmentCopy {
                    number,
                    bytes,
                    crc,
                    chain,
                } = segment;
                writeln!(out, "segment {number} {bytes} {crc:08x} {chain:08x}")?;
            }
            if let Some(Tail { offset, chain }) = shard.tail {
                writeln!(out, "tail {offset} {chain:08x}")?;
            }
        }
        Ok(())
    }

    /// What a reader must know.
    fn features(&self) -> String {
        let has_tails = self.shards.iter().any(|shard| shard.tail.is_some());
        let has_unopened = self.shards.iter().any(|shard| shard.segments.is_empty());
        let mut features = NO_FEATURES.to_owned();
        for (name, is_used) in [(TAILS, has_tails), (UNOPENED, has_unopened)] {
            if is_used {
                features.push_str(name);
            }
        }
        features
    }

    /// Reads a list, holding every byte of it against what would be written.
    pub(super) fn parse(
        path: &str,
        text: &str,
        number: u32,
        identity: &Identity,
    ) -> Result<Generation, BackupError> {
        let damaged = |what| BackupError::Damaged {
            path: path.to_owned(),
            what,
        };
        let crc_at = text.rfind("crc32c ").unwrap_or(0);
        let (covered, crc) = text.split_at(crc_at);
        if crc != format!("crc32c {:08x}\n", plain(covered.as_bytes())) {
            return Err(damaged("its checksum does not fit"));
        }
        let mut lines = covered.lines();
        if lines.next() != Some("ringpost generation") {
            return Err(damaged("it is no list of a generation"));
        }
        let newer = || BackupError::Newer {
            path: path.to_owned(),
        };
        let is_known = |line: &str| {
            let features = line.strip_prefix(NO_FEATURES);
            let after_tails = features.map(|rest| rest.strip_prefix(TAILS).unwrap_or(rest));
            after_tails.is_some_and(|rest| rest.is_empty() || rest == UNOPENED)
        };
        if lines.next() != Some(&format!("format {FORMAT}")) || !lines.next().is_some_and(is_known)
        {
            return Err(newer());
        }
        let generation = Self::body(&mut lines, number);
        let generation = generation.ok_or_else(|| damaged("a line makes no sense"))?;
        if generation.encode(identity) != text {
            return Err(damaged("it is not written as we write it"));
        }
        if generation.shards.len() != usize::from(identity.shards) {
            return Err(damaged("it lists another number of shards"));
        }
        let is_sound = |shard: &ShardCopy| {
            let mut pairs = shard.segments.windows(2);
            let is_unopened = shard.manifest.is_none() && shard.tables.is_empty();
            (!shard.segments.is_empty() || is_unopened && shard.tail.is_none())
                && pairs.all(|pair| matches!(pair, [a, b] if a.number + 1 == b.number))
        };
        if !generation.shards.iter().all(is_sound) {
            return Err(damaged("the segments of a shard have a gap"));
        }
        let is_within = |shard: &ShardCopy| {
            let last = shard.segments.last();
            let tail = shard.tail.zip(last);
            tail.is_none_or(|(tail, last)| tail.offset < last.bytes)
        };
        if !generation.shards.iter().all(is_within) {
            return Err(damaged("a tail begins behind its segment"));
        }
        Ok(generation)
    }

    fn body(lines: &mut Lines<'_>, number: u32) -> Option<Generation> {
        let _uuid = lines.next()?.strip_prefix("uuid ")?;
        let taken_secs = lines.next()?.strip_prefix("taken ")?.parse().ok()?;
        let mut shards: Vec<ShardCopy> = Vec::new();
        for line in lines {
            let mut words = line.split_whitespace();
            match words.next()? {
                "shard" => shards.push(ShardCopy::default()),
                "manifest" => shards.last_mut()?.manifest = Some(decimal(&mut words)?),
                "file" => shards.last_mut()?.tables.push(TableCopy {
                    path: words.next().filter(|path| is_below(path))?.to_owned(),
                    bytes: decimal(&mut words)?,
                    crc: hex(&mut words)?,
                }),
                "segment" => shards.last_mut()?.segments.push(SegmentCopy {
                    number: decimal(&mut words)?,
                    bytes: decimal(&mut words)?,
                    crc: hex(&mut words)?,
                    chain: hex(&mut words)?,
                }),
                "tail" => {
                    shards.last_mut()?.tail = Some(Tail {
                        offset: decimal(&mut words)?,
                        chain: hex(&mut words)?,
                    });
                }
                _ => return None,
            }
        }
        Some(Generation {
            number,
            taken_secs,
            shards,
        })
    }
}

/// The text that says whose backup it is.
pub(super) fn head(identity: &Identity) -> String {
    format!(
        "ringpost backup\nformat {FORMAT}\nuuid {:032x}\nshards {}\n",
        u128::from_be_bytes(identity.uuid),
        identity.shards
    )
}

pub(super) fn parse_head(path: &str, text: &str) -> Result<Identity, BackupError> {
    let mut lines = text.lines();
    if lines.next() != Some("ringpost backup") {
        return Err(BackupError::NoBackup);
    }
    if lines.next() != Some(&format!("format {FORMAT}")) {
        return Err(BackupError::Newer {
            path: path.to_owned(),
        });
    }
    let mut field = |name: &str| lines.next()?.strip_prefix(name);
    let uuid = field("uuid ").and_then(|hex| u128::from_str_radix(hex, 16).ok());
    let shards = field("shards ").and_then(|number| number.parse().ok());
    let identity = uuid.zip(shards).map(|(uuid, shards)| Identity {
        uuid: uuid.to_be_bytes(),
        shards,
    });
    let identity = identity.filter(|identity| head(identity) == text);
    identity.ok_or_else(|| BackupError::Damaged {
        path: path.to_owned(),
        what: "it does not say whose backup this is",
    })
}

/// Whether a path stays in the directory of its shard.
fn is_below(path: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && !name.starts_with('.');
    path.split('/').count() == 2 && path.split('/').all(is_name)
}

fn decimal<T: FromStr>(words: &mut SplitWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

fn hex(words: &mut SplitWhitespace<'_>) -> Option<u32> {
    u32::from_str_radix(words.next()?, 16).ok()
}

const FORMAT: u32 = 1;
const NO_FEATURES: &str = "features";
/// What a reader must know of a list with tails, and of one with a shard without a log.
const TAILS: &str = " tails";
const UNOPENED: &str = " unopened";

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity {
        uuid: [7; 16],
        shards: 2,
    };

    fn generation() -> Generation {
        let segment = |number| SegmentCopy {
            number,
            bytes: 8192,
            crc: 0xabc,
            chain: 5,
        };
        let table = TableCopy {
            path: "index/00000005.run".to_owned(),
            bytes: 4096,
            crc: u32::MAX,
        };
        let first = ShardCopy {
            manifest: Some(3),
            tables: vec![table],
            segments: vec![segment(4), segment(5)],
            tail: Some(Tail {
                offset: 4096,
                chain: 9,
            }),
        };
        let second = ShardCopy {
            segments: vec![segment(1)],
            ..ShardCopy::default()
        };
        Generation {
            number: 9,
            taken_secs: 1_795_333_261,
            shards: vec![first, second],
        }
    }

    fn parse(text: &str) -> Result<Generation, BackupError> {
        Generation::parse("list", text, 9, &IDENTITY)
    }

    #[test]
    fn a_list_comes_back_and_every_changed_octet_is_noticed() {
        let text = generation().encode(&IDENTITY);
        assert_eq!(parse(&text).unwrap(), generation());
        for at in 0..text.len() {
            let mut octets = text.clone().into_bytes();
            octets[at] ^= 1;
            if let Ok(changed) = String::from_utf8(octets) {
                assert!(parse(&changed).is_err(), "octet {at}");
            }
            assert!(parse(&text[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn what_leads_out_of_the_shard_or_has_a_gap_is_refused() {
        let mut outside = generation();
        outside.shards[0].tables[0].path = "../store".to_owned();
        assert!(parse(&outside.encode(&IDENTITY)).is_err());
        let mut gap = generation();
        gap.shards[0].segments[1].number = 6;
        assert!(parse(&gap.encode(&IDENTITY)).is_err());
        let mut behind = generation();
        behind.shards[0].tail = Some(Tail {
            offset: 8192,
            chain: 9,
        });
        assert!(parse(&behind.encode(&IDENTITY)).is_err());
        let mut fewer = generation();
        fewer.shards.pop();
        assert!(parse(&fewer.encode(&IDENTITY)).is_err());
    }

    #[test]
    fn what_a_tail_holds_is_not_in_the_mirror() {
        let mut copy = generation().shards.swap_remove(0);
        let ends = |copy: &ShardCopy| -> Vec<(u32, u64)> {
            let ends = copy.mirrored().map(|(_, end)| end);
            ends.map(|end| (end.segment, end.offset)).collect()
        };
        assert_eq!(ends(&copy), [(4, 8192), (5, 4096)]);
        copy.tail = Some(Tail {
            offset: 0,
            chain: 0,
        });
        assert_eq!(ends(&copy), [(4, 8192)]);
        copy.tail = None;
        assert_eq!(ends(&copy), [(4, 8192), (5, 8192)]);
    }

    #[test]
    fn a_later_format_is_told_from_damage() {
        let text = generation()
            .encode(&IDENTITY)
            .replace("format 1", "format 2");
        let covered = &text[..text.rfind("crc32c").unwrap()];
        let text = format!("{covered}crc32c {:08x}\n", plain(covered.as_bytes()));
        assert!(matches!(parse(&text), Err(BackupError::Newer { .. })));
        assert_eq!(parse_head("backup", &head(&IDENTITY)).unwrap(), IDENTITY);
        assert!(parse_head("backup", &head(&IDENTITY).replace("07", "x7")).is_err());
    }
}
