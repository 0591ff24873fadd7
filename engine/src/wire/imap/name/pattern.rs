//! LIST patterns: `*` is anything, `%` anything but the separator (RFC 9051 §6.3.9).
//!
//! A set of states, one bit for each octet of the pattern matched so far, walks over the name once:
//! the work is octets of the name × octets of the pattern / 64, whatever the pattern looks like.

use std::collections::BTreeMap;

use store::limit::MAILBOX_NAME_BYTES_MAX;
use store::mail::mailbox::SEPARATOR;

use super::{INBOX, is_in_inbox};

/// A reference and a pattern, ready to be held against names.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Octets that are no wildcards: state `i` has matched `i` of them.
    length: usize,
    /// For each octet of the pattern, the states that wait for it.
    waiting: BTreeMap<u8, Bits>,
    /// States that stay where they are on any octet.
    star: Bits,
    /// States that stay where they are on any octet but the separator.
    percent: Bits,
    /// No state.
    none: Bits,
}

type Bits = Vec<u64>;

impl Pattern {
    /// The reference is put before the pattern (RFC 9051 §6.3.9).
    #[must_use]
    pub fn new(reference: &str, pattern: &str) -> Pattern {
        let text = || reference.bytes().chain(pattern.bytes());
        let length = text().filter(|b| !is_wildcard(*b)).count();
        let mut made = Pattern::empty(length);
        if !made.is_possible() {
            return made;
        }
        let mut state = 0;
        for octet in text() {
            match octet {
                b'*' => set(&mut made.star, state),
                b'%' => set(&mut made.percent, state),
                _ => {
                    let none = &made.none;
                    set(
                        made.waiting.entry(octet).or_insert_with(|| none.clone()),
                        state,
                    );
                    state += 1;
                }
            }
        }
        made
    }

    /// Whether a canonical name matches; `INBOX` and what is below it in any case.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let any_case = if is_in_inbox(name) { INBOX.len() } else { 0 };
        let mut states = self.none.clone();
        set(&mut states, 0);
        for (at, octet) in name.bytes().enumerate() {
            let other = match at < any_case {
                true => octet.to_ascii_lowercase(),
                false => octet,
            };
            if !self.step(&mut states, octet, other) {
                return false;
            }
        }
        self.is_possible() && has(&states, self.length)
    }

    fn empty(length: usize) -> Pattern {
        let none = vec![0; length.min(MAILBOX_NAME_BYTES_MAX) / 64 + 1];
        Pattern {
            length,
            waiting: BTreeMap::new(),
            star: none.clone(),
            percent: none.clone(),
            none,
        }
    }

    /// No mailbox has a longer name.
    fn is_possible(&self) -> bool {
        self.length <= MAILBOX_NAME_BYTES_MAX
    }

    /// One more octet of the name, in either spelling; false when no state is left.
    fn step(&self, states: &mut Bits, octet: u8, other: u8) -> bool {
        let separator = octet == SEPARATOR as u8;
        let waiting = self.waiting.get(&octet).unwrap_or(&self.none);
        let as_well = self.waiting.get(&other).unwrap_or(&self.none);
        let loops = self.star.iter().zip(&self.percent);
        let (mut carry, mut alive) = (0, 0);
        for (((state, wait), also), (star, percent)) in
            states.iter_mut().zip(waiting).zip(as_well).zip(loops)
        {
            let moved = *state & (wait | also);
            let stays = *state & if separator { *star } else { star | percent };
            *state = moved << 1 | carry | stays;
            carry = moved >> 63;
            alive |= *state;
        }
        alive != 0
    }
}

fn is_wildcard(octet: u8) -> bool {
    matches!(octet, b'*' | b'%')
}

fn set(bits: &mut Bits, at: usize) {
    if let Some(word) = bits.get_mut(at / 64) {
        *word |= 1 << (at % 64);
    }
}

fn has(bits: &Bits, at: usize) -> bool {
    bits.get(at / 64)
        .is_some_and(|word| word >> (at % 64) & 1 == 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new("", pattern).matches(name)
    }

    #[test]
    fn wildcards() {
        assert!(matches("*", "a/b/c") && matches("*", "INBOX"));
        assert!(matches("%", "a") && !matches("%", "a/b"));
        assert!(matches("%/%", "a/b") && !matches("%/%", "a/b/c"));
        assert!(matches("a*", "a") && matches("a*", "a/b") && !matches("a*", "ba"));
        assert!(matches("*b", "a/b") && !matches("*b", "a/bc"));
        assert!(matches("a%c*f", "abc/d/ef") && !matches("a%c*f", "a/c/f"));
        assert!(matches("*%", "a/b") && matches("%*", "a/b"));
        assert!(matches("", "") && !matches("", "a"));
        assert!(matches("Bü%er", "Bücher"));
        assert!(Pattern::new("Archive/", "%").matches("Archive/2026"));
        assert!(!Pattern::new("Archive/", "%").matches("Archive"));
        assert!(!matches("Sent", "sent"));
    }

    #[test]
    fn inbox_matches_in_any_case() {
        assert!(matches("inbox", "INBOX") && matches("InB%", "INBOX"));
        assert!(matches("inbox/a", "INBOX/a") && !matches("inbox/A", "INBOX/a"));
        assert!(!matches("inboxes", "INBOXES"));
        assert!(!matches("inbox/%", "INBOX"));
    }

    #[test]
    fn the_worst_pattern_takes_linear_time() {
        // A backtracking matcher needs longer than the universe lasts.
        let name = "a".repeat(MAILBOX_NAME_BYTES_MAX);
        let star = format!("{}b", "*a".repeat(500));
        let percent = format!("{}b", "%a*a".repeat(250));
        for _ in 0..100 {
            assert!(!matches(&star, &name) && !matches(&percent, &name));
        }
        assert!(matches(&"*a".repeat(MAILBOX_NAME_BYTES_MAX), &name));
        assert!(!matches(&"a".repeat(MAILBOX_NAME_BYTES_MAX + 1), &name));
    }

    /// The definition, exponential and obviously right.
    fn by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|n| by_definition(rest, &name[n..])),
            Some((b'%', rest)) => (0..=name.len())
                .take_while(|n| !name[..*n].contains(&b'/'))
                .any(|n| by_definition(rest, &name[n..])),
            Some((octet, rest)) => name.first() == Some(octet) && by_definition(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab/*%]{0,8}", name in "[ab/]{0,9}") {
            prop_assert_eq!(
                matches(&pattern, &name),
                by_definition(pattern.as_bytes(), name.as_bytes())
            );
        }

        #[test]
        fn agrees_across_words(tail in "[ab*%]{0,6}", name in "[ab]{0,9}") {
            let start = "x".repeat(61);
            let (pattern, name) = (format!("{start}{tail}"), format!("{start}{name}"));
            prop_assert_eq!(
                matches(&pattern, &name),
                by_definition(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
