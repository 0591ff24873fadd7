//! Machines not as we wish: io_uring denied, no O_DIRECT; and the demo.

use super::{ALICE, message};
use std::net::TcpListener;
use std::process::Command;
use tests::imap::Imap;
use tests::peer::find;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::smtp::Smtp;
use tests::{binary, peer};

/// Containers often deny io_uring: the server says so once and goes on.
#[test]
fn denied_io_uring_is_no_reason_to_stop() {
    if peer::peer("python3").is_none() {
        return;
    }
    let setup = Setup::usual();
    setup.write();
    let mut command = Command::new(find("python3").unwrap());
    command.arg(binary::workspace().join("tests/clients/without_uring.py"));
    command
        .arg(binary::ringpost())
        .arg("--config")
        .arg(setup.config_file());
    let mut server = Server::start_with(setup, command);
    let lines = server.log_lines();
    let told = lines
        .iter()
        .filter(|line| line.contains("io_uring"))
        .count();
    assert!(
        told >= 1,
        "the log does not say that io_uring is denied:\n{}",
        server.log_tail()
    );
    server.deliver(&[ALICE], &message("without io_uring"));
    let mut imap = server.imap_in(ALICE, "INBOX");
    assert_eq!(imap.fetch("FETCH 1 BODY.PEEK[]").unwrap().len(), 1);
    server.kill_and_restart();
    assert_eq!(
        server.imap(ALICE).status("INBOX", "MESSAGES").unwrap()["MESSAGES"],
        1
    );
}

/// A file system without O_DIRECT is slower, and as safe as it can be.
#[test]
fn a_memory_file_system_will_do() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("SKIPPED: no writable /dev/shm here");
        return;
    };
    let mut server = Server::start(Setup::usual().data_in(&folder.path().join("data")));
    server.deliver(&[ALICE], &message("in memory"));
    server.kill_and_restart();
    assert_eq!(
        server.imap(ALICE).status("INBOX", "MESSAGES").unwrap()["MESSAGES"],
        1
    );
}

/// `ringpost` without anything is a mail server on loopback that a stranger can try.
#[test]
fn the_demo_is_a_mail_server() {
    let ports = [2525, 5587, 5465, 2424, 1143, 1993, 8080];
    if ports
        .iter()
        .any(|port| TcpListener::bind(("127.0.0.1", *port)).is_err())
    {
        eprintln!("SKIPPED: one of the demo's ports {ports:?} is in use on this machine");
        return;
    }
    let mut setup = Setup::usual();
    let address = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    setup.addresses.smtp = address(2525);
    setup.addresses.submission = address(5587);
    setup.addresses.submissions = address(5465);
    setup.addresses.lmtp = address(2424);
    setup.addresses.imap = address(1143);
    setup.addresses.imaps = address(1993);
    setup.addresses.http = address(8080);
    let mut command = Command::new(binary::ringpost());
    command
        .arg("--data")
        .arg(setup.data())
        .current_dir(setup.directory.path());
    let server = Server::start_with(setup, command);
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    let sent = smtp
        .deliver(ALICE, &["bob@example.test"], &message("hello bob"))
        .unwrap();
    sent.expect(250).unwrap();
    let mut imap = Imap::login(server.addresses().imaps, "bob@example.test", PASSWORD).unwrap();
    assert!(imap.ok("SELECT INBOX").unwrap().has("* 1 EXISTS"));
}
