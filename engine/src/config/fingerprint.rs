//! The fingerprint of a certificate: SHA-256 of its DER, as `openssl x509 -fingerprint -sha256`.

use std::fmt;

/// 32 octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// 64 hexadecimal digits in any case, with or without colons between octets, and with or
    /// without `sha256:` before them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Fingerprint> {
        let digits = match text.split_at_checked(7) {
            Some((head, rest)) if head.eq_ignore_ascii_case("sha256:") => rest,
            _ => text,
        };
        let mut octets = [0; 32];
        let mut rest = digits;
        for (place, octet) in octets.iter_mut().enumerate() {
            if place > 0 {
                rest = rest.strip_prefix(':').unwrap_or(rest);
            }
            let (pair, after) = rest.split_at_checked(2)?;
            let is_hex = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            *octet = is_hex.then(|| u8::from_str_radix(pair, 16).ok())??;
            rest = after;
        }
        rest.is_empty().then_some(Fingerprint(octets))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_tools_print_them() {
        let expected = Fingerprint([0xab; 32]);
        let plain = "ab".repeat(32);
        let colons = ["AB"; 32].join(":");
        for text in [
            plain.clone(),
            colons.clone(),
            format!("sha256:{plain}"),
            format!("SHA256:{colons}"),
            expected.to_string(),
        ] {
            assert_eq!(Fingerprint::parse(&text), Some(expected), "{text}");
        }
        for text in [
            "",
            "ab",
            &plain[1..],
            &format!("{plain}0"),
            &"+1".repeat(32),
            "\u{e9}",
        ] {
            assert_eq!(Fingerprint::parse(text), None, "{text}");
        }
    }
}
