//! SASL exchanges of the client's side, pure: PLAIN, LOGIN and SCRAM-SHA-256 (RFC 4616, RFC 5802,
//! RFC 7677).
//!
//! ```text
//! begin ─▶ initial response, if the mechanism has one
//! challenge ─▶ Respond: send it
//!            ─▶ Derive: hashes for a thread that may block; `derived` continues with a Respond
//! succeeded ─▶ whether the server may be believed: with SCRAM it has proven itself first
//! ```

use super::scram::{KEY_BYTES, hmac_sha256};
use super::{Malformed, Mechanism, Password, STRING_BYTES_MAX};
use aws_lc_rs::{constant_time, digest, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;

/// Iterations that a server may ask of us: some 100 ms of a processor.
pub const ITERATIONS_MAX: u32 = 200_000;

/// RFC 7677 §4: fewer make the password cheap to guess for whoever plays the server.
pub const ITERATIONS_MIN: u32 = 4096;

/// One login in progress.
#[derive(Debug)]
pub struct Exchange {
    user: String,
    password: Password,
    state: State,
}

/// What the caller does next.
#[derive(Debug)]
pub enum Step {
    /// Send these octets in base64.
    Respond(Vec<u8>),
    Derive(Derivation),
}

/// The work that a password costs.
#[derive(Debug)]
pub struct Derivation {
    password: Password,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

/// What it comes to.
pub struct Salted([u8; KEY_BYTES]);

#[derive(Debug)]
enum State {
    /// PLAIN: sent with the command; some servers ask all the same.
    Sent,
    AwaitUserPrompt,
    AwaitPasswordPrompt,
    AwaitServerFirst {
        nonce: String,
        bare: String,
    },
    AwaitSalted {
        without_proof: String,
        transcript: String,
    },
    AwaitServerFinal {
        signature: [u8; KEY_BYTES],
    },
    /// Nothing more is to be said, but the server has to say yes.
    AwaitSuccess,
    Over,
}

impl Exchange {
    /// Begins, with the response that goes with the command. `nonce` is fresh, printable and
    /// without a comma.
    pub fn begin(
        mechanism: Mechanism,
        user: &str,
        password: &Password,
        nonce: String,
    ) -> Result<(Exchange, Option<Vec<u8>>), Malformed> {
        let user = prepared(user)?;
        let password = Password::new(prepared(password.as_str())?);
        let (state, initial) = match mechanism {
            Mechanism::Plain => (State::Sent, Some(plain(&user, &password))),
            Mechanism::Login => (State::AwaitUserPrompt, None),
            Mechanism::ScramSha256 => {
                let name = user.replace('=', "=3D").replace(',', "=2C");
                let bare = format!("n={name},r={nonce}");
                let initial = format!("n,,{bare}").into_bytes();
                (State::AwaitServerFirst { nonce, bare }, Some(initial))
            }
            _ => return Err(Malformed),
        };
        let exchange = Exchange {
            user,
            password,
            state,
        };
        Ok((exchange, initial))
    }

    /// Takes a decoded challenge.
    pub fn challenge(&mut self, challenge: &[u8]) -> Result<Step, Malformed> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Sent if challenge.is_empty() => {
                self.state = State::AwaitSuccess;
                Ok(Step::Respond(plain(&self.user, &self.password)))
            }
            State::AwaitUserPrompt => {
                self.state = State::AwaitPasswordPrompt;
                Ok(Step::Respond(self.user.clone().into_bytes()))
            }
            State::AwaitPasswordPrompt => {
                self.state = State::AwaitSuccess;
                Ok(Step::Respond(self.password.as_str().as_bytes().to_vec()))
            }
            State::AwaitServerFirst { nonce, bare } => self.server_first(&nonce, &bare, challenge),
            State::AwaitServerFinal { signature } => {
                self.state = server_final(&signature, challenge)?;
                Ok(Step::Respond(Vec::new()))
            }
            _ => Err(Malformed),
        }
    }

    /// Continues after [`Step::Derive`].
    pub fn derived(&mut self, salted: &Salted) -> Result<Step, Malformed> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let State::AwaitSalted {
            without_proof,
            transcript,
        } = state
        else {
            return Err(Malformed);
        };
        let client_key = hmac_sha256(&salted.0, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let signature = hmac_sha256(stored_key.as_ref(), transcript.as_bytes());
        let mut proof = client_key;
        for (octet, mask) in proof.iter_mut().zip(signature) {
            *octet ^= mask;
        }
        let server_key = hmac_sha256(&salted.0, b"Server Key");
        self.state = State::AwaitServerFinal {
            signature: hmac_sha256(&server_key, transcript.as_bytes()),
        };
        let last = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok(Step::Respond(last.into_bytes()))
    }

    /// The server says that we are logged in: whether that is to be believed.
    pub fn succeeded(&self) -> Result<(), Malformed> {
        match self.state {
            State::Sent | State::AwaitSuccess => Ok(()),
            _ => Err(Malformed),
        }
    }

    fn server_first(
        &mut self,
        nonce: &str,
        bare: &str,
        challenge: &[u8],
    ) -> Result<Step, Malformed> {
        let message = str::from_utf8(challenge).map_err(|_| Malformed)?;
        let mut attributes = message.split(',');
        let mut attribute = |name| {
            let attribute = attributes.next().and_then(|text| text.strip_prefix(name));
            attribute.ok_or(Malformed)
        };
        let (joined, salt, iterations) = (attribute("r=")?, attribute("s=")?, attribute("i=")?);
        // RFC 5802 §5.1: a nonce that does not go on from ours is of another exchange.
        let is_ours = joined.len() > nonce.len() && joined.starts_with(nonce);
        let iterations: u32 = iterations.parse().map_err(|_| Malformed)?;
        let is_fair = (ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations);
        if !is_ours || !is_fair || joined.len() > 2 * STRING_BYTES_MAX {
            return Err(Malformed);
        }
        // `biws` is `n,,` in base64: no channel binding.
        let without_proof = format!("c=biws,r={joined}");
        self.state = State::AwaitSalted {
            transcript: format!("{bare},{message},{without_proof}"),
            without_proof,
        };
        Ok(Step::Derive(Derivation {
            password: Password::new(self.password.as_str().to_owned()),
            salt: STANDARD.decode(salt).map_err(|_| Malformed)?,
            iterations: NonZeroU32::new(iterations).ok_or(Malformed)?,
        }))
    }
}

impl Derivation {
    /// Does the work: not for the thread of a shard.
    #[must_use]
    pub fn derive(&self) -> Salted {
        let mut salted = [0; KEY_BYTES];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            self.iterations,
            &self.salt,
            self.password.as_str().as_bytes(),
            &mut salted,
        );
        Salted(salted)
    }
}

impl std::fmt::Debug for Salted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salted(…)")
    }
}

/// What this side can do, the strongest first.
pub const KNOWN: [Mechanism; 3] = [Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login];

/// The strongest mechanism that both sides know; without `may_show` none that shows the password.
#[must_use]
pub fn choose(offered: &[Mechanism], may_show: bool) -> Option<Mechanism> {
    let allowed = |mechanism: &Mechanism| may_show || !mechanism.shows_password();
    let mut strongest_first = KNOWN.into_iter();
    strongest_first.find(|mechanism| offered.contains(mechanism) && allowed(mechanism))
}

fn server_final(signature: &[u8; KEY_BYTES], challenge: &[u8]) -> Result<State, Malformed> {
    let proof = challenge.strip_prefix(b"v=").ok_or(Malformed)?;
    let proof = STANDARD.decode(proof).map_err(|_| Malformed)?;
    match constant_time::verify_slices_are_equal(&proof, signature) {
        Ok(()) => Ok(State::AwaitSuccess),
        Err(_) => Err(Malformed),
    }
}

fn plain(user: &str, password: &Password) -> Vec<u8> {
    format!("\0{user}\0{}", password.as_str()).into_bytes()
}

/// RFC 4013, within the bounds of a string.
fn prepared(text: &str) -> Result<String, Malformed> {
    let prepared = stringprep::saslprep(text).map_err(|_| Malformed)?;
    super::string(prepared.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::scram::{Hash, ITERATIONS, Keys, Known};
    use super::super::{Answer, Channel, Offer, Question, Step as Asked};
    use super::*;

    fn login(mechanism: Mechanism, password: &str) -> (Exchange, Option<Vec<u8>>) {
        let password = Password::new(password.into());
        Exchange::begin(mechanism, "ti,m=", &password, "nonce".into()).unwrap()
    }

    fn respond(step: Result<Step, Malformed>) -> Vec<u8> {
        match step.unwrap() {
            Step::Respond(octets) => octets,
            Step::Derive(_) => panic!("a response was due"),
        }
    }

    fn challenge(step: Asked<()>) -> Vec<u8> {
        match step {
            Asked::Challenge(octets) => octets,
            other => panic!("a challenge was due, not {other:?}"),
        }
    }

    /// Our client against our server; gives whether the server was convinced.
    fn scram(theirs: &str, ours: &str) -> bool {
        let iterations = NonZeroU32::new(ITERATIONS).unwrap();
        let keys = Keys::derive(Hash::Sha256, theirs, b"salt", iterations);
        let known = Known {
            keys,
            is_real: true,
            nonce: "more".into(),
        };
        let offer = Offer::new(&[Mechanism::ScramSha256], Channel::default(), false);
        let mut server = offer.start(Mechanism::ScramSha256);
        let (mut client, initial) = login(Mechanism::ScramSha256, ours);
        let asked = server.respond(&initial.unwrap());
        let (hash, user) = (Hash::Sha256, "ti,m=".to_owned());
        assert_eq!(asked, Asked::Ask(Question::Keys { hash, user }));
        let first = challenge(server.answered(Answer::Keys(Box::new(known))));
        assert!(client.succeeded().is_err(), "the server has proven nothing");
        let Ok(Step::Derive(derivation)) = client.challenge(&first) else {
            panic!("a derivation was due");
        };
        let last = respond(client.derived(&derivation.derive()));
        let Asked::Ask(Question::Proof { proven, .. }) = server.respond(&last) else {
            panic!("a proof was due");
        };
        if proven {
            let server_last = challenge(server.answered(Answer::Verdict(Ok(()))));
            assert_eq!(respond(client.challenge(&server_last)), b"");
            assert!(client.succeeded().is_ok());
            assert_eq!(server.respond(b""), Asked::Welcome(()));
        }
        proven
    }

    #[test]
    fn scram_convinces_our_own_server() {
        assert!(scram("pencil", "pencil"));
        assert!(!scram("pencil", "pen"));
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_not_believed() {
        let (mut client, _) = login(Mechanism::ScramSha256, "pencil");
        let step = client.challenge(b"r=noncemore,s=c2FsdA==,i=4096");
        let Ok(Step::Derive(derivation)) = step else {
            panic!("a derivation was due");
        };
        respond(client.derived(&derivation.derive()));
        let forged = format!("v={}", STANDARD.encode([0; KEY_BYTES]));
        assert!(client.challenge(forged.as_bytes()).is_err());
        assert!(client.succeeded().is_err());
    }

    #[test]
    fn broken_and_greedy_challenges_are_refused() {
        for bad in [
            "",
            "r=nonce,s=c2FsdA==,i=4096",
            "r=other,s=c2FsdA==,i=4096",
            "r=noncemore,s=c2FsdA==,i=1",
            "r=noncemore,s=c2FsdA==,i=200001",
            "r=noncemore,s=c2FsdA==,i=99999999999",
            "r=noncemore,s=!,i=4096",
            "m=x,r=noncemore,s=c2FsdA==,i=4096",
            "e=other-error",
        ] {
            let (mut client, _) = login(Mechanism::ScramSha256, "pencil");
            assert!(client.challenge(bad.as_bytes()).is_err(), "{bad}");
            assert!(client.challenge(b"").is_err(), "it is over");
        }
    }

    #[test]
    fn plain_and_login_say_what_they_are_asked() {
        let (mut client, initial) = login(Mechanism::Plain, "pw");
        assert_eq!(initial.as_deref(), Some(&b"\0ti,m=\0pw"[..]));
        assert!(client.succeeded().is_ok());
        assert_eq!(respond(client.challenge(b"")), b"\0ti,m=\0pw");
        assert!(client.challenge(b"").is_err());
        let (mut client, initial) = login(Mechanism::Login, "pw");
        assert_eq!(initial, None);
        assert!(client.succeeded().is_err());
        assert_eq!(respond(client.challenge(b"Username:")), b"ti,m=");
        assert_eq!(respond(client.challenge(b"Password:")), b"pw");
        assert!(client.succeeded().is_ok());
        assert!(client.challenge(b"").is_err());
    }

    #[test]
    fn the_strongest_that_may_be_is_chosen() {
        let all = [Mechanism::Login, Mechanism::ScramSha256, Mechanism::Plain];
        assert_eq!(choose(&all, true), Some(Mechanism::ScramSha256));
        assert_eq!(choose(&[Mechanism::Login], true), Some(Mechanism::Login));
        assert_eq!(choose(&[Mechanism::Plain], false), None);
        assert_eq!(choose(&[], true), None);
    }
}
