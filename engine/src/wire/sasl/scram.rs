//! SCRAM-SHA-256, the server's side of RFC 5802 §5 with the hash of RFC 7677.
//!
//! ```text
//! AwaitFirst ─client-first─▶ AwaitKeys ─keys─▶ AwaitFinal ─client-final─▶ AwaitConfirm
//!                                                            confirm ─▶ AwaitEmpty ─▶ Over
//! ```
//!
//! A stranger walks the same way with keys made by a keyed hash of the name ([`Decoy`]): the salt
//! stays the same from try to try, the work is the same, and no proof fits. Channel binding is not
//! offered: `n` and `y` pass, `p=` does not (RFC 5802 §6).

use super::{Malformed, STRING_BYTES_MAX, Step, string};
use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;

/// Iterations of new keys and of decoys. RFC 7677 §4 asks for 4,096 at least; keys that were made
/// with as many stay valid.
pub const ITERATIONS: u32 = 10_000;

/// Octets of the salt of new keys and of decoys.
pub const SALT_BYTES: usize = 16;

/// Length of SHA-256, so of every key, in octets.
pub const KEY_BYTES: usize = 32;

/// What a directory keeps instead of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub salt: Vec<u8>,
    pub iterations: u32,
    pub stored_key: [u8; KEY_BYTES],
    pub server_key: [u8; KEY_BYTES],
}

/// The secret from which the keys of users that do not exist are made. It has to outlive a restart,
/// or a salt that changes tells a stranger from a user.
#[derive(Clone)]
pub struct Decoy([u8; KEY_BYTES]);

/// The server in one exchange.
#[derive(Debug)]
pub struct Server {
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitFirst,
    AwaitKeys(First),
    AwaitFinal(Challenged),
    AwaitConfirm { signature: [u8; KEY_BYTES] },
    AwaitEmpty,
    Over,
}

/// What the client-first-message said.
#[derive(Debug)]
struct First {
    user: String,
    nonce: String,
    gs2_header: String,
    bare: String,
}

/// What is kept until the client-final-message.
#[derive(Debug)]
struct Challenged {
    user: String,
    /// Client's and server's nonce, joined.
    nonce: String,
    gs2_header: String,
    /// client-first-message-bare "," server-first-message.
    transcript: String,
    keys: Keys,
    known: bool,
}

impl Server {
    pub(super) fn new() -> Server {
        Server {
            state: State::AwaitFirst,
        }
    }

    pub(super) fn respond(&mut self, response: &[u8]) -> Result<Step, Malformed> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitFirst => {
                let first = First::parse(response)?;
                let user = first.user.clone();
                self.state = State::AwaitKeys(first);
                Ok(Step::Secret { user })
            }
            State::AwaitFinal(challenged) => {
                let (signature, proven) = challenged.settle(response)?;
                self.state = if proven {
                    State::AwaitConfirm { signature }
                } else {
                    State::Over
                };
                let user = challenged.user;
                Ok(Step::Proven { user, proven })
            }
            State::AwaitEmpty if response.is_empty() => Ok(Step::Done),
            _ => Err(Malformed),
        }
    }

    pub(super) fn keys(
        &mut self,
        keys: Option<Keys>,
        nonce: &str,
        decoy: &Decoy,
    ) -> Result<Step, Malformed> {
        let State::AwaitKeys(first) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Malformed);
        };
        let known = keys.is_some();
        let keys = keys.unwrap_or_else(|| decoy.keys(&first.user));
        let challenge = format!(
            "r={}{nonce},s={},i={}",
            first.nonce,
            STANDARD.encode(&keys.salt),
            keys.iterations
        );
        self.state = State::AwaitFinal(Challenged {
            user: first.user,
            nonce: first.nonce + nonce,
            gs2_header: first.gs2_header,
            transcript: format!("{},{challenge}", first.bare),
            keys,
            known,
        });
        Ok(Step::Challenge(challenge.into_bytes()))
    }

    pub(super) fn confirm(&mut self) -> Result<Step, Malformed> {
        let State::AwaitConfirm { signature } = std::mem::replace(&mut self.state, State::Over)
        else {
            return Err(Malformed);
        };
        self.state = State::AwaitEmpty;
        let proof = format!("v={}", STANDARD.encode(signature));
        Ok(Step::Challenge(proof.into_bytes()))
    }
}

impl First {
    /// `gs2-cbind-flag "," [authzid] "," "n=" saslname "," "r=" c-nonce ["," extensions]`; a
    /// mandatory extension (`m=`) is not known here and refused (RFC 5802 §5.1).
    fn parse(message: &[u8]) -> Result<First, Malformed> {
        let message = str::from_utf8(message).map_err(|_| Malformed)?;
        let (flag, rest) = message.split_once(',').ok_or(Malformed)?;
        let (authzid, bare) = rest.split_once(',').ok_or(Malformed)?;
        if !matches!(flag, "n" | "y") {
            return Err(Malformed);
        }
        let mut attributes = bare.split(',');
        let user = attributes.next().and_then(|name| name.strip_prefix("n="));
        let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix("r="));
        let (user, nonce) = (saslname(user.ok_or(Malformed)?)?, nonce.ok_or(Malformed)?);
        let acts_for_itself = match authzid.strip_prefix("a=") {
            Some(name) => saslname(name)? == user,
            None => authzid.is_empty(),
        };
        if !acts_for_itself || !is_nonce(nonce) {
            return Err(Malformed);
        }
        Ok(First {
            user,
            nonce: nonce.to_owned(),
            gs2_header: format!("{flag},{authzid},"),
            bare: bare.to_owned(),
        })
    }
}

impl Challenged {
    /// `"c=" base64 "," "r=" nonce ["," extensions] "," "p=" base64`: the server's signature, and
    /// whether the client's proof fits.
    fn settle(&self, message: &[u8]) -> Result<([u8; KEY_BYTES], bool), Malformed> {
        let message = str::from_utf8(message).map_err(|_| Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|c| c.strip_prefix("c="));
        let nonce = attributes.next().and_then(|r| r.strip_prefix("r="));
        let binding = STANDARD
            .decode(binding.ok_or(Malformed)?)
            .map_err(|_| Malformed)?;
        // RFC 5802 §5.1: a nonce or a header that changed since is an attack on the exchange.
        if binding != self.gs2_header.as_bytes() || nonce != Some(&*self.nonce) {
            return Err(Malformed);
        }
        let proof = STANDARD.decode(proof).map_err(|_| Malformed)?;
        let proof: [u8; KEY_BYTES] = proof.try_into().map_err(|_| Malformed)?;

        let transcript = format!("{},{without_proof}", self.transcript);
        let signature = hmac_sha256(&self.keys.stored_key, transcript.as_bytes());
        let mut client_key = [0; KEY_BYTES];
        for ((key, p), s) in client_key.iter_mut().zip(proof).zip(signature) {
            *key = p ^ s;
        }
        let fits = constant_time::verify_slices_are_equal(
            digest::digest(&digest::SHA256, &client_key).as_ref(),
            &self.keys.stored_key,
        );
        let server_signature = hmac_sha256(&self.keys.server_key, transcript.as_bytes());
        Ok((server_signature, fits.is_ok() & self.known))
    }
}

impl Keys {
    /// The keys of a password that is already prepared (RFC 5802 §3). Costs `iterations` hashes:
    /// not for the thread of a shard.
    #[must_use]
    pub fn derive(password: &str, salt: &[u8], iterations: NonZeroU32) -> Keys {
        let mut salted = [0; KEY_BYTES];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            salt,
            password.as_bytes(),
            &mut salted,
        );
        let client_key = hmac_sha256(&salted, b"Client Key");
        Keys {
            salt: salt.to_vec(),
            iterations: iterations.get(),
            stored_key: key_of(digest::digest(&digest::SHA256, &client_key).as_ref()),
            server_key: hmac_sha256(&salted, b"Server Key"),
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Decoy {
    #[must_use]
    pub fn new(secret: [u8; KEY_BYTES]) -> Decoy {
        Decoy(secret)
    }

    /// Keys that nobody has the password to. The salt depends on the name alone.
    fn keys(&self, user: &str) -> Keys {
        let mut salt = hmac_sha256(&self.0, &[b"salt\0", user.as_bytes()].concat()).to_vec();
        salt.truncate(SALT_BYTES);
        Keys {
            salt,
            iterations: ITERATIONS,
            stored_key: hmac_sha256(&self.0, &[b"stored\0", user.as_bytes()].concat()),
            server_key: hmac_sha256(&self.0, &[b"server\0", user.as_bytes()].concat()),
        }
    }
}

impl std::fmt::Debug for Decoy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoy(…)")
    }
}

/// Undoes `=2C` and `=3D`, then prepares the name (RFC 5802 §5.1, RFC 4013).
fn saslname(name: &str) -> Result<String, Malformed> {
    let mut decoded = String::with_capacity(name.len());
    let mut pieces = name.split('=');
    decoded.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (c, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(Malformed),
        };
        decoded.push(c);
        decoded.push_str(rest);
    }
    let prepared = stringprep::saslprep(&decoded).map_err(|_| Malformed)?;
    string(prepared.as_bytes())
}

/// RFC 5802 §7: printable ASCII without the comma.
fn is_nonce(nonce: &str) -> bool {
    (1..=STRING_BYTES_MAX).contains(&nonce.len()) && nonce.bytes().all(|b| b.is_ascii_graphic())
}

pub(super) fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; KEY_BYTES] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    key_of(hmac::sign(&key, data).as_ref())
}

fn key_of(hash: &[u8]) -> [u8; KEY_BYTES] {
    hash.try_into().expect("SHA-256 has 32 octets")
}

/// The client's last message, for the tests of all protocols.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn client_final(password: &str, first_bare: &str, server_first: &str) -> String {
    let field = |name: &str| {
        let at = server_first.split(',').find_map(|f| f.strip_prefix(name));
        at.unwrap().to_owned()
    };
    let salt = STANDARD.decode(field("s=")).unwrap();
    let iterations: u32 = field("i=").parse().unwrap();
    let mut salted = [0; KEY_BYTES];
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        NonZeroU32::new(iterations).unwrap(),
        &salt,
        password.as_bytes(),
        &mut salted,
    );
    let client_key = hmac_sha256(&salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, &client_key);
    let without_proof = format!("c=biws,r={}", field("r="));
    let transcript = format!("{first_bare},{server_first},{without_proof}");
    let signature = hmac_sha256(stored_key.as_ref(), transcript.as_bytes());
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(k, s)| k ^ s)
        .collect();
    format!("{without_proof},p={}", STANDARD.encode(proof))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const SALT: &[u8] = b"0123456789abcdef";

    fn decoy() -> Decoy {
        Decoy::new([7; KEY_BYTES])
    }

    fn keys(password: &str) -> Keys {
        Keys::derive(password, SALT, NonZeroU32::new(ITERATIONS).unwrap())
    }

    fn text(step: Step) -> String {
        match step {
            Step::Challenge(octets) => String::from_utf8(octets).unwrap(),
            other => panic!("a challenge was due, not {other:?}"),
        }
    }

    /// The RFC's own example, read from the project's data; not copied into the repository.
    #[test]
    fn agrees_with_rfc_7677() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/data/sasl-vectors.json"
        );
        let Ok(json) = std::fs::read_to_string(path) else {
            eprintln!("skipped: {path} is not there");
            return;
        };
        let vectors: serde_json::Value = serde_json::from_str(&json).unwrap();
        let vector = |name: &str| vectors["rfc7677"][name].as_str().unwrap().to_owned();
        let server_first = vector("server_first");
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = Keys::derive(&vector("password"), &salt, NonZeroU32::new(4096).unwrap());
        assert_eq!(STANDARD.encode(keys.stored_key), vector("stored_key"));

        let mut server = Server::new();
        let user = vector("user");
        let secret = server.respond(vector("client_first").as_bytes());
        assert_eq!(secret, Ok(Step::Secret { user: user.clone() }));
        let client_nonce = "rOprNGfwEbeRWgbNEkqO";
        let nonce = server_first[2 + client_nonce.len()..]
            .split(',')
            .next()
            .unwrap();
        let first = server.keys(Some(keys), nonce, &decoy()).unwrap();
        assert_eq!(text(first), server_first);
        let proven = server.respond(vector("client_final").as_bytes());
        assert_eq!(proven, Ok(Step::Proven { user, proven: true }));
        assert_eq!(text(server.confirm().unwrap()), vector("server_final"));
        assert_eq!(server.respond(b""), Ok(Step::Done));
    }

    #[test]
    fn a_wrong_password_proves_nothing() {
        let mut server = Server::new();
        server.respond(b"n,,n=tim,r=abc").unwrap();
        let first = text(server.keys(Some(keys("right")), "xyz", &decoy()).unwrap());
        let answer = server.respond(client_final("wrong", "n=tim,r=abc", &first).as_bytes());
        let user = "tim".to_owned();
        assert_eq!(
            answer,
            Ok(Step::Proven {
                user,
                proven: false
            })
        );
        assert_eq!(server.confirm(), Err(Malformed));
    }

    #[test]
    fn a_stranger_sees_a_steady_salt_and_never_gets_in() {
        let mut firsts = Vec::new();
        for _ in 0..2 {
            let mut server = Server::new();
            server.respond(b"n,,n=nobody,r=abc").unwrap();
            let first = text(server.keys(None, "xyz", &decoy()).unwrap());
            let last = client_final("guess", "n=nobody,r=abc", &first);
            let step = server.respond(last.as_bytes()).unwrap();
            assert!(matches!(step, Step::Proven { proven: false, .. }));
            firsts.push(first);
        }
        assert_eq!(firsts[0], firsts[1]);
        let salt = STANDARD.decode(
            firsts[0]
                .split(",s=")
                .nth(1)
                .unwrap()
                .split(',')
                .next()
                .unwrap(),
        );
        assert_eq!(salt.unwrap().len(), SALT_BYTES);
    }

    #[test]
    fn a_replayed_final_message_does_not_fit_a_new_nonce() {
        let mut recorded = Server::new();
        recorded.respond(b"n,,n=tim,r=abc").unwrap();
        let first = text(recorded.keys(Some(keys("pw")), "one", &decoy()).unwrap());
        let replay = client_final("pw", "n=tim,r=abc", &first);
        let mut server = Server::new();
        server.respond(b"n,,n=tim,r=abc").unwrap();
        server.keys(Some(keys("pw")), "two", &decoy()).unwrap();
        assert_eq!(server.respond(replay.as_bytes()), Err(Malformed));
    }

    #[test]
    fn refuses_broken_first_messages() {
        for bad in [
            "",
            "n",
            "n,,",
            "n,,n=tim",
            "n,,r=abc,n=tim",
            "n,,n=,r=abc",
            "n,,n=tim,r=",
            "n,,n=t=im,r=abc",
            "n,,n=t=2cim,r=abc",
            "n,a=kurt,n=tim,r=abc",
            "n,kurt,n=tim,r=abc",
            "p=tls-exporter,,n=tim,r=abc",
            "n,,m=x,n=tim,r=abc",
            "n,,n=tim,r=a b",
            "n,,n=t\u{7}m,r=abc",
        ] {
            assert_eq!(
                Server::new().respond(bad.as_bytes()),
                Err(Malformed),
                "{bad}"
            );
        }
    }

    #[test]
    fn decodes_and_prepares_the_name() {
        let first = First::parse("y,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=x".as_bytes()).unwrap();
        assert_eq!(first.user, "a,b=c");
        let first = First::parse("n,,n=\u{2168},r=x".as_bytes()).unwrap();
        assert_eq!(first.user, "IX");
    }

    #[test]
    fn notices_a_changed_header() {
        let mut server = Server::new();
        server.respond(b"y,,n=tim,r=abc").unwrap();
        let first = text(server.keys(Some(keys("pw")), "xyz", &decoy()).unwrap());
        // The client says `n` now (c=biws); it said `y` before.
        let last = client_final("pw", "n=tim,r=abc", &first);
        assert_eq!(server.respond(last.as_bytes()), Err(Malformed));
    }
}
