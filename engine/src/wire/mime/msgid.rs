//! Message IDs, normalised (RFC 5322 §3.6.4, RFC 5256 §3 REFERENCES).
//!
//! `<"01KF8JCEOCBS0045PS"@xxx.yyy.com>` and `<01KF8JCEOCBS0045PS@xxx.yyy.com>` are the same: quotes
//! are taken off, white space and comments fall away. What has no at between its angles is none.

use super::cursor::Cursor;

/// Message IDs of one References field that are read; the last ones, which are the nearest.
pub const REFERENCES_MAX: usize = 128;

/// The valid Message IDs of a field, in order, without their angles.
pub fn parse(value: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut cursor = Cursor::new(value);
    std::iter::from_fn(move || next(&mut cursor))
}

fn next(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    loop {
        match cursor.next()? {
            b'<' => {
                if let Some(id) = inside(cursor) {
                    return Some(id);
                }
            }
            b'(' => drop(cursor.comment()),
            b'"' => drop(cursor.quoted()),
            _ => {}
        }
    }
}

/// What stands between the angles; a second `<` begins anew.
fn inside(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    let mut id = Vec::new();
    let mut at = None;
    loop {
        let plain = cursor.run(|o| !b"<>@\"( \t\r\n".contains(&o));
        id.extend_from_slice(plain);
        match cursor.next()? {
            b'>' => {
                let left = at?;
                return (left > 0 && left + 1 < id.len()).then_some(id);
            }
            b'<' => (id, at) = (Vec::new(), None),
            b'@' => {
                at = Some(id.len());
                id.push(b'@');
            }
            b'"' => id.extend(cursor.quoted()),
            b'(' => drop(cursor.comment()),
            _ => {}
        }
    }
}

/// A number that stands for a Message ID, never 0. The same on every machine and for ever.
#[must_use]
pub fn number(id: &[u8]) -> u64 {
    // FNV-1a, and a last mixing so that all its bits are good (splitmix64).
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for octet in id {
        hash = (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (hash ^ (hash >> 31)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        let text_of = |id: Vec<u8>| String::from_utf8_lossy(&id).into_owned();
        parse(text.as_bytes()).map(text_of).collect()
    }

    #[test]
    fn ids_are_found_and_normalised() {
        for (text, expected) in [
            ("<a@b>", &["a@b"][..]),
            (" <a@b>\r\n\t<c@d> <e@f>", &["a@b", "c@d", "e@f"]),
            (
                "<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>",
                &["01KF8JCEOCBS0045PS@xxx.yyy.com"],
            ),
            ("<a b@c>", &["ab@c"]),
            ("Your mail of <1@x> (from <2@y>)", &["1@x"]),
            ("\"<1@x>\" <2@y>", &["2@y"]),
            ("<none> <@x> <x@> <>", &[]),
            ("<open@x", &[]),
            ("<<a@b>>", &["a@b"]),
            ("a@b", &[]),
        ] {
            assert_eq!(ids(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_tell_ids_apart() {
        assert_ne!(number(b"a@b"), number(b"A@b"));
        assert_ne!(number(b""), 0);
    }
}
