//! Hashes of other systems are read, wrong passwords and broken hashes are not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use proptest::prelude::*;

const PASSWORD: &str = "pass word \u{e9}";

/// Made by Dovecot's `doveadm pw` and by libxcrypt's crypt(3).
const FOREIGN: &[&str] = &[
    "{SHA}Oxr4unudPMw4aFJlLRhtiCrQFW8=",
    "{SSHA}/U8xAkUpcTqL3cUqU8b85bW9frvZ8r8n",
    "{SHA256}G2YKW6yd+9RBV2SFCReawH4Mhi2fJXXJxZYCVj2cO+w=",
    "{SSHA256}D/xDctXSKC4m/Ur4f9gfMnWBhCYs7MFojzajbrMDS2i7K71z",
    "{SHA512}v5nsyHxKEjN1DBdDMLwps+azDKCigaHrI+Sn3TF1eaGfTDs6eFf1UKhjBxHD36jC3UH0WI6PsSkwMjG2\
     5yq+mA==",
    "{SSHA512}7+AnToNF9oU4heGfqGDefY4oSxt6AnABj85pCn7YLHBRkoollJo29KxjJJCyWYpgEGkWIAtnTJP0imD\
     QkBQcOYKC010=",
    "{PLAIN-MD5}8590e3c08efd4b064c2cc254490301b1",
    "{SMD5}mdYpGWhjhY9z7CxB0zG71FINR60=",
    "{MD5-CRYPT}$1$P/PzBr2I$2Y.d.sYugsYvJ.kSisRQc/",
    "{MD5}$1$n6iLQb/a$aR6BtqoXkEzioFxewwNmW1",
    "{BLF-CRYPT}$2y$05$O5iETMPe4..yP/9K7QOYUeKHlQN0gEuWPR1WemfJQ3paVRBy9WAoO",
    "{CRYPT}$2y$05$8Q74Td/Flbwak4A1hZ54weOpDFnoBiOmFrR.c3ZIJ28QV8XUfWuim",
    "{SHA256-CRYPT}$5$rounds=1000$flzjSrAiLnhydweY$nbtMuYlXW7oPx5tlxSmXlsHXbaBKsRAUb3w9dwj6tB9",
    "{SHA512-CRYPT}$6$rounds=1000$cksK2zmSTEqrWrtQ$Fsrz4RTLDXeiLX1TY3GLAYN/1vvs68.QaQAsHizkhz\
     mMQGUz2ud6A4q85IG9AdYBL7FdYxpfIKuIsUl1/NCCu.",
    "{ARGON2I}$argon2i$v=19$m=32768,t=3,p=1$RqH1IC8GuAdr0hHktgWVhQ$x1HlL3bnYslaQslZNeIexsdg/t\
     krmXutaSnCZ/sBAsA",
    "{PBKDF2}$1$NCVQWPRIzetCvAyc$1000$0c9aa3c42a49f119c158ca6524dd47a5d066ef0e",
    "{SCRAM-SHA-256}4096,//NT6xM1plGlg7QlC8Bqyg==,+i96KSX2pzj2Dn6yhTjXOQcpqYcVTbzWuOnMy+HWAG8\
     =,p4Gts3DunSeXOUvqiIW2N/fqnhrupn8tS49mT7Yfou8=",
    "{LDAP-MD5}hZDjwI79SwZMLMJUSQMBsQ==",
    "{SHA1}Oxr4unudPMw4aFJlLRhtiCrQFW8=",
    "{SHA256.HEX}1b660a5bac9dfbd44157648509179ac07e0c862d9f2575c9c59602563d9c3bec",
    "{SSHA256.B64}NVH1xGdmclDftiSbbHjWly2FZYtNlvrl6pS7tflnG3g+Tw0V",
    "{sha.hex}3b1af8ba7b9d3ccc386852652d186d882ad0156f",
    "{PLAIN.B64}cGFzcyB3b3JkIMOp",
    "{PLAIN}pass word \u{e9}",
    "{PLAIN-MD5.B64}hZDjwI79SwZMLMJUSQMBsQ==",
    "{SMD5.HEX}d6cbcadf25638195de637e68ad399aafec7a38d7",
    "{SSHA.HEX}85f32970369efc36a53fad7b383fedef4724587d443016b6",
    "$1$ab$YdFbktxAfSu55S2ucU625.",
    "$y$j75$tQXjtUGtzHxNWBmqQ1nrb/$41sLLh3UKxyniTc4xR7CJWoSDL9UKgtvNPre.yEjqn5",
    "$y$j9T$tQXjtUGtzHxNWBmqQ1nrb/$k0vn5K.GQ3j.k5jQjFU2TB1jRqXiSzXC4iSTcUKL1E/",
    "$2a$04$abcdefghijklmnopqrstuuVOmZyM87hVhH.SdWpz5HLuXzaa2ILF2",
    "$2b$04$abcdefghijklmnopqrstuuVOmZyM87hVhH.SdWpz5HLuXzaa2ILF2",
    "$2y$04$abcdefghijklmnopqrstuuVOmZyM87hVhH.SdWpz5HLuXzaa2ILF2",
    "$5$saltstring$1Md14y52XUM9wXq6XykF4OBR.4KuJcAWf7mbZjzlx5C",
    "$6$saltstring$6/ir0LhFa16zGhU90mR.OaUGppwMsXI30pB2Ngd9gkVxXd8nJcStyVcRWKfHraPnVr9OCzMhFk\
     mVsk0Qwt8qi.",
    "$5$rounds=1000$s$1HYVbssrLscNM4/W0fLpi09dnzwUv9MweSzzRV4GIpB",
    "$6$rounds=1000$saltstringsaltst$cmEqaOml.ad14RN.9QxemGyuOlekSCEISD202..qYBIBn4NgtRTAtRCW\
     njj45gfn6V.910VOrHsywJOccA.xo/",
];

fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0u8;
    move |octets| {
        for octet in octets {
            *octet = next;
            next = next.wrapping_add(1);
        }
    }
}

#[test]
fn hashes_of_dovecot_and_crypt_3_are_read() {
    for text in FOREIGN {
        let secrets = Secrets::parse(text).unwrap_or_else(|what| panic!("{text}: {what}"));
        assert!(secrets.verify(PASSWORD.as_bytes()), "{text}");
        assert!(!secrets.verify(b"pass word e"), "{text}");
        assert!(!secrets.verify(b""), "{text}");
    }
}

#[test]
fn a_password_typed_in_parts_is_the_same_password() {
    let secrets = Secrets::parse(FOREIGN[0]).unwrap();
    assert!(secrets.verify("pass word e\u{301}".as_bytes()));
}

#[test]
fn what_an_old_system_hashed_unprepared_still_fits() {
    // SASLprep would turn U+00AA into "a".
    let raw = "x\u{aa}";
    let digest = digest::digest(&digest::SHA256, raw.as_bytes());
    let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let secrets = Secrets::parse(&format!("{{SHA256.HEX}}{hex}")).unwrap();
    assert!(secrets.verify(raw.as_bytes()));
    assert!(!secrets.verify(b"xa"));
}

#[test]
fn bcrypt_looks_at_72_octets_like_crypt_3() {
    let text = "$2b$04$abcdefghijklmnopqrstuuBzzIgyKkz7xMWYSzkIjUSnxEQFQ0WNe";
    assert!(
        Secrets::parse(text)
            .unwrap()
            .verify("a".repeat(80).as_bytes())
    );
}

#[test]
fn a_new_password_gets_argon2id_and_scram_keys() {
    let secrets = Secrets::create("tr\u{e4}ume", &mut counting()).unwrap();
    assert!(
        secrets
            .as_str()
            .starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
    );
    let read = Secrets::parse(secrets.as_str()).unwrap();
    assert!(read == secrets);
    assert!(read.verify("tr\u{e4}ume".as_bytes()));
    assert!(!read.verify(b"other"));
    assert!(scram::fit(
        read.scram(Hash::Sha256, || [0; 16]).unwrap(),
        "tr\u{e4}ume"
    ));
    assert!(!format!("{read:?}").contains("argon"));
}

#[test]
fn unusable_passwords_are_refused() {
    for password in ["", "a\u{7}b", &"a".repeat(1025)] {
        assert_eq!(Secrets::create(password, &mut counting()), Err(Unusable));
    }
}

#[test]
fn faults_are_explained() {
    let told = |text: &str| Secrets::parse(text).unwrap_err();
    assert!(told("secret").starts_with("expected a hash such as"));
    assert!(told("{ROT13}x").starts_with("{ROT13} is not read; known are PLAIN"));
    assert!(told("{CRYPT}ab3jcLo8aNLw6").starts_with("DES crypt is not read"));
    assert!(told("$3$$3cbb52169990eebabd006f5a2dafc7f0").starts_with("$3$ is not read"));
    assert!(told("{SHA}AAAA").starts_with("expected 20 octets"));
    assert!(told("{SHA.ROT}AAAA").starts_with(".ROT is unknown"));
    assert!(told("{PLAIN}").starts_with("the password is empty"));
    assert!(
        told(
            "$argon2id$v=19$m=9999999,t=3,p=1$RqH1IC8GuAdr0hHktgWVhQ$x1HlL3bnYslaQslZNeIexsdg\
                  /tkrmXutaSnCZ/sBAsA"
        )
        .starts_with("one check would cost too much")
    );
    assert!(told("$2b$31$abcdefghijklmnopqrstuuVOmZyM87hVhH.SdWpz5HLuXzaa2ILF2").contains("cost"));
    assert!(told("$y$jT5$abcd$41sLLh3UKxyniTc4xR7CJWoSDL9UKgtvNPre.yEjqn5").contains("too much"));
    assert!(told("$1$x$y").contains("MD5-crypt"));
    assert!(told("$6$rounds=1$s$x").contains("SHA-crypt"));
    assert!(told(&format!("{} {{PLAIN}}x", FOREIGN[27])).starts_with("only {SCRAM-SHA-256}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_panics(
        index in 0..FOREIGN.len(),
        cut in 0usize..120,
        insert in "[$={},a-zA-Z0-9/+ \u{e9}\u{0}-]{0,4}",
    ) {
        let text = FOREIGN[index];
        let cut = cut.min(text.len());
        if text.is_char_boundary(cut) {
            let _ = Secrets::parse(&format!("{}{insert}{}", &text[..cut], &text[cut..]));
            let _ = Secrets::parse(&format!("{}{insert}", &text[..cut]));
        }
    }

    /// What parses can be checked: the slow methods left out, nothing panics on odd salts.
    #[test]
    fn cheap_secrets_that_parse_can_be_checked(
        scheme in "(SHA|SSHA|SMD5|PLAIN-MD5|SHA256|SSHA512)(\\.HEX|\\.B64)?",
        value in "[0-9a-f]{0,140}",
        password in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        if let Ok(secrets) = Secrets::parse(&format!("{{{scheme}}}{value}")) {
            prop_assert!(!secrets.verify(&password));
        }
    }
}
