//! The base subject of a message (RFC 5256 §2.1): the same for a message and its replies.
//!
//! Each step takes something away at one end, and blobs in a row are looked at once, so that the
//! work is the length of the subject whatever it is made of.

use super::word;

/// What is left of a subject, and whether what was taken away says "reply" or "forward".
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Base {
    /// Decoded, not folded.
    pub text: String,
    pub is_reply: bool,
}

impl Base {
    /// Of the raw value of a Subject field.
    #[must_use]
    pub fn of(value: &[u8]) -> Base {
        let subject = single_spaced(&word::decode(value));
        let mut is_reply = false;
        let mut rest = subject.as_str();
        loop {
            rest = without_trailers(rest, &mut is_reply);
            rest = without_leaders(rest, &mut is_reply);
            let Some(forwarded) = inside_forward(rest) else {
                break;
            };
            is_reply = true;
            rest = forwarded;
        }
        Base {
            text: rest.to_owned(),
            is_reply,
        }
    }
}

/// Step 1: tabs are spaces, and several in a row are one.
fn single_spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' ' | '\t' | '\r' | '\n' if spaced.ends_with(' ') => {}
            ' ' | '\t' | '\r' | '\n' => spaced.push(' '),
            _ => spaced.push(character),
        }
    }
    spaced
}

/// Step 2: `subj-trailer = "(fwd)" / WSP`.
fn without_trailers<'a>(mut text: &'a str, is_reply: &mut bool) -> &'a str {
    loop {
        text = text.trim_end_matches(' ');
        let Some(start) = strip_suffix(text, "(fwd)") else {
            return text;
        };
        *is_reply = true;
        text = start;
    }
}

/// Steps 3 to 5: `subj-leader = (*subj-blob subj-refwd) / WSP`, and the blobs before a base that
/// is not empty without them.
fn without_leaders<'a>(mut text: &'a str, is_reply: &mut bool) -> &'a str {
    loop {
        text = text.trim_start_matches(' ');
        let (behind, last) = behind_blobs(text);
        if let Some(rest) = behind_reply(behind) {
            *is_reply = true;
            text = rest;
            continue;
        }
        // Of blobs alone the last one is the base.
        return if behind.is_empty() { last } else { behind };
    }
}

/// What follows the blobs at the start, and that with the last of them.
fn behind_blobs(text: &str) -> (&str, &str) {
    let (mut behind, mut last) = (text, text);
    while let Some(rest) = behind_blob(behind) {
        (last, behind) = (behind, rest);
    }
    (behind, last)
}

/// `subj-blob = "[" *BLOBCHAR "]" *WSP`.
fn behind_blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let at = inner.find(['[', ']'])?;
    let rest = inner.get(at..)?.strip_prefix(']')?;
    Some(rest.trim_start_matches(' '))
}

/// `subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"`.
fn behind_reply(text: &str) -> Option<&str> {
    let words = ["re", "fwd", "fw"];
    let rest = words.iter().find_map(|word| strip_prefix(text, word))?;
    let rest = rest.trim_start_matches(' ');
    behind_blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// Step 6: `"[fwd:" subject "]"`.
fn inside_forward(text: &str) -> Option<&str> {
    strip_prefix(text, "[fwd:")?.strip_suffix(']')
}

/// Without `prefix`, whatever its case; it is ASCII.
fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    let (start, end) = text.split_at_checked(at)?;
    end.eq_ignore_ascii_case(suffix).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_taken_away_and_what_stays() {
        for (subject, base, is_reply) in [
            ("plain", "plain", false),
            ("  two \t words\r\n\there ", "two words here", false),
            ("Re: a", "a", true),
            ("RE : FW: fwd[3]: a", "a", true),
            ("re [list] : a", "a", true),
            ("[list] Re: a", "a", true),
            ("[a][b] c", "c", false),
            ("[a] [b]", "[b]", false),
            ("[a]", "[a]", false),
            ("a (fwd) (FWD)", "a", true),
            ("[Fwd: a]", "a", true),
            ("[fwd: [list] re: a (fwd)]", "a", true),
            ("[fwd: [fwd: a]]", "a", true),
            ("[fwd: a] b", "b", false),
            ("Re:", "", true),
            ("[a[b]c] d", "[a[b]c] d", false),
            ("[open", "[open", false),
            ("Reply: a", "Reply: a", false),
            ("re a", "re a", false),
            ("fwd", "fwd", false),
            ("=?utf-8?q?Re:_=C3=A4?=", "ä", true),
            ("Antw: a", "Antw: a", false),
            ("", "", false),
            ("é", "é", false),
        ] {
            let found = Base::of(subject.as_bytes());
            let expected = Base {
                text: base.to_owned(),
                is_reply,
            };
            assert_eq!(found, expected, "{subject}");
        }
    }

    /// The steps as they are written, one at a time.
    fn naive(subject: &str) -> Base {
        let mut text = single_spaced(subject);
        let mut is_reply = false;
        loop {
            loop {
                if let Some(rest) = text.strip_suffix(' ') {
                    text = rest.to_owned();
                } else if let Some(rest) = strip_suffix(&text, "(fwd)") {
                    (text, is_reply) = (rest.to_owned(), true);
                } else {
                    break;
                }
            }
            loop {
                if let Some(rest) = text.strip_prefix(' ') {
                    text = rest.to_owned();
                    continue;
                }
                let mut behind = text.as_str();
                let leader = loop {
                    match (behind_reply(behind), behind_blob(behind)) {
                        (Some(rest), _) => break Some(rest.to_owned()),
                        (None, Some(rest)) => behind = rest,
                        (None, None) => break None,
                    }
                };
                if let Some(rest) = leader {
                    (text, is_reply) = (rest, true);
                    continue;
                }
                match behind_blob(&text).filter(|rest| !rest.is_empty()) {
                    Some(rest) => text = rest.to_owned(),
                    None => break,
                }
            }
            match inside_forward(&text) {
                Some(inner) => (text, is_reply) = (inner.to_owned(), true),
                None => return Base { text, is_reply },
            }
        }
    }

    proptest! {
        #[test]
        fn the_steps_one_at_a_time_come_to_the_same(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "re", "Fwd", "FW", ":", " ", "[", "]", "[a]", "[fwd:", "(fwd)", "x", "é", "  ",
                ]),
                0..14,
            ),
        ) {
            let subject = parts.concat();
            let trimmed = subject.trim_matches([' ']);
            prop_assert_eq!(Base::of(subject.as_bytes()), naive(trimmed));
        }
    }

    #[test]
    fn floods_cost_their_length() {
        for piece in ["[a]", "re:", "[fwd:", "(fwd)", "[", "] ", "re["] {
            let flood = piece.repeat(100_000);
            assert!(
                Base::of(flood.as_bytes()).text.len() <= flood.len(),
                "{piece}"
            );
        }
    }
}
