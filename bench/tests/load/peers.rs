//! Real peers: set up by one command, counted, and gone afterwards, also when the tool is killed.

use crate::tool::{ACCOUNTS, command, ended, server};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tests::peer::peer;
use tests::ports::Ports;
use tests::setup::PASSWORD;

#[test]
fn postfix_and_dovecot_are_set_up_listed_and_removed() {
    if !has_root() || peer("postfix").is_none() || peer("dovecot").is_none() {
        return;
    }
    let scratch = scratch();
    let up = quiet(&["up", "postfix-dovecot", "--users", "3"], scratch.path());
    let listed = quiet(&["list", "--json"], scratch.path());
    let target: Value = serde_json::from_str::<Value>(&listed).unwrap()[0].clone();
    for door in ["smtp", "lmtp", "imap"] {
        let door = target["doors"][door].as_str().unwrap();
        assert!(up.contains(door), "{up}");
        let mut greeting = String::new();
        let stream = TcpStream::connect(door).unwrap();
        BufReader::new(stream).read_line(&mut greeting).unwrap();
        assert!(
            greeting.starts_with("220 ") || greeting.starts_with("* OK"),
            "{greeting}"
        );
    }
    assert_eq!(target["users"].as_array().unwrap().len(), 3);
    let durability = target["durability"].as_str().unwrap();
    assert!(durability.contains("fsync"), "{durability}");
    let (keeper, group) = (target["pid"].as_u64().unwrap(), target["cgroup"].as_str());
    quiet(&["down", "postfix-dovecot"], scratch.path());
    assert_eq!(left(scratch.path()), Vec::<PathBuf>::new());
    awaited(keeper as u32);
    assert!(group.is_none_or(|group| !Path::new(group).exists()));
}

/// The pilot's 500 are audited over IMAP; the run's 60 are counted in the mailboxes.
#[test]
fn a_comparison_counts_what_reached_the_mailboxes() {
    if !has_root() || peer("postfix").is_none() || peer("dovecot").is_none() {
        return;
    }
    let scratch = scratch();
    let (json, html) = (
        scratch.path().join("all.json"),
        scratch.path().join("all.html"),
    );
    for (scenario, servers) in [
        ("smtp", "ringpost,postfix-dovecot"),
        ("submission", "ringpost,postfix-dovecot"),
        ("lmtp", "ringpost,dovecot"),
    ] {
        let words = [
            "compare",
            scenario,
            "--servers",
            servers,
            "--runs",
            "1",
            "-m",
            "60",
        ];
        let mut compare = tool(&words, scratch.path());
        let output = compare
            .arg("--json")
            .arg(&json)
            .arg("--html")
            .arg(&html)
            .output()
            .unwrap();
        let run = ended(&output, Value::Null);
        assert_eq!(run.code, Some(0), "{}", run.said);
        assert!(
            run.said.contains("Ringpost") && run.said.contains("÷"),
            "{}",
            run.said
        );
        let outcomes: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        let outcomes = outcomes.as_array().unwrap();
        assert_eq!(outcomes.len(), 2);
        for outcome in outcomes {
            assert_eq!(outcome["counts"]["acknowledged"], 60, "{}", run.said);
            assert_eq!(outcome["delivered"]["count"], 60, "{}", run.said);
            assert_eq!(outcome["audit"]["found"], 500, "{}", run.said);
            assert!(outcome["usage"]["cpu_micros"].as_u64().unwrap() > 0);
            assert!(
                outcome["durability"]
                    .as_str()
                    .is_some_and(|told| told.contains("before"))
            );
        }
        let page = std::fs::read_to_string(&html).unwrap();
        assert!(page.contains("<svg") && page.contains("Dovecot"));
        std::fs::remove_file(&json).unwrap();
        std::fs::remove_file(&html).unwrap();
        assert_eq!(left(scratch.path()), Vec::<PathBuf>::new());
    }
}

/// Sessions, polls, and days that bring mail as users' clients do.
#[test]
fn mailboxes_are_compared_by_imap_pop3_and_days() {
    if !has_root() || peer("postfix").is_none() || peer("dovecot").is_none() {
        return;
    }
    let scratch = scratch();
    let json = scratch.path().join("all.json");
    let days = ["--speed-up", "1200", "--for", "3", "--size", "2k"];
    let submitted = "answers by submission with AUTH PLAIN and TLS (implicit)";
    for (scenario, servers, words, told) in [
        (
            "imap",
            "ringpost,dovecot",
            &["-m", "40", "--fill", "5"][..],
            "FETCH",
        ),
        (
            "pop3",
            "ringpost,dovecot",
            // RFC 1939 §4: a mailbox is of one session at a time, and each has its turn.
            &["-m", "40", "--fill", "5", "-c", "2"],
            "RETR",
        ),
        ("mixed", "ringpost,postfix-dovecot", &days, submitted),
        (
            "mixed",
            "ringpost,dovecot",
            &[&days[..], &["--lmtp"]].concat(),
            "by LMTP",
        ),
    ] {
        let mut compare = tool(&["compare", scenario, "--servers", servers], scratch.path());
        compare.args(["--runs", "1", "--users", "8", "--json"]);
        let output = compare.arg(&json).args(words).output().unwrap();
        let run = ended(&output, Value::Null);
        assert_eq!(run.code, Some(0), "{}", run.said);
        assert!(
            run.said.contains('÷') && run.said.contains(told),
            "{}",
            run.said
        );
        let outcomes: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        for outcome in outcomes.as_array().unwrap() {
            let counts = &outcome["counts"];
            assert!(counts["acknowledged"].as_u64() > Some(20), "{}", run.said);
            assert_eq!(counts["acknowledged"], counts["attempted"], "{}", run.said);
        }
        std::fs::remove_file(&json).unwrap();
        assert_eq!(left(scratch.path()), Vec::<PathBuf>::new());
    }
}

/// Every run is audited at the sink.
#[test]
fn relays_are_compared_by_what_came_out() {
    if !has_root() || peer("postfix").is_none() {
        return;
    }
    let scratch = scratch();
    let json = scratch.path().join("all.json");
    let mut ports = Ports::take();
    let sink = ports.port().to_string();
    let words = ["compare", "relay", "--servers", "ringpost,postfix"];
    let mut compare = tool(&words, scratch.path());
    compare.args(["--runs", "1", "-m", "60", "--sink", &sink, "--json"]);
    let run = ended(&compare.arg(&json).output().unwrap(), Value::Null);
    assert_eq!(run.code, Some(0), "{}", run.said);
    assert!(run.said.contains('÷'), "{}", run.said);
    let outcomes: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(outcomes.as_array().unwrap().len(), 2);
    for outcome in outcomes.as_array().unwrap() {
        assert_eq!(outcome["delivered"]["count"], 60, "{}", run.said);
        assert_eq!(outcome["audit"]["found"], 60, "{}", run.said);
        assert!(outcome["usage"]["cpu_micros"].as_u64().unwrap() > 0);
    }
    assert_eq!(left(scratch.path()), Vec::<PathBuf>::new());
    for wrong in ["relay --servers dovecot", "relay --servers 127.0.0.1:1"] {
        let words: Vec<&str> = ["compare"].into_iter().chain(wrong.split(' ')).collect();
        let output = tool(&words, scratch.path()).output().unwrap();
        let run = ended(&output, Value::Null);
        assert_ne!(run.code, Some(0), "{}", run.said);
        assert!(run.said.contains("relay"), "{}", run.said);
    }
}

/// Whatever protocol the scenario speaks is what it finds there.
#[test]
fn a_stranger_is_compared_by_any_protocol() {
    let server = server();
    let at = server.addresses();
    let scratch = scratch();
    for (scenario, door, tls) in [
        ("imap", at.imaps, "implicit"),
        ("submission", at.submissions, "implicit"),
        ("lmtp", at.lmtp, "none"),
    ] {
        let door = door.to_string();
        let mut words = vec!["compare", scenario, "--servers", &door, "--runs", "2"];
        words.extend(["--accounts", ACCOUNTS, "--password", PASSWORD, "--tls", tls]);
        words.extend(["-m", "30", "-c", "2"]);
        let run = ended(&tool(&words, scratch.path()).output().unwrap(), Value::Null);
        assert_eq!(run.code, Some(0), "{}", run.said);
        assert!(run.said.contains("60 acknowledged"), "{}", run.said);
    }
    let words = ["compare", "mixed", "--servers", "127.0.0.1:1"];
    let run = ended(&tool(&words, scratch.path()).output().unwrap(), Value::Null);
    assert_eq!(run.code, Some(2), "{}", run.said);
}

#[test]
fn a_tool_that_is_killed_leaves_nothing() {
    if peer("smtp-source").is_none() {
        return;
    }
    let scratch = scratch();
    let words = [
        "compare",
        "smtp",
        "--servers",
        "ringpost,smtp-sink",
        "--runs",
        "100000",
    ];
    let mut compare = tool(&words, scratch.path());
    compare.args(["-m", "20", "--generator", "smtp-source"]);
    let mut compare = compare
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(compare.stderr.take().unwrap());
    let first = said
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with("round 1"));
    assert!(first.is_some(), "it ended before a round");
    let keepers: Vec<u32> = left(scratch.path())
        .iter()
        .map(|yard| keeper(yard))
        .collect();
    assert_eq!(keepers.len(), 2);
    compare.kill().unwrap();
    compare.wait().unwrap();
    for keeper in keepers {
        awaited(keeper);
    }
    assert_eq!(left(scratch.path()), Vec::<PathBuf>::new());
}

/// A test that fails takes its scratch away and not its servers: those must notice.
#[test]
fn servers_end_when_their_yard_is_removed() {
    if peer("smtp-sink").is_none() {
        return;
    }
    let scratch = scratch();
    quiet(&["up", "smtp-sink"], scratch.path());
    let keeper = keeper(&left(scratch.path())[0]);
    drop(scratch);
    awaited(keeper);
}

/// Neither can be installed beside Postfix: they are fetched and unpacked.
#[test]
fn exim_and_opensmtpd_stand_beside_postfix() {
    if !has_root() || peer("apt-get").is_none() || !may_mount() {
        return;
    }
    let scratch = scratch();
    let words = [
        "compare",
        "smtp",
        "--servers",
        "exim,opensmtpd",
        "--runs",
        "1",
        "-m",
        "20",
    ];
    let output = tool(&words, scratch.path()).output().unwrap();
    let run = ended(&output, Value::Null);
    assert_eq!(left(scratch.path()), Vec::<PathBuf>::new());
    if run.said.contains("could not be fetched") {
        eprintln!("SKIPPED: apt-get reaches no server: {}", run.said);
        assert!(std::env::var("RINGPOST_PEERS").is_ok_and(|value| value != "required"));
        return;
    }
    assert_eq!(run.code, Some(0), "{}", run.said);
    assert!(
        run.said.contains("Exim 4") && run.said.contains("OpenSMTPD "),
        "{}",
        run.said
    );
}

#[test]
fn an_order_that_cannot_be_followed_is_explained() {
    let scratch = scratch();
    for (words, wanted, code) in [
        (
            &["peers", "up", "qmail"][..],
            "known are ringpost, postfix",
            2,
        ),
        (&["peers", "down", "exim"], "exim is not up in", 1),
        (
            &["compare", "smtp", "--servers", "127.0.0.1:1", "-m", "1"],
            "127.0.0.1:1",
            1,
        ),
        (
            &["compare", "smtp", "--servers", "smtp-sink", "--runs", "0"],
            "one run",
            2,
        ),
        (&["report", "/no/such/file.json"], "/no/such/file.json", 1),
    ] {
        let mut tool = match words.first() {
            Some(&"report") => command(words),
            _ => tool(words, scratch.path()),
        };
        let run = ended(&tool.output().unwrap(), Value::Null);
        assert_eq!(run.code, Some(code), "{}", run.said);
        assert!(run.said.contains(wanted), "{}", run.said);
    }
    assert_eq!(left(scratch.path()), Vec::<PathBuf>::new());
}

/// On a disk, with a short name: sockets lie in it.
pub(crate) fn scratch() -> tempfile::TempDir {
    let folder = tempfile::Builder::new()
        .prefix("rb")
        .tempdir_in("/var/tmp")
        .unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    folder
}

fn tool(words: &[&str], scratch: &Path) -> Command {
    let ringpost = tests::binary::ringpost();
    let mut tool = command(words);
    tool.arg("--scratch")
        .arg(scratch)
        .env("RINGPOST_BIN_DIR", ringpost.parent().unwrap());
    tool
}

/// `peers …`, which must succeed; gives what it said.
pub(crate) fn quiet(words: &[&str], scratch: &Path) -> String {
    let words: Vec<&str> = ["peers"].iter().chain(words).copied().collect();
    let output = tool(&words, scratch).output().unwrap();
    let run = ended(&output, Value::Null);
    assert_eq!(run.code, Some(0), "{}", run.said);
    run.said
}

/// Yards that are still there.
fn left(scratch: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(scratch)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn keeper(yard: &Path) -> u32 {
    let told = std::fs::read_to_string(yard.join("keeper")).unwrap();
    told.lines().next().unwrap().parse().unwrap()
}

/// Waits until the process has ended.
fn awaited(pid: u32) {
    let Ok(process) = pidfd_open(Pid::from_raw(pid as i32).unwrap(), PidfdFlags::empty()) else {
        return;
    };
    let process = File::from(process);
    let minute = rustix::event::Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    let mut ends = [PollFd::new(&process, PollFlags::IN)];
    assert_eq!(
        poll(&mut ends, Some(&minute)).unwrap(),
        1,
        "process {pid} does not end"
    );
}

/// Containers often forbid what Exim and OpenSMTPD need: a view of the file system of their own.
pub(crate) fn may_mount() -> bool {
    let overlay = "mount -t overlay -o ro,lowerdir=/usr:/etc none /mnt";
    let words = ["--mount", "--propagation", "private", "sh", "-c", overlay];
    let tried = Command::new("unshare")
        .args(words)
        .stderr(Stdio::null())
        .status();
    let may = tried.is_ok_and(|status| status.success());
    if !may {
        eprintln!("SKIPPED: no overlay can be mounted here");
    }
    may
}

pub(crate) fn has_root() -> bool {
    let has = rustix::process::geteuid().is_root();
    if !has {
        eprintln!("SKIPPED: the peers want root");
    }
    has
}
