//! SCRAM against the examples of its RFCs, strangers, replays and whoever sits in between.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

const SALT: &[u8] = b"0123456789abcdef";

fn keys(hash: Hash, password: &str) -> Keys {
    Keys::derive(hash, password, SALT, NonZeroU32::new(ITERATIONS).unwrap())
}

fn known(keys: Keys, nonce: &str) -> Known {
    Known {
        keys,
        is_real: true,
        nonce: nonce.to_owned(),
    }
}

fn server() -> Server {
    Server::new(Hash::Sha256, Bindings::None)
}

/// A server that has sent its challenge to `first`, and the challenge.
fn challenged(first: &str, keys: Keys, nonce: &str) -> (Server, String) {
    let mut server = server();
    server.respond(first.as_bytes()).unwrap();
    let challenge = server.keys(known(keys, nonce)).unwrap();
    (server, String::from_utf8(challenge).unwrap())
}

/// The RFCs' own examples, read from the project's data; not copied into the repository.
#[test]
fn agrees_with_the_examples_of_the_rfcs() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/data/sasl-vectors.json"
    );
    let Ok(json) = std::fs::read_to_string(path) else {
        eprintln!("skipped: {path} is not there");
        return;
    };
    let vectors: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (rfc, hash) in [("rfc5802", Hash::Sha1), ("rfc7677", Hash::Sha256)] {
        agrees_with(&vectors[rfc], hash);
    }
}

fn agrees_with(example: &serde_json::Value, hash: Hash) {
    let said = |name: &str| example[name].as_str().unwrap().to_owned();
    let server_first = said("server_first");
    let field = |name: &str| {
        let found = server_first.split(',').find_map(|f| f.strip_prefix(name));
        found.unwrap().to_owned()
    };
    let salt = STANDARD.decode(field("s=")).unwrap();
    let iterations = NonZeroU32::new(field("i=").parse().unwrap()).unwrap();
    let keys = Keys::derive(hash, &said("password"), &salt, iterations);
    assert_eq!(STANDARD.encode(&keys.stored_key), said("stored_key"));

    let mut server = Server::new(hash, Bindings::None);
    let user = said("user");
    let asked = server.respond(said("client_first").as_bytes());
    let expected = Question::Keys {
        hash,
        user: user.clone(),
    };
    assert_eq!(asked, Ok(expected));
    let client_nonce = said("client_first");
    let client_nonce = client_nonce.rsplit_once("r=").unwrap().1;
    let nonce = field("r=").strip_prefix(client_nonce).unwrap().to_owned();
    let first = server.keys(known(keys, &nonce)).unwrap();
    assert_eq!(first, server_first.as_bytes());
    let proven = server.respond(said("client_final").as_bytes());
    assert_eq!(proven, Ok(Question::Proof { user, proven: true }));
    assert_eq!(server.confirm().unwrap(), said("server_final").as_bytes());
}

#[test]
fn a_wrong_password_proves_nothing() {
    for hash in [Hash::Sha1, Hash::Sha256] {
        let mut server = Server::new(hash, Bindings::None);
        server.respond(b"n,,n=tim,r=abc").unwrap();
        let first = server.keys(known(keys(hash, "right"), "xyz")).unwrap();
        let first = String::from_utf8(first).unwrap();
        let last = bound_final(hash, b"n,,", "wrong", "n=tim,r=abc", &first);
        let user = "tim".to_owned();
        let proven = false;
        let answer = server.respond(last.as_bytes());
        assert_eq!(answer, Ok(Question::Proof { user, proven }));
        assert_eq!(server.confirm(), Err(Malformed));
    }
}

#[test]
fn a_stranger_sees_a_steady_salt_and_never_gets_in() {
    let decoy = Decoy::new([7; KEY_BYTES]);
    let mut firsts = Vec::new();
    for _ in 0..2 {
        let mut server = server();
        server.respond(b"n,,n=nobody,r=abc").unwrap();
        let stranger = Known {
            keys: decoy.keys(Hash::Sha256, "nobody"),
            is_real: false,
            nonce: "xyz".into(),
        };
        let first = String::from_utf8(server.keys(stranger).unwrap()).unwrap();
        let last = client_final("guess", "n=nobody,r=abc", &first);
        let step = server.respond(last.as_bytes()).unwrap();
        assert!(matches!(step, Question::Proof { proven: false, .. }));
        firsts.push(first);
    }
    assert_eq!(firsts[0], firsts[1]);
    assert_eq!(decoy.keys(Hash::Sha1, "nobody").stored_key.len(), 20);
    assert_eq!(decoy.keys(Hash::Sha1, "nobody").salt.len(), SALT_BYTES);
}

#[test]
fn a_replayed_final_message_does_not_fit_a_new_nonce() {
    let pw = keys(Hash::Sha256, "pw");
    let (_, first) = challenged("n,,n=tim,r=abc", pw.clone(), "one");
    let replay = client_final("pw", "n=tim,r=abc", &first);
    let (mut server, _) = challenged("n,,n=tim,r=abc", pw, "two");
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
        assert_eq!(server().respond(bad.as_bytes()), Err(Malformed), "{bad}");
    }
}

#[test]
fn decodes_and_prepares_the_name() {
    let none = Bindings::None;
    let first = First::parse("y,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=x".as_bytes(), &none).unwrap();
    assert_eq!(first.user, "a,b=c");
    let first = First::parse("n,,n=\u{2168},r=x".as_bytes(), &none).unwrap();
    assert_eq!(first.user, "IX");
}

#[test]
fn notices_a_changed_header() {
    let (mut server, first) = challenged("y,,n=tim,r=abc", keys(Hash::Sha256, "pw"), "xyz");
    // The client says `n` now; it said `y` before.
    let last = client_final("pw", "n=tim,r=abc", &first);
    assert_eq!(server.respond(last.as_bytes()), Err(Malformed));
}

/// The client's `c=` is of `theirs`, the server's end of TLS says `ours`.
fn bound(theirs: [u8; 32], ours: [u8; 32]) -> Result<Question, Malformed> {
    let channel = Channel {
        exporter: Some(ours),
        ..Channel::private()
    };
    let mut server = Server::new(Hash::Sha256, Bindings::Demanded(channel));
    server.respond(b"p=tls-exporter,,n=tim,r=abc").unwrap();
    let pw = keys(Hash::Sha256, "pw");
    let first = String::from_utf8(server.keys(known(pw, "xyz")).unwrap()).unwrap();
    let binding = [&b"p=tls-exporter,,"[..], &theirs].concat();
    let last = bound_final(Hash::Sha256, &binding, "pw", "n=tim,r=abc", &first);
    server.respond(last.as_bytes())
}

#[test]
fn a_bound_login_does_not_pass_through_somebody_elses_tls() {
    let user = "tim".to_owned();
    let proven = Question::Proof { user, proven: true };
    assert_eq!(bound([5; 32], [5; 32]), Ok(proven));
    assert_eq!(bound([5; 32], [6; 32]), Err(Malformed));
}

#[test]
fn whoever_takes_plus_out_of_the_list_is_noticed() {
    let first = b"y,,n=tim,r=abc";
    let mut told = Server::new(Hash::Sha256, Bindings::Announced);
    assert_eq!(told.respond(first), Err(Malformed));
    assert!(server().respond(first).is_ok());
    let channel = Channel {
        exporter: Some([1; 32]),
        ..Channel::private()
    };
    for bad in [
        "n,,n=tim,r=abc",
        "p=tls-unique,,n=tim,r=abc",
        "p=,,n=tim,r=abc",
    ] {
        let mut plus = Server::new(Hash::Sha256, Bindings::Demanded(channel));
        assert_eq!(plus.respond(bad.as_bytes()), Err(Malformed), "{bad}");
    }
}
