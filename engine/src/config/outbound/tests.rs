//! A wrong line about outbound mail is named; a right one means what it says.

use super::super::{Config, Outside, Problems};
use super::*;
use std::path::Path;

fn parse(text: &str) -> Result<Config, Problems> {
    let outside = Outside {
        readable: &|_| Ok(()),
        secret: &|_| Ok(()),
    };
    let head = "hostname = \"mx.example.org\"\ndata = \"/d\"\n";
    Config::parse(Path::new("r.toml"), &format!("{head}{text}"), outside)
}

fn outbound(text: &str) -> Outbound {
    parse(text).unwrap().outbound
}

/// The faults, lines counted from the first of `text`.
fn faults(text: &str) -> Vec<String> {
    let problems = parse(text).unwrap_err();
    let shown = |problem: super::super::Problem| format!("{}: {}", problem.line - 2, problem.what);
    problems.list.into_iter().map(shown).collect()
}

#[test]
fn without_a_route_nothing_leaves() {
    let config = parse("[queue]\nretry = [\"1s\"]\n").unwrap();
    assert!(!config.outbound.is_on());
    assert!(
        config
            .outbound
            .route("example.net", Whom::default())
            .is_none()
    );
    assert!(config.explain().contains("sends no mail to other hosts"));
}

#[test]
fn the_most_exact_route_holds() {
    let text = "[[route]]\ndomains = [\"*\"]\nvia = \"mx\"\n\
        [[route]]\ndomains = [\"*.corp.test\", \"corp.test\"]\nvia = \"relay\"\n\
        host = \"gw.test\"\n\
        [[route]]\ndomains = \"x.corp.test\"\nvia = \"lmtp\"\nhost = \"[::1]:2424\"\n\
        [[route]]\ndomains = \"bad.test\"\nvia = \"reject\"\nreason = \"No\"\n";
    let outbound = outbound(text);
    let via = |domain: &str| {
        outbound
            .route(domain, Whom::default())
            .unwrap()
            .1
            .via
            .clone()
    };
    assert_eq!(via("example.net"), Via::Mx);
    assert_eq!(via("[192.0.2.1]"), Via::Mx);
    assert_eq!(
        via("bad.test"),
        Via::Reject {
            reason: "No".into()
        }
    );
    let host = |domain| match via(domain) {
        Via::Host { host, protocol, .. } => (host.to_string(), protocol),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        host("a.b.corp.test"),
        ("gw.test:25".into(), HopProtocol::Smtp)
    );
    assert_eq!(host("corp.test"), ("gw.test:25".into(), HopProtocol::Smtp));
    assert_eq!(
        host("x.corp.test"),
        ("[::1]:2424".into(), HopProtocol::Lmtp)
    );
    assert_eq!(host("y.x.corp.test").0, "gw.test:25");
}

#[test]
fn a_route_has_the_pace_of_the_queue_where_it_says_nothing() {
    let text = "[queue]\nretry = [\"10s\", \"2m\"]\nexpire = \"2d\"\nwarn = 0\n\
        [[route]]\ndomains = \"*\"\nvia = \"mx\"\n\
        [[route]]\ndomains = \"slow.test\"\nvia = \"mx\"\nconnections_max = 1\n\
        messages_per_minute_max = 30\nexpire = \"1h\"\n";
    let outbound = outbound(text);
    let pace = |domain: &str| outbound.pace(domain, Whom::default()).clone();
    assert_eq!(pace("a.test").retry_secs, [10, 120]);
    assert_eq!(
        (pace("a.test").expire_secs, pace("a.test").warn_secs),
        (172_800, None)
    );
    let slow = pace("slow.test");
    assert_eq!((slow.connections_max, slow.per_minute_max), (1, Some(30)));
    assert_eq!((slow.retry_secs, slow.expire_secs), (vec![10, 120], 3_600));
}

#[test]
fn a_smarthost_may_ask_for_a_login_over_tls() {
    let text = "[[route]]\ndomains = \"*\"\nvia = \"smarthost\"\nhost = \"mail.test\"\n\
        user = \"u\"\npassword = \"secret\"\ntls = \"verified\"\n";
    let config = parse(text).unwrap();
    let (_, route) = config.outbound.route("a.test", Whom::default()).unwrap();
    assert_eq!(route.tls, TlsDemand::Verified);
    assert!(!format!("{:?}", config.outbound).contains("secret"));
    assert!(!config.explain().contains("secret"));
    assert!(
        config
            .explain()
            .contains("mail.test:587 by SMTP as u, tls verified")
    );
    let clear = text.replace("verified", "opportunistic");
    assert_eq!(
        faults(&clear),
        ["1: a login needs tls = \"verified\", \"required\" or \"implicit\""]
    );
}

#[test]
fn wrong_lines_are_named() {
    let text = "[queue]\nretry = [\"soon\"]\nexpire = \"1y\"\n[[route]]\nvia = \"mx\"\n\
        [[route]]\ndomains = \"a b\"\nvia = \"pigeon\"\n[[route]]\ndomains = \"c.test\"\n\
        via = \"relay\"\nhost = \"a:b:c\"\n[relay]\nnetworks = \"10.0.0.1/8\"\n\
        [[egress]]\naddress = \"here\"\nname = \"x\"\n";
    let faults = faults(text);
    for (line, word) in [
        (2, "retry"),
        (3, "expire"),
        (4, "needs domains"),
        (7, "domains"),
        (8, "pigeon"),
        (12, "host"),
        (14, "networks"),
        (16, "address"),
    ] {
        let named =
            |fault: &&String| fault.starts_with(&format!("{line}: ")) && fault.contains(word);
        assert!(
            faults.iter().any(|fault| named(&fault)),
            "{line} {word}: {faults:#?}"
        );
    }
}

#[test]
fn a_route_to_ourselves_is_a_loop() {
    let text = |at: &str, host: &str| {
        format!(
            "[[listener]]\nprotocol = \"smtp\"\naddress = \"{at}\"\ntls = \"none\"\n\
             [[route]]\ndomains = \"*\"\nvia = \"relay\"\nhost = \"{host}\"\n"
        )
    };
    let what = "3: the [[route]] for * leads back to this listener";
    for (at, host) in [
        ("127.0.0.1:25", "127.0.0.1:25"),
        ("0.0.0.0:25", "127.0.0.1:25"),
        ("[::]:25", "[::1]:25"),
    ] {
        assert_eq!(faults(&text(at, host)), [what], "{at} {host}");
    }
    assert!(parse(&text("127.0.0.1:25", "127.0.0.1:2525")).is_ok());
    assert!(parse(&text("0.0.0.0:25", "192.0.2.1:25")).is_ok());
}

#[test]
fn certificates_and_times_of_senders_are_read() {
    let fingerprint = ["AB"; 32].join(":");
    let text = format!(
        "[queue]\nhold_max = \"7d\"\ndeliver_by_min = \"1m\"\n\
         [[route]]\ndomains = \"*\"\nvia = \"mx\"\n\
         [relay]\ncertificates = [\"{fingerprint}\"]\nclient_authorities = \"ca.pem\"\n"
    );
    let config = parse(&text).unwrap();
    let (queue, relay) = (&config.outbound.queue, &config.outbound.relay);
    assert_eq!(
        (queue.hold_secs_max, queue.deliver_by_secs_min),
        (604_800, 60)
    );
    assert_eq!(relay.certificates, [Fingerprint([0xab; 32])]);
    assert!(relay.asks_for_certificates());
    let words = config.explain();
    for word in ["sha256:abab", "ca.pem", "for up to 7d"] {
        assert!(words.contains(word), "{word} in\n{words}");
    }
    let wrong = text.replace("AB:AB:AB", "XY");
    assert!(faults(&wrong)[0].contains("openssl x509"), "{wrong}");
}

#[test]
fn a_domain_has_one_route() {
    let text = "[[route]]\ndomains = \"A.test\"\nvia = \"mx\"\n\
        [[route]]\ndomains = \"a.test\"\nvia = \"discard\"\n";
    assert_eq!(faults(text), ["4: there is another [[route]] for a.test"]);
}

#[test]
fn networks_hold_their_own() {
    let holds = |network: &str, address: &str| {
        let network = Network::parse(network).unwrap();
        network.holds(address.parse().unwrap())
    };
    assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
    assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "::1"));
    assert!(holds("::1", "::1") && !holds("::1", "::2"));
    assert!(holds("2001:db8::/32", "2001:db8:1::1") && holds("::/0", "::"));
    for wrong in ["10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "x", ""] {
        assert_eq!(Network::parse(wrong), None, "{wrong}");
    }
}

const BY_WHOM: &str = r#"
[[route]]
domains = "*"
via = "mx"
[[route]]
domains = "*"
tenants = "@b.test"
via = "relay"
host = "tenant.test"
[[route]]
domains = "*"
senders = ["<>", "*.lists.test", "ann@b.test"]
via = "relay"
host = "sender.test"
[[route]]
domains = "*"
senders = "ann@b.test"
tenants = "bob@b.test"
via = "relay"
host = "both.test"
[[route]]
domains = "own.test"
via = "relay"
host = "own.test"
[[route]]
domains = "some.test"
senders = "@b.test"
via = "relay"
host = "some.test"
"#;

/// The domain first, then the sender, then the tenant; a pattern for others does not hold.
#[test]
fn the_most_exact_route_of_a_sender_holds() {
    let outbound = outbound(BY_WHOM);
    let host = |domain: &str, sender: &str, tenant: &str| {
        let (_, route) = outbound.route(domain, Whom { sender, tenant }).unwrap();
        match &route.via {
            Via::Host { host, .. } => host.name.clone(),
            _ => "mx".to_owned(),
        }
    };
    assert_eq!(host("far.test", "x@c.test", "x@c.test"), "mx");
    assert_eq!(host("far.test", "x@c.test", "x@b.test"), "tenant.test");
    assert_eq!(host("far.test", "ann@b.test", "x@b.test"), "sender.test");
    assert_eq!(host("far.test", "ann@b.test", "bob@b.test"), "both.test");
    assert_eq!(
        host("far.test", "l@x.lists.test", "x@c.test"),
        "sender.test"
    );
    assert_eq!(host("far.test", "l@lists.test", "x@c.test"), "mx");
    assert_eq!(host("far.test", "<>", "<>"), "sender.test");
    assert_eq!(host("own.test", "ann@b.test", "bob@b.test"), "own.test");
    assert_eq!(host("some.test", "ann@b.test", ""), "some.test");
    assert_eq!(
        host("some.test", "x@c.test", ""),
        "mx",
        "the pattern is for others"
    );
    // What is kept of a sender finds the same routes.
    for sender in [
        "ann@b.test",
        "l@x.lists.test",
        "<>",
        "x@c.test",
        "bo@b.test",
    ] {
        let pattern = outbound.sender_pattern(sender).unwrap_or_default();
        for domain in ["far.test", "own.test", "some.test"] {
            for tenant in ["", "bob@b.test", "x@c.test"] {
                assert_eq!(
                    host(domain, &pattern, tenant),
                    host(domain, sender, tenant),
                    "{sender} {domain} {tenant}"
                );
            }
        }
    }
}

#[test]
fn two_routes_for_the_same_mail_are_a_fault() {
    let twice = BY_WHOM.replace("tenants = \"bob@b.test\"", "");
    let told = faults(&twice);
    let what = "there is another [[route]] for * and the same mail";
    assert!(told.iter().any(|told| told.contains(what)), "{told:?}");
    let told = faults("[[route]]\ndomains = \"*\"\nvia = \"mx\"\nsenders = \"b.test\"\n");
    let what = "senders: \"b.test\" is no address, no \"@example.org\" and no \"*.example.org\"";
    assert!(told.iter().any(|told| told.contains(what)), "{told:?}");
    let told = faults("[queue]\npostmaster_copies = \"sent\"\n");
    assert!(
        told.iter()
            .any(|told| told.contains("neither \"failed\" nor")),
        "{told:?}"
    );
}
