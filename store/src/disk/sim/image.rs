//! What a simulated file is: what reads see, what a power cut leaves, and what lies between them.

use super::pages::Pages;
use crate::disk::Block;
use crate::disk::fault::{Seed, torn};
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

#[derive(Clone, Default)]
pub(super) struct Image {
    /// The name it has now.
    pub(super) path: String,
    pub(super) live: Pages,
    durable: Pages,
    /// In `live` and not in `durable`, in the order of writing.
    unsynced: Vec<Change>,
    /// Blocks that cannot be read until they are written again.
    dead: BTreeSet<usize>,
}

/// Octets for a place in a file: a write, or the part of it that reaches the disk.
#[derive(Clone)]
pub(super) struct Change {
    offset: usize,
    octets: Octets,
}

#[derive(Clone)]
enum Octets {
    Zeros(usize),
    Of(Rc<Block>, Range<usize>),
}

impl Change {
    pub(super) fn write(offset: u64, block: Rc<Block>, bytes: usize) -> Change {
        Change {
            offset: offset as usize,
            octets: Octets::Of(block, 0..bytes),
        }
    }

    pub(super) fn zero(from: u64, to: u64) -> Change {
        Change {
            offset: from as usize,
            octets: Octets::Zeros((to - from) as usize),
        }
    }

    /// Where it ends.
    pub(super) fn end(&self) -> u64 {
        (self.offset + self.len()) as u64
    }

    /// The same octets for another block of the file.
    pub(super) fn astray(self, block: usize) -> Change {
        Change {
            offset: block * BLOCK,
            ..self
        }
    }

    /// What part of it reaches the disk when it is not finished.
    pub(super) fn torn(&self, seed: &mut Seed) -> Vec<Change> {
        let pieces = torn(seed, self.len()).into_iter();
        pieces.map(|piece| self.part(piece)).collect()
    }

    fn part(&self, range: Range<usize>) -> Change {
        Change {
            offset: self.offset + range.start,
            octets: match &self.octets {
                Octets::Zeros(_) => Octets::Zeros(range.len()),
                Octets::Of(block, of) => {
                    let part = of.start + range.start..of.start + range.end;
                    Octets::Of(Rc::clone(block), part)
                }
            },
        }
    }

    fn len(&self) -> usize {
        match &self.octets {
            Octets::Zeros(len) => *len,
            Octets::Of(_, of) => of.len(),
        }
    }

    fn apply(&self, pages: &mut Pages) {
        match &self.octets {
            Octets::Zeros(len) => pages.zero(self.offset..self.offset + len),
            Octets::Of(block, of) => {
                let octets = block.as_slice().get(of.clone());
                pages.write(self.offset, octets.unwrap_or_default());
            }
        }
    }
}

impl Image {
    pub(super) fn new(path: &str) -> Image {
        Image {
            path: path.to_owned(),
            ..Image::default()
        }
    }

    pub(super) fn store(&mut self, change: Change, is_durable: bool) {
        let range = change.offset..change.offset + change.len();
        for block in blocks(&range) {
            self.dead.remove(&block);
        }
        change.apply(&mut self.live);
        match is_durable {
            true => self.durable.adopt(&self.live, range),
            false => self.unsynced.push(change),
        }
    }

    /// The file is at least so long, until the power is cut.
    pub(super) fn grow(&mut self, to: u64) {
        self.live.grow(to as usize);
    }

    pub(super) fn sync(&mut self) {
        self.durable = self.live.clone();
        self.unsynced.clear();
    }

    /// After a power cut: what is not durable reached the disk whole, in part or not at all.
    pub(super) fn crashed(&self, seed: &mut Seed, unfinished: &[Change]) -> Image {
        let mut left = self.durable.clone();
        for change in self.unsynced.iter().chain(unfinished) {
            for piece in change.torn(seed) {
                piece.apply(&mut left);
            }
        }
        Image {
            path: self.path.clone(),
            live: left.clone(),
            durable: left,
            ..Image::default()
        }
    }

    /// After the process was killed: as after a power cut, but for what is in the cache.
    pub(super) fn killed(&self, seed: &mut Seed, unfinished: &[Change]) -> Image {
        let mut image = self.clone();
        image.dead.clear();
        for change in unfinished {
            for piece in change.torn(seed) {
                image.store(piece, false);
            }
        }
        image
    }

    /// The file is something else now.
    pub(super) fn replace(&mut self, bytes: &[u8]) {
        self.live = Pages::of(bytes);
        self.sync();
    }

    /// The block can be read no more.
    pub(super) fn kill_block(&mut self, block: usize) {
        self.dead.insert(block);
    }

    pub(super) fn revive(&mut self) {
        self.dead.clear();
    }

    /// Whether all of these octets can be read.
    pub(super) fn is_readable(&self, range: &Range<usize>) -> bool {
        self.dead.range(blocks(range)).next().is_none()
    }

    pub(super) fn blocks(&self) -> usize {
        self.live.len() / BLOCK
    }
}

/// Blocks that these octets touch.
fn blocks(range: &Range<usize>) -> Range<usize> {
    range.start / BLOCK..range.end.div_ceil(BLOCK)
}

const BLOCK: usize = crate::limit::BLOCK_BYTES;
