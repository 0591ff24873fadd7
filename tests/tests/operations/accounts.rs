//! Accounts and domains by `ringpostctl`, with the server running and without; quotas.

use super::{ALICE, message};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::binary;
use tests::corpus::plain;
use tests::imap::Imap;
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};

#[test]
fn accounts_and_domains_while_it_runs() {
    let server = Server::usual();
    let setup = &server.setup;
    ctl(setup, &["domain", "add", "made.test"], "").unwrap();
    assert!(
        ctl(setup, &["domain", "list"], "")
            .unwrap()
            .contains("made.test")
    );
    ctl(
        setup,
        &["account", "add", "eve@made.test"],
        "first-secret\n",
    )
    .unwrap();
    let listed = ctl(setup, &["account", "list"], "").unwrap();
    assert!(listed.contains("eve@made.test"), "{listed}");
    assert!(
        !listed.contains("first-secret"),
        "the list shows a password: {listed}"
    );
    assert!(login(&server, "eve@made.test", "first-secret"));
    server.deliver(&["eve@made.test"], &message("welcome"));
    ctl(
        setup,
        &["account", "passwd", "eve@made.test"],
        "second-secret\n",
    )
    .unwrap();
    assert!(login(&server, "eve@made.test", "second-secret"));
    assert!(!login(&server, "eve@made.test", "first-secret"));
    ctl(setup, &["account", "remove", "--yes", "eve@made.test"], "").unwrap();
    assert!(!login(&server, "eve@made.test", "second-secret"));
    ctl(setup, &["domain", "remove", "made.test"], "").unwrap();
    assert!(
        !ctl(setup, &["domain", "list"], "")
            .unwrap()
            .contains("made.test")
    );
}

#[test]
fn accounts_and_domains_while_it_stands() {
    let mut server = Server::usual();
    assert!(server.terminate(Duration::from_secs(45)).success());
    ctl(&server.setup, &["domain", "add", "made.test"], "").unwrap();
    ctl(
        &server.setup,
        &["account", "add", "eve@made.test"],
        "first-secret\n",
    )
    .unwrap();
    assert!(
        ctl(&server.setup, &["account", "list"], "")
            .unwrap()
            .contains("eve@made.test")
    );
    server.restart();
    assert!(login(&server, "eve@made.test", "first-secret"));
    assert!(login(&server, ALICE, PASSWORD));
    server.deliver(&["eve@made.test"], &message("welcome"));
    server.kill_and_restart();
    assert!(
        login(&server, "eve@made.test", "first-secret"),
        "made accounts outlive a crash"
    );
    assert!(server.terminate(Duration::from_secs(45)).success());
    ctl(
        &server.setup,
        &["account", "remove", "--yes", "eve@made.test"],
        "",
    )
    .unwrap();
    server.restart();
    assert!(!login(&server, "eve@made.test", "first-secret"));
}

#[test]
fn wrong_orders_are_refused_with_a_reason() {
    let server = Server::usual();
    for (order, input) in [
        (&["account", "add", "no-at-sign"][..], "x\n"),
        (&["account", "add", "x@nowhere.test"], "x\n"),
        (&["account", "add", ALICE], "x\n"),
        (&["account", "passwd", "nobody@example.test"], "x\n"),
        (&["account", "remove", "--yes", "nobody@example.test"], ""),
        (&["domain", "add", "a b"], ""),
        (&["domain", "remove", "unknown.test"], ""),
        (&["domain", "fly"], ""),
    ] {
        let refused = ctl(&server.setup, order, input).expect_err("it must be refused");
        assert!(
            !refused.trim().is_empty() && !refused.contains("panicked"),
            "{order:?}: {refused}"
        );
    }
}

/// A full mailbox refuses, keeps what it has, and takes mail again when there is room.
#[test]
fn a_quota_is_kept_and_freed() {
    let small = "small@example.test";
    let server = Server::start(Setup::usual().account_with_quota(small, PASSWORD, "1 MiB"));
    let large = plain("large", 400_000, &mut Seed::new(1));
    let mut lmtp = server.lmtp();
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        lmtp.command("MAIL FROM:<a@remote.test>")
            .unwrap()
            .expect(250)
            .unwrap();
        if lmtp.command(&format!("RCPT TO:<{small}>")).unwrap().code != 250 {
            lmtp.command("RSET").unwrap();
            outcomes.push(552);
            continue;
        }
        outcomes.push(lmtp.lmtp_data(&large, 1).unwrap()[0].code);
    }
    assert_eq!(outcomes[..2], [250, 250]);
    assert!(matches!(outcomes[2], 452 | 552), "{outcomes:?}");
    let mut imap = server.imap_in(small, "INBOX");
    let answer = imap.command("APPEND INBOX {400000}").unwrap();
    assert!(
        answer.status.starts_with("NO [OVERQUOTA]"),
        "{}",
        answer.status
    );
    imap.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.ok("EXPUNGE").unwrap();
    server.deliver(&[small], &large);
}

fn login(server: &Server, user: &str, password: &str) -> bool {
    Imap::login(server.addresses().imaps, user, password).is_ok()
}

/// Runs the tool with a password on its standard input; the error is what it said.
pub(super) fn ctl(setup: &Setup, order: &[&str], input: &str) -> Result<String, String> {
    let mut command = Command::new(binary::ringpostctl());
    command.arg("--data").arg(setup.data()).args(order);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool is built");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("our child can be awaited");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(complained + &said)
    }
}
