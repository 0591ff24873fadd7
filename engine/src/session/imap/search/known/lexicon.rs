//! Texts by number, and the order of the numbers.

use std::collections::HashMap;
use std::rc::Rc;

/// Texts, each once; number 0 is the empty one.
#[derive(Clone)]
pub(super) struct Lexicon {
    texts: Vec<Rc<str>>,
    numbers: HashMap<Rc<str>, u32>,
    bytes: usize,
}

impl Default for Lexicon {
    fn default() -> Lexicon {
        let mut lexicon = Lexicon {
            texts: Vec::new(),
            numbers: HashMap::new(),
            bytes: 0,
        };
        lexicon.add("");
        lexicon
    }
}

impl Lexicon {
    /// The number of a text.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        match self.numbers.get(text) {
            Some(number) => *number,
            None => self.add(text),
        }
    }

    /// Octets in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn add(&mut self, text: &str) -> u32 {
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        let text: Rc<str> = text.into();
        self.bytes += text.len() + ENTRY_BYTES;
        self.texts.push(Rc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }

    /// The first octets as a number that compares as they do.
    fn prefix(&self, number: u32) -> u64 {
        let mut octets = [0; 8];
        for (place, octet) in octets.iter_mut().zip(self.text(number).bytes()) {
            *place = octet;
        }
        u64::from_be_bytes(octets)
    }
}

/// Of a text beside its octets: two pointers, the counts, its number, room in the table.
const ENTRY_BYTES: usize = 96;

/// The place of each text among all.
#[derive(Clone, Default)]
pub(in super::super) struct Ranks {
    /// Numbers in the order of their texts.
    sorted: Vec<u32>,
    /// By number.
    ranks: Vec<u32>,
}

impl Ranks {
    pub(in super::super) fn of(&self, number: u32) -> u32 {
        self.ranks.get(number as usize).copied().unwrap_or(0)
    }

    /// Sorts in the texts that came since.
    pub(super) fn complete(&mut self, lexicon: &Lexicon) {
        let all = u32::try_from(lexicon.texts.len()).unwrap_or(u32::MAX);
        let known = u32::try_from(self.sorted.len()).unwrap_or(u32::MAX);
        if known == all {
            return;
        }
        let mut news: Vec<(u64, u32)> = (known..all)
            .map(|number| (lexicon.prefix(number), number))
            .collect();
        news.sort_unstable_by(|one, other| {
            let by_text = || lexicon.text(one.1).cmp(lexicon.text(other.1));
            one.0.cmp(&other.0).then_with(by_text)
        });
        self.merge(news.into_iter().map(|(_, number)| number), lexicon);
        self.ranks = vec![0; self.sorted.len()];
        for (rank, number) in (0..).zip(&self.sorted) {
            if let Some(place) = self.ranks.get_mut(*number as usize) {
                *place = rank;
            }
        }
    }

    fn merge(&mut self, news: impl Iterator<Item = u32>, lexicon: &Lexicon) {
        let old = std::mem::take(&mut self.sorted);
        let mut rest = old.as_slice();
        for new in news {
            let below = rest.partition_point(|number| lexicon.text(*number) < lexicon.text(new));
            let (before, behind) = rest.split_at(below);
            self.sorted.extend_from_slice(before);
            self.sorted.push(new);
            rest = behind;
        }
        self.sorted.extend_from_slice(rest);
    }
}
