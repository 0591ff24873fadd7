//! The part that returns the message or its header (RFC 3461 §4.3, §6.3; RFC 6522 §4).
//!
//! The whole message is returned only of failures, when the sender asked for it, when it is not
//! large, and when its lines are such that SMTP carries them; else its header, in quoted-printable
//! where that is needed, so that eight bits and NUL come back as they were sent.

use super::quote::LINE_BYTES_MAX;
use super::{Event, Facts, Original};
use crate::wire::mime::header::{fields, last, unfold};
use store::mail::envelope::{BodyKind, Ret};

/// One part: its own header, an empty line, its content.
pub(super) struct Part {
    pub(super) octets: Vec<u8>,
    /// What the part needs of the next host.
    pub(super) body: BodyKind,
}

/// A larger message is not returned whole, in octets.
pub const RETURNED_BYTES_MAX: usize = 128 << 10;

/// What is returned of a header, in octets, at most; whole fields.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// The longest Message-ID that is repeated.
const MESSAGE_ID_BYTES_MAX: usize = 250;

pub(super) fn part(facts: &Facts<'_>) -> Part {
    let original = &facts.original;
    match is_whole(facts) {
        true => whole(original),
        false => header(original),
    }
}

/// The Message-ID of the message, if it is one.
pub(super) fn message_id(message: &[u8]) -> Option<String> {
    let id = unfold(last(message, "Message-ID")?);
    let text = String::from_utf8(id).ok()?;
    let inner = text.strip_prefix('<')?.strip_suffix('>')?;
    let fits = !inner.is_empty()
        && inner.len() <= MESSAGE_ID_BYTES_MAX
        && inner
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"<>".contains(&b));
    fits.then_some(text)
}

fn is_whole(facts: &Facts<'_>) -> bool {
    let original = &facts.original;
    let has_failed = facts
        .recipients
        .iter()
        .any(|told| told.event == Event::Failed);
    has_failed
        && original.ret == Some(Ret::Full)
        && original.octets.len() <= RETURNED_BYTES_MAX
        && original.octets.len() as u64 == original.size
        && is_lines(original.octets)
}

fn whole(original: &Original<'_>) -> Part {
    let is_ascii = original.octets.is_ascii();
    let kind = match original.smtputf8 {
        true => "global",
        false => "rfc822",
    };
    let encoding = if is_ascii { "7bit" } else { "8bit" };
    let mut octets = format!(
        "Content-Description: Undelivered message\r\nContent-Type: message/{kind}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    .into_bytes();
    octets.extend_from_slice(original.octets);
    let body = match is_ascii {
        true => BodyKind::SevenBit,
        false => BodyKind::EightBitMime,
    };
    Part { octets, body }
}

fn header(original: &Original<'_>) -> Part {
    let mut end = 0;
    for field in fields(original.octets) {
        if field.whole.end > HEADER_BYTES_MAX {
            break;
        }
        end = field.whole.end;
    }
    let header = original.octets.get(..end).unwrap_or_default();
    let kind = match original.smtputf8 {
        true => "message/global-headers",
        false => "text/rfc822-headers",
    };
    let is_plain = header.is_ascii() && is_lines(header);
    let encoding = if is_plain { "7bit" } else { "quoted-printable" };
    let mut octets = format!(
        "Content-Description: Message header\r\nContent-Type: {kind}\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    .into_bytes();
    match is_plain {
        true => octets.extend_from_slice(header),
        false => quoted_printable(header, &mut octets),
    }
    Part {
        octets,
        body: BodyKind::SevenBit,
    }
}

/// Whether the octets are lines as SMTP carries them without BINARYMIME: CRLF, no NUL, no other CR
/// or LF, 998 octets each (RFC 2045 §2.7, §2.8).
fn is_lines(octets: &[u8]) -> bool {
    let mut rest = octets;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        let line = match (line, tail) {
            ([line @ .., b'\r'], [_, ..]) => line,
            (line, []) => line,
            _ => return false,
        };
        if line.len() > LINE_BYTES_MAX || memchr::memchr2(0, b'\r', line).is_some() {
            return false;
        }
        rest = tail.get(1..).unwrap_or_default();
    }
    true
}

/// Writes text in quoted-printable (RFC 2045 §6.7); CRLF stays a line end.
pub(super) fn quoted_printable(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let hex = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut column = 0;
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        let next = text.get(at + 1);
        at += 1;
        if octet == b'\r' && next == Some(&b'\n') {
            out.extend_from_slice(b"\r\n");
            (column, at) = (0, at + 1);
            continue;
        }
        let ends_line = matches!(next, None | Some(b'\r'));
        let is_plain = match octet {
            b'=' => false,
            b' ' | b'\t' => !ends_line,
            octet => octet.is_ascii_graphic(),
        };
        let width = if is_plain { 1 } else { 3 };
        if column + width >= QUOTED_COLUMNS {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        match is_plain {
            true => out.push(octet),
            false => out.extend_from_slice(&[b'=', hex(octet >> 4), hex(octet & 15)]),
        }
        column += width;
    }
}

/// RFC 2045 §6.7 (5), the soft line end included.
const QUOTED_COLUMNS: usize = 76;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn message_ids_are_taken_only_when_they_are_one() {
        let id = |value: &str| message_id(format!("Message-ID:{value}\r\n\r\n").as_bytes());
        assert_eq!(id(" <a@b>"), Some("<a@b>".to_owned()));
        assert_eq!(id("\r\n <a@b>"), Some("<a@b>".to_owned()));
        for wrong in [
            "",
            " <>",
            " a@b",
            " <a@b> <c@d>",
            " <a b>",
            " <\u{e9}@b>",
            " <a\0@b>",
        ] {
            assert_eq!(id(wrong), None, "{wrong:?}");
        }
        assert_eq!(id(&format!("<{}>", "x".repeat(251))), None);
    }

    #[test]
    fn lines_are_judged() {
        for good in [&b""[..], b"a\r\nb", b"\r\n\r\n", &[b'x'; 998]] {
            assert!(is_lines(good), "{}", good.escape_ascii());
        }
        for bad in [
            &b"a\nb"[..],
            b"a\rb",
            b"\0",
            b"a\r",
            b"\n",
            b"a\r\r\n",
            &[b'x'; 999],
        ] {
            assert!(!is_lines(bad), "{}", bad.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn quoted_text_comes_back(text in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut quoted = Vec::new();
            quoted_printable(&text, &mut quoted);
            prop_assert!(quoted.is_ascii() && is_lines(&quoted));
            prop_assert!(quoted.split(|b| *b == b'\n').all(|line| line.len() <= 77));
            let encoding = crate::wire::mime::content::Encoding(b"quoted-printable".to_vec());
            let mut decoder = crate::wire::mime::transfer::Decoder::new(&encoding).unwrap();
            let mut back = Vec::new();
            decoder.feed(&quoted, &mut back);
            decoder.finish(&mut back);
            prop_assert_eq!(back, text);
        }
    }
}
