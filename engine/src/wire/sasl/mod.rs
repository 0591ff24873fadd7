//! SASL exchanges, pure: the protocol around them only carries the bytes. Here is the server's
//! side, in [`client`] the other one.
//!
//! PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), SCRAM-SHA-1 and SCRAM-SHA-256 with their
//! -PLUS forms (RFC 5802, RFC 7677), EXTERNAL (RFC 4422), OAUTHBEARER (RFC 7628) and XOAUTH2.
//! SMTP, IMAP and POP3 drive the same [`Exchange`], and know of no mechanism by name:
//!
//! ```text
//! Offer::start ─▶ respond(initial response) ─┐   no initial response: send `opening` first
//!                 ┌──────────────────────────┘
//!                 ▼
//!   Challenge ─▶ sent, the answer goes to `respond`
//!   Ask       ─▶ a Question for whoever knows accounts (`listen::Hall::answer`); what it says
//!                goes to `answered`
//!   Welcome   ─▶ the exchange is over: in
//!   Refused   ─▶ the exchange is over: out, and why
//!   Malformed ─▶ the exchange is over: the client broke the mechanism
//! ```
//!
//! Passwords and names are prepared by the directory, apart from SCRAM user names, which RFC 5802
//! §5.1 has prepared here. No step allocates more than a few times [`RESPONSE_BYTES_MAX`].

pub mod client;
mod external;
mod offer;
pub mod plain;
pub mod scram;
mod token;

pub use offer::{Channel, EndPoint, Offer};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// A response as it comes over the wire, base64 included: what RFC 4954 §4 calls enough for every
/// mechanism in use. Only tokens come near it.
pub const RESPONSE_BYTES_MAX: usize = 12_288;

/// Identity, password or nonce, in octets (RFC 4616 §2: at least 255).
pub const STRING_BYTES_MAX: usize = 1000;

/// A bearer token, in octets.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

const _: () = assert!(3 * STRING_BYTES_MAX + 2 <= RESPONSE_BYTES_MAX / 4 * 3);
const _: () = assert!(TOKEN_BYTES_MAX + STRING_BYTES_MAX <= RESPONSE_BYTES_MAX / 4 * 3);

/// What there is to log in with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mechanism {
    Plain,
    Login,
    ScramSha1,
    ScramSha1Plus,
    ScramSha256,
    ScramSha256Plus,
    External,
    OAuthBearer,
    XOAuth2,
}

/// One authentication in progress; `A` is who logs in, as the caller knows them.
#[derive(Debug)]
pub struct Exchange<A> {
    state: State<A>,
}

#[derive(Debug)]
enum State<A> {
    Plain,
    Login(plain::Login),
    Scram(Box<scram::Server>),
    /// SCRAM: let in, and not yet told so by our own proof.
    Confirming(A),
    External,
    Token(token::Form),
    /// The client has to hear why before it is refused (RFC 7628 §3.2.3).
    AwaitDummy(Refusal),
    /// A question is open; nothing follows its answer.
    AwaitVerdict,
    AwaitTokenVerdict(token::Form),
    Over,
}

/// What the caller does next.
#[derive(PartialEq, Eq, Debug)]
pub enum Step<A> {
    /// Send these octets in base64 and give the answer to [`Exchange::respond`].
    Challenge(Vec<u8>),
    /// Ask whoever knows accounts, and give what they say to [`Exchange::answered`].
    Ask(Question),
    Welcome(A),
    Refused(Refusal),
    /// The exchange is broken.
    Malformed,
}

/// What only the directory knows.
#[derive(PartialEq, Eq, Debug)]
pub enum Question {
    /// Is this the password? Answered by [`Answer::Verdict`].
    Password(Credentials),
    /// The SCRAM keys of `user`; answered by [`Answer::Keys`], for a stranger, too.
    Keys { hash: scram::Hash, user: String },
    /// SCRAM came to its end: may `user` come in, or is a failure to be counted? Answered by
    /// [`Answer::Verdict`]; without `proven` it must refuse.
    Proof { user: String, proven: bool },
    /// Whose is the certificate that the client has shown? Without an identity the certificate
    /// decides. Answered by [`Answer::Verdict`].
    Certificate { identity: Option<String> },
    /// Whose is the token? It must be that of `identity`, where one is named. Answered by
    /// [`Answer::Verdict`].
    Token {
        identity: Option<String>,
        token: Password,
    },
}

/// The answer to a [`Question`].
#[derive(Debug)]
pub enum Answer<A> {
    Keys(Box<scram::Known>),
    Verdict(Result<A, Refusal>),
}

/// Why a login is refused. To a client, a stranger and a wrong password are the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    Wrong,
    /// Too many failures from there or for that account.
    Slowed,
    /// Nobody can tell now.
    Unavailable,
    /// The account has as many connections as it may.
    Crowded,
}

/// A password given in the clear, to be checked against the directory.
#[derive(PartialEq, Eq, Debug)]
pub struct Credentials {
    pub identity: String,
    pub password: Password,
}

/// A password or token that does not show itself in logs.
#[derive(PartialEq, Eq)]
pub struct Password(String);

/// The response is not what the mechanism or base64 allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl Mechanism {
    /// In the order in which they are announced: the strongest first.
    pub const ALL: [Mechanism; 9] = [
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha256,
        Mechanism::ScramSha1Plus,
        Mechanism::ScramSha1,
        Mechanism::External,
        Mechanism::OAuthBearer,
        Mechanism::XOAuth2,
        Mechanism::Plain,
        Mechanism::Login,
    ];

    /// The mechanism of that name, in any case (RFC 4422 §3.1 has upper case on the wire).
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Mechanism> {
        Mechanism::ALL
            .into_iter()
            .find(|mechanism| mechanism.name().as_bytes().eq_ignore_ascii_case(name))
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Mechanism::External => "EXTERNAL",
            Mechanism::OAuthBearer => "OAUTHBEARER",
            Mechanism::XOAuth2 => "XOAUTH2",
        }
    }

    /// Whether who reads the line learns what they can log in with: a password, or a token.
    #[must_use]
    pub fn shows_password(self) -> bool {
        matches!(
            self,
            Mechanism::Plain | Mechanism::Login | Mechanism::OAuthBearer | Mechanism::XOAuth2
        )
    }

    /// The hash of SCRAM, and whether the channel is bound.
    #[must_use]
    pub fn scram(self) -> Option<(scram::Hash, bool)> {
        match self {
            Mechanism::ScramSha1 => Some((scram::Hash::Sha1, false)),
            Mechanism::ScramSha1Plus => Some((scram::Hash::Sha1, true)),
            Mechanism::ScramSha256 => Some((scram::Hash::Sha256, false)),
            Mechanism::ScramSha256Plus => Some((scram::Hash::Sha256, true)),
            _ => None,
        }
    }
}

impl<A> Exchange<A> {
    /// The challenge that asks for the first response when the client sent none with its command.
    #[must_use]
    pub fn opening(&self) -> &'static [u8] {
        match self.state {
            State::Login(_) => plain::Login::IDENTITY_PROMPT,
            _ => b"",
        }
    }

    /// Takes a decoded response.
    pub fn respond(&mut self, response: &[u8]) -> Step<A> {
        let step = match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => plain::respond(response).map(|asked| self.verdict_on(asked)),
            State::Login(login) => login.respond(response).map(|next| match next {
                plain::Next::Prompt(login, prompt) => {
                    self.state = State::Login(login);
                    Step::Challenge(prompt.to_vec())
                }
                plain::Next::Verify(credentials) => self.verdict_on(Ok(credentials)),
            }),
            State::Scram(mut server) => server.respond(response).map(|question| {
                self.state = State::Scram(server);
                Step::Ask(question)
            }),
            State::Confirming(account) if response.is_empty() => Ok(Step::Welcome(account)),
            State::External => external::respond(response).map(|identity| {
                self.state = State::AwaitVerdict;
                Step::Ask(Question::Certificate { identity })
            }),
            State::Token(form) => form.respond(response).map(|question| {
                self.state = State::AwaitTokenVerdict(form);
                Step::Ask(question)
            }),
            State::AwaitDummy(refusal) => Ok(Step::Refused(refusal)),
            _ => Err(Malformed),
        };
        step.unwrap_or(Step::Malformed)
    }

    /// Continues after [`Step::Ask`].
    pub fn answered(&mut self, answer: Answer<A>) -> Step<A> {
        let state = std::mem::replace(&mut self.state, State::Over);
        match (state, answer) {
            (State::Scram(mut server), Answer::Keys(known)) => match server.keys(*known) {
                Ok(challenge) => {
                    self.state = State::Scram(server);
                    Step::Challenge(challenge)
                }
                Err(Malformed) => Step::Malformed,
            },
            (State::Scram(mut server), Answer::Verdict(Ok(account))) => match server.confirm() {
                Ok(proof) => {
                    self.state = State::Confirming(account);
                    Step::Challenge(proof)
                }
                // Whoever let in somebody that has proven nothing is not believed.
                Err(Malformed) => Step::Refused(Refusal::Wrong),
            },
            (State::AwaitTokenVerdict(form), Answer::Verdict(Err(Refusal::Wrong))) => {
                self.state = State::AwaitDummy(Refusal::Wrong);
                Step::Challenge(form.complaint().to_vec())
            }
            (State::AwaitVerdict | State::AwaitTokenVerdict(_), Answer::Verdict(Ok(account))) => {
                Step::Welcome(account)
            }
            (_, Answer::Verdict(Err(refusal))) => Step::Refused(refusal),
            _ => Step::Malformed,
        }
    }

    fn verdict_on(&mut self, asked: Result<Credentials, Refusal>) -> Step<A> {
        match asked {
            Ok(credentials) => {
                self.state = State::AwaitVerdict;
                Step::Ask(Question::Password(credentials))
            }
            Err(refusal) => Step::Refused(refusal),
        }
    }
}

impl Password {
    #[must_use]
    pub fn new(password: String) -> Password {
        Password(password)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Decodes a response line. `=` alone stands for an empty one (RFC 4954 §4).
pub fn decode(line: &[u8]) -> Result<Vec<u8>, Malformed> {
    if line == b"=" {
        return Ok(Vec::new());
    }
    STANDARD.decode(line).map_err(|_| Malformed)
}

/// Adds a challenge in base64.
pub fn encode_into(challenge: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(STANDARD.encode(challenge).as_bytes());
}

/// A string of a response: UTF-8, not empty, bounded, without NUL.
fn string(octets: &[u8]) -> Result<String, Malformed> {
    let text = str::from_utf8(octets).map_err(|_| Malformed)?;
    if text.is_empty() || text.len() > STRING_BYTES_MAX || text.contains('\0') {
        return Err(Malformed);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_it_offers_and_nothing_else() {
        for mechanism in Mechanism::ALL {
            let name = mechanism.name().to_ascii_lowercase();
            assert_eq!(Mechanism::from_name(name.as_bytes()), Some(mechanism));
        }
        assert_eq!(Mechanism::from_name(b"ANONYMOUS"), None);
        assert_eq!(Mechanism::from_name(b""), None);
    }

    #[test]
    fn decodes_strictly() {
        assert_eq!(decode(b"="), Ok(Vec::new()));
        assert_eq!(decode(b"AHQAcA=="), Ok(b"\0t\0p".to_vec()));
        for bad in [&b"AHQAcA"[..], b"AHQ AcA=", b"====", b"AB==", b"*"] {
            assert_eq!(decode(bad), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn hides_the_password() {
        let shown = format!("{:?}", Password::new("pencil".into()));
        assert!(!shown.contains("pencil"));
    }

    /// Whatever is answered to what was not asked, nobody gets in.
    #[test]
    fn an_answer_without_a_question_opens_nothing() {
        let offer = Offer::new(&Mechanism::ALL, Channel::private(), false);
        for mechanism in offer.mechanisms() {
            let mut exchange = offer.start(mechanism);
            let step = exchange.answered(Answer::Verdict(Ok(())));
            assert!(!matches!(step, Step::Welcome(())), "{mechanism:?}");
            assert_eq!(exchange.respond(b"n,,n=tim,r=abc"), Step::Malformed);
        }
    }
}
