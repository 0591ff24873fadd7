//! Private keys: RSA (RFC 6376, RFC 8301) and Ed25519 (RFC 8463), from PEM and freshly made.
//!
//! The library checks a key when it reads it; what it refuses is named in words an operator can act
//! on. RSA keys have 2,048 to 4,096 bits (RFC 8301 §3.2: verifiers need not take more).

use crate::config::DkimAlgorithm;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject};
use std::fmt::Write;

/// A private key that signs. Debug never shows it.
pub struct PrivateKey {
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// RFC 8301 §3.2.
const RSA_BITS_MAX: usize = 4_096;

impl PrivateKey {
    /// Reads the first private key of a PEM file, in PKCS#8 or PKCS#1.
    pub fn from_pem(text: &[u8]) -> Result<PrivateKey, String> {
        let pair = match PrivateKeyDer::from_pem_slice(text).map_err(|error| explained(&error))? {
            PrivateKeyDer::Pkcs1(der) => rsa(RsaKeyPair::from_der(der.secret_pkcs1_der()))?,
            PrivateKeyDer::Pkcs8(der) => pkcs8(der.secret_pkcs8_der())?,
            _ => return Err(NEITHER.to_owned()),
        };
        Ok(PrivateKey { pair })
    }

    /// Makes a key: RSA-2048, or Ed25519.
    pub fn generate(algorithm: DkimAlgorithm) -> Result<PrivateKey, Unspecified> {
        let pair = match algorithm {
            DkimAlgorithm::Rsa => Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048)?)),
            DkimAlgorithm::Ed25519 => Pair::Ed25519(Box::new(Ed25519KeyPair::generate()?)),
        };
        Ok(PrivateKey { pair })
    }

    #[must_use]
    pub fn algorithm(&self) -> DkimAlgorithm {
        match self.pair {
            Pair::Rsa(_) => DkimAlgorithm::Rsa,
            Pair::Ed25519(_) => DkimAlgorithm::Ed25519,
        }
    }

    /// The file that [`PrivateKey::from_pem`] reads, in PKCS#8.
    pub fn to_pem(&self) -> Result<String, Unspecified> {
        let der: Pkcs8V1Der<'_> = match &self.pair {
            Pair::Rsa(pair) => pair.as_der()?,
            Pair::Ed25519(pair) => pair.as_der()?,
        };
        let text = BASE64_STANDARD.encode(der.as_ref());
        let mut out = String::from("-----BEGIN PRIVATE KEY-----\n");
        for line in text.as_bytes().chunks(PEM_LINE_BYTES) {
            out.extend(line.iter().map(|octet| char::from(*octet)));
            out.push('\n');
        }
        out.push_str("-----END PRIVATE KEY-----\n");
        Ok(out)
    }

    /// What others check our signatures with: the text of the DNS record (RFC 6376 §3.6.1).
    pub fn record(&self) -> Result<String, Unspecified> {
        let public = match &self.pair {
            Pair::Rsa(pair) => {
                let der: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
                der.as_ref().to_vec()
            }
            // RFC 8463 §4: the key alone, without its wrapping.
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        };
        let mut record = format!("v=DKIM1; k={}; p=", self.algorithm().name());
        let _ = write!(record, "{}", BASE64_STANDARD.encode(public));
        Ok(record)
    }

    /// The signature over what was hashed.
    pub(super) fn sign(&self, digest: &Digest) -> Result<Vec<u8>, Unspecified> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&RSA_PKCS1_SHA256, digest, &mut signature)?;
                Ok(signature)
            }
            // RFC 8463 §3: Ed25519 signs the hash as its message.
            Pair::Ed25519(pair) => Ok(pair.try_sign(digest.as_ref())?.as_ref().to_vec()),
        }
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let algorithm = self.algorithm().name();
        f.debug_tuple("PrivateKey").field(&algorithm).finish()
    }
}

fn pkcs8(der: &[u8]) -> Result<Pair, String> {
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
        return Ok(Pair::Ed25519(Box::new(pair)));
    }
    rsa(RsaKeyPair::from_pkcs8(der))
}

fn rsa(read: Result<RsaKeyPair, KeyRejected>) -> Result<Pair, String> {
    let pair = read.map_err(|why| match why.to_string().as_str() {
        "TooSmall" => "an RSA key of less than 2048 bits, which receivers refuse".to_owned(),
        "InvalidEncoding" | "WrongAlgorithm" => NEITHER.to_owned(),
        other => format!("not a usable key: {other}"),
    })?;
    let bits = pair.public_modulus_len() * 8;
    if bits > RSA_BITS_MAX {
        return Err(format!(
            "an RSA key of {bits} bits; receivers take up to {RSA_BITS_MAX}"
        ));
    }
    Ok(Pair::Rsa(Box::new(pair)))
}

fn explained(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "no PEM private key in it without a password (expected a \
             line -----BEGIN PRIVATE KEY-----)"
            .to_owned(),
        other => format!("not PEM: {other}"),
    }
}

const NEITHER: &str = "neither an RSA nor an Ed25519 private key";

/// RFC 7468 §2.
const PEM_LINE_BYTES: usize = 64;
