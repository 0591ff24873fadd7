//! Mail for other hosts: sent, tried again, given back, asked about; what is cut off goes on.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod asking;
mod bulk;
mod changes;
mod cut;
mod envelope;
mod hooks;
mod hostile;
mod inject;
mod large;
mod memory;
mod mx;
mod peers;
mod private;
mod receipts;
mod resets;
mod routing;
mod rules;
mod sending;
mod smarthost;
mod sources;
mod story;
mod stuck;
mod tls;

use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::sink::Sink;
use tests::smtp::Smtp;

const ALICE: &str = "alice@example.test";

/// A server whose mail for everybody goes to one host, and that host's port. Attempts follow each
/// other after a second.
fn setup_with_smarthost(more: &str) -> (Setup, std::net::SocketAddr) {
    let mut setup = Setup::usual();
    let port = setup.spare_port();
    let retry = match more.contains("retry") {
        true => "",
        false => "retry = \"1s\"\n",
    };
    let route =
        format!("[[route]]\ndomains = \"*\"\nvia = \"relay\"\nhost = \"{port}\"\n{retry}{more}");
    (setup.table(&route), port)
}

/// Alice submits one message; it is taken.
fn submit(server: &Server, to: &[&str], subject: &str) {
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    let reply = smtp.deliver(ALICE, to, &text(subject)).unwrap();
    reply.expect(250).unwrap();
}

fn text(subject: &str) -> Vec<u8> {
    format!("From: {ALICE}\r\nSubject: {subject}\r\n\r\n.dots\r\nand {subject}\r\n").into_bytes()
}

/// Both together.
fn with_sink(more: &str) -> (Server, Sink) {
    let (setup, port) = setup_with_smarthost(more);
    let sink = Sink::start(port);
    (Server::start(setup), sink)
}
