//! Receipts of what was delivered here: whoever asked for one hears of it, whatever is cut off.

use super::ALICE;
use std::collections::BTreeSet;
use std::time::Instant;
use tests::connection::DEADLINE;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::smtp::Smtp;

/// Killed right behind the 250, again and again: the message is there, and so is its receipt, from
/// this life or the next.
#[test]
fn a_kill_loses_no_receipt() {
    let mut server = Server::start(Setup::usual().top("shards = 2"));
    for round in 0..ROUNDS {
        let submissions = server.addresses().submissions;
        let mut smtp = Smtp::submit(submissions, ALICE, PASSWORD).unwrap();
        let mail = format!("MAIL FROM:<{ALICE}> ENVID=r{round}");
        smtp.command(&mail).unwrap().expect(250).unwrap();
        let rcpt = "RCPT TO:<bob@example.test> NOTIFY=SUCCESS";
        smtp.command(rcpt).unwrap().expect(250).unwrap();
        let taken = smtp.data(b"Subject: receipt\r\n\r\nplease\r\n").unwrap();
        taken.expect(250).unwrap();
        server.kill_and_restart();
    }
    let wanted: BTreeSet<String> = (0..ROUNDS).map(|round| format!("r{round}")).collect();
    let end = Instant::now() + DEADLINE;
    let told = loop {
        let told = told(&server);
        if wanted.is_subset(&told) || Instant::now() > end {
            break told;
        }
    };
    let missing: Vec<_> = wanted.difference(&told).collect();
    assert!(missing.is_empty(), "{missing:?}\n{}", server.log_tail());
    server.wait_for_messages("bob@example.test", ROUNDS);
}

/// The envelopes of which Alice has a receipt.
fn told(server: &Server) -> BTreeSet<String> {
    let mut imap = server.imap_in(ALICE, "INBOX");
    let receipts = imap.fetch("FETCH 1:* (BODY.PEEK[])").unwrap_or_default();
    let envelope = |one: &tests::imap::Fetched| {
        let text = String::from_utf8_lossy(one.octets("BODY[]")?).into_owned();
        assert!(text.contains("Action: delivered"), "{text}");
        let (_, rest) = text.split_once("Original-Envelope-Id: ")?;
        rest.split_once("\r\n")
            .map(|(envelope, _)| envelope.to_owned())
    };
    receipts.iter().filter_map(envelope).collect()
}

const ROUNDS: u32 = 8;
