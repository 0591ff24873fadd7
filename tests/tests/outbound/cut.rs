//! `kill -9` while mail is being sent: nothing that was taken is lost, and what comes twice was
//! cut off between the end of its data and the record of its reply.

use super::{setup_with_smarthost, submit};
use std::collections::HashSet;
use tests::server::Server;
use tests::setup::PASSWORD;
use tests::sink::{Sink, Taken};
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
        let taken = sink.wait_for(wanted);
        let reached: HashSet<&String> = taken.iter().flat_map(|one| &one.to).collect();
        if reached.len() < sent + 1 {
            // Some of what came were second copies: as many more are to come.
            wanted = taken.len() + 1;
            continue;
        }
        let repeated = repeated(&taken);
        for one in &repeated {
            let (to, behind) = (&one.taken.to, one.behind);
            assert!(
                behind < IN_DOUBT_MAX,
                "{to:?} came again, although {behind} followed it on its connection"
            );
        }
        let more = repeated.len();
        println!("{sent} sent over {rounds} kills, {more} second copies, none lost");
        return;
    }
}

/// A message that came once more later.
struct Repeated<'a> {
    taken: &'a Taken,
    /// How many came after it on its connection, before that was cut.
    behind: usize,
}

fn repeated(taken: &[Taken]) -> Vec<Repeated<'_>> {
    let with_rest = (0..taken.len()).filter_map(|at| taken.get(at..)?.split_first());
    let again = with_rest.filter(|(one, later)| later.iter().any(|other| other.to == one.to));
    let counted = again.map(|(taken, later)| Repeated {
        taken,
        behind: later
            .iter()
            .filter(|other| other.connection == taken.connection)
            .count(),
    });
    counted.collect()
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

/// On a connection the last message is in doubt, and those before it whose ends are being written
/// down while it is on its way.
const IN_DOUBT_MAX: usize = 4;
