//! The header of a message for a client that did not say UTF8: what stands in it in UTF-8 becomes
//! encoded words (RFC 6856 §3, in the manner of RFC 6858).
//!
//! Words that hold UTF-8 are taken together with the space between them, a quoted string as one.
//! An address that is not ASCII becomes one, too: it can be read, and not be answered. A header
//! that is no UTF-8 is left alone; it is of other times, and of other charsets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The header in ASCII; `None`: it is already, or is no UTF-8.
#[must_use]
pub fn surrogate(header: &[u8]) -> Option<Vec<u8>> {
    if header.is_ascii() {
        return None;
    }
    let text = str::from_utf8(header).ok()?;
    let mut out = Vec::with_capacity(header.len() * 2);
    for line in text.split_inclusive('\n') {
        match line.is_ascii() {
            true => out.extend_from_slice(line.as_bytes()),
            false => write_line(line, &mut out),
        }
    }
    Some(out)
}

/// A word, and the blanks before it.
struct Word<'a> {
    blanks: &'a str,
    text: &'a str,
}

fn write_line(line: &str, out: &mut Vec<u8>) {
    let content = line.trim_end_matches(['\r', '\n']);
    let end = line.get(content.len()..).unwrap_or_default();
    let mut run = String::new();
    for Word { blanks, text } in words(content) {
        if text.is_ascii() {
            write_run(&mut run, out);
            out.extend_from_slice(blanks.as_bytes());
            out.extend_from_slice(text.as_bytes());
            continue;
        }
        match run.is_empty() {
            true => out.extend_from_slice(blanks.as_bytes()),
            false => run.push_str(blanks),
        }
        run.push_str(text.trim_matches('"'));
    }
    write_run(&mut run, out);
    out.extend_from_slice(end.as_bytes());
}

fn words(content: &str) -> impl Iterator<Item = Word<'_>> {
    let mut rest = content;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let begin = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let (blanks, behind) = rest.split_at_checked(begin)?;
        let (text, behind) = behind.split_at_checked(word_bytes(behind))?;
        rest = behind;
        Some(Word { blanks, text })
    })
}

/// Up to a blank that is not within quotes, and not into an address in brackets.
fn word_bytes(text: &str) -> usize {
    let mut is_quoted = false;
    let ends = |(at, octet): (usize, u8)| match octet {
        b'"' => {
            is_quoted = !is_quoted;
            None
        }
        b' ' | b'\t' if !is_quoted => Some(at),
        b'<' | b',' if !is_quoted && at > 0 => Some(at),
        _ => None,
    };
    text.bytes()
        .enumerate()
        .find_map(ends)
        .unwrap_or(text.len())
}

/// RFC 2047 §2: encoded words of at most 75 characters, with a space between them.
fn write_run(run: &mut String, out: &mut Vec<u8>) {
    let mut rest = run.as_str();
    while !rest.is_empty() {
        let mut end = rest.len().min(WORD_OCTETS_MAX);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        out.extend_from_slice(b"=?UTF-8?B?");
        out.extend_from_slice(STANDARD.encode(piece).as_bytes());
        out.extend_from_slice(b"?=");
        if !behind.is_empty() {
            out.extend_from_slice(b"\r\n ");
        }
        rest = behind;
    }
    run.clear();
}

/// Of text in one encoded word: 60 characters of base64.
const WORD_OCTETS_MAX: usize = 45;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(header: &str) -> String {
        String::from_utf8(surrogate(header.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn words_outside_ascii_are_encoded() {
        assert_eq!(
            made("Subject: Grüße an alle\r\nTo: a@b\r\n\r\n"),
            "Subject: =?UTF-8?B?R3LDvMOfZQ==?= an alle\r\nTo: a@b\r\n\r\n"
        );
        assert_eq!(
            made("From: \"Jürgen M\" <j@b>, Zoë Ö <z@b>\r\n"),
            "From: =?UTF-8?B?SsO8cmdlbiBN?= <j@b>, =?UTF-8?B?Wm/DqyDDlg==?= <z@b>\r\n"
        );
        assert_eq!(made("To: <ü@b>\r\n"), "To: =?UTF-8?B?PMO8QGI+?=\r\n");
        assert!(
            made(&format!("Subject: {}\r\n", "ü".repeat(60)))
                .lines()
                .count()
                > 1
        );
    }

    #[test]
    fn other_headers_are_left_alone() {
        assert_eq!(surrogate(b"Subject: plain\r\n\r\n"), None);
        assert_eq!(surrogate(b"Subject: gr\xfc\xdfe\r\n\r\n"), None);
    }

    proptest! {
        #[test]
        fn what_comes_out_is_ascii_with_the_same_fields(
            lines in prop::collection::vec("[A-Z][a-z]{0,4}: [ \"<>@,a-zü€]{0,80}\r\n", 1..6)
        ) {
            let header = lines.concat();
            let made = surrogate(header.as_bytes());
            let made = made.unwrap_or_else(|| header.clone().into_bytes());
            prop_assert!(made.is_ascii());
            let fields = |octets: &[u8]| {
                let text = String::from_utf8_lossy(octets).into_owned();
                let begin = |line: &&str| line.starts_with(|c: char| c.is_ascii_uppercase());
                text.lines().filter(begin).map(|line| line[..2].to_owned()).collect::<Vec<_>>()
            };
            prop_assert_eq!(fields(&made), fields(header.as_bytes()));
        }
    }
}
