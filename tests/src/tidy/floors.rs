//! Who may import whom: a room sees lower floors only (design: crates and floors).
//!
//! Cargo keeps the crates apart; this keeps the rooms inside them apart. Paths that start with
//! `crate::`, with another crate of ours, or with as many `super::` as reach the root are imports,
//! wherever they stand.

use super::Offence;
use super::source::Source;

/// Rooms by floor, from the bottom. A room that is not listed is an offence by itself.
const STORE: [&[&str]; 7] = [
    &["mail", "codec", "limit", "error", "bell", "gate"],
    &["disk"],
    &["log", "pack", "body"],
    &["record", "table"],
    &["spool", "mailbox", "memo", "search"],
    &["compact", "backup", "replicate", "check"],
    &["shard"],
];

const ENGINE: [&[&str]; 8] = [
    &["reactor"],
    &["wire", "config", "telemetry"],
    &["auth", "tls", "resolver", "sign", "convert"],
    &["policy", "route", "post", "events"],
    &["session", "intake", "inject"],
    &["queue", "deliver", "egress"],
    &["listen", "admin"],
    &["serve", "main"],
];

/// The bench lets outcomes be all that its upper rooms are made of.
const BENCH: [&[&str]; 6] = [
    &["outcome"],
    &["load", "measure"],
    &["client", "peer"],
    &["scenario"],
    &["compare", "report"],
    &["main"],
];

/// Rooms of one floor that may see each other: nouns and limits have no floor below them, spool,
/// memo and mailbox are views of one log, a pack holds records of the log, a repair is written down
/// by the compactor, authentication binds to the TLS channel, the queue drives
/// egress, and a comparison ends as a report.
const SAME_FLOOR: [(&str, &str, &str); 17] = [
    ("store", "mail", "limit"),
    ("store", "mail", "codec"),
    ("store", "mail", "error"),
    ("store", "codec", "limit"),
    ("store", "codec", "error"),
    ("store", "error", "mail"),
    ("store", "error", "limit"),
    ("store", "gate", "bell"),
    ("store", "mailbox", "spool"),
    ("store", "mailbox", "memo"),
    ("store", "pack", "log"),
    ("store", "check", "compact"),
    ("engine", "auth", "tls"),
    ("engine", "inject", "intake"),
    ("engine", "inject", "session"),
    ("engine", "queue", "egress"),
    ("bench", "compare", "report"),
];

/// What the engine may see of the store: its door, its nouns, its errors and limits.
const STORE_SEEN: [&str; 5] = ["shard", "mail", "mailbox", "error", "limit"];

/// Who sees more: the reactor implements the disk, what opens a shard names it and the options of
/// its log, and what is generic over the disk names the trait.
const STORE_SEEN_BY: [(&str, &str); 5] = [
    ("reactor", "disk"),
    ("serve", "disk"),
    ("serve", "log"),
    ("main", "disk"),
    ("session", "disk"),
];

/// What the bench may see of the engine: it drives any server from outside.
const ENGINE_SEEN_BY_BENCH: [&str; 3] = ["reactor", "wire", "tls"];

/// What a scenario may see of the store: to measure a disk it writes as a log does.
const STORE_SEEN_BY_SCENARIOS: [&str; 2] = ["disk", "limit"];

/// Parsers know the nouns of mail and nothing else of the store.
const WIRE_SEES: [&str; 2] = ["mail", "limit"];

/// Every import that goes up, sideways, or past the door.
pub fn floors(sources: &[Source]) -> Vec<Offence> {
    sources.iter().flat_map(of_source).collect()
}

fn of_source(source: &Source) -> Vec<Offence> {
    let Some((name, room)) = source.room().filter(|(name, _)| table(name).is_some()) else {
        return Vec::new();
    };
    if room == "lib" {
        return Vec::new();
    }
    if floor(name, &room).is_none() {
        let why = format!("the room `{room}` has no floor: add it to tests/src/tidy/floors.rs");
        return vec![Offence::new(&source.path, 1, why)];
    }
    imports(source)
        .into_iter()
        .filter_map(|(line, target, seen)| {
            let why = refused(name, &room, &target, &seen)?;
            Some(Offence::new(&source.path, line, why))
        })
        .collect()
}

/// Why room `room` of crate `name` may not see `seen` of crate `target`.
fn refused(name: &str, room: &str, target: &str, seen: &str) -> Option<String> {
    match (name, target) {
        (_, "crate") => {
            let (own, other) = (floor(name, room)?, floor(name, seen)?);
            let listed = SAME_FLOOR.contains(&(name, room, seen));
            let fine = room == seen || other < own || listed;
            let why = format!("`{room}` (floor {own}) imports `{seen}` (floor {other})");
            (!fine).then_some(why)
        }
        ("bench", "engine") => {
            let fine = ENGINE_SEEN_BY_BENCH.contains(&seen);
            (!fine).then(|| format!("`{room}` reaches into the engine: engine::{seen}"))
        }
        ("bench", "store") if room == "scenario" && STORE_SEEN_BY_SCENARIOS.contains(&seen) => None,
        ("bench", "store" | "tools") => Some(format!("the bench sees nothing of {target}")),
        ("store", "engine" | "tools") => Some(format!("store imports nothing of ours: {target}")),
        ("engine", "store") => {
            floor("store", seen)?;
            let special = STORE_SEEN_BY.contains(&(room, seen));
            let listed = if room == "wire" {
                &WIRE_SEES[..]
            } else {
                &STORE_SEEN[..]
            };
            let fine = special || listed.contains(&seen);
            (!fine).then(|| format!("`{room}` reaches past the store's door: store::{seen}"))
        }
        _ => None,
    }
}

/// Line, crate and room of every path that leaves the file's room.
fn imports(source: &Source) -> Vec<(usize, String, String)> {
    let code: Vec<&str> = source.lines.iter().map(|line| line.code.as_str()).collect();
    let joined = code.join("\n");
    let mut found = Vec::new();
    for target in ["crate", "store", "engine", "tools"] {
        let start = format!("{target}::");
        for (at, _) in joined.match_indices(&start) {
            let before = joined[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let line = joined[..at].matches('\n').count() + 1;
            for room in heads(&joined[at + start.len()..]) {
                found.push((line, target.to_string(), room));
            }
        }
    }
    found.extend(climbing(source, &joined));
    found
}

/// `super::super::…` that reaches the root of the crate.
fn climbing(source: &Source, joined: &str) -> Vec<(usize, String, String)> {
    let depth = depth(source);
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = joined[from..].find("super::").map(|at| from + at) {
        let mut end = start;
        let mut steps = 0;
        while joined[end..].starts_with("super::") {
            (end, steps) = (end + "super::".len(), steps + 1);
        }
        if steps >= depth {
            let line = joined[..start].matches('\n').count() + 1;
            let rooms = heads(&joined[end..]).into_iter();
            found.extend(rooms.map(|room| (line, "crate".to_string(), room)));
        }
        from = end;
    }
    found
}

/// How many modules lie between the file and the root of its crate.
fn depth(source: &Source) -> usize {
    let parts = source.place().map_or(0, |(_, parts)| parts.len());
    let is_door = source.path.file_name().is_some_and(|name| name == "mod.rs");
    if is_door { parts - 1 } else { parts }
}

/// The first names behind `crate::`: one, or those of a group.
fn heads(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return word(rest).into_iter().collect();
    };
    let (mut heads, mut depth, mut fresh) = (Vec::new(), 0usize, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            _ if fresh && !c.is_whitespace() => {
                heads.extend(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_string())
}

fn table(name: &str) -> Option<&'static [&'static [&'static str]]> {
    match name {
        "store" => Some(&STORE),
        "engine" => Some(&ENGINE),
        "bench" => Some(&BENCH),
        _ => None,
    }
}

fn floor(name: &str, room: &str) -> Option<usize> {
    table(name)?.iter().position(|rooms| rooms.contains(&room))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offences(path: &str, text: &str) -> usize {
        floors(&[Source::new(path, text)]).len()
    }

    #[test]
    fn up_and_sideways_are_refused() {
        assert_eq!(
            offences("store/src/log/mod.rs", "use crate::shard::Shard;"),
            1
        );
        assert_eq!(
            offences("store/src/spool/a.rs", "use crate::mailbox::View;"),
            1
        );
        assert_eq!(
            offences(
                "store/src/log/a.rs",
                "use crate::{disk::D, record::{R, S}};"
            ),
            1
        );
        assert_eq!(
            offences("engine/src/tls/a.rs", "fn a() { crate::listen::b() }"),
            1
        );
        assert_eq!(
            offences("engine/src/tls/a.rs", "use super::super::listen::b;"),
            1
        );
        assert_eq!(
            offences("engine/src/wire/a.rs", "use store::shard::Shard;"),
            1
        );
        assert_eq!(
            offences("engine/src/session/a.rs", "use store::log::Log;"),
            1
        );
        assert_eq!(offences("engine/src/shed/a.rs", ""), 1);
        for text in [
            "use crate::report::Page;",
            "use engine::session::Session;",
            "use store::shard::Shard;",
        ] {
            assert_eq!(offences("bench/src/scenario/a.rs", text), 1, "{text}");
        }
        let text = "use store::disk::Disk;";
        assert_eq!(offences("bench/src/client/a.rs", text), 1);
        assert_eq!(offences("bench/src/scenario/a.rs", text), 0);
    }

    #[test]
    fn down_is_allowed_and_text_is_no_import() {
        assert_eq!(
            offences("store/src/log/a.rs", "use crate::disk::D; // crate::shard"),
            0
        );
        assert_eq!(offences("engine/src/auth/a.rs", "use crate::tls::T;"), 0);
        assert_eq!(
            offences("engine/src/auth/a.rs", "let a = \"crate::serve\";"),
            0
        );
        assert_eq!(
            offences("engine/src/wire/imap/a.rs", "use super::super::mime;"),
            0
        );
        assert_eq!(
            offences("engine/src/serve.rs", "use crate::{wire, listen};"),
            0
        );
        let text = "use crate::{load, outcome::Audit}; use engine::reactor::Socket;";
        assert_eq!(offences("bench/src/client/sink/a.rs", text), 0);
    }
}
