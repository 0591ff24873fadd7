//! SCRAM keys as they are kept: Dovecot's text `iterations,salt,StoredKey,ServerKey`, the last
//! three in base64. The keys themselves and their use in an exchange are `wire::sasl::scram`.

use crate::wire::sasl::scram::{Hash, Keys};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::prelude::{BASE64_STANDARD, Engine};
use std::num::NonZeroU32;

/// RFC 7677 §4: fewer are not safe to offer.
pub const ITERATIONS_MIN: u32 = 4_096;

/// More would make one login cost seconds.
pub const ITERATIONS_MAX: u32 = 5_000_000;

const SALT_BYTES_MAX: usize = 64;

/// Reads the text form; says what is wrong with it.
pub(super) fn parse(hash: Hash, text: &str) -> Result<Keys, &'static str> {
    const FORM: &str = "expected {SCRAM-SHA-…}iterations,salt,stored key,server key";
    let fields: Vec<&str> = text.split(',').collect();
    let [iterations, salt, stored_key, server_key] = fields.as_slice() else {
        return Err(FORM);
    };
    let iterations: u32 = iterations.parse().map_err(|_| FORM)?;
    if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
        return Err("SCRAM needs from 4,096 to 5,000,000 iterations");
    }
    let salt = BASE64_STANDARD.decode(salt).map_err(|_| FORM)?;
    if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
        return Err(FORM);
    }
    Ok(Keys {
        hash,
        salt,
        iterations,
        stored_key: read_key(hash, stored_key).ok_or(FORM)?,
        server_key: read_key(hash, server_key).ok_or(FORM)?,
    })
}

/// The text form without `{SCRAM-SHA-…}`.
pub(super) fn show(keys: &Keys) -> String {
    let salt = BASE64_STANDARD.encode(&keys.salt);
    let stored_key = BASE64_STANDARD.encode(&keys.stored_key);
    let server_key = BASE64_STANDARD.encode(&keys.server_key);
    format!("{},{salt},{stored_key},{server_key}", keys.iterations)
}

/// Are these the keys of this password? Costs the iterations.
pub(super) fn fit(keys: &Keys, prepared: &str) -> bool {
    let Some(iterations) = NonZeroU32::new(keys.iterations) else {
        return false;
    };
    let derived = Keys::derive(keys.hash, prepared, &keys.salt, iterations);
    verify_slices_are_equal(&derived.stored_key, &keys.stored_key).is_ok()
}

fn read_key(hash: Hash, text: &str) -> Option<Vec<u8>> {
    let key = BASE64_STANDARD.decode(text).ok()?;
    (key.len() == hash.octets()).then_some(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// RFC 7677 §3: salt and StoredKey of "pencil".
    #[test]
    fn the_text_form_comes_back() {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let iterations = NonZeroU32::new(4096).unwrap();
        let keys = Keys::derive(Hash::Sha256, "pencil", &salt, iterations);
        let text = show(&keys);
        assert!(text.starts_with(
            "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
        ));
        assert!(parse(Hash::Sha256, &text) == Ok(keys.clone()));
        assert!(parse(Hash::Sha1, &text).is_err());
        assert!(fit(&keys, "pencil") && !fit(&keys, "pencils"));
        assert!(parse(Hash::Sha256, &format!("{text},x")).is_err());
        assert!(
            parse(Hash::Sha256, &text.replacen("4096", "100", 1))
                .unwrap_err()
                .contains("iterations")
        );
    }

    #[test]
    fn broken_texts_are_refused() {
        for text in [
            "",
            "4096",
            "4096,AA==,AA==,AA==",
            "x,y,z,w",
            "4096,AA==,",
            "-1,AA==,A,A",
        ] {
            assert!(parse(Hash::Sha256, text).is_err(), "{text}");
        }
    }
}
