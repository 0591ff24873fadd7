//! Strings of responses: the shortest form that holds the octets (RFC 9051 §4.3).
//!
//! Quoted where every octet may stand in quotes, else a literal, which is never non-synchronising
//! from a server. NUL has no place in either (RFC 9051 §9, CHAR8) and is written as `?`; a
//! literal8 keeps it.

use super::super::name::encode_utf7;
use super::super::token::is_astring_char;
use super::{CRLF, number};

/// Longest string that goes out quoted, in octets; longer ones are literals, as clients expect.
const QUOTED_BYTES_MAX: usize = 1024;

/// An atom where possible.
pub fn astring(out: &mut Vec<u8>, text: &[u8], utf8: bool) {
    if !text.is_empty() && text.iter().all(|b| is_astring_char(*b)) && !is_nil(text) {
        out.extend_from_slice(text);
    } else {
        string(out, text, utf8);
    }
}

/// Quoted or a literal. With `utf8` the client has enabled UTF-8 in quoted strings.
pub fn string(out: &mut Vec<u8>, text: &[u8], utf8: bool) {
    if is_quotable(text, utf8) {
        quoted(out, text);
    } else {
        literal_header(out, text.len() as u64);
        out.extend(text.iter().map(|b| if *b == 0 { b'?' } else { *b }));
    }
}

/// `NIL` for nothing; an empty string is not nothing.
pub fn nstring(out: &mut Vec<u8>, text: Option<&[u8]>, utf8: bool) {
    match text {
        Some(text) => string(out, text, utf8),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// A mailbox name in the encoding of the session.
pub fn mailbox(out: &mut Vec<u8>, name: &str, utf8: bool) {
    if utf8 {
        return astring(out, name.as_bytes(), true);
    }
    let mut wire = Vec::with_capacity(name.len());
    encode_utf7(&mut wire, name);
    astring(out, &wire, false);
}

/// `{n}` and CRLF: exactly `octets` octets have to follow, none of them NUL.
pub fn literal_header(out: &mut Vec<u8>, octets: u64) {
    out.push(b'{');
    number(out, octets);
    out.push(b'}');
    out.extend_from_slice(CRLF);
}

/// `~{n}` and CRLF (RFC 3516 §4.3).
pub fn literal8_header(out: &mut Vec<u8>, octets: u64) {
    out.push(b'~');
    literal_header(out, octets);
}

fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for octet in text {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*octet);
    }
    out.push(b'"');
}

fn is_quotable(text: &[u8], utf8: bool) -> bool {
    text.len() <= QUOTED_BYTES_MAX
        && !text.iter().any(|b| matches!(b, 0 | b'\r' | b'\n'))
        && (text.is_ascii() || (utf8 && std::str::from_utf8(text).is_ok()))
}

/// The atom NIL could be taken for nothing.
fn is_nil(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"NIL")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::super::name;
    use super::super::super::token::Cursor;
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_shortest_form_that_holds_it() {
        assert_eq!(written(|o| astring(o, b"INBOX", false)), "INBOX");
        assert_eq!(written(|o| astring(o, b"", false)), "\"\"");
        assert_eq!(written(|o| astring(o, b"nil", false)), "\"nil\"");
        assert_eq!(written(|o| astring(o, b"a b", false)), "\"a b\"");
        assert_eq!(written(|o| string(o, b"a\"\\", false)), "\"a\\\"\\\\\"");
        assert_eq!(written(|o| string(o, b"a\r\n", false)), "{3}\r\na\r\n");
        assert_eq!(written(|o| string(o, b"a\0", false)), "{2}\r\na?");
        assert_eq!(written(|o| string(o, "é".as_bytes(), false)), "{2}\r\né");
        assert_eq!(written(|o| string(o, "é".as_bytes(), true)), "\"é\"");
        assert_eq!(written(|o| nstring(o, None, false)), "NIL");
        assert_eq!(written(|o| literal8_header(o, 7)), "~{7}\r\n");
        assert!(written(|o| string(o, &[b'a'; 1025], false)).starts_with("{1025}\r\n"));
    }

    #[test]
    fn names_speak_the_dialect_of_the_session() {
        assert_eq!(written(|o| mailbox(o, "Entwürfe", false)), "Entw&APw-rfe");
        assert_eq!(written(|o| mailbox(o, "Entwürfe", true)), "\"Entwürfe\"");
        assert_eq!(written(|o| mailbox(o, "R&D", false)), "R&-D");
        assert_eq!(
            written(|o| mailbox(o, "a\r\n* BYE", false)),
            "\"a&AA0ACg-* BYE\""
        );
        assert_eq!(written(|o| mailbox(o, "a\r\nb", true)), "{4}\r\na\r\nb");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            text in proptest::collection::vec(1u8.., 0..40),
            utf8: bool,
        ) {
            let mut out = Vec::new();
            astring(&mut out, &text, utf8);
            let mut cursor = Cursor::new(&out, utf8);
            prop_assert_eq!(cursor.astring().unwrap().into_owned(), text);
            prop_assert!(cursor.is_at_end());
        }

        #[test]
        fn names_are_read_back(raw in "\\PC{0,30}", utf8: bool) {
            let canonical = name::canonical(&raw);
            let mut out = Vec::new();
            mailbox(&mut out, &canonical, utf8);
            let wire = Cursor::new(&out, utf8).astring().unwrap().into_owned();
            prop_assert_eq!(name::read(&wire, utf8).unwrap(), canonical);
        }
    }
}
