//! DATA and BDAT: ends of data, chunks, sizes, refusals; each at every cut.

use super::*;

const ENVELOPE: &str = "EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<user@here>\r\n";
const BINARY: &str = "EHLO c\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<user@here>\r\n";

/// Endings that some server, some day, took for the end of data.
const ENDINGS: &[&str] = &[
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\n.\r",
    "\r.\n",
    "\r\n.\r\r\n",
    "\r\n.\r\r\r\n",
    "\r\r\n.\r\r\n",
    "\n\r.\r\n",
    "\n\n.\r\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
    "\0\r\n.\n",
];

fn smtp() -> Dialogue {
    Dialogue::of(Kind::Smtp)
}

fn cut(said: &[&[u8]]) -> (Vec<u16>, Record) {
    let record = every_cut(smtp, &[&said.concat()]);
    (codes(str::from_utf8(&record.replies).unwrap()), record)
}

#[test]
fn nothing_is_smuggled_through_data() {
    for ending in ENDINGS {
        let smuggled = format!(
            "DATA\r\nx{ending}MAIL FROM:<evil@b>\r\nRCPT TO:<user@here>\r\nDATA\r\ny\r\n.\r\n\
             QUIT\r\n"
        );
        let (codes, record) = cut(&[ENVELOPE.as_bytes(), smuggled.as_bytes()]);
        assert_eq!(codes, [250, 250, 250, 354, 550, 221], "{ending:?}");
        assert!(record.commits.is_empty(), "{ending:?}");
        assert_eq!(record.ended, [(550, Some("a@b".to_owned()), 1)]);
    }
}

#[test]
fn nothing_is_smuggled_through_bdat() {
    for ending in ENDINGS {
        let content = format!("x{ending}MAIL FROM:<evil@b>\r\nDATA\r\ny\r\n.\r\n");
        let octets = content.len();
        let chunk = format!("BDAT {octets} LAST\r\n{content}QUIT\r\n");
        let (codes, record) = cut(&[ENVELOPE.as_bytes(), chunk.as_bytes()]);
        assert_eq!(codes, [250, 250, 250, 550, 221], "{ending:?}");
        assert!(record.commits.is_empty());

        // BINARYMIME may hold anything and is kept as it is, in one message.
        let (codes, record) = cut(&[BINARY.as_bytes(), chunk.as_bytes()]);
        assert_eq!(codes, [250, 250, 250, 250, 221], "{ending:?}");
        assert_eq!(record.bodies, [content.as_bytes()]);
        assert_eq!(record.commits.len(), 1);
    }
}

#[test]
fn normalised_messages_hold_no_bare_line_end() {
    let mut lenient = settings(Kind::Smtp);
    lenient.bare_line_ends = crate::wire::smtp::data::BareLineEnds::Normalise;
    for ending in ENDINGS.iter().filter(|ending| !ending.contains('\0')) {
        let make = || Dialogue::new(lenient.clone(), Kind::Smtp, false);
        let flight = format!("{ENVELOPE}DATA\r\nx{ending}y\r\n.\r\nQUIT\r\n");
        let record = every_cut(make, &[flight.as_bytes()]);
        assert_eq!(record.commits.len(), 1, "{ending:?}");
        let stored = String::from_utf8(record.bodies[0].clone()).unwrap();
        let rest = stored.replace("\r\n", "");
        assert!(!rest.contains(['\r', '\n']), "{stored:?}");
    }
}

#[test]
fn empty_and_dotted_messages() {
    let (codes, record) = cut(&[ENVELOPE.as_bytes(), b"DATA\r\n.\r\nNOOP\r\n"]);
    assert_eq!(codes, [250, 250, 250, 354, 250, 250]);
    assert_eq!(record.bodies, [b""]);
    let (_, record) = cut(&[ENVELOPE.as_bytes(), b"DATA\r\n..\r\n...x\r\n.y\r\n.\r\n"]);
    assert_eq!(record.bodies, [b".\r\n..x\r\ny\r\n"]);
}

/// Odd and broken messages of the real world, read from the project's data.
#[test]
fn real_messages_come_through_octet_exact() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/messages");
    let Ok(files) = std::fs::read_dir(path) else {
        eprintln!("skipped: {path} is not there");
        return;
    };
    for file in files {
        let text = std::fs::read(file.unwrap().path()).unwrap();
        let crlf = text.split(|&octet| octet == b'\n').map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            [line, b"\r\n"].concat()
        });
        let lines: Vec<Vec<u8>> = crlf.collect();
        let stuffed = lines.iter().map(|line| match line.first() {
            Some(b'.') => [b".", &line[..]].concat(),
            _ => line.clone(),
        });
        let flight = [
            b"DATA\r\n",
            &stuffed.collect::<Vec<_>>().concat()[..],
            b".\r\n",
        ]
        .concat();
        let message = lines.concat();
        let chunk = format!("BDAT {} LAST\r\n", message.len());
        let chunk = [chunk.as_bytes(), &message].concat();
        for (flight, step) in [
            (&flight, 1),
            (&flight, 997),
            (&flight, flight.len()),
            (&chunk, 7),
        ] {
            let mut wide = settings(Kind::Smtp);
            wide.message_octets_max = 10 << 20;
            let mut dialogue = Dialogue::new(wide, Kind::Smtp, false);
            dialogue.say(ENVELOPE);
            let cuts: Vec<usize> = (step..flight.len()).step_by(step).collect();
            dialogue.flight(flight, &cuts);
            assert!(dialogue.record.replies.ends_with(b"queued as q1\r\n"));
            assert!(dialogue.record.bodies == [&message[..]], "octet-exact");
        }
    }
}

#[test]
fn chunks_are_octet_exact() {
    let said = b"BDAT 5\r\nab\r\n.BDAT 0\r\nBDAT 6\r\n\r\n.\r\ncBDAT 0 LAST\r\nNOOP\r\n";
    let (codes, record) = cut(&[ENVELOPE.as_bytes(), said]);
    assert_eq!(codes, [250, 250, 250, 250, 250, 250, 250, 250]);
    assert_eq!(record.bodies, [b"ab\r\n.\r\n.\r\nc"]);
    assert_eq!(record.commits[0].octets, 11);
}

#[test]
fn a_line_end_may_lie_between_two_chunks() {
    let (codes, record) = cut(&[ENVELOPE.as_bytes(), b"BDAT 2\r\na\rBDAT 2 LAST\r\n\nb"]);
    assert_eq!(codes, [250, 250, 250, 250, 250]);
    assert_eq!(record.bodies, [b"a\r\nb"]);
    let (codes, _) = cut(&[ENVELOPE.as_bytes(), b"BDAT 2 LAST\r\na\rNOOP\r\n"]);
    assert_eq!(codes, [250, 250, 250, 550, 250]);
}

#[test]
fn data_and_bdat_do_not_mix() {
    let said = b"BDAT 1\r\nxDATA\r\nRCPT TO:<user@here>\r\nMAIL FROM:<a@b>\r\nBDAT 0 LAST\r\n";
    let (codes, record) = cut(&[ENVELOPE.as_bytes(), said]);
    assert_eq!(codes, [250, 250, 250, 250, 503, 503, 503, 250]);
    assert_eq!(record.bodies, [b"x"]);
    let (codes, _) = cut(&[BINARY.as_bytes(), b"DATA\r\nBDAT 1 LAST\r\nx"]);
    assert_eq!(codes, [250, 250, 250, 503, 250]);
    let (codes, _) = cut(&[ENVELOPE.as_bytes(), b"BDAT 1\r\nxRSET\r\nDATA\r\n"]);
    assert_eq!(codes, [250, 250, 250, 250, 250, 503]);
}

#[test]
fn a_misplaced_chunk_is_swallowed() {
    let (codes, record) = cut(&[b"EHLO c\r\nBDAT 15 LAST\r\nMAIL FROM:<a@b>NOOP\r\n"]);
    assert_eq!(codes, [250, 503, 250]);
    assert!(record.bodies.is_empty() && record.ended.is_empty());
    let (codes, record) = cut(&[
        ENVELOPE.as_bytes(),
        b"BDAT 3\r\nx\nyBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
    ]);
    assert_eq!(codes, [250, 250, 250, 550, 503, 250]);
    assert_eq!(record.ended.len(), 1);
}

#[test]
fn too_large_is_said_at_the_end() {
    let lines = |octets: usize| format!("{}\r\n", "x".repeat(octets - 2));
    let data = |octets| format!("DATA\r\n{}.\r\nNOOP\r\n", lines(octets));
    let (codes, record) = cut(&[ENVELOPE.as_bytes(), data(1000).as_bytes()]);
    assert_eq!(codes, [250, 250, 250, 354, 250, 250]);
    assert_eq!(record.commits[0].octets, 1000);
    let (codes, record) = cut(&[ENVELOPE.as_bytes(), data(1001).as_bytes()]);
    assert_eq!(codes, [250, 250, 250, 354, 552, 250]);
    assert_eq!(record.ended, [(552, Some("a@b".to_owned()), 1)]);

    let chunk = format!("BDAT 1001 LAST\r\n{}NOOP\r\n", lines(1001));
    let (codes, record) = cut(&[ENVELOPE.as_bytes(), chunk.as_bytes()]);
    assert_eq!(codes, [250, 250, 250, 552, 250]);
    assert!(record.bodies.is_empty(), "known before the first octet");
    let chunks = format!(
        "BDAT 999\r\n{}BDAT 2\r\nxyBDAT 1 LAST\r\nzNOOP\r\n",
        lines(999)
    );
    let (codes, _) = cut(&[ENVELOPE.as_bytes(), chunks.as_bytes()]);
    assert_eq!(codes, [250, 250, 250, 250, 552, 503, 250]);
}

#[test]
fn a_chunk_nobody_can_read_ends_the_connection() {
    for octets in ["18446744073709551615", "99999999999999999999", "2147483648"] {
        let mut dialogue = smtp();
        dialogue.say(ENVELOPE);
        assert_eq!(dialogue.codes(&format!("BDAT {octets}\r\nx")), [421]);
        assert!(dialogue.record.closed && dialogue.record.commits.is_empty());
    }
}

#[test]
fn a_store_that_cannot_take_it_says_so() {
    let make = || {
        let mut dialogue = smtp();
        dialogue.begin_body = Err(reply::STORAGE_FULL);
        dialogue
    };
    let flight = format!("{ENVELOPE}DATA\r\nNOOP\r\n");
    let record = every_cut(make, &[flight.as_bytes()]);
    let said = String::from_utf8(record.replies).unwrap();
    assert!(said.contains("\r\n452 4.3.1 ") && said.ends_with("250 2.0.0 OK\r\n"));
    let flight = format!("{ENVELOPE}BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n");
    let record = every_cut(make, &[flight.as_bytes()]);
    let said = String::from_utf8(record.replies).unwrap();
    assert_eq!(codes(&said), [250, 250, 250, 452, 250]);
    assert_eq!(record.ended, [(452, Some("a@b".to_owned()), 1)]);
}

#[test]
fn lmtp_hears_of_a_refused_chunk_for_each_recipient() {
    let flight = b"LHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<user@here>\r\nRCPT TO:<two@here>\r\n\
        BDAT 2\r\nxyBDAT 1000\r\n";
    let flight = [&flight[..], &[b'x'; 1000], b"NOOP\r\n"].concat();
    let record = every_cut(|| Dialogue::of(Kind::Lmtp), &[&flight]);
    let said = codes(str::from_utf8(&record.replies).unwrap());
    assert_eq!(
        said,
        [250, 250, 250, 250, 250, 552, 250],
        "not the last chunk"
    );

    let flight = String::from_utf8(flight)
        .unwrap()
        .replace("1000", "1000 LAST");
    let record = every_cut(|| Dialogue::of(Kind::Lmtp), &[flight.as_bytes()]);
    let said = codes(str::from_utf8(&record.replies).unwrap());
    assert_eq!(said, [250, 250, 250, 250, 250, 552, 552, 250]);
}

#[test]
fn lmtp_may_be_given_its_own_delivered_to() {
    let flight = b"LHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<user@here>\r\n\
        DATA\r\nDelivered-To: user@here\r\n\r\n.\r\n";
    let record = every_cut(|| Dialogue::of(Kind::Lmtp), &[flight]);
    assert_eq!(record.commits.len(), 1);
}

#[test]
fn loops_are_broken() {
    let hops = |count: usize| "Received: from x\r\n\tby y\r\n".repeat(count);
    let mut short = settings(Kind::Smtp);
    short.hops_max = 5;
    short.message_octets_max = 10_000;
    for (header, code) in [
        (hops(5), 250),
        (hops(6), 554),
        ("Delivered-To: user@here\r\n".to_owned(), 554),
        ("delivered-to: <USER@Here>\r\n".to_owned(), 554),
        ("Delivered-To: other@here\r\n".to_owned(), 250),
        (format!("\r\n{}Delivered-To: user@here\r\n", hops(9)), 250),
    ] {
        let make = || Dialogue::new(short.clone(), Kind::Smtp, false);
        let flight = format!("{ENVELOPE}DATA\r\n{header}\r\nbody\r\n.\r\n");
        let record = every_cut(make, &[flight.as_bytes()]);
        let said = String::from_utf8(record.replies).unwrap();
        assert_eq!(codes(&said).last(), Some(&code), "{header}");
        assert_eq!(said.contains("554 5.4.6 "), code == 554);
    }
}
