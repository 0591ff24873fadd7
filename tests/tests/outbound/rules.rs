//! What replies and reports bring about: rules, the suppression list, complaints that come as mail.

use super::{ALICE, setup_with_smarthost, submit};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output};
use tests::binary;
use tests::dns::DnsServer;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::sink::{Moment, Sink};
use tests::smtp::Smtp;

const BOB: &str = "bob@example.test";

/// A site that asks for peace gets it from all shards; the operator sees why, and can end it.
#[test]
fn a_rule_suspends_a_site() {
    let (setup, port) = setup_with_smarthost("");
    let setup = setup.table(
        "[[rule]]\nname = \"peace\"\nreply = 'leave us alone'\naction = \"suspend\"\n\
         for = \"1h\"\n",
    );
    let sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt("first@far.test", 0) => Some("450 4.7.1 Please leave us alone".to_owned()),
        _ => None,
    });
    let server = Server::start(setup);
    submit(&server, &["first@far.test"], "one");
    let said = server.wait_for_log("rule=peace", 0).1;
    assert!(said.contains("suspend the site for 1h"), "{said}");
    submit(&server, &["second@near.test"], "two");
    let listed = queue(&server, &["list", "--domain", "near.test"]);
    assert!(
        listed.contains("all mail at") && listed.contains("by rule peace"),
        "{listed}"
    );
    let top = queue(&server, &["top"]);
    assert!(top.contains("peace: all mail suspended"), "{top}");
    assert!(sink.taken().is_empty());
    assert_eq!(
        sum(&server, "ringpost_rule_acted_total{rule=\"peace\"}"),
        1.0
    );
    queue(&server, &["resume", "--site", &port.to_string()]);
    let mut to: Vec<String> = sink
        .wait_for(2)
        .into_iter()
        .flat_map(|one| one.to)
        .collect();
    to.sort();
    assert_eq!(to, ["first@far.test", "second@near.test"]);
}

/// What a rule ordered holds when the server is killed, until the operator takes it back.
#[test]
fn what_rules_ordered_outlives_a_kill() {
    let (setup, port) = setup_with_smarthost("");
    let setup = setup.table(
        "[[rule]]\nname = \"peace\"\nreply = 'leave us alone'\naction = \"suspend\"\n\
         for = \"1h\"\n",
    );
    let sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt("first@far.test", _) => Some("450 4.7.1 Leave us alone".to_owned()),
        _ => None,
    });
    let mut server = Server::start(setup);
    submit(&server, &["first@far.test"], "one");
    let (said, _) = server.wait_for_log("rule=peace", 0);
    server.wait_for_log("orders of rules kept", said);
    server.kill_and_restart();
    let top = queue(&server, &["top"]);
    assert!(top.contains("peace: all mail suspended"), "{top}");
    submit(&server, &["second@near.test"], "two");
    let listed = queue(&server, &["list", "--domain", "near.test"]);
    assert!(listed.contains("by rule peace"), "{listed}");
    assert!(sink.taken().is_empty());
    // Taken back is taken back for good.
    let position = server.log_position();
    queue(&server, &["resume", "--site", &port.to_string()]);
    sink.wait_for(1);
    server.wait_for_log("orders of rules kept", position);
    server.kill_and_restart();
    let top = queue(&server, &["top"]);
    assert!(!top.contains("peace"), "{top}");
}

/// What is for now can be for good, and the other way round.
#[test]
fn a_rule_bounces_and_another_keeps() {
    let (setup, port) = setup_with_smarthost("");
    let setup = setup.table(
        "[[rule]]\nname = \"never\"\nreply = '^450 .*gone for good'\naction = \"bounce\"\n\
         [[rule]]\nname = \"listed\"\nreply = '^554 .*listed'\naction = \"defer\"\n\
         delay = \"1s\"\n",
    );
    let sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt("gone@far.test", _) => Some("450 4.2.0 Gone for good".to_owned()),
        Moment::Rcpt("kept@far.test", 0) => Some("554 5.7.1 You are listed".to_owned()),
        _ => None,
    });
    let server = Server::start(setup);
    submit(&server, &["gone@far.test", "kept@far.test"], "both");
    assert_eq!(sink.wait_for(1)[0].to, ["kept@far.test"]);
    let inbox = server.inbox(ALICE, 1);
    assert!(inbox[0].contains("gone@far.test") && inbox[0].contains("Gone for good"));
    assert!(!inbox[0].contains("kept@far.test"), "{}", inbox[0]);
}

/// One tenant's mail waits at a site, others' does not.
#[test]
fn a_rule_suspends_one_tenant() {
    let (setup, port) = setup_with_smarthost("");
    let setup = setup.table(
        "[[rule]]\nname = \"noisy\"\nreply = 'too noisy'\naction = \"suspend\"\n\
         whose = \"tenant\"\nfor = \"1h\"\n",
    );
    let sink = Sink::with(port, |moment| match moment {
        Moment::Data(text, _) if text.contains("Subject: noise") => {
            Some("451 4.7.1 You are too noisy".to_owned())
        }
        _ => None,
    });
    let server = Server::start(setup);
    submit(&server, &["carol@far.test"], "noise");
    server.wait_for_log("rule=noisy", 0);
    submit(&server, &["carol@far.test"], "quiet");
    let mut smtp = Smtp::submit(server.addresses().submissions, BOB, PASSWORD).unwrap();
    smtp.deliver(BOB, &["dave@far.test"], b"Subject: of bob\r\n\r\nx\r\n")
        .unwrap()
        .expect(250)
        .unwrap();
    assert_eq!(sink.wait_for(1)[0].to, ["dave@far.test"]);
    let line = queue(&server, &["list", "--tenant", ALICE]);
    assert!(
        line.contains("carol") || line.contains("far.test"),
        "{line}"
    );
    assert_eq!(sink.taken().len(), 1);
}

/// A provider is known by its mail exchangers; what is shipped for it holds.
#[test]
fn a_shipped_rule_knows_its_provider() {
    let dns = DnsServer::start();
    dns.zone("mail.test 300 MX 10 aspmx.l.google.com\naspmx.l.google.com 300 A 127.0.0.2");
    let mut setup = Setup::usual().top("shards = 1");
    let port = setup.spare_port().port();
    let setup = setup.table(&format!(
        "[resolver]\nservers = \"{}\"\nloopback_hosts = true\nmx_port = {port}\n\
         mta_sts = false\ndnssec = \"off\"\n[[route]]\ndomains = \"*\"\nvia = \"mx\"\n\
         retry = \"1s\"\n",
        dns.address()
    ));
    let reply = "450 4.2.1 The user you are trying to contact is receiving mail at a rate that \
                 prevents additional messages from being delivered. - gsmtp";
    let address: SocketAddr = (Ipv4Addr::new(127, 0, 0, 2), port).into();
    let _sink = Sink::with(address, move |moment| match moment {
        Moment::Rcpt(..) => Some(reply.to_owned()),
        _ => None,
    });
    let server = Server::start(setup);
    submit(&server, &["carol@mail.test"], "rate");
    let said = server.wait_for_log("rule=google-recipient-rate", 0).1;
    assert!(said.contains("site=google"), "{said}");
    let deferred = server.wait_for_log("result=deferred", 0).1;
    assert!(deferred.contains("class=rate-limited"), "{deferred}");
    let listed = queue(&server, &["list", "--all"]);
    let is_late = ["in 59 min", "in 6", "in 7"]
        .iter()
        .any(|late| listed.contains(late));
    assert!(is_late && listed.contains("next attempt"), "{listed}");
    let shown = ctl(&server, &["rule", "test", reply, "--site", "google"]);
    assert!(shown.contains("google-recipient-rate (shipped)"), "{shown}");
    assert!(shown.contains("defer, next attempt after 1h"), "{shown}");
    let item = listed
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    assert!(queue(&server, &["show", item]).contains("class      rate-limited"));
    assert!(
        sum(
            &server,
            "ringpost_queue_refusals_total{shard=\"0\",class=\"rate-limited\"}"
        ) >= 1.0
    );
}

/// A wrong rule is named before anything starts.
#[test]
fn a_wrong_rule_is_named() {
    let (setup, _) = setup_with_smarthost("");
    let setup = setup.table(
        "[[rule]]\nname = \"x\"\nreply = 'a(b'\naction = \"defer\"\n\
         [[rule]]\nname = \"y\"\nreply = ''\naction = \"drop\"\n\
         [[rule]]\nname = \"z\"\nsite = \"gogle\"\nreply = 'q'\naction = \"switch\"\n\
         for = \"1m\"\npool = \"gone\"\n",
    );
    let (code, said) = Server::refused(&setup);
    assert_eq!(code, Some(2), "{said}");
    for wanted in ["reply: character 2", "z never holds", "there is no gone"] {
        assert!(said.contains(wanted), "{wanted} in\n{said}");
    }
}

/// Who is not there is asked once: the next mail is refused at once, after a kill too.
#[test]
fn a_hard_bounce_suppresses_its_recipient() {
    let (setup, port) = setup_with_smarthost("");
    let setup = setup.table("[suppression]\nhard_bounces = 1\n");
    let sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt("nobody@far.test", _) => Some("550 5.1.1 No such user here".to_owned()),
        _ => None,
    });
    let mut server = Server::start(setup);
    submit(&server, &["nobody@far.test"], "first");
    let said = server.wait_for_log("suppressed", 0).1;
    assert!(
        said.contains("why=bounce") && said.contains("No such user"),
        "{said}"
    );
    let ended = server.wait_for_log("how=failed", 0).1;
    assert!(ended.contains("class=bad-mailbox"), "{ended}");
    server.kill_and_restart();
    let refused = rcpt(&server, ALICE, "NoBody@far.test");
    assert!(
        refused.starts_with("550 5.7.1 Recipient is on the suppression list"),
        "{refused}"
    );
    assert!(
        rcpt(&server, BOB, "nobody@far.test").starts_with("250"),
        "it is alice's"
    );
    let arguments = ["suppress", "check", "nobody@far.test", "--tenant", ALICE];
    assert!(ctl(&server, &arguments).contains("bounce, since"));
    ctl(
        &server,
        &["suppress", "remove", "nobody@far.test", "--tenant", ALICE],
    );
    assert!(rcpt(&server, ALICE, "nobody@far.test").starts_with("250"));
    assert_eq!(sink.wait_for_rcpts(1), ["nobody@far.test"]);
}

/// The operator writes thousands at once, sees them, and takes them back.
#[test]
fn lists_are_taken_in_and_given_out() {
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::start(port);
    let server = Server::start(setup);
    let file = server.setup.directory.path().join("list.csv");
    let lines: String = (0..2_500)
        .map(|n| format!("u{n}@d{}.test\n", n % 7))
        .collect();
    std::fs::write(&file, lines).unwrap();
    let file = file.to_str().unwrap();
    let taken = ctl(&server, &["suppress", "import", file]);
    assert!(taken.starts_with("2500 "), "{taken}");
    let one = ctl(
        &server,
        &["suppress", "list", "--domain", "d3.test", "--most", "9999"],
    );
    assert_eq!(
        one.lines().count(),
        1 + (0..2_500).filter(|n| n % 7 == 3).count()
    );
    assert!(rcpt(&server, ALICE, "u17@d3.test").contains("the postmaster wrote it there"));
    assert!(rcpt(&server, ALICE, "other@d3.test").starts_with("250"));
    let out = ctl(&server, &["suppress", "export", "-"]);
    assert_eq!(out.lines().count(), 2_501);
    assert!(
        out.starts_with("address,tenant,reason,since,expires,text\n"),
        "{}",
        &out[..80]
    );
    ctl(&server, &["suppress", "remove", "u17@d3.test"]);
    submit(&server, &["u17@d3.test"], "again");
    assert_eq!(sink.wait_for(1)[0].to, ["u17@d3.test"]);
    let gone = try_ctl(&server, &["suppress", "check", "u17@d3.test"]);
    assert!(!gone.status.success());
    let wrong = try_ctl(&server, &["suppress", "add", "nobody"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("expected an address"));
}

/// Where submissions are taken all the same, the sender gets a notice and nobody is asked.
#[test]
fn a_suppressed_recipient_comes_back_as_a_notice() {
    let (setup, port) = setup_with_smarthost("");
    let setup = setup.table("[suppression]\nat_submission = \"accept\"\n");
    let sink = Sink::start(port);
    let server = Server::start(setup);
    ctl(
        &server,
        &["suppress", "add", "carol@far.test", "--text", "asked us to"],
    );
    submit(&server, &["carol@far.test", "dave@far.test"], "half");
    assert_eq!(sink.wait_for(1)[0].to, ["dave@far.test"]);
    let inbox = server.inbox(ALICE, 1);
    for wanted in [
        "carol@far.test",
        "suppression list",
        "Status: 5.7.1",
        "Action: failed",
    ] {
        assert!(inbox[0].contains(wanted), "{wanted} in\n{}", inbox[0]);
    }
    let ended = server.wait_for_log("how=failed", 0).1;
    assert!(ended.contains("class=suppressed"), "{ended}");
    assert_eq!(sink.wait_for_rcpts(1), ["dave@far.test"]);
}

/// A complaint ends mail to its recipient; it is delivered like any mail, and so is what only looks
/// like one.
#[test]
fn a_complaint_is_counted_and_delivered() {
    let (setup, port) = setup_with_smarthost("");
    let _sink = Sink::start(port);
    let setup = setup.alias("fbl@example.test", &[BOB]).table(
        "[[feedback]]\naddress = \"fbl@example.test\"\nprovider = \"yahoo\"\n\
             networks = [\"127.0.0.0/8\"]\n",
    );
    let server = Server::start(setup);
    send_in(
        &server,
        "fbl@example.test",
        &complaint("<alice@example.test>", "carol@far.test"),
    );
    let said = server.wait_for_log("provider=yahoo", 0).1;
    assert!(
        said.contains("provider=yahoo") && said.contains("campaign=spring"),
        "{said}"
    );
    server.wait_for_log("suppressed", 0);
    assert!(rcpt(&server, ALICE, "Carol@far.test").contains("its owner complained"));
    assert!(rcpt(&server, BOB, "carol@far.test").starts_with("250"));
    let by_tenant = "ringpost_complaints_by_tenant_total{tenant=\"alice@example.test\"}";
    assert_eq!(sum(&server, by_tenant), 1.0);

    send_in(
        &server,
        "fbl@example.test",
        "Subject: hello\r\n\r\nnot a report\r\n",
    );
    server.wait_for_log("report unread", 0);
    // Somebody who makes one up about mail that was never ours changes nothing.
    send_in(
        &server,
        "fbl@example.test",
        &complaint("<x@other.test>", "dave@far.test"),
    );
    let inbox = server.inbox(BOB, 3).join("\n");
    for wanted in ["Feedback-Type: abuse", "not a report", "dave@far.test"] {
        assert!(inbox.contains(wanted), "{wanted} in\n{inbox}");
    }
    assert!(rcpt(&server, ALICE, "dave@far.test").starts_with("250"));
}

/// A host behind the one that took it says no by mail: the detail of our address says of whom.
#[test]
fn a_bounce_by_mail_suppresses_too() {
    let (setup, port) = setup_with_smarthost("");
    let _sink = Sink::start(port);
    let setup = setup
        .alias("bounces@example.test", &[ALICE])
        .table(&format!(
            "[[feedback]]\naddress = \"bounces@example.test\"\ntoken = \"{TOKEN}\"\n"
        ))
        .table("[suppression]\nhard_bounces = 2\n");
    let server = Server::start(setup);
    // Anybody can write this; only who knows the address is believed.
    send_in(&server, "bounces+carol=far.test@example.test", BOUNCE);
    server.wait_for_log("report doubted", 0);
    assert_eq!(
        sum(&server, "ringpost_reports_doubted_total{shard=\"0\"}")
            + sum(&server, "ringpost_reports_doubted_total{shard=\"1\"}"),
        1.0
    );
    let to = &format!("bounces+{TOKEN}+carol=far.test@example.test");
    send_in(&server, to, BOUNCE);
    let said = server.wait_for_log("bounce by mail", 0).1;
    assert!(said.contains("class=bad-mailbox"), "{said}");
    server.inbox(ALICE, 2);
    assert!(
        rcpt(&server, ALICE, "carol@far.test").starts_with("250"),
        "once is not twice, and what is doubted counts for nothing"
    );
    send_in(&server, to, BOUNCE);
    server.wait_for_log("suppressed", 0);
    assert!(rcpt(&server, ALICE, "carol@far.test").starts_with("550"));
    let watched = ctl(&server, &["--json", "suppress", "list"]);
    assert!(
        watched.contains("\"bounce\"") && watched.contains("carol@far.test"),
        "{watched}"
    );
}

fn complaint(sender: &str, recipient: &str) -> String {
    format!(
        "From: fbl@provider.test\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=x\r\n\r\n\
         --x\r\n\r\nA complaint.\r\n--x\r\nContent-Type: message/feedback-report\r\n\r\n\
         Feedback-Type: abuse\r\nUser-Agent: Loop/1\r\nVersion: 1\r\n\
         Original-Mail-From: {sender}\r\nOriginal-Rcpt-To: <{recipient}>\r\n\r\n\
         --x\r\nContent-Type: message/rfc822\r\n\r\nSubject: buy\r\nX-Campaign: spring\r\n\
         \r\nbuy\r\n--x--\r\n"
    )
}

/// What only those know whose reports are believed.
const TOKEN: &str = "5f2c8e01d7a94b36";

const BOUNCE: &str = "From: <>\r\nMIME-Version: 1.0\r\n\
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
Reporting-MTA: dns; mx.far.test\r\n\r\nFinal-Recipient: rfc822; c@inside.test\r\n\
Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\n\r\n--b--\r\n";

/// What the server says to RCPT of somebody who has logged in.
fn rcpt(server: &Server, login: &str, to: &str) -> String {
    let mut smtp = Smtp::submit(server.addresses().submissions, login, PASSWORD).unwrap();
    let mail = format!("MAIL FROM:<{login}>");
    smtp.command(&mail).unwrap().expect(250).unwrap();
    let reply = smtp.command(&format!("RCPT TO:<{to}>")).unwrap();
    format!("{} {}", reply.code, reply.lines.join(" "))
}

/// Mail from outside for an address of ours.
fn send_in(server: &Server, to: &str, message: &str) {
    let mut smtp = server.smtp();
    let reply = smtp.deliver("", &[to], message.as_bytes()).unwrap();
    reply.expect(250).unwrap();
}

fn sum(server: &Server, series: &str) -> f64 {
    server.metrics().get(series).copied().unwrap_or_default()
}

fn queue(server: &Server, arguments: &[&str]) -> String {
    ctl(server, &[&["queue"], arguments].concat())
}

fn ctl(server: &Server, arguments: &[&str]) -> String {
    let output = try_ctl(server, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complained}{said}");
    said
}

fn try_ctl(server: &Server, arguments: &[&str]) -> Output {
    Command::new(binary::ringpostctl())
        .arg("--data")
        .arg(server.setup.data())
        .args(arguments)
        .output()
        .unwrap()
}
