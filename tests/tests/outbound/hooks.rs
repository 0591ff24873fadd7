//! What programs are told of mail: lines in a file, and webhooks that get every one of them.

use super::{ALICE, setup_with_smarthost, submit};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use tests::binary::workspace;
use tests::peer;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::sink::{Moment, Sink};
use tests::smtp::Smtp;

const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8G";

/// All that was told, once there is a line of each kind as often as wanted.
fn told(server: &Server, wanted: &[(&str, usize)]) -> Vec<Value> {
    let file = server.setup.data().join("events/events.jsonl");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let events: Vec<Value> = whole
            .lines()
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect();
        let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
        if wanted.iter().all(|(kind, count)| of(kind) >= *count) {
            return events;
        }
        assert!(std::time::Instant::now() < end, "{wanted:?} in\n{text}");
        std::thread::yield_now();
    }
}

/// The life of a message, line by line: received, queued, deferred, delivered, bounced.
#[test]
fn a_file_tells_the_life_of_each_message() {
    let (setup, next) = setup_with_smarthost("");
    let sink = Sink::with(next, |moment| match moment {
        Moment::Rcpt("later@far.test", 0) => Some("450 4.2.1 not yet".to_owned()),
        Moment::Rcpt("never@far.test", _) => Some("550 5.1.1 no \"such\" user".to_owned()),
        _ => None,
    });
    let kinds = "kinds = [\"received\", \"queued\", \"delivered\", \"deferred\", \"bounced\", \
        \"local\"]";
    let server = Server::start(setup.table(&format!("[events]\n{kinds}\n")));
    submit(
        &server,
        &["later@far.test", "never@far.test", "bob@example.test"],
        "told",
    );
    sink.wait_for(1);
    let wanted = [
        ("received", 1),
        ("queued", 2),
        ("local", 1),
        ("deferred", 1),
        ("delivered", 1),
        ("bounced", 1),
    ];
    let events = told(&server, &wanted);
    let of = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap();
    let message = &of("received")["message"];
    for kind in ["queued", "deferred", "delivered", "bounced"] {
        let event = of(kind);
        assert_eq!(&event["message"], message, "{event}");
        assert_eq!(
            (&event["sender"], &event["tenant"]),
            (&ALICE.into(), &ALICE.into()),
            "{event}"
        );
    }
    assert_eq!(of("deferred")["code"], 450);
    assert_eq!(of("bounced")["recipient"], "never@far.test");
    assert_eq!(of("bounced")["reply"], "no \"such\" user");
    assert_eq!(of("delivered")["attempts"], 2);
    let ids: BTreeSet<&str> = events
        .iter()
        .map(|event| event["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), events.len(), "ids differ");
}

/// Files are rotated and compressed while mail goes through: each event is in one of them, once.
#[test]
fn rotation_under_load_loses_nothing() {
    const MESSAGES: usize = 400;
    let (setup, next) = setup_with_smarthost("");
    let sink = Sink::start(next);
    let events = "[events]\nrotate_bytes = \"64 KiB\"\nkeep = 200\nwhen_slow = \"wait\"\n";
    let server = Server::start(setup.table(events));
    let submissions = server.addresses().submissions;
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            std::thread::spawn(move || {
                let mut smtp = Smtp::submit(submissions, ALICE, PASSWORD).unwrap();
                for n in (sender..MESSAGES).step_by(4) {
                    let to = format!("u{n}@far.test");
                    let reply = smtp.deliver(ALICE, &[&to], b"Subject: x\r\n\r\nx\r\n");
                    reply.unwrap().expect(250).unwrap();
                }
            })
        })
        .collect();
    senders
        .into_iter()
        .for_each(|sender| sender.join().unwrap());
    sink.wait_for(MESSAGES);
    let folder = server.setup.data().join("events");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let (lines, files) = loop {
        let (lines, files) = all_lines(&folder);
        if lines.len() >= MESSAGES {
            break (lines, files);
        }
        assert!(std::time::Instant::now() < end, "{} lines", lines.len());
        std::thread::yield_now();
    };
    assert!(files > 3, "{files} files");
    let ids: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| line["id"].as_str())
        .collect();
    assert_eq!((lines.len(), ids.len()), (MESSAGES, MESSAGES));
}

/// The deliveries in all files of a folder, and how many these are. A file that is renamed or
/// compressed while it is read is looked at again with the others.
fn all_lines(folder: &std::path::Path) -> (Vec<Value>, usize) {
    let mut by_number: std::collections::BTreeMap<String, String> = Default::default();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let Ok(octets) = std::fs::read(entry.path()) else {
            return (Vec::new(), 0);
        };
        let text = match name.strip_suffix(".zst") {
            Some(_) => zstd::decode_all(&octets[..]).unwrap_or_default(),
            None => octets,
        };
        if name.contains(".jsonl") && !name.ends_with(".new") {
            let key = name.trim_end_matches(".zst").to_owned();
            let known = by_number.entry(key).or_default();
            if known.len() < text.len() {
                *known = String::from_utf8(text).unwrap();
            }
        }
    }
    let whole = |text: &String| text.rsplit_once('\n').map(|(whole, _)| whole.to_owned());
    let texts: Vec<String> = by_number.values().filter_map(whole).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let events = lines.map(|line| serde_json::from_str(line).expect("each line is JSON"));
    let delivered = events.filter(|event: &Value| event["type"] == "delivered");
    (delivered.collect(), by_number.len())
}

/// A disk that takes nothing keeps no mail back; what is lost is counted and told in the log.
#[test]
fn a_full_disk_keeps_no_mail_back() {
    let (setup, next) = setup_with_smarthost("");
    let sink = Sink::start(next);
    let server = Server::start(setup.table("[events]\nfile = \"/dev/full\"\n"));
    submit(&server, &["carol@far.test"], "through");
    sink.wait_for(1);
    server.wait_for_log("events cannot be written", 0);
    server.wait_for_log("how=delivered", 0);
    let metrics = server.metrics();
    assert!(
        metrics["ringpost_events_dropped_total"] >= 1.0,
        "{metrics:?}"
    );
    assert_eq!(metrics["ringpost_events_stuck"], 1.0);
}

struct Hook {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Hook {
    /// `None`: there is no Python, and there need not be.
    fn start(address: SocketAddr, plan: &str) -> Option<Hook> {
        let python = peer::find("python3");
        if python.is_none() {
            peer::peer("python3")?;
        }
        let mut child = Command::new(python?)
            .arg(workspace().join("tests/clients/webhook.py"))
            .args([&address.port().to_string(), SECRET, plan])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut hook = Hook { child, lines };
        assert_eq!(hook.line(), "READY");
        Some(hook)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Reads events until these recipients were told of, and gives all ids.
    fn until(&mut self, recipients: &[String]) -> Vec<String> {
        let mut left: BTreeSet<&str> = recipients.iter().map(String::as_str).collect();
        let mut ids = Vec::new();
        while !left.is_empty() {
            let line = self.line();
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            assert_eq!(event["type"], "delivered", "{event}");
            left.remove(event["recipient"].as_str().unwrap());
            ids.push(event["id"].as_str().unwrap().to_owned());
        }
        ids
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn setup(url: &str) -> (Setup, SocketAddr, SocketAddr) {
    let (mut setup, next) = setup_with_smarthost("");
    let hook = setup.spare_port();
    let table = format!(
        "[events]\nwhen_slow = \"wait\"\n[[webhook]]\nname = \"crm\"\nurl = \"{url}\"\n\
         secret = \"whsec_{SECRET}\"\nkinds = [\"delivered\"]\ntimeout = \"1s\"\nretry = \"1s\"\n\
         batch_max = 3\n"
    )
    .replace("PORT", &hook.port().to_string());
    (setup.table(&table), next, hook)
}

/// A webhook that fails, redirects, resets and stalls gets everything in the end, signed; what it
/// has had it does not get again after a kill, and what came meanwhile it does.
#[test]
fn a_webhook_gets_everything_in_the_end() {
    let (setup, next, address) = setup("http://127.0.0.1:PORT/hook?x=1");
    let sink = Sink::start(next);
    let Some(mut hook) = Hook::start(address, "500,redirect,reset,stall,ok") else {
        return;
    };
    let mut server = Server::start(setup);
    let first: Vec<String> = (0..5).map(|n| format!("a{n}@far.test")).collect();
    for to in &first {
        submit(&server, &[to], "first");
    }
    sink.wait_for(5);
    let ids = hook.until(&first);
    drop(hook);
    // Nobody listens: mail goes on, and its events wait in the file.
    let second: Vec<String> = (0..5).map(|n| format!("b{n}@far.test")).collect();
    for to in &second {
        submit(&server, &[to], "second");
    }
    sink.wait_for(10);
    server.wait_for_log("webhook fails", 0);
    server.kill_and_restart();
    let Some(mut hook) = Hook::start(address, "ok") else {
        return;
    };
    let later = hook.until(&second);
    let twice = later.iter().filter(|id| ids.contains(id)).count();
    assert!(twice <= 3, "a batch at most comes twice: {twice}");
    let third = ["c0@far.test".to_owned()];
    submit(&server, &[&third[0]], "third");
    hook.until(&third);
}

/// A certificate that nobody vouches for gets nothing, and the log says why.
#[test]
fn a_webhook_is_verified() {
    let (setup, next, address) = setup("https://localhost:PORT/");
    let sink = Sink::start(next);
    let Some(openssl) = peer::find("openssl") else {
        return;
    };
    let serving = Command::new(openssl)
        .args([
            "s_server",
            "-quiet",
            "-accept",
            &address.to_string(),
            "-cert",
        ])
        .arg(setup.certificate())
        .arg("-key")
        .arg(setup.directory.path().join("key.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut serving = serving.unwrap();
    let server = Server::start(setup);
    submit(&server, &["carol@far.test"], "told");
    sink.wait_for(1);
    let (_, line) = server.wait_for_log("webhook fails", 0);
    assert!(line.contains("TLS") || line.contains("reached"), "{line}");
    let _ = serving.kill();
    let _ = serving.wait();
}
