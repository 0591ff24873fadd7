//! Large mail: hosts that are silent, or take a message and then say nothing, have none of the
//! memory that other mail needs, and what is read while it is sent is what it should be.

use super::{ALICE, setup_with_smarthost, submit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use tests::binary;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::sink::Sink;
use tests::smtp::Smtp;

/// All mail that is sent may take a mebibyte of memory, less than two of these messages have. A
/// host is waited for minutes, and this test is not.
#[test]
fn hosts_that_are_waited_for_keep_no_memory_from_others() {
    let mut setup = Setup::usual().top("shards = 1");
    let mut tables = "[queue]\nsending_bytes_max = \"1 MiB\"\n".to_owned();
    let mut host = |domain: &str| {
        let address = setup.spare_port();
        tables += &format!(
            "[[route]]\ndomains = \"{domain}\"\nvia = \"relay\"\nhost = \"{address}\"\n\
             tls = \"never\"\n"
        );
        address
    };
    let silent: Vec<SocketAddr> = (0..2).map(|n| host(&format!("silent{n}.test"))).collect();
    let stuck: Vec<SocketAddr> = (0..2).map(|n| host(&format!("stuck{n}.test"))).collect();
    let living = host("living.test");
    for address in silent {
        listen(address, |socket| drop(read_all(&socket)));
    }
    for address in stuck {
        listen(address, |socket| drop(take_and_be_silent(&socket)));
    }
    let sink = Sink::start(living);
    let mut server = Server::start(setup.table(&tables));
    let text = format!(
        "Subject: large\r\n\r\n{}",
        LINE.repeat(900_000 / LINE.len())
    );
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    for domain in ["silent0", "silent1", "stuck0", "stuck1", "living", "living"] {
        let to = [format!("u@{domain}.test")];
        let reply = smtp.deliver(ALICE, &to, text.as_bytes()).unwrap();
        reply.expect(250).unwrap();
    }
    submit(&server, &["u@living.test"], "small");
    let taken = sink.wait_for(3);
    let large = taken.iter().filter(|one| one.text.ends_with(&text));
    assert_eq!(large.count(), 2, "they came as they were");
    server.assert_alive();
}

/// What is read while it is sent is signed before, and its header bears the names of outside.
#[test]
fn a_large_message_leaves_signed_and_under_other_names() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("a1.pem");
    let order = [
        "dkim",
        "generate",
        "public.test",
        "a1",
        "--algorithm",
        "ed25519",
        "--key",
    ];
    let made = Command::new(binary::ringpostctl())
        .args(order)
        .arg(&key)
        .output();
    assert!(made.unwrap().status.success());
    let tables = format!(
        "[[dkim]]\ndomain = \"public.test\"\nselector = \"a1\"\nalgorithm = \"ed25519\"\n\
         key = {key:?}\n[[rewrite]]\nwhat = \"sender\"\ndirection = \"outbound\"\n\
         from = \"@example.test\"\nto = \"$1@public.test\"\nheaders = true\n"
    );
    let (setup, port) = setup_with_smarthost("");
    let sink = Sink::start(port);
    let server = Server::start(setup.table(&tables));
    let body = LINE.repeat(900_000 / LINE.len());
    let text = format!("From: {ALICE}\r\nSubject: large\r\n\r\n{body}");
    let mut smtp = Smtp::submit(server.addresses().submissions, ALICE, PASSWORD).unwrap();
    for n in 0..3 {
        let to = [format!("u{n}@far.test")];
        let reply = smtp.deliver(ALICE, &to, text.as_bytes()).unwrap();
        reply.expect(250).unwrap();
    }
    for one in sink.wait_for(3) {
        let (header, came) = one.text.split_once("\r\n\r\n").unwrap();
        assert!(came == body, "{header}");
        assert!(
            header.contains("\r\nFrom: alice@public.test\r\n"),
            "{header}"
        );
        let digest = STANDARD.encode(engine::inject::token_hash(&body));
        let signature: String = header.split_whitespace().collect();
        assert!(signature.contains(&format!("bh={digest};")), "{header}");
    }
}

const LINE: &str = "some words of a large message\r\n";

fn listen(address: SocketAddr, converse: fn(TcpStream)) {
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || converse(socket));
        }
    });
}

/// Until the other side has had enough.
fn read_all(mut socket: &TcpStream) -> std::io::Result<()> {
    while socket.read(&mut [0; 4096])? > 0 {}
    Ok(())
}

/// Says yes to everything, and nothing to the message.
fn take_and_be_silent(socket: &TcpStream) -> std::io::Result<()> {
    let (mut lines, mut writer) = (BufReader::new(socket).lines(), socket);
    writer.write_all(b"220 stuck.test\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        if line.starts_with("DATA") {
            writer.write_all(b"354 Go ahead\r\n")?;
            return read_all(socket);
        }
        writer.write_all(b"250 stuck.test\r\n")?;
    }
    Ok(())
}
