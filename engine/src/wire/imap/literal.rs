//! The announcement of a literal: `{n}`, `{n+}`, `~{n}`, `~{n+}` at the end of a line
//! (RFC 9051 §4.3, RFC 7888 §3, RFC 4466 §6).
//!
//! `{n-}` is in none of these grammars (LITERAL- is the name of a capability) and no literal.

/// Octets of the longest announcement: `~{`, 20 digits, `+}`.
pub(super) const MARKER_BYTES_MAX: usize = 24;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Marker {
    /// `None` where the number is over 63 bits: too large for anybody.
    pub octets: Option<u64>,
    /// `+`: the octets come without our go-ahead.
    pub non_synchronizing: bool,
    /// `~`: NUL is allowed.
    pub binary: bool,
}

impl Marker {
    /// The announcement with which `line` ends; `line` comes without its CRLF.
    pub(super) fn at_end(line: &[u8]) -> Option<Marker> {
        let line = line.strip_suffix(b"}")?;
        let (line, non_synchronizing) = match line.strip_suffix(b"+") {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let digits = line.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let (head, digits) = line.split_at_checked(line.len().checked_sub(digits)?)?;
        if digits.is_empty() {
            return None;
        }
        let head = head.strip_suffix(b"{")?;
        Some(Marker {
            octets: number63(digits),
            non_synchronizing,
            binary: head.ends_with(b"~"),
        })
    }
}

/// Digits as a number of at most 63 bits (RFC 9051 §9, number64).
pub(super) fn number63(digits: &[u8]) -> Option<u64> {
    let mut number: u64 = 0;
    for digit in digits {
        let digit = u64::from(digit.checked_sub(b'0')?);
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    (number <= i64::MAX as u64).then_some(number)
}

/// Whether a line that starts outside a quoted string ends inside one: then a brace at its end is
/// text and announces nothing.
pub(super) fn ends_in_quotes(line: &[u8]) -> bool {
    let mut quoted = false;
    let mut octets = line.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                octets.next();
            }
            _ => {}
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(octets: Option<u64>, non_synchronizing: bool, binary: bool) -> Option<Marker> {
        Some(Marker {
            octets,
            non_synchronizing,
            binary,
        })
    }

    #[test]
    fn reads_every_form_and_no_other() {
        assert_eq!(
            Marker::at_end(b"a LOGIN {5}"),
            marker(Some(5), false, false)
        );
        assert_eq!(
            Marker::at_end(b"a LOGIN {5+}"),
            marker(Some(5), true, false)
        );
        assert_eq!(Marker::at_end(b"x ~{7}"), marker(Some(7), false, true));
        assert_eq!(Marker::at_end(b"x ~{7+}"), marker(Some(7), true, true));
        assert_eq!(
            Marker::at_end(b"{9223372036854775807}"),
            marker(Some(i64::MAX as u64), false, false)
        );
        assert_eq!(
            Marker::at_end(b"{9223372036854775808}"),
            marker(None, false, false)
        );
        assert_eq!(
            Marker::at_end(b"{99999999999999999999999+}"),
            marker(None, true, false)
        );
        for line in [
            &b"{}"[..],
            b"{+}",
            b"{-1}",
            b"{5-}",
            b"{5",
            b"5}",
            b"{5} ",
            b"{ 5}",
            b"}",
            b"",
        ] {
            assert_eq!(
                Marker::at_end(line),
                None,
                "{}",
                String::from_utf8_lossy(line)
            );
        }
    }

    #[test]
    fn knows_quotes_from_escapes() {
        assert!(ends_in_quotes(br#"a SEARCH SUBJECT "x {3}"#));
        assert!(!ends_in_quotes(br#"a SEARCH SUBJECT "x" {3}"#));
        assert!(ends_in_quotes(br#"a LOGIN "\"\\\" {3}"#));
        assert!(!ends_in_quotes(br#"a LOGIN "\"\\" {3}"#));
    }
}
