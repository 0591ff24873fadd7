//! Real mail hosts take what we send.

use super::{setup_with_smarthost, submit};
use std::process::{Child, Command, Stdio};
use tests::connection::{Connection, DEADLINE};
use tests::peer::{find, peer};
use tests::server::Server;

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
    fn start(port: std::net::SocketAddr, folder: &std::path::Path) -> SmtpSink {
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
