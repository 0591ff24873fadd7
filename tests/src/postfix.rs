//! Postfix, whole, in a folder and on a port of a test's own.

use crate::connection::{Connection, DEADLINE};
use crate::peer::{Peer, peer};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Its master and all that it started; stopped when dropped.
pub struct Postfix {
    folder: PathBuf,
}

impl Postfix {
    /// Takes mail for `domain` on `port` of 127.0.0.1; `more` are lines of main.cf that say what
    /// becomes of it. `None`, with a word, where it cannot run: it wants root.
    pub fn start(folder: &Path, port: u16, domain: &str, more: &str) -> Option<Postfix> {
        peer("postfix")?;
        let folder = folder.to_path_buf();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&folder, open).unwrap();
        for name in ["etc", "spool", "data"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        let main = MAIN
            .replace("{folder}", &folder.display().to_string())
            .replace("{domain}", domain)
            .replace("{more}", more);
        std::fs::write(folder.join("etc/main.cf"), main).unwrap();
        let master = MASTER.replace("{port}", &format!("127.0.0.1:{port}"));
        std::fs::write(folder.join("etc/master.cf"), master).unwrap();
        let chown = peer("chown")?.arg("postfix").arg(folder.join("data"));
        let given = chown.run().status.success();
        let postfix = Postfix { folder };
        if !(given && postfix.command("start").run().status.success()) {
            eprintln!("SKIPPED: postfix does not start here: it needs root");
            return None;
        }
        let end = Instant::now() + DEADLINE;
        while Connection::open((Ipv4Addr::LOCALHOST, port).into()).is_err() {
            assert!(Instant::now() < end, "Postfix does not listen");
        }
        Some(postfix)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
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

const MAIN: &str = "\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
myhostname = peer.example.test
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = static:ok
smtpd_peername_lookup = no
in_flow_delay = 0
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
{more}
";

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
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";
