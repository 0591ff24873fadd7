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
    // Buffers that every server has once it did anything are not what is looked for.
    passes_everywhere(&server, 1 << 20);
    let before = usage::resident_bytes_peak(server.pid());
    passes_everywhere(&server, 40 << 20);
    let grown = usage::resident_bytes_peak(server.pid()).saturating_sub(before);
    assert!(
        grown < MEMORY_BYTES_MAX,
        "the server grew by {grown} octets"
    );
    server.assert_alive();
}

/// In by every door, and out again octet for octet.
fn passes_everywhere(server: &Server, octets: usize) {
    let message = plain("large", octets, &mut Seed::new(2));
    server.deliver(&[ALICE], &message);
    let sent = server.smtp().deliver("a@remote.test", &[ALICE], &message);
    assert_eq!(sent.unwrap().code, 250);
    let mut imap = server.imap_in(ALICE, "INBOX");
    assert!(imap.append("INBOX", "", &message).unwrap().is_ok());
    for number in 1..=3 {
        assert!(
            body(&mut imap, number).ends_with(&message),
            "message {number} came out changed"
        );
    }
    imap.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.ok("EXPUNGE").unwrap();
}

/// By every door, whole and at a quarter: each step within its time, and four times the octets
/// are not much more than four times the price.
#[test]
fn monsters_cost_little() {
    let mut server = server();
    for door in [Door::Smtp, Door::Lmtp, Door::Append] {
        for (quarter, whole) in monsters(25).iter().zip(&monsters(100)) {
            let [small, large] = [quarter, whole].map(|monster| costs(&server, door, monster));
            let (Some(small), Some(large)) = (small, large) else {
                continue;
            };
            for (step, (small, large)) in STEPS.iter().zip(small.into_iter().zip(large)) {
                let what = format!("{} by {door:?}, {step}: {small:?}, {large:?}", whole.name);
                assert!(large < STEP_CPU_MAX, "{what}");
                assert!(large < small * 8 + CPU_NOISE, "not linear: {what}");
            }
            server.assert_alive();
        }
    }
    let resident = usage::resident_bytes(server.pid());
    assert!(resident < 512 << 20, "{resident} octets resident");
}

/// What a monster costs in processor time, step by step; `None` when it is refused.
fn costs(server: &Server, door: Door, monster: &Sample) -> Option<Vec<Duration>> {
    let mut costs = Vec::new();
    let mut spent = usage::cpu(server.pid());
    let mut step = || {
        let now = usage::cpu(server.pid());
        costs.push(now - spent);
        spent = now;
    };
    let mut imap = server.imap_in(ALICE, "INBOX");
    if !enters(server, &mut imap, door, monster) {
        return None;
    }
    step();
    imap.ok("NOOP").unwrap();
    for command in &STEPS[1..] {
        let answer = imap.command(command).unwrap();
        let said = &answer.status;
        assert!(answer.is_ok(), "{}: {command}: {said}", monster.name);
        step();
    }
    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").unwrap();
    imap.ok("EXPUNGE").unwrap();
    Some(costs)
}

/// Whether the only message of the INBOX is now this one; else it was refused for good.
fn enters(server: &Server, imap: &mut Imap, door: Door, monster: &Sample) -> bool {
    let octets = &monster.octets;
    let reply = match door {
        Door::Append => {
            let answer = imap.append("INBOX", "", octets).unwrap();
            assert!(!answer.status.starts_with("BAD"), "{}", answer.status);
            return answer.is_ok();
        }
        Door::Smtp => server.smtp().deliver("a@remote.test", &[ALICE], octets),
        Door::Lmtp => {
            let mut lmtp = server.lmtp();
            lmtp.envelope("a@remote.test", &[ALICE]).unwrap();
            lmtp.lmtp_data(octets, 1)
                .map(|mut replies| replies.remove(0))
        }
    };
    let reply = reply.unwrap();
    let (name, code) = (&monster.name, reply.code);
    assert!(code == 250 || code >= 500, "{name}: {reply}");
    code == 250
}

#[derive(Clone, Copy, Debug)]
enum Door {
    Smtp,
    Lmtp,
    Append,
}

const STEPS: [&str; 8] = [
    "arrival",
    "FETCH 1 ENVELOPE",
    "FETCH 1 BODYSTRUCTURE",
    "FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT TO)]",
    "FETCH 1 BODY.PEEK[1.1.1.1]",
    "FETCH 1 BODY.PEEK[HEADER]",
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

/// What a step may take in an optimised server.
const STEP_CPU_MAX: Duration = Duration::from_secs(1);

/// Ticks of the clock, and other work of a server that lives.
const CPU_NOISE: Duration = Duration::from_millis(150);
