//! The octets of a simulated file, in pages that its images share until one of them is written.
//!
//! A page of zeros takes no memory. So a pre-written segment costs its table alone, and a crash
//! image what differs from the disk it was taken of. Octets of the last page behind the end are
//! zeros.

use crate::disk::Block;
use crate::limit::BLOCK_BYTES;
use std::ops::Range;
use std::rc::Rc;

type Page = [u8; BLOCK_BYTES];

#[derive(Clone, Default)]
pub(super) struct Pages {
    pages: Vec<Option<Rc<Page>>>,
    len: usize,
}

impl Pages {
    pub(super) fn of(bytes: &[u8]) -> Pages {
        let mut pages = Pages::default();
        pages.write(0, bytes);
        pages
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Up to `bytes` at `offset`; fewer at the end.
    pub(super) fn read(&self, offset: usize, bytes: usize) -> Block {
        let mut block = Block::zeroed(bytes.min(self.len.saturating_sub(offset)));
        self.copy_to(offset, block.as_mut_slice());
        block
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.copy_to(0, &mut bytes);
        bytes
    }

    pub(super) fn write(&mut self, offset: usize, data: &[u8]) {
        self.grow(offset + data.len());
        for (page, within, at) in parts(offset..offset + data.len()) {
            let (Some(slot), Some(part)) = (self.pages.get_mut(page), data.get(at)) else {
                return;
            };
            match <&Page>::try_from(part) {
                Ok(whole) => *slot = Some(Rc::new(*whole)),
                Err(_) => fill(slot, within, |target| target.copy_from_slice(part)),
            }
        }
    }

    pub(super) fn zero(&mut self, range: Range<usize>) {
        self.grow(range.end);
        for (page, within, _) in parts(range) {
            match self.pages.get_mut(page) {
                Some(slot) if within.len() == BLOCK_BYTES => *slot = None,
                Some(slot @ Some(_)) => fill(slot, within, |target| target.fill(0)),
                _ => {}
            }
        }
    }

    /// Takes over what `other` has in this range; whole pages are shared.
    pub(super) fn adopt(&mut self, other: &Pages, range: Range<usize>) {
        self.grow(range.end);
        for (page, within, _) in parts(range) {
            let theirs = other.pages.get(page).cloned().flatten();
            match (self.pages.get_mut(page), theirs) {
                (Some(slot), theirs) if within.len() == BLOCK_BYTES => *slot = theirs,
                (Some(slot), Some(theirs)) => fill(slot, within.clone(), |target| {
                    target.copy_from_slice(theirs.get(within).unwrap_or_default());
                }),
                (Some(slot), None) => fill(slot, within, |target| target.fill(0)),
                (None, _) => {}
            }
        }
    }

    /// `target` holds zeros.
    fn copy_to(&self, offset: usize, target: &mut [u8]) {
        for (page, within, at) in parts(offset..offset + target.len()) {
            if let (Some(Some(page)), Some(target)) = (self.pages.get(page), target.get_mut(at)) {
                target.copy_from_slice(page.get(within).unwrap_or_default());
            }
        }
    }

    pub(super) fn grow(&mut self, len: usize) {
        if len > self.len {
            self.len = len;
            self.pages.resize(len.div_ceil(BLOCK_BYTES), None);
        }
    }
}

/// Changes a part of a page that other images keep as it is.
fn fill(slot: &mut Option<Rc<Page>>, within: Range<usize>, change: impl FnOnce(&mut [u8])) {
    let page = slot.get_or_insert_with(|| Rc::new([0; BLOCK_BYTES]));
    if let Some(target) = Rc::make_mut(page).get_mut(within) {
        change(target);
    }
}

/// The pages of a range: number, part of the page, part of the range.
fn parts(range: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>, Range<usize>)> {
    let mut from = range.start;
    std::iter::from_fn(move || {
        let page = from / BLOCK_BYTES;
        let start = page * BLOCK_BYTES;
        let to = range.end.min(start + BLOCK_BYTES);
        let part = (from < to).then(|| {
            let (within, at) = (
                from - start..to - start,
                from - range.start..to - range.start,
            );
            (page, within, at)
        });
        from = to;
        part
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::fault::Seed;

    /// Whatever is done to pages gives what the same gives on plain octets, and a clone that is
    /// taken meanwhile stays as it was.
    #[test]
    fn pages_are_plain_octets() {
        for seed in 0..200 {
            let mut seed = Seed::new(seed);
            let (mut pages, mut plain) = (Pages::default(), Vec::new());
            let (mut kept, mut kept_plain) = (pages.clone(), plain.clone());
            for _ in 0..40 {
                let from = seed.below(20_000) as usize;
                let to = from + seed.below(12_000) as usize;
                plain.resize(plain.len().max(to), 0);
                match seed.below(4) {
                    0 => {
                        pages.zero(from..to);
                        plain[from..to].fill(0);
                    }
                    1 => {
                        let other: Vec<u8> = (0..to).map(|at| at as u8).collect();
                        pages.adopt(&Pages::of(&other), from..to);
                        plain[from..to].copy_from_slice(&other[from..to]);
                    }
                    _ => {
                        let data = vec![seed.next() as u8; to - from];
                        pages.write(from, &data);
                        plain[from..to].copy_from_slice(&data);
                    }
                }
                if seed.chance(100) {
                    (kept, kept_plain) = (pages.clone(), plain.clone());
                }
            }
            assert!(pages.to_vec() == plain && kept.to_vec() == kept_plain);
            let read = pages.read(5000, 9000);
            let rest = plain.get(5000..).unwrap_or_default();
            assert!(read.as_slice() == rest.get(..9000).unwrap_or(rest));
        }
    }
}
