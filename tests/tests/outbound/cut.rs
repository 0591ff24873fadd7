//! `kill -9` while mail is being sent: nothing that was taken is lost, and what comes twice was
//! cut off between the end of its data and the record of its reply.

use super::{setup_with_smarthost, submit};
use std::collections::HashMap;
use tests::server::Server;
use tests::setup::PASSWORD;
use tests::sink::Sink;
use tests::smtp::Smtp;

#[test]
fn nothing_is_lost_and_little_comes_twice() {
    let limit = format!("connections_max = {CONNECTIONS}\n");
    let (setup, port) = setup_with_smarthost(&limit);
    let sink = Sink::start(port);
    let mut server = Server::start(setup);
    let (mut sent, rounds) = (0, rounds());
    for round in 1..=rounds {
        let mut smtp =
            Smtp::submit(server.addresses().submissions, super::ALICE, PASSWORD).unwrap();
        for _ in 0..PER_ROUND {
            let to = format!("u{sent}@d{}.test", sent % 7);
            let reply = smtp
                .deliver(super::ALICE, &[to], &super::text("cut"))
                .unwrap();
            reply.expect(250).unwrap();
            sent += 1;
        }
        // Early, late, in the middle of sending, or when the last recipient was just asked about.
        let before = (round - 1) * PER_ROUND;
        match round % 4 {
            0 => drop(sink.wait_for_rcpts(sent)),
            part => drop(sink.wait_for(before + PER_ROUND * part / 4)),
        }
        server.kill_and_restart();
    }
    submit(&server, &["last@far.test"], "last");
    let mut wanted = sent + 1;
    loop {
        let mut copies: HashMap<String, usize> = HashMap::new();
        let taken = sink.wait_for(wanted);
        taken
            .iter()
            .flat_map(|one| &one.to)
            .for_each(|to| *copies.entry(to.clone()).or_default() += 1);
        if copies.len() < sent + 1 {
            // Some of what came were second copies: as many more are to come.
            wanted = taken.len() + 1;
            continue;
        }
        // One message may be in doubt at several kills.
        let more: usize = copies.values().map(|count| count - 1).sum();
        assert!(
            more <= rounds * IN_DOUBT_MAX,
            "{more} copies too many: {copies:?}"
        );
        println!("{sent} sent over {rounds} kills, {more} second copies, none lost");
        return;
    }
}

/// As many as `RINGPOST_CUTS` says: hundreds take minutes.
fn rounds() -> usize {
    let wanted = std::env::var("RINGPOST_CUTS").ok();
    let wanted = wanted.and_then(|text| text.parse().ok());
    wanted.unwrap_or(ROUNDS).clamp(1, ROUNDS_MAX)
}

const ROUNDS: usize = 8;
const ROUNDS_MAX: usize = 1_000;
const PER_ROUND: usize = 40;

/// To the site, from all shards.
const CONNECTIONS: usize = 4;

/// Of each connection the message under way, and the one before it.
const IN_DOUBT_MAX: usize = 2 * CONNECTIONS;
