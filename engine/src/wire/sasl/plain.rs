//! Mechanisms that show the password: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login-00).

use super::{Credentials, Malformed, Password, Refusal, string};

/// LOGIN in progress; named for what it awaits.
#[derive(PartialEq, Eq, Debug)]
pub enum Login {
    AwaitIdentity,
    AwaitPassword { identity: String },
}

/// What follows a response of LOGIN.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Next {
    Prompt(Login, &'static [u8]),
    Verify(Credentials),
}

impl Login {
    // The draft asks for "User Name" and "Password"; clients in use look for these words instead.
    pub(super) const IDENTITY_PROMPT: &'static [u8] = b"Username:";
    const PASSWORD_PROMPT: &'static [u8] = b"Password:";

    pub(super) fn respond(self, response: &[u8]) -> Result<Next, Malformed> {
        match self {
            Login::AwaitIdentity => {
                let identity = string(response)?;
                let login = Login::AwaitPassword { identity };
                Ok(Next::Prompt(login, Login::PASSWORD_PROMPT))
            }
            Login::AwaitPassword { identity } => Ok(Next::Verify(Credentials {
                identity,
                password: Password::new(string(response)?),
            })),
        }
    }
}

/// `[authzid] NUL authcid NUL passwd`. Nobody acts for somebody else here: an authorization
/// identity is good only if it repeats the other one.
pub(super) fn respond(response: &[u8]) -> Result<Result<Credentials, Refusal>, Malformed> {
    let mut parts = response.splitn(3, |&octet| octet == 0);
    let (Some(authzid), Some(authcid), Some(password)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(Malformed);
    };
    let (identity, password) = (string(authcid)?, Password::new(string(password)?));
    if !authzid.is_empty() && authzid != authcid {
        return Ok(Err(Refusal::Wrong));
    }
    Ok(Ok(Credentials { identity, password }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sasl::{Channel, Mechanism, Offer, Question, Step};

    fn plain(identity: &str, password: &str) -> Credentials {
        Credentials {
            identity: identity.into(),
            password: Password::new(password.into()),
        }
    }

    #[test]
    fn takes_plain_with_and_without_authorization_identity() {
        let expected = Ok(Ok(plain("tim", "tanstaaftanstaaf")));
        assert_eq!(respond(b"\0tim\0tanstaaftanstaaf"), expected);
        assert_eq!(respond(b"tim\0tim\0tanstaaftanstaaf"), expected);
    }

    #[test]
    fn nobody_acts_for_another() {
        assert_eq!(respond(b"kurt\0tim\0x"), Ok(Err(Refusal::Wrong)));
    }

    #[test]
    fn refuses_broken_plain() {
        let long = [b"\0tim\0".as_slice(), &[b'x'; 1001]].concat();
        for bad in [
            &b""[..],
            b"tim",
            b"\0tim",
            b"\0\0secret",
            b"\0tim\0",
            b"\0tim\0a\0b",
            b"\0t\xffm\0x",
            &long,
        ] {
            assert_eq!(respond(bad), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn walks_through_login() {
        let offer = Offer::new(&[Mechanism::Login], Channel::private(), false);
        let mut exchange = offer.start::<()>(Mechanism::Login);
        assert_eq!(exchange.opening(), b"Username:");
        let prompt = exchange.respond(b"tim");
        assert_eq!(prompt, Step::Challenge(b"Password:".to_vec()));
        let asked = exchange.respond(b"secret");
        assert_eq!(asked, Step::Ask(Question::Password(plain("tim", "secret"))));
        assert_eq!(exchange.respond(b"more"), Step::Malformed);
        let mut empty = offer.start::<()>(Mechanism::Login);
        assert_eq!(empty.respond(b""), Step::Malformed);
    }
}
