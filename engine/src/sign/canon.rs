//! How a header is written before it is hashed (RFC 6376 §3.4.1, §3.4.2).
//!
//! `simple` takes a field as it stands. `relaxed` writes the name in lower case, unfolds the value,
//! makes every run of white space one space and removes it at both ends of the value. What the
//! signer and every verifier must see alike is decided here and in [`super::body`] only.

use crate::config::DkimCanon as Canon;
use crate::wire::mime::header::Field;

impl Canon {
    /// Adds one field of `header` with its line end.
    pub(super) fn push_field(self, header: &[u8], field: &Field<'_>, out: &mut Vec<u8>) {
        match self {
            Canon::Simple => {
                let whole = header.get(field.whole.clone()).unwrap_or_default();
                out.extend_from_slice(whole);
            }
            Canon::Relaxed => relaxed(field.name, field.value, out),
        }
        if !out.ends_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Adds the field that is being made, its last line end left out (RFC 6376 §3.7).
    pub(super) fn push_own(self, name: &str, value: &str, out: &mut Vec<u8>) {
        match self {
            Canon::Simple => {
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
                out.extend_from_slice(value.as_bytes());
            }
            Canon::Relaxed => relaxed(name.as_bytes(), value.as_bytes(), out),
        }
    }
}

fn relaxed(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend(name.iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let mut space = false;
    let mut begun = false;
    let mut octets = value.iter().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b' ' | b'\t' => space = true,
            // Only a fold has CRLF inside a field; what follows it is white space.
            b'\r' if octets.peek() == Some(&&b'\n') => {}
            b'\n' => {}
            octet => {
                if std::mem::take(&mut space) && begun {
                    out.push(b' ');
                }
                out.push(*octet);
                begun = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mime::header::fields;

    fn written(canon: Canon, header: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        fields(header).for_each(|field| canon.push_field(header, &field, &mut out));
        out
    }

    /// RFC 6376 §3.4.5, the first example.
    #[test]
    fn the_example_of_the_rfc() {
        let header = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";
        assert_eq!(written(Canon::Relaxed, header), b"a:X\r\nb:Y Z\r\n");
        assert_eq!(
            written(Canon::Simple, header),
            b"A: X\r\nB : Y\t\r\n\tZ  \r\n"
        );
    }

    #[test]
    fn folds_and_white_space_become_one_space() {
        let header = b"Subject:\r\n \t one\r\n\ttwo \r\n   \r\n three\xe4\r\n\t\r\nX:\r\n";
        assert_eq!(
            written(Canon::Relaxed, header),
            b"subject:one two three\xe4\r\nx:\r\n"
        );
    }

    #[test]
    fn a_last_line_without_its_end_is_completed() {
        assert_eq!(written(Canon::Simple, b"A: b"), b"A: b\r\n");
        assert_eq!(written(Canon::Relaxed, b"A: b "), b"a:b\r\n");
    }
}
