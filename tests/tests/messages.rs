//! Every odd message in by SMTP, LMTP and APPEND and out by IMAP, octet-exact apart from our
//! prefix; huge ones in bounded memory; monsters in bounded processor time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;
use tests::corpus::{Sample, monsters, plain, samples};
use tests::imap::{Imap, Value};
use tests::seed::Seed;
use tests::server::Server;
use tests::setup::{PASSWORD, Setup};
use tests::smtp::{Reply, Smtp};
use tests::usage;

#[test]
fn every_message_by_smtp() {
    let server = server();
    let mut smtp = server.smtp();
    for sample in samples() {
        let sent = sent(&sample);
        let reply = transfer(&mut smtp, &sample, &sent);
        assert_eq!(reply.code, 250, "{}: {reply}", sample.name);
    }
    come_out(&server);
}

#[test]
fn every_message_by_lmtp() {
    let server = server();
    let mut lmtp = server.lmtp();
    for sample in samples() {
        let sent = sent(&sample);
        let reply = transfer(&mut lmtp, &sample, &sent);
        assert_eq!(reply.code, 250, "{}: {reply}", sample.name);
    }
    come_out(&server);
}

#[test]
fn every_message_by_append() {
    let server = server();
    let mut imap = server.imap(ALICE);
    for sample in samples() {
        let kind = if sample.octets.contains(&0) { "~" } else { "" };
        let answer = imap.append("INBOX", kind, &sample.octets).unwrap();
        assert!(answer.is_ok(), "{}: {}", sample.name, answer.status);
    }
    imap.ok("SELECT INBOX").unwrap();
    for (number, sample) in samples().iter().enumerate() {
        let stored = body(&mut imap, number + 1);
        assert!(stored == sample.octets, "{} came out changed", sample.name);
    }
}

/// The parts that BODYSTRUCTURE announces are the parts that can be fetched, to the octet.
#[test]
fn structures_agree_with_their_parts() {
    let server = server();
    let mut imap = server.imap(ALICE);
    for sample in samples() {
        let kind = if sample.octets.contains(&0) { "~" } else { "" };
        imap.append("INBOX", kind, &sample.octets).unwrap();
    }
    imap.ok("SELECT INBOX").unwrap();
    for (number, sample) in samples().iter().enumerate() {
        let items = "(ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE INTERNALDATE)";
        let fetched = imap
            .fetch(&format!("FETCH {} {items}", number + 1))
            .unwrap();
        let message = fetched.first().expect("the message is there");
        let size = message.number("RFC822.SIZE").unwrap();
        assert_eq!(size, sample.octets.len() as u64, "{}", sample.name);
        let envelope = message.items["ENVELOPE"]
            .list()
            .expect("ENVELOPE is a list");
        assert_eq!(envelope.len(), 10, "{}: {envelope:?}", sample.name);
        for (part, octets) in leaves(&message.items["BODYSTRUCTURE"], "") {
            let section = format!("BODY[{part}]");
            let asked = section.replace("BODY[", "BODY.PEEK[");
            let fetched = imap
                .fetch(&format!("FETCH {} {asked}", number + 1))
                .unwrap();
            let found = fetched[0].octets(&section).map_or(0, <[u8]>::len);
            assert_eq!(found as u64, octets, "{}: part {part}", sample.name);
        }
    }
}

/// Partial fetches of a message put together are the message.
#[test]
fn pieces_make_the_whole() {
    let server = server();
    let mut imap = server.imap_in(ALICE, "INBOX");
    let message = plain("pieces", 1_000_000, &mut Seed::new(1));
    assert!(imap.append("INBOX", "", &message).unwrap().is_ok());
    let mut joined = Vec::new();
    while joined.len() < message.len() {
        let command = format!("FETCH 1 BODY.PEEK[]<{}.99991>", joined.len());
        let fetched = imap.fetch(&command).unwrap();
        let item = format!("BODY[]<{}>", joined.len());
        let piece = fetched[0]
            .octets(&item)
            .expect("the piece has its origin in its name");
        assert!(!piece.is_empty(), "nothing at {}", joined.len());
        joined.extend_from_slice(piece);
    }
    assert!(joined == message);
}

/// A large message passes through without ever lying in memory whole.
#[test]
fn large_messages_stream() {
    let mut server = server();
    let before = usage::resident_bytes_peak(server.pid());
    let message = plain("large", 40 << 20, &mut Seed::new(2));
    server.deliver(&[ALICE], &message);
    assert_eq!(
        server
            .smtp()
            .deliver("a@remote.test", &[ALICE], &message)
            .unwrap()
            .code,
        250
    );
    let mut imap = server.imap_in(ALICE, "INBOX");
    assert!(imap.append("INBOX", "", &message).unwrap().is_ok());
    for number in 1..=3 {
        assert!(
            body(&mut imap, number).ends_with(&message),
            "message {number} came out changed"
        );
    }
    let grown = usage::resident_bytes_peak(server.pid()) - before;
    assert!(
        grown < MEMORY_BYTES_MAX,
        "the server grew by {grown} octets"
    );
    server.assert_alive();
}

/// One line of 50 MB is a message or a refusal, at a linear price.
#[test]
fn a_line_of_50_mb_is_no_danger() {
    let mut server = server();
    let message = [
        b"Subject: ".as_slice(),
        &vec![b'x'; 50_000_000],
        b"\r\n\r\n",
    ]
    .concat();
    let before = usage::cpu(server.pid());
    let mut lmtp = server.lmtp();
    lmtp.envelope("a@remote.test", &[ALICE]).unwrap();
    let reply = lmtp.lmtp_data(&message, 1).unwrap().remove(0);
    if reply.code == 250 {
        let mut imap = server.imap_in(ALICE, "INBOX");
        imap.fetch("FETCH 1 (ENVELOPE BODYSTRUCTURE)").unwrap();
        assert!(body(&mut imap, 1).ends_with(&message));
    }
    let used = usage::cpu(server.pid()) - before;
    assert!(used < Duration::from_secs(5), "{used:?} of processor time");
    server.assert_alive();
}

#[test]
fn monsters_cost_little() {
    let mut server = server();
    let mut imap = server.imap_in(ALICE, "INBOX");
    let mut kept = 0;
    for monster in monsters() {
        let before = usage::cpu(server.pid());
        let mut lmtp = server.lmtp();
        lmtp.envelope("a@remote.test", &[ALICE]).unwrap();
        let reply = lmtp.lmtp_data(&monster.octets, 1).unwrap().remove(0);
        assert!(
            reply.code == 250 || reply.code >= 500,
            "{}: {reply}",
            monster.name
        );
        if reply.code == 250 {
            kept += 1;
            imap.ok("NOOP").unwrap();
            for command in COSTLY {
                let command = command.replace("{}", &kept.to_string());
                let answer = imap.command(&command).unwrap();
                assert!(
                    answer.is_ok(),
                    "{}: {command}: {}",
                    monster.name,
                    answer.status
                );
            }
        }
        let used = usage::cpu(server.pid()) - before;
        assert!(
            used < MONSTER_CPU_MAX,
            "{}: {used:?} of processor time",
            monster.name
        );
        server.assert_alive();
    }
    let resident = usage::resident_bytes(server.pid());
    assert!(resident < 512 << 20, "{resident} octets resident");
}

const COSTLY: [&str; 6] = [
    "FETCH {} ENVELOPE",
    "FETCH {} BODYSTRUCTURE",
    "FETCH {} BODY.PEEK[HEADER.FIELDS (SUBJECT TO)]",
    "FETCH {} BODY.PEEK[1.1.1.1]",
    "SEARCH TEXT needle",
    "SEARCH OR SUBJECT needle TO needle",
];

fn server() -> Server {
    Server::start(
        Setup::empty()
            .domain("example.test")
            .account(ALICE, PASSWORD),
    )
}

/// What DATA can carry: it always ends a line. Chunks carry everything.
fn sent(sample: &Sample) -> Vec<u8> {
    let mut octets = sample.octets.clone();
    if !sample.is_binary() && !octets.ends_with(b"\r\n") {
        octets.extend_from_slice(b"\r\n");
    }
    octets
}

fn transfer(smtp: &mut Smtp, sample: &Sample, sent: &[u8]) -> Reply {
    let body = if sample.is_binary() {
        "BINARYMIME"
    } else {
        "8BITMIME"
    };
    smtp.command(&format!("MAIL FROM:<a@remote.test> BODY={body}"))
        .unwrap()
        .expect(250)
        .unwrap();
    smtp.command(&format!("RCPT TO:<{ALICE}>"))
        .unwrap()
        .expect(250)
        .unwrap();
    match sample.is_binary() {
        true => smtp.bdat(sent).unwrap(),
        false => smtp.data(sent).unwrap(),
    }
}

fn come_out(server: &Server) {
    let mut imap = server.imap_in(ALICE, "INBOX");
    for (number, sample) in samples().iter().enumerate() {
        let (sent, stored) = (sent(sample), body(&mut imap, number + 1));
        let prefix = stored.strip_suffix(sent.as_slice());
        let prefix = prefix.unwrap_or_else(|| panic!("{} came out changed", sample.name));
        assert!(
            is_ours(prefix),
            "{}: {}",
            sample.name,
            String::from_utf8_lossy(prefix)
        );
    }
}

/// Return-Path, Delivered-To and one Received, each perhaps folded, and nothing else.
fn is_ours(prefix: &[u8]) -> bool {
    let text = std::str::from_utf8(prefix).unwrap();
    let fields: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with([' ', '\t']))
        .collect();
    let names: Vec<&str> = fields
        .iter()
        .filter_map(|field| Some(field.split_once(':')?.0))
        .collect();
    text.ends_with("\r\n") && names == ["Return-Path", "Delivered-To", "Received"]
}

fn body(imap: &mut Imap, number: usize) -> Vec<u8> {
    let fetched = imap.fetch(&format!("FETCH {number} BODY.PEEK[]")).unwrap();
    let message = fetched
        .first()
        .unwrap_or_else(|| panic!("message {number} is not there"));
    message
        .octets("BODY[]")
        .expect("BODY[] has octets")
        .to_vec()
}

/// Part numbers of all leaves with the octets that BODYSTRUCTURE gives them (RFC 9051 §7.5.2).
fn leaves(structure: &Value, prefix: &str) -> Vec<(String, u64)> {
    let fields = structure.list().expect("a structure is a list");
    let inner = |number: usize| match prefix {
        "" => number.to_string(),
        prefix => format!("{prefix}.{number}"),
    };
    if fields[0].list().is_none() {
        let octets = fields[6].number().expect("the seventh field is octets");
        return vec![(
            if prefix.is_empty() {
                "1".into()
            } else {
                prefix.into()
            },
            octets,
        )];
    }
    let parts = fields.iter().take_while(|field| field.list().is_some());
    parts
        .enumerate()
        .flat_map(|(at, part)| leaves(part, &inner(at + 1)))
        .collect()
}

const ALICE: &str = "alice@example.test";

/// Far below the three messages of 40 MiB that pass through.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// The target is one second for each command; other builds may share the machine.
const MONSTER_CPU_MAX: Duration = Duration::from_secs(6);
