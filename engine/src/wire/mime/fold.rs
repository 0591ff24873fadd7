//! Folding text so that equal text has equal octets: i;unicode-casemap (RFC 5051 §2).
//!
//! Each character is mapped to titlecase and then decomposed, compatibly and recursively; nothing
//! is reordered. The simple titlecase mapping that the RFC names is the uppercase mapping where
//! that is one character, save for the digraphs and the Georgian letters below.

use unicode_normalization::char::decompose_compatible;

/// Appends `text` folded.
pub fn fold(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = rest
            .bytes()
            .position(|o| !o.is_ascii())
            .unwrap_or(rest.len());
        let (plain, other) = rest.split_at_checked(ascii).unwrap_or((rest, ""));
        let folded = out.len();
        out.extend_from_slice(plain.as_bytes());
        out.iter_mut()
            .skip(folded)
            .for_each(u8::make_ascii_uppercase);
        rest = fold_first(other, out);
    }
}

/// Folds the first character of `text` and returns what follows it.
fn fold_first<'a>(text: &'a str, out: &mut Vec<u8>) -> &'a str {
    let mut characters = text.chars();
    if let Some(character) = characters.next() {
        decompose_compatible(titlecase(character), |part| {
            out.extend_from_slice(part.encode_utf8(&mut [0; 4]).as_bytes());
        });
    }
    characters.as_str()
}

/// The simple titlecase mapping (field 14 of UnicodeData.txt).
fn titlecase(character: char) -> char {
    match character {
        '\u{01C4}'..='\u{01C6}' => '\u{01C5}',
        '\u{01C7}'..='\u{01C9}' => '\u{01C8}',
        '\u{01CA}'..='\u{01CC}' => '\u{01CB}',
        '\u{01F1}'..='\u{01F3}' => '\u{01F2}',
        // Georgian has capitals but no titlecase.
        '\u{10D0}'..='\u{10FF}' => character,
        // Greek with iota subscript: one character with a capital, three in uppercase.
        '\u{1F80}'..='\u{1F87}' | '\u{1F90}'..='\u{1F97}' | '\u{1FA0}'..='\u{1FA7}' => {
            offset(character, 8)
        }
        '\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}' => offset(character, 9),
        _ => {
            let mut upper = character.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(upper), None) => upper,
                _ => character,
            }
        }
    }
}

fn offset(character: char, by: u32) -> char {
    char::from_u32(u32::from(character) + by).unwrap_or(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut out = Vec::new();
        fold(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn equal_text_folds_equally() {
        for (left, right) in [
            ("straße", "STRAßE"),
            ("éa", "E\u{301}A"),
            ("Ж", "ж"),
            ("ſ", "s"),
            ("ﾊﾟ", "パ"),
            ("①", "1"),
            ("Σ", "ς"),
            ("Å", "å"),
            ("ᾳ", "ᾼ"),
            ("ĳ", "Ĳ"),
            ("각", "각"),
        ] {
            assert_eq!(folded(left), folded(right), "{left} {right}");
        }
    }

    #[test]
    fn what_rfc_5051_keeps_apart() {
        assert_ne!(folded("ß"), folded("ss"));
        assert_ne!(folded("é"), folded("e"));
    }

    #[test]
    fn ascii_is_upper_case() {
        assert_eq!(folded("aZ9[`{é~"), "AZ9[`{E\u{301}~");
    }
}
