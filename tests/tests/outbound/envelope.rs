//! What a sender asks of the way is kept: when, by when, how private, who is told; and what a next
//! host cannot take is made so that it can, or comes back in words.

use super::peers::postfix_lines;
use super::{ALICE, setup_with_smarthost, submit, text};
use std::process::Command;
use tests::binary;
use tests::certificate::showing_client;
use tests::connection::Connection;
use tests::postfix::Postfix;
use tests::raised::Raised;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::sink::{Moment, Sink};
use tests::smtp::{Reply, Smtp};

const BOB: &str = "bob@example.test";

/// A server and a sink that offers these keywords.
fn world(keywords: &[&str]) -> (Server, Sink) {
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::offering(port, keywords, |_| None);
    (Server::start(setup), sink)
}

/// Alice sends with parameters; the reply to the end of data, or the first that is not good.
fn send(server: &Server, mail: &str, rcpts: &[&str], message: &[u8]) -> Reply {
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    let mut said = smtp
        .command(&format!("MAIL FROM:<{ALICE}> {mail}"))
        .unwrap();
    for rcpt in rcpts {
        if said.code != 250 {
            return said;
        }
        said = smtp.command(&format!("RCPT TO:{rcpt}")).unwrap();
    }
    match said.code {
        250 => smtp.data(message).unwrap(),
        _ => said,
    }
}

fn has_all(text: &str, wanted: &[&str]) {
    for word in wanted {
        assert!(text.contains(word), "{word} in\n{text}");
    }
}

/// Held mail waits here and elsewhere alike, says until when, and then arrives once.
#[test]
fn held_mail_is_released_in_its_time() {
    let (server, sink) = world(&["PIPELINING"]);
    let mut smtp = Smtp::connect_tls(server.addresses().submissions).unwrap();
    let offer = smtp.command("EHLO client.test").unwrap();
    assert!(offer.has("FUTURERELEASE 2592000 20"), "{offer}");
    let to = ["<carol@far.test>", &format!("<{BOB}>")];
    send(&server, "HOLDFOR=2592001", &to, &text("too long"))
        .expect(501)
        .unwrap();
    send(
        &server,
        "HOLDUNTIL=2199-01-01T00:00:00Z",
        &to,
        &text("too late"),
    )
    .expect(501)
    .unwrap();
    send(&server, "HOLDFOR=4", &to, &text("held"))
        .expect(250)
        .unwrap();
    let why = queue(&server, &["list", "--all"]);
    has_all(
        &why,
        &[
            "far.test",
            "example.test",
            "for the time that its sender wants",
        ],
    );
    assert!(sink.taken().is_empty(), "it was sent too early");
    submit(&server, &["dave@far.test"], "not held");
    assert_eq!(sink.wait_for(1)[0].to, ["dave@far.test"]);
    assert_eq!(sink.wait_for(2)[1].to, ["carol@far.test"]);
    let inbox = server.inbox(BOB, 1);
    has_all(
        &inbox[0],
        &[
            "Subject: held",
            "Delivered-To: bob@example.test",
            "Return-Path: <alice@",
        ],
    );
    server.wait_for_log("released", 0);
    let left = queue(&server, &["list", "--all"]);
    assert_eq!(left.lines().count(), 1, "{left}");
}

/// A message held for bob outlives a kill.
#[test]
fn held_mail_outlives_a_kill() {
    let (setup, _) = setup_with_smarthost("");
    let mut server = Server::start(setup.top("shards = 1"));
    let to = format!("<{BOB}> NOTIFY=SUCCESS");
    send(&server, "HOLDFOR=3 ENVID=kept", &[&to], &text("kept"))
        .expect(250)
        .unwrap();
    server.kill_and_restart();
    has_all(&server.inbox(BOB, 1)[0], &["Subject: kept"]);
    has_all(
        &server.inbox(ALICE, 1)[0],
        &["Action: delivered", "Original-Envelope-Id: kept"],
    );
}

/// What must be there in time goes to hosts that promise it, with the time that is left; others
/// send it back at once.
#[test]
fn deliver_by_goes_with_the_mail_or_brings_it_back() {
    let (server, sink) = world(&["PIPELINING", "DELIVERBY 10", "DSN"]);
    send(&server, "BY=500;RT", &["<carol@far.test>"], &text("soon"))
        .expect(250)
        .unwrap();
    let mail = &sink.wait_for(1)[0].mail;
    let left = mail.split("BY=").nth(1).unwrap();
    let (secs, mode) = left.split_once(';').unwrap();
    assert!(
        secs.parse::<u32>().unwrap() <= 500 && mode == "RT",
        "{mail}"
    );
    has_all(
        &server.inbox(ALICE, 1)[0],
        &["Action: relayed", "Deliver-By-Date: ", "carol@far.test"],
    );
    send(&server, "BY=5;R", &["<dave@far.test>"], &text("too soon"))
        .expect(250)
        .unwrap();
    has_all(
        &server.inbox(ALICE, 2)[1],
        &["Action: failed", "Status: 5.4.7", "more time than is left"],
    );

    let (server, sink) = world(&["PIPELINING"]);
    send(&server, "BY=500;R", &["<carol@far.test>"], &text("refused"))
        .expect(250)
        .unwrap();
    send(
        &server,
        "BY=500;N",
        &["<dave@far.test>"],
        &text("passed on"),
    )
    .expect(250)
    .unwrap();
    let inbox = server.inbox(ALICE, 2).join("\n");
    has_all(
        &inbox,
        &["Status: 5.4.7", "does not promise", "Action: relayed"],
    );
    assert_eq!(sink.wait_for(1)[0].to, ["dave@far.test"]);
    assert!(!sink.taken()[0].mail.contains("BY="));
}

/// When the time is over, R gives up and N tells.
#[test]
fn when_the_time_is_over_the_sender_hears() {
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::offering(port, &["DELIVERBY"], |moment| match moment {
        Moment::Rcpt("late@far.test", 0..4) => Some("451 4.7.1 Not yet".to_owned()),
        Moment::Rcpt("never@far.test", _) => Some("451 4.7.1 Never".to_owned()),
        _ => None,
    });
    let server = Server::start(setup.top("shards = 1"));
    send(&server, "BY=2;N", &["<late@far.test>"], &text("told"))
        .expect(250)
        .unwrap();
    let told = server.inbox(ALICE, 1).remove(0);
    has_all(
        &told,
        &["Action: delayed", "Status: 4.4.7", "late@far.test"],
    );
    assert_eq!(sink.wait_for(1)[0].to, ["late@far.test"]);
    send(&server, "BY=2;R", &["<never@far.test>"], &text("over"))
        .expect(250)
        .unwrap();
    let over = server.inbox(ALICE, 2).remove(1);
    has_all(
        &over,
        &["Action: failed", "Status: 5.4.7", "never@far.test", "Never"],
    );
}

/// REQUIRETLS never goes in clear: it comes back, and without what the message said.
#[test]
fn requiretls_comes_back_rather_than_go_in_clear() {
    let (server, sink) = world(&["PIPELINING", "REQUIRETLS"]);
    let asked = "REQUIRETLS RET=FULL";
    send(&server, asked, &["<carol@far.test>"], &text("secret"))
        .expect(250)
        .unwrap();
    let inbox = server.inbox(ALICE, 1);
    has_all(
        &inbox[0],
        &["Status: 5.7.10", "carol@far.test", "verified TLS"],
    );
    assert!(!inbox[0].contains("and secret"), "{}", inbox[0]);
    submit(&server, &["dave@far.test"], "open");
    assert_eq!(
        sink.wait_for(1)[0].to,
        ["dave@far.test"],
        "others are not held up"
    );
}

/// Who asks to be told of success is told: by us where it ends here or where nobody else will.
#[test]
fn success_is_told_by_whoever_knows() {
    let (server, sink) = world(&["PIPELINING"]);
    let to = [
        "<bob@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2B@example.test",
        "<carol@far.test> NOTIFY=SUCCESS",
        "<dave@far.test> NOTIFY=NEVER",
    ];
    send(&server, "ENVID=e+2B1 RET=HDRS", &to, &text("told"))
        .expect(250)
        .unwrap();
    assert_eq!(sink.wait_for(1)[0].rcpts[0], "RCPT TO:<carol@far.test>");
    let inbox = server.inbox(ALICE, 2).join("\n");
    has_all(
        &inbox,
        &[
            "Original-Envelope-Id: e+1",
            "Original-Recipient: rfc822;Bob+@example.test",
            "Action: delivered",
            "Action: relayed",
            "Subject: told",
            "Subject: Your message was delivered",
        ],
    );
    assert!(
        !inbox.contains("dave@far.test") && !inbox.contains("and told"),
        "{inbox}"
    );

    let (server, sink) = world(&["DSN"]);
    send(&server, "ENVID=e+2B1 RET=HDRS", &to, &text("told"))
        .expect(250)
        .unwrap();
    let taken = sink.wait_for(1).remove(0);
    has_all(&taken.mail, &[" RET=HDRS", " ENVID=e+2B1"]);
    has_all(&taken.rcpts[0], &["NOTIFY=SUCCESS"]);
    has_all(&taken.rcpts[1], &["NOTIFY=NEVER"]);
    let only = server.inbox(ALICE, 1).remove(0);
    has_all(&only, &["Action: delivered", "bob@example.test"]);
}

const EIGHT_BITS: &str = "From: alice@example.test\r\nSubject: umlauts\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
    Gr\u{fc}\u{df}e from a body that is longer than its umlauts\r\n";

/// Eight bits become seven where the next host knows no others, and stay where it does.
#[test]
fn eight_bits_are_made_seven_where_they_must() {
    let (server, sink) = world(&["PIPELINING"]);
    let to = ["<carol@far.test>"];
    send(&server, "BODY=8BITMIME", &to, EIGHT_BITS.as_bytes())
        .expect(250)
        .unwrap();
    let taken = sink.wait_for(1).remove(0);
    has_all(
        &taken.text,
        &[
            "Content-Transfer-Encoding: quoted-printable",
            "Gr=C3=BC=C3=9Fe from",
        ],
    );
    assert!(
        taken.text.is_ascii() && !taken.mail.contains("BODY="),
        "{taken:?}"
    );

    let (server, sink) = world(&["8BITMIME"]);
    send(&server, "BODY=8BITMIME", &to, EIGHT_BITS.as_bytes())
        .expect(250)
        .unwrap();
    let taken = sink.wait_for(1).remove(0);
    has_all(&taken.text, &["8bit\r\n\r\nGr\u{fc}\u{df}e"]);
    has_all(&taken.mail, &["BODY=8BITMIME"]);
}

/// What has no other form comes back with its reason: signed parts, addresses and headers outside
/// ASCII, messages that are too large.
#[test]
fn what_cannot_be_made_fit_comes_back() {
    let (server, sink) = world(&["PIPELINING", "SIZE 2000"]);
    let signed = "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\u{e4}\r\n\
        --b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n";
    let to = ["<carol@far.test>"];
    send(&server, "BODY=8BITMIME", &to, signed.as_bytes())
        .expect(250)
        .unwrap();
    has_all(&server.inbox(ALICE, 1)[0], &["Status: 5.6.3"]);
    let foreign = "Subject: \u{fc}\r\n\r\nx\r\n";
    send(&server, "SMTPUTF8", &to, foreign.as_bytes())
        .expect(250)
        .unwrap();
    has_all(&server.inbox(ALICE, 2)[1], &["Status: 5.6.7"]);
    let large = format!("Subject: large\r\n\r\n{}", "a line\r\n".repeat(300));
    send(&server, "", &to, large.as_bytes())
        .expect(250)
        .unwrap();
    has_all(
        &server.inbox(ALICE, 3)[2],
        &["Status: 5.3.4", "too large for the other mail system"],
    );
    assert!(sink.taken().is_empty());
    send(&server, "SMTPUTF8", &to, &text("plain"))
        .expect(250)
        .unwrap();
    let taken = sink.wait_for(1).remove(0);
    assert!(
        !taken.mail.contains("SMTPUTF8"),
        "it is ASCII all through: {}",
        taken.mail
    );
}

/// A host whose certificate is known may send elsewhere; one that is not hears why it may not.
#[test]
fn a_certificate_lets_mail_pass() {
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::start(port);
    let (client, fingerprint) = showing_client();
    let table = format!("[relay]\ncertificates = [\"{fingerprint}\"]");
    let server = Server::start(setup.table(&table));
    let relayed = |client| {
        let mut connection = Connection::open(server.addresses().smtp).unwrap();
        connection.line().unwrap();
        let mut smtp = Smtp { connection };
        smtp.command("EHLO client.test")
            .unwrap()
            .expect(250)
            .unwrap();
        smtp.command("STARTTLS").unwrap().expect(220).unwrap();
        smtp.connection.start_tls_as("localhost", client).unwrap();
        smtp.command("EHLO client.test")
            .unwrap()
            .expect(250)
            .unwrap();
        smtp.command("MAIL FROM:<x@partner.test>")
            .unwrap()
            .expect(250)
            .unwrap();
        let said = smtp.command("RCPT TO:<carol@far.test>").unwrap();
        if said.code == 250 {
            smtp.data(&text("by certificate"))
                .unwrap()
                .expect(250)
                .unwrap();
        }
        said
    };
    relayed(client).expect(250).unwrap();
    assert_eq!(sink.wait_for(1)[0].from, "x@partner.test");
    server.wait_for_log("known=true", 0);
    let unknown = relayed(showing_client().0).expect(550).unwrap();
    assert!(
        unknown.has("5.7.1 Relaying denied: your certificate"),
        "{unknown}"
    );
    let nothing = relayed(tests::certificate::trusting_client())
        .expect(550)
        .unwrap();
    assert!(nothing.has("5.7.1 Relaying denied: log in"), "{nothing}");
    server.deliver(&[BOB], &text("to us, from whomever"));
    has_all(&server.inbox(BOB, 1)[0], &["to us, from whomever"]);
}

/// Postfix understands what we pass on to it, DSN and all, and tells us of success itself.
#[test]
fn postfix_takes_every_parameter() {
    let (setup, port) = setup_with_smarthost("");
    let folder = tempfile::tempdir().unwrap();
    let back = format!(
        "{}\nrelayhost = [127.0.0.1]:{}",
        postfix_lines(&setup),
        setup.addresses.smtp.port()
    );
    let Some(postfix) = Postfix::start(folder.path(), port.port(), "far.test", &back) else {
        return;
    };
    let server = Server::start(setup);
    let to = ["<carol@far.test> NOTIFY=SUCCESS ORCPT=rfc822;carol@far.test"];
    let asked = "BODY=8BITMIME SIZE=400 ENVID=e1 RET=HDRS MT-PRIORITY=3";
    send(&server, asked, &to, EIGHT_BITS.as_bytes())
        .expect(250)
        .unwrap();
    server.wait_for_log("result=delivered", 0);
    let inbox = server.inbox(ALICE, 1);
    has_all(
        &inbox[0],
        &[
            "Reporting-MTA: dns; peer.example.test",
            "Original-Envelope-Id: e1",
        ],
    );
    assert!(!postfix.log().contains("syntax error"), "{}", postfix.log());
}

/// Exim and OpenSMTPD take what we send to them, whatever they offer, and our refusals are theirs.
#[test]
fn exim_and_opensmtpd_take_what_they_are_sent() {
    for name in ["exim", "opensmtpd"] {
        let scratch = tempfile::tempdir_in("/var/tmp").unwrap();
        let Some(peer) = Raised::up(name, scratch.path()) else {
            continue;
        };
        let route = format!(
            "[[route]]\ndomains = \"*\"\nvia = \"relay\"\nhost = \"{}\"\nretry = \"1s\"",
            peer.smtp
        );
        let setup = Setup::empty()
            .domain("own.test")
            .account("alice@own.test", PASSWORD);
        let server = Server::start(setup.table(&route));
        let mut smtp =
            Smtp::submit(server.addresses().submissions, "alice@own.test", PASSWORD).unwrap();
        let mail = "MAIL FROM:<alice@own.test> BODY=8BITMIME SIZE=500 RET=HDRS ENVID=x1";
        smtp.command(mail).unwrap().expect(250).unwrap();
        for to in ["<user0@example.test> NOTIFY=SUCCESS", "<a@elsewhere.test>"] {
            smtp.command(&format!("RCPT TO:{to}"))
                .unwrap()
                .expect(250)
                .unwrap();
        }
        smtp.data(EIGHT_BITS.as_bytes())
            .unwrap()
            .expect(250)
            .unwrap();
        server.wait_for_log("how=delivered", 0);
        server.wait_for_log("how=failed", 0);
        let refused = server.inbox("alice@own.test", 1).join("\n");
        has_all(&refused, &["Original-Envelope-Id: x1"]);
        let end = std::time::Instant::now() + tests::connection::DEADLINE;
        let delivered = loop {
            let delivered = peer.delivered();
            if !delivered.is_empty() {
                break delivered.join("\n");
            }
            assert!(std::time::Instant::now() < end, "{name} delivered nothing");
            std::thread::yield_now();
        };
        assert!(
            delivered.contains("Subject: umlauts"),
            "{name}: {delivered}"
        );
    }
}

fn queue(server: &Server, arguments: &[&str]) -> String {
    let output = Command::new(binary::ringpostctl())
        .arg("--data")
        .arg(server.setup.data())
        .arg("queue")
        .args(arguments)
        .output()
        .unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complained}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
