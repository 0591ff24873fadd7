//! Transfer encodings decoded in pieces (RFC 2045 §6), for BINARY (RFC 3516) and for searching.
//!
//! The decoders take what mailers write: octets outside the base64 alphabet are skipped, padding
//! may be missing, `=` without two hex digits stays as it is. An unknown encoding is an error, so
//! that BINARY answers `NO [UNKNOWN-CTE]` (RFC 3516 §4.3).

use super::content::Encoding;

/// The encoding is none of RFC 2045's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownEncoding;

/// Decodes a body that passes in pieces.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Identity,
    Base64(Base64),
    QuotedPrintable(QuotedPrintable),
}

impl Decoder {
    pub fn new(encoding: &Encoding) -> Result<Self, UnknownEncoding> {
        let state = match encoding.0.to_ascii_lowercase().as_slice() {
            b"7bit" | b"8bit" | b"binary" => State::Identity,
            b"base64" => State::Base64(Base64::default()),
            b"quoted-printable" => State::QuotedPrintable(QuotedPrintable::default()),
            _ => return Err(UnknownEncoding),
        };
        Ok(Self { state })
    }

    /// For `7bit`, `8bit` and `binary`.
    pub fn identity() -> Self {
        Self {
            state: State::Identity,
        }
    }

    /// Whether what comes out is what goes in.
    pub fn is_identity(&self) -> bool {
        matches!(self.state, State::Identity)
    }

    /// Appends what this piece decodes to; never more octets than the piece has, save what an
    /// earlier piece held back.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => out.extend_from_slice(piece),
            State::Base64(decoder) => decoder.feed(piece, out),
            State::QuotedPrintable(decoder) => decoder.feed(piece, out),
        }
    }

    /// Appends what was held back.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self.state {
            State::Identity => {}
            State::Base64(decoder) => decoder.flush(out),
            State::QuotedPrintable(decoder) => decoder.finish(out),
        }
    }
}

/// Counts the octets that a body decodes to, for `BINARY.SIZE`.
#[derive(Clone, Debug)]
pub struct DecodedSize {
    decoder: Decoder,
    scratch: Vec<u8>,
    octets: u64,
}

impl DecodedSize {
    pub fn new(encoding: &Encoding) -> Result<Self, UnknownEncoding> {
        Ok(Self {
            decoder: Decoder::new(encoding)?,
            scratch: Vec::new(),
            octets: 0,
        })
    }

    pub fn feed(&mut self, piece: &[u8]) {
        if self.decoder.is_identity() {
            self.octets += piece.len() as u64;
            return;
        }
        self.scratch.clear();
        self.decoder.feed(piece, &mut self.scratch);
        self.octets += self.scratch.len() as u64;
    }

    pub fn finish(mut self) -> u64 {
        self.scratch.clear();
        self.decoder.finish(&mut self.scratch);
        self.octets + self.scratch.len() as u64
    }
}

/// Up to three digits of six bits that wait for the fourth.
#[derive(Clone, Debug, Default)]
struct Base64 {
    bits: u32,
    digits: u8,
}

impl Base64 {
    fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() / 4 * 3 + 3);
        for octet in piece {
            match digit(*octet) {
                Some(value) => self.digit(value, out),
                // Padding ends a run of digits; another run may follow it.
                None if *octet == b'=' => {
                    self.clone().flush(out);
                    *self = Self::default();
                }
                None => {}
            }
        }
    }

    fn digit(&mut self, value: u8, out: &mut Vec<u8>) {
        self.bits = self.bits << 6 | u32::from(value);
        self.digits += 1;
        if self.digits == 4 {
            let [_, octets @ ..] = self.bits.to_be_bytes();
            out.extend_from_slice(&octets);
            *self = Self::default();
        }
    }

    fn flush(self, out: &mut Vec<u8>) {
        let missing = 4_u32.saturating_sub(u32::from(self.digits));
        let [_, first, second, _] = (self.bits << (6 * missing)).to_be_bytes();
        match self.digits {
            2 => out.push(first),
            3 => out.extend_from_slice(&[first, second]),
            _ => {}
        }
    }
}

/// ```text
/// Text ── = ──▶ Equals ── LF ──▶ Text          soft line break (RFC 2045 §6.7 rule 5)
///                  ├── hex ──▶ High ── hex ──▶ Text
///                  └── white space ──▶ Soft ── LF ──▶ Text
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum QpState {
    #[default]
    Text,
    Equals,
    /// The first hex digit.
    High(u8),
    /// `=` and white space: a soft line break if the line ends here.
    Soft,
}

#[derive(Clone, Debug, Default)]
struct QuotedPrintable {
    state: QpState,
    /// White space that falls away if the line ends here (RFC 2045 §6.7 rule 3), with the CR.
    space: Vec<u8>,
}

impl QuotedPrintable {
    fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some((first, tail)) = rest.split_first() {
            if self.state == QpState::Text && self.space.is_empty() {
                let plain = rest
                    .iter()
                    .position(|o| matches!(o, b'=' | b' ' | b'\t' | b'\r'));
                let (text, tail) = rest.split_at(plain.unwrap_or(rest.len()));
                if !text.is_empty() {
                    out.extend_from_slice(text);
                    rest = tail;
                    continue;
                }
            }
            self.octet(*first, out);
            rest = tail;
        }
    }

    fn octet(&mut self, octet: u8, out: &mut Vec<u8>) {
        match (self.state, octet) {
            (QpState::Text, b'=') => {
                out.append(&mut self.space);
                self.state = QpState::Equals;
            }
            (QpState::Text, b' ' | b'\t') => self.keep_space(octet, out),
            (QpState::Text, b'\r') => self.space.push(octet),
            (QpState::Text, b'\n') => self.line_end(out),
            (QpState::Text, _) => {
                out.append(&mut self.space);
                out.push(octet);
            }
            (QpState::Equals | QpState::Soft, b'\n') => self.reset(),
            (QpState::Equals | QpState::Soft, b' ' | b'\t' | b'\r') => {
                self.state = QpState::Soft;
                self.keep_space(octet, out);
            }
            (QpState::Equals, _) if octet.is_ascii_hexdigit() => self.state = QpState::High(octet),
            (QpState::High(high), _) => self.low(high, octet, out),
            // Not an escape at all: RFC 2045 §6.7 note (1) suggests to show it as it is.
            (QpState::Equals | QpState::Soft, _) => {
                out.push(b'=');
                out.append(&mut self.space);
                self.state = QpState::Text;
                self.octet(octet, out);
            }
        }
    }

    fn low(&mut self, high: u8, low: u8, out: &mut Vec<u8>) {
        self.state = QpState::Text;
        match hex(high, low) {
            Some(octet) => out.push(octet),
            None => {
                out.extend_from_slice(&[b'=', high]);
                self.octet(low, out);
            }
        }
    }

    /// Holds white space back, but never more than a line of it.
    fn keep_space(&mut self, octet: u8, out: &mut Vec<u8>) {
        if self.space.len() >= SPACE_BYTES_MAX && self.state == QpState::Text {
            out.append(&mut self.space);
        }
        if self.space.len() < SPACE_BYTES_MAX {
            self.space.push(octet);
        }
    }

    fn line_end(&mut self, out: &mut Vec<u8>) {
        if self.space.ends_with(b"\r") {
            out.push(b'\r');
        }
        out.push(b'\n');
        self.space.clear();
    }

    fn reset(&mut self) {
        self.space.clear();
        self.state = QpState::Text;
    }

    fn finish(self, out: &mut Vec<u8>) {
        match self.state {
            QpState::Text | QpState::Equals | QpState::Soft => {}
            QpState::High(high) => out.extend_from_slice(&[b'=', high]),
        }
    }
}

/// White space at the end of a line that is held back, in octets.
const SPACE_BYTES_MAX: usize = 1024;

fn digit(octet: u8) -> Option<u8> {
    let value = DIGITS.get(usize::from(octet)).copied().unwrap_or(NO_DIGIT);
    (value != NO_DIGIT).then_some(value)
}

const NO_DIGIT: u8 = 64;

#[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
const DIGITS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 64 {
        digits[alphabet[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// The octet of two hex digits of any case.
pub(super) fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |o: u8| char::from(o).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(encoding: &str, text: &[u8], step: usize) -> Vec<u8> {
        let encoding = Encoding(encoding.into());
        let mut decoder = Decoder::new(&encoding).unwrap();
        let mut size = DecodedSize::new(&encoding).unwrap();
        let mut out = Vec::new();
        for piece in text.chunks(step) {
            decoder.feed(piece, &mut out);
            size.feed(piece);
        }
        decoder.finish(&mut out);
        assert_eq!(size.finish(), out.len() as u64);
        out
    }

    fn check(encoding: &str, text: &[u8], expected: &[u8]) {
        for step in 1..=text.len().max(1) {
            assert_eq!(decode(encoding, text, step), expected, "{step}: {text:?}");
        }
    }

    #[test]
    fn base64_of_rfc_4648_and_of_careless_mailers() {
        check("base64", b"Zm9vYmFy", b"foobar");
        check("BASE64", b"Zm9v\r\nYmE=\r\n", b"fooba");
        check("base64", b"Zg==", b"f");
        check("base64", b"Zg", b"f");
        check("base64", b"Zm8=Zm8=", b"fofo");
        check("base64", b"Z!m 9*v", b"foo");
        check("base64", b"Z", b"");
    }

    #[test]
    fn quoted_printable_of_rfc_2045_section_6_7() {
        check("quoted-printable", b"=41=c3=A9 b\r\n", b"A\xc3\xa9 b\r\n");
        check("quoted-printable", b"one =\r\ntwo=\nthree", b"one twothree");
        check("quoted-printable", b"soft= \t\r\nbreak", b"softbreak");
        check(
            "quoted-printable",
            b"blanks \t \r\nx \ny",
            b"blanks\r\nx\ny",
        );
        check("quoted-printable", b"a=zb=4=x= =\n", b"a=zb=4=x= ");
        check("quoted-printable", b"lone\rcr= x=4", b"lone\rcr= x=4");
        check("quoted-printable", b"end=", b"end");
    }

    #[test]
    fn identity_and_the_unknown() {
        check("8bit", b"\x00\xff=\r\n", b"\x00\xff=\r\n");
        assert_eq!(
            Decoder::new(&Encoding(b"x-uuencode".to_vec())).err(),
            Some(UnknownEncoding)
        );
    }

    #[test]
    fn blanks_without_end_are_not_hoarded() {
        let text = vec![b' '; 1 << 20];
        let mut decoder = Decoder::new(&Encoding(b"quoted-printable".to_vec())).unwrap();
        let mut out = Vec::new();
        decoder.feed(&text, &mut out);
        assert!(out.len() >= text.len() - SPACE_BYTES_MAX);
    }
}
