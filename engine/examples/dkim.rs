//! Signs a made-up message many times, to be run under `perf stat` or `time`.
//!
//! `cargo run --release -p engine --example dkim -- rsa|ed25519|both|none OCTETS TIMES`;
//! `none` only hashes it, relaxed.

use engine::config::{Dkim, DkimAlgorithm, DkimCanon};
use engine::sign::{BodyHash, PrivateKey, Signers};
use std::path::PathBuf;

/// As it stands in the configuration.
const NOW: i64 = 1_795_320_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [which, octets, times] = words.as_slice() else {
        eprintln!("dkim rsa|ed25519|both|none OCTETS TIMES");
        std::process::exit(2);
    };
    let number = |text: &str| text.parse::<usize>().expect("a number was asked for");
    let (octets, times) = (number(octets), number(times));
    let message = message(octets);
    let signers = signers(which);
    let mut written = 0;
    for _ in 0..times {
        written += match which.as_str() {
            "none" => hashed(&message),
            _ => signed(&signers, &message),
        };
    }
    println!(
        "{times} messages of {} octets, {written} octets made",
        message.len()
    );
}

fn signed(signers: &Signers, message: &[u8]) -> usize {
    let mut signing = signers.begin("example.test", NOW);
    signing.feed(message);
    signing.finish().expect("the key signs").len()
}

fn hashed(message: &[u8]) -> usize {
    let mut hash = BodyHash::new(DkimCanon::Relaxed);
    hash.feed(message);
    hash.finish().as_ref().len()
}

fn signers(which: &str) -> Signers {
    let algorithms = match which {
        "rsa" => &[DkimAlgorithm::Rsa][..],
        "ed25519" => &[DkimAlgorithm::Ed25519],
        "both" => &[DkimAlgorithm::Rsa, DkimAlgorithm::Ed25519],
        _ => &[],
    };
    let config: Vec<Dkim> = algorithms
        .iter()
        .map(|algorithm| dkim(*algorithm))
        .collect();
    let fresh = |path: &std::path::Path| {
        let name = path.to_string_lossy();
        let algorithm = DkimAlgorithm::named(&name).expect("the path is the algorithm");
        let key = PrivateKey::generate(algorithm).expect("a key can be made");
        Ok(key.to_pem().expect("it can be written").into_bytes())
    };
    Signers::load(&config, &fresh).expect("a fresh key is good")
}

fn dkim(algorithm: DkimAlgorithm) -> Dkim {
    Dkim {
        line: 1,
        domain: "example.test".to_owned(),
        selector: algorithm.name().to_owned(),
        key: PathBuf::from(algorithm.name()),
        algorithm,
        header_canon: DkimCanon::Relaxed,
        body_canon: DkimCanon::Relaxed,
        not_before_secs: None,
        not_after_secs: None,
        signature_days: 14,
    }
}

/// A usual header, and lines of words.
fn message(octets: usize) -> Vec<u8> {
    let mut message = b"Received: from client.test (client.test [192.0.2.1])\r\n\
        \tby mx.example.test (Ringpost) with ESMTPSA id 1a2b;\r\n\
        \tSun, 22 Nov 2026 04:00:00 +0000\r\n\
        From: Alice <alice@example.test>\r\nTo: Bob <bob@there.test>\r\n\
        Subject: signatures\r\nDate: Sun, 22 Nov 2026 04:00:00 +0000\r\n\
        Message-ID: <1a2b@example.test>\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\r\n"
        .to_vec();
    while message.len() < octets {
        message.extend_from_slice(
            b"Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do.\r\n",
        );
    }
    message
}
