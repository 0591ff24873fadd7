//! Postfix, whole, on a port of its own: it delivers to our LMTP listener as to any mail store.

use super::BOB;
use tests::peer::peer;
use tests::postfix::Postfix;
use tests::server::Server;

#[test]
fn postfix_delivers_a_thousand_by_lmtp() {
    if peer("smtp-source").is_none() {
        return;
    }
    let mut server = Server::usual();
    let port = server.setup.spare_port();
    let folder = tempfile::tempdir().unwrap();
    let lmtp = server.addresses().lmtp;
    let to_us = format!("virtual_transport = lmtp:inet:{lmtp}");
    let Some(postfix) = Postfix::start(folder.path(), port.port(), "example.test", &to_us) else {
        return;
    };
    let options = [
        "-s",
        "10",
        "-m",
        "1000",
        "-l",
        "4096",
        "-f",
        "a@example.test",
        "-t",
        BOB,
    ];
    let source = peer("smtp-source").unwrap().args(options);
    source.args([format!("inet:{port}")]).succeeds();
    server.wait_for_messages(BOB, 1_000);
    drop(postfix);
    server.assert_alive();
    assert_eq!(
        server.imap(BOB).status("INBOX", "MESSAGES").unwrap()["MESSAGES"],
        1_000
    );
}
