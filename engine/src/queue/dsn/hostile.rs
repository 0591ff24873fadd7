//! Whatever other people's text holds, a notice keeps its structure and its bounds.

use super::quote::LINE_BYTES_MAX;
use super::tests::{MESSAGE, content_type, facts, original, part, told};
use super::*;
use crate::wire::mime::header::fields;
use mail_parser::MessageParser;
use proptest::prelude::*;

/// Octets that like to break what they stand in.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"\r\n--=_n1_0\r\n".to_vec()),
        Just(b"\r\n--=_n1_0--\r\n".to_vec()),
        Just(b"=_n1_1".to_vec()),
        Just(b"\nAction: delivered\n".to_vec()),
        Just(b"\r\n.\r\n".to_vec()),
        Just("\u{202e}\u{2028}\u{85}\u{e9}".as_bytes().to_vec()),
        Just(vec![b'x'; 3_000]),
        Just(b"550-5.1.1 ".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn words() -> impl Strategy<Value = String> {
    hostile().prop_map(|octets| String::from_utf8_lossy(&octets).into_owned())
}

/// The names of the fields of each block of a report.
fn blocks(report: &[u8]) -> Vec<Vec<String>> {
    let name = |field: crate::wire::mime::header::Field<'_>| {
        String::from_utf8_lossy(field.name).into_owned()
    };
    let text = String::from_utf8_lossy(report).into_owned();
    text.split("\r\n\r\n")
        .map(|block| fields(block.as_bytes()).map(name).collect::<Vec<_>>())
        .filter(|names: &Vec<String>| !names.is_empty())
        .collect()
}

fn keeps_structure(notice: &Notice, message: &[u8]) -> Result<(), TestCaseError> {
    let octets = &notice.octets;
    prop_assert!(
        octets.len() <= message.len() * 3 + (64 << 10),
        "{} octets",
        octets.len()
    );
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        prop_assert!(line.ends_with(b"\r\n") && line.len() <= LINE_BYTES_MAX + 2);
        prop_assert!(memchr::memchr2(0, b'\r', &line[..line.len() - 2]).is_none());
    }
    let names: Vec<_> = fields(octets)
        .map(|f| String::from_utf8_lossy(f.name).into_owned())
        .collect();
    let count = |name: &str| names.iter().filter(|found| *found == name).count();
    for name in [
        "Date",
        "From",
        "To",
        "Subject",
        "Message-ID",
        "Content-Type",
        "Auto-Submitted",
    ] {
        prop_assert_eq!(count(name), 1, "{}", name);
    }
    prop_assert!((9..=11).contains(&names.len()), "{:?}", names);
    let parsed = MessageParser::new().parse(octets).expect("it is a message");
    prop_assert_eq!(content_type(&parsed, 0), "text/plain");
    let report = content_type(&parsed, 1);
    prop_assert!(report.ends_with("delivery-status"), "{}", report);
    let blocks = blocks(part(&parsed, 1).contents());
    prop_assert_eq!(blocks.len(), 2, "{:?}", &blocks);
    let expected = [
        "Original-Recipient",
        "Final-Recipient",
        "Action",
        "Status",
        "Remote-MTA",
        "Diagnostic-Code",
        "Last-Attempt-Date",
    ];
    prop_assert_eq!(&blocks[1], &expected);
    Ok(())
}

proptest! {
    #[test]
    fn nothing_breaks_a_notice(
        reply in hostile(),
        host in words(),
        envid in words(),
        orcpt in words(),
        local in words(),
        message in hostile(),
        is_full in any::<bool>(),
    ) {
        let (alice, bob) = (Address::new("alice", "a.example"), Address::new(local, "b.example"));
        let orcpt = format!("rfc822;{orcpt}");
        let recipients = [Told {
            orcpt: Some(&orcpt),
            words: Words::Remote { host: &host, reply: &reply },
            ..told(&bob)
        }];
        let message = [MESSAGE, &message].concat();
        let original = Original {
            envid: Some(&envid),
            by_secs: None,
            ret: Some(if is_full { Ret::Full } else { Ret::Headers }),
            ..original(&alice, &message)
        };
        let notice = build(&facts(original, &recipients)).expect("somebody is told");
        keeps_structure(&notice, &message)?;
    }
}

#[test]
fn a_forged_boundary_is_evaded() {
    let (alice, bob) = (Address::new("a", "b"), Address::new("c", "d"));
    let message = [MESSAGE, b"--=_n1_0\r\n--=_n1_1--\r\n=_n1_2"].concat();
    let original = Original {
        ret: Some(Ret::Full),
        ..original(&alice, &message)
    };
    let notice = build(&facts(original, &[told(&bob)])).unwrap();
    let text = String::from_utf8(notice.octets.clone()).unwrap();
    assert!(text.contains("boundary=\"=_n1_3\""), "{text}");
    let parsed = MessageParser::new().parse(&notice.octets).unwrap();
    assert_eq!(content_type(&parsed, 2), "message/rfc822");
}

/// A reply may be as long as it likes: 100 MB are cut, not walked through.
#[test]
fn an_endless_reply_is_cut() {
    let (alice, bob) = (Address::new("a", "b"), Address::new("c", "d"));
    let reply = [b"550 ".as_slice(), &vec![b'x'; 100 << 20]].concat();
    let recipients = [Told {
        class: classify(&reply),
        status: Status::of_reply(&reply),
        words: Words::Remote {
            host: "h",
            reply: &reply,
        },
        ..told(&bob)
    }];
    let notice = build(&facts(original(&alice, MESSAGE), &recipients)).unwrap();
    assert!(
        notice.octets.len() < 8 << 10,
        "{} octets",
        notice.octets.len()
    );
}
