//! Real mail hosts take what we send.

use super::{setup_with_smarthost, submit};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tests::connection::{Connection, DEADLINE};
use tests::peer::{Peer, find, peer};
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
    if peer("postfix").is_none() {
        return;
    }
    let (setup, port) = setup_with_smarthost("");
    let folder = tempfile::tempdir().unwrap();
    let Some(_postfix) = Postfix::start(folder.path(), port.port(), setup.directory.path()) else {
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
    let said = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(said.contains("TLS connection established"), "{said}");
}

/// Its master and all that it started; stopped when dropped.
struct Postfix {
    folder: std::path::PathBuf,
}

impl Postfix {
    /// `None`, with a word, where it cannot run: it wants root.
    fn start(folder: &Path, port: u16, certificates: &Path) -> Option<Postfix> {
        let folder = folder.to_path_buf();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["etc", "spool", "data"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        let (shown, keys) = (folder.display(), certificates.display());
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {shown}/spool\n\
             data_directory = {shown}/data\nmyhostname = peer.example.test\nmydestination =\n\
             alias_maps =\nlocal_recipient_maps =\ninet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             virtual_mailbox_domains = far.test\nvirtual_mailbox_maps = static:ok\n\
             virtual_transport = discard\nsmtpd_peername_lookup = no\nin_flow_delay = 0\n\
             smtpd_recipient_restrictions = check_recipient_access \
             inline:{{{{nobody@far.test=REJECT not here}}}}, permit\n\
             smtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n\
             smtpd_tls_cert_file = {keys}/cert.pem\nsmtpd_tls_key_file = {keys}/key.pem\n\
             maillog_file = {shown}/log\nmaillog_file_prefixes = {shown}\n"
        );
        std::fs::write(folder.join("etc/main.cf"), main).unwrap();
        let master = MASTER.replace("{port}", &format!("127.0.0.1:{port}"));
        std::fs::write(folder.join("etc/master.cf"), master).unwrap();
        let chown = peer("chown")?.arg("postfix").arg(folder.join("data"));
        let given = chown.run().status.success();
        let postfix = Postfix { folder };
        let started = given && postfix.command("start").run().status.success();
        if !started {
            eprintln!("SKIPPED: postfix does not start here: it needs root");
            return None;
        }
        let end = std::time::Instant::now() + DEADLINE;
        while Connection::open((std::net::Ipv4Addr::LOCALHOST, port).into()).is_err() {
            assert!(std::time::Instant::now() < end, "Postfix does not listen");
        }
        Some(postfix)
    }

    fn command(&self, word: &str) -> Peer {
        let postfix = peer("postfix").expect("it was found before");
        postfix.arg("-c").arg(self.folder.join("etc")).arg(word)
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.command("stop").run();
    }
}

const MASTER: &str = "\
{port} inet n - n - 50 smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";
