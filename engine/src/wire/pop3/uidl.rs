//! The unique id of a message (RFC 1939 §7, UIDL): 1 to 70 octets of printable ASCII.
//!
//! ```text
//! 0000002a6aa1f2c0      UID and UIDVALIDITY, eight hexadecimal digits each
//! ```
//!
//! That is what Dovecot gives where nothing else is configured, so a mailbox that moves in with
//! its UIDs keeps its unique ids. Ids of another form are kept beside the messages
//! (`Shard::uidls`).

use store::mail::id::{Uid, UidValidity};

/// Adds the id of a message that brought none along.
pub fn write_own(uid: Uid, uid_validity: UidValidity, out: &mut Vec<u8>) {
    put_hex(uid.0, out);
    put_hex(uid_validity.0, out);
}

/// UID and UIDVALIDITY of an id that has our form.
#[must_use]
pub fn read_own(text: &[u8]) -> Option<(Uid, UidValidity)> {
    let (uid, uid_validity) = text.split_first_chunk::<8>()?;
    Some((Uid(hex(uid)?), UidValidity(hex(uid_validity)?)))
}

/// Eight digits as [`put_hex`] writes them.
fn hex(text: &[u8]) -> Option<u32> {
    let is_digit = |octet: &u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
    let is_plain = text.len() == 8 && text.iter().all(is_digit);
    let text = str::from_utf8(text).ok().filter(|_| is_plain)?;
    u32::from_str_radix(text, 16).ok()
}

fn put_hex(number: u32, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let octets = number.to_be_bytes();
    let nibbles = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    out.extend(nibbles.filter_map(|nibble| DIGITS.get(usize::from(nibble))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_dovecot_gives() {
        let mut out = Vec::new();
        write_own(Uid(42), UidValidity(0x6aa1_f2c0), &mut out);
        assert_eq!(out, b"0000002a6aa1f2c0");
        assert_eq!(read_own(&out), Some((Uid(42), UidValidity(0x6aa1_f2c0))));
        for other in [
            &b"0000002A6aa1f2c0"[..],
            b"0000002a6aa1f2c",
            b"0000002a6aa1f2c00",
            b"",
        ] {
            assert_eq!(read_own(other), None);
        }
    }
}
