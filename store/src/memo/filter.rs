//! Tells of most keys that a run has nothing of them, from a few octets a key in memory.
//!
//! A Bloom filter in lines of 64 octets: the hash of a key chooses a line and six bits in it, so
//! that a look costs one line of the processor's cache. With ten bits a key about one in a hundred
//! is taken for known that is not (FORMAT.md, "Memos").

use crate::codec::checksum::plain;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Filter {
    lines: Vec<[u64; LINE_WORDS]>,
}

impl Filter {
    /// Without keys; with room for so many.
    pub(super) fn with_room(keys: u64) -> Filter {
        let lines = (keys * BITS_A_KEY).div_ceil(LINE_BITS).max(1);
        Filter {
            lines: vec![[0; LINE_WORDS]; lines as usize],
        }
    }

    pub(super) fn add(&mut self, key: &[u8]) {
        let (at, bits) = self.seat(key);
        if let Some(line) = self.lines.get_mut(at) {
            bits.for_each(|(word, bit)| {
                if let Some(word) = line.get_mut(word) {
                    *word |= bit;
                }
            });
        }
    }

    /// `false`: the key was never added.
    pub(super) fn may_have(&self, key: &[u8]) -> bool {
        let (at, mut bits) = self.seat(key);
        let line = self.lines.get(at);
        line.is_some_and(|line| {
            bits.all(|(word, bit)| line.get(word).is_some_and(|word| word & bit != 0))
        })
    }

    /// The line of a key, and its bits there: word and mask.
    fn seat(&self, key: &[u8]) -> (usize, impl Iterator<Item = (usize, u64)> + use<>) {
        let hash = spread(u64::from(plain(key)));
        let line = ((hash >> 32) * self.lines.len() as u64) >> 32;
        let choice = spread(hash);
        let bits = (0..BITS_SET).map(move |n| {
            let bit = choice >> (9 * n) & (LINE_BITS - 1);
            ((bit / 64) as usize, 1 << (bit % 64))
        });
        (line as usize, bits)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let words = self.lines.iter().flatten();
        words.flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Nothing for octets that no filter has.
    pub(super) fn decode(octets: &[u8]) -> Option<Filter> {
        let (words, rest) = octets.as_chunks();
        let (lines, more) = words.as_chunks::<LINE_WORDS>();
        let lines = lines.iter().map(|line| line.map(u64::from_le_bytes));
        let lines: Vec<_> = lines.collect();
        let is_whole = rest.is_empty() && more.is_empty() && !lines.is_empty();
        is_whole.then_some(Filter { lines })
    }
}

/// Mixes the bits of a number (splitmix64, public domain).
fn spread(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

const LINE_WORDS: usize = 8;
const LINE_BITS: u64 = 64 * LINE_WORDS as u64;
const BITS_A_KEY: u64 = 10;
const BITS_SET: u32 = 6;

const _: () = assert!(LINE_BITS == 1 << 9 && 9 * BITS_SET <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_known_and_little_else_is() {
        let mut filter = Filter::with_room(20_000);
        let key = |n: u32| format!("user{n}@example.test").into_bytes();
        (0..20_000).for_each(|n| filter.add(&key(n)));
        let filter = Filter::decode(&filter.encode()).unwrap();
        assert!((0..20_000).all(|n| filter.may_have(&key(n))));
        let taken = (20_000..120_000).filter(|n| filter.may_have(&key(*n)));
        let taken = taken.count();
        assert!(taken < 2_500, "{taken} of 100,000 are taken for known");
    }

    #[test]
    fn octets_that_are_no_filter_are_refused() {
        assert_eq!(Filter::decode(&[]), None);
        assert_eq!(Filter::decode(&[0; 63]), None);
        assert_eq!(Filter::decode(&[0; 72]), None);
        assert!(Filter::decode(&[0; 128]).is_some());
    }
}
