//! What a token claims, against what the operator demands (RFC 7519 §4.1, RFC 7662 §2.2).

use super::Bearer;
use crate::config::OAuth;
use serde_json::{Map, Value};

/// The claims of an answer to an introspection; one that is not active holds nothing.
pub(super) fn introspected(answer: &[u8]) -> Result<Map<String, Value>, Bearer> {
    let claims: Map<String, Value> =
        serde_json::from_slice(answer).map_err(|_| Bearer::Unavailable)?;
    match claims.get("active").and_then(Value::as_bool) {
        Some(true) => Ok(claims),
        Some(false) => Err(Bearer::Invalid),
        None => Err(Bearer::Unavailable),
    }
}

/// The account that the claims name, and when they end.
pub(super) fn account(
    claims: &Map<String, Value>,
    config: &OAuth,
    now_secs: u64,
) -> Result<(String, Option<u64>), Bearer> {
    let holds = is_from(claims, config) && is_for_us(claims, config) && is_granted(claims, config);
    if !holds {
        return Err(Bearer::Invalid);
    }
    let expiry_secs = in_time(claims, config, now_secs).ok_or(Bearer::Invalid)?;
    let name = claims.get(&config.account_claim).and_then(Value::as_str);
    // An address that its owner never confirmed may be anybody's.
    let is_unconfirmed = config.account_claim == "email"
        && claims
            .get("email_verified")
            .is_some_and(|verified| *verified == Value::Bool(false));
    match name.filter(|name| !name.is_empty() && !is_unconfirmed) {
        Some(name) => Ok((name.to_owned(), expiry_secs)),
        None => Err(Bearer::Invalid),
    }
}

fn is_from(claims: &Map<String, Value>, config: &OAuth) -> bool {
    let issuer = claims.get("iss").and_then(Value::as_str);
    config.issuer.is_empty() || issuer == Some(config.issuer.as_str())
}

/// `aud` is one text or a list of them.
fn is_for_us(claims: &Map<String, Value>, config: &OAuth) -> bool {
    let is_ours = |value: &Value| {
        let named = value.as_str();
        named.is_some_and(|named| config.audience.iter().any(|own| own == named))
    };
    config.audience.is_empty()
        || match claims.get("aud") {
            Some(Value::Array(list)) => list.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        }
}

/// `scope` is a text of words (RFC 8693 §4.2); some issuers have a list under `scp`.
fn is_granted(claims: &Map<String, Value>, config: &OAuth) -> bool {
    let scope = claims.get("scope").or_else(|| claims.get("scp"));
    let has = |wanted: &String| match scope {
        Some(Value::String(words)) => words.split(' ').any(|word| word == wanted),
        Some(Value::Array(list)) => list.iter().any(|word| word.as_str() == Some(wanted)),
        _ => false,
    };
    config.scope.iter().all(has)
}

/// When it ends, `Some(None)` where nobody says; a JWT has to say it.
fn in_time(claims: &Map<String, Value>, config: &OAuth, now_secs: u64) -> Option<Option<u64>> {
    let leeway = u64::from(config.leeway_secs);
    let secs = |name: &str| match claims.get(name) {
        None => Some(None),
        // NumericDate may have a fraction.
        Some(value) => value
            .as_f64()
            .filter(|secs| *secs >= 0.0)
            .map(|secs| Some(secs as u64)),
    };
    let has_begun = |begin: Option<u64>| begin.is_none_or(|begin| begin <= now_secs + leeway);
    let expiry = secs("exp")?;
    let is_over = expiry.is_some_and(|end| now_secs >= end.saturating_add(leeway));
    let has_to_end = claims.get("active").is_none();
    let fits = !is_over && has_begun(secs("nbf")?) && has_begun(secs("iat")?);
    (fits && (expiry.is_some() || !has_to_end)).then_some(expiry)
}
