//! Flag lists (RFC 9051 §2.3.2): `(\Seen $Forwarded)`.
//!
//! The answer to a FETCH of a large mailbox is little else, so each of the 64 sets of system flags
//! is written at compile time.

use store::mail::flags::{Flags, Keywords};

use super::super::token::is_atom_char;

/// The flags of a message. A keyword is an entry of the mailbox's table; with `recent` the message
/// is `\Recent` (RFC 3501 §2.3.2).
pub fn flag_list(
    out: &mut Vec<u8>,
    flags: Flags,
    keywords: Keywords,
    table: &[String],
    recent: bool,
) {
    let set = flags & Flags::ALL;
    let set = usize::from(set.0) | if recent { RECENT } else { 0 };
    let system = SYSTEM_LISTS.get(set).map_or(&[][..], Text::written);
    out.push(b'(');
    out.extend_from_slice(system);
    let mut is_empty = system.is_empty();
    for name in keywords.positions().filter_map(|at| table.get(at)) {
        if is_keyword(name) {
            if !std::mem::take(&mut is_empty) {
                out.push(b' ');
            }
            out.extend_from_slice(name.as_bytes());
        }
    }
    out.push(b')');
}

/// Whether a name can be shown as a flag-keyword; the parser lets no other in.
#[must_use]
pub fn is_keyword(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_atom_char)
}

/// Names of flags with spaces between them.
#[derive(Clone, Copy)]
struct Text {
    octets: [u8; TEXT_BYTES_MAX],
    len: usize,
}

#[expect(clippy::indexing_slicing, reason = "a bad index does not compile")]
impl Text {
    const fn of(set: usize) -> Text {
        let mut text = Text {
            octets: [0; TEXT_BYTES_MAX],
            len: 0,
        };
        let mut at = 0;
        while at < NAMES.len() {
            if set & NAMES[at].0 != 0 {
                text.add(NAMES[at].1);
            }
            at += 1;
        }
        text
    }

    const fn add(&mut self, name: &[u8]) {
        if self.len > 0 {
            self.octets[self.len] = b' ';
            self.len += 1;
        }
        let (_, free) = self.octets.split_at_mut(self.len);
        let (place, _) = free.split_at_mut(name.len());
        place.copy_from_slice(name);
        self.len += name.len();
    }

    fn written(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

/// The place of a set is its bits, with `RECENT` where the message is `\Recent`.
#[expect(clippy::indexing_slicing, reason = "a bad index does not compile")]
static SYSTEM_LISTS: [Text; 2 * RECENT] = {
    let mut lists = [Text::of(0); 2 * RECENT];
    let mut set = 1;
    while set < lists.len() {
        lists[set] = Text::of(set);
        set += 1;
    }
    lists
};

const RECENT: usize = Flags::ALL.0 as usize + 1;

const NAMES: [(usize, &[u8]); 6] = [
    (Flags::ANSWERED.0 as usize, b"\\Answered"),
    (Flags::FLAGGED.0 as usize, b"\\Flagged"),
    (Flags::DELETED.0 as usize, b"\\Deleted"),
    (Flags::SEEN.0 as usize, b"\\Seen"),
    (Flags::DRAFT.0 as usize, b"\\Draft"),
    (RECENT, b"\\Recent"),
];

/// All of the names.
const TEXT_BYTES_MAX: usize = 48;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(flags: Flags, keywords: u64, recent: bool) -> String {
        let table = ["$Forwarded".to_owned(), "a b".to_owned(), "x".to_owned()];
        let mut out = Vec::new();
        flag_list(&mut out, flags, Keywords(keywords), &table, recent);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn flags_by_name() {
        assert_eq!(written(Flags::NONE, 0, false), "()");
        assert_eq!(written(Flags::NONE, 0b101, false), "($Forwarded x)");
        assert_eq!(
            written(Flags::SEEN | Flags::ANSWERED, 0b101, true),
            "(\\Answered \\Seen \\Recent $Forwarded x)"
        );
        assert_eq!(
            written(Flags::ALL, 0, true),
            "(\\Answered \\Flagged \\Deleted \\Seen \\Draft \\Recent)"
        );
        // A name that is no atom is damage and is not shown; nor is one beyond the table.
        assert_eq!(written(Flags::NONE, 0b1010, false), "()");
        assert_eq!(written(Flags(0xffe0), 1 << 63, false), "()");
    }
}
