//! An issuer of bearer tokens: signs JWTs, writes its keys down, and answers introspections.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// What tokens name as their issuer, and whom they are for.
pub const ISSUER: &str = "https://login.example.test";
pub const AUDIENCE: &str = "ringpost";

/// One key, of this test.
pub struct Issuer(Ed25519KeyPair);

/// An introspection endpoint in clear on loopback; its threads end with the test.
pub struct Introspection {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    pub fn new(keys: &Path) -> Issuer {
        let key = Ed25519KeyPair::generate().expect("randomness");
        let x = encoded(key.public_key().as_ref());
        let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": x}]});
        std::fs::write(keys, set.to_string()).expect("the scratch directory is writable");
        Issuer(key)
    }

    /// A token for an account that ends in so many seconds from now.
    pub fn token(&self, account: &str, secs: i64) -> String {
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "email": account, "exp": now_secs() + secs,
        });
        let head = json!({"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"});
        let part = |value: &Value| encoded(value.to_string().as_bytes());
        let message = format!("{}.{}", part(&head), part(&claims));
        let signature = self.0.sign(message.as_bytes());
        format!("{message}.{}", encoded(signature.as_ref()))
    }
}

impl Introspection {
    /// Says of the token `good` that it is of this account, and of all others that they are not.
    pub fn start(good: &str, account: &str) -> Introspection {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let introspection = Introspection {
            address: listener.local_addr().expect("it is bound"),
            asked: Arc::default(),
        };
        let (good, account) = (format!("token={good}&"), account.to_owned());
        let asked = Arc::clone(&introspection.asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                asked.fetch_add(1, Ordering::Relaxed);
                // A client that breaks off hears nothing.
                let _ = answer(stream, &good, &account);
            }
        });
        introspection
    }

    /// Questions so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(stream: TcpStream, good: &str, account: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut is_ours) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        // `ringpost:secret`, as the configuration says.
        is_ours |= line == "authorization: basic cmluz3bvc3q6c2vjcmv0";
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().map_err(std::io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let is_good = is_ours && String::from_utf8_lossy(&body).starts_with(good);
    let said = match is_good {
        true => json!({"active": true, "username": account, "aud": AUDIENCE}),
        false => json!({"active": false}),
    };
    let said = said.to_string();
    let length = said.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let stream = reader.get_mut();
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{said}")
}

fn encoded(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn now_secs() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs() as i64
}
