//! Parameters of Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2231).
//!
//! Sections (`title*0`, `title*1*`) are joined, as a client cannot be expected to do it twice, but
//! nothing is decoded: where one section is percent-encoded, the joined parameter is named
//! `title*` and its value keeps charset, language and escapes, the others' octets escaped to match.
//! Dovecot shows the same. Sections behind a gap stay as they were sent. Values without quotes may
//! hold spaces, as broken mailers write them; they end at `;` or at a comment.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::cursor::{Cursor, is_space};
use super::limit::PARAMS_MAX;
use super::word;

/// One parameter, its value without quotes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Param {
    /// As sent; with a final `*` where the value is in the extended form of RFC 2231 §4.
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

/// Parameters in the order of the field.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Params(pub Vec<Param>);

impl Params {
    /// Reads `*(";" attribute "=" value)` up to the end of the field.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Self {
        let mut found = Vec::new();
        while found.len() < PARAMS_MAX && skip_to_semicolon(cursor) {
            found.extend(read_one(cursor));
        }
        Self(join(found))
    }

    /// The value of this parameter, decoded if it is in the extended form, which goes before the
    /// plain one (RFC 2231 §3).
    pub fn value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let extended = |p: &&Param| {
            let base = p.name.strip_suffix(b"*");
            base.is_some_and(|b| b.eq_ignore_ascii_case(name.as_bytes()))
        };
        let plain = |p: &&Param| p.name.eq_ignore_ascii_case(name.as_bytes());
        if let Some(param) = self.0.iter().find(extended) {
            return Some(Cow::Owned(word::decode_extended(&param.value).into_bytes()));
        }
        let param = self.0.iter().find(plain)?;
        Some(Cow::Borrowed(&param.value))
    }
}

fn skip_to_semicolon(cursor: &mut Cursor<'_>) -> bool {
    loop {
        cursor.run(|o| !matches!(o, b';' | b'"' | b'('));
        match cursor.next() {
            None => return false,
            Some(b';') => return true,
            Some(b'"') => drop(cursor.quoted()),
            Some(_) => drop(cursor.comment()),
        }
    }
}

fn read_one(cursor: &mut Cursor<'_>) -> Option<Param> {
    cursor.skip_cfws();
    let name = cursor.run(|o| !is_space(o) && !matches!(o, b'=' | b';' | b'(' | b'"'));
    cursor.skip_cfws();
    if name.is_empty() || !cursor.take(b'=') {
        return None;
    }
    cursor.skip_cfws();
    let value = match cursor.take(b'"') {
        true => cursor.quoted(),
        false => unquoted(cursor),
    };
    Some(Param {
        name: name.to_vec(),
        value,
    })
}

/// A value without quotes, to the next `;` or to a comment behind white space.
fn unquoted(cursor: &mut Cursor<'_>) -> Vec<u8> {
    let mut value: Vec<u8> = Vec::new();
    loop {
        value.extend_from_slice(cursor.run(|o| !is_space(o) && o != b';'));
        let space = cursor.run(is_space);
        if space.is_empty() || matches!(cursor.peek(), None | Some(b';' | b'(')) {
            return value;
        }
        value.push(b' ');
    }
}

/// A section of a parameter that came in several (RFC 2231 §3).
struct Section {
    number: u32,
    extended: bool,
    param: Param,
}

/// `title*1*` is `title`, section 1, extended. A name without a number is no section.
fn section_of(param: &Param) -> Option<(Vec<u8>, u32, bool)> {
    let (name, extended) = match param.name.strip_suffix(b"*") {
        Some(name) => (name, true),
        None => (param.name.as_slice(), false),
    };
    let star = memchr::memrchr(b'*', name)?;
    let (base, digits) = name.split_at_checked(star)?;
    let number = std::str::from_utf8(digits.get(1..)?).ok()?.parse().ok()?;
    Some((base.to_vec(), number, extended))
}

fn join(found: Vec<Param>) -> Vec<Param> {
    let mut plain = Vec::with_capacity(found.len());
    // By name in lower case: the first spelling, its place among the others, the sections.
    let mut split: BTreeMap<Vec<u8>, (Vec<u8>, usize, Vec<Section>)> = BTreeMap::new();
    for (place, param) in found.into_iter().enumerate() {
        match section_of(&param) {
            None => plain.push((place, param)),
            Some((base, number, extended)) => {
                let entry = split.entry(base.to_ascii_lowercase());
                let (_, _, sections) = entry.or_insert_with(|| (base, place, Vec::new()));
                sections.push(Section {
                    number,
                    extended,
                    param,
                });
            }
        }
    }
    for (base, place, sections) in split.into_values() {
        plain.extend(
            join_sections(base, sections)
                .into_iter()
                .map(|p| (place, p)),
        );
    }
    plain.sort_by_key(|(place, _)| *place);
    plain.into_iter().map(|(_, param)| param).collect()
}

fn join_sections(mut name: Vec<u8>, mut sections: Vec<Section>) -> Vec<Param> {
    sections.sort_by_key(|s| s.number);
    let run = (0_u32..)
        .zip(&sections)
        .take_while(|(n, s)| *n == s.number)
        .count();
    let behind_gap = sections.split_off(run);
    let mut params = Vec::with_capacity(behind_gap.len() + 1);
    if let Some(first) = sections.first() {
        let mut value = Vec::new();
        let extended = sections.iter().any(|s| s.extended);
        if extended {
            name.push(b'*');
        }
        if extended && !first.extended {
            value.extend_from_slice(b"''");
        }
        for section in &sections {
            match extended && !section.extended {
                true => escape(&section.param.value, &mut value),
                false => value.extend_from_slice(&section.param.value),
            }
        }
        params.push(Param { name, value });
    }
    params.extend(behind_gap.into_iter().map(|s| s.param));
    params
}

/// RFC 2231 §7: what may not stand in an extended value is percent-encoded.
fn escape(value: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for octet in value {
        if matches!(octet, b'%' | 128..=255) {
            let digit = |d: u8| HEX.get(usize::from(d)).copied().unwrap_or(b'0');
            out.extend([b'%', digit(octet >> 4), digit(octet & 15)]);
        } else {
            out.push(*octet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let text_of = |v: Vec<u8>| String::from_utf8(v).unwrap();
        let params = Params::read(&mut Cursor::new(text.as_bytes()));
        params
            .0
            .into_iter()
            .map(|p| (text_of(p.name), text_of(p.value)))
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn quotes_comments_and_loose_values() {
        assert_eq!(
            read(
                "; charset=us-ascii (Plain text); name=\"a; \\\"b\\\"\" ; file = two words.pdf ;; x"
            ),
            [
                pair("charset", "us-ascii"),
                pair("name", "a; \"b\""),
                pair("file", "two words.pdf")
            ]
        );
    }

    #[test]
    fn sections_are_joined_as_in_rfc_2231_section_4_1() {
        let text = "; a=1; title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n \
            title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"; b=2";
        let joined = "us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn't it!";
        assert_eq!(
            read(text),
            [pair("a", "1"), pair("title*", joined), pair("b", "2")]
        );
        let params = Params::read(&mut Cursor::new(text.as_bytes()));
        assert_eq!(
            &*params.value("Title").unwrap(),
            b"This is even more ***fun*** isn't it!"
        );
    }

    #[test]
    fn plain_sections_join_in_any_order_and_gaps_stay() {
        assert_eq!(
            read("; URL*1=\"b\"; url*0=a; url*3=d; URL*2=c; name*2=z"),
            [pair("URL", "abcd"), pair("name*2", "z")]
        );
    }

    #[test]
    fn parameters_beyond_the_maximum_are_cut() {
        let text: String = (0..10_000).map(|n| format!("; x*{n}=a")).collect();
        let found = read(&text);
        assert_eq!(found, [pair("x", &"a".repeat(PARAMS_MAX))]);
    }
}
