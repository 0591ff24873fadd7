//! What whoever follows a message looks for in its octets, and nothing else of it.

use memchr::{memchr, memmem};

/// The Message-ID of a header that begins here, without its angle brackets (RFC 5322 §3.6.4).
#[must_use]
pub fn message_id(octets: &[u8]) -> Option<&[u8]> {
    let mut rest = octets.get(..HEADER_BYTES_MAX).unwrap_or(octets);
    loop {
        let (line, behind) = rest.split_at_checked(memchr(b'\n', rest)? + 1)?;
        if line.trim_ascii().is_empty() {
            return None;
        }
        let is_it = line
            .get(..MESSAGE_ID.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(MESSAGE_ID));
        if is_it {
            // The id may stand on the line behind (RFC 5322 §2.2.3).
            let folded = match behind.first() {
                Some(b' ' | b'\t') => memchr(b'\n', behind).unwrap_or(behind.len()),
                _ => 0,
            };
            let value = rest.get(MESSAGE_ID.len()..line.len() + folded)?;
            let inner = value.get(memchr(b'<', value)? + 1..)?;
            return inner.get(..memchr(b'>', inner)?);
        }
        rest = behind;
    }
}

/// The queue id of the message that a notice of ours is about.
#[must_use]
pub fn notice_of(octets: &[u8]) -> Option<&[u8]> {
    let octets = octets.get(..HEADER_BYTES_MAX).unwrap_or(octets);
    let at = memmem::find(octets, NOTICE)? + NOTICE.len();
    octets
        .get(at..)?
        .split(|octet| octet.is_ascii_whitespace())
        .next()
}

/// The field of a header with this Message-ID.
pub(crate) fn put_message_id(id: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[MESSAGE_ID, b" <", id, b">\r\n"].concat());
}

/// The field that makes a notice one about this message.
pub(crate) fn put_notice_of(queue: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[NOTICE, queue, b"\r\n"].concat());
}

const MESSAGE_ID: &[u8] = b"Message-ID:";
const NOTICE: &[u8] = b"X-Ringpost-Queue-ID: ";

/// How far a message is looked through, in octets; of a notice, what lies before the message that
/// it returns.
const HEADER_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_found_in_any_header() {
        for (text, id) in [
            ("Message-ID: <a@b>\r\n\r\n", Some("a@b")),
            ("From: x\r\nmessage-id:<a@b> (c)\r\n", Some("a@b")),
            ("Message-ID:\r\n <a@b>\r\n\r\n", Some("a@b")),
            ("Subject: <x@y>\r\n\r\nMessage-ID: <a@b>\r\n", None),
            ("Message-ID: a@b\r\nFrom: <y@z>\r\n\r\n", None),
            ("Message-ID: <a@b", None),
            ("", None),
        ] {
            let found = message_id(text.as_bytes()).map(String::from_utf8_lossy);
            assert_eq!(found.as_deref(), id, "{text:?}");
        }
    }

    #[test]
    fn a_notice_names_what_it_is_about() {
        let body = b"Subject: x\r\n\r\nX-Ringpost-Queue-ID: 0123456789AB\r\n\r\n";
        assert_eq!(notice_of(body), Some(&b"0123456789AB"[..]));
        assert_eq!(notice_of(b"nothing"), None);
    }

    #[test]
    fn what_is_put_is_found() {
        let mut out = Vec::new();
        put_message_id(b"a@b", &mut out);
        put_notice_of(b"0123", &mut out);
        assert_eq!(message_id(&out), Some(&b"a@b"[..]));
        assert_eq!(notice_of(&out), Some(&b"0123"[..]));
    }
}
