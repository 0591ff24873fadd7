//! OfflineIMAP with a state of its own: over TLS, and the same over COMPRESS=DEFLATE within it.

use super::super::ALICE;
use super::maildir::Maildir;
use super::{Holder, Program, settles};
use std::fs;
use std::path::PathBuf;
use tests::peer::peer;
use tests::server::Server;
use tests::setup::PASSWORD;

struct Offlineimap {
    home: PathBuf,
}

impl Offlineimap {
    /// `words` are lines for the account of ours.
    fn new(server: &Server, words: &str) -> Offlineimap {
        let home = server.setup.directory.path().to_owned();
        fs::create_dir_all(home.join("near")).unwrap();
        let text = format!(
            "[general]\naccounts = a\nmetadata = {home}/meta\n\n\
             [Account a]\nlocalrepository = near\nremoterepository = far\n\n\
             [Repository near]\ntype = Maildir\nlocalfolders = {home}/near\n\n\
             [Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {port}\n\
             remoteuser = {ALICE}\nremotepass = {PASSWORD}\nssl = yes\nsslcacertfile = {trust}\n\
             {words}\n",
            home = home.display(),
            port = server.addresses().imaps.port(),
            trust = server.setup.certificate().display(),
        );
        fs::write(home.join("rc"), text).unwrap();
        Offlineimap { home }
    }
}

impl Program for Offlineimap {
    fn near(&self, _: &Server) -> Box<dyn Holder> {
        Box::new(Maildir::at(self.home.join("near"), '.'))
    }

    fn run(&self) {
        let offlineimap = peer("offlineimap")
            .unwrap()
            .arg("-c")
            .arg(self.home.join("rc"));
        offlineimap
            .args(["-o", "-u", "basic"])
            .env("HOME", &self.home)
            .succeeds();
    }
}

#[test]
fn offlineimap_settles_every_conflict() {
    let start = |server: &Server| Offlineimap::new(server, "auth_mechanisms = PLAIN");
    settles("offlineimap", start, 8, 0x6f66);
}

#[test]
fn offlineimap_settles_every_conflict_compressed() {
    let words = "usecompression = yes\nauth_mechanisms = LOGIN";
    settles(
        "offlineimap",
        |server| Offlineimap::new(server, words),
        8,
        0x7a6c,
    );
}
