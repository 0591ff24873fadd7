//! POP3 over `kill -9` and over days: QUIT is done or not done, unique ids stay, and what was
//! retrieved long ago goes.

use super::ALICE;
use super::clock::{faketime, set, start_at};
use std::collections::BTreeSet;
use tests::corpus::plain;
use tests::peer::peer;
use tests::pop3::Pop3;
use tests::seed::{Seed, number_from_env};
use tests::server::Server;
use tests::setup::Setup;

fn deliver(server: &Server, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let message = plain(&format!("m{number}"), 2_000, &mut Seed::new(number));
        server.deliver(&[ALICE], &message);
    }
}

/// The server is killed at some moment around QUIT. If the client heard `+OK`, all that it deleted
/// is gone; else all of it is gone, or nothing.
#[test]
fn quit_is_done_whole_or_not_at_all() {
    let rounds = number_from_env("RINGPOST_KILL_ROUNDS", ROUNDS);
    let mut seed = Seed::from_env(0x90b3);
    let mut server = Server::start(Setup::usual());
    let mut number = 0;
    for round in 0..rounds {
        deliver(&server, number..number + 12);
        number += 12;
        let mut pop3 = Pop3::login_in_turn(server.addresses().pop3s, ALICE).unwrap();
        let ids = pop3.uidl().unwrap();
        let doomed: BTreeSet<usize> = (0..6).map(|_| seed.below(12) as usize).collect();
        for at in &doomed {
            pop3.ok(&format!("DELE {}", at + 1)).unwrap();
        }
        pop3.connection.send_line("QUIT").unwrap();
        let mut spins = seed.below(200_000);
        while spins > 0 {
            spins = std::hint::black_box(spins) - 1;
        }
        server.kill();
        let heard = pop3.positive().is_ok();
        server.restart();
        let left = Pop3::login(server.addresses().pop3s, ALICE)
            .unwrap()
            .uidl()
            .unwrap();
        let kept = ids
            .iter()
            .enumerate()
            .filter(|(at, _)| !doomed.contains(at));
        let kept: Vec<&String> = kept.map(|(_, id)| id).collect();
        let is_done = left.iter().eq(kept);
        assert!(
            is_done || left == ids,
            "round {round}: half of it: {left:?}"
        );
        assert!(
            is_done || !heard,
            "round {round}: +OK, and nothing is deleted"
        );
        let mut pop3 = Pop3::login_in_turn(server.addresses().pop3s, ALICE).unwrap();
        for at in 1..=left.len() {
            pop3.ok(&format!("DELE {at}")).unwrap();
        }
        pop3.ok("QUIT").unwrap();
    }
}

/// Retrieved today, deleted at the first login two days later; what nobody retrieved stays.
#[test]
fn what_was_retrieved_goes_when_its_days_are_over() {
    if peer("faketime").is_none() {
        return;
    }
    let library = faketime().expect("the program comes with its library");
    let setup = Setup::usual().table("[pop3]\nexpire = \"2d\"");
    let clock = setup.directory.path().join("clock");
    set(&clock, "+0");
    let mut server = start_at(setup, &library, &clock);
    let pop3s = server.addresses().pop3s;
    deliver(&server, 0..4);
    let mut pop3 = Pop3::login(pop3s, ALICE).unwrap();
    let ids = pop3.uidl().unwrap();
    pop3.lines("RETR 2").unwrap();
    pop3.ok("QUIT").unwrap();
    let mut lost = Pop3::login(pop3s, ALICE).unwrap();
    lost.lines("RETR 4").unwrap();
    drop(lost);
    for (day, left) in [
        ("+1d", &[0, 1, 2, 3][..]),
        ("+47h", &[0, 1, 2, 3]),
        ("+49h", &[0, 2, 3]),
    ] {
        server.kill();
        let setup = server.into_setup();
        set(&clock, day);
        server = start_at(setup, &library, &clock);
        let mut pop3 = Pop3::login(server.addresses().pop3s, ALICE).unwrap();
        let expected: Vec<&String> = left.iter().map(|at| &ids[*at]).collect();
        let found = pop3.uidl().unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{day}");
        // Once more does not make it younger.
        pop3.lines("RETR 2").unwrap();
        pop3.ok("QUIT").unwrap();
    }
}

const ROUNDS: u64 = 12;
