//! `tests/SPEC.tsv`: every RFC that the code cites, and how much of it is there.
//!
//! Columns: number, title, state, rooms that cite it. The state is `Yes`, `Partial`, `No`, or
//! `Via n` where RFC n contains it. Both ways: a cited RFC is listed with exactly its rooms, and a
//! listed one that is `Yes` or `Partial` is cited.
//! `RINGPOST_SPEC=write` writes the rooms anew; number, title and state stay a human's matter.

use super::Offence;
use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Rooms by RFC.
pub type Citations = BTreeMap<u32, BTreeSet<String>>;

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub number: u32,
    pub title: String,
    pub state: String,
    pub rooms: BTreeSet<String>,
}

/// Compares the table with what the sources cite.
pub fn spec(table: &str, sources: &[Source]) -> Vec<Offence> {
    let (entries, mut offences) = entries(table);
    let cited = citations(sources);
    let listed: BTreeMap<u32, &(usize, Entry)> = entries.iter().map(|e| (e.1.number, e)).collect();
    for (number, rooms) in &cited {
        if !listed.contains_key(number) {
            let why = format!("RFC {number} is cited by {} but not listed", joined(rooms));
            offences.push(Offence::new(PATH, 1, why));
        }
    }
    let none = BTreeSet::new();
    for (line, entry) in &entries {
        let rooms = cited.get(&entry.number).unwrap_or(&none);
        let there = ["Yes", "Partial"].contains(&entry.state.as_str());
        if *rooms != entry.rooms {
            let why = format!(
                "RFC {} is cited by [{}], listed with [{}]: RINGPOST_SPEC=write mends it",
                entry.number,
                joined(rooms),
                joined(&entry.rooms)
            );
            offences.push(Offence::new(PATH, *line, why));
        }
        if rooms.is_empty() && there {
            let why = format!(
                "RFC {} is `{}` but nothing cites it",
                entry.number, entry.state
            );
            offences.push(Offence::new(PATH, *line, why));
        }
    }
    offences
}

/// The table with the rooms as they are now.
pub fn rewritten(table: &str, sources: &[Source]) -> String {
    let cited = citations(sources);
    let mut text = String::from("RFC\ttitle\tstate\trooms\n");
    for (_, entry) in entries(table).0 {
        let rooms = cited.get(&entry.number).map(joined).unwrap_or_default();
        let Entry {
            number,
            title,
            state,
            ..
        } = entry;
        text.push_str(&format!("{number}\t{title}\t{state}\t{rooms}\n"));
    }
    text
}

/// What production code and its comments cite, by room.
fn citations(sources: &[Source]) -> Citations {
    let mut cited = Citations::new();
    for source in sources
        .iter()
        .filter(|source| !source.path.starts_with("tests"))
    {
        let Some(room) = room(&source.path) else {
            continue;
        };
        for line in &source.lines {
            for (at, _) in line.text.match_indices("RFC ") {
                let digits = line.text[at + 4..].chars().take_while(char::is_ascii_digit);
                if let Ok(number) = digits.collect::<String>().parse() {
                    cited.entry(number).or_default().insert(room.clone());
                }
            }
        }
    }
    cited
}

/// `engine/src/wire/imap/a.rs` → `engine/wire/imap`; two levels, because `wire` is many nouns.
fn room(path: &Path) -> Option<String> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let [name, "src", rest @ ..] = parts.as_slice() else {
        return None;
    };
    let folders = &rest[..rest.len() - 1];
    let mut room = vec![*name];
    match folders {
        [] => room.push(rest[0].trim_end_matches(".rs")),
        folders => room.extend(folders.iter().take(2)),
    }
    Some(room.join("/"))
}

fn entries(table: &str) -> (Vec<(usize, Entry)>, Vec<Offence>) {
    let (mut entries, mut offences) = (Vec::new(), Vec::new());
    for (at, line) in table.lines().enumerate().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let parsed = match columns.as_slice() {
            [number, title, state, rooms] if is_state(state) => {
                let rooms = rooms.split(", ").filter(|room| !room.is_empty());
                number.parse().ok().map(|number| Entry {
                    number,
                    title: (*title).to_string(),
                    state: (*state).to_string(),
                    rooms: rooms.map(str::to_string).collect(),
                })
            }
            _ => None,
        };
        match parsed {
            Some(entry) => entries.push((at + 1, entry)),
            None => offences.push(Offence::new(
                PATH,
                at + 1,
                "not number, title, state, rooms",
            )),
        }
    }
    (entries, offences)
}

fn is_state(state: &str) -> bool {
    let via = state
        .strip_prefix("Via ")
        .and_then(|number| number.parse::<u32>().ok());
    ["Yes", "Partial", "No"].contains(&state) || via.is_some()
}

fn joined(rooms: &BTreeSet<String>) -> String {
    rooms
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Where the table lies.
pub const PATH: &str = "tests/SPEC.tsv";

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "RFC\ttitle\tstate\trooms\n5321\tSMTP\tYes\tengine/wire/smtp\n";

    fn offences(table: &str, text: &str) -> usize {
        spec(table, &[Source::new("engine/src/wire/smtp/path.rs", text)]).len()
    }

    #[test]
    fn both_ways_are_checked() {
        assert_eq!(offences(TABLE, "//! RFC 5321 §4"), 0);
        assert_eq!(
            offences(TABLE, "//! RFC 5321 and RFC 2033"),
            1,
            "cited, not listed"
        );
        assert_eq!(offences(TABLE, "//! nothing"), 2, "listed, not cited");
        let no = TABLE.replace("Yes\tengine/wire/smtp", "No\t");
        assert_eq!(offences(&no, "//! nothing"), 0);
        assert_eq!(offences(&TABLE.replace("Yes", "Maybe"), "//! RFC 5321"), 2);
    }

    #[test]
    fn rooms_are_written_anew() {
        let source = Source::new("store/src/mail/date.rs", "//! RFC 5321");
        assert!(rewritten(TABLE, &[source]).contains("SMTP\tYes\tstore/mail\n"));
    }
}
