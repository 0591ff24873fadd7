//! One column of a table: numbers kept as their distance from a base, in as few octets as fit all.
//!
//! A distance has 0, 1, 2, 4 or 8 octets, the same for the whole column, little-endian. In memory
//! base and width leave room on both sides, so that a number is changed in place; on disk
//! (FORMAT.md, "Layer") the base is the lowest number and the width the least that suffices.

use crate::codec::{Fields, Put, Short};
use std::ops::Range;

#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    base: u64,
    width: Width,
    len: usize,
    distances: Vec<u8>,
}

/// Octets of each distance in a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Width {
    #[default]
    Zero,
    One,
    Two,
    Four,
    Eight,
}

impl Column {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The number at a position below `len`.
    #[inline]
    pub(super) fn at(&self, at: usize) -> u64 {
        self.base + self.distance(at)
    }

    #[inline]
    fn distance(&self, at: usize) -> u64 {
        match self.width {
            Width::Zero => 0,
            Width::One => u64::from(u8::from_le_bytes(self.octets(at))),
            Width::Two => u64::from(u16::from_le_bytes(self.octets(at))),
            Width::Four => u64::from(u32::from_le_bytes(self.octets(at))),
            Width::Eight => u64::from_le_bytes(self.octets(at)),
        }
    }

    #[inline]
    fn octets<const OCTETS: usize>(&self, at: usize) -> [u8; OCTETS] {
        let (distances, _) = self.distances.as_chunks();
        *distances
            .get(at)
            .expect("callers stay below the column's length")
    }

    /// How many numbers at the front are below `number`, in a column that ascends.
    pub(super) fn below(&self, number: u64) -> usize {
        let (mut from, mut to) = (0, self.len);
        while from < to {
            let middle = from.midpoint(to);
            if self.at(middle) < number {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    pub(super) fn ascends(&self) -> bool {
        let octets = &self.distances;
        match self.width {
            Width::Zero => self.len <= 1,
            Width::One => ascend(octets, u8::from_le_bytes),
            Width::Two => ascend(octets, u16::from_le_bytes),
            Width::Four => ascend(octets, u32::from_le_bytes),
            Width::Eight => ascend(octets, u64::from_le_bytes),
        }
    }

    /// As many times the same number.
    pub(super) fn all(number: u64, len: usize) -> Column {
        Column {
            base: number,
            width: Width::Zero,
            len,
            distances: Vec::new(),
        }
    }

    /// Whether every number is this one.
    pub(super) fn is_all(&self, number: u64) -> bool {
        self.bounds()
            .is_none_or(|bounds| bounds == (number, number))
    }

    /// The lowest and the highest number.
    fn bounds(&self) -> Option<(u64, u64)> {
        let (low, high) = (self.len > 0).then(|| self.extent())?;
        Some((self.base + low, self.base + high))
    }

    pub(super) fn highest(&self) -> u64 {
        self.bounds().map_or(0, |bounds| bounds.1)
    }

    /// The shortest and the longest distance.
    fn extent(&self) -> (u64, u64) {
        let octets = &self.distances;
        match self.width {
            Width::Zero => (0, 0),
            Width::One => extent(octets, u8::from_le_bytes),
            Width::Two => extent(octets, u16::from_le_bytes),
            Width::Four => extent(octets, u32::from_le_bytes),
            Width::Eight => extent(octets, u64::from_le_bytes),
        }
    }

    /// Calls `each` with every number. The width is looked at once, which makes it much faster
    /// than [`at`](Self::at) for each.
    pub(super) fn each(&self, mut each: impl FnMut(u64)) {
        let base = self.base;
        let octets = &self.distances;
        match self.width {
            Width::Zero => (0..self.len).for_each(|_| each(base)),
            Width::One => octets.iter().for_each(|d| each(base + u64::from(*d))),
            Width::Two => {
                let (distances, _) = octets.as_chunks();
                let distances = distances.iter().map(|d| u16::from_le_bytes(*d));
                distances.for_each(|d| each(base + u64::from(d)));
            }
            Width::Four => {
                let (distances, _) = octets.as_chunks();
                let distances = distances.iter().map(|d| u32::from_le_bytes(*d));
                distances.for_each(|d| each(base + u64::from(d)));
            }
            Width::Eight => {
                let (distances, _) = octets.as_chunks();
                let distances = distances.iter().map(|d| u64::from_le_bytes(*d));
                distances.for_each(|d| each(base + d));
            }
        }
    }

    /// The position of the first number that is wanted.
    pub(super) fn position(&self, wanted: impl Fn(u64) -> bool) -> Option<usize> {
        let base = self.base;
        let octets = &self.distances;
        match self.width {
            Width::Zero => (self.len > 0 && wanted(base)).then_some(0),
            Width::One => octets.iter().position(|d| wanted(base + u64::from(*d))),
            Width::Two => {
                let (distances, _) = octets.as_chunks();
                let mut distances = distances.iter().map(|d| u16::from_le_bytes(*d));
                distances.position(|d| wanted(base + u64::from(d)))
            }
            Width::Four | Width::Eight => (0..self.len).find(|at| wanted(self.at(*at))),
        }
    }

    /// The positions of the numbers above `number`, ascending. Like [`each`](Self::each) it looks
    /// at the width once.
    pub(super) fn above(&self, number: u64) -> Vec<usize> {
        let Some(limit) = number.checked_sub(self.base) else {
            return (0..self.len).collect();
        };
        let octets = &self.distances;
        match self.width {
            Width::Zero => Vec::new(),
            Width::One => above(octets, u8::from_le_bytes, limit),
            Width::Two => above(octets, u16::from_le_bytes, limit),
            Width::Four => above(octets, u32::from_le_bytes, limit),
            Width::Eight => above(octets, u64::from_le_bytes, limit),
        }
    }

    pub(super) fn push(&mut self, number: u64) {
        if self.len == 0 {
            self.base = number;
        }
        if !self.takes(number) {
            self.refit(number);
        }
        self.push_distance(number - self.base);
    }

    fn push_distance(&mut self, distance: u64) {
        put_distance(distance, self.width, &mut self.distances);
        self.len += 1;
    }

    pub(super) fn set(&mut self, at: usize, number: u64) {
        if !self.takes(number) {
            self.refit(number);
        }
        let octets = self.width.octets();
        let distance = (number - self.base).to_le_bytes();
        let slot = self.distances.get_mut(at * octets..(at + 1) * octets);
        let slot = slot.expect("callers stay below the column's length");
        for (octet, new) in slot.iter_mut().zip(distance) {
            *octet = new;
        }
    }

    fn takes(&self, number: u64) -> bool {
        number
            .checked_sub(self.base)
            .is_some_and(|distance| distance <= self.width.reach())
    }

    /// Makes room for `number`, and for about as much again on both sides of the present numbers,
    /// so that numbers in any order make a column move only a few times.
    fn refit(&mut self, number: u64) {
        let (low, high) = self.bounds().unwrap_or((number, number));
        let (low, high) = (low.min(number), high.max(number));
        let width = Width::of(high - low);
        let spare = width.reach() - (high - low);
        self.repack(low.saturating_sub(spare / 2), width);
    }

    /// Packs the numbers as closely as they can lie.
    pub(super) fn fit(&mut self) {
        if let Some((low, high)) = self.bounds() {
            self.repack(low, Width::of(high - low));
        }
    }

    fn repack(&mut self, base: u64, width: Width) {
        let mut packed = Column {
            base,
            width,
            len: 0,
            distances: Vec::with_capacity(self.len * width.octets()),
        };
        self.each(|number| packed.push_distance(number - base));
        *self = packed;
    }

    /// Keeps the positions of `kept`, which ascend, and nothing else.
    pub(super) fn keep(&mut self, kept: &[Range<usize>]) {
        let octets = self.width.octets();
        let mut end = 0;
        for range in kept {
            let from = range.start * octets..range.end * octets;
            let moved = from.len();
            self.distances.copy_within(from, end);
            end += moved;
        }
        self.distances.truncate(end);
        self.len = kept.iter().map(Range::len).sum();
        self.tighten();
    }

    /// Gives back what growing or shrinking has left over, unless it is little.
    pub(super) fn tighten(&mut self) {
        let octets = self.distances.len();
        if self.distances.capacity() > octets + octets / 8 {
            self.distances.shrink_to_fit();
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.distances.capacity()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (low, high) = self.bounds().unwrap_or_default();
        let width = Width::of(high - low);
        out.put_u8(width.octets() as u8);
        out.put_varint(low);
        if (low, width) == (self.base, self.width) {
            out.put(&self.distances);
        } else {
            self.each(|number| put_distance(number - low, width, out));
        }
    }

    /// Reads a column of `len` numbers, none of them above `highest`.
    pub(super) fn decode(
        fields: &mut Fields<'_>,
        len: usize,
        highest: u64,
    ) -> Result<Column, Short> {
        let width = Width::from_octets(fields.u8()?).ok_or(Short)?;
        let base = fields.varint()?;
        let octets = len.checked_mul(width.octets()).ok_or(Short)?;
        let column = Column {
            base,
            width,
            len,
            distances: fields.bytes(octets)?.to_vec(),
        };
        if column.stays_below(highest) {
            Ok(column)
        } else {
            Err(Short)
        }
    }

    /// Whether no number is above `highest`, in a column that was never looked at.
    fn stays_below(&self, highest: u64) -> bool {
        let Some(room) = highest.checked_sub(self.base) else {
            return false;
        };
        self.width.reach() <= room || self.extent().1 <= room
    }
}

// These look at every number without stopping early: the processor then takes many at a time.

fn ascend<const OCTETS: usize, N: Ord>(octets: &[u8], number: impl Fn([u8; OCTETS]) -> N) -> bool {
    let (numbers, _) = octets.as_chunks();
    let pairs = numbers.iter().zip(numbers.iter().skip(1));
    pairs.fold(true, |ascend, (a, b)| ascend & (number(*a) < number(*b)))
}

fn extent<const OCTETS: usize, N: Ord + Copy + Into<u64>>(
    octets: &[u8],
    number: impl Fn([u8; OCTETS]) -> N,
) -> (u64, u64) {
    let (numbers, _) = octets.as_chunks();
    let Some(first) = numbers.first().map(|first| number(*first)) else {
        return (0, 0);
    };
    let wider = |(low, high): (N, N), next: N| (low.min(next), high.max(next));
    let numbers = numbers.iter().map(|next| number(*next));
    let (low, high) = numbers.fold((first, first), wider);
    (low.into(), high.into())
}

/// Blocks without one are passed over whole: most of a column has not changed.
fn above<const OCTETS: usize, N: Ord + Copy + TryFrom<u64>>(
    octets: &[u8],
    number: impl Fn([u8; OCTETS]) -> N,
    limit: u64,
) -> Vec<usize> {
    let mut positions = Vec::new();
    // No number of this width is above a limit that it cannot hold.
    let Ok(limit) = N::try_from(limit) else {
        return positions;
    };
    let (numbers, _) = octets.as_chunks();
    for (block, numbers) in numbers.chunks(BLOCK_NUMBERS).enumerate() {
        let is_above = |one: &[u8; OCTETS]| number(*one) > limit;
        if numbers.iter().fold(false, |any, one| any | is_above(one)) {
            let start = block * BLOCK_NUMBERS;
            let found = numbers.iter().enumerate().filter(|(_, one)| is_above(one));
            positions.extend(found.map(|(at, _)| start + at));
        }
    }
    positions
}

/// Numbers that are looked at together.
const BLOCK_NUMBERS: usize = 64;

fn put_distance(distance: u64, width: Width, out: &mut Vec<u8>) {
    match width {
        Width::Zero => {}
        Width::One => out.push(distance as u8),
        Width::Two => out.extend_from_slice(&(distance as u16).to_le_bytes()),
        Width::Four => out.extend_from_slice(&(distance as u32).to_le_bytes()),
        Width::Eight => out.extend_from_slice(&distance.to_le_bytes()),
    }
}

impl Width {
    fn octets(self) -> usize {
        match self {
            Width::Zero => 0,
            Width::One => 1,
            Width::Two => 2,
            Width::Four => 4,
            Width::Eight => 8,
        }
    }

    fn from_octets(octets: u8) -> Option<Width> {
        [
            Width::Zero,
            Width::One,
            Width::Two,
            Width::Four,
            Width::Eight,
        ]
        .into_iter()
        .find(|width| width.octets() == usize::from(octets))
    }

    /// The longest distance of this width.
    fn reach(self) -> u64 {
        match self {
            Width::Zero => 0,
            Width::One => u64::from(u8::MAX),
            Width::Two => u64::from(u16::MAX),
            Width::Four => u64::from(u32::MAX),
            Width::Eight => u64::MAX,
        }
    }

    /// The least that holds a distance.
    fn of(distance: u64) -> Width {
        match distance {
            0 => Width::Zero,
            1..=0xff => Width::One,
            0x100..=0xffff => Width::Two,
            0x1_0000..=0xffff_ffff => Width::Four,
            _ => Width::Eight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers near each other, far apart, and at both ends.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..10, 1000u64..70_000, any::<u64>(), Just(u64::MAX)]
    }

    fn values_of(column: &Column) -> Vec<u64> {
        (0..column.len()).map(|at| column.at(at)).collect()
    }

    fn column(numbers: &[u64]) -> Column {
        let mut column = Column::default();
        numbers.iter().for_each(|number| column.push(*number));
        column
    }

    proptest! {
        #[test]
        fn a_column_is_a_vector(
            mut numbers in prop::collection::vec(number(), 1..160),
            sets in prop::collection::vec((any::<prop::sample::Index>(), number()), 0..20),
            kept in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let mut column = column(&numbers);
            for (at, number) in sets {
                let at = at.index(numbers.len());
                column.set(at, number);
                numbers[at] = number;
            }
            prop_assert_eq!(values_of(&column), numbers.clone());
            for limit in [0, 5, 300, 60_000, u64::MAX - 1].into_iter().chain(numbers.clone()) {
                let is_above = |at: &usize| numbers[*at] > limit;
                let expected: Vec<usize> = (0..numbers.len()).filter(is_above).collect();
                prop_assert_eq!(column.above(limit), expected);
            }
            let mut bytes = Vec::new();
            column.encode(&mut bytes);
            let again = Column::decode(&mut Fields::new(&bytes), numbers.len(), u64::MAX).unwrap();
            prop_assert_eq!(values_of(&again), numbers.clone());
            let (a, b) = (kept.0.index(numbers.len()), kept.1.index(numbers.len()));
            let hole = a.min(b)..a.max(b);
            column.keep(&[0..hole.start, hole.end..numbers.len()]);
            numbers.drain(hole);
            prop_assert_eq!(values_of(&column), numbers.clone());
            column.fit();
            prop_assert_eq!(values_of(&column), numbers);
        }

        #[test]
        fn decode_takes_no_number_above_the_highest(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            len in 1usize..5,
            highest in number(),
        ) {
            if let Ok(column) = Column::decode(&mut Fields::new(&bytes), len, highest) {
                prop_assert!(values_of(&column).into_iter().all(|number| number <= highest));
            }
        }
    }

    #[test]
    fn random_order_moves_a_column_only_a_few_times() {
        let mut column = Column::default();
        let (mut state, mut moves) = (1u64, 0);
        for _ in 0..4096 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let number = 1_700_000_000 + (state >> 40);
            moves += usize::from(!column.takes(number));
            column.push(number);
        }
        assert!(moves < 20, "{moves}");
    }
}
