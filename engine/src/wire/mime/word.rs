//! Encoded words (RFC 2047) and extended parameter values (RFC 2231 §4), decoded to UTF-8.
//!
//! An encoded word is decoded wherever it stands, as mailers put them inside words and quotes;
//! white space between two of them falls away (RFC 2047 §6.2), and two of the same charset next
//! to each other may share a character, so that their octets are joined before the charset is
//! decoded. What is no encoded word stays as it is, 8-bit octets read as UTF-8.

use base64::Engine as _;
use encoding_rs::Encoding;

use super::charset;
use super::cursor::is_space;
use super::header;
use super::transfer;
use super::work::spend;

/// Longest encoded word that is tried, in octets. RFC 2047 §2 allows 75; many mailers do not care.
const WORD_BYTES_MAX: usize = 4096;

/// An unstructured value or a phrase as text: unfolded, encoded words decoded.
pub fn decode(value: &[u8]) -> String {
    let mut text = Text::default();
    let mut rest = value.trim_ascii();
    while !rest.is_empty() {
        let Some(at) = memchr::memmem::find(rest, b"=?") else {
            break;
        };
        let (before, from) = rest.split_at(at);
        spend(at);
        text.plain(before);
        match Word::read(from) {
            Some((word, octets)) => {
                text.word(word);
                rest = from.get(octets..).unwrap_or_default();
            }
            None => {
                text.plain(b"=?");
                rest = from.get(2..).unwrap_or_default();
            }
        }
    }
    text.plain(rest);
    text.finish()
}

/// `charset'language'percent-encoded` (RFC 2231 §4); without the quotes, UTF-8.
pub fn decode_extended(value: &[u8]) -> String {
    let mut pieces = value.splitn(3, |o| *o == b'\'');
    let (charset, octets) = match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(octets)) => (Some(charset), octets),
        _ => (None, value),
    };
    charset::decode(charset::named_or_utf8(charset), &percent(octets))
}

struct Word {
    encoding: &'static Encoding,
    octets: Vec<u8>,
}

impl Word {
    /// The encoded word at the start of `from`, and its length.
    fn read(from: &[u8]) -> Option<(Self, usize)> {
        let from = from.get(..from.len().min(WORD_BYTES_MAX))?;
        let inner = from.strip_prefix(b"=?")?;
        let (charset, inner) = until_question(inner)?;
        let (method, inner) = until_question(inner)?;
        let (data, inner) = until_question(inner)?;
        let inner = inner.strip_prefix(b"=")?;
        // RFC 2231 §5: a language may follow the charset.
        let charset = charset.split(|o| *o == b'*').next()?;
        let octets = match method {
            b"q" | b"Q" => q(data),
            b"b" | b"B" => b(data)?,
            _ => return None,
        };
        let encoding = charset::named_or_utf8(Some(charset));
        Some((Self { encoding, octets }, from.len() - inner.len()))
    }
}

/// The text so far. A word waits until it is known what follows it.
#[derive(Default)]
struct Text {
    done: String,
    word: Option<Word>,
    /// White space behind the waiting word.
    space: String,
}

impl Text {
    fn word(&mut self, word: Word) {
        match &mut self.word {
            Some(waiting) if waiting.encoding == word.encoding => {
                waiting.octets.extend(word.octets);
            }
            _ => {
                self.flush_word();
                self.word = Some(word);
            }
        }
        self.space.clear();
    }

    fn plain(&mut self, octets: &[u8]) {
        let unfolded = header::unfold_inside(octets);
        let text = String::from_utf8_lossy(&unfolded);
        if self.word.is_some() && octets.iter().all(|o| is_space(*o)) {
            self.space.push_str(&text);
            return;
        }
        self.flush_word();
        self.done.push_str(&std::mem::take(&mut self.space));
        self.done.push_str(&text);
    }

    fn flush_word(&mut self) {
        if let Some(word) = self.word.take() {
            self.done
                .push_str(&charset::decode(word.encoding, &word.octets));
        }
    }

    fn finish(mut self) -> String {
        self.flush_word();
        self.done
    }
}

fn until_question(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = octets.iter().position(|o| *o == b'?' || *o == b'\n');
    spend(at.unwrap_or(octets.len()));
    let at = at?;
    let (before, rest) = octets.split_at(at);
    Some((before, rest.strip_prefix(b"?")?))
}

/// RFC 2047 §4.2.
fn q(data: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'_', _) => octets.push(b' '),
            (b'=', [high, low, after @ ..]) => match transfer::hex(*high, *low) {
                Some(octet) => {
                    octets.push(octet);
                    rest = after;
                }
                None => octets.push(b'='),
            },
            _ => octets.push(*first),
        }
    }
    octets
}

/// RFC 2047 §4.1; padding may be missing.
fn b(data: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = data
        .iter()
        .copied()
        .filter(|o| !is_space(*o) && *o != b'=')
        .collect();
    LOOSE.decode(digits).ok()
}

const LOOSE: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    base64::engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn percent(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let Some(octet) = transfer::hex(*high, *low)
        {
            out.push(octet);
            rest = after;
        } else {
            out.push(*first);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_2047_section_8() {
        for (coded, text) in [
            ("(=?ISO-8859-1?Q?a?=)", "(a)"),
            ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
            (
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=",
                "If you can read this yo",
            ),
            ("=?US-ASCII*EN?Q?Keith_Moore?= <a@b>", "Keith Moore <a@b>"),
        ] {
            assert_eq!(decode(coded.as_bytes()), text, "{coded}");
        }
    }

    #[test]
    fn a_character_cut_between_two_words_is_whole_again() {
        assert_eq!(decode(b"=?utf-8?Q?=C3?= =?utf-8?Q?=A9?="), "é");
        assert_eq!(decode(b"=?utf-8?B?w6k?="), "é");
    }

    #[test]
    fn what_is_no_encoded_word_stays() {
        for text in ["=?", "a =?b?c", "=?utf-8?X?a?=", "=?utf-8?Q?a", "x=?=?=?"] {
            assert_eq!(decode(text.as_bytes()), text);
        }
    }

    #[test]
    fn extended_values() {
        assert_eq!(decode_extended(b"iso-8859-1'de'%E4%zz"), "ä%zz");
        assert_eq!(decode_extended(b"plain"), "plain");
        assert_eq!(decode_extended(b"''%C3%A9"), "é");
    }
}
