//! Other people's text, made harmless: no control octet, no line end, a length.
//!
//! What a host says in its reply stands in a notice twice: for the person, in UTF-8 and wrapped;
//! for the program, in one folded field. Neither may end its line, forge a field, or turn the
//! writing direction of what follows it.

/// Octets of a name or id of our own or of another host.
pub(super) const NAME_BYTES_MAX: usize = 255;

/// An address quoted to the last character has more than RFC 5321 §4.5.3.1.3 allows.
pub(super) const ADDRESS_BYTES_MAX: usize = 500;

/// Of a reply that many octets are quoted.
pub(super) const REPLY_BYTES_MAX: usize = 1_500;

/// RFC 5322 §2.1.1.
pub(super) const LINE_BYTES_MAX: usize = 998;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Charset {
    Ascii,
    Utf8,
}

/// A name or id: letters, digits and what stands between them.
pub(super) fn graphic(text: &str, octets_max: usize) -> String {
    text.chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | ':' | '[' | ']' => c,
            _ => '?',
        })
        .take(octets_max)
        .collect()
}

/// One line without control characters, cut to a length.
pub(super) fn line(text: &str, octets_max: usize, charset: Charset) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = match c {
            c if is_harmless(c) && (charset == Charset::Utf8 || c.is_ascii()) => c,
            '\t' => ' ',
            _ => '?',
        };
        if out.len() + c.len_utf8() > octets_max {
            out.push_str(match charset {
                Charset::Ascii => "...",
                Charset::Utf8 => "\u{2026}",
            });
            break;
        }
        out.push(c);
    }
    out
}

/// The lines of a reply as one, white space between words made one space.
pub(super) fn reply(reply: &[u8], charset: Charset) -> String {
    let head = reply.get(..REPLY_BYTES_MAX * 2).unwrap_or(reply);
    let text = String::from_utf8_lossy(head);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    line(&words.join(" "), REPLY_BYTES_MAX, charset)
}

/// The reply for a person: its codes once, whatever lines it has.
pub(super) fn spoken(octets: &[u8]) -> String {
    let head = octets.get(..REPLY_BYTES_MAX * 2).unwrap_or(octets);
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let (code, rest) = match first.split_at_checked(3) {
        Some((code, rest)) if code.bytes().all(|b| b.is_ascii_digit()) => (code, rest),
        _ => ("", first),
    };
    let rest = rest.strip_prefix('-').unwrap_or(rest);
    let status = rest
        .split_ascii_whitespace()
        .next()
        .filter(|word| is_status(word));
    let mut words: Vec<&str> = Vec::new();
    words.extend(Some(code).filter(|code| !code.is_empty()));
    words.extend(rest.split_ascii_whitespace());
    for line in lines {
        let line = line
            .strip_prefix(code)
            .map_or(line, |rest| rest.trim_start_matches('-'));
        let mut said = line.split_ascii_whitespace().peekable();
        if status.is_some() && said.peek().copied() == status {
            said.next();
        }
        words.extend(said);
    }
    line(&words.join(" "), REPLY_BYTES_MAX, Charset::Utf8)
}

fn is_status(word: &str) -> bool {
    super::status::leading(word.as_bytes()).is_some_and(|status| status.to_string() == word)
}

/// Adds a text broken between words into lines of at most `columns`, each behind `indent`; a word
/// that is longer stands alone, cut where a line must end.
pub(super) fn wrap(text: &str, indent: &str, columns: usize, out: &mut String) {
    let mut column = 0;
    for word in text.split(' ').flat_map(pieces) {
        let chars = word.chars().count();
        if column > 0 && column + 1 + chars <= columns {
            out.push(' ');
            column += 1 + chars;
        } else {
            if column > 0 {
                out.push_str("\r\n");
            }
            out.push_str(indent);
            column = indent.len() + chars;
        }
        out.push_str(word);
    }
    out.push_str("\r\n");
}

/// A field of a report, folded at spaces (RFC 5322 §2.2.3).
pub(super) fn push_field(name: &str, value: &str, out: &mut String) {
    out.push_str(name);
    out.push(':');
    let mut column = name.len() + 1;
    for word in value.split(' ').flat_map(pieces) {
        let chars = word.chars().count();
        if column + 1 + chars > FIELD_COLUMNS && column > name.len() + 1 {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + chars;
    }
    out.push_str("\r\n");
}

/// A word in pieces that each fit a line.
fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let mut end = rest.len().min(WORD_BYTES_MAX);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (first, tail) = rest.split_at(end);
        rest = tail;
        (!first.is_empty()).then_some(first)
    })
}

/// Printable, and no mark that reorders or hides what stands behind it.
fn is_harmless(c: char) -> bool {
    let hides = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !hides
}

const FIELD_COLUMNS: usize = 76;

const WORD_BYTES_MAX: usize = 500;

const _: () = assert!(WORD_BYTES_MAX + FIELD_COLUMNS < LINE_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_fall_away() {
        let hostile = "a\r\nX: 1\0\u{7f}\u{85}\u{202e}b\u{2028}\tc\u{e9}";
        assert_eq!(line(hostile, 99, Charset::Utf8), "a??X: 1????b? c\u{e9}");
        assert_eq!(line(hostile, 99, Charset::Ascii), "a??X: 1????b? c?");
        assert_eq!(line("abcd", 3, Charset::Ascii), "abc...");
        assert_eq!(graphic("a b\r\n>\u{e9}.c", 99), "a?b????.c");
    }

    #[test]
    fn replies_of_several_lines_are_spoken_once() {
        let said = b"550-5.1.1 The account\r\n550-5.1.1 does  not\r\n550 5.1.1 exist";
        assert_eq!(spoken(said), "550 5.1.1 The account does not exist");
        assert_eq!(spoken(b"550"), "550");
        assert_eq!(spoken(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        assert_eq!(reply(b"550-a\r\n550 b", Charset::Ascii), "550-a 550 b");
    }

    #[test]
    fn lines_are_wrapped_and_words_cut() {
        let mut out = String::new();
        wrap("one two three", "  ", 9, &mut out);
        assert_eq!(out, "  one two\r\n  three\r\n");
        out.clear();
        push_field(
            "Diagnostic-Code",
            &format!("smtp; 550 {}", "x".repeat(1_200)),
            &mut out,
        );
        assert!(
            out.split("\r\n")
                .all(|line| line.len() <= WORD_BYTES_MAX + 1),
            "{out}"
        );
        assert!(out.starts_with("Diagnostic-Code: smtp; 550\r\n x"));
    }
}
