//! SCRAM-SHA-256: what the server keeps of a password, and the check of a proof (RFC 5802 §3,
//! RFC 7677).
//!
//! ```text
//! SaltedPassword = PBKDF2-HMAC-SHA-256(SASLprep(password), salt, iterations)
//! StoredKey      = SHA-256(HMAC(SaltedPassword, "Client Key"))
//! ServerKey      = HMAC(SaltedPassword, "Server Key")
//! ```
//!
//! As text, the form of Dovecot: `iterations,salt,StoredKey,ServerKey`, the last three in base64.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::fmt;
use std::num::NonZeroU32;

/// RFC 7677 §4 asks for at least 4096; a login pays this once, on the client.
pub const ITERATIONS: u32 = 16_384;

/// RFC 7677 §4: fewer are not safe to offer.
pub const ITERATIONS_MIN: u32 = 4_096;

/// More would make one login cost seconds.
pub const ITERATIONS_MAX: u32 = 5_000_000;

/// Octets of a salt that we make.
pub const SALT_BYTES: usize = 16;

const SALT_BYTES_MAX: usize = 64;
const KEY_BYTES: usize = 32;

/// The keys of one password under one salt. Debug shows none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    pub iterations: u32,
    pub salt: Box<[u8]>,
    stored_key: [u8; KEY_BYTES],
    server_key: [u8; KEY_BYTES],
}

impl ScramKeys {
    /// Keys of a password that went through SASLprep. Costs `iterations` rounds of HMAC.
    #[must_use]
    pub fn derive(prepared: &str, salt: &[u8], iterations: NonZeroU32) -> ScramKeys {
        let mut salted = [0; KEY_BYTES];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(
            algorithm,
            iterations,
            salt,
            prepared.as_bytes(),
            &mut salted,
        );
        ScramKeys {
            iterations: iterations.get(),
            salt: salt.into(),
            stored_key: sha256(&hmac_sha256(&salted, b"Client Key")),
            server_key: hmac_sha256(&salted, b"Server Key"),
        }
    }

    /// Keys that no proof fits, for a login that does not exist.
    #[must_use]
    pub(super) fn nobody(salt: &[u8]) -> ScramKeys {
        // No client key has the digest zero in this world, and none can be found.
        ScramKeys {
            iterations: ITERATIONS,
            salt: salt.into(),
            stored_key: [0; KEY_BYTES],
            server_key: [0; KEY_BYTES],
        }
    }

    /// The text form, checked; says what is wrong with it.
    pub fn parse(text: &str) -> Result<ScramKeys, &'static str> {
        const FORM: &str = "expected {SCRAM-SHA-256}iterations,salt,stored key,server key";
        let mut fields = text.split(',');
        let mut field = || fields.next().ok_or(FORM);
        let iterations: u32 = field()?.parse().map_err(|_| FORM)?;
        let salt = BASE64_STANDARD.decode(field()?).map_err(|_| FORM)?;
        let stored_key = read_key(field()?).ok_or(FORM)?;
        let server_key = read_key(field()?).ok_or(FORM)?;
        if fields.next().is_some() || salt.is_empty() || salt.len() > SALT_BYTES_MAX {
            return Err(FORM);
        }
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err("SCRAM needs from 4,096 to 5,000,000 iterations");
        }
        Ok(ScramKeys {
            iterations,
            salt: salt.into(),
            stored_key,
            server_key,
        })
    }

    /// Checks the ClientProof over the AuthMessage; gives back the ServerSignature (RFC 5802 §3).
    #[must_use]
    pub fn verify_proof(&self, auth_message: &[u8], proof: &[u8]) -> Option<[u8; KEY_BYTES]> {
        let signature = hmac_sha256(&self.stored_key, auth_message);
        let proof: &[u8; KEY_BYTES] = proof.try_into().ok()?;
        let mut client_key = signature;
        for (octet, mask) in client_key.iter_mut().zip(proof) {
            *octet ^= mask;
        }
        verify_slices_are_equal(&sha256(&client_key), &self.stored_key).ok()?;
        Some(hmac_sha256(&self.server_key, auth_message))
    }

    /// Are these the keys of this password? Costs the iterations.
    #[must_use]
    pub fn verify_password(&self, prepared: &str) -> bool {
        let Some(iterations) = NonZeroU32::new(self.iterations) else {
            return false;
        };
        let derived = ScramKeys::derive(prepared, &self.salt, iterations);
        verify_slices_are_equal(&derived.stored_key, &self.stored_key).is_ok()
    }
}

/// The text form without `{SCRAM-SHA-256}`.
impl fmt::Display for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let salt = BASE64_STANDARD.encode(&self.salt);
        let stored_key = BASE64_STANDARD.encode(self.stored_key);
        let server_key = BASE64_STANDARD.encode(self.server_key);
        write!(f, "{},{salt},{stored_key},{server_key}", self.iterations)
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

fn read_key(text: &str) -> Option<[u8; KEY_BYTES]> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

fn sha256(data: &[u8]) -> [u8; KEY_BYTES] {
    let digest = digest::digest(&digest::SHA256, data);
    digest.as_ref().try_into().expect("SHA-256 has 32 octets")
}

fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; KEY_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    tag.as_ref().try_into().expect("HMAC-SHA-256 has 32 octets")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// The dialogue of RFC 7677 §3.
    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
    const AUTH_MESSAGE: &str = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
        r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
        c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_SIGNATURE: &str = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn pencil() -> ScramKeys {
        let salt = BASE64_STANDARD.decode(SALT).unwrap();
        ScramKeys::derive("pencil", &salt, NonZeroU32::new(4096).unwrap())
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let keys = pencil();
        let proof = BASE64_STANDARD.decode(PROOF).unwrap();
        let signature = keys.verify_proof(AUTH_MESSAGE.as_bytes(), &proof).unwrap();
        assert_eq!(BASE64_STANDARD.encode(signature), SERVER_SIGNATURE);
        assert!(
            keys.to_string()
                .contains("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=")
        );
        assert!(keys.verify_password("pencil"));
        assert!(!keys.verify_password("pencils"));
    }

    #[test]
    fn every_changed_bit_of_a_proof_is_refused() {
        let proof = BASE64_STANDARD.decode(PROOF).unwrap();
        for bit in 0..proof.len() * 8 {
            let mut wrong = proof.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(pencil().verify_proof(AUTH_MESSAGE.as_bytes(), &wrong), None);
        }
        assert_eq!(pencil().verify_proof(AUTH_MESSAGE.as_bytes(), &[]), None);
        let nobody = ScramKeys::nobody(b"salt");
        assert_eq!(nobody.verify_proof(AUTH_MESSAGE.as_bytes(), &proof), None);
    }

    #[test]
    fn the_text_form_comes_back() {
        let keys = pencil();
        assert!(ScramKeys::parse(&keys.to_string()) == Ok(keys));
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
            assert!(ScramKeys::parse(text).is_err(), "{text}");
        }
        let weak = pencil().to_string().replacen("4096", "100", 1);
        assert!(ScramKeys::parse(&weak).unwrap_err().contains("iterations"));
        assert!(ScramKeys::parse(&format!("{},x", pencil())).is_err());
    }
}
