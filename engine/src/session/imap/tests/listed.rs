//! Whatever a message is, a store that lists it and one that does not give the same answers.

use super::*;
use ::store::shard::KEPT;
use proptest::prelude::*;
use std::path::PathBuf;

const COMMANDS: [&str; 34] = [
    "FETCH 1:* ENVELOPE",
    "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
    "FETCH 1:* ALL",
    "FETCH 1:* (ENVELOPE BODY.PEEK[HEADER])",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority \
     X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (DATE FROM TO SUBJECT CONTENT-TYPE CC REPLY-TO LIST-POST \
     DISPOSITION-NOTIFICATION-TO X-PRIORITY)])",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (to)]<0.20> BODY.PEEK[HEADER.FIELDS (to)]<7.9>)",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (list-id mime-version)]<4000.4000000000>)",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (subject x-odd)])",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS.NOT (subject)])",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (\"\" subject)])",
    "FETCH 1:* (ENVELOPE BODY.PEEK[TEXT]<0.10>)",
    "FETCH 1:* (ENVELOPE BODY[HEADER.FIELDS (subject)])",
    "FETCH 1:* (FLAGS)",
    "SEARCH FROM alice",
    "SEARCH TO example",
    "SEARCH CC a BCC b",
    "SEARCH OR SUBJECT e NOT SUBJECT a",
    "SEARCH CHARSET UTF-8 SUBJECT {2+}\r\n\u{e9}",
    "SEARCH SENTBEFORE 1-Jan-2000",
    "SEARCH SENTSINCE 1-Jan-2000",
    "SEARCH SENTON 22-Nov-2026",
    "SEARCH NOT SENTON 22-Nov-2026",
    "SEARCH HEADER Message-ID @",
    "SEARCH HEADER references \"\"",
    "SEARCH HEADER x-odd \"\"",
    "SEARCH HEADER \"\" \"\"",
    "SEARCH OR HEADER x-odd e FROM b",
    "SEARCH FROM b HEADER x-odd e",
    "SEARCH FROM b TEXT a",
    "SEARCH OR FROM b BODY a",
    "SEARCH SUBJECT \"two parts\" SEEN",
    "SEARCH HEADER \"subject \" a",
    "UID SEARCH RETURN (COUNT MIN MAX) HEADER content-type text",
];

/// The answers to all commands, and how often a message was listed.
fn answers(messages: &[Vec<u8>], lists: bool) -> (Vec<Vec<u8>>, u32) {
    let store = Fake::new();
    for message in messages {
        store.deliver(ALICE, "INBOX", message);
    }
    if lists {
        store.list();
    }
    let mut client = Client::selected(&store, ALICE);
    let answers = COMMANDS.iter().map(|command| {
        client.push(format!("a {command}\r\n").as_bytes());
        client.listen_octets()
    });
    (answers.collect(), store.listed())
}

/// How often one was listed.
fn are_the_same(messages: &[Vec<u8>]) -> u32 {
    let (read, never) = answers(messages, false);
    let (listed, count) = answers(messages, true);
    assert_eq!(never, 0);
    for ((command, read), listed) in COMMANDS.iter().zip(&read).zip(&listed) {
        let is_ok = read.windows(5).any(|octets| octets == b"a OK ");
        assert!(is_ok, "{command}: {}", read.escape_ascii());
        let (read, listed) = (read.escape_ascii(), listed.escape_ascii());
        assert_eq!(listed.to_string(), read.to_string(), "{command}");
    }
    count
}

#[test]
fn what_is_kept_is_enough() {
    let listed = are_the_same(&[
        b"From: A <a@x.example>\r\nTo: b@y.example\r\nsubject: two parts\r\n\r\nbody\r\n".to_vec(),
        b"X-Odd: e\r\nSubject : \xe9\r\n\tfolded\r\nSUBJECT:again\nCc:\r\n\r\n".to_vec(),
        b"\r\nno header".to_vec(),
    ]);
    // Three of each command that is told from what is kept, of those that are told in part as many
    // as the rest leaves open.
    assert!(listed >= 3 * 20, "{listed}");
}

#[test]
fn odd_messages_read_the_same() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/messages");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: there are no messages in {}", folder.display());
        return;
    };
    let mut messages = Vec::new();
    for file in files {
        let octets = std::fs::read(file.unwrap().path()).unwrap();
        let lines = octets.split_inclusive(|octet| *octet == b'\n');
        let with_crlf = lines.flat_map(|line| match line.strip_suffix(b"\n") {
            Some(line) => [line.strip_suffix(b"\r").unwrap_or(line), b"\r\n"].concat(),
            None => line.to_vec(),
        });
        messages.push(with_crlf.collect());
        messages.push(octets);
    }
    let listed = are_the_same(&messages);
    assert!(listed as usize > messages.len() * 10, "{listed}");
}

/// Fields as mailers write them and as nobody should.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let names = prop_oneof![
        8 => prop::sample::select(&KEPT[..]).prop_map(|name| name.as_bytes().to_vec()),
        2 => prop::sample::select(vec![
            "X-Odd", "SUBJECT", "To ", "From\t", "Received", "Content-Type", "", "no name",
            "T\u{f6}",
        ])
        .prop_map(|name| name.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    let values = prop::sample::select(vec![
        " plain",
        "",
        " =?utf-8?q?=C3=A9?=",
        " a\r\n b",
        " x\r\n\t",
        " a <alice@x.example>, b@y",
        " Sun, 22 Nov 2026 10:45:28 +0000",
        " Fri, 3 Jan 1997 00:00:00 -0800",
        " grp: a@b, c@d;",
        " <1@x> <2@y>",
        " text/plain; charset=utf-8",
        " \u{e9}",
        " e\r\n \r\n more",
        " bare\rcr",
    ]);
    let ends = prop_oneof![9 => Just("\r\n"), 2 => Just("\n"), 1 => Just("\r\r\n")];
    (
        names,
        prop_oneof![9 => Just(":"), 1 => Just("")],
        values,
        ends,
    )
        .prop_map(|(name, colon, value, end)| {
            [&name, colon.as_bytes(), value.as_bytes(), end.as_bytes()].concat()
        })
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec(line(), 0..12);
    let ends = prop::sample::select(vec!["\r\n", "\n", "", "\r\nTo: body\r\n\r\na", "\r\n\r\n"]);
    let long = prop_oneof![6 => Just(0usize), 1 => 3_000usize..20_000];
    (lines, ends, long).prop_map(|(lines, end, long)| {
        let mut message = lines.concat();
        if long > 0 {
            message.extend_from_slice(b"References:");
            message.resize_with(message.len() + long, || b'r');
            message.extend_from_slice(b"\r\n");
        }
        message.extend_from_slice(end.as_bytes());
        message
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_messages_read_the_same(messages in prop::collection::vec(message(), 1..12)) {
        are_the_same(&messages);
    }
}
