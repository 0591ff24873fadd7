//! SEARCH with every key, SORT by every criterion, THREAD by references.

use super::commands::{Knowledge, numbers, uids};
use tests::seed::Seed;

pub(super) fn search(seed: &mut Seed, known: &Knowledge) -> Vec<u8> {
    let uid = *seed.pick(&["", "UID "]);
    let options = match seed.below(4) {
        0 => format!("RETURN ({}) ", returned(seed)),
        _ => String::new(),
    };
    let charset = *seed.pick(&["", "CHARSET UTF-8 ", "CHARSET US-ASCII "]);
    if seed.below(10) == 0 {
        return in_other_charset(seed, &format!("{uid}SEARCH {options}"));
    }
    let keys = keys(seed, known);
    // Octets that US-ASCII does not have are in no text; Dovecot takes them for UTF-8.
    let charset = if keys.is_ascii() {
        charset
    } else {
        "CHARSET UTF-8 "
    };
    [format!("{uid}SEARCH {options}{charset}").as_bytes(), &keys].concat()
}

fn returned(seed: &mut Seed) -> String {
    let all = ["MIN", "MAX", "COUNT", "ALL", "SAVE"];
    let chosen: Vec<&str> = all.into_iter().filter(|_| seed.below(2) == 0).collect();
    chosen.join(" ")
}

/// Words that are others in the charset of the command.
fn in_other_charset(seed: &mut Seed, start: &str) -> Vec<u8> {
    let (charset, word): (&str, &[u8]) = *seed.pick(&[
        ("KOI8-R", b"\xd0\xd2\xc9\xd7\xc5\xd4".as_slice()),
        ("ISO-8859-1", b"gr\xdc\xdfe"),
        ("windows-1252", b"K\xd6ln"),
        ("Shift_JIS", b"\x93\x8c"),
        ("X-NOWHERE", b"a"),
    ]);
    let (key, word): (&str, &[u8]) = match (seed.below(3), charset) {
        (0, _) => ("TEXT", word),
        (1, _) => ("SUBJECT", word),
        (_, "ISO-8859-1") => ("BODY", b"of \xdf a"),
        (_, "KOI8-R") => ("BODY", b"\xd0\xd2\xc9\xd7\xc5\xd4 n"),
        (_, "windows-1252") => ("BODY", b"\x93QUOTED\x94 n"),
        _ => ("BODY", word),
    };
    let text = format!("{start}CHARSET {charset} {key} {{{}+}}\r\n", word.len());
    [text.as_bytes(), word].concat()
}

fn keys(seed: &mut Seed, known: &Knowledge) -> Vec<u8> {
    let count = 1 + seed.below(3);
    let keys: Vec<String> = (0..count).map(|_| key(seed, known, 0)).collect();
    keys.join(" ").into_bytes()
}

fn key(seed: &mut Seed, known: &Knowledge, depth: u32) -> String {
    match seed.below(if depth > 2 { 12 } else { 15 }) {
        0..3 => (*seed.pick(FLAG_KEYS)).to_owned(),
        3 => {
            let name = *seed.pick(&["KEYWORD", "UNKEYWORD"]);
            format!("{name} {}", *seed.pick(&["kw", "KW", "$Work", "nobody"]))
        }
        4 | 5 => {
            let name = *seed.pick(&["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"]);
            format!("{name} {}", *seed.pick(DAYS))
        }
        6 => {
            let name = *seed.pick(&["LARGER", "SMALLER"]);
            format!(
                "{name} {}",
                *seed.pick(&["0", "300", "700", "1500", "4000", "4294967295"])
            )
        }
        7 | 8 => {
            let name = *seed.pick(&["SUBJECT", "FROM", "TO", "CC", "BCC", "BODY", "TEXT"]);
            let words = if name == "BODY" { BODY_WORDS } else { WORDS };
            format!("{name} {}", word(seed, words))
        }
        9 => {
            let field = *seed.pick(&["X-Odd", "SUBJECT", "Message-ID", "Content-Type", "\"date\""]);
            format!("HEADER {field} {}", word(seed, WORDS))
        }
        10 => match seed.below(3) {
            0 if !known.uids.is_empty() => numbers(seed, known),
            1 => format!("MODSEQ {}", seed.pick(&["1", "{N0}"])),
            _ => format!("UID {}", uids(seed, known)),
        },
        11 => {
            let name = *seed.pick(&["OLDER", "YOUNGER"]);
            format!(
                "{name} {}",
                *seed.pick(&["1", "3600", "100000000", "200000000"])
            )
        }
        12 => format!("NOT {}", key(seed, known, depth + 1)),
        13 => {
            let (one, other) = (key(seed, known, depth + 1), key(seed, known, depth + 1));
            format!("OR {one} {other}")
        }
        _ => {
            let (one, other) = (key(seed, known, depth + 1), key(seed, known, depth + 1));
            format!("({one} {other})")
        }
    }
}

/// An astring: an atom, a quoted string or a literal, also one that is no ASCII.
fn word(seed: &mut Seed, words: &[&str]) -> String {
    let word = *seed.pick(words);
    match word.is_ascii() {
        true if seed.below(2) == 0 && !word.is_empty() && !word.contains([' ', '"', '\\']) => {
            word.to_owned()
        }
        true if seed.below(2) == 0 => {
            format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
        }
        _ => format!("{{{}+}}\r\n{word}", word.len()),
    }
}

pub(super) fn sort(seed: &mut Seed, known: &Knowledge) -> Vec<u8> {
    let uid = *seed.pick(&["", "UID "]);
    let options = match seed.below(4) {
        0 => format!("RETURN ({}) ", returned(seed).replace("SAVE", "").trim()),
        _ => String::new(),
    };
    let mut criteria: Vec<String> = Vec::new();
    for _ in 0..1 + seed.below(3) {
        let reverse = *seed.pick(&["", "", "REVERSE "]);
        criteria.push(format!("{reverse}{}", *seed.pick(CRITERIA)));
    }
    let mut out = format!("{uid}SORT {options}({}) UTF-8 ", criteria.join(" ")).into_bytes();
    match seed.below(3) {
        0 => out.extend(keys(seed, known)),
        _ => out.extend(b"ALL"),
    }
    out
}

pub(super) fn thread(seed: &mut Seed, known: &Knowledge) -> Vec<u8> {
    let uid = *seed.pick(&["", "UID "]);
    let algorithm = *seed.pick(&["REFERENCES", "REFS", "ORDEREDSUBJECT"]);
    let mut out = format!("{uid}THREAD {algorithm} UTF-8 ").into_bytes();
    match seed.below(3) {
        0 => out.extend(keys(seed, known)),
        _ => out.extend(b"ALL"),
    }
    out
}

const FLAG_KEYS: &[&str] = &[
    "ALL",
    "ANSWERED",
    "DELETED",
    "DRAFT",
    "FLAGGED",
    "SEEN",
    "UNANSWERED",
    "UNDELETED",
    "UNDRAFT",
    "UNFLAGGED",
    "UNSEEN",
];

const DAYS: &[&str] = &[
    "1-Feb-1994",
    "7-Feb-1994",
    "8-Feb-1994",
    "1-Jun-2021",
    "2-Jun-2021",
    "\"3-Jun-2021\"",
    "31-Dec-2023",
    "1-Jan-2024",
    "14-Mar-2021",
    "02-Apr-2021",
    "29-Feb-2008",
];

const WORDS: &[&str] = &[
    "needle",
    "NEEDLE",
    "haystack",
    "Re:",
    "remote.test",
    "Gray",
    "gRÜSSE",
    "grüße",
    "köln",
    "ПРИВЕТ",
    "東京",
    "needle in",
    "ids.test",
    "text/plain",
    "",
    "nobody-says-this",
    "a \"quoted\"",
    "back\\slash",
    "jürgen",
    "André",
    "spaces   inside",
    "split words",
    "@",
    "[list]",
    "value",
];

/// Words that are in no header. To us the header of a message within a message is of the body that
/// holds it, as `BODY[TEXT]` is; Dovecot searches no header at all, and RFC 9051 §6.4.4, "in the
/// body of the message" and "any header fields", has room for both.
const BODY_WORDS: &[&str] = &[
    "needle text",
    "NEEDLE TEXT, nothing",
    "long needle of",
    "an unknown charset",
    "Köln, привет",
    "ПРИВЕТ,",
    "東京",
    "of ß and İ",
    "\u{201c}quoted\u{201d} needle",
    "",
    "just text",
    "nobody-says-this",
    "a preamble",
];

pub(super) const CRITERIA: &[&str] = &[
    "ARRIVAL",
    "CC",
    "DATE",
    "FROM",
    "SIZE",
    "SUBJECT",
    "TO",
    "DISPLAYFROM",
    "DISPLAYTO",
];
