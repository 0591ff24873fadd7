//! Our POP3 beside Dovecot's: the same mailbox, the same commands, the same answers but for words.
//!
//! The mailbox is exported as a Maildir, which Dovecot opens with the UIDs that we gave. So
//! numbers, octets, messages and even unique ids must be equal.

use super::ALICE;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use tests::binary;
use tests::corpus::{plain, samples};
use tests::peer::is_required;
use tests::pop3::Pop3;
use tests::seed::{Seed, number_from_env};
use tests::server::Server;
use tests::setup::PASSWORD;

#[test]
fn answers_are_those_of_dovecot() {
    if !has_pop3() {
        return;
    }
    let mut server = Server::usual();
    fill(&server);
    assert!(server.terminate(Duration::from_secs(45)).success());
    let place = tempfile::tempdir().unwrap();
    let maildir = export(&server, place.path());
    server.restart();
    let mut seed = Seed::from_env(0xd0c0);
    for round in 0..number_from_env("RINGPOST_POP3_ROUNDS", 6) {
        let mut ours = login(&server);
        let mut theirs = Dovecot::open(place.path(), &maildir);
        let count = ours.count().unwrap();
        for step in 0..COMMANDS {
            let command = command(&mut seed, count);
            let (our, their) = (answer(&mut ours, &command), theirs.answer(&command));
            assert!(
                our == their,
                "round {round}, step {step}: {command}\n- {}\n+ {}",
                String::from_utf8_lossy(&their),
                String::from_utf8_lossy(&our)
            );
        }
        if round % 2 == 1 {
            assert!(ours.ok("QUIT").is_ok());
            assert!(theirs.answer("QUIT").starts_with(b"+OK"));
            theirs.ends();
        }
    }
}

/// In UTF-8: Dovecot sends headers as they are to everybody.
fn login(server: &Server) -> Pop3 {
    let pop3s = server.addresses().pop3s;
    // The last session may have ended without QUIT.
    drop(Pop3::login_in_turn(pop3s, ALICE).unwrap().ok("QUIT"));
    let mut pop3 = Pop3::open(pop3s).unwrap();
    for line in [
        "UTF8",
        &format!("USER {ALICE}"),
        &format!("PASS {PASSWORD}"),
    ] {
        pop3.ok(line).unwrap();
    }
    pop3
}

/// Debian has it in a package of its own; whoever is not root cannot give the mail away.
fn has_pop3() -> bool {
    let there = Path::new(DOVECOT).exists() && is_root();
    assert!(
        there || !is_required(),
        "dovecot-pop3d and root are required"
    );
    there
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Odd mail and plain mail, all of whole lines.
fn fill(server: &Server) {
    let odd = samples().into_iter().filter(|sample| !sample.is_binary());
    let mut lmtp = server.lmtp();
    let mut take = |octets: &[u8]| {
        lmtp.envelope("sender@remote.test", &[ALICE]).unwrap();
        // What is refused is refused: the others are enough.
        let _ = lmtp.lmtp_data(octets, 1).unwrap();
    };
    odd.take(150).for_each(|sample| take(&sample.octets));
    for number in 0..20u64 {
        let octets = 100 + (number * number * 700) as usize;
        take(&plain(
            &format!("m{number}"),
            octets,
            &mut Seed::new(number),
        ));
    }
    take(b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\n.\r\n");
    take(b"Subject: no body\r\n");
    take(b"\r\nno header\r\n");
}

fn export(server: &Server, place: &Path) -> String {
    let output = Command::new(binary::ringpostctl())
        .arg("--data")
        .arg(server.setup.data())
        .args(["export", "--format", "maildir", "--account", ALICE])
        .arg(place.join("out"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    place.join("out").join(ALICE).display().to_string()
}

fn command(seed: &mut Seed, count: u32) -> String {
    let number = 1 + seed.below(u64::from(count) + 2);
    match seed.below(16) {
        0 => "STAT".into(),
        1 => "LIST".into(),
        2 => "UIDL".into(),
        3 => format!("LIST {number}"),
        4 => format!("UIDL {number}"),
        5..9 => format!("RETR {number}"),
        9..12 => format!("TOP {number} {}", seed.below(30)),
        12 => format!("DELE {number}"),
        13 => match seed.below(5) {
            0 => "RSET".into(),
            _ => "NOOP".into(),
        },
        14 => format!("TOP {number} 1000000"),
        _ => "RETR 0".into(),
    }
}

/// What is alike: the sign, the numbers of STAT, LIST and UIDL, all lines that follow.
fn alike(command: &str, first: &str, body: Option<Vec<u8>>) -> Vec<u8> {
    let sign = first.split(' ').next().unwrap_or("").to_owned();
    let has_numbers = matches!(command.split(' ').next(), Some("STAT"))
        || (command.starts_with("LIST ") || command.starts_with("UIDL "));
    let mut out = match has_numbers && sign == "+OK" {
        true => first.to_owned(),
        false => sign,
    };
    out.push('\n');
    let mut out = out.into_bytes();
    out.extend(body.unwrap_or_default());
    out
}

fn has_body(command: &str) -> bool {
    matches!(command, "LIST" | "UIDL") || command.starts_with("RETR") || command.starts_with("TOP")
}

fn answer(pop3: &mut Pop3, command: &str) -> Vec<u8> {
    match pop3.ok(command) {
        Ok(first) => {
            let body = has_body(command).then(|| pop3.body().unwrap());
            alike(command, &format!("+OK {first}"), body)
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with("-ERR"), "{command}: {text}");
            alike(command, &text, None)
        }
    }
}

/// Dovecot's `pop3` on a pair of pipes, for somebody who has logged in.
struct Dovecot {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Dovecot {
    fn open(place: &Path, maildir: &str) -> Dovecot {
        let config = place.join("dovecot.conf");
        let at = place.display();
        let text = format!(
            "protocols = pop3\nbase_dir = {at}/run\nstate_dir = {at}/run\n\
             log_path = {at}/log\nssl = no\nmail_uid = mail\nmail_gid = mail\nfirst_valid_uid = 1\n\
             mail_location = maildir:{maildir}\nmail_home = {at}/home\nstats_writer_socket_path =\n"
        );
        std::fs::write(&config, text).unwrap();
        std::fs::create_dir_all(place.join("home")).unwrap();
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o777)).unwrap();
        let owned = Command::new("chown")
            .arg("-R")
            .arg("mail:mail")
            .arg(place)
            .status();
        assert!(owned.unwrap().success());
        let mut child = Command::new(DOVECOT)
            .arg("-c")
            .arg(&config)
            .env("USER", "mail")
            .env("HOME", place.join("home"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Dovecot {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.output.read_until(b'\n', &mut line).unwrap();
        line.strip_suffix(b"\r\n").unwrap_or(&line).to_vec()
    }

    fn answer(&mut self, command: &str) -> Vec<u8> {
        write!(self.input, "{command}\r\n").unwrap();
        self.input.flush().unwrap();
        let first = String::from_utf8_lossy(&self.line()).into_owned();
        let is_ok = first.starts_with("+OK");
        let body = (is_ok && has_body(command)).then(|| {
            let mut octets = Vec::new();
            loop {
                let line = self.line();
                if line == b"." {
                    return octets;
                }
                octets.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
                octets.extend_from_slice(b"\r\n");
            }
        });
        alike(command, &first, body)
    }

    /// It has said goodbye.
    fn ends(mut self) {
        self.child.wait().unwrap();
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const DOVECOT: &str = "/usr/lib/dovecot/pop3";

const COMMANDS: u32 = 150;
