//! Secrets of the form `{SCHEME}…`, as Dovecot writes them; `.HEX` and `.B64` say the encoding.

use super::crypt::Crypt;
use crate::auth::scram;
use crate::wire::sasl::scram::{Hash, Keys};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, pbkdf2};
use base64::prelude::{BASE64_STANDARD, Engine};
use md5::{Digest, Md5};
use std::num::NonZeroU32;

const PBKDF2_ROUNDS_MAX: u32 = 5_000_000;

/// What stands behind `{SCHEME}`.
pub(super) enum Scheme {
    Plain(Box<[u8]>),
    Salted(Salted),
    Pbkdf2(Pbkdf2),
    Crypt(Crypt),
    Scram(Keys),
}

/// A digest of password and salt; the salt is empty for the schemes without one.
#[derive(Clone)]
pub(super) struct Salted {
    method: Method,
    digest: Box<[u8]>,
    salt: Box<[u8]>,
}

/// Dovecot's `$1$salt$rounds$hex`: PBKDF2 with HMAC-SHA-1; the salt is the text itself.
#[derive(Clone)]
pub(super) struct Pbkdf2 {
    salt: Box<str>,
    rounds: NonZeroU32,
    digest: [u8; 20],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Clone, Copy)]
enum Encoding {
    Unsaid,
    Hex,
    Base64,
}

/// Reads `{SCHEME}value`; says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Scheme, String> {
    let (scheme, value) = text
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
        .ok_or("expected {SCHEME} before the value")?;
    let scheme = scheme.to_ascii_uppercase();
    let (name, encoding) = match scheme.rsplit_once('.') {
        Some((name, "HEX")) => (name, Encoding::Hex),
        Some((name, "B64" | "BASE64")) => (name, Encoding::Base64),
        Some((_, other)) => return Err(format!(".{other} is unknown; expected .HEX or .B64")),
        None => (scheme.as_str(), Encoding::Unsaid),
    };
    let salted = |method, has_salt| salted(method, has_salt, encoding, value).map(Scheme::Salted);
    match name {
        "PLAIN" | "CLEAR" | "CLEARTEXT" => plain(encoding, value),
        "SHA" | "SHA1" => salted(Method::Sha1, false),
        "SSHA" => salted(Method::Sha1, true),
        "SHA256" => salted(Method::Sha256, false),
        "SSHA256" => salted(Method::Sha256, true),
        "SHA512" => salted(Method::Sha512, false),
        "SSHA512" => salted(Method::Sha512, true),
        "PLAIN-MD5" | "LDAP-MD5" => salted(Method::Md5, false),
        "SMD5" => salted(Method::Md5, true),
        "PBKDF2" => pbkdf2(value).map(Scheme::Pbkdf2),
        "SCRAM-SHA-1" => Ok(Scheme::Scram(scram::parse(Hash::Sha1, value)?)),
        "SCRAM-SHA-256" => Ok(Scheme::Scram(scram::parse(Hash::Sha256, value)?)),
        "CRYPT" | "MD5" | "MD5-CRYPT" | "BLF-CRYPT" | "SHA256-CRYPT" | "SHA512-CRYPT"
        | "ARGON2I" | "ARGON2ID" | "ARGON2" => Crypt::parse(value).map(Scheme::Crypt),
        "DES-CRYPT" => Err("{DES-CRYPT} is not read; set a new password".to_owned()),
        other => Err(format!(
            "{{{other}}} is not read; known are PLAIN, SHA, SSHA, SHA256, SSHA256, SHA512, \
             SSHA512, PLAIN-MD5, LDAP-MD5, SMD5, PBKDF2, SCRAM-SHA-1, SCRAM-SHA-256, CRYPT, \
             MD5-CRYPT, BLF-CRYPT, SHA256-CRYPT, SHA512-CRYPT, ARGON2I, ARGON2ID"
        )),
    }
}

impl Salted {
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let made = self.method.digest(password, &self.salt);
        verify_slices_are_equal(&made, &self.digest).is_ok()
    }
}

impl Pbkdf2 {
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA1;
        let salt = self.salt.as_bytes();
        pbkdf2::verify(algorithm, self.rounds, salt, password, &self.digest).is_ok()
    }
}

impl Method {
    fn digest(self, password: &[u8], salt: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Method::Md5 => {
                let md5 = Md5::new().chain_update(password).chain_update(salt);
                return md5.finalize().to_vec();
            }
            Method::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Method::Sha256 => &digest::SHA256,
            Method::Sha512 => &digest::SHA512,
        };
        let mut hash = digest::Context::new(algorithm);
        hash.update(password);
        hash.update(salt);
        hash.finish().as_ref().to_vec()
    }

    fn octets(self) -> usize {
        match self {
            Method::Md5 => 16,
            Method::Sha1 => 20,
            Method::Sha256 => 32,
            Method::Sha512 => 64,
        }
    }
}

fn plain(encoding: Encoding, value: &str) -> Result<Scheme, String> {
    let password = match encoding {
        Encoding::Unsaid => value.as_bytes().to_vec(),
        said => decode(said, value, 0)?,
    };
    match super::super::prep::plausible(&password) {
        true => Ok(Scheme::Plain(password.into())),
        false => Err("the password is empty, too long, or has a NUL".to_owned()),
    }
}

fn salted(
    method: Method,
    has_salt: bool,
    encoding: Encoding,
    value: &str,
) -> Result<Salted, String> {
    let mut digest = decode(encoding, value, method.octets() * 2)?;
    let enough = match has_salt {
        true => digest.len() > method.octets(),
        false => digest.len() == method.octets(),
    };
    if !enough {
        return Err(format!("expected {} octets of digest", method.octets()));
    }
    let salt = digest.split_off(method.octets());
    Ok(Salted {
        method,
        digest: digest.into(),
        salt: salt.into(),
    })
}

/// Like Dovecot: where no encoding is said, hex is known by its length, all else is base64.
fn decode(encoding: Encoding, value: &str, hex_len: usize) -> Result<Vec<u8>, String> {
    let hex = match encoding {
        Encoding::Hex => true,
        Encoding::Base64 => false,
        Encoding::Unsaid => value.len() == hex_len && value.bytes().all(|b| b.is_ascii_hexdigit()),
    };
    if hex {
        return unhex(value).ok_or_else(|| "expected hex digits".to_owned());
    }
    BASE64_STANDARD
        .decode(value)
        .map_err(|_| "expected base64".to_owned())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits?;
    let octet = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high << 4 | low).ok(),
        _ => None,
    };
    digits.chunks(2).map(octet).collect()
}

fn pbkdf2(value: &str) -> Result<Pbkdf2, String> {
    let fault = || "expected {PBKDF2}$1$salt$rounds$hex".to_owned();
    let fields: Vec<&str> = value.split('$').collect();
    let ["", "1", salt, rounds, digest] = fields.as_slice() else {
        return Err(fault());
    };
    let rounds: NonZeroU32 = rounds.parse().map_err(|_| fault())?;
    if rounds.get() > PBKDF2_ROUNDS_MAX {
        return Err(format!("at most {PBKDF2_ROUNDS_MAX} rounds"));
    }
    let digest = unhex(digest).and_then(|octets| octets.try_into().ok());
    Ok(Pbkdf2 {
        salt: (*salt).into(),
        rounds,
        digest: digest.ok_or_else(fault)?,
    })
}
