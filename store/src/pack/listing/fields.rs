//! Which fields are kept, and of which headers (RFC 5322 §2.2).
//!
//! Only of headers about which no two readers differ: every line has a name and a colon or
//! continues the one before, and an empty line ends them. Then the fields of one name, in their
//! order and as they stand, are the same in the header and in what is kept of it.

/// In lower case: those of ENVELOPE, and what the programs ask for that are used most: Thunderbird
/// Newsgroups, Roundcube List-Post and Disposition-Notification-To. A field that is not there costs
/// nothing.
pub const KEPT: [&str; 20] = [
    "date",
    "subject",
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "in-reply-to",
    "message-id",
    "references",
    "list-id",
    "list-post",
    "content-type",
    "mime-version",
    "x-priority",
    "importance",
    "priority",
    "newsgroups",
    "disposition-notification-to",
];

/// Whether fields with this name are kept, in any case of letters.
#[must_use]
pub fn is_kept(name: &[u8]) -> bool {
    KEPT.iter()
        .any(|kept| name.eq_ignore_ascii_case(kept.as_bytes()))
}

/// The kept fields of the header that a body begins with; `None` where nothing is to be kept.
#[must_use]
pub fn of_header(body: &[u8]) -> Option<Vec<u8>> {
    let looked_at = body.get(..LOOKED_BYTES_MAX).unwrap_or(body);
    match kept(looked_at)? {
        (fields, Ended::EmptyLine) => Some(fields),
        (_, Ended::End) => None,
    }
}

/// The kept fields of a prefix, which is fields without an empty line behind them.
#[must_use]
pub fn of_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    if prefix.len() > LOOKED_BYTES_MAX {
        return None;
    }
    match kept(prefix)? {
        (fields, Ended::End) => Some(fields),
        (_, Ended::EmptyLine) => None,
    }
}

enum Ended {
    EmptyLine,
    End,
}

/// `None` for a header that is not well formed, and for more than [`KEPT_BYTES_MAX`].
fn kept(mut rest: &[u8]) -> Option<(Vec<u8>, Ended)> {
    let mut fields = Vec::new();
    // Of the field that a line may continue.
    let mut keeps = None;
    while !rest.is_empty() {
        let end = rest.iter().position(|octet| *octet == b'\n')?;
        let (line, behind) = rest.split_at(end + 1);
        match line {
            b"\n" | b"\r\n" => return Some((fields, Ended::EmptyLine)),
            [b' ' | b'\t', ..] => keeps = Some(keeps?),
            _ => keeps = Some(is_kept(name_of(line)?)),
        }
        if keeps == Some(true) {
            if fields.len() + line.len() > KEPT_BYTES_MAX {
                return None;
            }
            fields.extend_from_slice(line);
        }
        rest = behind;
    }
    Some((fields, Ended::End))
}

/// The name at the start of a line: printable ASCII (RFC 5322 §3.6.8), perhaps with white space
/// before its colon (§4.5).
fn name_of(line: &[u8]) -> Option<&[u8]> {
    let start = line.get(..NAME_BYTES_MAX).unwrap_or(line);
    let colon = start.iter().position(|octet| *octet == b':')?;
    let before = start.get(..colon)?;
    let blanks = before.iter().rev();
    let blanks = blanks.take_while(|octet| matches!(octet, b' ' | b'\t'));
    let name = before.get(..colon - blanks.count())?;
    let is_name = !name.is_empty() && name.iter().all(|octet| (33..=126).contains(octet));
    is_name.then_some(name)
}

/// Of a header that is looked at, in bytes; a longer one is not kept.
const LOOKED_BYTES_MAX: usize = 16 << 10;

/// Of the fields that are kept of one object, in bytes. One with more is read.
pub(super) const KEPT_BYTES_MAX: usize = 4 << 10;

/// In which the colon of a field must stand, in bytes: some readers look no further than 512.
const NAME_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_kept_as_they_stand() {
        let header = b"Received: x\r\n\tby y\r\nSUBJECT : a\r\n  b\r\nX-Other: 1\r\nto:\xe9\n\
            Subject:again\r\n \r\n\r\nTo: not me\r\n";
        let kept = &b"SUBJECT : a\r\n  b\r\nto:\xe9\nSubject:again\r\n \r\n"[..];
        assert_eq!(of_header(header).as_deref(), Some(kept));
        assert_eq!(of_header(b"\r\nbody").as_deref(), Some(&b""[..]));
        assert_eq!(of_header(b"X: 1\n\nbody").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn of_a_header_that_may_be_read_differently_nothing_is_kept() {
        let odd: [&[u8]; 9] = [
            b"",
            b"To: a\r\n",
            b"To: a\r\nno colon\r\n\r\n",
            b" continued\r\nTo: a\r\n\r\n",
            b"From x@y Fri May 4 10:00\r\nTo: a\r\n\r\n",
            b": no name\r\n\r\n",
            b"T\xf6: a\r\n\r\n",
            b"To: a\r\n\r\r\n\r\n",
            b"To\x0c: a\r\n\r\n",
        ];
        for header in odd {
            assert_eq!(of_header(header), None, "{}", header.escape_ascii());
        }
    }

    #[test]
    fn a_prefix_is_fields_and_no_more() {
        assert_eq!(of_prefix(b"").as_deref(), Some(&b""[..]));
        let prefix = b"Return-Path: <a@b>\r\nTo: c\r\n";
        assert_eq!(of_prefix(prefix).as_deref(), Some(&b"To: c\r\n"[..]));
        for odd in [&b"To: c"[..], b"To: c\r\n\r\n", b" c\r\n", b"\r\n"] {
            assert_eq!(of_prefix(odd), None, "{}", odd.escape_ascii());
        }
    }

    #[test]
    fn long_headers_are_read() {
        let mut header = vec![b'x'; LOOKED_BYTES_MAX - 10];
        header.splice(..3, *b"X: ");
        header.extend_from_slice(b"\nTo: a\r\n\r\n");
        assert_eq!(header.len(), LOOKED_BYTES_MAX);
        assert_eq!(of_header(&header).as_deref(), Some(&b"To: a\r\n"[..]));
        header.insert(5, b'x');
        assert_eq!(of_header(&header), None);

        let mut header = b"Subject: ".to_vec();
        header.resize(KEPT_BYTES_MAX - 1, b'x');
        header.extend_from_slice(b"\n\n");
        assert_eq!(of_header(&header).unwrap().len(), KEPT_BYTES_MAX);
        header.insert(10, b'x');
        assert_eq!(of_header(&header), None);

        let name = |octets| [b"X".repeat(octets), b": 1\n\n".to_vec()].concat();
        assert!(of_header(&name(NAME_BYTES_MAX - 1)).is_some());
        assert!(of_header(&name(NAME_BYTES_MAX)).is_none());
    }
}
