//! SCRAM, the server's side of RFC 5802 §5, with SHA-1 and with the hash of RFC 7677.
//!
//! ```text
//! AwaitFirst ─client-first─▶ AwaitKeys ─keys─▶ AwaitFinal ─client-final─▶ AwaitConfirm
//!                                                              confirm ─▶ over
//! ```
//!
//! A stranger walks the same way with keys made by a keyed hash of the name ([`Decoy`]): the salt
//! stays the same from try to try, the work is the same, and no proof fits.
//!
//! Channel binding (§6): a -PLUS mechanism demands `p=` and a binding that we know ourselves;
//! without it `p=` is refused, and so is `y` where -PLUS was announced: somebody between the client
//! and us has taken it out of the list.

use super::{Channel, Malformed, Question, STRING_BYTES_MAX, string};
use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;

/// Iterations of new keys and of decoys. RFC 7677 §4 asks for 4,096 at least; keys that were made
/// with as many stay valid.
pub const ITERATIONS: u32 = 10_000;

/// Octets of the salt of new keys and of decoys.
pub const SALT_BYTES: usize = 16;

/// Length of SHA-256, in octets.
pub const KEY_BYTES: usize = 32;

/// The hash below SCRAM.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hash {
    Sha1,
    Sha256,
}

/// What a directory keeps instead of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub hash: Hash,
    pub salt: Vec<u8>,
    pub iterations: u32,
    /// As long as the hash, as is the next.
    pub stored_key: Vec<u8>,
    pub server_key: Vec<u8>,
}

/// The keys of one exchange.
pub struct Known {
    /// Those of the user, or a decoy.
    pub keys: Keys,
    /// Whether they are the user's.
    pub is_real: bool,
    /// Fresh, printable, without a comma.
    pub nonce: String,
}

/// The secret from which the keys of users that do not exist are made. It has to outlive a restart,
/// or a salt that changes tells a stranger from a user.
#[derive(Clone)]
pub struct Decoy([u8; KEY_BYTES]);

/// The server in one exchange.
#[derive(Debug)]
pub struct Server {
    hash: Hash,
    bindings: Bindings,
    state: State,
}

/// What is expected of channel bindings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bindings {
    /// Nobody has been told of them.
    None,
    /// A -PLUS mechanism was announced, and the client has chosen another.
    Announced,
    /// The client has chosen -PLUS.
    Demanded(Channel),
}

#[derive(Debug)]
enum State {
    AwaitFirst,
    AwaitKeys(First),
    AwaitFinal(Challenged),
    AwaitConfirm { signature: Vec<u8> },
    Over,
}

/// What the client-first-message said.
#[derive(Debug)]
struct First {
    user: String,
    nonce: String,
    /// The GS2 header and the channel binding: what `c=` has to repeat.
    binding: Vec<u8>,
    bare: String,
}

/// What is kept until the client-final-message.
#[derive(Debug)]
struct Challenged {
    user: String,
    /// Client's and server's nonce, joined.
    nonce: String,
    binding: Vec<u8>,
    /// client-first-message-bare "," server-first-message.
    transcript: String,
    keys: Keys,
    is_real: bool,
}

impl Server {
    pub(super) fn new(hash: Hash, bindings: Bindings) -> Server {
        Server {
            hash,
            bindings,
            state: State::AwaitFirst,
        }
    }

    pub(super) fn respond(&mut self, response: &[u8]) -> Result<Question, Malformed> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::AwaitFirst => {
                let first = First::parse(response, &self.bindings)?;
                let user = first.user.clone();
                self.state = State::AwaitKeys(first);
                Ok(Question::Keys {
                    hash: self.hash,
                    user,
                })
            }
            State::AwaitFinal(challenged) => {
                let (signature, proven) = challenged.settle(response)?;
                if proven {
                    self.state = State::AwaitConfirm { signature };
                }
                let user = challenged.user;
                Ok(Question::Proof { user, proven })
            }
            _ => Err(Malformed),
        }
    }

    /// The server-first-message.
    pub(super) fn keys(&mut self, known: Known) -> Result<Vec<u8>, Malformed> {
        let State::AwaitKeys(first) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Malformed);
        };
        let Known {
            keys,
            is_real,
            nonce,
        } = known;
        let challenge = format!(
            "r={}{nonce},s={},i={}",
            first.nonce,
            STANDARD.encode(&keys.salt),
            keys.iterations
        );
        self.state = State::AwaitFinal(Challenged {
            user: first.user,
            nonce: first.nonce + &nonce,
            binding: first.binding,
            transcript: format!("{},{challenge}", first.bare),
            is_real: is_real && keys.hash == self.hash,
            keys,
        });
        Ok(challenge.into_bytes())
    }

    /// The server-final-message, to whoever has proven to know the password.
    pub(super) fn confirm(&mut self) -> Result<Vec<u8>, Malformed> {
        let State::AwaitConfirm { signature } = std::mem::replace(&mut self.state, State::Over)
        else {
            return Err(Malformed);
        };
        Ok(format!("v={}", STANDARD.encode(signature)).into_bytes())
    }
}

impl Bindings {
    /// What `c=` has to hold beside the header, by the flag of the header.
    fn judge(&self, flag: &str) -> Result<&[u8], Malformed> {
        match (self, flag.strip_prefix("p="), flag) {
            (Bindings::Demanded(channel), Some(name), _) => channel.binding(name).ok_or(Malformed),
            (Bindings::None | Bindings::Announced, None, "n") => Ok(&[]),
            (Bindings::None, None, "y") => Ok(&[]),
            _ => Err(Malformed),
        }
    }
}

impl Hash {
    #[must_use]
    pub fn octets(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha256 => KEY_BYTES,
        }
    }

    fn of(self, data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, data).as_ref().to_vec()
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => hmac::HMAC_SHA256,
        };
        let key = hmac::Key::new(algorithm, key);
        hmac::sign(&key, data).as_ref().to_vec()
    }

    /// `Hi` of RFC 5802 §2.2.
    fn salted(self, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut salted = vec![0; self.octets()];
        pbkdf2::derive(algorithm, iterations, salt, password, &mut salted);
        salted
    }
}

impl First {
    /// `gs2-cbind-flag "," [authzid] "," "n=" saslname "," "r=" c-nonce ["," extensions]`; a
    /// mandatory extension (`m=`) is not known here and refused (RFC 5802 §5.1).
    fn parse(message: &[u8], bindings: &Bindings) -> Result<First, Malformed> {
        let message = str::from_utf8(message).map_err(|_| Malformed)?;
        let (flag, rest) = message.split_once(',').ok_or(Malformed)?;
        let (authzid, bare) = rest.split_once(',').ok_or(Malformed)?;
        let bound = bindings.judge(flag)?;
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
            binding: [format!("{flag},{authzid},").as_bytes(), bound].concat(),
            bare: bare.to_owned(),
        })
    }
}

impl Challenged {
    /// `"c=" base64 "," "r=" nonce ["," extensions] "," "p=" base64`: the server's signature, and
    /// whether the client's proof fits.
    fn settle(&self, message: &[u8]) -> Result<(Vec<u8>, bool), Malformed> {
        let message = str::from_utf8(message).map_err(|_| Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|c| c.strip_prefix("c="));
        let nonce = attributes.next().and_then(|r| r.strip_prefix("r="));
        let binding = STANDARD
            .decode(binding.ok_or(Malformed)?)
            .map_err(|_| Malformed)?;
        // RFC 5802 §5.1: a nonce, header or channel that is another one is an attack.
        if binding != self.binding || nonce != Some(&*self.nonce) {
            return Err(Malformed);
        }
        let proof = STANDARD.decode(proof).map_err(|_| Malformed)?;
        let hash = self.keys.hash;
        if proof.len() != hash.octets() {
            return Err(Malformed);
        }
        let transcript = format!("{},{without_proof}", self.transcript);
        let signature = hash.hmac(&self.keys.stored_key, transcript.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(p, s)| p ^ s).collect();
        let stored_key = hash.of(&client_key);
        let fits = constant_time::verify_slices_are_equal(&stored_key, &self.keys.stored_key);
        let server_signature = hash.hmac(&self.keys.server_key, transcript.as_bytes());
        Ok((server_signature, fits.is_ok() & self.is_real))
    }
}

impl Keys {
    /// The keys of a password that is already prepared (RFC 5802 §3). Costs `iterations` hashes:
    /// not for the thread of a shard.
    #[must_use]
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: NonZeroU32) -> Keys {
        let salted = hash.salted(password.as_bytes(), salt, iterations);
        let client_key = hash.hmac(&salted, b"Client Key");
        Keys {
            hash,
            salt: salt.to_vec(),
            iterations: iterations.get(),
            stored_key: hash.of(&client_key),
            server_key: hash.hmac(&salted, b"Server Key"),
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Known(…)")
    }
}

impl Decoy {
    #[must_use]
    pub fn new(secret: [u8; KEY_BYTES]) -> Decoy {
        Decoy(secret)
    }

    /// Keys that nobody has the password to. The salt depends on the name alone.
    #[must_use]
    pub fn keys(&self, hash: Hash, user: &str) -> Keys {
        let made = |what: &[u8], octets| {
            let mut made = Hash::Sha256.hmac(&self.0, &[what, user.as_bytes()].concat());
            made.truncate(octets);
            made
        };
        Keys {
            hash,
            salt: made(b"salt\0", SALT_BYTES),
            iterations: ITERATIONS,
            stored_key: made(b"stored\0", hash.octets()),
            server_key: made(b"server\0", hash.octets()),
        }
    }
}

impl std::fmt::Debug for Decoy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoy(…)")
    }
}

/// Undoes `=2C` and `=3D`, then prepares the name (RFC 5802 §5.1, RFC 4013).
pub(super) fn saslname(name: &str) -> Result<String, Malformed> {
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

/// For the client's side, which knows SHA-256 only.
pub(super) fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; KEY_BYTES] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, data);
    *tag.as_ref().first_chunk().expect("SHA-256 has 32 octets")
}

/// The client's last message without a channel binding, for the tests of all protocols.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn client_final(password: &str, first_bare: &str, server_first: &str) -> String {
    bound_final(Hash::Sha256, b"n,,", password, first_bare, server_first)
}

/// The same with any hash; `binding` is the GS2 header and what the channel vouches for.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn bound_final(
    hash: Hash,
    binding: &[u8],
    password: &str,
    first_bare: &str,
    server_first: &str,
) -> String {
    let field = |name: &str| {
        let at = server_first.split(',').find_map(|f| f.strip_prefix(name));
        at.unwrap().to_owned()
    };
    let salt = STANDARD.decode(field("s=")).unwrap();
    let iterations = NonZeroU32::new(field("i=").parse().unwrap()).unwrap();
    let salted = hash.salted(password.as_bytes(), &salt, iterations);
    let client_key = hash.hmac(&salted, b"Client Key");
    let without_proof = format!("c={},r={}", STANDARD.encode(binding), field("r="));
    let transcript = format!("{first_bare},{server_first},{without_proof}");
    let signature = hash.hmac(&hash.of(&client_key), transcript.as_bytes());
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(k, s)| k ^ s)
        .collect();
    format!("{without_proof},p={}", STANDARD.encode(proof))
}

#[cfg(test)]
#[path = "scram_test.rs"]
mod tests;
