//! `[[rewrite]]`: senders and recipients under other names, in the envelope and in the header.

use super::{ALICE, arrives, ctl, rcpt, relay, submit, usual};
use tests::server::Server;
use tests::setup::PASSWORD;
use tests::sink::Sink;
use tests::smtp::Smtp;

const MAPS: &str = r#"
[[rewrite]]
what = "sender"
direction = "outbound"
from = "@example.test"
to = "$1@public.test"
headers = true

[[rewrite]]
what = "recipient"
direction = "outbound"
from = ["@old.test", "*.old.test"]
to = "$1@new.test"
headers = true

[[rewrite]]
what = "recipient"
direction = "inbound"
from = "@former.test"
to = "$1@example.test"
"#;

/// Addresses that go out are others than those inside; what stays inside stays as it was.
#[test]
fn what_leaves_bears_other_names() {
    let mut setup = usual();
    let sink = Sink::start(setup.spare_port());
    let tables = [relay("*", sink.address, ""), MAPS.to_owned()];
    let server = Server::start(setup.table(&tables.concat()));
    let message = "From: \"Alice, of us\" <alice@example.test>,\r\n\tx@else.test\r\n\
                   To: carol@a.old.test, Bob <bob@example.test>\r\n\
                   Subject: to carol@a.old.test\r\n\r\ncarol@a.old.test\r\n";
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    let to = ["Carol+x@a.old.test", "bob@example.test"];
    smtp.deliver(ALICE, &to, message.as_bytes())
        .unwrap()
        .expect(250)
        .unwrap();
    let taken = sink.wait_for(1);
    assert_eq!(taken[0].from, "alice@public.test");
    assert_eq!(taken[0].to, ["Carol+x@new.test"]);
    for wanted in [
        "\r\nFrom: \"Alice, of us\" <alice@public.test>,\r\n\tx@else.test\r\n",
        "\r\nTo: carol@new.test, Bob <bob@example.test>\r\n",
        "\r\nSubject: to carol@a.old.test\r\n",
        "\r\n\r\ncarol@a.old.test\r\n",
    ] {
        assert!(
            taken[0].text.contains(wanted),
            "{wanted:?} in\n{}",
            taken[0].text
        );
    }
    let inbox = server.inbox("bob@example.test", 1);
    assert!(inbox[0].contains("<alice@example.test>"), "{}", inbox[0]);
    let said = server.wait_for_log("rewritten", 0).1;
    assert!(
        said.contains("from=Carol+x@a.old.test") && said.contains("to=Carol+x@new.test"),
        "{said}"
    );
}

/// A name of former times leads to the mailbox of today; it opens no relay.
#[test]
fn what_comes_under_a_former_name_is_taken() {
    let mut setup = usual();
    let sink = Sink::start(setup.spare_port());
    let tables = [relay("*", sink.address, ""), MAPS.to_owned()];
    let server = Server::start(setup.table(&tables.concat()));
    arrives(
        &server,
        "x@remote.test",
        "bob@former.test",
        b"Subject: x\r\n\r\nx\r\n",
    )
    .expect(250)
    .unwrap();
    let inbox = server.inbox("bob@example.test", 1);
    assert!(
        inbox[0].contains("Delivered-To: bob@former.test"),
        "{}",
        inbox[0]
    );
    let mut smtp = server.smtp();
    smtp.command("MAIL FROM:<x@remote.test>")
        .unwrap()
        .expect(250)
        .unwrap();
    rcpt(&mut smtp, "carol@old.test").expect(550).unwrap();
    rcpt(&mut smtp, "nobody@former.test").expect(550).unwrap();
}

/// A message that somebody has signed goes out as it is: changed, its signature would be broken.
#[test]
fn what_is_signed_keeps_its_header() {
    let mut setup = usual();
    let sink = Sink::start(setup.spare_port());
    let tables = [relay("*", sink.address, ""), MAPS.to_owned()];
    let server = Server::start(setup.table(&tables.concat()));
    let message = "DKIM-Signature: v=1; d=example.test\r\nFrom: alice@example.test\r\n\r\nx\r\n";
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    let to = ["carol@far.test"];
    smtp.deliver(ALICE, &to, message.as_bytes())
        .unwrap()
        .expect(250)
        .unwrap();
    let taken = sink.wait_for(1);
    assert_eq!(taken[0].from, "alice@public.test");
    assert!(
        taken[0].text.contains("\r\nFrom: alice@example.test\r\n"),
        "{}",
        taken[0].text
    );
}

/// The way of an address is told step by step, with the hosts of now.
#[test]
fn the_way_is_told_step_by_step() {
    let mut setup = usual();
    let port = setup.spare_port();
    let tables = [
        relay("*", port, ""),
        MAPS.to_owned(),
        "[[alias]]\nfrom = \"sales@example.test\"\nto = [\"bob@example.test\", \"c@old.test\"]\n"
            .to_owned(),
    ];
    let server = Server::start(setup.table(&tables.concat()));
    let told = ctl(&server, &["route", "sales@example.test", "--login", ALICE]);
    for wanted in [
        "alice@example.test, submitted by alice@example.test",
        "1 accounts here, 1 addresses at other hosts",
        "bob@example.test in shard",
        "becomes c@new.test",
        "leaves as alice@public.test",
        &format!("of *: {port} by SMTP"),
        "TLS where it is offered",
    ] {
        assert!(told.contains(wanted), "{wanted} in\n{told}");
    }
    let told = ctl(&server, &["route", "nobody@example.test", "--from", "<>"]);
    assert!(
        told.contains("no-such-user") && told.contains("null reverse-path"),
        "{told}"
    );
    submit(&server, &["bob@example.test"], "still there");
    assert_eq!(server.inbox("bob@example.test", 1).len(), 1);
}
