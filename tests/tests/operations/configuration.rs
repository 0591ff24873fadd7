//! Wrong configurations: file, line and what was expected, exit 2, and nothing changed.

use super::{ALICE, message};
use std::net::TcpListener;
use std::process::Command;
use tests::binary;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};

/// Every fault is named with the line where it stands, by the server and by `ringpost check`.
#[test]
fn every_fault_is_told_with_its_line() {
    for (faulty, expected) in [
        (
            "[[listener]]\nprotocol = \"gopher\"\naddress = \"127.0.0.1:70\"",
            "gopher",
        ),
        (
            "[[listener]]\nprotocol = \"smtp\"\naddress = \"nowhere\"",
            "address",
        ),
        (
            "[[listener]]\nprotocol = \"smtp\"\naddress = \"127.0.0.1:70\"\ntls = \"maybe\"",
            "tls",
        ),
        ("[[domain]]\nname = \"a b\"", "a b"),
        ("[[domain]]\nname = \"x.test\"\ncolour = \"red\"", "colour"),
        (
            "[[account]]\naddress = \"x@nowhere.test\"\npassword = \"{PLAIN}x\"",
            "nowhere.test",
        ),
        (
            "[[account]]\naddress = \"x@example.test\"\npassword = \"$9$what\"",
            "password",
        ),
        ("[[account]]\naddress = \"x@example.test\"", "password"),
        (
            "[[account]]\naddress = \"alice@example.test\"\npassword = \"{PLAIN}x\"",
            "alice",
        ),
        (
            "[[alias]]\nfrom = \"a@example.test\"\nto = \"a@example.test\"",
            "loop",
        ),
        (
            "[[certificate]]\nnames = [\"x.test\"]\ncert = \"/none\"\nkey = \"/none\"",
            "/none",
        ),
        ("[[domain]\nname = \"x.test\"", ""),
        ("shards = = 3", ""),
    ] {
        let setup = Setup::usual().table(faulty);
        let (code, said) = Server::refused(&setup);
        assert_eq!(code, Some(2), "{faulty}:\n{said}");
        let file = setup.config_file().display().to_string();
        let line = line_of(&setup.text(), faulty);
        assert!(
            said.contains(expected),
            "{faulty}: {expected:?} is not in\n{said}"
        );
        let near = (line..line + 4).any(|line| said.contains(&format!("{file}:{line}:")));
        assert!(near, "{faulty}: {file}:{line} is not in\n{said}");
        let (code, checked) = check(&setup);
        assert_eq!(code, Some(2), "check: {checked}");
        assert!(checked.contains(&file), "check: {checked}");
    }
}

#[test]
fn check_explains_a_good_configuration() {
    let setup = Setup::usual();
    setup.write();
    let (code, said) = check(&setup);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("example.test"), "{said}");
    assert!(
        !said.contains(PASSWORD),
        "the explanation shows a password: {said}"
    );
    assert!(
        !setup.data().exists(),
        "a check must not make the data directory"
    );
}

#[test]
fn a_missing_file_is_named() {
    let mut command = Command::new(binary::ringpost());
    let output = command
        .args(["--config", "/nowhere/ringpost.toml"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("/nowhere/ringpost.toml"), "{said}");
}

#[test]
fn a_port_in_use_is_named() {
    let setup = Setup::usual();
    let _held = TcpListener::bind(setup.addresses.imap).unwrap();
    let (code, said) = Server::refused(&setup);
    assert!(code.is_some_and(|code| code != 0), "{said}");
    assert!(
        said.contains(&setup.addresses.imap.to_string()),
        "the port is not named: {said}"
    );
}

/// Two servers on one log would destroy it.
#[test]
fn a_data_directory_in_use_is_named() {
    let mut first = Server::usual();
    let second = Setup::usual().data_in(&first.setup.data());
    let (code, said) = Server::refused(&second);
    assert!(code.is_some_and(|code| code != 0), "{said}");
    let folder = first.setup.data().display().to_string();
    assert!(said.contains(&folder), "the directory is not named: {said}");
    first.deliver(&[ALICE], &message("still here"));
    first.kill_and_restart();
    assert_eq!(
        first.imap(ALICE).status("INBOX", "MESSAGES").unwrap()["MESSAGES"],
        1
    );
}

fn check(setup: &Setup) -> (Option<i32>, String) {
    let mut command = Command::new(binary::ringpost());
    let output = command
        .arg("check")
        .arg("--config")
        .arg(setup.config_file())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn line_of(text: &str, part: &str) -> usize {
    text[..text.find(part).unwrap()].matches('\n').count() + 1
}
