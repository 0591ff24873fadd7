//! Charsets by their MIME names, decoded to UTF-8 (RFC 2046 §4.1.2).
//!
//! `us-ascii` and `iso-8859-1` are read as windows-1252, as every browser and mail-parser do. Text
//! without a charset or with an unknown one is read as UTF-8, broken sequences as U+FFFD.

use encoding_rs::{Encoding, UTF_8};

/// The charsets that can be searched in, by the names that MIME prefers.
pub const NAMES: &[&str] = &[
    "US-ASCII",
    "UTF-8",
    "ISO-8859-1",
    "ISO-8859-2",
    "ISO-8859-3",
    "ISO-8859-4",
    "ISO-8859-5",
    "ISO-8859-6",
    "ISO-8859-7",
    "ISO-8859-8",
    "ISO-8859-9",
    "ISO-8859-10",
    "ISO-8859-13",
    "ISO-8859-14",
    "ISO-8859-15",
    "ISO-8859-16",
    "WINDOWS-1250",
    "WINDOWS-1251",
    "WINDOWS-1252",
    "WINDOWS-1253",
    "WINDOWS-1254",
    "WINDOWS-1255",
    "WINDOWS-1256",
    "WINDOWS-1257",
    "WINDOWS-1258",
    "WINDOWS-874",
    "KOI8-R",
    "KOI8-U",
    "IBM866",
    "MACINTOSH",
    "BIG5",
    "EUC-JP",
    "EUC-KR",
    "GB18030",
    "GBK",
    "ISO-2022-JP",
    "SHIFT_JIS",
    "UTF-16BE",
    "UTF-16LE",
];

/// The encoding of this name, `None` where it is unknown.
pub fn named(name: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_label_no_replacement(name).or_else(|| {
        let alias = ALIASES
            .iter()
            .find(|(alias, _)| name.eq_ignore_ascii_case(alias));
        alias.and_then(|(_, label)| Encoding::for_label(label))
    })
}

/// The encoding of this name, or UTF-8.
pub fn named_or_utf8(name: Option<&[u8]>) -> &'static Encoding {
    name.and_then(named).unwrap_or(UTF_8)
}

/// Decodes octets that are whole.
pub fn decode(encoding: &'static Encoding, octets: &[u8]) -> String {
    encoding.decode_without_bom_handling(octets).0.into_owned()
}

/// Names seen in mail that the WHATWG list lacks (IANA character sets).
const ALIASES: [(&[u8], &[u8]); 10] = [
    (b"ansi-x3.4-1968", b"us-ascii"),
    (b"ansi_x3.4-1986", b"us-ascii"),
    (b"iso646-us", b"us-ascii"),
    (b"us", b"us-ascii"),
    (b"latin-1", b"iso-8859-1"),
    (b"iso_8859-1:1987", b"iso-8859-1"),
    (b"cp936", b"gbk"),
    (b"cp949", b"euc-kr"),
    (b"cp932", b"shift_jis"),
    (b"unicode-1-1-utf-8", b"utf-8"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_charset_that_is_named_is_known() {
        for name in NAMES {
            assert!(named(name.as_bytes()).is_some(), "{name}");
        }
    }

    #[test]
    fn names_are_found_whatever_their_case() {
        assert_eq!(decode(named(b"KOI8-R").unwrap(), b"\xf0\xd2"), "Пр");
        assert_eq!(decode(named(b"ANSI-X3.4-1968").unwrap(), b"\x80"), "€");
        assert!(named(b"x-no-such-charset").is_none());
        assert_eq!(
            decode(named_or_utf8(Some(b"unknown-8bit")), "é".as_bytes()),
            "é"
        );
    }
}
