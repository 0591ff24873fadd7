//! Aliases of ours with members at other hosts: one custody for all, the right reverse-path, no
//! loops, and notices to whom they belong.

use super::{ALICE, arrives, rcpt, relay, submit, text, usual};
use tests::server::Server;
use tests::setup::PASSWORD;
use tests::sink::{Moment, Sink};
use tests::smtp::Smtp;

const BOB: &str = "bob@example.test";

fn alias(from: &str, to: &[&str], more: &str) -> String {
    format!("[[alias]]\nfrom = \"{from}\"\nto = {to:?}\n{more}\n")
}

/// One message for an alias lies in the mailbox here and goes out to the others, through nested
/// aliases, once each; nobody needs a login to write to an alias.
#[test]
fn an_alias_reaches_here_and_there() {
    let mut setup = usual();
    let sink = Sink::start(setup.spare_port());
    let tables = [
        relay("*", sink.address, ""),
        alias(
            "sales@example.test",
            &[BOB, "team@example.test", "carol@far.test"],
            "",
        ),
        alias(
            "team@example.test",
            &["carol@far.test", "dave@near.test"],
            "",
        ),
    ];
    let server = Server::start(setup.table(&tables.concat()));
    let taken = arrives(
        &server,
        "x@remote.test",
        "sales@example.test",
        &text("offer"),
    );
    taken.expect(250).unwrap();
    let mut to: Vec<String> = Vec::new();
    for at in 1.. {
        let taken = sink.wait_for(at);
        to.extend(taken[at - 1].to.clone());
        let text = &taken[at - 1].text;
        assert!(
            text.starts_with("Delivered-To: sales@example.test\r\nReceived: "),
            "{text}"
        );
        assert_eq!(
            taken[at - 1].from,
            "x@remote.test",
            "the reverse-path is kept"
        );
        if to.len() >= 2 {
            break;
        }
    }
    to.sort();
    assert_eq!(to, ["carol@far.test", "dave@near.test"]);
    let inbox = server.inbox(BOB, 1);
    assert!(
        inbox[0].starts_with("Return-Path: <x@remote.test>\r\n"),
        "{}",
        inbox[0]
    );
}

/// A message that was there before is a loop, not the next round.
#[test]
fn what_comes_round_is_refused() {
    let mut setup = usual();
    let sink = Sink::start(setup.spare_port());
    let tables = [
        relay("*", sink.address, ""),
        alias("sales@example.test", &["carol@far.test"], ""),
    ];
    let server = Server::start(setup.table(&tables.concat()));
    let first = arrives(
        &server,
        "x@remote.test",
        "sales@example.test",
        &text("round"),
    );
    first.expect(250).unwrap();
    let sent = sink.wait_for(1)[0].text.clone();
    let again = arrives(
        &server,
        "x@remote.test",
        "sales@example.test",
        sent.as_bytes(),
    );
    assert!(again.code == 554 && again.has("5.4.6"), "{again}");
}

/// A list is its owner's: who hears of members out of reach is he, not the sender; so is the
/// Return-Path of members here. A bounce that comes to the list keeps its null path.
#[test]
fn a_list_sends_in_the_name_of_its_owner() {
    let mut setup = usual();
    let sink = Sink::with(setup.spare_port(), |moment| match moment {
        Moment::Rcpt("gone@far.test", _) => Some("550 5.1.1 No such user".to_owned()),
        _ => None,
    });
    let tables = [
        relay("*", sink.address, ""),
        alias(
            "list@example.test",
            &[ALICE, "gone@far.test", "carol@far.test"],
            &format!("owner = \"{BOB}\""),
        ),
    ];
    let server = Server::start(setup.table(&tables.concat()));
    arrives(&server, "x@remote.test", "list@example.test", &text("news"))
        .expect(250)
        .unwrap();
    let taken = sink.wait_for(1);
    assert_eq!(
        (taken[0].from.as_str(), taken[0].to[0].as_str()),
        (BOB, "carol@far.test")
    );
    assert!(!taken[0].text.contains("Return-Path"), "{}", taken[0].text);
    let alice = server.inbox(ALICE, 1);
    assert!(
        alice[0].starts_with("Return-Path: <bob@example.test>\r\n"),
        "{}",
        alice[0]
    );
    let bob = server.inbox(BOB, 1);
    assert!(
        bob[0].contains("Action: failed") && bob[0].contains("gone@far.test"),
        "{}",
        bob[0]
    );
    arrives(&server, "", "list@example.test", &text("bounce"))
        .expect(250)
        .unwrap();
    assert_eq!(sink.wait_for(2)[1].from, "");
}

/// What the sender asked of notices (RFC 3461 §5.2.7): of an alias of one it goes on, of several
/// success is told as "expanded", of a list as "delivered".
#[test]
fn success_is_told_once_for_an_alias() {
    let mut setup = usual();
    let sink = Sink::start(setup.spare_port());
    let tables = [
        relay("*", sink.address, ""),
        alias("one@example.test", &["carol@far.test"], ""),
        alias(
            "several@example.test",
            &["carol@far.test", "dave@far.test"],
            "",
        ),
        alias(
            "list@example.test",
            &["carol@far.test", "dave@far.test"],
            &format!("owner = \"{BOB}\""),
        ),
    ];
    let server = Server::start(setup.table(&tables.concat()));
    let kinds = [
        ("one@example.test", "Action: relayed", "carol@far.test"),
        (
            "several@example.test",
            "Action: expanded",
            "several@example.test",
        ),
        (
            "list@example.test",
            "Action: delivered",
            "list@example.test",
        ),
    ];
    for (count, (to, action, of)) in (1..).zip(kinds) {
        let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
        let mail = format!("MAIL FROM:<{ALICE}> ENVID=e1");
        smtp.command(&mail).unwrap().expect(250).unwrap();
        let asked = format!("RCPT TO:<{to}> NOTIFY=SUCCESS,FAILURE");
        smtp.command(&asked).unwrap().expect(250).unwrap();
        smtp.data(&text("asked")).unwrap().expect(250).unwrap();
        let told = server.inbox(ALICE, count);
        let told = told.last().unwrap();
        let lines: Vec<&str> = told
            .lines()
            .filter(|line| line.contains("ecipient:"))
            .collect();
        assert!(
            told.contains(action) && told.contains("e1"),
            "{to}:\n{told}"
        );
        let last = lines
            .iter()
            .find(|line| line.starts_with("Final-Recipient"));
        assert!(
            last.is_some_and(|line| line.contains(of)),
            "{to}: {lines:?}"
        );
        if to == "one@example.test" {
            let first = lines
                .iter()
                .find(|line| line.starts_with("Original-Recipient"));
            assert!(first.is_some_and(|line| line.contains(to)), "{lines:?}");
        }
    }
}

/// With SRS the reverse-path of what is sent on is ours, and a bounce of it finds its way back to
/// the sender through us; one that we have not made is nobody.
#[test]
fn a_bounce_of_forwarded_mail_comes_back_to_the_sender() {
    let mut setup = usual();
    let sink = Sink::with(setup.spare_port(), |moment| match moment {
        Moment::Rcpt("nobody@far.test", _) => Some("550 5.1.1 No such user".to_owned()),
        _ => None,
    });
    let tables = [
        relay("*", sink.address, ""),
        alias("sales@example.test", &["carol@far.test"], ""),
        alias("gone@example.test", &["nobody@far.test"], ""),
        "[forward]\nsrs = \"example.test\"\nsecrets = [\"0123456789abcdef\"]\n".to_owned(),
    ];
    let server = Server::start(setup.table(&tables.concat()));
    arrives(
        &server,
        "Xaver@remote.test",
        "sales@example.test",
        &text("on"),
    )
    .expect(250)
    .unwrap();
    let from = sink.wait_for(1)[0].from.clone();
    assert!(
        from.starts_with("SRS0=") && from.ends_with("=remote.test=Xaver@example.test"),
        "{from}"
    );
    arrives(&server, "", &from, &text("bounce"))
        .expect(250)
        .unwrap();
    let back = &sink.wait_for(2)[1];
    assert_eq!(
        (back.from.as_str(), back.to[0].as_str()),
        ("", "Xaver@remote.test")
    );

    let mut smtp = server.smtp();
    smtp.command("MAIL FROM:<>").unwrap().expect(250).unwrap();
    let forged = from.replace("=remote.test=", "=victim.test=");
    let refused = rcpt(&mut smtp, &forged);
    assert!(refused.code == 550 && refused.has("5.1.1"), "{refused}");

    // What we ourselves have to say goes to the sender, not to the name that he bears outside.
    arrives(
        &server,
        "alice@remote.test",
        "gone@example.test",
        &text("in vain"),
    )
    .expect(250)
    .unwrap();
    let told = sink.wait_for(3)[2].clone();
    assert_eq!(
        (told.from.as_str(), told.to[0].as_str()),
        ("", "alice@remote.test")
    );
    assert!(told.text.contains("nobody@far.test"), "{}", told.text);

    submit(&server, &["sales@example.test"], "ours");
    assert_eq!(
        sink.wait_for(4)[3].from,
        ALICE,
        "our own senders need no SRS"
    );
}

/// What nobody takes goes to the alias `*`, here and elsewhere; a list of thousands is one custody.
#[test]
fn catch_alls_and_long_lists() {
    let mut setup = usual().domain("rest.test");
    let sink = Sink::start(setup.spare_port());
    let members: Vec<String> = (0..3_000)
        .map(|n| format!("m{n}@far{}.test", n % 3))
        .collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let tables = [
        relay("*", sink.address, ""),
        alias("*@rest.test", &[BOB, "rest@far.test"], ""),
        alias("all@example.test", &members, &format!("owner = \"{BOB}\"")),
    ];
    let server = Server::start(setup.table(&tables.concat()));
    arrives(&server, "x@remote.test", "whoever@rest.test", &text("rest"))
        .expect(250)
        .unwrap();
    assert_eq!(sink.wait_for(1)[0].to, ["rest@far.test"]);
    assert_eq!(server.inbox(BOB, 1).len(), 1);

    arrives(&server, "x@remote.test", "all@example.test", &text("all"))
        .expect(250)
        .unwrap();
    let mut to = sink.wait_for_rcpts(3_001);
    to.sort();
    to.dedup();
    assert_eq!(to.len(), 3_001, "each once");
}
