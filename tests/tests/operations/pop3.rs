//! POP3 as an operator runs it: shards, policies, locks, limits, many connections.

use super::{ALICE, BOB, message};
use std::time::Duration;
use tests::connection::Connection;
use tests::corpus::plain;
use tests::pop3::Pop3;
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::usage;

/// The connection goes where the account lives, with all that was pipelined behind the login.
#[test]
fn every_shard_lets_everybody_in() {
    let names: Vec<String> = (0..8).map(|n| format!("user{n}@example.test")).collect();
    let mut setup = Setup::empty().domain("example.test").top("shards = 4");
    for name in &names {
        setup = setup.account(name, PASSWORD);
    }
    let server = Server::start(setup);
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    for number in 0..3 {
        server.deliver(&all, &message(&format!("number {number}")));
    }
    for name in &all {
        server.wait_for_messages(name, 3);
        let mut ids = Vec::new();
        for _ in 0..8 {
            let mut pop3 = Pop3::open(server.addresses().pop3s).unwrap();
            let all = format!("USER {name}\r\nPASS {PASSWORD}\r\nUIDL\r\nRETR 2\r\nQUIT");
            pop3.connection.send_line(&all).unwrap();
            pop3.positive().unwrap();
            pop3.positive().unwrap();
            pop3.positive().unwrap();
            ids.push(pop3.body().unwrap());
            pop3.positive().unwrap();
            let octets = pop3.body().unwrap();
            assert!(octets.ends_with(&message("number 1")[60..]), "{name}");
            pop3.positive().unwrap();
            pop3.connection.closes().unwrap();
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "{name}: unique ids stay");
    }
    let metrics = server.metrics();
    let sum = |name: &str| -> f64 {
        let of = metrics.iter().filter(|(key, _)| key.starts_with(name));
        of.map(|(_, value)| *value).sum()
    };
    assert_eq!(sum("ringpost_pop3_retrieved"), 64.0);
    assert_eq!(sum("ringpost_pop3_sessions"), 64.0);
    assert_eq!(sum("ringpost_connections_open{protocol=\"pop3\""), 0.0);
}

/// Whatever becomes of a connection, the next one gets the maildrop.
#[test]
fn a_lock_goes_with_its_connection() {
    let server = Server::usual();
    server.deliver(&[ALICE], &message("one"));
    let pop3s = server.addresses().pop3s;
    for how in 0..3 {
        let mut first = Pop3::login_in_turn(pop3s, ALICE).unwrap();
        first.ok("DELE 1").unwrap();
        let refused = Pop3::login(pop3s, ALICE).err().unwrap().to_string();
        assert!(refused.starts_with("-ERR [IN-USE]"), "{refused}");
        match how {
            0 => drop(first),
            1 => first.connection.shut_down_sending().unwrap(),
            _ => first
                .connection
                .socket()
                .unwrap()
                .shutdown(std::net::Shutdown::Both)
                .unwrap(),
        }
    }
    let mut last = Pop3::login_in_turn(pop3s, ALICE).unwrap();
    assert_eq!(last.count().unwrap(), 1, "nothing was deleted");
    last.ok("DELE 1").unwrap();
    last.ok("QUIT").unwrap();
    // The answer to QUIT says that the lock is free.
    let mut next = Pop3::login(pop3s, ALICE).unwrap();
    assert_eq!(next.count().unwrap(), 0);
}

#[test]
fn what_was_retrieved_is_deleted_where_the_operator_says_so() {
    let setup = Setup::usual().table("[pop3]\nexpire = \"retrieved\"");
    let server = Server::start(setup);
    for number in 0..4 {
        server.deliver(&[ALICE], &message(&format!("number {number}")));
    }
    let pop3s = server.addresses().pop3s;
    let mut pop3 = Pop3::login(pop3s, ALICE).unwrap();
    assert!(
        String::from_utf8(pop3.lines("CAPA").unwrap())
            .unwrap()
            .contains("EXPIRE 0\r\n")
    );
    pop3.lines("RETR 1").unwrap();
    drop(pop3);
    let mut pop3 = Pop3::login_in_turn(pop3s, ALICE).unwrap();
    assert_eq!(pop3.count().unwrap(), 4, "not without QUIT");
    pop3.lines("RETR 2").unwrap();
    pop3.lines("TOP 3 10").unwrap();
    pop3.ok("QUIT").unwrap();
    let mut pop3 = Pop3::login(pop3s, ALICE).unwrap();
    assert_eq!(pop3.count().unwrap(), 3, "TOP is a look, no retrieval");
}

#[test]
fn logins_keep_their_distance() {
    let server = Server::start(Setup::usual().table("[pop3]\nlogin_delay = \"1h\""));
    let pop3s = server.addresses().pop3s;
    let mut pop3 = Pop3::login(pop3s, ALICE).unwrap();
    let capabilities = String::from_utf8(pop3.lines("CAPA").unwrap()).unwrap();
    assert!(
        capabilities.contains("LOGIN-DELAY 3600\r\n"),
        "{capabilities}"
    );
    pop3.ok("QUIT").unwrap();
    let refused = Pop3::login(pop3s, ALICE).err().unwrap().to_string();
    assert!(refused.starts_with("-ERR [LOGIN-DELAY]"), "{refused}");
    Pop3::login(pop3s, BOB).unwrap().ok("QUIT").unwrap();
}

/// All of a mailbox asked for at once: what is in memory is not the mailbox, also where the client
/// does not read.
#[test]
fn a_whole_mailbox_streams_through_little_memory() {
    let server = Server::start(Setup::usual().top("shards = 1"));
    let large = plain("large", 8 << 20, &mut Seed::new(3));
    for _ in 0..8 {
        server.deliver(&[ALICE, BOB], &large);
    }
    server.wait_for_messages(BOB, 8);
    let all: Vec<String> = (1..=8).map(|number| format!("RETR {number}")).collect();
    let ask = |user: &str| {
        let mut pop3 = Pop3::login(server.addresses().pop3s, user).unwrap();
        pop3.connection.send_line(&all.join("\r\n")).unwrap();
        pop3
    };
    let before = usage::resident_bytes(server.pid());
    let mut slow = ask(BOB);
    let mut pop3 = ask(ALICE);
    for _ in 0..8 {
        pop3.positive().unwrap();
        let octets = pop3.body().unwrap();
        assert!(octets.ends_with(&large[large.len() - 100_000..]));
    }
    let used = usage::resident_bytes(server.pid()).saturating_sub(before);
    assert!(used < 24 << 20, "{used} octets for 64 MiB");
    slow.positive().unwrap();
    let octets = slow.body().unwrap();
    assert!(octets.ends_with(&large[large.len() - 100_000..]));
}

#[test]
fn a_client_that_is_silent_before_login_is_sent_away() {
    let server = Server::start(Setup::usual().limit("pop3_login_secs_max = 5"));
    let mut silent = Connection::open(server.addresses().pop3).unwrap();
    assert!(silent.line().unwrap().starts_with(b"+OK"));
    silent.set_deadline(Duration::from_secs(30)).unwrap();
    assert!(silent.line().unwrap().starts_with(b"-ERR Too long silent"));
    silent.closes().unwrap();
}

#[test]
fn a_session_of_a_shard_that_ends_is_told_so() {
    let mut server = Server::usual();
    server.deliver(&[ALICE], &message("one"));
    let mut pop3 = Pop3::login(server.addresses().pop3s, ALICE).unwrap();
    pop3.ok("DELE 1").unwrap();
    server.signal(rustix::process::Signal::TERM);
    let said = pop3.positive().err().unwrap().to_string();
    assert!(said.starts_with("-ERR [SYS/TEMP] Shutting down"), "{said}");
    assert!(server.ended(Duration::from_secs(45)).success());
    server.restart();
    assert_eq!(
        server.imap(ALICE).status("INBOX", "MESSAGES").unwrap()["MESSAGES"],
        1
    );
}
