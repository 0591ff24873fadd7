//! Modified UTF-7 (RFC 3501 §5.1.3): printable ASCII stands for itself, `&-` for `&`, and
//! `&base64-` for UTF-16BE of everything else.
//!
//! Law: `decode_utf7(w)` is `Some(n)` exactly where `encode_utf7(n)` is `w`. This refuses overlong
//! forms, shifts that touch, leftover bits and lone surrogates without a rule for each.

use base64::Engine;
use base64::alphabet::IMAP_MUTF7;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

const BASE64: GeneralPurpose = GeneralPurpose::new(&IMAP_MUTF7, NO_PAD);

/// A name from the wire; `None` where it is not what [`encode_utf7`] writes.
#[must_use]
pub fn decode_utf7(wire: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(wire.len());
    let mut rest = std::str::from_utf8(wire).ok()?;
    while let Some((plain, shifted)) = rest.split_once('&') {
        name.push_str(plain);
        let (shift, tail) = shifted.split_once('-')?;
        match shift {
            "" => name.push('&'),
            shift => decode_shift(shift, &mut name)?,
        }
        rest = tail;
    }
    name.push_str(rest);
    let mut again = Vec::with_capacity(wire.len());
    encode_utf7(&mut again, &name);
    (again == wire).then_some(name)
}

/// A name for the wire.
pub fn encode_utf7(out: &mut Vec<u8>, name: &str) {
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let end = |belongs: fn(char) -> bool| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        if first == '&' {
            out.extend_from_slice(b"&-");
            rest = rest.get(1..).unwrap_or_default();
        } else if is_direct(first) {
            let (plain, tail) = rest.split_at(end(is_direct));
            out.extend_from_slice(plain.as_bytes());
            rest = tail;
        } else {
            let (run, tail) = rest.split_at(end(is_shifted));
            encode_shift(out, run);
            rest = tail;
        }
    }
}

fn decode_shift(shift: &str, name: &mut String) -> Option<()> {
    let octets = BASE64.decode(shift).ok()?;
    let units = octets.chunks(2).map(|pair| match pair {
        [high, low] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    });
    let units: Vec<u16> = units.collect::<Option<_>>()?;
    name.push_str(&String::from_utf16(&units).ok()?);
    Some(())
}

fn encode_shift(out: &mut Vec<u8>, run: &str) {
    let octets: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
    out.push(b'&');
    out.extend_from_slice(BASE64.encode(octets).as_bytes());
    out.push(b'-');
}

/// Stands for itself.
fn is_direct(c: char) -> bool {
    matches!(c, ' '..='~') && c != '&'
}

/// Goes into base64.
fn is_shifted(c: char) -> bool {
    !matches!(c, ' '..='~')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn encoded(name: &str) -> String {
        let mut out = Vec::new();
        encode_utf7(&mut out, name);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc() {
        let mixed = "~peter/mail/台北/日本語";
        assert_eq!(encoded(mixed), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(
            decode_utf7(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").unwrap(),
            mixed
        );
        assert_eq!(encoded("R&D"), "R&-D");
        assert_eq!(encoded("&&"), "&-&-");
        assert_eq!(encoded("é&😀"), "&AOk-&-&2D3eAA-");
    }

    #[test]
    fn refuses_every_second_spelling() {
        for wire in [
            &b"&U,BTFw-&ZeVnLIqe-"[..], // shifts that touch
            b"&AGE-",                   // an overlong "a"
            b"&ACY-",                   // an overlong "&"
            b"a&",                      // no end
            b"&AOk",                    // no end
            b"R&D",                     // a bare &
            b"&AOl-",                   // leftover bits
            b"&2D0-",                   // half a surrogate pair
            b"&3gA-",                   // the other half
            b"&AA-",                    // half a code unit
            b"&AOk=-",                  // padding
            b"&AO/-",                   // the other base64
            b"\xc3\xa9",                // UTF-8
            b"\xff",
            b"a\tb", // a control character outside base64
        ] {
            assert_eq!(decode_utf7(wire), None, "{}", String::from_utf8_lossy(wire));
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(name in "\\PC{0,40}|[&a-c\u{e9}\u{1f600}-]{0,20}") {
            let wire = encoded(&name);
            prop_assert!(wire.bytes().all(|b| (0x20..0x7f).contains(&b)));
            prop_assert_eq!(decode_utf7(wire.as_bytes()), Some(name));
        }

        #[test]
        fn whatever_is_decoded_has_that_one_spelling(wire in "[&A-D,0-9+/-]{0,16}") {
            if let Some(name) = decode_utf7(wire.as_bytes()) {
                prop_assert_eq!(encoded(&name), wire);
            }
        }
    }
}
