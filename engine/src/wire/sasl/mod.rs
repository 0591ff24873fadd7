//! SASL exchanges, pure: the protocol around them only carries the bytes. Here is the server's
//! side, in [`client`] the other one.
//!
//! PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login) and SCRAM-SHA-256 (RFC 5802, RFC 7677).
//! SMTP, IMAP and POP3 drive the same [`Exchange`]:
//!
//! ```text
//! start ─▶ respond(initial response) ─┐        no initial response: send `opening` first
//!                 ┌───────────────────┘
//!                 ▼
//!   Challenge ─▶ sent, the answer goes to `respond`
//!   Verify    ─▶ password checked by the caller; the exchange is over
//!   Secret    ─▶ keys looked up, `keys` continues with a Challenge
//!   Proven    ─▶ the caller decides (lock-outs); `confirm` continues with a Challenge
//!   Done      ─▶ the last empty response came; the login holds
//! ```
//!
//! Passwords and names are prepared by the caller's directory, apart from SCRAM user names, which
//! RFC 5802 §5.1 has prepared here. No step allocates more than a few times
//! [`RESPONSE_BYTES_MAX`].

pub mod client;
pub mod plain;
pub mod scram;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// A response as it comes over the wire, base64 included. RFC 4954 §4 calls 12,288 octets enough
/// for every mechanism in use; ours need three strings of at most [`STRING_BYTES_MAX`].
pub const RESPONSE_BYTES_MAX: usize = 4096;

/// Identity, password or nonce, in octets (RFC 4616 §2: at least 255).
pub const STRING_BYTES_MAX: usize = 1000;

const _: () = assert!(3 * STRING_BYTES_MAX + 2 <= RESPONSE_BYTES_MAX / 4 * 3);

/// What the server offers. SCRAM-SHA-256-PLUS is not among it: no channel binding is announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mechanism {
    Plain,
    Login,
    ScramSha256,
}

/// One authentication in progress.
#[derive(Debug)]
pub enum Exchange {
    Plain,
    Login(plain::Login),
    Scram(scram::Server),
}

/// What the caller does next.
#[derive(PartialEq, Eq, Debug)]
pub enum Step {
    /// Send these octets in base64 and give the answer to [`Exchange::respond`].
    Challenge(Vec<u8>),
    /// Check the password; there is nothing more to exchange.
    Verify(Credentials),
    /// Look up the SCRAM keys of `user` and call [`Exchange::keys`], with `None` for a stranger.
    Secret { user: String },
    /// The client did or did not prove that it knows the password. To let it in, call
    /// [`Exchange::confirm`].
    Proven { user: String, proven: bool },
    /// The client has seen the server's proof: it is logged in.
    Done,
    /// The client wants to act for somebody else, which nobody may here (RFC 4616 §2).
    Unauthorized,
    /// The exchange is broken and over.
    Malformed,
}

/// A password given in the clear, to be checked against the directory.
#[derive(PartialEq, Eq, Debug)]
pub struct Credentials {
    pub mechanism: Mechanism,
    pub identity: String,
    pub password: Password,
}

/// A password that does not show itself in logs.
#[derive(PartialEq, Eq)]
pub struct Password(String);

/// The response is not what the mechanism or base64 allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl Mechanism {
    /// In the order in which they are announced: the strongest first.
    pub const ALL: [Mechanism; 3] = [Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login];

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
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
        }
    }

    /// Whether who reads the line learns the password.
    #[must_use]
    pub fn shows_password(self) -> bool {
        self != Mechanism::ScramSha256
    }
}

impl Exchange {
    #[must_use]
    pub fn start(mechanism: Mechanism) -> Exchange {
        match mechanism {
            Mechanism::Plain => Exchange::Plain,
            Mechanism::Login => Exchange::Login(plain::Login::AwaitIdentity),
            Mechanism::ScramSha256 => Exchange::Scram(scram::Server::new()),
        }
    }

    /// The challenge that asks for the first response when the client sent none with its command.
    #[must_use]
    pub fn opening(&self) -> &'static [u8] {
        match self {
            Exchange::Login(_) => plain::Login::IDENTITY_PROMPT,
            Exchange::Plain | Exchange::Scram(_) => b"",
        }
    }

    /// Takes a decoded response.
    pub fn respond(&mut self, response: &[u8]) -> Step {
        let step = match self {
            Exchange::Plain => plain::respond(response),
            Exchange::Login(login) => login.respond(response),
            Exchange::Scram(server) => server.respond(response),
        };
        step.unwrap_or(Step::Malformed)
    }

    /// Continues after [`Step::Secret`]. `nonce` is fresh, printable and without a comma; `decoy`
    /// makes the keys of a user that does not exist.
    pub fn keys(&mut self, keys: Option<scram::Keys>, nonce: &str, decoy: &scram::Decoy) -> Step {
        match self {
            Exchange::Scram(server) => server.keys(keys, nonce, decoy),
            Exchange::Plain | Exchange::Login(_) => Err(Malformed),
        }
        .unwrap_or(Step::Malformed)
    }

    /// Continues after [`Step::Proven`] with `proven` when the caller lets the user in.
    pub fn confirm(&mut self) -> Step {
        match self {
            Exchange::Scram(server) => server.confirm(),
            Exchange::Plain | Exchange::Login(_) => Err(Malformed),
        }
        .unwrap_or(Step::Malformed)
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
        assert_eq!(Mechanism::from_name(b"plain"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::from_name(b"SCRAM-SHA-256-PLUS"), None);
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
}
