//! What a column keeps of the members of a block, in their order: chunks of some 64 KiB, each
//! compressed, read and checked by itself.

use super::COLUMN_BYTES_MAX;
use crate::codec::checksum::plain;
use crate::codec::{Fields, Put, Short};
use crate::pack::compressor::{Compressor, Decompressor};

/// Where a chunk lies, and of which members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ChunkRow {
    /// The first member; not stored, it follows from those before.
    pub(super) first: u32,
    pub(super) members: u32,
    /// In the block; not stored either.
    pub(super) offset: u64,
    /// Before compression.
    pub(super) raw: u32,
    /// In the file: below `raw` one zstd frame, else as it is.
    pub(super) bytes: u32,
    pub(super) crc: u32,
}

/// Writes chunks one behind the other.
pub(super) struct Chunks<'a> {
    compressor: &'a mut Compressor,
    rows: Vec<ChunkRow>,
    open: Vec<u8>,
    members: u32,
}

impl Chunks<'_> {
    pub(super) fn new(compressor: &mut Compressor) -> Chunks<'_> {
        Chunks {
            compressor,
            rows: Vec::new(),
            open: Vec::new(),
            members: 0,
        }
    }

    /// Adds what is kept of the next member, perhaps nothing. `out` is the block.
    pub(super) fn add(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        if self.open.len() + octets.len() > CHUNK_RAW_BYTES {
            self.close(out);
        }
        self.open.put_counted(octets);
        self.members += 1;
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Vec<ChunkRow> {
        self.close(out);
        self.rows
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.members == 0 {
            return;
        }
        let stored = self.compressor.compress(&self.open).unwrap_or(&self.open);
        self.rows.push(ChunkRow {
            first: 0,
            members: self.members,
            offset: 0,
            raw: self.open.len() as u32,
            bytes: stored.len() as u32,
            crc: plain(stored),
        });
        out.extend_from_slice(stored);
        self.open.clear();
        self.members = 0;
    }
}

/// A chunk unpacked; what it keeps of each member, from the first on, is asked by number.
#[derive(Debug)]
pub(super) struct Unpacked {
    octets: Vec<u8>,
    /// Where what is kept of each member lies.
    spans: Vec<(u32, u32)>,
}

impl Unpacked {
    /// `None` where `stored`, whose checksum fits, is not what the row says.
    pub(super) fn of(row: &ChunkRow, stored: &[u8], unpacker: &Decompressor) -> Option<Unpacked> {
        let octets = match row.bytes < row.raw {
            true => {
                let mut octets = vec![0; row.raw as usize];
                let is_whole = unpacker.decompress(stored, None, &mut octets);
                is_whole.then_some(octets)?
            }
            false => stored.to_vec(),
        };
        let mut fields = Fields::new(&octets);
        let mut spans = Vec::with_capacity(row.members as usize);
        for _ in 0..row.members {
            spans.push(span(&mut fields, octets.len()).ok()?);
        }
        fields.end().ok()?;
        Some(Unpacked { octets, spans })
    }

    /// What is kept of the member with this number in the chunk.
    pub(super) fn member(&self, number: usize) -> &[u8] {
        let (start, end) = self.spans.get(number).copied().unwrap_or_default();
        let octets = self.octets.get(start as usize..end as usize);
        octets.unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> usize {
        self.octets.len() + self.spans.len() * size_of::<(u32, u32)>()
    }
}

fn span(fields: &mut Fields<'_>, length: usize) -> Result<(u32, u32), Short> {
    let kept = fields.counted()?.len();
    let end = length - fields.rest().len();
    match kept <= COLUMN_BYTES_MAX {
        true => Ok(((end - kept) as u32, end as u32)),
        false => Err(Short),
    }
}

/// A chunk is closed before it would become longer, but for the lengths in it.
const CHUNK_RAW_BYTES: usize = 64 << 10;

/// A chunk before compression is never longer: each member adds a length.
pub(super) const RAW_BYTES_MAX: usize = CHUNK_RAW_BYTES + 3 * super::MEMBERS_MAX;
