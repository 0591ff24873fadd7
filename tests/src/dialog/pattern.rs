//! What an answer must look like.
//!
//! ```text
//! ...        anything, also nothing
//! <#>        a number
//! <name>     a word without spaces or brackets; bound once, it must be the same ever after
//! ```
//!
//! Everything else stands for itself. In IMAP the lists whose order a server may choose (flags,
//! LIST attributes, the items of FETCH and STATUS) match in any order; `...` among their items
//! allows more.

use std::collections::BTreeMap;

/// What the captures of a script are bound to.
pub(super) type Variables = BTreeMap<String, String>;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Any,
    Number,
    Capture(String),
    List {
        items: Vec<Vec<Piece>>,
        open: bool,
        pairs: bool,
    },
}

impl Pattern {
    pub fn compile(text: &str, imap: bool) -> Result<Pattern, String> {
        let pieces = pieces(text, imap, text.starts_with("* STATUS "))?;
        Ok(Pattern {
            text: text.to_string(),
            pieces,
        })
    }

    /// Whether it is for an untagged response of IMAP.
    pub fn is_untagged(&self) -> bool {
        self.text.starts_with("* ")
    }

    /// Whether the whole text matches; captures are bound only if it does.
    pub fn matches(&self, text: &str, variables: &mut Variables) -> bool {
        let mut bound = variables.clone();
        let matched = matches(&self.pieces, text, &mut bound);
        if matched {
            *variables = bound;
        }
        matched
    }
}

fn pieces(text: &str, imap: bool, status: bool) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let special = if rest.starts_with("...") {
            Some((Piece::Any, 3))
        } else if character == '<' {
            capture(rest)
        } else if imap && character == '(' {
            list(rest, &text[..text.len() - rest.len()], status)?
        } else {
            None
        };
        match special {
            Some((piece, length)) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(piece);
                rest = &rest[length..];
            }
            None => {
                plain.push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

fn capture(text: &str) -> Option<(Piece, usize)> {
    let name = text[1..].split_once('>')?.0;
    if name == "#" {
        return Some((Piece::Number, 3));
    }
    let is_name = !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_lowercase());
    is_name.then(|| (Piece::Capture(name.to_string()), name.len() + 2))
}

/// A list in free order, when what stands before it says so.
fn list(text: &str, before: &str, status: bool) -> Result<Option<(Piece, usize)>, String> {
    let pairs = before.ends_with("FETCH ") || status;
    let tokens = ["LIST ", "LSUB ", "FLAGS "]
        .iter()
        .any(|word| before.ends_with(word));
    if !pairs && !tokens {
        return Ok(None);
    }
    let Some(length) = balanced(text) else {
        return Ok(None);
    };
    let items = elements(&text[1..length - 1], pairs);
    let open = items.contains(&"...");
    let items = items.into_iter().filter(|item| *item != "...");
    let items = items
        .map(|item| pieces(item, true, false))
        .collect::<Result<_, _>>()?;
    Ok(Some((Piece::List { items, open, pairs }, length)))
}

fn matches(pieces: &[Piece], text: &str, variables: &mut Variables) -> bool {
    let Some((first, others)) = pieces.split_first() else {
        return text.is_empty();
    };
    match first {
        Piece::Text(plain) => match text.strip_prefix(plain.as_str()) {
            Some(rest) => matches(others, rest, variables),
            None => false,
        },
        Piece::Any => any(others, text, variables),
        Piece::Number => {
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            end > 0 && matches(others, &text[end..], variables)
        }
        Piece::Capture(name) => captured(name, others, text, variables),
        Piece::List { items, open, pairs } => {
            let Some(length) = balanced(text) else {
                return false;
            };
            let found = elements(&text[1..length - 1], *pairs);
            lists_agree(items, *open, &found, variables)
                && matches(others, &text[length..], variables)
        }
    }
}

fn any(others: &[Piece], text: &str, variables: &mut Variables) -> bool {
    if others.is_empty() {
        return true;
    }
    let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.any(|at| {
        let mut bound = variables.clone();
        let matched = matches(others, &text[at..], &mut bound);
        if matched {
            *variables = bound;
        }
        matched
    })
}

fn captured(name: &str, others: &[Piece], text: &str, variables: &mut Variables) -> bool {
    if let Some(known) = variables.get(name) {
        let Some(rest) = text.strip_prefix(known.as_str()) else {
            return false;
        };
        return matches(others, rest, variables);
    }
    let ends = |c: char| c.is_whitespace() || "()[]<>\"".contains(c);
    let end = text.find(ends).unwrap_or(text.len());
    if end == 0 {
        return false;
    }
    variables.insert(name.to_string(), text[..end].to_string());
    matches(others, &text[end..], variables)
}

fn lists_agree(
    items: &[Vec<Piece>],
    open: bool,
    found: &[&str],
    variables: &mut Variables,
) -> bool {
    if found.len() < items.len() || (!open && found.len() > items.len()) {
        return false;
    }
    let mut used = vec![false; found.len()];
    items.iter().all(|item| {
        let fits = |at: &usize, variables: &mut Variables| {
            let mut bound = variables.clone();
            let fits = !used[*at] && matches(item, found[*at], &mut bound);
            if fits {
                *variables = bound;
            }
            fits
        };
        match (0..found.len()).find(|at| fits(at, variables)) {
            Some(at) => {
                used[at] = true;
                true
            }
            None => false,
        }
    })
}

/// The length of the parenthesised list that the text begins with, quotes respected.
fn balanced(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The items of a list: words, or names with their values.
fn elements(inner: &str, pairs: bool) -> Vec<&str> {
    let words = words(inner);
    if !pairs {
        return words
            .into_iter()
            .map(|(start, end)| &inner[start..end])
            .collect();
    }
    let (mut items, mut at) = (Vec::new(), 0);
    while let Some(&(start, end)) = words.get(at) {
        let alone = &inner[start..end] == "...";
        let last = if alone {
            at
        } else {
            (at + 1).min(words.len() - 1)
        };
        items.push(&inner[start..words[last].1]);
        at = last + 1;
    }
    items
}

/// Where the words are that spaces part at the outermost level.
fn words(inner: &str) -> Vec<(usize, usize)> {
    let (mut words, mut start, mut depth) = (Vec::new(), 0, 0usize);
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in inner.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'(' | b'[' if !quoted => depth += 1,
            b')' | b']' if !quoted => depth = depth.saturating_sub(1),
            b' ' if !quoted && depth == 0 => {
                if at > start {
                    words.push((start, at));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    if inner.len() > start {
        words.push((start, inner.len()));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::compile(pattern, true)
            .unwrap()
            .matches(text, &mut Variables::new())
    }

    #[test]
    fn wildcards_and_numbers_match() {
        assert!(fits("a ... c", "a b b c"));
        assert!(fits("a...", "a"));
        assert!(!fits("a ... c", "a b d"));
        assert!(fits("* <#> EXISTS", "* 12 EXISTS"));
        assert!(!fits("* <#> EXISTS", "* x EXISTS"));
        assert!(!fits("a", "ab"));
    }

    #[test]
    fn captures_stay_the_same() {
        let mut variables = Variables::new();
        let pattern = Pattern::compile("[UIDVALIDITY <v>]", true).unwrap();
        assert!(pattern.matches("[UIDVALIDITY 7]", &mut variables));
        assert_eq!(variables["v"], "7");
        assert!(!pattern.matches("[UIDVALIDITY 8]", &mut variables));
        assert!(fits("<alice@x.test>", "<alice@x.test>"));
        assert!(!fits("<alice@x.test>", "<other@x.test>"));
    }

    #[test]
    fn lists_match_in_any_order() {
        assert!(fits(r"* FLAGS (\Seen \Draft)", r"* FLAGS (\Draft \Seen)"));
        assert!(!fits(r"* FLAGS (\Seen)", r"* FLAGS (\Draft \Seen)"));
        assert!(fits(r"* FLAGS (\Seen ...)", r"* FLAGS (\Draft \Seen)"));
        assert!(!fits(
            r"* FLAGS (\Seen \Answered ...)",
            r"* FLAGS (\Draft \Seen)"
        ));
        let fetched = r#"* 1 FETCH (UID 4 FLAGS (\Seen \Draft) BODY[TEXT] "a (b")"#;
        assert!(fits(
            r"* 1 FETCH (FLAGS (\Draft \Seen) UID <u> ...)",
            fetched
        ));
        assert!(fits(
            r#"* 1 FETCH (BODY[TEXT] "a (b" FLAGS (...) UID 4)"#,
            fetched
        ));
        assert!(!fits(r"* 1 FETCH (UID 5 ...)", fetched));
        assert!(!fits(r"* 1 FETCH (UID 4)", fetched));
        assert!(fits("* STATUS x (A 1 B <#>)", "* STATUS x (B 2 A 1)"));
    }
}
