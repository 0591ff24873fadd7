//! Fuzzy matching of words, with scores (RFC 6203 §3, §4).
//!
//! A text to look for is its words, in any order; each has to be in the message, as it is, as the
//! beginning of a longer word, or with a slip of the pen: one letter wrong, missing, added or two
//! exchanged in words from four letters on, two of that from eight on. Accents do not count. The
//! score of a word is how near it came and where it stands; that of a text the mean of its words.

use super::extract::{Extract, Place, Sink};
use super::limit::{FUZZY_WORDS_MAX, WORD_CHARS_MAX};
use super::part::Structure;
use super::search::Scope;
use super::texts::folded;

/// The words of a text that is looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FuzzyText {
    words: Vec<Word>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Word {
    letters: Vec<char>,
    mask: u64,
    /// Without spaces between words, as Chinese and Japanese are written.
    is_run: bool,
}

/// The best score of each word so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scores(Vec<u8>);

impl FuzzyText {
    /// Of a text that is decoded. One without words is in every message.
    #[must_use]
    pub fn new(text: &str) -> FuzzyText {
        let mut words = Vec::new();
        let mut splitter = Splitter::default();
        let mut take = |letters: &[char]| {
            if words.len() < FUZZY_WORDS_MAX {
                words.push(Word::new(letters));
            }
        };
        splitter.text(&folded(text), &mut take);
        splitter.border(&mut take);
        FuzzyText { words }
    }

    #[must_use]
    pub fn start(&self) -> Scores {
        Scores(vec![0; self.words.len()])
    }

    /// How well a short text of this weight (percent) matches.
    pub fn look(&self, text: &str, weight: u8, scores: &mut Scores) {
        let mut splitter = Splitter::default();
        let mut take = |letters: &[char]| self.meet(letters, weight, scores);
        splitter.text(&folded(text), &mut take);
        splitter.border(&mut take);
    }

    /// What is in a message that matches: of each list one text, folded, of three characters or
    /// more. A word that is too short for that asks for nothing. Only of two letters exchanged just
    /// where a word is halved, and of accents there, it may be none.
    #[must_use]
    pub fn signs(&self) -> Vec<Vec<String>> {
        let signs = self.words.iter().map(Word::signs);
        signs.filter(|signs| !signs.is_empty()).collect()
    }

    fn meet(&self, letters: &[char], weight: u8, scores: &mut Scores) {
        let mask = mask(letters);
        for (word, best) in self.words.iter().zip(&mut scores.0) {
            if *best < weight {
                let score = u32::from(word.score(letters, mask)) * u32::from(weight) / 100;
                *best = (*best).max(score.min(100) as u8);
            }
        }
    }
}

impl Scores {
    /// From 1 to 100, or `None` where a word is missing.
    #[must_use]
    pub fn score(&self) -> Option<u8> {
        if self.0.contains(&0) {
            return None;
        }
        let sum: usize = self.0.iter().map(|score| usize::from(*score)).sum();
        let mean = sum / self.0.len().max(1);
        Some(mean.clamp(1, 100) as u8)
    }

    fn is_best(&self) -> bool {
        self.0.iter().all(|score| *score == 100)
    }
}

impl Word {
    fn new(letters: &[char]) -> Word {
        Word {
            letters: letters.to_vec(),
            mask: mask(letters),
            is_run: letters
                .iter()
                .any(|letter| ('\u{2E80}'..'\u{FFF0}').contains(letter)),
        }
    }

    /// Letters that may be wrong.
    fn slips(&self) -> usize {
        match self.letters.len() {
            0..4 => 0,
            4..8 => 1,
            _ => 2,
        }
    }

    /// From 0, not at all, to 100, exactly.
    fn score(&self, other: &[char], other_mask: u64) -> u8 {
        let own = self.letters.as_slice();
        if own == other {
            return 100;
        }
        if other.starts_with(own) && own.len() > 1 {
            return 90 - (3 * (other.len() - own.len())).min(30) as u8;
        }
        if self.is_run && other.windows(own.len().max(1)).any(|run| run == own) {
            return 80;
        }
        let slips = self.slips();
        let missing = (self.mask & !other_mask).count_ones() as usize;
        if missing > slips || own.len().abs_diff(other.len()) > slips {
            return 0;
        }
        match distance(own, other) {
            1 if slips >= 1 => 55,
            2 if slips >= 2 => 40,
            _ => 0,
        }
    }

    /// Of a word with so many slips one of so many pieces and one more is intact.
    fn signs(&self) -> Vec<String> {
        let pieces = self.slips() + 1;
        let size = self.letters.len() / pieces;
        if self.is_run || size < 3 {
            return Vec::new();
        }
        (0..pieces)
            .filter_map(|at| {
                let from = at * size;
                let to = if at + 1 == pieces {
                    self.letters.len()
                } else {
                    from + size
                };
                self.letters.get(from..to)
            })
            .map(|piece| piece.iter().collect())
            .collect()
    }
}

/// Letters as bits: a word that lacks more of another's than it may is not looked at.
fn mask(letters: &[char]) -> u64 {
    let bit = |letter: &char| 1_u64 << (u32::from(*letter) % 64);
    letters.iter().fold(0, |mask, letter| mask | bit(letter))
}

/// How many letters are wrong, missing, added or exchanged (optimal string alignment).
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    let mut previous = None;
    for (row, letter) in one.iter().enumerate() {
        let mut line = Vec::with_capacity(above.len());
        line.push(row + 1);
        for (column, theirs) in other.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let mut cost = at(&above, column) + usize::from(letter != theirs);
            cost = cost
                .min(at(&above, column + 1) + 1)
                .min(at(&line, column) + 1);
            let exchanged =
                column > 0 && previous == Some(theirs) && other.get(column - 1) == Some(letter);
            if exchanged {
                cost = cost.min(at(&before, column - 1).saturating_add(1));
            }
            line.push(cost);
        }
        before = std::mem::replace(&mut above, line);
        previous = Some(letter);
    }
    above.last().copied().unwrap_or(0)
}

/// Cuts folded text into words, which may come in pieces.
#[derive(Default)]
struct Splitter {
    word: Vec<char>,
}

impl Splitter {
    fn text(&mut self, folded: &str, take: &mut impl FnMut(&[char])) {
        for letter in folded.chars() {
            match letter {
                // Folding has taken accents off their letters.
                '\u{300}'..='\u{36F}' => {}
                _ if letter.is_alphanumeric() => {
                    if self.word.len() < WORD_CHARS_MAX {
                        self.word.push(letter);
                    }
                }
                _ => self.border(take),
            }
        }
    }

    fn border(&mut self, take: &mut impl FnMut(&[char])) {
        if !self.word.is_empty() {
            take(&self.word);
            self.word.clear();
        }
    }
}

/// Looks for several texts in one pass over a message.
pub struct FuzzySearch {
    extract: Extract<Judge>,
}

impl FuzzySearch {
    pub fn new(structure: &Structure, wanted: Vec<(Scope, FuzzyText)>) -> FuzzySearch {
        let wanted = wanted.into_iter();
        let wanted = wanted.map(|(scope, text)| (scope, text.start(), text));
        let judge = Judge {
            wanted: wanted.collect(),
            splitter: Splitter::default(),
            place: Place::Header,
        };
        FuzzySearch {
            extract: Extract::new(structure, judge),
        }
    }

    /// Takes the next octets of the message the structure is of.
    pub fn feed(&mut self, piece: &[u8]) {
        self.extract.feed(piece);
    }

    /// Whether nothing can become better, whatever comes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.extract.is_full()
    }

    /// Takes a text that was made of an attachment, when the message is over.
    pub fn attached(&mut self, text: &str) {
        self.extract.attached(text);
    }

    /// Whether nothing can become better.
    pub fn is_decided(&self) -> bool {
        self.extract.is_decided()
    }

    /// The scores of the texts, in the order given.
    pub fn finish(self) -> Vec<Option<u8>> {
        let wanted = self.extract.finish().wanted;
        wanted
            .into_iter()
            .map(|(_, scores, _)| scores.score())
            .collect()
    }
}

struct Judge {
    wanted: Vec<(Scope, Scores, FuzzyText)>,
    splitter: Splitter,
    place: Place,
}

impl Judge {
    fn meet(&mut self, with: impl FnOnce(&mut Splitter, &mut dyn FnMut(&[char]))) {
        let (wanted, place) = (&mut self.wanted, self.place);
        with(&mut self.splitter, &mut |letters| {
            for (scope, scores, text) in wanted.iter_mut() {
                match (place, *scope) {
                    (Place::Header, Scope::Body) => {}
                    (Place::Header, Scope::Text) => text.meet(letters, HEADER_WEIGHT, scores),
                    (Place::Body, _) => text.meet(letters, BODY_WEIGHT, scores),
                }
            }
        });
    }
}

impl Sink for Judge {
    fn place(&mut self, place: Place) {
        self.place = place;
    }

    fn text(&mut self, text: &str) {
        let folded = folded(text);
        self.meet(|splitter, mut take| splitter.text(&folded, &mut take));
    }

    fn ascii(&mut self, octets: &[u8]) {
        let upper = String::from_utf8_lossy(octets).to_ascii_uppercase();
        self.meet(|splitter, mut take| splitter.text(&upper, &mut take));
    }

    fn border(&mut self) {
        self.meet(|splitter, mut take| splitter.border(&mut take));
    }

    fn is_full(&self) -> bool {
        self.wanted.iter().all(|(_, scores, _)| scores.is_best())
    }
}

/// What a match is worth by where it stands, in percent.
pub const SUBJECT_WEIGHT: u8 = 100;
pub const HEADER_WEIGHT: u8 = 90;
pub const BODY_WEIGHT: u8 = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn score(wanted: &str, text: &str) -> Option<u8> {
        let wanted = FuzzyText::new(wanted);
        let mut scores = wanted.start();
        wanted.look(text, 100, &mut scores);
        scores.score()
    }

    #[test]
    fn near_words_match_and_the_nearest_best() {
        for text in ["hello", "help", "helo", "HELOS", "hel0", "ehlo", "hellö"] {
            assert!(score("Helo", text).is_some(), "{text}");
        }
        let of = |text| score("break imap", text);
        assert_eq!(of("IMAP: a break"), Some(100));
        assert!(of("imap4 breaks") < of("imap break"));
        assert!(of("imap braek") < of("imap4 breaks"));
        assert_eq!(of("break"), None);
        assert!(score("cafe", "un café").is_some());
        assert_eq!(score("to", "top"), Some(87));
        assert_eq!(score("cat", "cut"), None);
        assert!(score("東京", "今日は東京にいます").is_some());
        assert_eq!(score("...", "anything"), Some(1));
    }

    #[test]
    fn a_body_is_looked_at_word_by_word_in_any_pieces() {
        let message = b"Subject: summary\r\n\r\nThe quarterly report is atached.\r\n";
        let structure = Structure::of(message);
        let wanted = vec![
            (Scope::Body, FuzzyText::new("quartely attached")),
            (Scope::Body, FuzzyText::new("summary")),
            (Scope::Text, FuzzyText::new("summary report")),
        ];
        for step in [1, 3, 1000] {
            let mut search = FuzzySearch::new(&structure, wanted.clone());
            message.chunks(step).for_each(|piece| search.feed(piece));
            let found = search.finish();
            assert_eq!(found, [Some(44), None, Some(85)], "pieces of {step}");
        }
    }

    /// Every way to edit, without cleverness.
    fn naive(one: &[char], other: &[char]) -> usize {
        match (one, other) {
            ([], rest) | (rest, []) => rest.len(),
            ([a, one_rest @ ..], [b, other_rest @ ..]) => {
                let same = naive(one_rest, other_rest) + usize::from(a != b);
                let edits = naive(one_rest, other).min(naive(one, other_rest)) + 1;
                let exchanged = match (one, other) {
                    ([a, b, one @ ..], [c, d, other @ ..]) if a == d && b == c => {
                        naive(one, other) + 1
                    }
                    _ => usize::MAX,
                };
                same.min(edits).min(exchanged)
            }
        }
    }

    proptest! {
        #[test]
        fn distances_are_right(one in "[ab]{0,6}", other in "[abc]{0,6}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            let (one, other) = (letters(&one), letters(&other));
            prop_assert_eq!(distance(&one, &other), naive(&one, &other));
        }

        #[test]
        fn a_word_with_a_slip_has_one_of_the_signs(
            word in "[a-d]{3,12}", at in 0usize..12, letter in "[a-d]?", cut in 0usize..2,
        ) {
            let mut slipped: Vec<char> = word.chars().collect();
            let at = at.min(slipped.len());
            slipped.splice(at..(at + cut).min(slipped.len()), letter.chars());
            let slipped = String::from_iter(slipped);
            if score(&word, &slipped).is_some() {
                let slipped = slipped.to_uppercase();
                for signs in FuzzyText::new(&word).signs() {
                    prop_assert!(signs.iter().any(|sign| slipped.contains(sign.as_str())));
                }
            }
        }
    }
}
