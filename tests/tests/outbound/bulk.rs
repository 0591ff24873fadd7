//! Large requests by HTTP are read, and their messages written, by threads that serve nobody: the
//! shard goes on answering everybody else.

use super::inject::{post, setup};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::connection::Connection;
use tests::server::Server;
use tests::sink::Sink;
use tests::usage::cpu_of_threads;

/// The token costs no password hash: what the login threads do is done for the requests.
#[test]
fn a_large_request_is_work_of_other_threads() {
    let (setup, http, next) = setup("");
    let sink = Sink::start(next);
    let server = Server::start(setup.top("shards = 1"));
    let file: Vec<u8> = (0..FILE_BYTES).map(|at| (at * 7 % 251) as u8).collect();
    let content = STANDARD.encode(&file);
    let body: Value = json!({
        "from": "news@shop.test", "to": ["a@far.test"], "subject": "a file", "text": "see there",
        "attachments": [
            { "name": "a.bin", "type": "application/octet-stream", "content": content },
        ],
    });
    for _ in 0..REQUESTS {
        let answer = post(http, "", &body).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let lines = content.as_bytes().chunks(76);
    let lines: Vec<&str> = lines.map(|line| str::from_utf8(line).unwrap()).collect();
    let taken = sink.wait_for(REQUESTS);
    assert!(
        taken
            .iter()
            .all(|one| one.text.contains(&lines.join("\r\n")))
    );
    let elsewhere = cpu_of_threads(server.pid(), "login-");
    assert!(!elsewhere.is_zero(), "the shard did all of it");
    // What is wrong is named as it is in a small one.
    let mut wrong = body.clone();
    wrong["attachments"][0]["content"] = json!(format!("{content}?"));
    let answer = post(http, "", &wrong).unwrap();
    assert_eq!(answer.status, 422, "{}", answer.body);
    let pointer = &answer.body["errors"][0]["pointer"];
    assert_eq!(pointer, "#/attachments/0/content", "{}", answer.body);
    let first = post(http, "one", &body).unwrap();
    let again = post(http, "one", &body).unwrap();
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(first.body["id"], again.body["id"]);
}

const FILE_BYTES: usize = 6 << 20;
const REQUESTS: usize = 5;

/// So is a small one of which a template makes much.
#[test]
fn a_message_that_becomes_large_is_work_of_other_threads() {
    let (setup, http, next) = setup("");
    let sink = Sink::start(next);
    let server = Server::start(setup.top("shards = 1"));
    let row = format!("row {}\n", "x".repeat(60)).repeat(10);
    let body: Value = json!({
        "from": "news@shop.test", "to": ["a@far.test"], "subject": "rows",
        "text": format!("{{{{#rows}}}}{row}{{{{/rows}}}}"),
        "substitutions": { "rows": vec![0; ROWS / 10] },
    });
    assert!(body.to_string().len() < 64 << 10);
    for _ in 0..REQUESTS {
        let answer = post(http, "", &body).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let taken = sink.wait_for(REQUESTS);
    assert!(
        taken
            .iter()
            .all(|one| one.text.matches("row x").count() == ROWS)
    );
    let elsewhere = cpu_of_threads(server.pid(), "login-");
    assert!(!elsewhere.is_zero(), "the shard did all of it");
}

const ROWS: usize = 100_000;

/// Who has sent too much hears so before the body, and is not asked for it.
#[test]
fn a_request_that_comes_too_early_is_not_read() {
    let (setup, http, _) = setup("retry = \"1h\"\n");
    let server = Server::start(setup.table("[inject]\nrecipients_per_minute_max = 1\n"));
    let to = ["a@far.test", "b@far.test"];
    let body = json!({ "from": "news@shop.test", "to": to, "subject": "x", "text": "y" });
    assert_eq!(post(http, "", &body).unwrap().status, 200);
    let mut connection = Connection::open(http).unwrap();
    let head = "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer rpt_test\r\n\
        Content-Type: application/json\r\nContent-Length: 9000000\r\nExpect: 100-continue\r\n\r\n";
    connection.send(head.as_bytes()).unwrap();
    let answer = String::from_utf8(connection.rest().unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: "), "{answer}");
    drop(server);
}
