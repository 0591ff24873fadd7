//! From submission to another host: taken, delivered, tried again, or given back to the sender.

use super::{ALICE, setup_with_smarthost, submit, text, with_sink};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;
use tests::binary;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::sink::{Moment, Sink};
use tests::smtp::Smtp;

/// Who logs in may send; what is sent arrives as it was, below a Received field.
#[test]
fn a_submission_arrives_elsewhere() {
    let (server, sink) = with_sink("");
    submit(&server, &["carol@far.test"], "hello");
    let taken = sink.wait_for(1);
    assert_eq!(
        (taken[0].from.as_str(), taken[0].to.as_slice()),
        (ALICE, &["carol@far.test".to_owned()][..])
    );
    let sent = String::from_utf8(text("hello")).unwrap();
    assert!(
        taken[0].text.starts_with("Received: from "),
        "{}",
        taken[0].text
    );
    assert!(taken[0].text.ends_with(&sent), "{}", taken[0].text);
    assert!(!taken[0].text.contains("Return-Path"), "{}", taken[0].text);
    server.wait_for_log("how=delivered", 0);
    let metrics = server.metrics();
    let of = |name: &str| -> f64 {
        let all = metrics.iter().filter(|(key, _)| key.starts_with(name));
        all.map(|(_, value)| value).sum()
    };
    assert_eq!(of("ringpost_queue_ends_total{"), 1.0);
    let site = format!(
        "ringpost_site_recipients_total{{site=\"{}\",result=\"sent\"}}",
        sink.address
    );
    assert_eq!(metrics.get(&site), Some(&1.0), "{site}");
}

/// Recipients of one message here and there all get it; those of one site in one transaction.
#[test]
fn one_message_for_here_and_there() {
    let (server, sink) = with_sink("");
    let to = ["bob@example.test", "c@far.test", "d@far.test"];
    submit(&server, &to, "mixed");
    let taken = sink.wait_for(1);
    assert_eq!(taken[0].to, ["c@far.test", "d@far.test"]);
    let inbox = server.inbox("bob@example.test", 1);
    assert!(inbox[0].contains("Subject: mixed"), "{}", inbox[0]);
}

/// A 4yz is tried again for the one recipient that got it, and not for the others.
#[test]
fn what_is_deferred_comes_again() {
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt("late@far.test", 0 | 1) => Some("450 4.2.1 Come back".to_owned()),
        _ => None,
    });
    let server = Server::start(setup);
    submit(&server, &["soon@far.test", "late@far.test"], "twice");
    let taken = sink.wait_for(2);
    assert_eq!(taken[0].to, ["soon@far.test"]);
    assert_eq!(taken[1].to, ["late@far.test"]);
    let deferred = server.wait_for_log("result=deferred", 0).1;
    assert!(
        deferred.contains("450") && deferred.contains("Come back"),
        "{deferred}"
    );
    assert_eq!(sink.wait_for_rcpts(4).len(), 4);
}

/// A 5yz comes back to the sender's INBOX, in words, and to nobody twice.
#[test]
fn what_is_refused_is_given_back() {
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt("nobody@far.test", _) => Some("550 5.1.1 No such user here".to_owned()),
        _ => None,
    });
    let server = Server::start(setup);
    submit(&server, &["nobody@far.test", "carol@far.test"], "half");
    assert_eq!(sink.wait_for(1)[0].to, ["carol@far.test"]);
    let inbox = server.inbox(ALICE, 1);
    for wanted in [
        "multipart/report",
        "nobody@far.test",
        "No such user here",
        "Status: 5.1.1",
        "Action: failed",
        "Subject: half",
        "Return-Path: <>",
    ] {
        assert!(inbox[0].contains(wanted), "{wanted} in\n{}", inbox[0]);
    }
    assert!(!inbox[0].contains("carol@far.test"), "{}", inbox[0]);
}

/// A host that is not there is tried until the time is over; then the sender hears of it.
#[test]
fn what_cannot_be_delivered_expires() {
    let (setup, _nobody) = setup_with_smarthost("expire = \"3s\"\n");
    let server = Server::start(setup);
    submit(&server, &["carol@far.test"], "lost");
    let inbox = server.inbox(ALICE, 1);
    assert!(inbox[0].contains("Action: failed"), "{}", inbox[0]);
    assert!(inbox[0].contains("carol@far.test"), "{}", inbox[0]);
    server.wait_for_log("how=expired", 0);
}

/// The sender is told once that it takes long, and the mail arrives all the same.
#[test]
fn who_waits_long_is_told_once() {
    let (setup, port) = setup_with_smarthost("warn = \"2s\"\n");
    let sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt(_, 0..6) => Some("451 4.7.1 Not yet".to_owned()),
        _ => None,
    });
    let server = Server::start(setup);
    submit(&server, &["carol@far.test"], "slow");
    sink.wait_for(1);
    server.wait_for_log("how=delivered", 0);
    let inbox = server.inbox(ALICE, 1);
    assert!(inbox[0].contains("Action: delayed"), "{}", inbox[0]);
}

/// A host that cannot be reached is left alone and then found again: nothing is lost on the way.
#[test]
fn a_host_that_comes_back_gets_its_mail() {
    let (setup, port) = setup_with_smarthost("");
    let server = Server::start(setup);
    for n in 0..20 {
        submit(&server, &[&format!("u{n}@far.test")], &format!("m{n}"));
    }
    server.wait_for_log("result=deferred", 0);
    let sink = Sink::start(port);
    let mut to: Vec<String> = sink
        .wait_for(20)
        .into_iter()
        .flat_map(|one| one.to)
        .collect();
    to.sort();
    to.dedup();
    assert_eq!(to.len(), 20);
}

/// A bounce of a bounce is never made: mail from the null reverse-path just ends.
#[test]
fn nobody_is_told_at_the_null_path() {
    let (setup, port) = setup_with_smarthost("");
    let _sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt(..) => Some("550 5.7.1 Never".to_owned()),
        _ => None,
    });
    let server = Server::start(setup);
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    smtp.deliver("", &["carol@far.test"], &text("auto"))
        .unwrap()
        .expect(250)
        .unwrap();
    server.wait_for_log("how=failed", 0);
    submit(&server, &["dave@far.test"], "told");
    let inbox = server.inbox(ALICE, 1);
    assert!(inbox[0].contains("dave@far.test"), "{}", inbox[0]);
}

/// Without a login nothing is relayed, unless the network may; a route decides the rest.
#[test]
fn who_may_send_and_where() {
    let mut setup = Setup::usual();
    let port = setup.spare_port();
    let routes = format!(
        "[[route]]\ndomains = [\"far.test\"]\nvia = \"relay\"\nhost = \"{port}\"\n\
         [[route]]\ndomains = [\"never.test\"]\nvia = \"reject\"\nreason = \"Not to them\"\n\
         [[route]]\ndomains = [\"*.hole.test\"]\nvia = \"discard\"\n"
    );
    let sink = Sink::start(port);
    let server = Server::start(setup.table(&routes));
    let mut smtp = server.smtp();
    smtp.command("MAIL FROM:<x@remote.test>")
        .unwrap()
        .expect(250)
        .unwrap();
    let refused = smtp.command("RCPT TO:<carol@far.test>").unwrap();
    assert!(
        refused.code == 550 && refused.has("5.7.1 Relaying denied"),
        "{refused}"
    );

    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    smtp.command(&format!("MAIL FROM:<{ALICE}>"))
        .unwrap()
        .expect(250)
        .unwrap();
    let words = smtp.command("RCPT TO:<a@never.test>").unwrap();
    assert!(
        words.code == 550 && words.has("5.7.1 Not to them"),
        "{words}"
    );
    smtp.command("RCPT TO:<a@elsewhere.test>")
        .unwrap()
        .expect(550)
        .unwrap();
    smtp.command("RCPT TO:<a@b.hole.test>")
        .unwrap()
        .expect(250)
        .unwrap();
    smtp.command("RCPT TO:<carol@far.test>")
        .unwrap()
        .expect(250)
        .unwrap();
    smtp.data(&text("one")).unwrap().expect(250).unwrap();
    assert_eq!(sink.wait_for(1)[0].to, ["carol@far.test"]);

    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::start(port);
    let server = Server::start(setup.table("[relay]\nnetworks = [\"127.0.0.0/8\"]"));
    let mut smtp = server.smtp();
    smtp.deliver("x@remote.test", &["carol@far.test"], &text("relayed"))
        .unwrap()
        .expect(250)
        .unwrap();
    assert_eq!(sink.wait_for(1)[0].from, "x@remote.test");
}

/// SIGTERM ends within its time, and what was not sent is sent by the next start.
#[test]
fn a_gentle_end_keeps_what_waits() {
    let (setup, port) = setup_with_smarthost("");
    let mut server = Server::start(setup);
    submit(&server, &["carol@far.test"], "kept");
    server.wait_for_log("result=deferred", 0);
    assert!(server.terminate(Duration::from_secs(45)).success());
    let sink = Sink::start(port);
    server.restart();
    assert_eq!(sink.wait_for(1)[0].to, ["carol@far.test"]);
}

/// A host that takes the connection and says nothing has no message under way: an end does not wait
/// for it, and it was no attempt.
#[test]
fn an_end_does_not_wait_for_a_silent_host() {
    let (setup, port) = setup_with_smarthost("");
    let silent = TcpListener::bind(port).unwrap();
    let mut server = Server::start(setup);
    submit(&server, &["carol@far.test"], "kept");
    let connection = silent.accept().unwrap();
    // A conversation is waited for as long as `drain_secs_max` says: half a minute.
    assert!(server.terminate(Duration::from_secs(20)).success());
    drop((silent, connection));
    let sink = Sink::start(port);
    server.restart();
    assert_eq!(sink.wait_for(1)[0].to, ["carol@far.test"]);
    server.wait_for_log("how=delivered", 0);
    let is_attempt = |line: &String| line.contains("result=deferred");
    assert!(!server.log_lines().iter().any(is_attempt));
}

/// Mail of a domain that has a key leaves signed: the signature stands before everything else.
#[test]
fn what_leaves_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("a1.pem");
    let made = Command::new(binary::ringpostctl())
        .args([
            "dkim",
            "generate",
            "example.test",
            "a1",
            "--algorithm",
            "ed25519",
            "--key",
        ])
        .arg(&key)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let table = format!(
        "[[dkim]]\ndomain = \"example.test\"\nselector = \"a1\"\nalgorithm = \"ed25519\"\n\
         key = {key:?}"
    );
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::start(port);
    let server = Server::start(setup.table(&table));
    submit(&server, &["carol@far.test"], "signed");
    let text = &sink.wait_for(1)[0].text;
    assert!(text.starts_with("DKIM-Signature: "), "{text}");
    let (header, _) = text.split_once("\r\n\r\n").unwrap();
    let signature = header.split("\r\nReceived: ").next().unwrap();
    assert!(
        signature.contains("d=example.test") && signature.contains("s=a1"),
        "{signature}"
    );
}
