//! zstd in both directions, one block at a time, and the dictionaries of small mail.

use super::DICTIONARY_BYTES_MAX;
use super::block::{RawBlock, records};
use crate::limit::RECORD_BYTES_MAX;
use std::cell::RefCell;
use std::rc::Rc;
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DDict, ErrorCode, compress_bound, train_from_buffer,
};

pub(crate) struct Compressor {
    context: CCtx<'static>,
    out: Vec<u8>,
}

pub(crate) struct Decompressor {
    context: RefCell<DCtx<'static>>,
}

impl Compressor {
    pub(crate) fn new() -> Compressor {
        let mut context = CCtx::create();
        for parameter in PARAMETERS {
            let set = context.set_parameter(parameter);
            set.expect("all of them are within the bounds that zstd has");
        }
        Compressor {
            context,
            out: vec![0; compress_bound(RECORD_BYTES_MAX)],
        }
    }

    /// From now on blocks are compressed with this dictionary, if zstd takes it.
    pub(super) fn load(&mut self, dictionary: &[u8]) -> Result<(), ErrorCode> {
        self.context.load_dictionary(dictionary).map(drop)
    }

    /// `None` when it is not worth the work of unpacking it again.
    pub(crate) fn compress(&mut self, raw: &[u8]) -> Option<&[u8]> {
        // The one thing that can go wrong is memory, and then the block is stored as it is.
        let bytes = self.context.compress2(&mut self.out[..], raw).ok()?;
        let enough = bytes <= raw.len() - raw.len().div_ceil(GAIN_LEAST);
        self.out.get(..bytes).filter(|_| enough)
    }
}

impl Decompressor {
    pub(crate) fn new() -> Decompressor {
        Decompressor {
            context: RefCell::new(DCtx::create()),
        }
    }

    /// Unpacks into `raw`, and says whether that is exactly what comes out: zstd writes no further
    /// than that, whatever the frame says.
    pub(crate) fn decompress(
        &self,
        stored: &[u8],
        dictionary: Option<&DDict<'_>>,
        raw: &mut [u8],
    ) -> bool {
        let mut context = self.context.borrow_mut();
        let bytes = match dictionary {
            Some(dictionary) => context.decompress_using_ddict(raw, stored, dictionary),
            None => context.decompress(raw, stored),
        };
        bytes == Ok(raw.len())
    }
}

/// A block before compression, and what of it teaches a dictionary.
pub(super) trait Lesson {
    /// Longest dictionary, in bytes.
    const DICTIONARY_BYTES: usize;

    fn bytes(&self) -> &[u8];
    fn samples(&self) -> impl Iterator<Item = &[u8]>;
}

impl Lesson for RawBlock {
    const DICTIONARY_BYTES: usize = DICTIONARY_BYTES_MAX;

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn samples(&self) -> impl Iterator<Item = &[u8]> {
        records(&self.bytes).map(|(_, _, stored)| stored)
    }
}

/// A dictionary for blocks like these, if one makes them smaller: `before` if that still does, else
/// one trained on the small records of the first three quarters.
pub(super) fn dictionary<L: Lesson>(blocks: &[L], before: Option<Rc<[u8]>>) -> Option<Rc<[u8]>> {
    let (learn, test) = blocks.split_at(blocks.len() - blocks.len() / 4);
    let plain = compressed_bytes(&mut Compressor::new(), test);
    let pays = |dictionary: &Rc<[u8]>| {
        let mut compressor = Compressor::new();
        compressor.load(dictionary).is_ok() && {
            let shorter = compressed_bytes(&mut compressor, test);
            shorter + plain / DICTIONARY_GAIN_LEAST <= plain
        }
    };
    let before = before.filter(&pays);
    before.or_else(|| train(learn).map(Rc::from).filter(&pays))
}

fn train<L: Lesson>(blocks: &[L]) -> Option<Vec<u8>> {
    let (mut samples, mut lengths) = (Vec::new(), Vec::new());
    for stored in blocks.iter().flat_map(Lesson::samples) {
        let fits = samples.len() + stored.len() <= LEARN_BYTES_MAX;
        if fits && stored.len() <= SMALL_BYTES_MAX {
            samples.extend_from_slice(stored);
            lengths.push(stored.len());
        }
    }
    if lengths.len() < SAMPLES_LEAST {
        return None;
    }
    let mut dictionary = vec![0; L::DICTIONARY_BYTES];
    let bytes = train_from_buffer(&mut dictionary[..], &samples, &lengths).ok()?;
    dictionary.truncate(bytes);
    Some(dictionary)
}

fn compressed_bytes<L: Lesson>(compressor: &mut Compressor, blocks: &[L]) -> usize {
    let bytes = blocks.iter().map(|block| {
        let compressed = compressor.compress(block.bytes());
        compressed.map_or(block.bytes().len(), <[u8]>::len)
    });
    bytes.sum()
}

/// Level 2 with matches of 7 octets, not 5: text in blocks of 32 KiB with a dictionary becomes as
/// short, is packed a fifth faster and unpacked a third. On one busy core of the project's machine,
/// made-up words (the hard case) and prose:
///
/// | | words | packed | unpacked | prose | packed | unpacked |
/// |---|---|---|---|---|---|---|
/// | level 1 | 44 % | 280 MB/s | 870 MB/s | 20.3 % | 610 MB/s | 1.7 GB/s |
/// | level 2 | 41 % | 200 MB/s | 600 MB/s | 19.1 % | 490 MB/s | 1.6 GB/s |
/// | these | 41 % | 240 MB/s | 800 MB/s | 18.8 % | 620 MB/s | 1.8 GB/s |
/// | level 3 | 40 % | 160 MB/s | 620 MB/s | 18.1 % | 380 MB/s | 1.6 GB/s |
const PARAMETERS: [CParameter; 3] = [
    CParameter::CompressionLevel(2),
    CParameter::HashLog(15),
    CParameter::MinMatch(7),
];

/// A block must shrink by its 32nd part.
const GAIN_LEAST: usize = 32;

/// The last quarter of the sample must shrink by its 16th part.
const DICTIONARY_GAIN_LEAST: usize = 16;

/// Records up to this teach the dictionary; in longer ones zstd finds enough by itself.
const SMALL_BYTES_MAX: usize = 16 << 10;

/// Training takes 50 ms a MiB; 4 MiB make a dictionary better by one per cent only.
const LEARN_BYTES_MAX: usize = 2 << 20;

/// zstd makes no good dictionary of fewer.
const SAMPLES_LEAST: usize = 16;
