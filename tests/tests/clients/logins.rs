//! Every mechanism with somebody else's client: what is announced must work, and nothing else.

use super::{ALICE, BOB};
use std::path::Path;
use tests::certificate;
use tests::corpus::plain;
use tests::issuer::{AUDIENCE, ISSUER, Introspection, Issuer};
use tests::peer::{Peer, peer};
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};

/// gsasl against IMAP, which begins TLS by STARTTLS; `words` are its own.
fn gsasl(server: &Server, mechanism: &str, words: &[&str]) -> Option<Peer> {
    let port = server.addresses().imap.port().to_string();
    let trust = server.setup.certificate();
    let gsasl = peer("gsasl")?;
    let gsasl = gsasl.args(["--imap", "--client", "--mechanism", mechanism]);
    let gsasl = gsasl.args(["--x509-ca-file", &trust.display().to_string()]);
    Some(gsasl.args(words).args(["localhost", &port]))
}

/// Channel binding in TLS 1.3 (RFC 9266), by the library that msmtp, mutt and others use.
#[test]
fn gsasl_binds_its_login_to_the_channel() {
    let server = Server::usual();
    let known = ["--authentication-id", ALICE, "--password", PASSWORD];
    let unbound = [
        "--authentication-id",
        ALICE,
        "--password",
        PASSWORD,
        "--no-cb",
    ];
    for (mechanism, words) in [
        ("SCRAM-SHA-256-PLUS", &known[..]),
        ("SCRAM-SHA-1-PLUS", &known),
        ("SCRAM-SHA-256", &unbound),
        ("SCRAM-SHA-1", &unbound),
        ("PLAIN", &known),
        ("LOGIN", &known),
    ] {
        let Some(gsasl) = gsasl(&server, mechanism, words) else {
            return;
        };
        gsasl.succeeds();
    }
    // It could bind, and is made to believe that we could not: somebody sits in between.
    let downgraded = gsasl(&server, "SCRAM-SHA-256", &known).map(Peer::fails);
    assert!(downgraded.is_some());
    let wrong = ["--authentication-id", ALICE, "--password", "wrong"];
    for mechanism in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"] {
        let refused = gsasl(&server, mechanism, &wrong).map(Peer::fails);
        assert!(refused.is_some_and(|said| said.contains("AUTHENTICATIONFAILED")));
    }
}

/// Secrets as Dovecot writes them: SCRAM is announced where every account can use it.
#[test]
fn keys_of_one_hash_serve_one_scram() {
    let keys = "{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,\
                D+CSWLOshSulAsxiupA+qs2/fTE=";
    let user = format!("[[account]]\naddress = \"user@example.test\"\npassword = \"{keys}\"");
    let setup = Setup::usual().table(&user);
    let server = Server::start(setup);
    let mut imap = tests::imap::Imap::connect_tls(server.addresses().imaps).unwrap();
    let words = imap.capabilities().unwrap();
    let has = |word: &str| words.iter().any(|known| known == word);
    assert!(has("AUTH=SCRAM-SHA-1-PLUS") && has("AUTH=SCRAM-SHA-1"));
    assert!(!has("AUTH=SCRAM-SHA-256"), "{words:?}");
    let known = [
        "--authentication-id",
        "user@example.test",
        "--password",
        "pencil",
    ];
    for mechanism in ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"] {
        let unbound = (mechanism == "SCRAM-SHA-1").then_some("--no-cb");
        let words: Vec<&str> = known.into_iter().chain(unbound).collect();
        if let Some(gsasl) = gsasl(&server, mechanism, &words) {
            gsasl.succeeds();
        }
    }
}

fn msmtp(server: &Server, mechanism: &str, secret: &str) -> Option<Peer> {
    let trust = server.setup.certificate();
    let msmtp = peer("msmtp")?;
    let msmtp = msmtp.args(["--host=localhost", "--file=/dev/null", "--tls=on"]);
    Some(msmtp.args([
        format!("--port={}", server.addresses().submissions.port()),
        format!("--auth={mechanism}"),
        format!("--user={ALICE}"),
        format!("--passwordeval=echo {secret}"),
        "--tls-starttls=off".into(),
        format!("--tls-trust-file={}", trust.display()),
        format!("--from={ALICE}"),
    ]))
}

#[test]
fn msmtp_logs_in_by_scram_of_either_hash() {
    let server = Server::usual();
    let message = plain("by msmtp", 2_000, &mut Seed::new(3));
    for mechanism in ["scram-sha-1", "scram-sha-256"] {
        let Some(msmtp) = msmtp(&server, mechanism, PASSWORD) else {
            return;
        };
        msmtp.arg(BOB).input(&message).succeeds();
    }
    server.wait_for_messages(BOB, 2);
}

/// JWTs of an issuer whose keys lie in a file.
fn with_keys(scratch: &Path) -> (Setup, Issuer) {
    let keys = scratch.join("jwks.json");
    let issuer = Issuer::new(&keys);
    let oauth = format!(
        "[auth.oauth]\nissuer = \"{ISSUER}\"\naudience = [\"{AUDIENCE}\"]\nkeys = {keys:?}"
    );
    (Setup::usual().table(&oauth), issuer)
}

#[test]
fn curl_and_msmtp_bring_a_token() {
    let scratch = tempfile::tempdir().unwrap();
    let (setup, issuer) = with_keys(scratch.path());
    let server = Server::start(setup);
    let token = issuer.token(ALICE, 600);
    let message = plain("by token", 2_000, &mut Seed::new(4));
    for mechanism in ["oauthbearer", "xoauth2"] {
        let Some(msmtp) = msmtp(&server, mechanism, &token) else {
            return;
        };
        msmtp.arg(ALICE).input(&message).succeeds();
        let stale = self::msmtp(&server, mechanism, &issuer.token(ALICE, -600));
        stale.unwrap().arg(ALICE).input(&message).fails();
    }
    server.wait_for_messages(ALICE, 2);
    for (mechanism, token, user, lets_in) in [
        ("OAUTHBEARER", token.clone(), ALICE, true),
        ("XOAUTH2", token.clone(), ALICE, true),
        ("OAUTHBEARER", issuer.token(BOB, 600), ALICE, false),
        (
            "XOAUTH2",
            issuer.token("nobody@example.test", 600),
            ALICE,
            false,
        ),
        ("OAUTHBEARER", format!("{token}x"), ALICE, false),
    ] {
        let Some(curl) = peer("curl") else {
            return;
        };
        let url = format!("imaps://{}", server.addresses().imaps);
        let curl = curl
            .args(["--silent", "--insecure", "--max-time", "20"])
            .args([
                "--user",
                &format!("{user}:"),
                "--oauth2-bearer",
                &token,
                "--login-options",
                &format!("AUTH={mechanism}"),
                "--url",
                &url,
            ]);
        match lets_in {
            true => assert!(curl.succeeds().contains("INBOX"), "{mechanism}"),
            false => drop(curl.fails()),
        }
    }
}

/// RFC 7662, once for all logins with one token.
#[test]
fn the_issuer_is_asked_once_for_a_token() {
    let issuer = Introspection::start("opaque-token", ALICE);
    let oauth = format!(
        "[auth.oauth]\nintrospection = \"http://{}/introspect\"\nclient_id = \"ringpost\"\n\
         client_secret = \"secret\"\naccount_claim = \"username\"\naudience = [\"{AUDIENCE}\"]",
        issuer.address
    );
    let server = Server::start(Setup::usual().table(&oauth));
    for (token, lets_in) in [
        ("opaque-token", true),
        ("opaque-token", true),
        ("other", false),
    ] {
        let Some(curl) = peer("curl") else {
            return;
        };
        let url = format!("imaps://{}", server.addresses().imaps);
        let curl = curl
            .args(["--silent", "--insecure", "--max-time", "20"])
            .args([
                "--user",
                &format!("{ALICE}:"),
                "--oauth2-bearer",
                token,
                "--url",
                &url,
            ]);
        match lets_in {
            true => assert!(curl.succeeds().contains("INBOX")),
            false => drop(curl.fails()),
        }
    }
    assert_eq!(issuer.asked(), 2);
}

/// EXTERNAL: a certificate that is configured for an account, and one that is for nobody.
#[test]
fn curl_logs_in_by_its_certificate() {
    let scratch = tempfile::tempdir().unwrap();
    let (cert, key) = certificate::write(scratch.path());
    let print = certificate::fingerprint(&cert);
    let holder = format!(
        "[auth]\n[[auth.certificate]]\nfingerprint = \"sha256:{print}\"\naccount = \"{ALICE}\""
    );
    let server = Server::start(Setup::usual().table(&holder));
    let strange = tempfile::tempdir().unwrap();
    let (other_cert, other_key) = certificate::write(strange.path());
    for (cert, key, user, lets_in) in [
        (&cert, &key, ALICE, true),
        (&cert, &key, BOB, false),
        (&other_cert, &other_key, ALICE, false),
    ] {
        let Some(curl) = peer("curl") else {
            return;
        };
        let url = format!("imaps://{}", server.addresses().imaps);
        let (cert, key) = (cert.display().to_string(), key.display().to_string());
        let curl = curl
            .args(["--silent", "--insecure", "--max-time", "20"])
            .args([
                "--cert",
                &cert,
                "--key",
                &key,
                "--user",
                &format!("{user}:"),
                "--login-options",
                "AUTH=EXTERNAL",
                "--url",
                &url,
            ]);
        match lets_in {
            true => assert!(curl.succeeds().contains("INBOX")),
            false => drop(curl.fails()),
        }
    }
}
