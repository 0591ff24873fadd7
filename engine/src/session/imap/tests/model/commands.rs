//! What a client says: random commands that its dialect allows.

use super::super::Random;
use super::believer::Kind;

/// A command over what a client believes: `exists` messages, and a MODSEQ that it was told.
pub(super) fn any(random: &mut Random, kind: Kind, exists: usize, modseq: u64) -> String {
    match random.below(12) {
        0 => "NOOP".into(),
        1 | 2 => "APPEND INBOX {16+}\r\nSubject: x\r\n\r\nyy".into(),
        3 => names(random),
        _ if exists == 0 => "CHECK".into(),
        4 => "EXPUNGE".into(),
        5 => format!("UID EXPUNGE {}", uids(random)),
        6 => format!(
            "UID {}",
            random.one_of(&["COPY 1:9 Other", "MOVE 3:4 Other", "COPY 2:5 INBOX"])
        ),
        7 | 8 => store(random, kind, exists, modseq),
        9 | 10 => fetch(random, kind, exists, modseq),
        _ => search(random, kind, exists),
    }
}

fn names(random: &mut Random) -> String {
    let name = |random: &mut Random| random.one_of(&["n0", "n1", "n0/a", "n2"]).to_owned();
    match random.below(4) {
        0 | 1 => format!("CREATE {}", name(random)),
        2 => format!("DELETE {}", name(random)),
        _ => format!("RENAME {} {}", name(random), name(random)),
    }
}

fn numbers(random: &mut Random, exists: usize) -> String {
    let (a, b) = (random.below(exists) + 1, random.below(exists) + 1);
    format!("{}:{}", a.min(b), a.max(b))
}

fn uids(random: &mut Random) -> String {
    let first = random.below(30) + 1;
    format!("{first}:{}", first + random.below(6))
}

/// A set and the word before the command that takes it.
fn target(random: &mut Random, kind: Kind, exists: usize) -> (&'static str, String) {
    match kind.has_numbers() && random.below(2) == 0 {
        true => ("", numbers(random, exists)),
        false => ("UID ", uids(random)),
    }
}

fn store(random: &mut Random, kind: Kind, exists: usize, modseq: u64) -> String {
    let (uid, set) = target(random, kind, exists);
    let flag = random.one_of(&["\\Seen", "\\Flagged", "\\Deleted", "\\Deleted", "kw"]);
    let op = random.one_of(&["+FLAGS", "-FLAGS", "FLAGS"]);
    if random.below(4) == 0 {
        return format!("{uid}STORE {set} (UNCHANGEDSINCE {modseq}) {op} ({flag})");
    }
    let silent = if random.below(2) == 0 { ".SILENT" } else { "" };
    format!("{uid}STORE {set} {op}{silent} ({flag})")
}

fn fetch(random: &mut Random, kind: Kind, exists: usize, modseq: u64) -> String {
    let (uid, set) = target(random, kind, exists);
    match random.below(5) {
        0 => format!("{uid}FETCH {set} (UID FLAGS)"),
        1 => format!("{uid}FETCH {set} BODY[TEXT]<0.1>"),
        2 => "UID FETCH 1:* (UID FLAGS MODSEQ)".into(),
        3 if kind.is_qresync() => {
            format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
        }
        _ => format!("{uid}FETCH {set} (FLAGS) (CHANGEDSINCE {modseq})"),
    }
}

fn search(random: &mut Random, kind: Kind, exists: usize) -> String {
    match kind.has_numbers() {
        true => format!("SEARCH {} UNSEEN", numbers(random, exists)),
        false => format!("UID SEARCH RETURN (SAVE COUNT) UID {}", uids(random)),
    }
}
