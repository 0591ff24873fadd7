//! An LMTP next hop: a real Dovecot, which answers for each recipient alone.

use super::{ALICE, submit, usual};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tests::connection::{Connection, DEADLINE};
use tests::peer::{find, peer};
use tests::server::Server;

/// Recipients that Dovecot knows get it, the others come back, all in one transaction.
#[test]
fn dovecot_takes_mail_by_lmtp() {
    if peer("dovecot").is_none() {
        return;
    }
    let mut setup = usual();
    let port = setup.spare_port();
    let folder = tempfile::tempdir().unwrap();
    let Some(dovecot) = Dovecot::start(folder.path(), port.port()) else {
        return;
    };
    let route = format!(
        "[[route]]\ndomains = \"far.test\"\nvia = \"lmtp\"\nhost = \"{port}\"\nretry = \"1s\"\n"
    );
    let server = Server::start(setup.table(&route));
    submit(
        &server,
        &["carol@far.test", "nobody@far.test", "dave@far.test"],
        "to dovecot",
    );
    for (user, there) in [("carol", true), ("dave", true), ("nobody", false)] {
        if there {
            let log = dovecot.mail_of(user);
            assert!(log.contains("Subject: to dovecot"), "{log}");
        }
    }
    let told = server.inbox(ALICE, 1);
    assert!(
        told[0].contains("nobody@far.test") && told[0].contains("5.1.1"),
        "{}",
        told[0]
    );
    assert!(!told[0].contains("carol@far.test"), "{}", told[0]);
}

/// Its master and all that it started; stopped when dropped.
struct Dovecot {
    folder: PathBuf,
    child: Child,
}

impl Dovecot {
    /// `None`, with a word, where it cannot run: it wants root.
    fn start(folder: &Path, port: u16) -> Option<Dovecot> {
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder, open).unwrap();
        std::fs::create_dir(folder.join("mail")).unwrap();
        let mail = folder.join("mail");
        let given = peer("chown")?.arg("mail:mail").arg(&mail).run();
        if !given.status.success() {
            eprintln!("SKIPPED: dovecot does not start here: it needs root");
            return None;
        }
        let id = |flag: &str| {
            let said = peer("id")?.arg(flag).arg("mail").succeeds();
            Some(said.trim().to_owned())
        };
        let (uid, gid) = (id("-u")?, id("-g")?);
        let users: Vec<String> = ["carol", "dave"]
            .iter()
            .map(|user| {
                format!(
                    "{user}@far.test:{{PLAIN}}x:{uid}:{gid}::{}/{user}::",
                    mail.display()
                )
            })
            .collect();
        std::fs::write(folder.join("users"), users.join("\n") + "\n").unwrap();
        let conf = CONF
            .replace("{base}", &folder.display().to_string())
            .replace("{port}", &port.to_string());
        std::fs::write(folder.join("dovecot.conf"), conf).unwrap();
        let mut command = Command::new(find("dovecot").unwrap());
        command.arg("-F").arg("-c").arg(folder.join("dovecot.conf"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let dovecot = Dovecot {
            folder: folder.to_path_buf(),
            child: child.unwrap(),
        };
        let end = Instant::now() + DEADLINE;
        while Connection::open((std::net::Ipv4Addr::LOCALHOST, port).into()).is_err() {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "Dovecot does not listen:\n{log}");
        }
        Some(dovecot)
    }

    /// The first message of a user, once it is there.
    fn mail_of(&self, user: &str) -> String {
        let new = self.folder.join("mail").join(user).join("Maildir/new");
        let end = Instant::now() + DEADLINE;
        loop {
            let files = std::fs::read_dir(&new).into_iter().flatten().flatten();
            if let Some(file) = files.map(|file| file.path()).next() {
                return std::fs::read_to_string(file).unwrap();
            }
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "nothing for {user}:\n{log}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // SIGTERM, so that its processes end with it.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

const CONF: &str = "\
base_dir = {base}/run
log_path = {base}/log
protocols = lmtp
listen = 127.0.0.1
ssl = no
mail_location = maildir:~/Maildir
first_valid_uid = 1
auth_username_format = %Lu
userdb {
  driver = passwd-file
  args = {base}/users
}
passdb {
  driver = passwd-file
  args = {base}/users
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = {port}
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
";
