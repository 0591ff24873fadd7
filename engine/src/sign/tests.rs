//! Keys, who signs for whom, what is covered; other programs check the signatures in
//! `tests/tests/clients/dkim.rs`.

use super::*;
use crate::config::DkimCanon;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use std::path::PathBuf;
use std::sync::LazyLock;

/// RFC 8463 §A.1, wrapped as PKCS#8.
const ED25519_PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

static RSA_PEM: LazyLock<String> = LazyLock::new(|| {
    let key = PrivateKey::generate(DkimAlgorithm::Rsa).unwrap();
    key.to_pem().unwrap()
});

const NOW: i64 = 1_795_320_000;

fn dkim(domain: &str, algorithm: DkimAlgorithm) -> Dkim {
    Dkim {
        line: 7,
        domain: domain.to_owned(),
        selector: format!("{}1", algorithm.name()),
        key: PathBuf::from(algorithm.name()),
        algorithm,
        header_canon: DkimCanon::Relaxed,
        body_canon: DkimCanon::Relaxed,
        not_before_secs: None,
        not_after_secs: None,
        signature_days: 14,
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("rsa") => Ok(RSA_PEM.as_bytes().to_vec()),
        Some("ed25519") => Ok(ED25519_PEM.into()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn signers(config: &[Dkim]) -> Signers {
    Signers::load(config, &read).expect("the keys are good")
}

fn signed(signers: &Signers, answering: &str, message: &[u8]) -> Result<String, Unsigned> {
    let mut signing = signers.begin(answering, NOW);
    signing.feed(message);
    signing
        .finish()
        .map(|fields| String::from_utf8(fields).expect("ASCII"))
}

/// The tags of a field, without white space.
fn tag(field: &str, name: &str) -> Option<String> {
    let value = field.split_once(':')?.1;
    let packed: String = value.split_whitespace().collect();
    let start = format!("{name}=");
    let tags = packed.split(';');
    tags.into_iter()
        .find_map(|tag| tag.strip_prefix(&start).map(str::to_owned))
}

const MESSAGE: &[u8] = b"Received: from x\r\nFrom: A <a@example.org>\r\nTo: b@c\r\nTo: d@e\r\n\
    Subject: s\r\nDate: d\r\n\r\nbody \r\n \r\n";

#[test]
fn keys_are_read_written_and_published() {
    let key = PrivateKey::from_pem(ED25519_PEM.as_bytes()).unwrap();
    // RFC 8463 §A.2.
    let expected = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    assert_eq!(key.record().unwrap(), expected);
    assert_eq!(key.to_pem().unwrap(), ED25519_PEM);
    assert_eq!(format!("{key:?}"), "PrivateKey(\"ed25519\")");

    let rsa = PrivateKey::from_pem(RSA_PEM.as_bytes()).unwrap();
    let record = rsa.record().unwrap();
    assert!(
        record.starts_with("v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"),
        "{record}"
    );
    assert_eq!(record_strings(&record).count(), 2);
}

#[test]
fn what_is_no_key_is_named() {
    let wrong = |text: &str| PrivateKey::from_pem(text.as_bytes()).unwrap_err();
    assert!(wrong("").starts_with("no PEM private key"));
    assert!(wrong(&ED25519_PEM.replace("PRIVATE", "ENCRYPTED PRIVATE")).starts_with("no PEM"));
    assert!(wrong(&ED25519_PEM.replace("MC4C", "MC4!")).starts_with("not PEM: "));
    assert_eq!(
        wrong(&ED25519_PEM.replace("MC4C", "MC5C")),
        "neither an RSA nor an Ed25519 private key"
    );
}

#[test]
fn every_bad_key_is_told_with_its_line() {
    let missing = Dkim {
        key: "missing".into(),
        ..dkim("a.org", DkimAlgorithm::Rsa)
    };
    let other = Dkim {
        key: "rsa".into(),
        line: 9,
        ..dkim("b.org", DkimAlgorithm::Ed25519)
    };
    let good = dkim("c.org", DkimAlgorithm::Ed25519);
    let told = Signers::load(&[missing, other, good], &read).unwrap_err();
    let lines: Vec<usize> = told.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [7, 9]);
    assert!(
        told[0].what.starts_with("cannot read missing: "),
        "{told:?}"
    );
    assert_eq!(
        told[1].what,
        "rsa: this is an rsa key; the line says ed25519"
    );
}

#[test]
fn a_signature_has_its_form() {
    let signers = signers(&[dkim("example.org", DkimAlgorithm::Ed25519)]);
    let field = signed(&signers, "example.org", MESSAGE).unwrap();
    let body = BASE64_STANDARD.encode(digest(&SHA256, b"body\r\n"));
    let start = format!(
        "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n\td=example.org;\r\n\
         \ts=ed255191; t=1795320000; x=1796529600;\r\n\
         \th=From:From:To:To:To:Cc:Subject:Subject:Reply-To:Date:Date;\r\n\tbh={body};\r\n\tb="
    );
    assert!(field.starts_with(&start), "{field}");
    assert!(field.ends_with("\r\n") && field.split("\r\n").all(|line| line.len() <= 78));
}

/// Both signatures verify over what a verifier has to put together.
#[test]
fn both_algorithms_verify() {
    let both = [DkimAlgorithm::Rsa, DkimAlgorithm::Ed25519].map(|a| dkim("example.org", a));
    let signers = signers(&both);
    let fields = signed(&signers, "example.org", MESSAGE).unwrap();
    let (rsa, ed25519) = fields.split_at(fields.rfind("DKIM-Signature").unwrap());
    for field in [rsa, ed25519] {
        let unsigned = field.split_at(field.find("b=").unwrap());
        let unsigned = match unsigned.1.starts_with("b=") {
            true => field.split_at(field.rfind("\tb=").unwrap() + 3).0,
            false => unsigned.0,
        };
        let own: String = unsigned
            .split_once(':')
            .unwrap()
            .1
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let hashed = format!(
            "from:A <a@example.org>\r\nto:d@e\r\nto:b@c\r\nsubject:s\r\ndate:d\r\n\
             dkim-signature:{own}"
        );
        let signature = BASE64_STANDARD.decode(tag(field, "b").unwrap()).unwrap();
        match tag(field, "a").unwrap().as_str() {
            "rsa-sha256" => {
                let key = RsaPublic::of(&RSA_PEM);
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.0)
                    .verify(hashed.as_bytes(), &signature)
                    .expect("RSA verifies");
            }
            _ => {
                let public = BASE64_STANDARD.decode("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
                UnparsedPublicKey::new(&ED25519, public.unwrap())
                    .verify(digest(&SHA256, hashed.as_bytes()).as_ref(), &signature)
                    .expect("Ed25519 verifies");
            }
        }
    }
}

struct RsaPublic(Vec<u8>);

impl RsaPublic {
    fn of(pem: &str) -> RsaPublic {
        let record = PrivateKey::from_pem(pem.as_bytes())
            .unwrap()
            .record()
            .unwrap();
        let text = record.rsplit_once("p=").unwrap().1;
        RsaPublic(BASE64_STANDARD.decode(text).unwrap())
    }
}

#[test]
fn pieces_make_no_difference() {
    let both = [DkimAlgorithm::Rsa, DkimAlgorithm::Ed25519].map(|a| dkim("example.org", a));
    let mixed = Dkim {
        body_canon: DkimCanon::Simple,
        header_canon: DkimCanon::Simple,
        ..both[1].clone()
    };
    for config in [both.clone(), [both[0].clone(), mixed]] {
        let signers = signers(&config);
        let whole = signed(&signers, "example.org", MESSAGE).unwrap();
        for step in 1..MESSAGE.len() {
            let mut signing = signers.begin("example.org", NOW);
            MESSAGE.chunks(step).for_each(|piece| signing.feed(piece));
            assert_eq!(
                signing.finish().unwrap(),
                whole.as_bytes(),
                "pieces of {step}"
            );
        }
    }
}

#[test]
fn the_author_signs_where_the_answering_domain_may() {
    let rsa = |domain| dkim(domain, DkimAlgorithm::Ed25519);
    let signers = signers(&[
        rsa("example.org"),
        rsa("deep.example.org"),
        rsa("other.org"),
    ]);
    let signed_by = |from: &str, answering: &str| {
        let message = format!("From: {from}\r\n\r\n");
        let field = signed(&signers, answering, message.as_bytes())?;
        Ok::<_, Unsigned>(tag(&field, "d").unwrap())
    };
    let by = |domain: &str| Ok(domain.to_owned());
    assert_eq!(signed_by("a@example.org", "example.org"), by("example.org"));
    assert_eq!(
        signed_by("a@x.example.org", "bounce.example.org"),
        by("example.org")
    );
    assert_eq!(
        signed_by("a@deep.example.org", "deep.example.org"),
        by("deep.example.org")
    );
    // Another tenant's name in From: the one who sent it answers.
    assert_eq!(signed_by("a@other.org", "example.org"), by("example.org"));
    assert_eq!(signed_by("a@nowhere.org", "example.org"), by("example.org"));
    assert_eq!(
        signed_by("a@myexample.org", "notexample.org"),
        Err(Unsigned::NoKey)
    );
    assert_eq!(
        signed_by("a@example.org", "nowhere.org"),
        Err(Unsigned::NoKey)
    );
    assert_eq!(
        signed_by("A <a@EXAMPLE.org>, b@c", "example.org"),
        by("example.org")
    );
    assert_eq!(signed_by("nobody", "example.org"), by("example.org"));
    assert_eq!(
        signed(&signers, "example.org", b"To: a@b\r\n\r\n"),
        Err(Unsigned::NoAuthor)
    );
    assert_eq!(
        signed(&signers, "example.org", b""),
        Err(Unsigned::NoAuthor)
    );
}

#[test]
fn keys_are_replaced_by_date() {
    let dated = |selector: &str, from: Option<i64>, to: Option<i64>| Dkim {
        selector: selector.to_owned(),
        not_before_secs: from,
        not_after_secs: to,
        ..dkim("example.org", DkimAlgorithm::Ed25519)
    };
    let chosen = |config: &[Dkim]| {
        signed(&signers(config), "example.org", MESSAGE).map(|field| tag(&field, "s").unwrap())
    };
    let (old, new) = (dated("old", None, None), dated("new", Some(NOW), None));
    assert_eq!(chosen(&[new.clone(), old.clone()]), Ok("new".to_owned()));
    let later = dated("later", Some(NOW + 1), None);
    assert_eq!(chosen(&[old, later.clone()]), Ok("old".to_owned()));
    let ended = dated("ended", None, Some(NOW));
    assert_eq!(chosen(&[ended, later]), Err(Unsigned::NoKey));
    let last = dated("last", None, Some(NOW + 1));
    assert_eq!(chosen(&[last]), Ok("last".to_owned()));
}

#[test]
fn monsters_are_not_signed_and_not_kept() {
    let signers = signers(&[dkim("example.org", DkimAlgorithm::Ed25519)]);
    let mut signing = signers.begin("example.org", NOW);
    for _ in 0..64 {
        signing.feed(&[b'x'; 1 << 16]);
    }
    assert_eq!(signing.finish(), Err(Unsigned::HeaderTooLarge));
    let many = format!("From: a@example.org\r\n{}\r\n", "To: b@c\r\n".repeat(256));
    let told = signed(&signers, "example.org", many.as_bytes());
    assert_eq!(told, Err(Unsigned::TooManyFields));
    let most = format!("From: a@example.org\r\n{}\r\n", "To: b@c\r\n".repeat(255));
    assert!(signed(&signers, "example.org", most.as_bytes()).is_ok());
}

#[test]
fn a_signature_for_ever_has_no_end() {
    let forever = Dkim {
        signature_days: 0,
        ..dkim("example.org", DkimAlgorithm::Ed25519)
    };
    let field = signed(&signers(&[forever]), "example.org", MESSAGE).unwrap();
    assert_eq!(tag(&field, "x"), None);
    assert_eq!(tag(&field, "l"), None);
}

fn sealed(signers: &Signers, chain: Chain, message: &[u8]) -> Result<String, Unsigned> {
    let seen = Seen {
        authserv_id: "mx.example.org",
        results: "spf=pass smtp.mailfrom=a@b; dkim=fail\r\n(bad)",
        chain,
    };
    let mut signing = signers.begin_seal("mx.example.org", seen, NOW);
    signing.feed(message);
    signing.finish().map(|set| String::from_utf8(set).unwrap())
}

fn value<'a>(set: &'a str, name: &str) -> &'a str {
    let start = set
        .rfind(name)
        .unwrap_or_else(|| panic!("no {name} in {set}"));
    let rest = &set[start..];
    let end = rest
        .match_indices("\r\n")
        .find(|(at, _)| !rest[at + 2..].starts_with('\t'));
    &rest[..end.unwrap().0]
}

#[test]
fn relayed_mail_is_sealed_set_by_set() {
    let both = [DkimAlgorithm::Rsa, DkimAlgorithm::Ed25519].map(|a| dkim("example.org", a));
    let signers = signers(&both);
    let first = sealed(&signers, Chain::Fail, MESSAGE).unwrap();
    let expected = "ARC-Authentication-Results: i=1; mx.example.org;\r\n\t\
        spf=pass smtp.mailfrom=a@b;\r\n\tdkim=fail (bad)";
    assert_eq!(value(&first, "ARC-Authentication-Results"), expected);
    let seal = value(&first, "ARC-Seal");
    assert_eq!(
        tag(seal, "cv").as_deref(),
        Some("none"),
        "there is nothing to fail"
    );
    assert_eq!(tag(seal, "a").as_deref(), Some("rsa-sha256"));
    assert_eq!(first.matches("i=1;").count(), 3);
    assert!(tag(value(&first, "ARC-Message-Signature"), "v").is_none());

    let second = [first.as_bytes(), MESSAGE].concat();
    let passed = sealed(&signers, Chain::Pass, &second).unwrap();
    assert_eq!(
        tag(value(&passed, "ARC-Seal"), "cv").as_deref(),
        Some("pass")
    );
    assert_eq!(passed.matches("i=2;").count(), 3);
    let failed = sealed(&signers, Chain::Fail, &second).unwrap();
    assert_eq!(
        tag(value(&failed, "ARC-Seal"), "cv").as_deref(),
        Some("fail")
    );
    let third = [failed.as_bytes(), &second].concat();
    assert_eq!(
        sealed(&signers, Chain::Pass, &third),
        Err(Unsigned::ChainEnded)
    );
}

#[test]
fn a_chain_with_a_gap_has_failed() {
    let signers = signers(&[dkim("example.org", DkimAlgorithm::Ed25519)]);
    for sets in [
        "ARC-Seal: i=2; cv=pass",
        "ARC-Seal: i=0; cv=none",
        "ARC-Seal: x",
    ] {
        let message = [sets.as_bytes(), b"\r\n", MESSAGE].concat();
        let set = sealed(&signers, Chain::Pass, &message).unwrap();
        assert_eq!(
            tag(value(&set, "ARC-Seal"), "cv").as_deref(),
            Some("fail"),
            "{sets}"
        );
    }
    let last = [b"ARC-Seal: i=50; cv=pass\r\n".as_slice(), MESSAGE].concat();
    assert_eq!(
        sealed(&signers, Chain::Pass, &last),
        Err(Unsigned::ChainEnded)
    );
    let many = [
        "ARC-Seal: i=1; cv=none\r\n".repeat(1_000).as_bytes(),
        MESSAGE,
    ]
    .concat();
    assert_eq!(
        sealed(&signers, Chain::Pass, &many),
        Err(Unsigned::ChainEnded)
    );
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"From: a@example.org\r\n".to_vec()),
        Just(b"from:\r\n <@>".to_vec()),
        Just(b"ARC-Seal: i=1; cv=none\r\n".to_vec()),
        Just(b"ARC-Seal: i=999; cv=fail\r\n".to_vec()),
        Just(b" \t".to_vec()),
        prop::collection::vec(any::<u8>(), 0..9),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever comes is signed, sealed or refused alike, however it is cut.
    #[test]
    fn any_octets_in_any_pieces(octets in octets(), step in 1usize..20) {
        let signers = signers(&[dkim("example.org", DkimAlgorithm::Ed25519)]);
        let seen = Seen { authserv_id: "mx", results: "none", chain: Chain::Pass };
        let begin = |seals: bool| match seals {
            true => signers.begin_seal("example.org", seen, NOW),
            false => signers.begin("example.org", NOW),
        };
        for seals in [true, false] {
            let (mut whole, mut cut) = (begin(seals), begin(seals));
            whole.feed(&octets);
            octets.chunks(step).for_each(|piece| cut.feed(piece));
            let whole = whole.finish();
            if let Ok(fields) = &whole {
                prop_assert!(fields.ends_with(b"\r\n") && !fields.contains(&0));
                prop_assert!(fields.split(|b| *b == b'\n').all(|line| line.len() <= 998));
            }
            prop_assert_eq!(whole, cut.finish());
        }
    }
}
