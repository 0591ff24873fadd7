//! Loading and choosing certificates.

use super::*;
use rustls::pki_types::CertificateDer;
use rustls::version::TLS13;
use std::fs;

/// The certificate that a client asking for `name` is shown.
fn shown(context: &TlsContext, name: &str) -> CertificateDer<'static> {
    let context = context.clone();
    let (address, server) = serve(|stream| async move {
        let stream = stream.start_tls(&context).await.unwrap();
        let _ = echo(stream).await;
    });
    let mut client = connect(address, &client_config(&TLS13), name);
    exchange(&mut client, b"x");
    let shown = client.conn.peer_certificates().unwrap()[0]
        .clone()
        .into_owned();
    drop(client);
    server.join().unwrap();
    shown
}

#[test]
fn a_name_gets_its_certificate_and_an_unknown_one_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(&directory);
    let (certificates, _) = Certificates::load(&files, 0).unwrap();
    let der = |name: Option<&str>| certificates.find(name).cert[0].clone();
    let (first, wild) = (der(None), der(Some("a.wild.test")));
    assert_ne!(first, wild);
    for name in [
        "mx.example.test",
        "MAIL.Example.Test",
        "mx.example.test.",
        "nobody.test",
    ] {
        assert_eq!(der(Some(name)), first, "{name}");
    }
    assert_eq!(der(Some("B.WILD.test")), wild);
    for name in [
        "wild.test",
        "a.b.wild.test",
        "",
        ".",
        "*",
        &"x".repeat(65_536),
    ] {
        assert_eq!(der(Some(name)), first, "a wildcard is one label");
    }
}

#[test]
fn a_reload_changes_the_next_handshake() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(&directory);
    let (both, _) = Certificates::load(&files, 0).unwrap();
    let context = TlsContext::new(both.clone()).unwrap();
    let before = shown(&context, "mx.example.test");
    assert_eq!(
        shown(&context, "x.wild.test"),
        both.find(Some("a.wild.test")).cert[0]
    );
    fs::remove_file(&files[0].cert).unwrap();
    let renewed = demo::certificate(directory.path().join("0").as_path(), &files[0].names).unwrap();
    let (new, _) = Certificates::load(&[renewed], 0).unwrap();
    context.replace(new.clone());
    let after = shown(&context, "mx.example.test");
    assert_ne!(before, after);
    assert_eq!(after, new.find(None).cert[0]);
}

#[test]
fn a_bad_file_is_named_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let good = files(&directory);
    let text = directory.path().join("text");
    fs::write(&text, "not PEM at all\n").unwrap();
    let broken = directory.path().join("broken");
    fs::write(
        &broken,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let missing = directory.path().join("missing");
    let with = |cert: &std::path::Path, key: &std::path::Path| CertificateFiles {
        names: vec![],
        cert: cert.to_path_buf(),
        key: key.to_path_buf(),
    };
    let cases = [
        (with(&missing, &good[0].key), &missing, "No such file"),
        (with(&good[0].cert, &missing), &missing, "No such file"),
        (with(&text, &good[0].key), &text, "no PEM certificate"),
        (with(&good[0].cert, &text), &text, "no PEM private key"),
        (
            with(&good[0].cert, &good[0].cert),
            &good[0].cert,
            "no PEM private key",
        ),
        (with(&broken, &good[0].key), &broken, "not a certificate"),
        (
            with(&good[0].cert, &good[1].key),
            &good[1].key,
            "does not belong",
        ),
    ];
    for (files, file, reason) in cases {
        let error = Certificates::load(&[files], 0).unwrap_err();
        assert_eq!(&error.file, file);
        assert!(error.reason.contains(reason), "{error}");
    }
    assert!(Certificates::load(&[], 0).is_err());
}

#[test]
fn an_end_of_validity_and_a_foreign_name_are_warned_about() {
    let directory = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new([String::from("mx.example.test")]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(2030, 1, 11);
    let certificate = parameters.self_signed(&key).unwrap();
    let files = CertificateFiles {
        names: vec![
            String::from("mx.example.test"),
            String::from("*.other.test"),
        ],
        cert: directory.path().join("cert"),
        key: directory.path().join("key"),
    };
    fs::write(&files.cert, certificate.pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    let end = 1_894_320_000;
    let warnings = |now: u64| {
        let (_, warnings) = Certificates::load(std::slice::from_ref(&files), now).unwrap();
        warnings
            .iter()
            .map(|warning| warning.reason.clone())
            .collect::<Vec<_>>()
            .join("; ")
    };
    assert_eq!(warnings(0), "the certificate is not made for *.other.test");
    assert!(warnings(end - 86_400 * 3).contains("expires in 3 days"));
    assert!(warnings(end + 86_400 * 2).contains("expired 2 days ago"));
}

#[test]
fn the_demo_certificate_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let names = vec![String::from("localhost")];
    let first = demo::certificate(directory.path(), &names).unwrap();
    let text = fs::read_to_string(&first.cert).unwrap();
    assert_eq!(demo::certificate(directory.path(), &names).unwrap(), first);
    assert_eq!(fs::read_to_string(&first.cert).unwrap(), text);
    assert!(Certificates::load(&[first], 0).unwrap().1.is_empty());
}
