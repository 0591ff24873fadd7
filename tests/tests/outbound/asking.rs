//! `ringpostctl queue`: what waits, for what, until when; and what the operator does about it.

use super::{ALICE, setup_with_smarthost, submit};
use std::process::Command;
use tests::binary;
use tests::server::Server;
use tests::setup::PASSWORD;
use tests::sink::{Moment, Sink};
use tests::smtp::Smtp;

/// What waits is listed with its reason, tried at once when asked to, and gone when dropped.
#[test]
fn the_queue_answers_and_obeys() {
    let (setup, port) = setup_with_smarthost("retry = \"1h\"\n");
    let sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt(_, 0) => Some("450 4.2.2 Mailbox full".to_owned()),
        _ => None,
    });
    let server = Server::start(setup);
    submit(&server, &["carol@far.test"], "first");
    submit(&server, &["dave@gone.test"], "second");
    let (line, _) = server.wait_for_log("result=deferred", 0);
    server.wait_for_log("result=deferred", line + 1);

    let listed = ctl(&server, &["list", "--all"]);
    let row = listed.lines().find(|line| line.contains("far.test"));
    let row = row.unwrap_or_else(|| panic!("{listed}"));
    assert!(
        row.contains("next attempt") && row.contains(ALICE),
        "{listed}"
    );
    let item = row.split_whitespace().next().unwrap();
    let why = ctl(&server, &["why", item]);
    assert!(
        why.contains("carol@far.test waits for its next attempt, in "),
        "{why}"
    );
    let shown = ctl(&server, &["show", item]);
    assert!(
        shown.contains("450 Mailbox full") && shown.contains(ALICE),
        "{shown}"
    );

    assert!(ctl(&server, &["hold", "--domain", "gone.test"]).starts_with("1 "));
    assert!(ctl(&server, &["list", "--domain", "GONE.test"]).contains("operator"));
    assert!(ctl(&server, &["retry", item]).starts_with("1 "));
    assert_eq!(sink.wait_for(1)[0].to, ["carol@far.test"]);
    assert!(ctl(&server, &["top"]).contains(&port.to_string()));
    assert!(ctl(&server, &["drop", "--yes", "--domain", "gone.test"]).starts_with("1 "));
    server.wait_for_log("how=delivered", 0);
    let left = ctl(&server, &["list", "--all"]);
    assert_eq!(left.lines().count(), 1, "{left}");
}

/// A suspended domain waits, whatever comes; resumed, it is sent at once. A hold outlives a kill.
#[test]
fn suspended_and_held_mail_waits() {
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::start(port);
    let mut server = Server::start(setup);
    ctl(&server, &["suspend", "--domain", "far.test"]);
    submit(&server, &["carol@far.test"], "suspended");
    submit(&server, &["dave@near.test"], "not");
    assert_eq!(sink.wait_for(1)[0].to, ["dave@near.test"]);
    assert!(ctl(&server, &["list", "--all"]).contains("suspended domain far.test"));
    assert!(ctl(&server, &["hold", "--all"]).starts_with("1 "));
    ctl(&server, &["resume", "--domain", "far.test"]);
    server.kill_and_restart();
    let listed = ctl(&server, &["list", "--all"]);
    assert!(listed.contains("who holds it"), "{listed}");
    assert!(ctl(&server, &["release", "--all"]).starts_with("1 "));
    assert_eq!(sink.wait_for(2)[1].to, ["carol@far.test"]);
}

/// What is suspended stays so when the server is killed, by whatever field it was ordered; resumed,
/// all of it is sent.
#[test]
fn a_suspension_outlives_a_kill() {
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::start(port);
    let mut server = Server::start(setup);
    let fields = [
        ["--domain", "far.test"],
        ["--sender", ALICE],
        ["--recipient", "@near.test"],
        ["--campaign", "spring"],
        ["--tenant", ALICE],
    ];
    for field in fields {
        ctl(&server, &["suspend", field[0], field[1], "--secs", "86400"]);
    }
    server.kill_and_restart();
    let listed = ctl(&server, &["suspensions"]);
    assert_eq!(listed.lines().count(), 1 + fields.len(), "{listed}");
    assert!(
        listed.contains("@near.test") && listed.contains("in 2"),
        "{listed}"
    );
    // One after the other, until only the last one keeps the mail back.
    submit(
        &server,
        &["carol@far.test", "dave@near.test"],
        "X-Campaign: spring",
    );
    for field in fields {
        assert!(sink.taken().is_empty(), "{field:?} was still to keep it");
        assert_eq!(ctl(&server, &["resume", field[0], field[1]]), "resumed\n");
    }
    let mut to: Vec<String> = sink.wait_for(1)[0].to.clone();
    if to.len() < 2 {
        to = sink
            .wait_for(2)
            .into_iter()
            .flat_map(|one| one.to)
            .collect();
    }
    to.sort();
    assert_eq!(to, ["carol@far.test", "dave@near.test"]);
    server.kill_and_restart();
    assert_eq!(ctl(&server, &["suspensions"]).lines().count(), 1);
}

/// An order means those for whom all that is said is so; a trial only counts, and nobody drops by
/// mistake.
#[test]
fn orders_mean_those_that_are_picked() {
    let (setup, port) = setup_with_smarthost("retry = \"1h\"\n");
    let _sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt(to, _) if to.starts_with("full") => Some("452 4.2.2 Mailbox FULL".into()),
        Moment::Rcpt(..) => Some("451 4.7.1 Greylisted".into()),
        _ => None,
    });
    let server = Server::start(setup.top("shards = 1"));
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    for (to, campaign) in [
        ("full1@a.test", "one"),
        ("full2@b.test", "two"),
        ("x@b.test", "two"),
    ] {
        let text = format!("X-Campaign: {campaign}\r\n\r\nx\r\n");
        smtp.deliver(ALICE, &[to], text.as_bytes())
            .unwrap()
            .expect(250)
            .unwrap();
    }
    let mut line = 0;
    for _ in 0..3 {
        line = server.wait_for_log("result=deferred", line).0 + 1;
    }
    let meant = |which: &[&str]| {
        let said = ctl(&server, &[&["hold", "--dry-run"], which].concat());
        said.split(' ').next().unwrap().parse::<u32>().unwrap()
    };
    for (which, count) in [
        (&["--all"][..], 3),
        (&["--reply", "mailbox full"], 2),
        (&["--reply", "451 gREY"], 1),
        (&["--domain", "b.test", "--campaign", "two"], 2),
        (&["--campaign", "two", "--reply", "full"], 1),
        (&["--recipient", "@A.test"], 1),
        (&["--recipient", "x@b.test"], 1),
        (&["--sender", ALICE], 3),
        (&["--sender", "@else.test"], 0),
        (&["--tenant", ALICE, "--older-than", "1h"], 0),
        (&["--site", &port.to_string()], 3),
        (&["--site", "elsewhere"], 0),
    ] {
        assert_eq!(meant(which), count, "{which:?}");
    }
    let refused = order(&server, &["drop", "--reply", "full"]);
    assert_eq!(refused.status.code(), Some(2), "there is nobody to ask");
    assert_eq!(meant(&["--all"]), 3);
    assert!(ctl(&server, &["drop", "--yes", "--reply", "full"]).starts_with("2 "));
    assert_eq!(meant(&["--all"]), 1);
    let sites = ctl(&server, &["top", "--once"]);
    assert!(sites.contains("451 Greylisted"), "{sites}");
    let sites: serde_json::Value = serde_json::from_str(&ctl(&server, &["--json", "top"])).unwrap();
    assert_eq!(
        (&sites[0]["waiting"], &sites[0]["deferred"]),
        (&1.into(), &3.into()),
        "{sites}"
    );
}

/// Who has logged in says how urgent a message is; who has not is not believed.
#[test]
fn priorities_are_kept_of_those_who_are_known() {
    let (setup, port) = setup_with_smarthost("");
    let _sink = Sink::start(port);
    // One shard: what another one takes reaches its queue after the 250.
    let setup = setup.top("shards = 1");
    let server = Server::start(setup.table("[relay]\nnetworks = \"127.0.0.1\""));
    ctl(&server, &["suspend", "--domain", "far.test"]);
    let known = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    for (mut smtp, from) in [(known, ALICE), (server.smtp(), "x@remote.test")] {
        let mail = format!("MAIL FROM:<{from}> MT-PRIORITY=5");
        smtp.command(&mail).unwrap().expect(250).unwrap();
        smtp.command("RCPT TO:<carol@far.test>")
            .unwrap()
            .expect(250)
            .unwrap();
        smtp.data(b"Subject: x\r\n\r\nx\r\n")
            .unwrap()
            .expect(250)
            .unwrap();
    }
    let listed = ctl(&server, &["--json", "list", "--all"]);
    let of = |priority: &str| listed.matches(&format!("\"priority\":{priority},")).count();
    assert_eq!((of("5"), of("0")), (1, 1), "{listed}");
}

fn order(server: &Server, arguments: &[&str]) -> std::process::Output {
    Command::new(binary::ringpostctl())
        .arg("--data")
        .arg(server.setup.data())
        .arg("queue")
        .args(arguments)
        .output()
        .unwrap()
}

fn ctl(server: &Server, arguments: &[&str]) -> String {
    let output = order(server, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complained}{said}");
    said
}
