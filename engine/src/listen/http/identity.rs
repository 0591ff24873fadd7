//! Who asks: an account by HTTP Basic (RFC 7617), or a token by Bearer (RFC 6750).
//!
//! Both go through the gate of all logins, so that guessing is slowed down by address, network and
//! account here as everywhere.

use super::super::hall::Hall;
use crate::auth::{Admission, Attempt};
use crate::config::inject::{Token, TokenMay};
use crate::inject::{May, Principal, Problem, token_hash};
use crate::reactor::{clock, sleep};
use crate::wire::sasl::Refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::IpAddr;
use std::sync::Arc;

pub(super) async fn find(
    hall: &Hall,
    peer: IpAddr,
    authorization: Option<&str>,
) -> Result<Principal, Problem> {
    let said = authorization.ok_or_else(unknown)?;
    let (scheme, rest) = said.split_once(' ').ok_or_else(unknown)?;
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => account(hall, peer, rest.trim()).await,
        "bearer" => token(hall, peer, rest.trim()).await,
        _ => Err(unknown()),
    }
}

async fn account(hall: &Hall, peer: IpAddr, encoded: &str) -> Result<Principal, Problem> {
    let decoded = STANDARD.decode(encoded).map_err(|_| unknown())?;
    let decoded = String::from_utf8(decoded).map_err(|_| unknown())?;
    let (name, password) = decoded.split_once(':').ok_or_else(unknown)?;
    let account = hall.login(peer, name, password).await.map_err(refused)?;
    let address = account.address.to_string();
    Ok(Principal {
        name: address.clone(),
        may: May::Account(account),
        tenants: vec![address],
        per_minute_max: hall.live.config.load().inject.per_minute_max,
    })
}

async fn token(hall: &Hall, peer: IpAddr, secret: &str) -> Result<Principal, Problem> {
    let hash = token_hash(secret);
    let config = hall.live.config.load_full();
    // By its hash: how long the search takes says nothing of the secret.
    let tokens = config.inject.tokens.iter();
    let known = tokens.clone().find(|token| token.hash == hash);
    let key = known.map_or(UNKNOWN_TOKEN, |token| token.name.as_str());
    let attempt = || Attempt {
        now: clock::instant(),
        peer,
        account: key,
    };
    match (hall.gate.admit(attempt()), known) {
        // Others' guesses do not lock out who knows the secret.
        (_, Some(token)) => principal(hall, token, config.inject.per_minute_max),
        (Admission::Refused { .. }, None) => Err(refused(Refusal::Slowed)),
        (Admission::After(delay), None) => {
            sleep(delay).await;
            hall.gate.settle(attempt(), false);
            Err(unknown())
        }
    }
}

fn principal(hall: &Hall, token: &Token, usual: Option<u32>) -> Result<Principal, Problem> {
    let may = match &token.may {
        TokenMay::Senders(patterns) => May::Senders(patterns.clone()),
        TokenMay::Account(address) => {
            let account = hall.account(&address.to_string());
            May::Account(Arc::clone(&account.ok_or_else(no_account)?))
        }
    };
    Ok(Principal {
        name: token.name.clone(),
        may,
        tenants: token.tenants.clone(),
        per_minute_max: token.per_minute_max.or(usual),
    })
}

fn no_account() -> Problem {
    Problem::new(
        403,
        "no-account",
        "The account of this token is gone or disabled.",
    )
}

fn unknown() -> Problem {
    Problem::new(
        401,
        "not-logged-in",
        "Say who you are: Basic with an account, or Bearer.",
    )
}

fn refused(why: Refusal) -> Problem {
    match why {
        Refusal::Wrong => unknown(),
        Refusal::Slowed => {
            let title = "There were too many wrong logins; try again later.";
            Problem::new(429, "slowed-down", title).after(30)
        }
        Refusal::Unavailable | Refusal::Crowded => {
            Problem::new(503, "busy", "Logins cannot be checked now.").after(1)
        }
    }
}

/// What guesses of tokens are counted for, beside where they come from.
const UNKNOWN_TOKEN: &str = "token of nobody";
