//! The unique id of a message (RFC 1939 §7, UIDL): 1 to 70 octets of printable ASCII.
//!
//! ```text
//! 0000002a6aa1f2c0      UID and UIDVALIDITY, eight hexadecimal digits each
//! ```
//!
//! That is what Dovecot gives where nothing else is configured, so a mailbox that moves in with its
//! UIDs keeps its unique ids. Ids of another form are kept beside the messages (`Shard::uidls`).

use store::mail::id::{Uid, UidValidity};

/// Adds the id of a message that brought none along.
pub fn write_own(uid: Uid, uid_validity: UidValidity, out: &mut Vec<u8>) {
    put_hex(uid.0, out);
    put_hex(uid_validity.0, out);
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
    }
}
