//! Mechanisms that show the password: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login-00).

use super::{Credentials, Malformed, Mechanism, Password, Step, string};

/// LOGIN in progress; named for what it awaits.
#[derive(PartialEq, Eq, Debug)]
pub enum Login {
    AwaitIdentity,
    AwaitPassword { identity: String },
    Over,
}

impl Login {
    // The draft asks for "User Name" and "Password"; clients in use look for these words instead.
    pub(super) const IDENTITY_PROMPT: &'static [u8] = b"Username:";
    const PASSWORD_PROMPT: &'static [u8] = b"Password:";

    pub(super) fn respond(&mut self, response: &[u8]) -> Result<Step, Malformed> {
        match std::mem::replace(self, Login::Over) {
            Login::AwaitIdentity => {
                let identity = string(response)?;
                *self = Login::AwaitPassword { identity };
                Ok(Step::Challenge(Login::PASSWORD_PROMPT.to_vec()))
            }
            Login::AwaitPassword { identity } => Ok(Step::Verify(Credentials {
                mechanism: Mechanism::Login,
                identity,
                password: Password::new(string(response)?),
            })),
            Login::Over => Err(Malformed),
        }
    }
}

/// `[authzid] NUL authcid NUL passwd`. Nobody acts for somebody else here: an authorization
/// identity is good only if it repeats the other one.
pub(super) fn respond(response: &[u8]) -> Result<Step, Malformed> {
    let mut parts = response.splitn(3, |&octet| octet == 0);
    let (Some(authzid), Some(authcid), Some(password)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(Malformed);
    };
    let (identity, password) = (string(authcid)?, Password::new(string(password)?));
    if !authzid.is_empty() && authzid != authcid {
        return Ok(Step::Unauthorized);
    }
    let mechanism = Mechanism::Plain;
    Ok(Step::Verify(Credentials {
        mechanism,
        identity,
        password,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sasl::Exchange;

    fn plain(identity: &str, password: &str) -> Credentials {
        Credentials {
            mechanism: Mechanism::Plain,
            identity: identity.into(),
            password: Password::new(password.into()),
        }
    }

    #[test]
    fn takes_plain_with_and_without_authorization_identity() {
        let expected = Ok(Step::Verify(plain("tim", "tanstaaftanstaaf")));
        assert_eq!(respond(b"\0tim\0tanstaaftanstaaf"), expected);
        assert_eq!(respond(b"tim\0tim\0tanstaaftanstaaf"), expected);
    }

    #[test]
    fn nobody_acts_for_another() {
        assert_eq!(respond(b"kurt\0tim\0x"), Ok(Step::Unauthorized));
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
        let mut exchange = Exchange::start(Mechanism::Login);
        assert_eq!(exchange.opening(), b"Username:");
        assert_eq!(
            exchange.respond(b"tim"),
            Step::Challenge(b"Password:".to_vec())
        );
        let Step::Verify(credentials) = exchange.respond(b"secret") else {
            panic!("the password ends the exchange");
        };
        assert_eq!(credentials.identity, "tim");
        assert_eq!(credentials.password.as_str(), "secret");
        assert_eq!(exchange.respond(b"more"), Step::Malformed);
    }

    #[test]
    fn refuses_an_empty_login() {
        assert_eq!(
            Exchange::start(Mechanism::Login).respond(b""),
            Step::Malformed
        );
    }
}
