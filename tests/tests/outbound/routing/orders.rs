//! Orders about the way of waiting mail, reloads that change routes, and copies for postmaster.

use super::{ALICE, ctl, relay, submit, try_ctl, usual};
use rustix::process::Signal;
use tests::server::Server;
use tests::setup::Setup;
use tests::sink::{Moment, Sink};

/// Re-routed mail goes the other way after a kill, mail that comes later by its route.
#[test]
fn rerouted_mail_goes_the_other_way() {
    // One shard: what another one takes reaches its queue after the 250.
    let mut setup = Setup::usual().top("shards = 1");
    let (dead, other) = (setup.spare_port(), setup.spare_port());
    let route = relay("*", dead, "").replace("\"1s\"", "\"1h\"");
    let mut server = Server::start(setup.table(&route));
    submit(&server, &["carol@far.test", "dave@near.test"], "stuck");
    server.wait_for_log("result=deferred", 0);
    let via = format!("smarthost:{other}");
    let said = ctl(
        &server,
        &["queue", "reroute", "--domain", "far.test", "--via", &via],
    );
    assert!(said.starts_with("1 recipients re-routed"), "{said}");
    server.kill_and_restart();
    let sink = Sink::start(other);
    ctl(&server, &["queue", "retry", "--domain", "far.test"]);
    assert_eq!(sink.wait_for(1)[0].to, ["carol@far.test"]);

    submit(&server, &["later@far.test"], "later");
    let left = ctl(&server, &["queue", "list", "--all"]);
    assert_eq!(left.lines().count(), 3, "dave's and the later one: {left}");
    let said = ctl(&server, &["queue", "reroute", "--all", "--via", &via]);
    assert!(said.starts_with("2 recipients"), "{said}");
    ctl(&server, &["queue", "retry", "--all"]);
    let mut to: Vec<String> = sink
        .wait_for(3)
        .into_iter()
        .flat_map(|one| one.to)
        .collect();
    to.sort();
    assert_eq!(to, ["carol@far.test", "dave@near.test", "later@far.test"]);
}

/// A wrong way is refused with what would be a right one.
#[test]
fn a_wrong_way_is_refused() {
    let mut setup = usual();
    let port = setup.spare_port();
    let server = Server::start(setup.table(&relay("*", port, "")));
    let order = ["queue", "reroute", "--all", "--via", "pigeon:home"];
    let (succeeds, said) = try_ctl(&server, &order);
    assert!(
        !succeeds && said.contains("smarthost:HOST[:PORT]"),
        "{said}"
    );
}

/// A route that a reload changed is the way of what waits; so is one that a reload brings for its
/// sender.
#[test]
fn waiting_mail_follows_a_reload() {
    let mut setup = usual();
    let (dead, one, two) = (setup.spare_port(), setup.spare_port(), setup.spare_port());
    let server = Server::start(setup.table(&relay("*", dead, "")));
    submit(&server, &["carol@far.test"], "stuck");
    server.wait_for_log("result=deferred", 0);
    let text = server.setup.text();
    let reload = |text: String| {
        std::fs::write(server.setup.config_file(), text).unwrap();
        server.signal(Signal::HUP);
    };
    // Never takes it: who gets it got it by the next reload.
    let first = Sink::with(one, |moment| match moment {
        Moment::Rcpt(..) => Some("450 4.2.1 Not yet".to_owned()),
        _ => None,
    });
    let text = text.replace(&dead.to_string(), &one.to_string());
    reload(text.clone());
    first.wait_for_rcpts(1);
    let second = Sink::start(two);
    let of_alice = relay("*", two, &format!("senders = \"{ALICE}\"\n"));
    reload(format!("{text}\n{of_alice}"));
    assert_eq!(second.wait_for(1)[0].to, ["carol@far.test"]);
}

/// Postmaster gets a copy of what failed, also of what no sender can be told of.
#[test]
fn postmaster_is_told_too() {
    let mut setup = usual();
    let sink = Sink::with(setup.spare_port(), |moment| match moment {
        Moment::Rcpt(..) => Some("550 5.7.1 Never".to_owned()),
        _ => None,
    });
    let tables = [
        relay("*", sink.address, ""),
        "[queue]\npostmaster_copies = [\"failed\"]\n".to_owned(),
        "[[alias]]\nfrom = \"postmaster@example.test\"\nto = \"bob@example.test\"\n".to_owned(),
    ];
    let setup = setup.top("postmaster = \"bob@example.test\"");
    let server = Server::start(setup.table(&tables.concat()));
    submit(&server, &["carol@far.test"], "first");
    let told = server.inbox(ALICE, 1);
    let copy = server.inbox("bob@example.test", 1);
    assert!(
        copy[0].contains("carol@far.test") && copy[0].contains("Never"),
        "{}",
        copy[0]
    );
    assert!(told[0].contains("carol@far.test"), "{}", told[0]);
    let mut smtp = tests::smtp::Smtp::submit(
        server.addresses().submissions,
        ALICE,
        tests::setup::PASSWORD,
    )
    .unwrap();
    smtp.deliver("", &["dave@far.test"], b"Subject: auto\r\n\r\nx\r\n")
        .unwrap()
        .expect(250)
        .unwrap();
    let copy = server.inbox("bob@example.test", 2);
    assert!(copy[1].contains("dave@far.test"), "{}", copy[1]);
}
