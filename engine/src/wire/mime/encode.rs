//! Transfer encodings, written: quoted-printable and base64 (RFC 2045 §6.7, §6.8).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Writes text in quoted-printable; CRLF stays a line end.
pub fn quoted_printable(text: &[u8], out: &mut Vec<u8>) {
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

/// Writes octets in base64, in lines of 76; the last one has no line end.
pub fn base64(octets: &[u8], out: &mut Vec<u8>) {
    let mut line = [0; BASE64_COLUMNS];
    for (number, piece) in octets.chunks(BASE64_COLUMNS / 4 * 3).enumerate() {
        if number > 0 {
            out.extend_from_slice(b"\r\n");
        }
        let written = STANDARD.encode_slice(piece, &mut line);
        let written = written.expect("57 octets fit into 76");
        out.extend_from_slice(line.get(..written).unwrap_or_default());
    }
}

/// RFC 2045 §6.7 (5), the soft line end included.
const QUOTED_COLUMNS: usize = 76;

const BASE64_COLUMNS: usize = 76;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mime::content::Encoding;
    use crate::wire::mime::transfer::Decoder;
    use proptest::prelude::*;

    fn decoded(encoding: &str, octets: &[u8]) -> Vec<u8> {
        let mut decoder = Decoder::new(&Encoding(encoding.into())).unwrap();
        let mut back = Vec::new();
        decoder.feed(octets, &mut back);
        decoder.finish(&mut back);
        back
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            for (name, write) in [
                ("quoted-printable", quoted_printable as fn(&[u8], &mut Vec<u8>)),
                ("base64", base64),
            ] {
                let mut written = Vec::new();
                write(&octets, &mut written);
                prop_assert!(written.is_ascii());
                prop_assert!(written.split(|b| *b == b'\n').all(|line| line.len() <= 77));
                prop_assert_eq!(decoded(name, &written), &octets[..]);
            }
        }
    }
}
