//! Which members of a block have a trigram: their rising numbers as gaps in a Rice code.
//!
//! A gap `g` (members between one and the next) is `g >> k` ones, a zero, and the low `k` bits,
//! lowest bit first; `k` follows from how many of the members are in the list, so that it takes
//! about what a list of that many can take at least. Of more than half of the members nothing is
//! written: it is taken that all are in.

/// Whether so many of the members are written down; else all count as being in the list.
pub(super) fn is_written(count: usize, members: usize) -> bool {
    count * 2 <= members
}

/// Appends the list of these rising members.
pub(super) fn encode(list: &[u16], members: usize, out: &mut Vec<u8>) {
    let low = low_bits(list.len(), members);
    let mut bits = BitsOut {
        out,
        word: 0,
        filled: 0,
    };
    let mut next = 0;
    for member in list {
        let gap = u64::from(*member) - next;
        next = u64::from(*member) + 1;
        bits.code(gap >> low, gap & ((1 << low) - 1), low);
    }
    bits.finish();
}

/// Shows the members of a list of `count`; `None` where the octets are no such list.
pub(super) fn decode(
    octets: &[u8],
    count: usize,
    members: usize,
    mut each: impl FnMut(u16),
) -> Option<()> {
    let low = low_bits(count, members);
    let mut bits = BitsIn {
        octets,
        word: 0,
        filled: 0,
    };
    let mut next = 0;
    for _ in 0..count {
        let high = bits.ones(members as u64)?;
        let member = next + (high << low | bits.take(low)?);
        if member >= members as u64 {
            return None;
        }
        each(u16::try_from(member).ok()?);
        next = member + 1;
    }
    Some(())
}

/// The largest `k` with 2^k ≤ 0.69 · members / count: the mean gap times ln 2.
fn low_bits(count: usize, members: usize) -> u32 {
    (members * 69 / (count.max(1) * 100))
        .checked_ilog2()
        .unwrap_or(0)
}

struct BitsOut<'a> {
    out: &'a mut Vec<u8>,
    word: u64,
    filled: u32,
}

impl BitsOut<'_> {
    /// So many ones, a zero, and `low` bits more.
    fn code(&mut self, ones: u64, rest: u64, low: u32) {
        if ones + u64::from(low) < 32 {
            let before = ones as u32 + 1;
            return self.put(((1 << ones) - 1) | rest << before, before + low);
        }
        self.ones(ones);
        self.put(0, 1);
        self.put(rest, low);
    }

    fn ones(&mut self, mut count: u64) {
        while count > 0 {
            let some = count.min(32) as u32;
            self.put((1 << some) - 1, some);
            count -= u64::from(some);
        }
    }

    /// At most 32 bits.
    fn put(&mut self, bits: u64, count: u32) {
        self.word |= bits << self.filled;
        self.filled += count;
        if self.filled >= u32::BITS {
            self.out
                .extend_from_slice(&(self.word as u32).to_le_bytes());
            self.word >>= u32::BITS;
            self.filled -= u32::BITS;
        }
    }

    fn finish(self) {
        let octets = self.word.to_le_bytes();
        let filled = self.filled.div_ceil(8) as usize;
        self.out
            .extend_from_slice(octets.get(..filled).unwrap_or_default());
    }
}

struct BitsIn<'a> {
    octets: &'a [u8],
    word: u64,
    filled: u32,
}

impl BitsIn<'_> {
    fn fill(&mut self) {
        while self.filled <= 56
            && let Some((octet, rest)) = self.octets.split_first()
        {
            self.word |= u64::from(*octet) << self.filled;
            self.filled += 8;
            self.octets = rest;
        }
    }

    /// The ones before a zero, which is passed; at most `most` of them.
    fn ones(&mut self, most: u64) -> Option<u64> {
        let mut count = 0;
        loop {
            self.fill();
            let ones = self.word.trailing_ones().min(self.filled);
            count += u64::from(ones);
            if count > most || self.filled == 0 {
                return None;
            }
            if ones < self.filled {
                self.drop(ones + 1);
                return Some(count);
            }
            self.drop(ones);
        }
    }

    /// At most 32 bits.
    fn take(&mut self, count: u32) -> Option<u64> {
        self.fill();
        if self.filled < count {
            return None;
        }
        let bits = self.word & ((1 << count) - 1);
        self.drop(count);
        Some(bits)
    }

    fn drop(&mut self, count: u32) {
        self.word = self.word.checked_shr(count).unwrap_or(0);
        self.filled -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn lists() -> impl Strategy<Value = (usize, BTreeSet<u16>)> {
        (1usize..=super::super::MEMBERS_MAX).prop_flat_map(|members| {
            let list = prop::collection::btree_set(0..members as u16, 0..=(members / 2).min(300));
            (Just(members), list)
        })
    }

    proptest! {
        #[test]
        fn lists_come_back((members, list) in lists()) {
            let list: Vec<u16> = list.into_iter().collect();
            let mut octets = Vec::new();
            encode(&list, members, &mut octets);
            let mut found = Vec::new();
            prop_assert_eq!(decode(&octets, list.len(), members, |one| found.push(one)), Some(()));
            prop_assert_eq!(&found, &list);
            // A few bits a member more than the least that so many of so many take.
            let least = list.len() as f64 * ((members as f64) / (list.len().max(1) as f64)).log2();
            prop_assert!(octets.len() as f64 * 8.0 <= least + 2.5 * list.len() as f64 + 8.0);
        }

        #[test]
        fn any_octets_are_a_list_or_nothing(
            octets in prop::collection::vec(any::<u8>(), 0..64), count in 0usize..200,
            members in 1usize..20_000,
        ) {
            let mut last = None;
            let _ = decode(&octets, count, members, |one| {
                assert!(last < Some(one) && usize::from(one) < members);
                last = Some(one);
            });
        }
    }

    #[test]
    fn a_dense_list_is_as_short_as_a_bitmap() {
        let list: Vec<u16> = (0..8192).map(|n| n * 2).collect();
        let mut octets = Vec::new();
        encode(&list, 16_384, &mut octets);
        assert!(octets.len() <= 2048);
    }
}
