//! VANISHED and UIDBATCHES (RFC 7162 §3.2.10, RFC 10022 §3.2).

use store::mail::uidset::UidSet;

use super::super::set::write_set;
use super::{CRLF, number, string};

/// Ranges of one VANISHED: a long set is told in several.
pub const RANGES_A_LINE: usize = 4096;

/// `* VANISHED 3:5`, and with `earlier` of what the client was never told in this session. Nothing
/// for an empty set.
pub fn vanished(out: &mut Vec<u8>, earlier: bool, uids: &UidSet) {
    if uids.is_empty() {
        return;
    }
    out.extend_from_slice(match earlier {
        true => b"* VANISHED (EARLIER) ",
        false => b"* VANISHED ",
    });
    write_set(out, uids);
    out.extend_from_slice(CRLF);
}

/// `* UIDBATCHES (TAG "a1") 99:50,49:1`: each from its highest UID to its lowest.
pub fn uid_batches(out: &mut Vec<u8>, tag: &str, batches: impl Iterator<Item = (u32, u32)>) {
    out.extend_from_slice(b"* UIDBATCHES (TAG ");
    string(out, tag.as_bytes(), false);
    out.push(b')');
    for (at, (highest, lowest)) in batches.enumerate() {
        out.push(if at == 0 { b' ' } else { b',' });
        number(out, highest.into());
        out.push(b':');
        number(out, lowest.into());
    }
    out.extend_from_slice(CRLF);
}
