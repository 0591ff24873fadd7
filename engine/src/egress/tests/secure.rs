//! TLS to others: what is proven, what is not, and what happens then.

use super::*;
use crate::tls::{CertificateFiles, Judge, Shown};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::path::PathBuf;

/// An authority, a server that it has certified for `mx.test`, and a client certificate.
pub(super) struct Realm {
    folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Realm {
    pub(super) fn new() -> Realm {
        let mut parameters = CertificateParams::new(vec![]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(parameters, key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["mx.test".into()]).unwrap();
        let certificate = parameters.signed_by(&key, &authority).unwrap();
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Realm {
            folder,
            authority,
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    fn config(&self, asks_client: bool) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match asks_client {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(self.authority.der().clone()).unwrap();
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![self.certificate.clone()];
        Arc::new(
            builder
                .with_single_cert(chain, self.key.clone_key())
                .unwrap(),
        )
    }

    pub(super) fn server(&self) -> Server {
        Server {
            tls: Some(self.config(false)),
            ..Server::offering(&["PIPELINING", "REQUIRETLS"])
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn authorities(&self) -> Authorities {
        Authorities::File(self.file("ca.pem"))
    }
}

fn named(names: &[&str]) -> Proof {
    Proof::Names(names.iter().map(ToString::to_string).collect())
}

/// Sends one letter with this demand; how it went, what TLS was used, what the server saw.
fn sent(server: Server, demand: Demand, authorities: Authorities) -> (Sent, Vec<Ledger>) {
    let (address, ledgers) = server.serve();
    let sent = on_shard(move || async move {
        let target = Target {
            demand,
            ..target(address)
        };
        let tls = TlsClient::load(&authorities, None).unwrap();
        let tools = Tools { tls, pool: None };
        let mut connection = Connection::open(&target, &tools).await?;
        let mut letter = letter(1);
        letter.require_tls = connection.tls().is_verified();
        let body = text(40_000);
        let outcome = connection.send(&letter, &mut Pieces::from(&body[..])).await;
        let tls = connection.tls().clone();
        connection.quit().await;
        Ok((outcome.recipients[0].fate, tls))
    });
    let mut seen = vec![ledgers.recv().unwrap()];
    seen.extend(ledgers.try_iter());
    (sent, seen)
}

type Sent = Result<(Fate, TlsUse), Why>;

#[test]
fn a_name_that_is_proven() {
    let realm = Realm::new();
    let demand = Demand::Required(named(&["other.test", "mx.test."]));
    let (sent, seen) = sent(realm.server(), demand, realm.authorities());
    let (fate, tls) = sent.unwrap();
    assert_eq!(fate, Fate::Delivered);
    let TlsUse::Encrypted { info, is_verified } = tls else {
        panic!("{tls:?}");
    };
    assert!(
        is_verified && info.version == "TLSv1.3" && !info.resumed,
        "{info:?}"
    );
    assert!(seen[0].is_encrypted);
    assert_eq!(seen[0].messages, [whole(&text(40_000))]);
    assert!(
        seen[0]
            .commands
            .iter()
            .any(|line| line.ends_with("REQUIRETLS"))
    );
}

#[test]
fn what_is_not_proven_gets_no_mail() {
    let realm = Realm::new();
    for (names, authorities, fault) in [
        (
            ["mx.other.test"],
            realm.authorities(),
            TlsFault::HostMismatch,
        ),
        (["mx.test"], Authorities::Nobody, TlsFault::NotTrusted),
        (
            ["mx.test"],
            Realm::new().authorities(),
            TlsFault::NotTrusted,
        ),
    ] {
        let authorities = match authorities {
            Authorities::File(file) if !file.exists() => Authorities::System,
            other => other,
        };
        let demand = Demand::Required(named(&names));
        let (sent, seen) = sent(realm.server(), demand, authorities);
        let failure = sent.unwrap_err();
        assert_eq!(failure.tls, Some(fault), "{}", failure.reply);
        assert_eq!(failure.stage, Stage::Handshake);
        assert!(failure.is_temporary && seen[0].messages.is_empty());
    }
}

/// Accepts one certificate, as DANE or a pin would.
#[derive(Debug)]
struct Pin(Vec<u8>);

impl Judge for Pin {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), String> {
        match shown.end_entity.as_ref() == self.0 {
            true => Ok(()),
            false => Err(String::from("not the pinned one")),
        }
    }
}

#[test]
fn a_judge_decides() {
    let realm = Realm::new();
    let pin = |octets: Vec<u8>| Demand::Required(Proof::Judge(Arc::new(Pin(octets))));
    let right = pin(realm.certificate.to_vec());
    let (right, _) = sent(realm.server(), right, Authorities::Nobody);
    let (fate, tls) = right.unwrap();
    assert!(fate == Fate::Delivered && tls.is_verified());
    let (wrong, _) = sent(realm.server(), pin(vec![1]), Authorities::Nobody);
    let fault = TlsFault::Judged(String::from("not the pinned one"));
    assert_eq!(wrong.unwrap_err().tls, Some(fault));
}

#[test]
fn opportunistic_takes_any_certificate_and_no_broken_handshake() {
    let realm = Realm::new();
    let (sent_once, seen) = sent(realm.server(), Demand::Opportunistic, Authorities::Nobody);
    let (fate, tls) = sent_once.unwrap();
    assert!(fate == Fate::Delivered && tls.is_encrypted() && !tls.is_verified());
    assert!(seen[0].is_encrypted);
    let broken = Server {
        breaks_tls: true,
        ..Server::offering(&["PIPELINING"])
    };
    let (address, ledgers) = broken.clone().serve();
    let (fate, tls) = on_shard(move || async move {
        let mut connection = Connection::open(&target(address), &tools()).await.unwrap();
        let outcome = connection
            .send(&letter(1), &mut Pieces::from(&b"x"[..]))
            .await;
        let tls = connection.tls().clone();
        connection.quit().await;
        (outcome.recipients[0].fate, tls)
    });
    assert_eq!(fate, Fate::Delivered);
    assert!(
        matches!(tls, TlsUse::Failed(TlsFault::Handshake(_))),
        "{tls:?}"
    );
    assert!(ledgers.recv().unwrap().messages.is_empty());
    let second = ledgers.recv().unwrap();
    assert!(!second.is_encrypted && second.messages.len() == 1);
    let demand = Demand::Required(Proof::Nothing);
    let (demanded, _) = sent(broken, demand, Authorities::Nobody);
    assert_eq!(demanded.unwrap_err().stage, Stage::Handshake);
}

#[test]
fn words_injected_before_tls_are_not_believed() {
    let realm = Realm::new();
    let server = Server {
        injected: "250-evil\r\n250 LIMITS RCPTMAX=1\r\n250 evil\r\n250 evil\r\n354 evil\r\n",
        ..realm.server()
    };
    let demand = Demand::Required(named(&["mx.test"]));
    let (sent, seen) = sent(server, demand, realm.authorities());
    match sent {
        Ok((fate, tls)) => {
            assert!(fate == Fate::Delivered && tls.is_verified());
            assert_eq!(seen[0].messages, [whole(&text(40_000))]);
        }
        // They came in a packet of their own, where a handshake was due.
        Err(failure) => assert_eq!(failure.stage, Stage::Handshake),
    }
}

#[test]
fn a_client_certificate_is_shown() {
    let realm = Realm::new();
    let identity = CertificateFiles {
        names: vec![],
        cert: realm.file("cert.pem"),
        key: realm.file("key.pem"),
    };
    let server = Server {
        tls: Some(realm.config(true)),
        ..realm.server()
    };
    let (address, ledgers) = server.serve();
    let authorities = realm.authorities();
    let fate = on_shard(move || async move {
        let tls = TlsClient::load(&authorities, Some(&identity)).unwrap();
        let target = Target {
            demand: Demand::Required(named(&["mx.test"])),
            ..target(address)
        };
        let tools = Tools { tls, pool: None };
        deliver(&target, &tools, b"x").await.unwrap().fate
    });
    assert_eq!(fate, Fate::Delivered);
    assert_eq!(ledgers.recv().unwrap().shown, 1);
}

#[test]
fn authorities_of_the_system_are_read() {
    let Ok(tls) = TlsClient::load(&Authorities::System, None) else {
        eprintln!("skipped: ca-certificates is not installed");
        return;
    };
    assert!(tls.authorities() > 50);
    let missing = Authorities::File(PathBuf::from("/nowhere"));
    let error = TlsClient::load(&missing, None).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere: "), "{error}");
}
