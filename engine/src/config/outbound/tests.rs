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
    assert_eq!(route.tls.demand, TlsDemand::Verified);
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
        [[source]]\naddress = \"here\"\nname = \"x\"\n";
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

#[test]
fn sources_and_pools_are_read() {
    let text = "[[route]]\ndomains = \"*\"\nvia = \"mx\"\npool = \"bulk\"\n\
        [[source]]\nname = \"a\"\naddress = [\"192.0.2.1\", \"2001:db8::1\"]\nweight = 3\n\
        [source.warmup]\nstart = \"2026-12-01\"\ndays = [10, 20]\n\
        site = [{ site = \"google\", first = 5, growth_percent = 100, target = 30 }]\n\
        [[source]]\nname = \"b\"\nproxy = \"socks5://u:p@w@10.0.0.9:1080\"\n\
        [[pool]]\nname = \"bulk\"\nsource = [{ name = \"b\" }, { name = \"a\", weight = 7 }]\n\
        tenants = [\"News@example.org\"]\nsenders = [\"@Bulk.example\"]\n";
    let config = parse(text).unwrap();
    let outbound = &config.outbound;
    assert_eq!(outbound.pools[0].members, [(0, 3), (1, 1)]);
    let bulk = &outbound.pools[1];
    assert_eq!(bulk.members, [(1, 1), (0, 7)]);
    assert_eq!(
        (bulk.tenants[0].as_str(), bulk.senders[0].as_str()),
        ("news@example.org", "@bulk.example")
    );
    let (_, route) = outbound.route("x.test", Whom::default()).unwrap();
    assert_eq!(route.pool, Some(1));
    let Some(Proxy::Socks5(host, Some(login))) = &outbound.sources[1].proxy else {
        panic!("{:?}", outbound.sources[1].proxy);
    };
    assert_eq!(
        (host.to_string(), login.password.as_str()),
        ("10.0.0.9:1080".into(), "p@w")
    );
    let warmup = outbound.sources[0].warmup.clone().unwrap();
    let first = warmup.start_day;
    let on = |site, day| warmup.allows(site, first + day);
    assert_eq!(warmup.allows("x", first - 1), Some(0));
    assert_eq!(
        [on("x", 0), on("x", 1), on("x", 2)],
        [Some(10), Some(20), None]
    );
    assert_eq!(
        [
            on("google", 0),
            on("google", 2),
            on("google", 3),
            on("google", 9_999)
        ],
        [Some(5), Some(20), None, None]
    );
    assert!(!config.explain().contains("p@w"), "{}", config.explain());
}

#[test]
fn wrong_sources_and_pools_are_named() {
    let text = "[[source]]\nname = \"a\"\naddress = [\"192.0.2.1\", \"192.0.2.2\"]\n\
        [[source]]\nname = \"a\"\nproxy = \"http://secret@x\"\n[[source]]\nname = \"c\"\n\
        address = \"192.0.2.3\"\nproxy = \"socks5://h.test:1080\"\n[source.warmup]\n\
        start = \"soon\"\nfirst = 5\n[[pool]]\nname = \"p\"\nsource = [{ name = \"z\" }]\n\
        [[pool]]\nname = \"q\"\nsource = [{ name = \"a\" }, { name = \"a\" }]\n\
        [[route]]\ndomains = \"*\"\nvia = \"mx\"\npool = \"r\"\n[[egress]]\nname = \"o\"\n";
    let faults = faults(text);
    for (line, word) in [
        (3, "one of IPv4"),
        (6, "haproxy:host:port"),
        (7, "SOCKS5 proxy chooses"),
        (12, "YYYY-MM-DD"),
        (11, "growth_percent"),
        (16, "\"z\""),
        (17, "twice"),
        (23, "\"r\""),
        (24, "[[source]] now"),
    ] {
        let named =
            |fault: &&String| fault.starts_with(&format!("{line}: ")) && fault.contains(word);
        assert!(
            faults.iter().any(|fault| named(&fault)),
            "{line} {word}: {faults:#?}"
        );
    }
    assert!(!faults.concat().contains("secret"));
}

#[test]
fn a_policy_of_a_domain_goes_before_its_route() {
    let pin = "ab".repeat(32);
    let text = format!(
        "[[route]]\ndomains = \"*\"\nvia = \"mx\"\ntls = \"dane\"\n[[tls_policy]]\n\
         domains = [\"bank.test\", \"*.bank.test\"]\ntls = \"verified\"\ntls_min = \"1.3\"\n\
         fingerprints = \"{pin}\"\n"
    );
    let outbound = outbound(&text);
    assert_eq!(
        outbound
            .route("a.test", Whom::default())
            .unwrap()
            .1
            .tls
            .demand,
        TlsDemand::Dane
    );
    assert_eq!(outbound.tls_policy("a.test"), None);
    let (place, policy) = outbound.tls_policy("mail.bank.test").unwrap();
    assert_eq!(
        (place, policy.fingerprints.as_slice()),
        (0, &[[0xab; 32]][..])
    );
    assert!(policy.is_13_only && policy.demand == TlsDemand::Verified);
    let wrong = text.replace("verified", "opportunistic");
    assert_eq!(
        faults(&wrong),
        ["5: fingerprints and ca need tls = \"verified\" or \"implicit\""]
    );
    let wrong = text.replace("\"1.3\"", "\"1.1\"");
    assert_eq!(
        faults(&wrong),
        ["8: tls_min: expected \"1.2\" or \"1.3\", not \"1.1\""]
    );
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
