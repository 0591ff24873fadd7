//! `ringpostctl trace`: the whole story of a message, with the server running and stopped.

use super::{ALICE, setup_with_smarthost};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use tests::binary;
use tests::server::Server;
use tests::setup::PASSWORD;
use tests::sink::{Moment, Sink};
use tests::smtp::Smtp;

/// One message for somebody here, for somebody who is deferred once, for somebody who is refused,
/// and for somebody who waits: each has a story, whichever way one asks, and it stays the same when
/// the server has ended.
#[test]
fn a_message_is_followed_from_its_client_to_its_ends() {
    let (mut server, port, id) = lived("");

    for what in [
        id.as_str(),
        "<one@story.test>",
        "one@story.test",
        "late@far.test",
    ] {
        let stories = trace(&server, what);
        assert_eq!(stories.len(), 1, "{what}: {stories:?}");
        tells_all(&stories[0], &id, &port.to_string());
    }
    let waits = |story: &Value| {
        leg(story, "stuck@far.test")["waits"]
            .as_str()
            .map(str::to_owned)
    };
    let story = trace(&server, &id).remove(0);
    assert!(
        waits(&story).is_some_and(|waits| waits.contains("next attempt")),
        "{story}"
    );

    let item = leg(&story, "late@far.test")["item"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(trace(&server, &item)[0]["queue_id"], id.as_str());
    let notice = story["notices"][0].as_str().unwrap();
    let told = trace(&server, notice).remove(0);
    assert_eq!(
        told["sender"],
        Value::Null,
        "a notice comes from the null reverse-path"
    );
    assert_eq!(told["delivered"][0]["account"], ALICE);

    says_it_in_words(&server, &id);
    assert!(server.terminate(Duration::from_secs(45)).success());
    let stories = trace(&server, &id);
    tells_all(&stories[0], &id, &port.to_string());
    assert_eq!(waits(&stories[0]), None, "nobody can be asked");
    assert!(
        leg(&stories[0], "stuck@far.test")["due_secs"]
            .as_i64()
            .unwrap()
            > 0
    );
}

/// The compactor takes out of the log what has ended; its story is told as before.
#[test]
fn a_story_outlives_the_log() {
    let (mut server, port, id) = lived("shards = 1");
    // A segment is worth emptying when there is something in it.
    let large = format!(
        "Subject: large\r\n\r\n{}",
        "a line of it\r\n".repeat(200_000)
    );
    server.deliver(&["bob@example.test"], large.as_bytes());
    assert!(server.terminate(Duration::from_secs(45)).success());
    let before = trace(&server, &id);
    let compacted = ctl(&server, &["compact", "--keep", "0"]);
    let said = String::from_utf8_lossy(&compacted.stdout);
    assert!(compacted.status.success(), "{said}");
    for what in [id.as_str(), "one@story.test", "late@far.test"] {
        let after = trace(&server, what);
        assert_eq!(after, before, "{what}");
        tells_all(&after[0], &id, &port.to_string());
    }
    let shard = server.setup.data().join("shard-00");
    std::fs::remove_dir_all(shard.join("stories")).unwrap();
    let without = ctl(&server, &["--json", "trace", &id]);
    let left: Value = serde_json::from_slice(&without.stdout).unwrap();
    assert_ne!(left, Value::from(before), "it was told from there");
}

/// What is not there is said so, with exit code 1; what is no question, with 2.
#[test]
fn nothing_is_told_of_what_never_was() {
    let server = Server::usual();
    let asked = |what: &str| {
        let output = ctl(&server, &["trace", what]);
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), complained)
    };
    let (code, words) = asked("<never@was.test>");
    assert!(
        code == Some(1) && words.contains("nothing is known"),
        "{words}"
    );
    let (code, words) = asked("what?");
    assert!(code == Some(2) && words.contains("Message-ID"), "{words}");
}

fn says_it_in_words(server: &Server, id: &str) {
    let words = words(server, id);
    for wanted in [
        "accepted",
        "ESMTPSA",
        "put into INBOX of bob@example.test, UID 1",
        "attempt 1: deferred",
        "550 5.1.1 No such user here",
        "waits for its next attempt",
    ] {
        assert!(words.contains(wanted), "{wanted} in\n{words}");
    }
}

/// Everything that the story must have, whoever asked how.
fn tells_all(story: &Value, id: &str, address: &str) {
    assert_eq!(story["queue_id"], id, "{story}");
    assert_eq!(story["sender"], ALICE);
    assert_eq!(story["message_id"], "one@story.test");
    assert_eq!(story["hello"], "client.test");
    assert_eq!(story["protocol"], "ESMTPSA");
    assert!(
        story["client"].as_str().unwrap().contains("127.0.0.1"),
        "{story}"
    );
    assert!(
        story["tls"].as_str().unwrap().starts_with("TLSv1.3"),
        "{story}"
    );
    let here = &story["delivered"][0];
    assert_eq!(
        (&here["recipient"], &here["mailbox"], &here["uid"]),
        (&"bob@example.test".into(), &"INBOX".into(), &1.into())
    );
    let late = leg(story, "late@far.test");
    let events = late["events"].as_array().unwrap();
    assert_eq!(
        (&events[0]["event"], &events[0]["attempt"]),
        (&"deferred".into(), &1.into())
    );
    assert_eq!(events[0]["reply"]["code"], 450);
    assert_eq!(events[1]["event"], "delivered");
    assert_eq!(events[1]["reply"]["address"], address);
    assert_eq!(late["tenant"], ALICE);
    assert_eq!(late["is_over"], true);
    let nobody = leg(story, "nobody@far.test");
    let end = nobody["events"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&end["event"], &end["reply"]["status"]),
        (&"failed".into(), &"5.1.1".into())
    );
    assert_eq!(leg(story, "stuck@far.test")["is_over"], false);
    assert_eq!(story["notices"].as_array().unwrap().len(), 1, "{story}");
}

fn leg<'a>(story: &'a Value, recipient: &str) -> &'a Value {
    let legs = story["queued"].as_array().unwrap();
    let found = legs.iter().find(|leg| leg["recipient"] == recipient);
    found.unwrap_or_else(|| panic!("{recipient} in {story}"))
}

/// A server whose message for four has come to its ends, or waits; where the other host listens,
/// and the queue id. `top`: what the configuration says besides.
fn lived(top: &str) -> (Server, SocketAddr, String) {
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt("late@far.test", 0) => Some("450 4.2.1 Come back".to_owned()),
        Moment::Rcpt("nobody@far.test", _) => Some("550 5.1.1 No such user here".to_owned()),
        Moment::Rcpt("stuck@far.test", _) => Some("451 4.7.1 Not today".to_owned()),
        _ => None,
    });
    let server = Server::start(setup.top(top));
    let to = [
        "bob@example.test",
        "late@far.test",
        "nobody@far.test",
        "stuck@far.test",
    ];
    let id = submit(&server, &to);
    assert_eq!(sink.wait_for(1)[0].to, ["late@far.test"]);
    server.inbox(ALICE, 1);
    server.wait_for_log("how=failed", 0);
    server.wait_for_log("how=delivered", 0);
    (server, port, id)
}

/// Submits a message, and gives its queue id.
fn submit(server: &Server, to: &[&str]) -> String {
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    let text = format!("From: {ALICE}\r\nMessage-ID: <one@story.test>\r\n\r\nonce\r\n");
    let reply = smtp.deliver(ALICE, to, text.as_bytes()).unwrap();
    let reply = reply.expect(250).unwrap();
    reply.lines[0].rsplit(' ').next().unwrap().to_owned()
}

fn trace(server: &Server, what: &str) -> Vec<Value> {
    let output = ctl(server, &["--json", "trace", what]);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {complained}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn words(server: &Server, what: &str) -> String {
    let output = ctl(server, &["trace", what]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ctl(server: &Server, arguments: &[&str]) -> std::process::Output {
    Command::new(binary::ringpostctl())
        .arg("--data")
        .arg(server.setup.data())
        .args(arguments)
        .output()
        .unwrap()
}
