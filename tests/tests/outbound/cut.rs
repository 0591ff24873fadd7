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
    let mut sent = 0;
    for round in 1..=ROUNDS {
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
        // In the middle of sending: some of this round are there, some are not.
        sink.wait_for((round - 1) * PER_ROUND + PER_ROUND / 3);
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
            more <= ROUNDS * IN_DOUBT_MAX,
            "{more} copies too many: {copies:?}"
        );
        println!("{sent} sent over {ROUNDS} kills, {more} second copies, none lost");
        return;
    }
}

const ROUNDS: usize = 5;
const PER_ROUND: usize = 60;

/// To the site, from all shards.
const CONNECTIONS: usize = 4;

/// Of each connection the message under way, and the one before it.
const IN_DOUBT_MAX: usize = 2 * CONNECTIONS;
