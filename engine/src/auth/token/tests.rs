//! Tokens of an issuer of the test: signed in every way, and broken in many.

#![allow(clippy::unwrap_used)]

use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;

fn encoded(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn config() -> OAuth {
    OAuth {
        judge: TokenJudge::KeysFile("none".into()),
        issuer: "https://login.example".into(),
        audience: vec!["ringpost".into()],
        account_claim: "email".into(),
        scope: vec!["mail".into()],
        leeway_secs: 60,
        cache_secs: 300,
        authorities: None,
    }
}

fn good() -> Value {
    json!({
        "iss": "https://login.example", "aud": ["other", "ringpost"], "scope": "openid mail",
        "email": "alice@example.org", "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 100,
    })
}

struct Issuer {
    ed25519: Ed25519KeyPair,
}

impl Issuer {
    fn new() -> Issuer {
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        Issuer { ed25519 }
    }

    fn keys(&self) -> Keys {
        let x = encoded(self.ed25519.public_key().as_ref());
        let set = json!({"keys": [
            {"kty": "oct", "k": "AAAA"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "one", "use": "sig", "x": x},
        ]});
        Keys::parse(set.to_string().as_bytes()).unwrap()
    }

    fn sign(&self, head: Value, claims: &Value) -> String {
        let message = message(&head, claims);
        let signature = self.ed25519.sign(message.as_bytes());
        format!("{message}.{}", encoded(signature.as_ref()))
    }
}

fn message(head: &Value, claims: &Value) -> String {
    let part = |value: &Value| encoded(value.to_string().as_bytes());
    format!("{}.{}", part(head), part(claims))
}

fn judged(issuer: &Issuer, token: &str, now_secs: u64) -> Result<(String, Option<u64>), Bearer> {
    let jwt = jwt::Jwt::parse(token).ok_or(Bearer::Invalid)?;
    let claims = jwt.claims(&issuer.keys()).ok_or(Bearer::Invalid)?;
    claims::account(&claims, &config(), now_secs)
}

#[test]
fn a_good_token_names_its_account_until_it_ends() {
    let issuer = Issuer::new();
    let token = issuer.sign(json!({"alg": "EdDSA", "kid": "one"}), &good());
    let alice = ("alice@example.org".to_owned(), Some(NOW + 100));
    assert_eq!(judged(&issuer, &token, NOW), Ok(alice.clone()));
    assert_eq!(judged(&issuer, &token, NOW + 159), Ok(alice));
    assert_eq!(judged(&issuer, &token, NOW + 160), Err(Bearer::Invalid));
    assert_eq!(judged(&issuer, &token, NOW - 71), Err(Bearer::Invalid));
}

#[test]
fn claims_that_are_not_for_us_let_nobody_in() {
    let issuer = Issuer::new();
    for (claim, value) in [
        ("iss", json!("https://other.example")),
        ("iss", Value::Null),
        ("aud", json!("other")),
        ("aud", json!(["other"])),
        ("aud", Value::Null),
        ("scope", json!("openid mailbox")),
        ("email", json!("")),
        ("email", json!(7)),
        ("email_verified", json!(false)),
        ("exp", json!("soon")),
        ("exp", Value::Null),
        ("exp", json!(-1)),
        ("nbf", json!(NOW + 1000)),
        ("iat", json!(NOW + 1000)),
    ] {
        let mut claims = good();
        claims[claim] = value.clone();
        let token = issuer.sign(json!({"alg": "EdDSA"}), &claims);
        let verdict = judged(&issuer, &token, NOW);
        assert_eq!(verdict, Err(Bearer::Invalid), "{claim} {value}");
    }
}

#[test]
fn a_token_that_nobody_signed_is_not_believed() {
    let issuer = Issuer::new();
    let good = good();
    let ours = json!({"alg": "EdDSA", "kid": "one"});
    let mallory = Issuer::new();
    let unsigned = message(&json!({"alg": "none"}), &good);
    let whole = issuer.sign(ours.clone(), &good);
    let (signed, _) = whole.rsplit_once('.').unwrap();
    for token in [
        String::new(),
        "..".into(),
        format!("{unsigned}."),
        format!("{signed}."),
        format!("{signed}.AAAA"),
        mallory.sign(ours, &good),
        issuer.sign(json!({"alg": "HS256"}), &good),
        issuer.sign(json!({"alg": "RS256"}), &good),
        issuer.sign(json!({"alg": "EdDSA", "kid": "two"}), &good),
        issuer.sign(json!({"alg": "EdDSA", "crit": ["b64"]}), &good),
        format!("{whole}.x"),
    ] {
        assert_eq!(
            judged(&issuer, &token, NOW),
            Err(Bearer::Invalid),
            "{token}"
        );
    }
}

#[test]
fn rsa_and_p256_sign_as_well() {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = p256.public_key().as_ref();
    let (n, e) = (rsa.public_key().modulus(), rsa.public_key().exponent());
    let set = json!({"keys": [
        {"kty": "RSA", "alg": "RS256", "n": encoded(n.big_endian_without_leading_zero()),
         "e": encoded(e.big_endian_without_leading_zero())},
        {"kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..])},
    ]});
    let keys = Keys::parse(set.to_string().as_bytes()).unwrap();
    let random = SystemRandom::new();
    let of_rsa = message(&json!({"alg": "RS256"}), &good());
    let mut signature = vec![0; rsa.public_modulus_len()];
    rsa.sign(
        &RSA_PKCS1_SHA256,
        &random,
        of_rsa.as_bytes(),
        &mut signature,
    )
    .unwrap();
    let of_p256 = message(&json!({"alg": "ES256"}), &good());
    let short = p256.sign(&random, of_p256.as_bytes()).unwrap();
    for (message, signature) in [(of_rsa, &signature[..]), (of_p256, short.as_ref())] {
        let token = format!("{message}.{}", encoded(signature));
        assert!(jwt::Jwt::parse(&token).unwrap().claims(&keys).is_some());
    }
}

#[test]
fn an_introspection_that_says_no_is_a_no() {
    let verdict = |answer: Value| {
        let claims = claims::introspected(answer.to_string().as_bytes())?;
        claims::account(&claims, &config(), NOW)
    };
    let mut active = good();
    active["active"] = json!(true);
    active.as_object_mut().unwrap().remove("exp");
    let alice = ("alice@example.org".to_owned(), None);
    assert_eq!(verdict(active.clone()), Ok(alice));
    active["active"] = json!(false);
    assert_eq!(verdict(active), Err(Bearer::Invalid));
    assert_eq!(verdict(json!({"error": "x"})), Err(Bearer::Unavailable));
    assert!(claims::introspected(b"<html>").is_err());
}

#[test]
fn key_sets_that_help_nobody_are_refused() {
    for bad in [
        "",
        "[]",
        "{}",
        r#"{"keys": []}"#,
        r#"{"keys": [{"kty": "oct"}]}"#,
    ] {
        assert!(Keys::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn what_is_known_is_bounded_and_ends() {
    let mut known = Known::default();
    known.learn("t", "alice", NOW, NOW + 5);
    assert_eq!(known.find("t", NOW + 4).as_deref(), Some("alice"));
    assert_eq!(known.find("t", NOW + 5), None);
    assert_eq!(known.find("u", NOW), None);
    for number in 0..KNOWN_MAX + 10 {
        known.learn(&number.to_string(), "bob", NOW, NOW + 5);
    }
    assert!(known.0.len() <= KNOWN_MAX);
    known.learn("late", "bob", NOW + 6, NOW + 10);
    assert_eq!(known.0.len(), 1);
}
