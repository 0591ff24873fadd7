//! A signed JSON Web Token (RFC 7519, RFC 7515 compact form): parsed, and verified by a key.

use super::jwk::{Algorithm, Keys};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// A token whose signature is not yet looked at.
pub(super) struct Jwt<'t> {
    pub(super) algorithm: Algorithm,
    /// The name of the key (`kid`).
    pub(super) key: Option<String>,
    /// What is signed.
    message: &'t str,
    claims: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jwt<'t> {
    pub(super) fn parse(token: &'t str) -> Option<Jwt<'t>> {
        let (message, signature) = token.rsplit_once('.')?;
        let (head, claims) = message.split_once('.')?;
        let head = object(head)?;
        // RFC 7515 §4.1.11: what has to be understood and is not.
        if claims.contains('.') || head.contains_key("crit") {
            return None;
        }
        Some(Jwt {
            algorithm: Algorithm::from_name(head.get("alg")?.as_str()?)?,
            key: head.get("kid").and_then(Value::as_str).map(str::to_owned),
            message,
            claims,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// What it claims, if one of the keys has signed it.
    pub(super) fn claims(&self, keys: &Keys) -> Option<Map<String, Value>> {
        let message = self.message.as_bytes();
        let is_signed = keys.verify(self, message, &self.signature);
        is_signed.then(|| object(self.claims)).flatten()
    }
}

fn object(encoded: &str) -> Option<Map<String, Value>> {
    let json = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    serde_json::from_slice(&json).ok()
}
