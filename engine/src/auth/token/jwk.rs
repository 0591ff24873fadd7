//! The public keys of an issuer: a JWK Set (RFC 7517, RFC 7518 §6, RFC 8037).

use super::jwt::Jwt;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Keys of one set that are looked at.
const KEYS_MAX: usize = 64;

/// Octets of a set.
pub(super) const SET_BYTES_MAX: usize = 256 << 10;

/// How a JWT is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

/// Keys that verify.
pub(super) struct Keys(Vec<Key>);

struct Key {
    name: Option<String>,
    material: Material,
}

enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed point of P-256.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Algorithm {
    pub(super) fn from_name(name: &str) -> Option<Algorithm> {
        match name {
            "RS256" => Some(Algorithm::Rs256),
            "ES256" => Some(Algorithm::Es256),
            "EdDSA" | "Ed25519" => Some(Algorithm::EdDsa),
            _ => None,
        }
    }
}

impl Keys {
    /// Keys that we cannot use are passed over; a set without any other is an error.
    pub(super) fn parse(json: &[u8]) -> Result<Keys, String> {
        if json.len() > SET_BYTES_MAX {
            return Err("the key set is too long".to_owned());
        }
        let set: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or("expected {\"keys\": [ … ]} (RFC 7517)")?;
        let keys: Vec<Key> = keys.iter().take(KEYS_MAX).filter_map(Key::read).collect();
        match keys.is_empty() {
            true => Err("it has no key for RS256, ES256 or EdDSA".to_owned()),
            false => Ok(Keys(keys)),
        }
    }

    /// Is there a key that the token may mean?
    pub(super) fn could_verify(&self, jwt: &Jwt<'_>) -> bool {
        self.meant(jwt).next().is_some()
    }

    pub(super) fn verify(&self, jwt: &Jwt<'_>, message: &[u8], signature: &[u8]) -> bool {
        self.meant(jwt)
            .any(|key| key.material.verify(message, signature))
    }

    fn meant<'k>(&'k self, jwt: &Jwt<'_>) -> impl Iterator<Item = &'k Key> {
        let (algorithm, name) = (jwt.algorithm, jwt.key.clone());
        self.0.iter().filter(move |key| {
            let named = name.is_none() || key.name.is_none() || key.name == name;
            named && key.material.algorithm() == algorithm
        })
    }
}

impl Key {
    fn read(jwk: &Value) -> Option<Key> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|of| of != "sig") {
            return None;
        }
        let octets = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa {
                n: octets("n")?,
                e: octets("e")?,
            },
            ("EC", Some("P-256")) => {
                let (x, y) = (octets("x")?, octets("y")?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                Material::P256([&[4][..], &x, &y].concat())
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(octets("x")?),
            _ => return None,
        };
        let alg = text("alg");
        if alg.is_some_and(|alg| Algorithm::from_name(alg) != Some(material.algorithm())) {
            return None;
        }
        Some(Key {
            name: text("kid").map(str::to_owned),
            material,
        })
    }
}

impl Material {
    fn algorithm(&self) -> Algorithm {
        match self {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Material::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Material::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}
