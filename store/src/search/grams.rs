//! Trigrams of a text: each run of three octets of its UTF-8, as a key of 18 bits.
//!
//! Octets serve all scripts: a word of two Chinese characters has four of them. A key is what is
//! left of a product with an odd number; that two trigrams share a key makes a candidate more,
//! never one less.

use super::{KEY_BITS, KEYS};

/// The distinct keys of the texts of one field of one message.
pub(super) struct Grams {
    seen: Box<[u64]>,
    keys: Vec<u32>,
}

impl Default for Grams {
    fn default() -> Grams {
        Grams {
            seen: vec![0; KEYS / 64].into(),
            keys: Vec::new(),
        }
    }
}

impl Grams {
    pub(super) fn add(&mut self, text: &str) {
        let octets = text.as_bytes();
        let Some((&[first, second], rest)) = octets.split_first_chunk() else {
            return;
        };
        let mut gram = u32::from(first) << 8 | u32::from(second);
        for octet in rest {
            gram = (gram << 8 | u32::from(*octet)) & GRAM_MASK;
            let key = key(gram);
            let bit = 1 << (key % 64);
            let word = self.seen.get_mut(key as usize / 64);
            let word = word.expect("a key has no more bits than there are");
            if *word & bit == 0 {
                *word |= bit;
                self.keys.push(key);
            }
        }
    }

    /// How many keys [`take`](Self::take) will show.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Shows the keys, and begins anew.
    pub(super) fn take(&mut self, mut each: impl FnMut(u32)) {
        for key in self.keys.drain(..) {
            if let Some(word) = self.seen.get_mut(key as usize / 64) {
                *word = 0;
            }
            each(key);
        }
    }
}

/// The keys of a text that is searched for, ascending; none: it is too short to say anything.
/// Of a long one, some that are spread over it.
pub(crate) fn keys_of(text: &str) -> Vec<u32> {
    let grams = text.as_bytes().windows(3);
    let step = grams.len().div_ceil(ASKED_MAX).max(1);
    let mut keys: Vec<u32> = grams
        .step_by(step)
        .map(|gram| {
            key(gram
                .iter()
                .fold(0, |gram, octet| gram << 8 | u32::from(*octet)))
        })
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn key(gram: u32) -> u32 {
    gram.wrapping_mul(SPREAD) >> (u32::BITS - KEY_BITS)
}

const GRAM_MASK: u32 = (1 << 24) - 1;

/// 2^32 divided by the golden ratio, made odd.
const SPREAD: u32 = 0x9e37_79b1;

/// Trigrams that are asked for at most.
const ASKED_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(texts: &[String]) -> Vec<u32> {
        let mut grams = Grams::default();
        texts.iter().for_each(|text| grams.add(text));
        let mut keys = Vec::new();
        grams.take(|key| keys.push(key));
        keys.sort_unstable();
        keys
    }

    proptest! {
        #[test]
        fn a_part_of_a_text_has_no_other_keys(before: String, part: String, behind: String) {
            let all = keys(&["other".to_owned(), format!("{before}{part}{behind}")]);
            prop_assert!(all.is_sorted_by(|a, b| a < b));
            prop_assert!(keys_of(&part).iter().all(|key| all.binary_search(key).is_ok()));
            prop_assert!(keys_of(&part).len() <= ASKED_MAX);
        }

        #[test]
        fn nothing_is_left_of_the_message_before(first: String, second: String) {
            let mut grams = Grams::default();
            grams.add(&first);
            grams.take(drop);
            grams.add(&second);
            let mut count = 0;
            grams.take(|_| count += 1);
            prop_assert_eq!(count, keys(&[second]).len());
        }
    }

    #[test]
    fn less_than_three_octets_say_nothing() {
        assert!(keys_of("ab").is_empty() && keys_of("").is_empty());
        assert_eq!(keys_of("\u{4e2d}").len(), 1);
    }
}
