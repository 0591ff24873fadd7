//! Stored secrets: what is kept of a password, and the check of a password against it.
//!
//! A secret is one line of text: `$argon2id$…` (made here), another hash of crypt(3), or
//! `{SCHEME}…` as Dovecot writes it. Behind a `$…` hash or SCRAM keys, `{SCRAM-SHA-256}…` and
//! `{SCRAM-SHA-1}…` may follow, each behind one space: the SCRAM keys of the same password. All
//! comparisons take constant time. Checking is meant to be slow and runs on a thread of its own,
//! never on a shard.
//!
//! A password in clear serves every mechanism; keys of one hash serve SCRAM with this hash and what
//! shows the password; other hashes serve only what shows the password.

mod crypt;
mod md5_crypt;
mod scheme;
#[cfg(test)]
mod tests;

use super::prep::{plausible, prepare};
use super::scram;
use crate::wire::sasl::scram::{Hash, ITERATIONS, Keys, SALT_BYTES};
use argon2::password_hash::CustomizedPasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use crypt::Crypt;
use scheme::{Pbkdf2, Salted, Scheme};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::OnceLock;

/// The second choice of the OWASP Password Storage Cheat Sheet: 19 MiB, two passes. RFC 9106 §4
/// offers 64 MiB and more; with a thread a core that is too much memory for a small host.
pub const ARGON2_MEMORY_KIB: u32 = 19_456;
pub const ARGON2_PASSES: u32 = 2;
const ARGON2_LANES: u32 = 1;
const ARGON2_SALT_BYTES: usize = 16;

/// Fills octets with randomness that cannot be foreseen.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// What is kept of one account's password. Debug shows nothing of it.
#[derive(Clone)]
pub struct Secrets {
    text: Box<str>,
    verifier: Verifier,
    scram: Scrams,
}

/// SCRAM keys: kept, or made of a password in clear when they are asked for.
#[derive(Clone, Default)]
struct Scrams {
    sha1: OnceLock<Keys>,
    sha256: OnceLock<Keys>,
}

#[derive(Clone)]
enum Verifier {
    Plain(Box<[u8]>),
    Salted(Salted),
    Pbkdf2(Pbkdf2),
    Crypt(Crypt),
    /// By the keys of this hash.
    Scram(Hash),
}

/// Why a password cannot be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unusable;

impl Secrets {
    /// Argon2id and SCRAM-SHA-256 keys of a new password. Slow on purpose.
    pub fn create(password: &str, random: Random<'_>) -> Result<Secrets, Unusable> {
        let prepared = prepare(password.as_bytes()).ok_or(Unusable)?;
        if !plausible(prepared.as_bytes()) {
            return Err(Unusable);
        }
        let mut salt = [0; ARGON2_SALT_BYTES];
        random(&mut salt);
        let argon2 = argon2id()
            .hash_password_customized(
                prepared.as_bytes(),
                &salt,
                None,
                None,
                argon2id().params().clone(),
            )
            .expect("our parameters are in the range of Argon2")
            .to_string();
        let mut salt = [0; SALT_BYTES];
        random(&mut salt);
        let keys = Keys::derive(Hash::Sha256, &prepared, &salt, NEW_ITERATIONS);
        Ok(Secrets {
            text: format!("{argon2} {{SCRAM-SHA-256}}{}", scram::show(&keys)).into(),
            verifier: Verifier::Crypt(Crypt::Argon2(argon2.into())),
            scram: Scrams::from([keys]),
        })
    }

    /// Reads the stored form; a sentence says what is wrong with it.
    pub fn parse(text: &str) -> Result<Secrets, String> {
        let mut keys = Vec::new();
        let verifier = if text.starts_with("{SCRAM-") {
            let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
            keys = vec![scram_keys(first)?];
            keys.extend(further(rest)?);
            Verifier::Scram(keys.first().map_or(Hash::Sha256, |keys| keys.hash))
        } else if text.starts_with('{') {
            match scheme::parse(text)? {
                Scheme::Plain(password) => Verifier::Plain(password),
                Scheme::Salted(salted) => Verifier::Salted(salted),
                Scheme::Pbkdf2(pbkdf2) => Verifier::Pbkdf2(pbkdf2),
                Scheme::Crypt(crypt) => Verifier::Crypt(crypt),
                Scheme::Scram(of_other_case) => {
                    let hash = of_other_case.hash;
                    keys = vec![of_other_case];
                    Verifier::Scram(hash)
                }
            }
        } else if text.starts_with('$') {
            let (hash, rest) = text.split_once(' ').unwrap_or((text, ""));
            keys = further(rest)?;
            Verifier::Crypt(Crypt::parse(hash)?)
        } else {
            return Err("expected a hash such as $argon2id$…, or {PLAIN} before a \
                        password in clear"
                .to_owned());
        };
        Ok(Secrets {
            text: text.into(),
            verifier,
            scram: Scrams::from(keys),
        })
    }

    /// The stored form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Is this the password? Slow on purpose: never on a shard.
    ///
    /// The prepared form is tried first; what older systems hashed without SASLprep is tried as it
    /// came, where that is another text.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        if !plausible(password) {
            return false;
        }
        let prepared = prepare(password);
        let as_prepared = prepared
            .as_ref()
            .is_some_and(|text| self.fits(text.as_bytes()));
        let differs = prepared.is_none_or(|text| text.as_bytes() != password);
        as_prepared || differs && self.fits(password)
    }

    /// The SCRAM keys. Those of a password in clear are made when they are first asked for, with
    /// `salt`, which costs the iterations once; other secrets have none but those kept with them.
    #[must_use]
    pub(super) fn scram(
        &self,
        hash: Hash,
        salt: impl FnOnce() -> [u8; SALT_BYTES],
    ) -> Option<&Keys> {
        let Verifier::Plain(password) = &self.verifier else {
            return self.scram.of(hash).get();
        };
        let prepared = prepare(password)?;
        let derive = || Keys::derive(hash, &prepared, &salt(), NEW_ITERATIONS);
        Some(self.scram.of(hash).get_or_init(derive))
    }

    /// Are the SCRAM keys at hand, or known not to exist?
    #[must_use]
    pub fn has_scram(&self, hash: Hash) -> bool {
        self.scram.of(hash).get().is_some() || !matches!(self.verifier, Verifier::Plain(_))
    }

    /// Could somebody with the password log in by SCRAM with this hash?
    #[must_use]
    pub fn serves_scram(&self, hash: Hash) -> bool {
        self.scram.of(hash).get().is_some() || matches!(self.verifier, Verifier::Plain(_))
    }

    /// Is a check so cheap that its time would tell that the account exists?
    #[must_use]
    pub(super) fn cheap(&self) -> bool {
        matches!(self.verifier, Verifier::Plain(_) | Verifier::Salted(_))
    }

    fn fits(&self, password: &[u8]) -> bool {
        match &self.verifier {
            Verifier::Plain(kept) => {
                // Digests have one length, so the time says nothing about the length kept.
                let digest = |data| digest::digest(&digest::SHA256, data);
                verify_slices_are_equal(digest(kept).as_ref(), digest(password).as_ref()).is_ok()
            }
            Verifier::Salted(salted) => salted.verify(password),
            Verifier::Pbkdf2(pbkdf2) => pbkdf2.verify(password),
            Verifier::Crypt(crypt) => crypt.verify(password),
            Verifier::Scram(hash) => {
                let text = String::from_utf8_lossy(password);
                let keys = self.scram.of(*hash).get();
                keys.is_some_and(|keys| scram::fit(keys, &text))
            }
        }
    }
}

/// The same stored text; what was derived from it does not count.
impl PartialEq for Secrets {
    fn eq(&self, other: &Secrets) -> bool {
        self.text == other.text
    }
}

impl Eq for Secrets {}

/// Can this text be checked against a password? For `config::Outside`.
pub fn check(text: &str) -> Result<(), String> {
    Secrets::parse(text).map(drop)
}

/// The work of a check without an account, so that the time does not tell who exists.
pub(super) fn verify_nobody(password: &[u8]) {
    let password = if plausible(password) { password } else { b"x" };
    burn(password);
    // `Secrets::verify` looks twice at such a password, and so must this.
    if prepare(password).is_none_or(|text| text.as_bytes() != password) {
        burn(password);
    }
}

/// One Argon2id hash, thrown away.
fn burn(password: &[u8]) {
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    let done = argon2id().hash_password_into(password, &[0; ARGON2_SALT_BYTES], &mut out);
    done.expect("our parameters are in the range of Argon2");
    std::hint::black_box(out);
}

impl Scrams {
    fn from(kept: impl IntoIterator<Item = Keys>) -> Scrams {
        let mut scrams = Scrams::default();
        for keys in kept {
            match keys.hash {
                Hash::Sha1 => scrams.sha1 = OnceLock::from(keys),
                Hash::Sha256 => scrams.sha256 = OnceLock::from(keys),
            }
        }
        scrams
    }

    fn of(&self, hash: Hash) -> &OnceLock<Keys> {
        match hash {
            Hash::Sha1 => &self.sha1,
            Hash::Sha256 => &self.sha256,
        }
    }
}

/// What stands behind the first hash: only SCRAM keys may.
fn further(text: &str) -> Result<Vec<Keys>, String> {
    text.split(' ')
        .filter(|word| !word.is_empty())
        .map(scram_keys)
        .collect()
}

fn scram_keys(text: &str) -> Result<Keys, String> {
    match scheme::parse(text)? {
        Scheme::Scram(keys) => Ok(keys),
        _ => Err("only {SCRAM-SHA-256} and {SCRAM-SHA-1} may follow another hash".to_owned()),
    }
}

fn argon2id() -> Argon2<'static> {
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, None)
        .expect("our parameters are in the range of Argon2");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

const NEW_ITERATIONS: NonZeroU32 = match NonZeroU32::new(ITERATIONS) {
    Some(iterations) => iterations,
    None => panic!("iterations are at least one"),
};

const _: () = assert!(ITERATIONS >= scram::ITERATIONS_MIN);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a password has from 1 to 1024 octets of text without control characters (RFC 4013)",
        )
    }
}

impl std::error::Error for Unusable {}
