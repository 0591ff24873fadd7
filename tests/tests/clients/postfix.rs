//! Postfix, whole, on a port of its own: it delivers to our LMTP listener as to any mail store.

use super::BOB;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tests::connection::{Connection, DEADLINE};
use tests::peer::{Peer, find, peer};
use tests::server::Server;

#[test]
fn postfix_delivers_a_thousand_by_lmtp() {
    if peer("postfix").is_none() || peer("smtp-source").is_none() {
        return;
    }
    let mut server = Server::usual();
    let port = server.setup.spare_port();
    let folder = tempfile::tempdir().unwrap();
    let Some(postfix) = Postfix::start(folder.path(), port.port(), server.addresses().lmtp.port())
    else {
        return;
    };
    let end = Instant::now() + DEADLINE;
    while Connection::open(port).is_err() {
        assert!(Instant::now() < end, "Postfix does not listen");
    }
    let options = [
        "-s",
        "10",
        "-m",
        "1000",
        "-l",
        "4096",
        "-f",
        "a@example.test",
        "-t",
        BOB,
    ];
    let source = peer("smtp-source").unwrap().args(options);
    source.args([format!("inet:{port}")]).succeeds();
    server.wait_for_messages(BOB, 1_000);
    drop(postfix);
    server.assert_alive();
    assert_eq!(
        server.imap(BOB).status("INBOX", "MESSAGES").unwrap()["MESSAGES"],
        1_000
    );
}

/// Its master and all that it started; stopped when dropped.
struct Postfix {
    folder: PathBuf,
}

impl Postfix {
    /// `None`, with a word, where it cannot run: it wants root.
    fn start(folder: &Path, port: u16, lmtp: u16) -> Option<Postfix> {
        let folder = folder.to_path_buf();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&folder, open).unwrap();
        for name in ["etc", "spool", "data"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        let shown = folder.display();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {shown}/spool\n\
             data_directory = {shown}/data\nmyhostname = peer.example.test\nmydestination =\n\
             alias_maps =\nlocal_recipient_maps =\ninet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             virtual_mailbox_domains = example.test\nvirtual_mailbox_maps = static:ok\n\
             virtual_transport = lmtp:inet:127.0.0.1:{lmtp}\nsmtpd_peername_lookup = no\n\
             in_flow_delay = 0\nmaillog_file = {shown}/log\nmaillog_file_prefixes = {shown}\n"
        );
        std::fs::write(folder.join("etc/main.cf"), main).unwrap();
        place_services(&folder.join("etc"), port);
        let given = find("chown").is_some_and(|_| {
            let data = folder.join("data");
            let chown = peer("chown")
                .expect("it was found")
                .arg("postfix")
                .arg(data);
            chown.run().status.success()
        });
        let postfix = Postfix { folder };
        let started = given && postfix.command("start").run().status.success();
        if !started {
            eprintln!("SKIPPED: postfix does not start here: it needs root");
        }
        started.then_some(postfix)
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

/// Debian's services, none of them in a chroot, and the one for SMTP at our port.
fn place_services(etc: &Path, port: u16) {
    std::fs::copy("/usr/share/postfix/master.cf.dist", etc.join("master.cf")).unwrap();
    let door = format!("127.0.0.1:{port}");
    let service = format!("{door}/inet={door} inet n - n - 50 smtpd");
    for change in [
        ["-F", "*/*/chroot=n"],
        ["-MX", "smtp/inet"],
        ["-M", &service],
    ] {
        let postconf = peer("postconf").expect("it comes with Postfix");
        postconf.arg("-c").arg(etc).args(change).succeeds();
    }
}
