//! `$1$` of crypt(3): FreeBSD's MD5-crypt of 1994, read for migration only.

use md5::{Digest, Md5};

/// Longer salts are cut by every implementation.
pub(super) const SALT_BYTES_MAX: usize = 8;

const ROUNDS: usize = 1000;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The 22 signs after the last `$`.
pub(super) fn md5_crypt(password: &[u8], salt: &[u8]) -> String {
    let mut digest = first(password, salt);
    for round in 0..ROUNDS {
        let mut hash = Md5::new();
        let odd = round % 2 == 1;
        hash.update(if odd { password } else { &digest });
        if round % 3 != 0 {
            hash.update(salt);
        }
        if round % 7 != 0 {
            hash.update(password);
        }
        hash.update(if odd { &digest } else { password });
        digest = hash.finalize().into();
    }
    encode(&digest)
}

fn first(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let inner: [u8; 16] = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize()
        .into();
    let mut hash = Md5::new();
    hash.update(password);
    hash.update(b"$1$");
    hash.update(salt);
    let as_long_as_password = inner.iter().cycle().take(password.len());
    hash.update(as_long_as_password.copied().collect::<Vec<u8>>());
    let mut bits = password.len();
    while bits > 0 {
        // The oddity of the original: a zero for a one, the first octet for a zero.
        match bits % 2 {
            1 => hash.update([0]),
            _ => hash.update(password.first().map_or(&[][..], std::slice::from_ref)),
        }
        bits /= 2;
    }
    hash.finalize().into()
}

/// Three octets at a time, six bits a sign, the lowest first, in the order of the original.
fn encode(digest: &[u8; 16]) -> String {
    let d = digest;
    let groups = [
        (d[0], d[6], d[12]),
        (d[1], d[7], d[13]),
        (d[2], d[8], d[14]),
        (d[3], d[9], d[15]),
        (d[4], d[10], d[5]),
        (0, 0, d[11]),
    ];
    let mut text = String::with_capacity(24);
    for (high, middle, low) in groups {
        let mut value = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        for _ in 0..4 {
            text.extend(ALPHABET.get(value % 64).map(|sign| char::from(*sign)));
            value /= 64;
        }
    }
    text.truncate(22);
    text
}

#[cfg(test)]
mod tests {
    use super::md5_crypt;

    /// From libxcrypt's crypt(3).
    #[test]
    fn agrees_with_crypt_3() {
        let vectors = [
            ("pass word \u{e9}", "abcdefgh", "i0uIR0MmRSFYCTN3ALkkQ/"),
            ("pass word \u{e9}", "ab", "YdFbktxAfSu55S2ucU625."),
            ("x", "abcdefgh", "znAnv9M.XU2pRYfmSs46h/"),
            ("", "abcdefgh", "M55TzYaaccxVGbptZWaxX/"),
            (&"a".repeat(100), "abcdefgh", "PMYmUtA3DUw85XNTjARVj0"),
        ];
        for (password, salt, expected) in vectors {
            assert_eq!(md5_crypt(password.as_bytes(), salt.as_bytes()), expected);
        }
    }
}
