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
    let (setup, port) = setup_with_smarthost("");
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
        let twice = copies.values().filter(|count| **count > 1).count();
        assert!(copies.values().all(|count| *count <= 2), "{copies:?}");
        assert!(twice <= ROUNDS * IN_DOUBT_MAX, "{twice} came twice");
        println!("{sent} sent over {ROUNDS} kills, {twice} came twice, none lost");
        return;
    }
}

const ROUNDS: usize = 5;
const PER_ROUND: usize = 60;

/// Two messages of each connection that one site is given at first, and of those that came since.
const IN_DOUBT_MAX: usize = 2 * 20;
