//! Seeded fuzzing of every parser that takes octets from outside: SMTP, IMAP, POP3, MIME, records.
//!
//! An input grows from a sample and from words of its grammar by cutting, doubling, joining and
//! flipping. The entries check what must hold; a panic is told with the seed that repeats it:
//! `RINGPOST_SEED=n RINGPOST_SEEDS=1`. `RINGPOST_SEEDS` sets how many inputs each parser gets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use tests::corpus::samples;
use tests::seed::{Seed, number_from_env};

#[test]
fn smtp_sessions() {
    let samples = [SMTP, SMTP_TRANSFER, SMTP_CHUNKS, SMTP_LOGIN].map(octets);
    fuzz(
        "smtp session",
        &samples,
        SMTP_WORDS,
        engine::session::smtp::fuzz::fuzz_session,
    );
    fuzz(
        "smtp command",
        &samples,
        SMTP_WORDS,
        engine::session::smtp::fuzz::fuzz_command,
    );
}

#[test]
fn pop3_sessions() {
    use engine::session::pop3::fuzz::{fuzz_command, fuzz_message, fuzz_session};
    let dialogues = [POP3, POP3_LOGIN].map(octets);
    fuzz("pop3 session", &dialogues, POP3_WORDS, fuzz_session);
    fuzz("pop3 command", &dialogues, POP3_WORDS, fuzz_command);
    let mail = [octets("A: b\r\n\r\n.\r\n..a\r\n\n.\n")];
    fuzz("pop3 message", &mail, POP3_WORDS, fuzz_message);
}

#[test]
fn http_requests() {
    let samples = [HTTP, HTTP_CHUNKS].map(octets);
    let connection = engine::wire::http::fuzz::fuzz_connection;
    fuzz("http connection", &samples, HTTP_WORDS, connection);
    let samples = [INJECT, INJECT_RAW].map(octets);
    let request = engine::inject::fuzz::fuzz_request;
    fuzz("request to inject", &samples, INJECT_WORDS, request);
}

#[test]
fn imap_commands() {
    let samples = [IMAP, IMAP_FETCH, IMAP_LITERALS].map(octets);
    fuzz(
        "imap",
        &samples,
        IMAP_WORDS,
        engine::wire::imap::fuzz::fuzz_receiver,
    );
}

#[test]
fn mime_messages() {
    let mut samples: Vec<Vec<u8>> = samples().into_iter().map(|sample| sample.octets).collect();
    samples.retain(|sample| sample.len() < 20_000);
    fuzz("mime", &samples, MIME_WORDS, engine::wire::mime::fuzz_mime);
}

#[test]
fn records_of_the_log() {
    let samples = [
        vec![0; 64],
        (0..=255).collect(),
        vec![0xff; 40],
        b"INBOX\0\x05alice".to_vec(),
    ];
    fuzz(
        "record",
        &samples,
        "INBOX|example.test|\u{0}|\u{1}\u{0}\u{0}\u{0}",
        |data| {
            if let Some((kind, payload)) = data.split_first() {
                store::record::fuzz_record(*kind, payload);
            }
        },
    );
}

/// The fuzzer itself: a fault that needs a word of the grammar in the middle of an input is found.
#[test]
#[should_panic(expected = "planted: seed ")]
fn a_planted_fault_is_found() {
    let planted = |data: &[u8]| assert!(!data.windows(5).any(|at| at == b"{3+}\""));
    fuzz("planted", &[IMAP_FETCH].map(octets), IMAP_WORDS, planted);
}

fn fuzz(name: &str, samples: &[Vec<u8>], words: &str, entry: impl Fn(&[u8])) {
    let words: Vec<&str> = words.split('|').collect();
    let first = number_from_env("RINGPOST_SEED", 1);
    for number in first..first + number_from_env("RINGPOST_SEEDS", SEEDS) {
        let input = grown(samples, &words, &mut Seed::new(number));
        let outcome = catch_unwind(AssertUnwindSafe(|| entry(&input)));
        assert!(
            outcome.is_ok(),
            "{name}: seed {number}: {}",
            input.escape_ascii()
        );
    }
}

/// Some octets that choose, and a sample that has been through a few changes.
fn grown(samples: &[Vec<u8>], words: &[&str], seed: &mut Seed) -> Vec<u8> {
    let mut input = seed.pick(samples).clone();
    for _ in 0..seed.below(12) {
        let at = seed.below(input.len() as u64 + 1) as usize;
        let scale = seed.below(9);
        let length = (seed.below(1 << scale) as usize).min(input.len() - at);
        match seed.below(7) {
            0 => drop(input.drain(at..at + length)),
            1 => drop(input.splice(at..at, seed.bytes(length.min(8)))),
            2 => drop(input.splice(at..at, seed.pick(words).bytes())),
            3 => {
                let piece = input[at..at + length].to_vec();
                input.splice(at..at, piece.repeat(1 + seed.below(4) as usize));
            }
            4 => {
                let other = seed.pick(samples);
                let from = seed.below(other.len() as u64 + 1) as usize;
                input.splice(at.., other[from..].iter().copied());
            }
            5 if at < input.len() => input[at] ^= 1 << seed.below(8),
            _ => drop(input.splice(at..at + length, seed.pick(words).bytes())),
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    [seed.bytes(4), input].concat()
}

fn octets(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Quick in an unoptimised build; the nightly form has 100,000.
const SEEDS: u64 = 10_000;
const INPUT_BYTES_MAX: usize = 30_000;

const HTTP: &str = "POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / \
    HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";
const HTTP_CHUNKS: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
    Expect: 100-continue\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n";
const HTTP_WORDS: &str = "\r\n|\n|\r|: |Content-Length: |Transfer-Encoding: chunked|\
    Host: |0\r\n\r\n|ffffffffffffffff|-1|GET |HTTP/1.0|HTTP/1.1\r\n|gzip|, |\t|\u{0}|;";

const INJECT: &str = r#"{"from":
    {"email":"a@a.example","name":"\u00c4 \"x\""},"to":[{"email":"b@b.example",
    "substitutions":{"n":"B","l":[{"x":1},{"x":2}]}},"c@b.example"],"cc":["d@b.example"],
    "substitutions":{"g":true},"subject":"Hi {{n}}","text":"{{#l}}{{x}}{{/l}}\n","html":
    "<a href=\"{{n}}\">{{n}}</a>","attachments":[{"name":"f.txt","type":"text/plain","content":
    "aGVsbG8=","cid":"i@x"}],"headers":{"X-A":"{{n}}"},"send_at":"2026-12-01T00:00:00Z","dsn":
    {"notify":["never"],"ret":"full"},"expire":"4h","campaign":"s","priority":3}"#;
const INJECT_RAW: &str = r#"{"envelope_from":"a@a.example","to":["b@b.example"],"raw":
    "RnJvbTogYUBhLmV4YW1wbGUNCg0KeA0K"}"#;
const INJECT_WORDS: &str = "{{n}}|{{#l}}|{{/l}}|{{^g}}|\
    {{{n}}}|{{|}}|\"|\\r\\n|\\u0000|\\ud800|[|]|{|}|,|:|null|\
    <script>|<!--|'|=|1e999|\"raw\":|\"to\":|\"html\":|\"template\":true|\"separate\":false|@";

const SMTP: &str = "EHLO client.test\r\nNOOP\r\nVRFY alice\r\nHELP\r\nRSET\r\nQUIT\r\n";
const SMTP_TRANSFER: &str = "EHLO client.test\r\nMAIL FROM:<a@remote.test> SIZE=10 BODY=8BITMIME \
    SMTPUTF8 RET=HDRS ENVID=a+20b\r\nRCPT TO:<\"b c\"@example.test> NOTIFY=NEVER \
    ORCPT=rfc822;x@y\r\nDATA\r\nSubject: x\r\n\r\n..\r\n.\r\nQUIT\r\n";
const SMTP_CHUNKS: &str = "LHLO client.test\r\nMAIL FROM:<> BODY=BINARYMIME\r\n\
    RCPT TO:<a@example.test>\r\nBDAT 3\r\nabcBDAT 4 LAST\r\nd\r\n.RSET\r\n";
const SMTP_LOGIN: &str = "EHLO [IPv6:::1]\r\nAUTH PLAIN AGEAYg==\r\nAUTH LOGIN\r\nYQ==\r\nYg==\r\n\
    AUTH SCRAM-SHA-256 biwsbj1hLHI9Yg==\r\n*\r\nSTARTTLS\r\n";
const SMTP_WORDS: &str = "\r\n|\r|\n|\r\n.\r\n|EHLO |LHLO |MAIL FROM:|RCPT TO:|<>|<a@b>|\
    <@a,@b:c@d>|DATA|BDAT 0 LAST|BDAT 99999999999|AUTH |=|*|SIZE=|NOTIFY=|ORCPT=|\
    \"|\\|[|]|[IPv6:|\u{e9}|\u{0}| ";

const POP3: &str = "CAPA\r\nSTAT\r\nLIST\r\nUIDL 2\r\nRETR 1\r\nTOP 3 10\r\nDELE 4\r\nUIDL\r\n\
    RSET\r\nNOOP\r\nDELE 5\r\nLANG en\r\nQUIT\r\n";
const POP3_LOGIN: &str = "UTF8\r\nSTLS\r\nUSER alice\r\nPASS se cret\r\nAUTH PLAIN AGEAYg==\r\n\
    AUTH LOGIN\r\nYQ==\r\nYg==\r\nAUTH SCRAM-SHA-256 biwsbj1hLHI9Yg==\r\n*\r\nAPOP a b\r\n";
const POP3_WORDS: &str = "\r\n|\n|\r|.|\r\n.\r\n| |0|1|4294967295|99999999999|RETR |TOP |LIST|\
    UIDL |DELE |QUIT|AUTH |PASS |USER |=|*|\u{e9}|\u{0}";

const IMAP: &str = "a LOGIN alice \"pass\\\"word\"\r\nb ENABLE IMAP4rev2\r\nc SELECT INBOX\r\n\
    d LIST (SUBSCRIBED) \"\" (\"*\" %) RETURN (CHILDREN STATUS (MESSAGES))\r\ne IDLE\r\nDONE\r\n\
    f CREATE \"Entw&APw-rfe\"\r\ng STATUS a (UIDNEXT SIZE)\r\nh ID (\"name\" NIL)\r\ni LOGOUT\r\n";
const IMAP_FETCH: &str = "a FETCH 1:*,$ (UID FLAGS BODY.PEEK[1.2.HEADER.FIELDS (TO)]<0.5> \
    BINARY[1]<1.2> BODYSTRUCTURE)\r\nb UID SEARCH RETURN (MIN ALL SAVE) CHARSET UTF-8 OR NOT SEEN \
    (SUBJECT \"x\" SINCE 1-Feb-1994) UID 1:5\r\nc STORE 2 +FLAGS.SILENT (\\Seen $x)\r\n\
    d UID MOVE 1:3 \"a b\"\r\ne SELECT x (QRESYNC (7 9 1:5,7 (1,3 2,4)) CONDSTORE)\r\n\
    f UID FETCH 1:9 FLAGS (CHANGEDSINCE 5 VANISHED PARTIAL -1:-9)\r\ng UIDBATCHES 500 1:2\r\n\
    h NOTIFY SET STATUS (selected (MessageNew (UID) MessageExpunge)) (subtree (a b) NONE)\r\n";
const IMAP_LITERALS: &str = "a LOGIN {5}\r\nalice {4+}\r\npass\r\nb APPEND INBOX (\\Seen) \
    \"17-Feb-1994 21:52:25 -0800\" ~{3+}\r\na\u{0}b\r\nc APPEND x UTF8 (~{2+}\r\nab)\r\n\
    d AUTHENTICATE PLAIN =\r\n";
const IMAP_WORDS: &str = "\r\n|\n|(|)|[|]|<|>|{0}|{3+}|{4294967295}|~{1}|\"|\\|*|%|$|,|:|NIL|\
    NOT |OR |UID |FETCH |SEARCH |BODY[]|RETURN (|CHARSET |&|&-|&AGE-|+FLAGS|DONE|\
    \u{e9}|\u{0}| |1:*|INBOX";

const MIME_WORDS: &str = "\r\n|\n|\r\n\r\n|--|--b--\r\n|Content-Type: |multipart/mixed; boundary=b|\
    message/rfc822|text/plain; charset=|Content-Transfer-Encoding: base64|quoted-printable|\
    Content-Disposition: attachment; filename*0*=utf-8''|=?utf-8?B?|=?utf-8?Q?|?=|=|=3D|=\r\n|\"|\
    \\|(|)|<|>|,|;|:|@|To: |Group: a@b, c@d;|Date: |Mon, 7 Feb 1994 21:52:25 -0800|\u{e9}|\u{0}";
