//! Real mail hosts take what we send.

use super::{setup_with_smarthost, submit};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tests::connection::{Connection, DEADLINE};
use tests::peer::{find, peer};
use tests::postfix::Postfix;
use tests::server::Server;
use tests::setup::Setup;

/// Postfix's own sink takes a hundred messages over few connections.
#[test]
fn smtp_sink_takes_a_hundred() {
    if peer("smtp-sink").is_none() {
        return;
    }
    let (setup, port) = setup_with_smarthost("");
    let folder = tempfile::tempdir().unwrap();
    let _sink = SmtpSink::start(port, folder.path());
    let server = Server::start(setup);
    for n in 0..100 {
        submit(&server, &[&format!("u{n}@far.test")], "peer");
    }
    let mut line = 0;
    for _ in 0..100 {
        line = server.wait_for_log("how=delivered", line).0 + 1;
    }
    let dumped = std::fs::read_dir(folder.path()).unwrap().count();
    assert!(dumped >= 100, "{dumped} files");
}

struct SmtpSink(Child);

impl SmtpSink {
    fn start(port: std::net::SocketAddr, folder: &Path) -> SmtpSink {
        let mut command = Command::new(find("smtp-sink").unwrap());
        command
            .arg("-u")
            .arg("root")
            .arg("-d")
            .arg(folder.join("%M."));
        command.arg(format!("inet:{port}")).arg("100");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let sink = SmtpSink(child.unwrap());
        let end = std::time::Instant::now() + DEADLINE;
        while Connection::open(port).is_err() {
            assert!(std::time::Instant::now() < end, "smtp-sink does not listen");
        }
        sink
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A whole Postfix takes what we send, over TLS where it offers that, and its refusals come back.
#[test]
fn postfix_takes_and_refuses() {
    let (setup, port) = setup_with_smarthost("");
    let folder = tempfile::tempdir().unwrap();
    let more = postfix_lines(&setup);
    let Some(postfix) = Postfix::start(folder.path(), port.port(), "far.test", &more) else {
        return;
    };
    let server = Server::start(setup);
    submit(&server, &["carol@far.test", "nobody@far.test"], "peer");
    let delivered = server.wait_for_log("result=delivered", 0).1;
    assert!(delivered.contains("queued as"), "{delivered}");
    let failed = server.wait_for_log("result=failed", 0).1;
    assert!(failed.contains("not here"), "{failed}");
    let inbox = server.inbox(super::ALICE, 1);
    assert!(inbox[0].contains("nobody@far.test"), "{}", inbox[0]);
    let said = postfix.log();
    assert!(said.contains("TLS connection established"), "{said}");
}

/// Takes all but `nobody`, and offers TLS with the server's own certificate.
pub(super) fn postfix_lines(setup: &Setup) -> String {
    let keys = setup.directory.path().display();
    format!(
        "virtual_transport = discard\nsmtpd_recipient_restrictions = check_recipient_access \
         inline:{{{{nobody@far.test=REJECT not here}}}}, permit\n\
         smtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n\
         smtpd_tls_cert_file = {keys}/cert.pem\nsmtpd_tls_key_file = {keys}/key.pem"
    )
}
