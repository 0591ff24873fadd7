//! What changes while mail waits: rules that switch or suspend where it leaves from, and reloads of
//! pools, policies and rules.

use super::{ALICE, submit};
use rustix::process::Signal;
use std::net::SocketAddr;
use std::process::Command;
use tests::authority::Authority;
use tests::binary;
use tests::server::Server;
use tests::setup::Setup;
use tests::sink::{Moment, Sink};

/// Two sources; `a` alone is the default pool, `b` alone is `second`.
const POOLS: &str = "[[source]]\nname = \"a\"\nhello = \"a.test\"\naddress = \"127.0.0.11\"\n\
    [[source]]\nname = \"b\"\nhello = \"b.test\"\naddress = \"127.0.0.12\"\n\
    [[pool]]\nname = \"default\"\nsource = [{ name = \"a\", weight = 1 }]\n\
    [[pool]]\nname = \"second\"\nsource = [{ name = \"b\", weight = 1 }]\n";

fn route(host: SocketAddr, tables: &str) -> String {
    format!(
        "[[route]]\ndomains = \"*\"\nvia = \"relay\"\nhost = \"{host}\"\nretry = \"1s\"\n\
         messages_per_connection_max = 1\n{tables}"
    )
}

fn usual() -> (Setup, SocketAddr) {
    let mut setup = Setup::usual().top("shards = 1");
    let port = setup.spare_port();
    (setup, port)
}

fn reload(server: &Server, text: &str) {
    std::fs::write(server.setup.config_file(), text).unwrap();
    server.signal(Signal::HUP);
}

fn queue(server: &Server, arguments: &[&str]) -> String {
    let mut command = Command::new(binary::ringpostctl());
    command.arg("--data").arg(server.setup.data()).arg("queue");
    let output = command.args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// The first one is refused by the words of a list.
fn listed(moment: Moment<'_>) -> Option<String> {
    match moment {
        Moment::Rcpt("first@far.test", 0) => Some("550 5.7.1 Your host is listed".to_owned()),
        _ => None,
    }
}

/// Mail to a site that lists our source leaves by the pool that the rule names, the refused one
/// included.
#[test]
fn a_rule_switches_the_pool() {
    let (setup, port) = usual();
    let rule = "[[rule]]\nname = \"listed\"\nreply = 'is listed'\n\
        action = [\"switch\", \"defer\"]\npool = \"second\"\nfor = \"1h\"\ndelay = \"1s\"\n";
    let sink = Sink::with(port, listed);
    let server = Server::start(setup.table(&route(port, &format!("{POOLS}{rule}"))));
    submit(&server, &["zero@far.test"], "before");
    assert_eq!(sink.wait_for(1)[0].client.hello, "a.test");
    submit(&server, &["first@far.test"], "refused");
    let said = server.wait_for_log("rule=listed", 0).1;
    assert!(said.contains("source=a"), "{said}");
    submit(&server, &["second@far.test"], "after");
    for taken in &sink.wait_for(3)[1..] {
        assert_eq!(taken.client.hello, "b.test", "{taken:?}");
        assert_eq!(taken.client.address.ip().to_string(), "127.0.0.12");
    }
    let top = queue(&server, &["top"]);
    assert!(top.contains("listed: leaves by second"), "{top}");
    // Taken back, mail leaves as before.
    queue(&server, &["resume", "--site", &port.to_string()]);
    submit(&server, &["third@far.test"], "resumed");
    assert_eq!(sink.wait_for(4)[3].client.hello, "a.test");
}

/// A rule that suspends a source at a site leaves the site to the others of the pool.
#[test]
fn a_rule_suspends_a_source() {
    let (setup, port) = usual();
    let tables = "[[source]]\nname = \"a\"\nhello = \"a.test\"\n\
        [[source]]\nname = \"b\"\nhello = \"b.test\"\n\
        [[rule]]\nname = \"listed\"\nreply = 'is listed'\naction = [\"suspend\", \"defer\"]\n\
        whose = \"source\"\nfor = \"1h\"\ndelay = \"1s\"\n";
    let sink = Sink::with(port, listed);
    let server = Server::start(setup.table(&route(port, tables)));
    submit(&server, &["first@far.test"], "refused");
    let said = server.wait_for_log("rule=listed", 0).1;
    let other = match said.contains("source=a") {
        true => "b.test",
        false => "a.test",
    };
    for n in 0..20 {
        submit(&server, &[&format!("u{n}@far.test")], "others");
    }
    for taken in sink.wait_for(21) {
        assert_eq!(taken.client.hello, other, "{taken:?}");
    }
}

/// Mail that waits for a source that cannot be used leaves by the pool that a reload brings.
#[test]
fn waiting_mail_follows_a_reload_of_pools() {
    let (setup, port) = usual();
    let sink = Sink::start(port);
    let dead = POOLS.replace("127.0.0.11", "192.0.2.1");
    let server = Server::start(setup.table(&route(port, &dead)));
    submit(&server, &["carol@far.test"], "waits");
    server.wait_for_log("egress source suspended", 0);
    assert!(sink.taken().is_empty());
    let text = server.setup.text();
    let pool = "name = \"default\"\nsource = [{ name = \"a\", weight = 1 }]";
    assert!(text.contains(pool));
    reload(
        &server,
        &text.replace(pool, &pool.replace("\"a\"", "\"b\"")),
    );
    assert_eq!(sink.wait_for(1)[0].client.hello, "b.test");
}

/// Mail that waits for a host that shows too little goes when a reload takes the policy back.
#[test]
fn waiting_mail_follows_a_reload_of_policies() {
    let (setup, port) = usual();
    let sink = Sink::start(port);
    let policy = "[[tls_policy]]\ndomains = [\"far.test\"]\ntls = \"required\"\n";
    let server = Server::start(setup.table(&route(port, policy)));
    submit(&server, &["carol@far.test"], "waits");
    let said = server.wait_for_log("result=deferred", 0).1;
    assert!(said.contains("TLS"), "{said}");
    submit(&server, &["dave@near.test"], "goes");
    assert_eq!(sink.wait_for(1)[0].to, ["dave@near.test"]);
    let text = server.setup.text();
    reload(&server, &text.replace(policy, ""));
    assert_eq!(sink.wait_for(2)[1].to, ["carol@far.test"]);
}

/// A rule that a reload brings judges the next reply to what waits.
#[test]
fn waiting_mail_follows_a_reload_of_rules() {
    let (setup, port) = usual();
    let _sink = Sink::with(port, |moment| match moment {
        Moment::Rcpt(..) => Some("450 4.2.0 Moved for good".to_owned()),
        _ => None,
    });
    let server = Server::start(setup.table(&route(port, "")));
    submit(&server, &["carol@far.test"], "waits");
    server.wait_for_log("result=deferred", 0);
    let rule = "[[rule]]\nname = \"moved\"\nreply = 'moved for good'\naction = \"bounce\"\n";
    reload(&server, &format!("{}\n{rule}", server.setup.text()));
    let told = server.inbox(ALICE, 1).remove(0);
    assert!(
        told.contains("Moved for good") && told.contains("Action: failed"),
        "{told}"
    );
}

/// Another way that the operator orders is no way around the policy of the domain.
#[test]
fn a_detour_heeds_the_policy_of_the_domain() {
    let (mut setup, dead) = usual();
    let (clear, private) = (setup.spare_port(), setup.spare_port());
    let policy = "[[tls_policy]]\ndomains = [\"far.test\"]\ntls = \"required\"\n";
    let open = Sink::start(clear);
    let tls = Authority::make().certify("relay.test").server();
    let closed = Sink::with_tls(private, tls);
    let server = Server::start(setup.table(&route(dead, policy)));
    submit(&server, &["carol@far.test"], "stuck");
    let (line, _) = server.wait_for_log("result=deferred", 0);
    let reroute = |to: SocketAddr| {
        let via = format!("smarthost:{to}");
        queue(&server, &["reroute", "--domain", "far.test", "--via", &via]);
        queue(&server, &["retry", "--all"]);
    };
    reroute(clear);
    let end = std::time::Instant::now() + tests::connection::DEADLINE;
    let mut from = line + 1;
    while open.connections() == 0 {
        from = server.wait_for_log("result=deferred", from).0 + 1;
        assert!(std::time::Instant::now() < end);
    }
    assert!(open.taken().is_empty(), "without TLS it must not go");
    reroute(private);
    assert!(closed.wait_for(1)[0].client.tls.is_some());
    assert!(open.taken().is_empty());
}
