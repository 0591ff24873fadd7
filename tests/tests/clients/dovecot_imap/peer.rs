//! Dovecot's `imap` for somebody who has logged in, each connection a process behind a socket.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tests::connection::Connection;
use tests::imap::Imap;
use tests::peer::is_required;

/// One user's mail, and the processes that serve it.
pub(super) struct Dovecot {
    place: tempfile::TempDir,
    children: Vec<Child>,
}

impl Dovecot {
    /// Debian has it in a package of its own; whoever is not root cannot give the mail away.
    pub(super) fn is_here() -> bool {
        let there = Path::new(DOVECOT).exists() && rustix::process::geteuid().is_root();
        assert!(
            there || !is_required(),
            "dovecot-imapd and root are required"
        );
        there
    }

    pub(super) fn new() -> Dovecot {
        let place = tempfile::tempdir().unwrap();
        let at = place.path().display();
        let text = format!(
            "protocols = imap\nbase_dir = {at}/run\nstate_dir = {at}/run\nlog_path = {at}/log\n\
             ssl = no\nmail_uid = mail\nmail_gid = mail\nfirst_valid_uid = 1\n\
             mail_location = sdbox:{at}/mail\nmail_home = {at}/home\nstats_writer_socket_path =\n\
             mail_fsync = never\nnamespace inbox {{\n  inbox = yes\n  separator = /\n}}\n"
        );
        std::fs::write(place.path().join(CONFIG), text).unwrap();
        std::fs::create_dir_all(place.path().join("home")).unwrap();
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let mut chown = Command::new("chown");
        let owned = chown.args(["-R", "mail:mail"]).arg(place.path()).status();
        assert!(owned.unwrap().success());
        Dovecot {
            place,
            children: Vec::new(),
        }
    }

    /// One more session of the user.
    pub(super) fn connect(&mut self) -> Imap {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ours = Connection::open(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        theirs.set_nodelay(true).unwrap();
        let mut child = Command::new(DOVECOT)
            .arg("-c")
            .arg(self.place.path().join(CONFIG))
            .env("USER", "mail")
            .env("HOME", self.place.path().join("home"))
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It does not speak on a socket that no login process gave it.
        let (heard, input) = (theirs.try_clone().unwrap(), child.stdin.take().unwrap());
        std::thread::spawn(move || carry(heard, input));
        let (output, end) = (child.stdout.take().unwrap(), theirs.try_clone().unwrap());
        std::thread::spawn(move || {
            carry(output, theirs);
            let _ = end.shutdown(Shutdown::Both);
        });
        self.children.push(child);
        let mut imap = Imap::over(ours);
        let greeting = imap.response().unwrap();
        assert!(greeting.0.starts_with(b"* PREAUTH"), "{greeting:?}");
        imap
    }
}

/// Carries octets until one side has enough; `io::copy` would splice, which holds back what is
/// shorter than a segment.
fn carry(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

const DOVECOT: &str = "/usr/lib/dovecot/imap";
const CONFIG: &str = "dovecot.conf";
