//! What both servers are asked: any command of any family that Dovecot knows as well.
//!
//! `{V}` stands for the UIDVALIDITY of the mailbox, `{M0}`, `{M1}`… for its HIGHESTMODSEQ at the
//! marks of the session and `{N0}`… for the first above: they are other numbers at each server, and
//! how many messages a server gives one MODSEQ at once is its own affair.

use super::{finding, names};
use tests::seed::Seed;

/// What a client knows when it asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Knowledge {
    /// The mailbox of this session, and another to copy into.
    pub(super) mailbox: String,
    pub(super) other: String,
    pub(super) uids: Vec<u32>,
    pub(super) marks: u64,
    pub(super) is_qresync: bool,
}

impl Knowledge {
    fn exists(&self) -> u64 {
        self.uids.len() as u64
    }
}

/// A command for the selected state.
pub(super) fn any(seed: &mut Seed, known: &Knowledge) -> Vec<u8> {
    let command = match seed.below(24) {
        0..7 => fetch(seed, known),
        7..11 => return finding::search(seed, known),
        11 => return finding::sort(seed, known),
        12 => return finding::thread(seed, known),
        13..16 => store(seed, known),
        16 | 17 => copy(seed, known),
        18 => expunge(seed, known),
        19 => return append(seed, known),
        20 => select(seed, known),
        21 | 22 => names::any(seed, known),
        _ => small(seed),
    };
    command.into_bytes()
}

fn small(seed: &mut Seed) -> String {
    let all = [
        "NOOP",
        "CHECK",
        "CAPABILITY",
        "NAMESPACE",
        "ID NIL",
        "ID (\"name\" \"x\")",
    ];
    (*seed.pick(&all)).to_owned()
}

/// A sequence set, now and then one beyond what there is.
pub(super) fn numbers(seed: &mut Seed, known: &Knowledge) -> String {
    let exists = known.exists().max(1);
    let mut number = || 1 + seed.below(exists);
    let (a, b, c) = (number(), number(), number());
    match seed.below(12) {
        0 => "1:*".into(),
        1 => "*".into(),
        2 => format!("{a}:*"),
        3 => format!("*:{a}"),
        4 => format!("{},{b},{c}", a.min(b)),
        5 => format!("{b}:{a},{c}"),
        6 if seed.below(8) == 0 => format!("{a},{}", exists + 3),
        7 if seed.below(8) == 0 => "$".into(),
        8 | 9 => format!("{}:{}", a.min(b), a.max(b)),
        _ => a.to_string(),
    }
}

/// The same of UIDs, where gaps and numbers beyond are allowed.
pub(super) fn uids(seed: &mut Seed, known: &Knowledge) -> String {
    let highest = u64::from(known.uids.last().copied().unwrap_or(1)) + 3;
    let mut number = || 1 + seed.below(highest);
    let (a, b, c) = (number(), number(), number());
    match seed.below(8) {
        0 => "1:*".into(),
        1 => format!("{a}:*"),
        2 => "*".into(),
        3 => format!("{a}:{b},{c}"),
        4 => format!("4294967290:{a}"),
        5 if seed.below(8) == 0 => "$".into(),
        _ => format!("{a}:{}", a + seed.below(5)),
    }
}

/// `UID ` or nothing, and the set for it.
fn target(seed: &mut Seed, known: &Knowledge) -> (&'static str, String) {
    match seed.below(2) == 0 || known.uids.is_empty() {
        true => ("UID ", uids(seed, known)),
        false => ("", numbers(seed, known)),
    }
}

fn fetch(seed: &mut Seed, known: &Knowledge) -> String {
    let (uid, set) = target(seed, known);
    if seed.below(12) == 0 {
        let name = *seed.pick(&["ALL", "FAST", "FULL", "FLAGS", "ENVELOPE", "UID"]);
        return format!("{uid}FETCH {set} {name}");
    }
    let mut items: Vec<String> = Vec::new();
    for _ in 0..1 + seed.below(4) {
        let item = item(seed);
        // What is told once or twice, where it is asked for twice, is a choice; PEEK is not told.
        let told = |item: &str| item.replace(".PEEK", "");
        if items.iter().all(|other| told(other) != told(&item)) {
            items.push(item);
        }
    }
    let modifier = match seed.below(10) {
        0 => format!(" (CHANGEDSINCE {})", mark(seed, known)),
        1 if known.is_qresync && uid == "UID " => {
            format!(" (CHANGEDSINCE {} VANISHED)", mark(seed, known))
        }
        _ => String::new(),
    };
    format!("{uid}FETCH {set} ({}){modifier}", items.join(" "))
}

fn mark(seed: &mut Seed, known: &Knowledge) -> String {
    format!("{{M{}}}", seed.below(known.marks.max(1)))
}

fn item(seed: &mut Seed) -> String {
    let simple = [
        "FLAGS",
        "UID",
        "INTERNALDATE",
        "ENVELOPE",
        "BODY",
        "BODYSTRUCTURE",
        "RFC822.SIZE",
        "RFC822.HEADER",
        "RFC822.TEXT",
        "RFC822",
        "MODSEQ",
        "SAVEDATE",
        "PREVIEW",
    ];
    match seed.below(4) {
        0 | 1 => (*seed.pick(&simple)).to_owned(),
        2 => binary(seed),
        _ => {
            let peek = *seed.pick(&["", ".PEEK", ".PEEK"]);
            format!("BODY{peek}[{}]{}", section(seed), partial(seed))
        }
    }
}

fn binary(seed: &mut Seed) -> String {
    let part = *seed.pick(PARTS);
    match seed.below(3) {
        0 => format!("BINARY[{part}]"),
        _ => format!("BINARY.PEEK[{part}]{}", partial(seed)),
    }
}

pub(super) fn section(seed: &mut Seed) -> String {
    let part = *seed.pick(PARTS);
    let fields = *seed.pick(&[
        "SUBJECT",
        "From To CC",
        "\"x-odd\"",
        "DATE MESSAGE-ID REFERENCES",
        "X-Many-7 Received",
        "Content-Type",
        "NONE",
    ]);
    let text = match seed.below(8) {
        0 => return part.to_owned(),
        1 | 2 => "HEADER".to_owned(),
        3 => "TEXT".to_owned(),
        4 => format!("HEADER.FIELDS ({fields})"),
        5 => format!("HEADER.FIELDS.NOT ({fields})"),
        6 if !part.is_empty() => "MIME".to_owned(),
        _ => return part.to_owned(),
    };
    match part {
        "" => text,
        part => format!("{part}.{text}"),
    }
}

fn partial(seed: &mut Seed) -> String {
    match seed.below(3) {
        0 => format!("<{}.{}>", seed.below(60), 1 + seed.below(90)),
        _ => String::new(),
    }
}

fn store(seed: &mut Seed, known: &Knowledge) -> String {
    let (uid, set) = target(seed, known);
    let sign = *seed.pick(&["", "+", "-"]);
    let silent = *seed.pick(&["", "", ".SILENT"]);
    let flags = *seed.pick(FLAGS);
    let modifier = match seed.below(6) {
        0 => format!("(UNCHANGEDSINCE {}) ", mark(seed, known)),
        _ => String::new(),
    };
    format!("{uid}STORE {set} {modifier}{sign}FLAGS{silent} {flags}")
}

fn copy(seed: &mut Seed, known: &Knowledge) -> String {
    let (uid, set) = target(seed, known);
    let word = *seed.pick(&["COPY", "COPY", "MOVE"]);
    let to = match seed.below(6) {
        0 => &known.mailbox,
        1 => "nowhere/at/all",
        _ => &known.other,
    };
    format!("{uid}{word} {set} {to}")
}

fn expunge(seed: &mut Seed, known: &Knowledge) -> String {
    match seed.below(3) {
        0 => "EXPUNGE".into(),
        _ => format!("UID EXPUNGE {}", uids(seed, known)),
    }
}

fn append(seed: &mut Seed, known: &Knowledge) -> Vec<u8> {
    let to = *seed.pick(&[
        known.mailbox.as_str(),
        known.other.as_str(),
        "nowhere/at/all",
    ]);
    let mut out = format!("APPEND {to}").into_bytes();
    for _ in 0..1 + seed.below(2) {
        let message = super::mail::grown(seed.below(1_000));
        let envelope = super::mail::envelope(seed.below(1_000));
        out.extend(format!(" {envelope} {{{}+}}\r\n", message.len()).bytes());
        out.extend(message);
    }
    out
}

fn select(seed: &mut Seed, known: &Knowledge) -> String {
    let mailbox = &known.mailbox;
    let highest = known.uids.last().copied().unwrap_or(1);
    match seed.below(8) {
        0 => "CLOSE".into(),
        1 => "UNSELECT".into(),
        2 => format!("EXAMINE {mailbox}"),
        3 => format!("SELECT {mailbox} (CONDSTORE)"),
        4 if known.is_qresync => {
            format!("SELECT {mailbox} (QRESYNC ({{V}} {}))", mark(seed, known))
        }
        5 if known.is_qresync => {
            let (mark, some) = (mark(seed, known), 1 + seed.below(u64::from(highest)));
            format!("SELECT {mailbox} (QRESYNC ({{V}} {mark} {some}:{highest}))")
        }
        6 => "SELECT nowhere/at/all".into(),
        _ => format!("SELECT {mailbox}"),
    }
}

pub(super) const PARTS: &[&str] = &[
    "", "1", "1", "2", "3", "1.1", "1.2", "2.1", "1.1.1", "2.1.2", "9",
];

const FLAGS: &[&str] = &[
    "(\\Seen)",
    "(\\Deleted)",
    "(\\Deleted)",
    "(\\Flagged \\Answered)",
    "\\Draft kw",
    "($Work kw other)",
    "()",
    "KW",
];
