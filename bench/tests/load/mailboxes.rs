//! Loads over IMAP and POP3, and users' days: against the real server, and against Dovecot.

use crate::peers::{has_root, quiet, scratch};
use crate::tool::{ACCOUNTS, Run, bench, server};
use serde_json::Value;
use std::net::SocketAddr;
use tests::peer::peer;
use tests::server::Server;
use tests::setup::PASSWORD;

fn imap(target: SocketAddr, words: &[&str]) -> Run {
    let target = target.to_string();
    let mut all = vec!["imap", &target, "--accounts", ACCOUNTS];
    all.extend(["--password", PASSWORD]);
    all.extend(words);
    bench(&all)
}

/// All went well, and it says how often each step was done.
fn assert_done(run: &Run, phases: &[&str]) {
    assert_eq!(run.code, Some(0), "{}", run.said);
    assert!(run.count("acknowledged") > 0, "{}", run.said);
    let (attempted, acknowledged) = (run.count("attempted"), run.count("acknowledged"));
    assert_eq!(attempted, acknowledged, "{}", run.said);
    for phase in phases {
        assert!(run.phase(phase) > 0, "{phase}\n{}", run.said);
    }
}

#[test]
fn imap_sessions_append_fetch_flag_and_search_under_tls() {
    let server = server();
    let addresses = server.addresses();
    for (target, tls, login) in [
        (addresses.imaps, "implicit", "login"),
        (addresses.imap, "starttls", "plain"),
    ] {
        let mut words = vec!["--do", "append,fetch,flags,search", "-c", "12", "-m", "400"];
        words.extend(["--fill", "10", "--tls", tls, "--login", login, "--audit"]);
        let run = imap(target, &words);
        assert_done(&run, &["login", "select", "fetch", "store", "search"]);
        assert_eq!(run.count("acknowledged"), 400, "{}", run.said);
        let appended = run.phase("append");
        assert!(appended > 50, "{}", run.said);
        assert_eq!(run.audit("acknowledged"), appended, "{}", run.said);
        assert_eq!(run.audit("found"), appended, "{}", run.said);
    }
}

#[test]
fn an_open_loop_of_fetches_keeps_its_rate() {
    let server = server();
    let mut words = vec!["--do", "fetch", "-c", "8", "--rate", "200", "--for", "2"];
    words.extend(["--fill", "5", "--size", "20k", "--tls", "implicit"]);
    let run = imap(server.addresses().imaps, &words);
    assert_done(&run, &["fetch"]);
    let fetched = run.count("acknowledged");
    assert!((380..=401).contains(&fetched), "{}", run.said);
    assert_eq!(run.json["octets"].as_u64().unwrap() / fetched / 1_000, 20);
}

#[test]
fn the_highest_rate_of_searches_is_looked_for() {
    let server = server();
    let mut words = vec!["--do", "search", "-c", "4", "--fill", "5", "--tls"];
    words.extend(["implicit", "--steps", "20", "--for", "0.4", "--bound"]);
    let target = server.addresses().imaps;
    // Nothing is as fast as that, and the search says so.
    let none = imap(target, &[&words[..], &["0.001"]].concat());
    assert_eq!(none.code, Some(1), "{}", none.said);
    assert!(none.said.contains("No rate was held"), "{}", none.said);
    assert!(none.said.contains("step 20/s not held"), "{}", none.said);
    let audited = imap(target, &[&words[..], &["1", "--audit"]].concat());
    assert_eq!(audited.code, Some(2), "{}", audited.said);
}

#[test]
fn every_idler_of_an_account_hears_of_every_delivery() {
    let server = server();
    let pid = server.pid().to_string();
    let mut words = vec!["--do", "idle", "-c", "400", "--sources", "4"];
    words.extend(["--levels", "2", "--deliveries", "3", "--pid", &pid]);
    words.extend(["--tls", "implicit"]);
    let target = server.addresses().imaps;
    let run = imap(target, &words);
    assert_done(&run, &["connect", "login", "select", "idle"]);
    assert_eq!(run.count("acknowledged"), 400, "{}", run.said);
    // 400 connections of 8 accounts: 50 hear of each of the 3.
    assert_eq!(run.phase("exists"), 150, "{}", run.said);
    let levels = run.json["population"].as_array().unwrap();
    let held: Vec<u64> = levels
        .iter()
        .map(|level| level["connections"].as_u64().unwrap())
        .collect();
    assert_eq!(held, [0, 200, 400]);
    assert!(levels[2]["resident_bytes"].as_u64().unwrap() > 1_000_000);
    let nameless = [
        "--do",
        "idle",
        "-c",
        "8",
        "--tls",
        "implicit",
        "--deliveries",
        "1",
    ];
    let run = imap(target, &nameless);
    assert_done(&run, &["idle", "exists"]);
    assert!(run.said.contains("--pid or --cgroup"), "{}", run.said);
}

#[test]
fn what_does_not_work_is_said_and_what_to_do() {
    let server = server();
    let addresses = server.addresses();
    let wrong = imap(addresses.imaps, &["--tls", "implicit", "--password", "no"]);
    assert_eq!(wrong.code, Some(2), "given twice: {}", wrong.said);
    let target = addresses.imaps.to_string();
    let mut words = vec!["imap", &target, "--accounts", ACCOUNTS];
    words.extend(["--tls", "implicit", "--password", "no"]);
    let wrong = bench(&words);
    assert_eq!(wrong.code, Some(1), "{}", wrong.said);
    assert!(wrong.said.contains("login failed"), "{}", wrong.said);
    assert!(
        wrong.said.contains("AUTHENTICATIONFAILED"),
        "{}",
        wrong.said
    );
    // In clear the server allows no LOGIN.
    let clear = imap(addresses.imap, &[]);
    assert_eq!(clear.code, Some(1), "{}", clear.said);
    assert!(clear.said.contains("--tls starttls"), "{}", clear.said);
    let nothing = imap(
        addresses.imaps,
        &["--tls", "implicit", "--fill", "0", "-m", "5"],
    );
    assert_eq!(nothing.count("unanswered"), 5, "{}", nothing.said);
    assert!(
        nothing.said.contains("no message there"),
        "{}",
        nothing.said
    );
}

#[test]
fn what_is_no_pop3_server_is_named() {
    let refused = bench(&["pop3", "127.0.0.1:1", "--password", PASSWORD]);
    assert_eq!(refused.code, Some(1), "{}", refused.said);
    assert!(
        refused.said.contains("pop3 127.0.0.1:1"),
        "{}",
        refused.said
    );
    let server = server();
    let imap = server.addresses().imaps.to_string();
    let mut words = vec!["pop3", &imap, "--password", PASSWORD];
    words.extend(["--tls", "implicit"]);
    let other = bench(&words);
    assert_eq!(other.code, Some(1), "{}", other.said);
    assert!(other.said.contains("greeting failed"), "{}", other.said);
}

/// Doors of a server, as `mixed` wants them.
struct Doors {
    arrivals: [String; 2],
    imap: String,
    more: Vec<String>,
}

fn of_ringpost(server: &Server) -> Doors {
    let addresses = server.addresses();
    let submission = addresses.submissions.to_string();
    Doors {
        arrivals: ["--smtp".into(), addresses.smtp.to_string()],
        imap: addresses.imaps.to_string(),
        more: [
            "--submission",
            &submission,
            "--tls",
            "implicit",
            "--accounts",
            ACCOUNTS,
        ]
        .map(String::from)
        .to_vec(),
    }
}

/// Eight users, days 1,200 times as fast, so that a session takes a second.
fn days(doors: &Doors, password: &str) -> Run {
    let mut words: Vec<&str> = vec!["mixed", &doors.arrivals[0], &doors.arrivals[1]];
    words.extend(["--imap", &doors.imap, "--users", "8", "--size", "2k"]);
    words.extend(["--speed-up", "1200", "--for", "5", "--password", password]);
    words.extend(doors.more.iter().map(String::as_str));
    let run = bench(&words);
    assert_done(
        &run,
        &["login", "fetch", "store", "submission", "idle", "whole"],
    );
    assert_eq!(run.audit("missing_count"), 0, "{}", run.said);
    assert_eq!(
        run.audit("found"),
        run.count("acknowledged"),
        "{}",
        run.said
    );
    // Eight users, each with an arrival a quarter of a second, for five seconds: 160, more or less.
    assert!(
        (60..270).contains(&run.count("acknowledged")),
        "{}",
        run.said
    );
    run
}

#[test]
fn users_days_pass_without_a_loss() {
    let server = server();
    let run = days(&of_ringpost(&server), PASSWORD);
    assert!(run.phase("exists") > 0, "{}", run.said);
    let answers = run.phase("submission");
    assert!(answers < run.count("acknowledged"), "{}", run.said);
}

#[test]
fn a_day_needs_an_address_for_each_user() {
    let run = bench(&[
        "mixed",
        "--smtp",
        "127.0.0.1:1",
        "--imap",
        "127.0.0.1:1",
        "--users",
        "3",
        "--accounts",
        "a@example.test",
        "--password",
        PASSWORD,
    ]);
    assert_eq!(run.code, Some(2), "{}", run.said);
}

#[test]
fn dovecot_is_loaded_over_imap_and_pop3_and_by_days() {
    if !has_root() || peer("dovecot").is_none() {
        return;
    }
    let scratch = scratch();
    quiet(&["up", "dovecot", "--users", "8"], scratch.path());
    let listed = quiet(&["list", "--json"], scratch.path());
    let target: Value = serde_json::from_str::<Value>(&listed).unwrap()[0].clone();
    let door = |name: &str| target["doors"][name].as_str().map(str::to_string);
    let doors = Doors {
        arrivals: ["--lmtp".into(), door("lmtp").unwrap()],
        imap: door("imap").unwrap(),
        more: Vec::new(),
    };
    days(&doors, "secret");
    let accounts = [
        "--accounts",
        "user{0..7}@example.test",
        "--password",
        "secret",
    ];
    let mut words = vec!["imap", &doors.imap, "--do", "append,fetch,flags,search"];
    words.extend(["-c", "8", "-m", "100", "--fill", "10", "--audit"]);
    words.extend(accounts);
    let run = bench(&words);
    assert_done(&run, &["append", "fetch", "store", "search"]);
    assert_eq!(run.audit("found"), run.phase("append"), "{}", run.said);
    if let Some(pop3) = door("pop3") {
        let mut words = vec!["pop3", &pop3, "--do", "stat,uidl,list,top,retr,dele"];
        words.extend(["--each", "3", "-c", "4", "-m", "16"]);
        words.extend(accounts);
        let run = bench(&words);
        assert_done(&run, &["stat", "uidl", "list", "top", "retr", "dele"]);
        assert_eq!(run.phase("dele"), run.phase("retr"), "{}", run.said);
        let mut words = vec!["pop3", &pop3, "--do", "stat", "-c", "2", "--rate", "40"];
        words.extend(["--poisson", "--for", "1"]);
        words.extend(accounts);
        let run = bench(&words);
        assert_done(&run, &["stat", "whole"]);
        assert!(run.count("acknowledged") < 80, "{}", run.said);
        let mut words = vec!["pop3", &pop3, "--do", "stat", "-c", "2", "--steps", "4"];
        words.extend(["--for", "0.5", "--bound", "0.001"]);
        words.extend(accounts);
        let run = bench(&words);
        assert_eq!(run.code, Some(1), "{}", run.said);
        assert!(run.said.contains("No rate was held"), "{}", run.said);
    }
    quiet(&["down", "dovecot"], scratch.path());
}
