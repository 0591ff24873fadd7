//! Strings of IMAP as the encoders here need them: NIL, quoted, literal (RFC 9051 §4.3).
//!
//! Octets outside of ASCII go into a literal, which every client may be sent at any time; NUL,
//! which no string may hold (RFC 9051 §9 CHAR8), becomes `?`.

/// Longest string that is sent in quotes, in octets.
const QUOTED_BYTES_MAX: usize = 1000;

/// Writes a string that is never NIL.
pub(super) fn string(text: &[u8], out: &mut Vec<u8>) {
    let plain = |o: &u8| o.is_ascii() && !matches!(o, 0 | b'\r' | b'\n');
    if text.len() > QUOTED_BYTES_MAX || !text.iter().all(plain) {
        out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
        out.extend(text.iter().map(|o| if *o == 0 { b'?' } else { *o }));
        return;
    }
    out.push(b'"');
    for octet in text {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*octet);
    }
    out.push(b'"');
}

/// Writes a string, or NIL for none.
pub(super) fn nstring(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) => string(text, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_takes_the_form_it_needs() {
        for (text, expected) in [
            (Some(&b""[..]), &b"\"\""[..]),
            (Some(b"a\"b\\"), b"\"a\\\"b\\\\\""),
            (Some("é\0".as_bytes()), b"{3}\r\n\xc3\xa9?"),
            (Some(b"a\rb"), b"{3}\r\na\rb"),
            (None, b"NIL"),
        ] {
            let mut out = Vec::new();
            nstring(text, &mut out);
            assert_eq!(out, expected);
        }
    }
}
