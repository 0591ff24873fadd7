//! From one Ringpost to another over TLS that DANE proves: what senders ask of the way arrives, and
//! what must be private goes nowhere else (RFC 8689, RFC 7672).

use super::{ALICE, text};
use tests::certificate::fingerprint;
use tests::dns::DnsServer;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::smtp::Smtp;

/// Ours, that sends, and the other one, which is the only host of `far.test` and `wrong.test`; of
/// the second the TLSA record is that of another certificate.
struct World {
    _dns: DnsServer,
    ours: Server,
    other: Server,
}

impl World {
    fn start() -> World {
        let dns = DnsServer::start();
        let ours = Setup::usual();
        let back = format!(
            "[[route]]\ndomains = \"example.test\"\nvia = \"relay\"\nhost = \"{}\"",
            ours.addresses.smtp
        );
        let other = Setup::empty()
            .domain("far.test")
            .domain("wrong.test")
            .account("carol@far.test", PASSWORD)
            .account("dave@wrong.test", PASSWORD);
        let other = Server::start(other.table(&back));
        let (port, shown) = (
            other.addresses().smtp.port(),
            fingerprint(&other.setup.certificate()),
        );
        let wrong = "ab".repeat(32);
        dns.zone(&format!(
            "far.test 300 MX 10 mx.far.test\nmx.far.test 300 A 127.0.0.1\n\
             _{port}._tcp.mx.far.test 300 TLSA 3 0 1 {shown}\n\
             wrong.test 300 MX 10 mx.wrong.test\nmx.wrong.test 300 A 127.0.0.1\n\
             _{port}._tcp.mx.wrong.test 300 TLSA 3 0 1 {wrong}"
        ));
        dns.secure("far.test");
        dns.secure("wrong.test");
        let tables = format!(
            "[resolver]\nservers = \"{}\"\nloopback_hosts = true\nmx_port = {port}\n\
             mta_sts = false\ndnssec = \"local\"\ntimeout_secs = 2\nattempts = 2\n\
             [[route]]\ndomains = \"*\"\nvia = \"mx\"\nretry = \"1s\"",
            dns.address()
        );
        World {
            _dns: dns,
            ours: Server::start(ours.table(&tables)),
            other,
        }
    }

    fn send(&self, mail: &str, rcpt: &str, message: &[u8]) {
        let submissions = self.ours.addresses().submissions;
        let mut smtp = Smtp::submit(submissions, ALICE, PASSWORD).unwrap();
        let mail = format!("MAIL FROM:<{ALICE}> {mail}");
        smtp.command(&mail).unwrap().expect(250).unwrap();
        smtp.command(&format!("RCPT TO:{rcpt}"))
            .unwrap()
            .expect(250)
            .unwrap();
        smtp.data(message).unwrap().expect(250).unwrap();
    }
}

#[test]
fn what_is_asked_for_arrives_over_verified_tls() {
    let world = World::start();
    let asked = "REQUIRETLS MT-PRIORITY=4 BY=600;R ENVID=x1 RET=FULL";
    world.send(asked, "<carol@far.test> NOTIFY=SUCCESS", &text("secret"));
    let mail = world.other.inbox("carol@far.test", 1).remove(0);
    assert!(
        mail.contains("with ESMTPS id") && mail.contains("and secret"),
        "{mail}"
    );
    // The other host tells, and tells no more than it must.
    let told = world.ours.inbox(ALICE, 1).remove(0);
    for wanted in [
        "Action: delivered",
        "Original-Envelope-Id: x1",
        "carol@far.test",
    ] {
        assert!(told.contains(wanted), "{wanted} in\n{told}");
    }
    assert!(!told.contains("and secret"), "{told}");
}

#[test]
fn a_host_that_is_another_gets_only_what_nobody_protects() {
    let world = World::start();
    world.send("REQUIRETLS", "<dave@wrong.test>", &text("secret"));
    let told = world.ours.inbox(ALICE, 1).remove(0);
    for wanted in ["Status: 5.7.10", "Action: failed", "dave@wrong.test"] {
        assert!(told.contains(wanted), "{wanted} in\n{told}");
    }
    let open = [b"TLS-Required: No\r\n".as_slice(), &text("open")].concat();
    world.send("", "<dave@wrong.test>", &open);
    let mail = world.other.inbox("dave@wrong.test", 1).remove(0);
    assert!(mail.contains("and open"), "{mail}");
    world.send("", "<dave@wrong.test>", &text("usual"));
    let waits = world.ours.wait_for_log("result=deferred", 0).1;
    assert!(waits.contains("certificate"), "{waits}");
}
