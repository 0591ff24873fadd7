//! InterIMAP between two accounts of ours: stateful by QRESYNC, one side compressed, and live by
//! NOTIFY.

use super::super::{ALICE, BOB, hears};
use super::far::Far;
use super::{Holder, Program, settles};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tests::corpus::plain;
use tests::peer::{find, peer};
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::PASSWORD;

struct Interimap {
    home: PathBuf,
}

impl Interimap {
    fn new(server: &Server) -> Interimap {
        let home = server.setup.directory.path().to_owned();
        let side = |name: &str, user: &str, compress: &str| {
            format!(
                "[{name}]\ntype = imaps\nhost = localhost\nport = {port}\nusername = {user}\n\
                 password = {PASSWORD}\nSSL_CAfile = {trust}\ncompress = {compress}\n\n",
                port = server.addresses().imaps.port(),
                trust = server.setup.certificate().display(),
            )
        };
        let head = format!(
            "database = {0}/pairs.db\nlogfile = {0}/log\n\n",
            home.display()
        );
        let text = head + &side("local", BOB, "NO") + &side("remote", ALICE, "YES");
        fs::write(home.join("config"), text).unwrap();
        Interimap { home }
    }

    fn words(&self) -> [String; 2] {
        [
            format!("--config={}", self.home.join("config").display()),
            "--debug".into(),
        ]
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.join("log")).unwrap()
    }
}

impl Program for Interimap {
    fn near(&self, server: &Server) -> Box<dyn Holder> {
        Box::new(Far::of(server, BOB))
    }

    /// Twice: what it appended is told to it as changed the next time, and it would take a change
    /// of the other side for a conflict.
    fn run(&self) {
        for _ in 0..2 {
            let interimap = peer("interimap").unwrap().args(self.words());
            interimap.env("HOME", &self.home).succeeds();
        }
    }

    /// It sets the union of both sides' flags.
    fn merges_flags(&self) -> bool {
        false
    }
}

#[test]
fn interimap_settles_conflicts_by_qresync() {
    let Some((_server, program)) = settles("interimap", Interimap::new, 15, 0x6969) else {
        return;
    };
    let log = program.log();
    for word in ["COMPRESS DEFLATE", "(QRESYNC (", "VANISHED (EARLIER)"] {
        assert!(log.contains(word), "{word} was not tried");
    }
}

/// Ended when dropped.
struct Live(Child);

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// It hears of what happens in every mailbox of both accounts and carries it over at once.
#[test]
fn interimap_carries_over_what_it_is_notified_of() {
    if peer("interimap").is_none() {
        return;
    }
    let server = Server::usual();
    let program = Interimap::new(&server);
    program.run();
    let file = find("interimap").expect("it ran before");
    let mut command = Command::new(file);
    command
        .args(program.words())
        .arg("--notify")
        .env("HOME", &program.home);
    let live = Live(
        command
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );

    let message = |number: u64| plain(&format!("m{number}"), 2_000, &mut Seed::new(number));
    for (from, to, mailbox) in [
        (ALICE, BOB, "INBOX"),
        (BOB, ALICE, "Sent"),
        (BOB, ALICE, "Junk"),
    ] {
        let mut source = server.imap_in(from, mailbox);
        source.append(mailbox, "", &message(1)).unwrap();
        assert_eq!(server.imap(to).wait_for_messages(mailbox, 1).unwrap(), 1);
        let mut target = server.imap_in(to, mailbox);
        source
            .ok("STORE 1 +FLAGS.SILENT (\\Flagged $Label)")
            .unwrap();
        hears(&mut target, &["\\Flagged", "$Label"]);
        source.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").unwrap();
        source.ok("EXPUNGE").unwrap();
        hears(&mut target, &["EXPUNGE"]);
    }
    drop(live);
    assert!(program.log().contains("NOTIFY SET"), "NOTIFY was not tried");
}
