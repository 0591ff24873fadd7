//! What of an answer must be the same at both servers.
//!
//! Dropped or mapped is what the standards leave to a server: words for people, the order of items
//! and of untagged responses, quoted or literal, the values of UIDVALIDITY and MODSEQ, and what is
//! told without having been asked for: the trial asks for the whole state behind every command.

use super::differences;
use std::collections::BTreeMap;
use tests::imap::{Answer, Fetched, Response, Value, parse};

/// A command in capitals: what decides how its answer is looked at.
pub(super) struct Asked(pub(super) String);

impl Asked {
    pub(super) fn new(octets: &[u8]) -> Asked {
        Asked(String::from_utf8_lossy(octets).to_ascii_uppercase())
    }

    fn starts(&self, word: &str) -> bool {
        let behind = self.0.strip_prefix("UID ").unwrap_or(&self.0);
        behind.starts_with(word)
    }

    fn is_uid(&self) -> bool {
        self.0.starts_with("UID ")
    }

    pub(super) fn opens(&self) -> bool {
        self.starts("SELECT ") || self.starts("EXAMINE ")
    }

    /// What Dovecot ignores where nothing may change; MOVE it carries out (RFC 6851 §3.3).
    pub(super) fn changes_only_flags(&self) -> bool {
        self.starts("STORE ") || self.starts("EXPUNGE")
    }

    fn has(&self, word: &str) -> bool {
        self.0
            .split([' ', '(', ')', '\r', '\n'])
            .any(|part| part == word)
    }

    /// Whether an item of FETCH was asked for, or belongs to what was.
    fn wants(&self, item: &str) -> bool {
        let has_marks = ["CHANGEDSINCE", "UNCHANGEDSINCE"]
            .iter()
            .any(|word| self.has(word));
        if self.starts("STORE ") {
            return item == "FLAGS" && !self.0.contains(".SILENT") || item == "MODSEQ" && has_marks;
        }
        if !self.starts("FETCH ") {
            return false;
        }
        match item {
            "UID" => self.is_uid() || self.has(item),
            "MODSEQ" => self.has(item) || has_marks,
            "FLAGS" => ["FLAGS", "ALL", "FAST", "FULL"]
                .iter()
                .any(|word| self.has(word)),
            _ => true,
        }
    }
}

/// The answer as sorted lines.
pub(super) fn alike(asked: &Asked, answer: &Answer) -> Vec<String> {
    let mut lines = vec![condition(&answer.status)];
    let mut messages: BTreeMap<u32, BTreeMap<String, String>> = BTreeMap::new();
    for response in &answer.untagged {
        match response.fetched() {
            Some(Ok(one)) => messages
                .entry(one.sequence)
                .or_default()
                .extend(items(asked, &one)),
            Some(Err(why)) => lines.push(format!("unreadable FETCH: {why}: {response:?}")),
            None => lines.extend(untagged(asked, response)),
        }
    }
    messages.retain(|_, items| !items.is_empty());
    for (number, items) in messages {
        lines.extend(
            items
                .iter()
                .map(|(item, value)| format!("* {number} {item} {value}")),
        );
    }
    let mut lines: Vec<String> = lines.iter().map(|line| differences::plain(line)).collect();
    lines.sort();
    lines
}

/// `OK`, `NO` or `BAD`, and the response code.
fn condition(status: &str) -> String {
    let word = status.split(' ').next().unwrap_or_default();
    match code(status) {
        Some(code) => format!("{word} [{code}]"),
        None => word.to_owned(),
    }
}

/// The response code, as far as it is no choice of the server.
fn code(status: &str) -> Option<String> {
    let text = status.split_once(" [")?.1.split_once(']')?.0;
    let words: Vec<&str> = text.split(' ').collect();
    Some(match words[..] {
        ["HIGHESTMODSEQ" | "MAILBOXID" | "CLIENTBUG", ..] => return None,
        // RFC 5530: codes of a NO are help for the client, and each server has some.
        [code, ..] if status.starts_with("NO") && code != "TRYCREATE" => return None,
        ["APPENDUID", _, uids] => format!("APPENDUID V {}", numbers(uids)),
        ["COPYUID", _, from, to] => format!("COPYUID V {} {}", numbers(from), numbers(to)),
        ["MODIFIED", set] => format!("MODIFIED {}", numbers(set)),
        _ => text.to_owned(),
    })
}

fn items(asked: &Asked, fetched: &Fetched) -> Vec<(String, String)> {
    let of = |(name, value): (&String, &Value)| {
        let name = name.to_ascii_uppercase();
        asked
            .wants(&name)
            .then(|| (name.clone(), item(&name, value)))
    };
    fetched.items.iter().filter_map(of).collect()
}

fn item(name: &str, value: &Value) -> String {
    match name {
        // RFC 8970 §3: the text is as the server likes it.
        "MODSEQ" | "SAVEDATE" | "PREVIEW" => "given".into(),
        "FLAGS" => flags(value),
        // Types, parameters and encodings are written in any case.
        "BODY" | "BODYSTRUCTURE" => shown(value).to_lowercase(),
        // What is not there is nothing, in either form of a nstring.
        _ if name.starts_with("B") && *value == Value::Nil => "\"\"".into(),
        _ => shown(value),
    }
}

/// Without `\Recent`, which depends on who came first; keywords in one case, as they are the same
/// in any (RFC 9051 §9, flag-keyword) and who remembers how one was first written is a choice.
fn flags(value: &Value) -> String {
    let list = value.list().unwrap_or_default();
    let names = list.iter().filter_map(Value::string);
    let mut flags: Vec<String> = names
        .map(|name| match name.starts_with('\\') {
            true => name,
            false => name.to_lowercase(),
        })
        .collect();
    flags.retain(|flag| flag != "\\Recent");
    flags.sort();
    flags.join(" ")
}

/// A datum as one line of text.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Nil => "NIL".into(),
        Value::Atom(octets) => octets.escape_ascii().to_string(),
        Value::Text(octets) => format!("\"{}\"", octets.escape_ascii()),
        Value::List(values) => {
            let inner: Vec<String> = values.iter().map(shown).collect();
            format!("({})", inner.join(" "))
        }
    }
}

fn untagged(asked: &Asked, response: &Response) -> Option<String> {
    let text = response.text().into_owned();
    let words: Vec<&str> = text.split(' ').collect();
    let rest = words.get(2..).unwrap_or_default();
    match words[..] {
        [_, _, "EXISTS"] => asked.opens().then_some(text),
        [_, _, "EXPUNGE" | "RECENT"] => None,
        [_, "SEARCH", ..] => Some(format!("* SEARCH {}", sorted(rest))),
        [_, "THREAD", ..] => Some(threads(response)),
        [_, "SORT", ..] => Some(without_modseq(text.trim_end())),
        [_, "ESEARCH", ..] => Some(esearch(asked, response)),
        [_, "LIST" | "LSUB", ..] => Some(listed(asked, response)),
        [_, "STATUS", ..] => Some(status(response)),
        [_, "VANISHED", "(EARLIER)", set] => Some(format!("* VANISHED EARLIER {}", numbers(set))),
        [
            _,
            "VANISHED" | "FLAGS" | "CAPABILITY" | "ID" | "NAMESPACE",
            ..,
        ] => None,
        [_, "OK", ..] => asked.opens().then(|| opening(&text)).flatten(),
        [_, "BYE", ..] => Some("* BYE".into()),
        [_, "ENABLED", ..] => Some(format!("* ENABLED {}", sorted(rest))),
        [_, word @ ("NO" | "BAD"), ..] => Some(format!("* {word}")),
        _ => Some(text),
    }
}

/// What SELECT tells in response codes.
fn opening(text: &str) -> Option<String> {
    let (name, value) = match text.split_once(" [")?.1.split_once(']')?.0.split_once(' ') {
        Some(pair) => pair,
        None => return (!text.contains("[CLOSED]")).then(|| text.to_owned()),
    };
    match name {
        "PERMANENTFLAGS" => Some(format!("* PERMANENTFLAGS {}", value.contains("\\*"))),
        "UIDVALIDITY" => Some("* UIDVALIDITY given".into()),
        // Told always, or to those who asked for MODSEQ.
        "MAILBOXID" | "HIGHESTMODSEQ" => None,
        _ => Some(format!("* {name} {value}")),
    }
}

/// Threads with siblings in one order. Where their dates are equal ours stand by their numbers, as
/// RFC 5256 §2.2 has it; Dovecot puts some of them otherwise.
fn threads(response: &Response) -> String {
    fn ordered(value: &Value) -> String {
        let Some(values) = value.list() else {
            return shown(value);
        };
        let (branches, line): (Vec<_>, Vec<_>) =
            values.iter().partition(|value| value.list().is_some());
        let mut branches: Vec<String> = branches.into_iter().map(ordered).collect();
        branches.sort();
        let line: Vec<String> = line.into_iter().map(shown).collect();
        format!("({} {})", line.join(" "), branches.join(" "))
    }
    match parse(&response.0) {
        Ok(values) => ordered(&Value::List(values)),
        Err(why) => format!("unreadable: {why}: {response:?}"),
    }
}

fn esearch(asked: &Asked, response: &Response) -> String {
    let Ok(values) = parse(&response.0) else {
        return format!("unreadable: {response:?}");
    };
    let rest: Vec<String> = values.iter().skip(2).map(shown).collect();
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let rest = match rest.split_first() {
        Some((first, rest)) if first.starts_with("(TAG") => rest,
        _ => &rest,
    };
    let (uid, rest) = match rest.split_first() {
        Some((&"UID", rest)) => ("UID ", rest),
        _ => ("", rest),
    };
    let pair = |pair: &[&str]| match pair {
        ["MODSEQ", _] => "MODSEQ given".to_owned(),
        // RFC 5267 §3.2: in the order of the criteria.
        ["ALL", set] if asked.starts("SORT ") => format!("ALL {}", listed_numbers(set)),
        ["ALL", set] => format!("ALL {}", numbers(set)),
        ["PARTIAL", list] => format!("PARTIAL {list}"),
        pair => pair.join(" "),
    };
    let mut pairs: Vec<String> = rest.chunks(2).map(pair).collect();
    pairs.sort();
    format!("* ESEARCH {uid}{}", pairs.join(" "))
}

/// `* LIST (attributes) separator name`, the attributes that both know.
fn listed(asked: &Asked, response: &Response) -> String {
    let Ok(values) = parse(&response.0) else {
        return format!("unreadable: {response:?}");
    };
    let [_, word, attributes, separator, name, more @ ..] = &values[..] else {
        return format!("too short: {response:?}");
    };
    let attributes = attributes.list().unwrap_or_default();
    let mut attributes: Vec<String> = attributes.iter().filter_map(Value::string).collect();
    let is_choice = |flag: &String| match flag.as_str() {
        "\\Marked" | "\\UnMarked" => true,
        // RFC 9051 §6.3.9.5: a server may tell of children also where nobody asks for them.
        "\\HasChildren" | "\\HasNoChildren" => asked.has("RETURN") && !asked.has("CHILDREN"),
        _ => false,
    };
    attributes.retain(|flag| !is_choice(flag));
    attributes.sort();
    let more: Vec<String> = more.iter().map(shown).collect();
    let (word, separator) = (shown(word), shown(separator));
    let name = name.string().unwrap_or_default();
    format!(
        "* {word} ({}) {separator} {name} {}",
        attributes.join(" "),
        more.join(" ")
    )
}

fn status(response: &Response) -> String {
    let Ok(values) = parse(&response.0) else {
        return format!("unreadable: {response:?}");
    };
    let name = values.get(2).and_then(Value::string).unwrap_or_default();
    let items = values.get(3).and_then(Value::list).unwrap_or_default();
    let pair = |pair: &[Value]| match pair.iter().map(shown).collect::<Vec<_>>().as_slice() {
        [name, _] if ["UIDVALIDITY", "HIGHESTMODSEQ", "RECENT"].contains(&name.as_str()) => {
            format!("{name} given")
        }
        pair => pair.join(" "),
    };
    let mut pairs: Vec<String> = items.chunks(2).map(pair).collect();
    pairs.sort();
    format!("* STATUS {name} {}", pairs.join(" "))
}

fn sorted(words: &[&str]) -> String {
    let text = without_modseq(&words.join(" "));
    let mut words: Vec<&str> = text.split(' ').collect();
    words.sort_by_key(|word| (word.len(), *word));
    words.join(" ")
}

fn without_modseq(text: &str) -> String {
    match text
        .split_once(" (MODSEQ ")
        .or_else(|| text.split_once("(MODSEQ "))
    {
        Some((before, _)) => format!("{before} MODSEQ"),
        None => text.to_owned(),
    }
}

/// A set, every number of it.
pub(super) fn numbers(set: &str) -> String {
    let Some(mut all) = every(set) else {
        return set.to_owned();
    };
    all.sort_unstable();
    joined(&all)
}

/// The same in the order of the set.
fn listed_numbers(set: &str) -> String {
    every(set).map_or_else(|| set.to_owned(), |all| joined(&all))
}

fn every(set: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for range in set.split(',') {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        all.extend((first.min(last)..=last.max(first)).take(NUMBERS_MAX));
    }
    Some(all)
}

fn joined(all: &[u32]) -> String {
    let all: Vec<String> = all.iter().map(u32::to_string).collect();
    all.join(",")
}

/// No mailbox of this trial has more.
const NUMBERS_MAX: usize = 10_000;
