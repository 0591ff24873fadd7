//! Tokens: what they look like, and what the configuration keeps of them.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt::Write;

/// A token of so much randomness. It says to people and to scanners of repositories what it is.
#[must_use]
pub fn token(random: [u8; 32]) -> String {
    format!("rpt_{}", URL_SAFE_NO_PAD.encode(random))
}

#[must_use]
pub fn token_hash(token: &str) -> [u8; 32] {
    let hash = digest(&SHA256, token.as_bytes());
    *hash.as_ref().first_chunk().expect("SHA-256 has 32 octets")
}

/// A hash as the configuration has it.
#[must_use]
pub fn show_hash(hash: &[u8; 32]) -> String {
    let mut text = "sha256:".to_owned();
    for octet in hash {
        let _ = write!(text, "{octet:02x}");
    }
    text
}
