//! isync's mbsync: conflicts for many rounds, and a Maildir of thousands of odd messages up and
//! down.

use super::super::ALICE;
use super::maildir::{Maildir, make};
use super::{Holder, Program, settles};
use std::fs;
use std::path::{Path, PathBuf};
use tests::corpus::{Sample, samples};
use tests::peer::peer;
use tests::seed::number_from_env;
use tests::server::Server;
use tests::setup::PASSWORD;

struct Mbsync {
    config: PathBuf,
    root: PathBuf,
}

impl Mbsync {
    /// `words` are those of the connection: how TLS begins and where.
    fn new(server: &Server, name: &str, words: &str) -> Mbsync {
        let home = server.setup.directory.path();
        let (root, config) = (home.join(name), home.join(format!("{name}.rc")));
        make(&root.join("INBOX"));
        let text = format!(
            "IMAPStore far\nHost localhost\nUser {ALICE}\nPass {PASSWORD}\n{words}\n\
             CertificateFile {trust}\n\nMaildirStore near\nPath {root}/\nInbox {root}/INBOX\n\
             SubFolders Verbatim\n\nChannel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\n\
             Expunge Both\nSync All\nCopyArrivalDate yes\nSyncState *\n",
            trust = server.setup.certificate().display(),
            root = root.display(),
        );
        fs::write(&config, text).unwrap();
        Mbsync { config, root }
    }

    fn implicit(server: &Server, name: &str) -> Mbsync {
        let port = server.addresses().imaps.port();
        Mbsync::new(server, name, &format!("Port {port}\nSSLType IMAPS"))
    }

    fn starttls(server: &Server, name: &str) -> Mbsync {
        let port = server.addresses().imap.port();
        Mbsync::new(
            server,
            name,
            &format!("Port {port}\nSSLType STARTTLS\nPipelineDepth 50"),
        )
    }
}

impl Program for Mbsync {
    fn near(&self, _: &Server) -> Box<dyn Holder> {
        Box::new(Maildir::at(self.root.clone(), '/'))
    }

    fn run(&self) {
        peer("mbsync")
            .unwrap()
            .arg("-c")
            .arg(&self.config)
            .arg("all")
            .succeeds();
    }
}

#[test]
fn mbsync_settles_every_conflict() {
    let start = |server: &Server| Mbsync::implicit(server, "near");
    settles("mbsync", start, 20, 0x6d62);
}

/// Up from one Maildir and down to another: octet for octet the same.
#[test]
fn mbsync_moves_thousands_of_odd_messages() {
    if peer("mbsync").is_none() {
        return;
    }
    let mut server = Server::usual();
    let up = Mbsync::starttls(&server, "up");
    let count = number_from_env("RINGPOST_SYNC_MESSAGES", 3_000) as usize;
    let samples = samples();
    let taken = samples.iter().filter(|sample| is_taken(sample));
    make(&up.root.join("Odd"));
    for (number, sample) in taken.cycle().take(count).enumerate() {
        let file = up.root.join(format!("Odd/cur/{number}.reader.near:2,S"));
        fs::write(file, numbered(number, sample)).unwrap();
    }
    up.run();
    let mut imap = server.imap(ALICE);
    assert_eq!(
        imap.status("Odd", "MESSAGES UNSEEN").unwrap()["MESSAGES"],
        count as u64
    );
    server.kill_and_restart();
    let down = Mbsync::implicit(&server, "down");
    down.run();
    let (sent, came) = (texts(&up.root.join("Odd")), texts(&down.root.join("Odd")));
    assert_eq!(came.len(), count);
    for (number, (sent, came)) in sent.iter().zip(&came).enumerate() {
        assert!(
            sent == came,
            "{number}: {:?}",
            String::from_utf8_lossy(came)
        );
    }
}

/// It leaves alone what has no end of its header, and NUL is for nobody's Maildir.
fn is_taken(sample: &Sample) -> bool {
    let has_end = numbered(0, sample).windows(2).any(|two| two == b"\n\n");
    has_end && !sample.is_binary()
}

/// The line ends of this system; the number keeps equal samples apart and in order.
fn numbered(number: usize, sample: &Sample) -> Vec<u8> {
    let mut text = format!("X-Number: {number:06}\n").into_bytes();
    text.extend(
        sample
            .octets
            .iter()
            .copied()
            .filter(|octet| *octet != b'\r'),
    );
    text
}

/// Without the line by which mbsync finds what it stored.
fn texts(folder: &Path) -> Vec<Vec<u8>> {
    let below = ["cur", "new"].map(|below| fs::read_dir(folder.join(below)).unwrap());
    let paths = below.into_iter().flatten();
    let is_mark = |line: &&[u8]| line.starts_with(b"X-TUID: ");
    let text = |path: PathBuf| -> Vec<u8> {
        let octets = fs::read(&path).unwrap();
        let lines = octets.split_inclusive(|octet| *octet == b'\n');
        lines
            .filter(|line| !is_mark(line))
            .flatten()
            .copied()
            .collect()
    };
    let mut texts: Vec<Vec<u8>> = paths.map(|entry| text(entry.unwrap().path())).collect();
    texts.sort();
    texts
}
