//! Which way mail takes: aliases to other hosts, maps, routes by whom, and orders about both.

mod aliases;
mod lmtp;
mod maps;
mod orders;
mod routes;

use super::{ALICE, submit, text};
use std::process::Command;
use tests::binary;
use tests::server::Server;
use tests::setup::Setup;
use tests::smtp::{Reply, Smtp};

/// `ringpostctl` with its answer; panics when it refuses.
fn ctl(server: &Server, arguments: &[&str]) -> String {
    let (succeeds, said) = try_ctl(server, arguments);
    assert!(succeeds, "{arguments:?}: {said}");
    said
}

/// The same where it may refuse: whether it did not, and all it said.
fn try_ctl(server: &Server, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(binary::ringpostctl())
        .arg("--data")
        .arg(server.setup.data())
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (
        output.status.success(),
        said + &String::from_utf8_lossy(&output.stderr),
    )
}

/// A route for some domains to one host.
fn relay(domains: &str, to: std::net::SocketAddr, more: &str) -> String {
    format!(
        "[[route]]\ndomains = \"{domains}\"\nvia = \"relay\"\nhost = \"{to}\"\n\
         retry = \"1s\"\n{more}"
    )
}

/// A stranger delivers one message from the Internet.
fn arrives(server: &Server, from: &str, to: &str, message: &[u8]) -> Reply {
    let mut smtp = server.smtp();
    smtp.deliver(from, &[to], message).unwrap()
}

fn rcpt(smtp: &mut Smtp, to: &str) -> Reply {
    smtp.command(&format!("RCPT TO:<{to}>")).unwrap()
}

fn usual() -> Setup {
    Setup::usual().top("shards = 2")
}
