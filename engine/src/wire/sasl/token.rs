//! Mechanisms that carry a bearer token: OAUTHBEARER (RFC 7628) and the older XOAUTH2.
//!
//! ```text
//! OAUTHBEARER  gs2-header ^A key=value ^A … ^A ^A      auth=Bearer TOKEN
//! XOAUTH2      user=NAME ^A auth=Bearer TOKEN ^A ^A
//! ```
//!
//! A token that is refused is answered by a JSON object, which the client has to acknowledge with
//! anything before it hears that it is out (RFC 7628 §3.2.3).

use super::{Malformed, Password, Question, STRING_BYTES_MAX, TOKEN_BYTES_MAX, scram, string};

/// How the token is wrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    OAuthBearer,
    XOAuth2,
}

/// What stands between the pairs.
const SEPARATOR: char = '\u{1}';

/// Key-value pairs of one message.
const PAIRS_MAX: usize = 32;

impl Form {
    pub(super) fn respond(self, response: &[u8]) -> Result<Question, Malformed> {
        let message = str::from_utf8(response).map_err(|_| Malformed)?;
        let (identity, pairs) = match self {
            Form::OAuthBearer => bearer_head(message)?,
            Form::XOAuth2 => xoauth2_head(message)?,
        };
        let pairs = pairs.strip_suffix("\u{1}\u{1}").ok_or(Malformed)?;
        let mut token = None;
        for (place, pair) in pairs.split(SEPARATOR).enumerate() {
            let (key, value) = pair.split_once('=').ok_or(Malformed)?;
            if place >= PAIRS_MAX || key.is_empty() {
                return Err(Malformed);
            }
            if key == "auth" && token.replace(bearer(value)?).is_some() {
                return Err(Malformed);
            }
        }
        let token = Password::new(token.ok_or(Malformed)?.to_owned());
        Ok(Question::Token { identity, token })
    }

    /// Why the token is refused, for the client's programmer (RFC 7628 §3.2.2).
    pub(super) fn complaint(self) -> &'static [u8] {
        match self {
            Form::OAuthBearer => br#"{"status":"invalid_token"}"#,
            // What the clients of the older mechanism look for.
            Form::XOAuth2 => br#"{"status":"401","schemes":"bearer","scope":"mail"}"#,
        }
    }
}

/// The GS2 header: no channel binding (RFC 7628 §3.1), and perhaps an identity.
fn bearer_head(message: &str) -> Result<(Option<String>, &str), Malformed> {
    let (header, pairs) = message.split_once(SEPARATOR).ok_or(Malformed)?;
    let mut parts = header.splitn(3, ',');
    let (flag, authzid, rest) = (parts.next(), parts.next(), parts.next());
    if !matches!(flag, Some("n" | "y")) || rest != Some("") {
        return Err(Malformed);
    }
    let identity = match authzid.unwrap_or_default() {
        "" => None,
        named => {
            let name = named.strip_prefix("a=").ok_or(Malformed)?;
            Some(scram::saslname(name)?)
        }
    };
    Ok((identity, pairs))
}

fn xoauth2_head(message: &str) -> Result<(Option<String>, &str), Malformed> {
    let rest = message.strip_prefix("user=").ok_or(Malformed)?;
    let (user, pairs) = rest.split_once(SEPARATOR).ok_or(Malformed)?;
    Ok((Some(string(user.as_bytes())?), pairs))
}

/// RFC 6750 §2.1: `Bearer`, in any case, and `b64token`.
fn bearer(value: &str) -> Result<&str, Malformed> {
    let (scheme, token) = value.split_once(' ').ok_or(Malformed)?;
    let token = token.trim_start_matches(' ');
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    let fits = (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(is_token);
    match scheme.eq_ignore_ascii_case("bearer") && fits {
        true => Ok(token),
        false => Err(Malformed),
    }
}

const _: () = assert!(STRING_BYTES_MAX < TOKEN_BYTES_MAX);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Answer, Channel, Mechanism, Offer, Refusal, Step};
    use super::*;

    fn asked(identity: Option<&str>, token: &str) -> Result<Question, Malformed> {
        Ok(Question::Token {
            identity: identity.map(str::to_owned),
            token: Password::new(token.into()),
        })
    }

    #[test]
    fn both_wrappings_are_opened() {
        let bearer = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
                       auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        assert_eq!(
            Form::OAuthBearer.respond(bearer),
            asked(
                Some("user@example.com"),
                "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
            )
        );
        let bare = Form::OAuthBearer.respond(b"n,,\x01auth=bearer x.y-z\x01\x01");
        assert_eq!(bare, asked(None, "x.y-z"));
        let older = Form::XOAuth2.respond(b"user=tim@here\x01auth=Bearer abc\x01\x01");
        assert_eq!(older, asked(Some("tim@here"), "abc"));
    }

    #[test]
    fn what_is_wrapped_wrongly_is_refused() {
        for bad in [
            &b""[..],
            b"n,,",
            b"n,,\x01\x01",
            b"n,,\x01auth=Bearer x\x01",
            b"n,,\x01auth=Basic x\x01\x01",
            b"n,,\x01auth=Bearer \x01\x01",
            b"n,,\x01auth=Bearer a b\x01\x01",
            b"n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
            b"n,,\x01=x\x01auth=Bearer x\x01\x01",
            b"n,,\x01nothing\x01auth=Bearer x\x01\x01",
            b"p=tls-exporter,,\x01auth=Bearer x\x01\x01",
            b"n,tim,\x01auth=Bearer x\x01\x01",
            b"n,,x,\x01auth=Bearer x\x01\x01",
        ] {
            assert_eq!(Form::OAuthBearer.respond(bad), Err(Malformed), "{bad:?}");
        }
        for bad in [
            &b"user=\x01auth=Bearer x\x01\x01"[..],
            b"auth=Bearer x\x01\x01",
        ] {
            assert_eq!(Form::XOAuth2.respond(bad), Err(Malformed), "{bad:?}");
        }
        let many = format!("n,,\x01{}auth=Bearer x\x01\x01", "k=v\x01".repeat(40));
        assert_eq!(Form::OAuthBearer.respond(many.as_bytes()), Err(Malformed));
    }

    /// RFC 7628 §3.2.3: the error, the client's dummy, then the refusal.
    #[test]
    fn a_refused_token_is_explained_first() {
        let offer = Offer::new(&[Mechanism::OAuthBearer], Channel::private(), false);
        let mut exchange = offer.start::<()>(Mechanism::OAuthBearer);
        let step = exchange.respond(b"n,,\x01auth=Bearer x\x01\x01");
        assert!(matches!(step, Step::Ask(Question::Token { .. })));
        let Step::Challenge(complaint) = exchange.answered(Answer::Verdict(Err(Refusal::Wrong)))
        else {
            panic!("the error comes first");
        };
        let complaint: serde_json::Value = serde_json::from_slice(&complaint).unwrap();
        assert_eq!(complaint["status"], "invalid_token");
        assert_eq!(exchange.respond(b"\x01"), Step::Refused(Refusal::Wrong));
        assert_eq!(exchange.respond(b"\x01"), Step::Malformed);
    }
}
