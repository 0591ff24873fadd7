//! Secrets of the form `$id$…`: crypt(3) and PHC strings.
//!
//! | id | method | made by |
//! |---|---|---|
//! | `argon2id`, `argon2i`, `argon2d` | Argon2, RFC 9106 | Ringpost, Dovecot |
//! | `2a`, `2b`, `2y` | bcrypt | Dovecot, PHP, BSD |
//! | `5`, `6` | SHA-256-crypt, SHA-512-crypt | glibc |
//! | `y` | yescrypt | Debian since 11 |
//! | `1` | MD5-crypt | older systems |
//!
//! DES crypt (13 signs, no `$`) is not read: it looks at 8 signs of a password, and 2⁵⁶ is no
//! bound. A parameter that would make one login cost more than the named maxima is refused here,
//! because one such line would hold a checking thread for minutes.

use super::md5_crypt::{self, md5_crypt};
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params};
use aws_lc_rs::constant_time::verify_slices_are_equal;

/// Memory of one Argon2 or yescrypt check, in KiB.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const ARGON2_PASSES_MAX: u32 = 64;
const BCRYPT_COST_MAX: u32 = 16;
const SHA_CRYPT_ROUNDS_MAX: u32 = 5_000_000;

/// A secret whose form was checked.
#[derive(Clone)]
pub(super) enum Crypt {
    Argon2(Box<str>),
    Bcrypt(Box<str>),
    Md5 { salt: Box<str>, digest: Box<str> },
    Sha(Box<str>),
    Yescrypt(Box<str>),
}

impl Crypt {
    /// Checks the form of `$id$…`; says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Crypt, String> {
        let mut fields = text.split('$');
        let (Some(""), Some(id)) = (fields.next(), fields.next()) else {
            return Err(match text.len() {
                13 => "DES crypt is not read; set a new password".to_owned(),
                _ => "expected a hash that begins with $".to_owned(),
            });
        };
        let rest: Vec<&str> = fields.collect();
        match id {
            "argon2id" | "argon2i" | "argon2d" => argon2(text),
            "2a" | "2b" | "2y" => bcrypt(text),
            "1" => md5(&rest),
            "5" => sha(text, &rest, 43),
            "6" => sha(text, &rest, 86),
            "y" => yescrypt(text, &rest),
            other => Err(format!(
                "${other}$ is not read; known are $argon2id$ $argon2i$ $2a$ $2b$ $2y$ $1$ $5$ \
                 $6$ $y$"
            )),
        }
    }

    /// Costs what the parameters ask for.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        match self {
            Crypt::Argon2(text) => Argon2::default().verify_password(password, &**text).is_ok(),
            Crypt::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Crypt::Md5 { salt, digest } => {
                let made = md5_crypt(password, salt.as_bytes());
                verify_slices_are_equal(made.as_bytes(), digest.as_bytes()).is_ok()
            }
            Crypt::Sha(text) => sha_crypt::ShaCrypt::default()
                .verify_password(password, &**text)
                .is_ok(),
            Crypt::Yescrypt(text) => yescrypt::Yescrypt::default()
                .verify_password(password, &**text)
                .is_ok(),
        }
    }
}

fn argon2(text: &str) -> Result<Crypt, String> {
    let fault = |_| "not a PHC string of Argon2".to_owned();
    let hash = PasswordHash::new(text).map_err(fault)?;
    let params = Params::try_from(&hash).map_err(|_| "parameters out of range".to_owned())?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err("the Argon2 string has no salt or no hash".to_owned());
    }
    if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > ARGON2_PASSES_MAX {
        return Err(format!(
            "one check would cost too much; at most m={MEMORY_KIB_MAX},t={ARGON2_PASSES_MAX}"
        ));
    }
    Ok(Crypt::Argon2(text.into()))
}

fn bcrypt(text: &str) -> Result<Crypt, String> {
    let parts: bcrypt::HashParts = text
        .parse()
        .map_err(|_| "not a bcrypt hash of 60 signs".to_owned())?;
    if !(4..=BCRYPT_COST_MAX).contains(&parts.get_cost()) {
        return Err(format!(
            "the cost of bcrypt must be from 4 to {BCRYPT_COST_MAX}"
        ));
    }
    Ok(Crypt::Bcrypt(text.into()))
}

fn md5(fields: &[&str]) -> Result<Crypt, String> {
    let [salt, digest] = fields else {
        return Err("expected $1$salt$hash".to_owned());
    };
    if salt.len() > md5_crypt::SALT_BYTES_MAX || digest.len() != 22 || !is_crypt_text(digest) {
        return Err("not an MD5-crypt hash".to_owned());
    }
    Ok(Crypt::Md5 {
        salt: (*salt).into(),
        digest: (*digest).into(),
    })
}

fn sha(text: &str, fields: &[&str], digest_len: usize) -> Result<Crypt, String> {
    let (rounds, salt, digest) = match fields {
        [salt, digest] => (None, salt, digest),
        [rounds, salt, digest] => (Some(rounds), salt, digest),
        _ => return Err("expected $5$ or $6$, then [rounds=N$]salt$hash".to_owned()),
    };
    if salt.len() > 16 || digest.len() != digest_len || !is_crypt_text(digest) {
        return Err("not a SHA-crypt hash".to_owned());
    }
    let Some(rounds) = rounds else {
        return Ok(Crypt::Sha(text.into()));
    };
    let count = rounds.strip_prefix("rounds=").and_then(|n| n.parse().ok());
    match count {
        Some(1_000..=SHA_CRYPT_ROUNDS_MAX) => Ok(Crypt::Sha(text.into())),
        _ => Err(format!(
            "rounds must be from 1000 to {SHA_CRYPT_ROUNDS_MAX}"
        )),
    }
}

fn yescrypt(text: &str, fields: &[&str]) -> Result<Crypt, String> {
    let [params, salt, digest] = fields else {
        return Err("expected $y$parameters$salt$hash".to_owned());
    };
    if !is_crypt_text(salt) || digest.len() != 43 || !is_crypt_text(digest) {
        return Err("not a yescrypt hash".to_owned());
    }
    let params: yescrypt::Params = params
        .parse()
        .map_err(|_| "the parameters of yescrypt cannot be read".to_owned())?;
    let octets = params.n().checked_mul(u64::from(params.r()) * 128);
    if octets.is_none_or(|octets| octets > u64::from(MEMORY_KIB_MAX) << 10) || params.p() > 16 {
        return Err("one check would cost too much".to_owned());
    }
    Ok(Crypt::Yescrypt(text.into()))
}

fn is_crypt_text(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'))
}
