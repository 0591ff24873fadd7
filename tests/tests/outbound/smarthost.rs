//! A smarthost that wants to know who sends: it proves itself by its certificate before it is shown
//! a password.

use super::submit;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use tests::authority::Authority;
use tests::dns::DnsServer;
use tests::postfix::Postfix;
use tests::server::Server;
use tests::setup::Setup;

/// A whole Postfix takes mail of who has logged in, and of nobody else; its certificate is one of
/// an authority that we trust, for the name in the configuration.
#[test]
fn postfix_takes_mail_of_who_has_logged_in() {
    for (certified, password, wanted) in [
        ("relay.far.test", "secret", "how=delivered"),
        ("relay.far.test", "guess", "535"),
        ("relay.evil.test", "secret", "certificate"),
    ] {
        let Some(world) = world(certified, password) else {
            return;
        };
        submit(&world.server, &["carol@far.test"], certified);
        let said = world.server.wait_for_log(wanted, 0).1;
        let log = world.postfix.log();
        let has_login = log.contains("sasl_method=PLAIN, sasl_username=ringpost");
        assert_eq!(has_login, wanted == "how=delivered", "{said}\n{log}");
        if wanted == "certificate" {
            assert!(
                !log.contains("authentication"),
                "no password was shown: {log}"
            );
        }
    }
}

struct World {
    server: Server,
    postfix: Postfix,
    _dns: DnsServer,
    _home: tempfile::TempDir,
}

/// `None`: there is no Postfix here.
fn world(certified: &str, password: &str) -> Option<World> {
    let dns = DnsServer::start();
    dns.zone("relay.far.test 300 A 127.0.0.1");
    let authority = Authority::make();
    let mut setup = Setup::usual().top("shards = 1");
    let port = setup.spare_port().port();
    let folder = setup.directory.path().to_owned();
    let authorities = authority.write(&folder, "authorities.pem");
    let (cert, key) = authority.certify(certified).write(&folder, "relay");
    let more = format!(
        "virtual_transport = discard\n\
         smtpd_relay_restrictions = permit_sasl_authenticated, reject\n\
         smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\n\
         smtpd_sasl_path = inet:127.0.0.1:{}\nsmtpd_tls_auth_only = yes\n\
         smtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\n\
         smtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}",
        passwords(),
        cert.display(),
        key.display(),
    );
    let home = tempfile::tempdir().unwrap();
    let postfix = Postfix::start(home.path(), port, "far.test", &more)?;
    let tables = format!(
        "[resolver]\nservers = \"{}\"\nloopback_hosts = true\nmta_sts = false\n\
         dnssec = \"off\"\n[tls]\nauthorities = {authorities:?}\n\
         [[route]]\ndomains = \"*\"\nvia = \"smarthost\"\nhost = \"relay.far.test:{port}\"\n\
         user = \"ringpost\"\npassword = \"{password}\"\ntls = \"verified\"\nretry = \"1h\"\n",
        dns.address()
    );
    Some(World {
        server: Server::start(setup.table(&tables)),
        postfix,
        _dns: dns,
        _home: home,
    })
}

/// Tells Postfix, in the protocol of Dovecot, whether a password is right; returns the port.
fn passwords() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A client that goes away ends its thread, and nobody asks why.
            std::thread::spawn(move || drop(answer(stream)));
        }
    });
    port
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    let cookie = "0".repeat(32);
    let hello = format!(
        "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t{cookie}\nDONE\n"
    );
    stream.write_all(hello.as_bytes())?;
    for line in lines {
        let line = line?;
        let mut words = line.split('\t');
        if words.next() != Some("AUTH") {
            continue;
        }
        let number = words.next().unwrap_or_default();
        let response = words
            .find_map(|word| word.strip_prefix("resp="))
            .unwrap_or_default();
        let is_right = STANDARD.decode(response).ok().as_deref() == Some(b"\0ringpost\0secret");
        let reply = match is_right {
            true => format!("OK\t{number}\tuser=ringpost\n"),
            false => format!("FAIL\t{number}\tuser=ringpost\n"),
        };
        stream.write_all(reply.as_bytes())?;
    }
    Ok(())
}
