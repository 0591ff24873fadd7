//! Mail by HTTP: what is asked for is sent once, and what is wrong is named.

use super::{ALICE, setup_with_smarthost};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use tests::binary;
use tests::connection::Connection;
use tests::peer;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::sink::Sink;

/// SHA-256 of `rpt_test`.
const TOKEN: &str = "[[token]]\nname = \"shop\"\nsenders = [\"@shop.test\"]\ntenants = [\"shop\"]\n\
    hash = \"sha256:HASH\"\n";

/// A server that takes mail by HTTP, and where.
pub(super) fn setup(more: &str) -> (Setup, SocketAddr, SocketAddr) {
    let (mut setup, next) = setup_with_smarthost(more);
    let http = setup.spare_port();
    let listener = format!(
        "[[listener]]\nprotocol = \"http\"\ninject = true\naddress = \"{http}\"\ntls = \"none\"\n"
    );
    let hash = engine::inject::show_hash(&engine::inject::token_hash("rpt_test"));
    let token = TOKEN.replace("sha256:HASH", &hash);
    (setup.table(&listener).table(&token), http, next)
}

/// One answer.
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Value,
}

fn ask(http: SocketAddr, head: &str, body: &[u8]) -> Option<Answer> {
    let mut connection = Connection::open(http).ok()?;
    let mut request = head.replace("LENGTH", &body.len().to_string()).into_bytes();
    request.extend_from_slice(body);
    connection.send(&request).ok()?;
    let answer = String::from_utf8(connection.rest().ok()?).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    })
}

pub(super) fn post(http: SocketAddr, key: &str, body: &Value) -> Option<Answer> {
    let key = match key {
        "" => String::new(),
        key => format!("Idempotency-Key: {key}\r\n"),
    };
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer rpt_test\r\n\
         Content-Type: application/json\r\nContent-Length: LENGTH\r\nConnection: close\r\n{key}\r\n"
    );
    ask(http, &head, body.to_string().as_bytes())
}

fn letter(to: &[String]) -> Value {
    let to: Vec<Value> = to
        .iter()
        .map(|to| json!({ "email": to, "substitutions": { "name": to } }))
        .collect();
    json!({
        "from": "news@shop.test", "to": to, "subject": "For {{name}}",
        "text": "Dear {{name}}\n", "html": "<p>Dear {{name}}</p>",
    })
}

fn recipients(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("r{n}@far.test")).collect()
}

/// curl sends what a shop would: each recipient has a message of its own, here and elsewhere.
#[test]
fn curl_sends_to_each_their_own() {
    let (setup, http, next) = setup("");
    let sink = Sink::start(next);
    let server = Server::start(setup);
    let body = json!({
        "from": { "email": ALICE, "name": "Älice" },
        "to": [
            {
                "email": "carol@far.test", "name": "Carol",
                "substitutions": { "name": "Carol & Co" },
            },
            { "email": "bob@example.test", "substitutions": { "name": "Bob" } },
            "not an address",
        ],
        "substitutions": { "shop": "Shop" },
        "subject": "Grüße von {{shop}}",
        "text": "Hello {{name}}\n.\n", "html": "<p>Hello {{name}} <img src=\"cid:logo@x\"></p>",
        "attachments": [
            { "name": "a.txt", "type": "text/plain", "content": "aGVsbG8K" },
            { "name": "logo.png", "type": "image/png", "content": "iVBORw0KGgo=", "cid": "logo@x" },
        ],
        "headers": { "List-Unsubscribe": "<https://shop.test/u/{{name}}>" },
    });
    let Some(curl) = peer::peer("curl") else {
        return;
    };
    let login = format!("{ALICE}:{PASSWORD}");
    let url = format!("http://{http}/v1/messages");
    let content = "Content-Type: application/json";
    let curl = curl.args([
        "-sS",
        "-u",
        &login,
        "-H",
        content,
        "--data-binary",
        "@-",
        &url,
    ]);
    let output = curl.input(body.to_string().as_bytes()).run();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["accepted"], 2, "{answer}");
    assert_eq!(answer["recipients"][2]["status"], "refused", "{answer}");
    let sent = sink.wait_for(1).remove(0);
    assert_eq!(sent.to, ["carol@far.test"]);
    for wanted in [
        "Hello Carol & Co\r\n",
        "Hello Carol &amp; Co",
        "multipart/mixed",
        "multipart/related",
        "multipart/alternative",
        "Content-ID: <logo@x>",
        "aGVsbG8K",
        "To: \"Carol\" <carol@far.test>\r\n",
        "with HTTP id ",
        "Message-ID: <",
    ] {
        let is_there = sent.text.contains(wanted);
        assert!(is_there, "{wanted:?} in\n{}", sent.text);
    }
    assert!(!sent.text.contains("bob@"), "{}", sent.text);
    let inbox = server.inbox("bob@example.test", 1);
    assert!(inbox[0].contains("Hello Bob"), "{}", inbox[0]);
}

/// Python reads what was written as it was meant.
#[test]
fn python_reads_what_was_sent() {
    let (setup, http, next) = setup("");
    let sink = Sink::start(next);
    let _server = Server::start(setup);
    let body = json!({
        "from": { "email": "news@shop.test", "name": "News, \"the\" ☃" },
        "to": [{ "email": "carol@far.test", "name": "Cärol\" <evil@x>" }],
        "cc": ["dora@far.test"], "bcc": ["erin@far.test"],
        "subject": "ä".repeat(300), "text": "x\r\nlong ".to_owned() + &"y".repeat(3_000),
        "attachments": [{ "name": "ünicode \"q\".bin", "content": "AAEC/w==" }],
    });
    assert_eq!(post(http, "", &body).unwrap().status, 200);
    let sent = sink.wait_for(1).remove(0);
    assert_eq!(sent.to.len(), 3);
    let script = "import sys, email, email.policy\n\
        m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)\n\
        assert m['from'].addresses[0].display_name == 'News, \"the\" \\u2603', m['from']\n\
        assert m['to'].addresses[0].addr_spec == 'carol@far.test', m['to']\n\
        assert len(m['to'].addresses) == 1, m['to']\n\
        assert m['to'].addresses[0].display_name == 'C\\u00e4rol\" <evil@x>', m['to']\n\
        assert m['cc'].addresses[0].addr_spec == 'dora@far.test'\n\
        assert m['bcc'] is None and m['subject'] == '\\u00e4' * 300\n\
        parts = list(m.iter_attachments())\n\
        assert parts[0].get_content() == bytes([0, 1, 2, 255])\n\
        assert parts[0].get_filename() == '\\u00fcnicode \"q\".bin', parts[0].get_filename()\n\
        text = m.get_body().get_content()\n\
        assert text.splitlines() == ['x', 'long ' + 'y' * 3000], text\n\
        assert not m.defects and m['date'].datetime and m['message-id']\n";
    let Some(python) = peer::peer("python3") else {
        return;
    };
    let output = python
        .args(["-c", script])
        .input(sent.text.as_bytes())
        .run();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{}", sent.text);
}

/// Whoever is not known, or may not, hears it; nothing is sent.
#[test]
fn strangers_and_forgers_are_refused() {
    let (setup, http, _) = setup("");
    let _server = Server::start(setup);
    let mut body = letter(&recipients(1));
    body["from"] = json!(ALICE);
    let forged = post(http, "", &body).unwrap();
    assert_eq!(forged.status, 403);
    assert_eq!(forged.body["errors"][0]["pointer"], "#/from");
    let body = letter(&recipients(1)).to_string();
    for (said, status) in [
        ("", 401),
        ("Authorization: Bearer rpt_other\r\n", 401),
        ("Authorization: Basic YTpi\r\n", 401),
        ("Authorization: Basic !\r\n", 401),
        ("Authorization: Digest x\r\n", 401),
    ] {
        let head = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             {said}Content-Length: LENGTH\r\nConnection: close\r\n\r\n"
        );
        let answer = ask(http, &head, body.as_bytes()).unwrap();
        assert_eq!(answer.status, status, "{said}");
        assert!(
            answer.head.contains("WWW-Authenticate: Basic"),
            "{}",
            answer.head
        );
    }
}

/// What is wrong with a request is told with the field, in the form of RFC 9457.
#[test]
fn what_is_wrong_names_its_field() {
    let (setup, http, _) = setup("");
    let _server = Server::start(setup);
    let good = letter(&recipients(1));
    for (field, value, pointer, status) in [
        ("subject", json!(1), "#/subject", 422),
        ("strange", json!(1), "#/strange", 422),
        ("html", json!("<a href={{name}}>"), "#/html", 422),
        ("text", json!("{{#name}}"), "#/text", 422),
        (
            "headers",
            json!({ "X-A": "b\r\nBcc: c@d" }),
            "#/headers/X-A",
            422,
        ),
        ("headers", json!({ "Bcc": "c@d" }), "#/headers/Bcc", 422),
        (
            "attachments",
            json!([{ "content": "!" }]),
            "#/attachments/0/content",
            422,
        ),
        ("priority", json!(10), "#/priority", 422),
        ("send_at", json!("tomorrow"), "#/send_at", 422),
        ("tenant", json!("other"), "#/tenant", 422),
        ("to", json!([]), "#/to", 422),
        ("raw", json!("AAAA"), "#/subject", 422),
        ("from", json!("a b"), "#/from", 422),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = post(http, "", &body).unwrap();
        assert_eq!(answer.status, status, "{field}: {}", answer.body);
        let errors = answer.body["errors"].as_array().unwrap();
        let pointers: Vec<&Value> = errors.iter().map(|error| &error["pointer"]).collect();
        assert!(
            pointers.contains(&&json!(pointer)),
            "{field}: {}",
            answer.body
        );
        assert!(
            answer.head.contains("application/problem+json"),
            "{}",
            answer.head
        );
    }
    let answer = post(
        http,
        "",
        &json!({ "from": "a@shop.test", "to": [{ "name": "x" }] }),
    );
    assert_eq!(answer.unwrap().body["errors"][0]["pointer"], "#/to/0");
}

/// Nothing that HTTP can be made to say ends the server or hides a request in another.
#[test]
fn hostile_http_is_refused() {
    let (setup, http, next) = setup("[inject]\nbody_bytes_max = \"64 KiB\"\n");
    let sink = Sink::start(next);
    let _server = Server::start(setup);
    for (request, status) in hostile() {
        let mut connection = Connection::open(http).unwrap();
        connection.send(request.as_bytes()).unwrap();
        let line = String::from_utf8_lossy(&connection.line().unwrap()).into_owned();
        let start = request.get(..request.len().min(200)).unwrap_or_default();
        assert!(
            line.starts_with(&format!("HTTP/1.1 {status} ")),
            "{line} to {start:?}"
        );
    }
    assert_eq!(post(http, "", &letter(&recipients(1))).unwrap().status, 200);
    assert_eq!(sink.wait_for(1).len(), 1);
}

/// Requests, and how each is answered.
fn hostile() -> Vec<(String, u16)> {
    let auth = "Host: x\r\nAuthorization: Bearer rpt_test\r\nContent-Type: application/json\r\n";
    vec![
        (
            "GET /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            405,
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
            404,
        ),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/3.0\r\nHost: x\r\n\r\n".to_owned(), 505),
        ("\x16\x03\x01\x00\x01\x00\r\n\r\n".to_owned(), 400),
        (
            format!(
                "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
                "y".repeat(20_000)
            ),
            431,
        ),
        (
            format!(
                "POST /v1/messages HTTP/1.1\r\n{auth}Content-Length: 5\r\n\
                Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            400,
        ),
        (
            format!("POST /v1/messages HTTP/1.1\r\n{auth}Transfer-Encoding: gzip\r\n\r\n"),
            501,
        ),
        (
            format!("POST /v1/messages HTTP/1.1\r\n{auth}Content-Length: 99999999\r\n\r\n"),
            413,
        ),
        (
            format!(
                "POST /v1/messages HTTP/1.1\r\n{auth}Transfer-Encoding: chunked\r\n\r\n\
                fffffff\r\n"
            ),
            413,
        ),
        (
            format!("POST /v1/messages HTTP/1.1\r\n{auth}Transfer-Encoding: chunked\r\n\r\n5\nx"),
            400,
        ),
        (
            "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\
                Content-Length: 0\r\nConnection: close\r\n\r\n"
                .to_owned(),
            415,
        ),
        (
            format!(
                "POST /v1/messages HTTP/1.1\r\n{auth}Content-Length: 2\r\n\
                Connection: close\r\n\r\n{{\""
            ),
            400,
        ),
        (
            format!(
                "POST /v1/messages HTTP/1.1\r\n{auth}Content-Length: 40000\r\n\
                Connection: close\r\n\r\n{}",
                "[".repeat(40_000)
            ),
            422,
        ),
    ]
}

/// A kept connection carries requests one behind the other, chunked and with 100-continue.
#[test]
fn a_connection_is_kept() {
    let (setup, http, next) = setup("");
    let sink = Sink::start(next);
    let _server = Server::start(setup);
    let mut connection = Connection::open(http).unwrap();
    let head = "POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer rpt_test\r\n\
        Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
        Expect: 100-continue\r\n\r\n";
    for n in 0..3 {
        let body = letter(&[format!("k{n}@far.test")]).to_string();
        connection.send(head.as_bytes()).unwrap();
        let line = connection.line().unwrap();
        assert!(
            line.starts_with(b"HTTP/1.1 100 "),
            "{}",
            String::from_utf8_lossy(&line)
        );
        connection.line().unwrap();
        let (one, two) = body.split_at(body.len() / 2);
        for piece in [one, two, ""] {
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            connection.send(chunk.as_bytes()).unwrap();
        }
        let mut octets = 0;
        let status = connection.line().unwrap();
        assert!(
            status.starts_with(b"HTTP/1.1 200 "),
            "{}",
            String::from_utf8_lossy(&status)
        );
        loop {
            let line = String::from_utf8(connection.line().unwrap()).unwrap();
            if let Some(length) = line.strip_prefix("Content-Length: ") {
                octets = length.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        connection.exact(octets).unwrap();
    }
    assert_eq!(sink.wait_for(3).len(), 3);
}

/// The same key and the same request give the same answer, also after a kill; nobody gets it twice.
#[test]
fn a_key_is_carried_out_once() {
    let (setup, http, next) = setup("");
    let mut server = Server::start(setup);
    let body = letter(&recipients(40));
    let first = post(http, "order-1", &body).unwrap();
    assert_eq!(
        (first.status, &first.body["accepted"]),
        (200, &json!(40)),
        "{}",
        first.body
    );
    let again = post(http, "order-1", &body).unwrap();
    assert_eq!(again.body, first.body);
    assert!(
        again.head.contains("Idempotency-Replayed: true"),
        "{}",
        again.head
    );
    let other = post(http, "order-1", &letter(&recipients(2))).unwrap();
    assert_eq!(
        (other.status, &other.body["type"]),
        (422, &json!("urn:ringpost:problem:key-used"))
    );
    server.kill_and_restart();
    let later = post(http, "order-1", &body).unwrap();
    assert_eq!(later.body, first.body);
    let other = post(http, "order-1", &letter(&recipients(2))).unwrap();
    assert_eq!(other.status, 422);
    let sink = Sink::start(next);
    sink.wait_for(40);
    let mut got: BTreeMap<String, usize> = BTreeMap::new();
    for taken in sink.taken() {
        *got.entry(taken.to.join(",")).or_default() += 1;
    }
    assert_eq!(got.len(), 40);
    assert!(got.values().all(|count| *count == 1), "{got:?}");
}

/// Mail that waits for the file of events (`when_slow = "wait"`) is not answered for before it is
/// told of; its key is in use as long (409), and what was taken is there when that was cut off.
#[test]
fn a_key_in_flight_is_refused() {
    let (setup, http, next) = setup("");
    let events = "[events]\nfile = \"/dev/full\"\nwhen_slow = \"wait\"\n";
    let mut server = Server::start(setup.table(events));
    let body = letter(&recipients(3));
    let first = {
        let body = body.clone();
        std::thread::spawn(move || post(http, "order-1", &body))
    };
    server.wait_for_log("events cannot be written", 0);
    let second = post(http, "order-1", &body).unwrap();
    assert_eq!(
        (second.status, &second.body["type"]),
        (409, &json!("urn:ringpost:problem:under-way")),
        "{}",
        second.head
    );
    assert!(second.head.contains("Retry-After: 1"), "{}", second.head);
    let other = post(http, "order-1", &letter(&recipients(2))).unwrap();
    assert_eq!(other.status, 422, "another request is no repetition");
    server.kill();
    assert!(
        first.join().unwrap().is_none(),
        "it was answered before it was told of"
    );
    let text = server.setup.text().replace("/dev/full", "events.jsonl");
    std::fs::write(server.setup.config_file(), text).unwrap();
    server.try_restart().unwrap();
    let later = post(http, "order-1", &body).unwrap();
    assert_eq!((later.status, &later.body["accepted"]), (200, &json!(3)));
    let sink = Sink::start(next);
    let mut to: Vec<String> = sink
        .wait_for(3)
        .into_iter()
        .flat_map(|one| one.to)
        .collect();
    to.sort();
    assert_eq!(to, recipients(3));
}

/// Mail by HTTP to an address of ours that leads to other hosts goes there, as by SMTP.
#[test]
fn an_alias_to_other_hosts_is_followed() {
    let (setup, http, next) = setup("");
    let setup = setup.alias("team@example.test", &["carol@far.test", "bob@example.test"]);
    let server = Server::start(setup);
    let sink = Sink::start(next);
    let answer = post(http, "", &letter(&["team@example.test".to_owned()])).unwrap();
    assert_eq!((answer.status, &answer.body["accepted"]), (200, &json!(1)));
    let taken = sink.wait_for(1).remove(0);
    assert_eq!(taken.to, ["carol@far.test"]);
    assert!(
        taken.text.contains("Dear team@example.test"),
        "{}",
        taken.text
    );
    assert!(
        taken.text.contains("Delivered-To: team@example.test"),
        "{}",
        taken.text
    );
    assert!(server.inbox("bob@example.test", 1)[0].contains("Dear team@example.test"));
}

/// Killed in the middle of requests again and again, and asked again with the same key: each
/// recipient has exactly one message in the queue.
#[test]
fn kills_and_retries_send_exactly_once() {
    const RECIPIENTS: usize = 400;
    let (setup, http, next) = setup("");
    let mut server = Server::start(setup.top("shards = 2"));
    let body = letter(&recipients(RECIPIENTS));
    let mut answers = Vec::new();
    for round in 0..4 {
        let key = format!("round-{round}");
        let (asked, sent) = (key.clone(), body.clone());
        let asking = std::thread::spawn(move || post(http, &asked, &sent));
        // Killed as soon as the first of its messages is in custody, or soon after.
        if round > 0 {
            server.kill();
            server.restart();
        }
        let cut = asking.join().unwrap();
        let whole = post(http, &key, &body).unwrap();
        assert_eq!(
            (whole.status, &whole.body["accepted"]),
            (200, &json!(RECIPIENTS))
        );
        if let Some(cut) = cut.filter(|cut| cut.status == 200) {
            assert_eq!(cut.body, whole.body);
        }
        server.kill();
        server.restart();
        let again = post(http, &key, &body).unwrap();
        assert_eq!(again.body, whole.body, "round {round}");
        answers.push(whole.body);
    }
    let sink = Sink::start(next);
    sink.wait_for(RECIPIENTS * 4);
    let mut got: BTreeMap<String, usize> = BTreeMap::new();
    for taken in sink.taken() {
        let id = taken.text.split("Message-ID: <").nth(1).unwrap();
        *got.entry(id.split('@').next().unwrap().to_owned())
            .or_default() += 1;
    }
    assert_eq!(got.len(), RECIPIENTS * 4);
    assert!(got.values().all(|count| *count == 1));
    for answer in &answers {
        for recipient in answer["recipients"].as_array().unwrap() {
            let id = recipient["id"].as_str().unwrap();
            assert!(got.contains_key(id), "{id} was acknowledged and never sent");
        }
    }
}

/// A message that waits can be asked about, by whose it is; its campaign can be suspended.
#[test]
fn what_waits_can_be_asked_about() {
    let (setup, http, _) = setup("retry = \"1h\"\n");
    let server = Server::start(setup);
    let mut body = letter(&recipients(1));
    body["campaign"] = json!("spring");
    let answer = post(http, "", &body).unwrap();
    let id = answer.body["recipients"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let head = |auth: &str| {
        format!("GET /v1/messages/{id} HTTP/1.1\r\nHost: x\r\n{auth}Connection: close\r\n\r\n")
    };
    let token = "Authorization: Bearer rpt_test\r\n";
    let status = ask(http, &head(token), b"").unwrap();
    assert_eq!(status.status, 200, "{}", status.body);
    assert_eq!(status.body["waiting"][0]["email"], "r0@far.test");
    // It is not alice's mail.
    let login = format!("{ALICE}:{PASSWORD}");
    let basic = format!("Authorization: Basic {}\r\n", STANDARD.encode(login));
    assert_eq!(ask(http, &head(&basic), b"").unwrap().status, 404);
    let listed = ctl(&server, &["queue", "list", "--campaign", "spring"]);
    assert!(listed.contains("far.test"), "{listed}");
    let listed = ctl(&server, &["queue", "list", "--campaign", "autumn"]);
    assert!(!listed.contains("far.test"), "{listed}");
}

fn ctl(server: &Server, arguments: &[&str]) -> String {
    let output = Command::new(binary::ringpostctl())
        .arg("--data")
        .arg(server.setup.data())
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
